#!/usr/bin/env python3
"""nginx and HAProxy in front of convnetd: for any bytes of a client, the proxy and convnetd agree where each
request ends.

Each case passes the proxy over connections that it keeps to convnetd; afterwards a request of another client
must get its own answer. And convnetd sees the path that is hidden in bodies as often as the proxy says. Runs
with the proxies that are installed; skipped (77) without both.
"""
import contextlib
import importlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from daemon import MODEL, PATIENCE, RAW, Stream, check, finish, get, serving
from gate import wait_until

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\nX: "
NGINX = """
worker_processes 1; daemon off; master_process off; pid FOLDER/pid; error_log FOLDER/error;
events { worker_connections 64; }
http {
    log_format each "$request $connection $connection_requests";
    access_log FOLDER/access each;
    client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2; fastcgi_temp_path FOLDER/3;
    uwsgi_temp_path FOLDER/4; scgi_temp_path FOLDER/5;
    upstream backend { server 127.0.0.1:PORT; keepalive 1; }
    server {
        listen unix:FOLDER/socket;
        location / {
            proxy_pass http://backend; proxy_http_version 1.1; proxy_request_buffering off;
            proxy_set_header Connection ""; proxy_ignore_client_abort on;
        }
    }
}
"""
HAPROXY = """
defaults
    mode http
    log-format "%r %rt"
    timeout connect 30s
    timeout client 30s
    timeout server 30s
    option http-keep-alive
    http-reuse always
frontend clients
    log stdout format raw local0
    bind unix@FOLDER/socket
    default_backend servers
backend servers
    server backend 127.0.0.1:PORT
"""
PROXIES = {"nginx": (["nginx", "-p", "FOLDER", "-e", "FOLDER/error", "-c", "FOLDER/conf"], NGINX),
           "haproxy": (["haproxy", "-f", "FOLDER/conf"], HAPROXY)}


def with_hidden(fields, before=b"", after=b"\r\n\r\n"):
    return (b"POST /predict HTTP/1.1\r\nHost: a\r\n" + RAW + fields + b"\r\n\r\n" + before + HIDDEN +
            after)


def ambiguous():
    """Heads with a length and chunks, or with two lengths, that may be read in more than one way."""
    size = b"%d" % (len(HIDDEN) + 4)
    cases = {}
    for name in (b"chunked", b" chunked", b"chunked ", b"\tchunked", b"\x0bchunked", b"\x0cchunked",
                 b"xchunked", b"chunked, identity", b"identity, chunked", b", chunked", b"chunked,",
                 b"chunked;a=b", b"CHUNKED", b"\"chunked\"", b"chunked\0", b"chu\0nked", b"",
                 b"\r\n chunked", b"gzip, chunked", b"chunked\r\nTransfer-Encoding: x"):
        coding = b"Transfer-Encoding:" + name
        cases["chunks %r and a length" % name] = with_hidden(
            coding + b"\r\nContent-Length: " + size, b"0\r\n\r\n")
        cases["a length and chunks %r" % name] = with_hidden(
            b"Content-Length: 5\r\n" + coding, b"0\r\n\r\n")
        cases["chunks %r" % name] = with_hidden(coding, b"0\r\n\r\n")
    for field in (b"Transfer-Encoding : chunked", b"Transfer_Encoding: chunked",
                  b"X: y\rTransfer-Encoding: chunked", b" Transfer-Encoding: chunked",
                  b"X:\nTransfer-Encoding: chunked", b"Transfer-Encoding\0: chunked",
                  b"\rTransfer-Encoding: chunked"):
        cases["%r and a length" % field] = with_hidden(field + b"\r\nContent-Length: 5",
                                                       b"0\r\n\r\n")
    for value in (b"+5", b"-5", b"0x5", b"5 ", b"5\t", b"5,5", b"5, 6", b"5\r\nContent-Length: 6",
                  b"05", b"5_0", b"5 0", b"5;", b"", b"18446744073709551621", b"-0", b"\x0b5",
                  b"5\r\n 0", b"5\0"):
        cases["length %r" % value] = with_hidden(b"Content-Length: " + value, b"0\r\n\r\n")
    for start in (b"0x5\r\n", b" 5\r\n", b"5 \r\n", b"5\n", b"5\r", b"5;a\n", b"+5\r\n", b"-5\r\n",
                  b"5;\x0b\r\n", b"100000000000000005\r\n", b"5_\r\n", b"\r\n5\r\n", b"5,\r\n"):
        cases["chunk size %r" % start] = with_hidden(b"Transfer-Encoding: chunked",
                                                     start + b"abcde\r\n0\r\n\r\n")
    for end in (b"\n", b"\r", b"", b"x\r\n", b"\r\r\n", b"\n\r"):
        cases["chunk's end %r" % end] = with_hidden(b"Transfer-Encoding: chunked",
                                                    b"5\r\nabcde" + end + b"0\r\n\r\n")
    for trailer in (b"Content-Length: 40\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n",
                    b"A\n", b" A: b\r\n", b"A: b\n"):
        cases["trailer %r" % trailer] = with_hidden(b"Transfer-Encoding: chunked",
                                                    b"0\r\n" + trailer + b"\r\n")
    cases["a body of GET"] = b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: " + size + \
        b"\r\n\r\n" + HIDDEN + b"\r\n\r\n"
    cases["a body of HTTP/1.0"] = b"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + \
        b"Content-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN + b"\r\n\r\n"
    return cases


