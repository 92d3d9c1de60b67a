#!/usr/bin/env python3
"""TLS: versions, certificates, client certificates, reload under load, slow handshakes, framing. openssl makes
the certificates; skipped (77) without it.
"""
import importlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import warnings

from daemon import (BUILD, IMAGE, MODEL, PATIENCE, RAW, Stream, check, finish, get, hold_place, post, run,
                    serving, status_of)
from gate import wait_until


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


class Files:
    """A folder with a CA and the certificates that it signs."""

    def __init__(self, folder):
        self.folder = folder
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self["ca.key"], "-out", self["ca.pem"], "-days", "2", "-subj",
                "/CN=test CA", "-addext", "basicConstraints=critical,CA:TRUE")

    def __getitem__(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, purpose="serverAuth", days="2"):
        request, extensions = self[name + ".csr"], self[name + ".ext"]
        with open(extensions, "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=%s\n" % purpose)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                self[name + ".key"], "-out", request, "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", request, "-CA", self["ca.pem"], "-CAkey", self["ca.key"],
                "-CAcreateserial", "-out", self[name + ".pem"], "-days", days, "-extfile",
                extensions)
        os.chmod(self[name + ".key"], 0o600)

    def install(self, name):
        """Makes `name` the certificate that is served."""
        for ending in (".pem", ".key"):
            shutil.copy(self[name + ending], self["served" + ending + ".new"])
            os.rename(self["served" + ending + ".new"], self["served" + ending])

    def options(self):
        return ("--tls-address=127.0.0.1", "--tls-port=0", "--tls-certificate=" +
                self["served.pem"], "--tls-key=" + self["served.key"])


def context(files, client=None, newest=None):
    made = ssl.create_default_context(cafile=files["ca.pem"])
    if client:
        made.load_cert_chain(files[client + ".pem"], files[client + ".key"])
    if newest:
        made.maximum_version = newest
    return made


def connect(server, made):
    plain = socket.create_connection(("127.0.0.1", server.tls_port), PATIENCE)
    try:
        return made.wrap_socket(plain, server_hostname="localhost")
    except Exception:
        plain.close()
        raise


def ask_tls(server, made, request=None):
    with connect(server, made) as sock:
        sock.sendall(request or get())
        return Stream(sock).answer()


def refused(server, made):
    """True if the client gets no answer: the handshake fails, in TLS 1.3 possibly after the client's part."""
    try:
        return ask_tls(server, made) is None
    except (ssl.SSLError, ConnectionError):
        return True


def serial(server, made):
    with connect(server, made) as sock:
        return dict(x[0] for x in sock.getpeercert()["subject"])["commonName"]


