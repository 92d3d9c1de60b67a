#!/usr/bin/env python3
"""Sockets that a parent process holds and passes, as systemd does: restarts lose no connection, a socket's name
determines its use, and a socket that other machines can reach requires API keys. An argument gives the number
of restarts (default: 5).
"""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from daemon import DAEMON, MODEL, PATIENCE, Stream, check, finish, get, post

# Moves the sockets to the descriptors that sd_listen_fds(3) expects, and executes the daemon.
START = """
next=3
for fd in $1; do eval "exec $next<&$fd"; next=$((next + 1)); done
names=$2
shift 2
export LISTEN_FDS=$((next - 3)) LISTEN_FDNAMES=$names LISTEN_PID=$$
exec "$@"
"""


def listen(address="127.0.0.1"):
    sock = socket.socket()
    sock.bind((address, 0))
    sock.listen(1024)
    # Above the numbers that the daemon gets.
    os.dup2(sock.fileno(), 50 + sock.fileno())
    return sock


def start(socks, names, *options):
    numbers = [50 + sock.fileno() for sock in socks]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CONVNETD_")}
    return subprocess.Popen(
        ["bash", "-c", START, "-", " ".join(map(str, numbers)), names, DAEMON, "--model=" + MODEL,
         "--allowed-hosts=*", *options], pass_fds=numbers, env=environment, stderr=subprocess.PIPE)


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        _, log = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        _, log = process.communicate()
    check(process.returncode == 0, "exit status %s: %s" % (process.returncode, log[-500:]))
    return log.decode()


def ask(port, request):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(request)
        return Stream(sock).answer()


def test_restarts(count):
    sock = listen()
    port = sock.getsockname()[1]
    answers, faults, over = [], [], threading.Event()

    def load():
        while not over.is_set():
            try:
                answer = ask(port, post())
                answers.append(time.monotonic())
                if not answer or answer[0] != 200:
                    faults.append(answer)
            except OSError as error:
                faults.append(error)

    process = start([sock], "")
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(count):
        served = len(answers)
        began = time.monotonic()
        while len(answers) < served + 8 and time.monotonic() - began < PATIENCE:
            over.wait(0.001)
        check(len(answers) >= served + 8, "answers between two restarts")
        stop(process)
        process = start([sock], "")
    over.set()
    for thread in threads:
        thread.join()
    stop(process)
    check(not faults, "%d of %d requests: %s" % (len(faults), len(answers), faults[:3]))
    print("%d restarts, %d requests, %d lost" % (count, len(answers), len(faults)))
    sock.close()


def test_names():
    """A socket named admin answers admin calls, other ones do not."""
    plain, admin = listen(), listen()
    process = start([plain, admin], "anything:admin", "--admin-socket=/nonexistent/unused.sock")
    reload = b"POST /admin/reload HTTP/1.1\r\nHost: a\r\n\r\n"
    check(ask(admin.getsockname()[1], reload)[0] == 200, "admin")
    check(ask(plain.getsockname()[1], reload)[0] == 403, "not admin")
    check(ask(plain.getsockname()[1], get())[0] == 200, "plain")
    stop(process)
    for sock in (plain, admin):
        sock.close()


def test_unix():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        sock.listen(16)
        os.dup2(sock.fileno(), 50 + sock.fileno())
        process = start([sock], "")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(path)
            client.sendall(get())
            check(Stream(client).answer()[0] == 200, "a unix socket")
        stop(process)
        check(os.path.lexists(path), "a socket that was passed is not removed")
        sock.close()


def test_refused():
    for name, address, words in (("", "0.0.0.0", b"api-keys-file"),
                                 ("https", "127.0.0.1", b"tls-certificate")):
        sock = listen(address)
        process = start([sock], name)
        _, log = process.communicate(timeout=PATIENCE)
        check(process.returncode == 1 and words in log, "%s %s: %s" % (name, address, log[-300:]))
        sock.close()


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    test_names()
    test_unix()
    test_refused()
    test_restarts(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