class Proxy:
    def __init__(self, name, folder, port):
        command, text = PROXIES[name]
        self.path = os.path.join(folder, "socket")
        self.log = os.path.join(folder, "access")
        with open(os.path.join(folder, "conf"), "w", encoding="ascii") as file:
            file.write(text.replace("FOLDER", folder).replace("PORT", str(port)))
        with open(self.log, "wb") as output, \
                open(os.path.join(folder, "stderr"), "wb") as errors:
            self.process = subprocess.Popen([x.replace("FOLDER", folder) for x in command],
                                            stdout=output, stderr=errors)
        wait_until(self.answers, name + " starts")

    def connect(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        sock.connect(self.path)
        return sock

    def answers(self):
        try:
            with self.connect() as sock:
                sock.sendall(get(extra=b"Connection: close\r\n"))
                return b" 200 " in Stream(sock).rest()
        except OSError:
            return False

    def seen(self):
        """The number of times the proxy's log has the hidden path; HAProxy logs each request twice."""
        with open(self.log, "rb") as file:
            return len(set(re.findall(rb"^GET /hidden HTTP.*$", file.read(), re.M)))

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


def through(proxy, request, number):
    """Sends the case and ends; then another client sends a request."""
    with proxy.connect() as sock:
        with contextlib.suppress(OSError):  # refused before its end
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
        try:
            Stream(sock).rest()
        except socket.timeout:
            return "the case is not answered"
    with proxy.connect() as sock:
        name = "other-%d" % number
        sock.sendall(get("/v2/models/none-%d" % number,
                         ("X-Request-Id: %s\r\nConnection: close\r\n" % name).encode()))
        answer = Stream(sock).answer()
    if answer and answer[0] == 404 and answer[1].get("x-request-id") == name:
        return None
    return "another client gets %s" % (answer,)


def hidden_lines(server):
    return sum("path=/hidden" in x for x in list(server.lines))


def test_proxy(name):
    table = importlib.import_module("test-framing")
    cases = dict(table.BAD, **{k: v[0] for k, v in table.GOOD.items()}, **ambiguous())
    with tempfile.TemporaryDirectory() as folder, \
            serving("--access-log=yes", "--allowed-hosts=*") as server:
        os.chmod(folder, 0o755)
        proxy = Proxy(name, folder, server.port)
        try:
            for number, (case, request) in enumerate(cases.items()):
                fault = through(proxy, request, number)
                check(fault is None, "%s: %s: %s" % (name, case, fault))
            check(server.wait_for("none-%d " % (len(cases) - 1)), "the last one is logged")
            # Both logs are written after the answers.
            wait_until(lambda: proxy.seen() == hidden_lines(server), "%s: what is hidden from the "
                       "proxy is hidden from convnetd: %d, %d" % (name, proxy.seen(),
                                                                  hidden_lines(server)))
            print("%s: %d cases, the hidden path: %d in its log, %d in convnetd's"
                  % (name, len(cases), proxy.seen(), hidden_lines(server)))
        finally:
            proxy.stop()


def test_alone():
    """convnetd itself refuses everything that is ambiguous, or reads it as one body."""
    with serving("--access-log=yes") as server:
        for name, request in ambiguous().items():
            with server.connect() as sock:
                with contextlib.suppress(OSError):
                    sock.sendall(request)
                    sock.shutdown(socket.SHUT_WR)
                first = Stream(sock).answer()
                check(first is None or first[0] >= 400, "%s: %s" % (name, first))
        print("%d cases, the hidden path was served %d times" % (len(ambiguous()),
                                                                  hidden_lines(server)))


def main():
    found = [x for x in PROXIES if shutil.which(x)]
    if not os.path.exists(MODEL) or not found:
        print("no model at %s, or neither of %s" % (MODEL, ", ".join(PROXIES)))
        return 77
    test_alone()
    for name in found:
        test_proxy(name)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