def test_both(files):
    with serving(*files.options()) as server:
        made = context(files)
        check(status_of(server, get()) == 200, "plain")
        check(ask_tls(server, made)[0] == 200, "TLS")
        answer = ask_tls(server, made, post())
        check(answer[0] == 200 and b'"predictions"' in answer[2], "a prediction: %s" % (answer,))
        with connect(server, made) as sock:
            stream = Stream(sock)
            check(sock.version() == "TLSv1.3", sock.version())
            # ThreadSanitizer takes half a minute for 2,000 images, with TLS and without.
            batch = (b" " * 784 * 2000 + b'{"images": [[' + b"0," * 783 + b"0]]}"
                     if "thread" in os.environ.get("sanitizer", "") else bytes(784 * 2000))
            sock.sendall(get() * 3 + post(batch, b"" if batch[:1] == b" " else RAW))
            check([stream.answer()[0] for _ in range(4)] == [200] * 4, "pipelined, and a batch")
        with connect(server, context(files, newest=ssl.TLSVersion.TLSv1_2)) as sock:
            check(sock.version() == "TLSv1.2", sock.version())
        old = context(files)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        check(refused(server, old), "TLS 1.1 is refused")
        rsa = context(files, newest=ssl.TLSVersion.TLSv1_2)
        rsa.set_ciphers("AES128-SHA:AES256-SHA:@SECLEVEL=0")
        check(refused(server, rsa), "a key exchange without forward secrecy is refused")
        cbc = context(files, newest=ssl.TLSVersion.TLSv1_2)
        cbc.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:"
                        "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")
        check(refused(server, cbc), "ciphers in CBC mode are refused")
        for offered, expected in ((["h2"], None), (["h2", "http/1.1"], "http/1.1"),
                                (["http/1.0"], "http/1.0"), (["nonsense"], None)):
            named = context(files)
            named.set_alpn_protocols(offered)
            if expected is None:
                check(refused(server, named), "ALPN %s is refused" % offered)
                continue
            with connect(server, named) as sock:
                check(sock.selected_alpn_protocol() == expected, "ALPN %s" % offered)
                sock.sendall(get())
                check(Stream(sock).answer()[0] == 200, "and answered")
        with socket.create_connection(("127.0.0.1", server.tls_port), PATIENCE) as sock:
            sock.sendall(get())
            check(b"HTTP/" not in Stream(sock).rest(), "plain HTTP on the TLS port")
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
            check(b" 200 " not in Stream(sock).rest(), "a TLS hello on the plain port")
        check(ask_tls(server, made)[0] == 200, "and it goes on")
        if shutil.which("curl"):
            result = subprocess.run(
                ["curl", "-sS", "--cacert", files["ca.pem"], "--data-binary", "@-", "-H",
                 "Content-Type: application/octet-stream",
                 "https://localhost:%d/predict" % server.tls_port], input=IMAGE,
                capture_output=True, check=False, timeout=PATIENCE)
            check(result.returncode == 0 and b'"predictions"' in result.stdout,
                  "curl: %s" % result.stderr)


def test_only_tls(files):
    with serving("--address=", *files.options()) as server:
        check(server.port == 0 and ask_tls(server, context(files))[0] == 200, "TLS only")


def test_limits(files):
    """The rules of plain HTTP also hold here: framing, the limit of the body in its middle, the limit of
    connections."""
    with serving("--max-body=10K", "--max-connections=2", *files.options()) as server:
        made = context(files)
        for name, request, expected in (
                ("folded line", get(extra=b"A: b\r\n c\r\n"), 400),
                ("two lengths", post(extra=b"Content-Length: 1\r\n" + RAW), 400),
                ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
                ("large body", post(bytes(20000)), 413),
                ("large chunks", b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"
                 b"\r\n\r\n2800\r\n" + bytes(10240) + b"\r\n1\r\na\r\n0\r\n\r\n", 413)):
            answer = ask_tls(server, made, request)
            check(answer and answer[0] == expected, "%s: %s" % (name, answer))
        start, got = time.monotonic(), []
        while len(got) < 2 and time.monotonic() - start < PATIENCE:
            try:  # earlier connections may still be closing
                sock = connect(server, made)
                sock.sendall(get())
                if Stream(sock).answer():
                    got.append(sock)
            except (ssl.SSLError, ConnectionError):
                pass
        for sock in got:
            hold_place(sock)
        check(len(got) == 2 and refused(server, made), "a third connection")
        for sock in got:
            sock.close()


def test_framing(files):
    """Each request of the table for plain HTTP."""
    table = importlib.import_module("test-framing")
    with serving("--max-connections-per-address=0", *files.options()) as server:
        made = context(files)
        for name, request in table.BAD.items():
            with connect(server, made) as sock:
                sock.sendall(request)
                stream = Stream(sock)
                try:
                    answer, rest = stream.answer(), stream.rest()
                except (TimeoutError, socket.timeout):
                    check(False, "bad: %s: not answered" % name)
                    continue
                except ssl.SSLEOFError:  # the end of the connection without a close_notify
                    rest = stream.data
                check(answer and 400 <= answer[0] < 600 and rest == b"" and
                      answer[1].get("content-type") == "application/json" and
                      "x-request-id" in answer[1], "bad: %s: answered %s, then %r"
                      % (name, answer, rest[:80]))
        for name, (request, expected) in table.GOOD.items():
            with connect(server, made) as sock:
                sock.sendall(request)
                stream = Stream(sock)
                got = [stream.answer() for _ in expected]
                check([x and x[0] for x in got] == expected, "good: %s: %s" % (name, got))
        print("%d bad and %d good requests" % (len(table.BAD), len(table.GOOD)))


def test_no_memory(files):
    """Without memory handshakes fail and new certificates are not loaded, but the server lives."""
    library = os.path.join(BUILD, "tests/support/malloc_fails.so")
    if os.environ.get("sanitizer", "no") != "no" or not os.path.exists(library):
        return
    with tempfile.TemporaryDirectory() as folder:
        arming = os.path.join(folder, "k")

        def arm(k):
            with open(arming + ".new", "w", encoding="ascii") as file:
                file.write(k)
            os.rename(arming + ".new", arming)

        with serving("--tls-client-ca=" + files["ca.pem"], *files.options(), environment={
                "LD_PRELOAD": os.path.abspath(library), "MALLOC_FAILS": arming,
                "OMP_WAIT_POLICY": "passive"}) as server:
            made = context(files, client="client")
            check(ask_tls(server, made, post())[0] == 200, "before")
            for name in ("second", "first") * 3:
                arm("0+")
                check(all(refused(server, made) for _ in range(5)), "no memory, no handshake")
                files.install(name)
                before = len(server.lines)
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: any("no memory for a certificate" in x
                                       for x in server.lines[before:]), "no memory, no reload")
                arm("-1")
                check(ask_tls(server, made, post())[0] == 200, "and it goes on")
                before = len(server.lines)
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: all(any(y in x for x in server.lines[before:])
                                       for y in ("certificate read", "reload done")),
                           "the reload is done later, to its end")
                # After an answer the server's side of the handshake has ended, too.
                with connect(server, made) as sock:
                    names = dict(x[0] for x in sock.getpeercert()["subject"])
                    sock.sendall(get())
                    check(names["commonName"] == name and Stream(sock).answer()[0] == 200,
                          "the new certificate is served")


def test_slow(files):
    with serving("--header-timeout=0.3", *files.options()) as server:
        hello = bytearray(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") + bytes(505)
        for name, first, drip in (("silent", b"", False), ("half a hello", bytes(hello[:40]), False),
                                  ("dripping", b"", True)):
            with socket.create_connection(("127.0.0.1", server.tls_port), PATIENCE) as sock:
                sock.sendall(first)
                start, ended, at = time.monotonic(), False, 0
                sock.settimeout(0.02 if drip else PATIENCE)
                while not ended and time.monotonic() - start < PATIENCE:
                    try:
                        if drip:
                            sock.sendall(bytes(hello[at:at + 1]))
                            at += 1
                        ended = sock.recv(4096) == b""
                    except socket.timeout:
                        pass
                    except OSError:
                        ended = True
                check(ended and time.monotonic() - start < 10, "a handshake: " + name)
    with serving("--header-timeout=2", *files.options()) as server:
        with connect(server, context(files)) as sock:
            sock.sendall(b"GET / HT")
            check(Stream(sock).rest() == b"", "a slow head after the handshake")


def test_clients(files):
    with serving("--tls-client-ca=" + files["ca.pem"], *files.options()) as server:
        check(ask_tls(server, context(files, "client"))[0] == 200, "a client's certificate")
        check(refused(server, context(files)), "none")
        check(refused(server, context(files, "served")), "a server's certificate")
        check(refused(server, context(files, "ended")), "one that has ended")
        check(refused(server, context(files, "stranger")), "another CA's")
        check(status_of(server, get()) == 200, "the plain port asks for none")
    code, _, error = run("--tls-address=0.0.0.0", "--tls-port=0", *files.options()[2:], "--port=0",
                         "--model=" + MODEL, "--tls-client-ca=" + files["ca.pem"], "--check-config")
    check(code == 0, "other machines with client certificates: %s" % error)


def test_reload(files):
    """New connections get the new certificate; open ones keep theirs and lose nothing."""
    with serving(*files.options()) as server:
        made = context(files)
        held = connect(server, made)
        failures, stop = [], threading.Event()
        counts = [0]

        def load():
            while not stop.is_set():
                try:
                    answer = ask_tls(server, made, post())
                    if not answer or answer[0] != 200:
                        failures.append(answer)
                    counts[0] += 1
                except (ssl.SSLError, OSError) as error:
                    failures.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        for name in ("second", "first") * 5:
            files.install(name)
            server.process.send_signal(signal.SIGHUP)
            start = time.monotonic()
            while serial(server, made) != name and time.monotonic() - start < PATIENCE:
                pass
            check(serial(server, made) == name, "the new certificate: " + name)
            held.sendall(get())
            check(Stream(held).answer()[0] == 200, "the old connection")
        stop.set()
        thread.join()
        check(not failures and counts[0] > 0, "%d failures of %d: %s"
              % (len(failures), counts[0], failures[:3]))
        shutil.copy(files["second.key"], files["served.key"])
        server.process.send_signal(signal.SIGHUP)
        check(server.wait_for("does not belong to the certificate"), "a wrong key is reported")
        check(serial(server, made) == "first", "the old certificate is still served")
        held.close()
        files.install("first")


def test_start(files):
    base = ("--model=" + MODEL, "--port=0", "--tls-port=0")
    pem, key = files["served.pem"], files["served.key"]
    for options, expected, words in (
            (("--tls-address=127.0.0.1",), 2, "needs tls-certificate and tls-key"),
            (("--tls-certificate=" + pem,), 2, "tls-key is not set"),
            (("--tls-key=" + key,), 2, "tls-certificate is not set"),
            (("--tls-client-ca=" + pem,), 2, "tls-client-ca"),
            (("--tls-certificate=" + pem, "--tls-key=" + files["second.key"]), 1, "does not belong"),
            (("--tls-certificate=" + pem, "--tls-key=" + pem), 1, pem),
            (("--tls-certificate=" + files["ca.key"], "--tls-key=" + key), 1, "cannot be used"),
            (("--tls-certificate=/nonexistent.pem", "--tls-key=" + key), 1, "/nonexistent.pem"),
            (("--tls-certificate=" + pem, "--tls-key=" + key, "--tls-priorities=NORMAL:+NONSENSE"),
             1, "NONSENSE"),
            (("--tls-certificate=" + pem, "--tls-key=" + key,
              "--tls-priorities=NORMAL:+VERS-TLS1.1"), 1, "only TLS 1.2 and 1.3"),
            (("--tls-address=0.0.0.0", "--tls-certificate=" + pem, "--tls-key=" + key), 2,
             "api-keys-file"),
            (("--address=",), 1, "no address to listen at")):
        code, _, error = run(*base, *options)
        check(code == expected and words in error, "%s: %s %s" % (options, code, error))
    with serving(*files.options()[:2], environment={"CREDENTIALS_DIRECTORY": files["creds"]}) as s:
        check(serial(s, context(files)) == "first", "certificate and key as credentials")


def main():
    if not os.path.exists(MODEL) or not shutil.which("openssl"):
        print("no model at %s, or no openssl" % MODEL)
        return 77
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        files = Files(folder)
        files.sign("first")
        files.sign("second")
        files.sign("client", "clientAuth")
        files.sign("ended", "clientAuth", "-1")
        stranger = Files(other)
        stranger.sign("stranger", "clientAuth")
        for ending in (".pem", ".key"):
            shutil.copy(stranger["stranger" + ending], files["stranger" + ending])
        files.install("first")
        os.mkdir(files["creds"])
        shutil.copy(files["first.pem"], files["creds/tls-certificate"])
        shutil.copy(files["first.key"], files["creds/tls-key"])
        test_both(files)
        test_only_tls(files)
        test_limits(files)
        test_framing(files)
        test_no_memory(files)
        test_slow(files)
        test_clients(files)
        test_reload(files)
        test_start(files)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
