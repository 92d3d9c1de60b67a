#!/usr/bin/env python3
"""The admin socket: who may open it, which routes it alone answers, reload by request, and which files it
replaces."""
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
import time

from daemon import (MODEL, PATIENCE, Server, Stream, ask, check, finish, get, hold_place, post, run,
                    serving, status_of)
from gate import Gate, has_gate, wait_until

RELOAD = b"POST /admin/reload HTTP/1.1\r\nHost: a\r\n\r\n"


def connect_unix(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(path)
    return sock


def ask_unix(path, request):
    with connect_unix(path) as sock:
        sock.sendall(request)
        return Stream(sock).answer()


def test_classes(folder):
    path = os.path.join(folder, "admin.sock")
    keys = os.path.join(folder, "keys")
    with open(keys, "w", encoding="ascii") as file:
        file.write("0123456789abcdef\n")
    with serving("--admin-socket=" + path, "--api-keys-file=" + keys) as server:
        mode = os.lstat(path).st_mode
        check(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, "mode %o" % mode)
        check(os.listdir(folder).count("admin.sock") == 1 and len(os.listdir(folder)) == 2,
              "nothing else is left: %s" % os.listdir(folder))
        check(any("admin:" + path in x for x in server.lines), "said at start")
        key = b"X-API-Key: 0123456789abcdef\r\n"
        for extra in (b"", key):
            status, _, body = ask(server, RELOAD.replace(b"\r\n\r\n", b"\r\n" + extra + b"\r\n"))
            check(status == 403 and b"admin socket" in body, "admin call by TCP: %s" % status)
        check(status_of(server, get("/admin/reload")) == 405, "405 by TCP")
        status, _, body = ask_unix(path, RELOAD)
        check((status, body) == (200, b'{"loaded":0,"unchanged":1,"gone":0}\n'),
              "reload: %s %s" % (status, body))
        check(server.wait_for("reload done"), "it is in the log")
        check(ask_unix(path, post())[0] == 200, "the socket asks for no key")
        check(ask_unix(path, get("/metrics"))[0] == 200, "nor for metrics")
        check(ask(server, post())[0] == 401, "TCP still does")
        # The answer says what was wrong with the keys.
        with open(keys, "w", encoding="ascii") as file:
            file.write("short\n")
        status, _, body = ask_unix(path, RELOAD)
        check(status == 500 and b"16 bytes" in body and keys.encode() in body,
              "bad keys: %s %s" % (status, body))
    check(not os.path.lexists(path), "removed at the end")


def test_flood(folder):
    """Clients at their limit do not lock out the admin, and admins do not lock out clients."""
    path = os.path.join(folder, "flood.sock")
    with serving("--admin-socket=" + path, "--max-connections=4", "--http-threads=1",
                 "--max-connections-per-address=0") as server:
        socks = [server.connect() for _ in range(4)]
        for sock in socks:
            sock.sendall(get())
            check(Stream(sock).answer()[0] == 200, "a client under the limit")
        for sock in socks:
            hold_place(sock)
        check(status_of(server, get()) == 503, "clients are full")
        check(ask_unix(path, RELOAD)[0] == 200, "the admin is served")
        admins = []
        for _ in range(8):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE)
            sock.connect(path)
            sock.sendall(get())
            check(Stream(sock).answer()[0] == 200, "an admin under the limit")
            admins.append(sock)
        check(ask_unix(path, get())[0] == 503, "admins have a limit of their own")
        for sock in socks + admins:
            sock.close()


def test_place(folder):
    path = os.path.join(folder, "place.sock")
    arguments = ("--model=" + MODEL, "--port=0")
    with open(path, "w", encoding="ascii") as file:
        file.write("mine\n")
    code, _, error = run("--admin-socket=" + path, *arguments)
    check(code == 1 and "is not a socket" in error and path in error, "a file: %s" % error)
    with open(path, encoding="ascii") as file:
        check(file.read() == "mine\n", "another file is left alone")
    os.unlink(path)
    os.symlink(os.path.join(folder, "elsewhere"), path)
    code, _, error = run("--admin-socket=" + path, *arguments)
    check(code == 1 and "is not a socket" in error, "a link: %s" % error)
    os.unlink(path)
    for bad in ("relative.sock", "/" + "a" * 107, "/nonexistent/admin.sock"):
        code, _, error = run("--admin-socket=" + bad, *arguments)
        check(code in (1, 2) and "admin-socket" in error, "%s: %s %s" % (bad, code, error))
    # The socket of a killed daemon is replaced, that of a running one is not.
    server = Server("--admin-socket=" + path)
    server.stop(signal.SIGKILL)
    check(os.path.lexists(path), "a killed daemon leaves its socket")
    with serving("--admin-socket=" + path):
        check(ask_unix(path, get())[0] == 200, "its place is taken")
        code, _, error = run("--admin-socket=" + path, *arguments)
        check(code == 1 and "in use" in error, "a second daemon: %s" % error)
        check(ask_unix(path, get())[0] == 200, "the first still answers")
        os.rename(path, path + ".old")
        with serving("--admin-socket=" + path):
            os.unlink(path + ".old")
    check(not os.path.lexists(path), "each removes its own only")


def test_reload_under_load(folder):
    """Admin reloads and signals arrive at the same time, while requests are answered."""
    path = os.path.join(folder, "load.sock")
    with serving("--admin-socket=" + path) as server:
        statuses, stop = [], threading.Event()

        def load():
            with server.connect() as sock:
                stream = Stream(sock)
                while not stop.is_set():
                    sock.sendall(post())
                    answer = stream.answer()
                    statuses.append(answer[0] if answer else None)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            check(ask_unix(path, RELOAD)[0] == 200, "reload under load")
            server.process.send_signal(signal.SIGHUP)
        begin = time.monotonic()
        while len(statuses) < 100 and time.monotonic() - begin < PATIENCE:
            check(ask_unix(path, RELOAD)[0] == 200, "reload under load")
        stop.set()
        for thread in threads:
            thread.join()
        check(set(statuses) == {200}, "answers: %s" % set(statuses))


# While a model takes long to load, requests are answered; SIGTERM ends the daemon in spite of it.
def test_slow_reload(folder):
    gate = Gate(folder)
    path = os.path.join(folder, "slow.sock")
    model = os.path.join(folder, "digits.safetensors")

    def replace_model():
        shutil.copy(MODEL, model + ".new")
        os.rename(model + ".new", model)

    replace_model()
    with gate.serving("--admin-socket=" + path, model=model) as server:
        gate.close_files()
        replace_model()
        server.process.send_signal(signal.SIGHUP)
        wait_until(gate.is_holding, "the reload is held")
        check(status_of(server, post()) == 200, "the old model serves")
        check(status_of(server, get("/v2/health/ready")) == 200, "the server is ready")
        server.process.send_signal(signal.SIGHUP)
        with connect_unix(path) as sock:
            sock.sendall(RELOAD)
            check(ask_unix(path, get())[0] == 200, "other admins are answered")
            gate.open_files()
            answer = Stream(sock).answer()
            check(answer and answer[0] == 200, "the admin's reload waits for its turn: %s"
                  % (answer,))
        # SIGTERM while an admin waits for a reload.
        gate.close_files()
        replace_model()
        with connect_unix(path) as sock:
            sock.sendall(RELOAD)
            wait_until(gate.is_holding, "the admin's reload is held")
            server.process.send_signal(signal.SIGTERM)
            check(server.wait_for("SIGTERM: finishing what runs"), "SIGTERM is seen")
            gate.open_files()
            answer = Stream(sock).answer()
            check(answer and answer[0] == 200, "the admin is answered: %s" % (answer,))
    # SIGTERM while a reload by signal hangs, for which no client waits.
    with gate.serving(model=model) as server:
        gate.close_files()
        replace_model()
        server.process.send_signal(signal.SIGHUP)
        wait_until(gate.is_holding, "the reload is held")
        server.process.send_signal(signal.SIGTERM)
        check(server.wait_for("a model is still being read; the daemon ends without waiting for it"), "it is told")
        check(server.process.wait(PATIENCE) == 0, "exit 0 beside a reload that hangs")
    gate.open_files()


# The disk of a model hangs for ever while an admin waits: the admin gets an answer, and the daemon ends
# within its timeout.
def test_hanging_reload_at_the_end(folder):
    gate = Gate(folder)
    path = os.path.join(folder, "hang.sock")
    model = os.path.join(folder, "digits.safetensors")
    shutil.copy(MODEL, model)
    with gate.serving("--admin-socket=" + path, "--shutdown-timeout=1", model=model) as server:
        gate.close_files()
        shutil.copy(MODEL, model + ".new")
        os.rename(model + ".new", model)
        with connect_unix(path) as first, connect_unix(path) as second:
            first.sendall(RELOAD)
            wait_until(gate.is_holding, "the reload is held")
            second.sendall(b"POST /v2/repository/models/digits/load HTTP/1.1\r\nHost: a\r\n\r\n")
            check(status_of(server, post()) == 200, "the old model serves")
            server.process.send_signal(signal.SIGTERM)
            for name, sock in (("the admin", first), ("the client behind the admin", second)):
                answer = Stream(sock).answer()
                check(answer and answer[0] == 503 and b"shutting down" in answer[2],
                      "%s is told: %s" % (name, answer))
        check(server.process.wait(PATIENCE) == 0, "exit 0, with the disk still hanging")
        check(gate.is_holding(), "it hung all the time")
        check(server.wait_for("a model is still being read; the daemon ends without waiting for it"), "it is told")
    gate.open_files()


# A hanging compute thread does not delay the end either, but the exit status says that it failed.
def test_hanging_compute_at_the_end(folder):
    gate = Gate(folder)
    server = gate.server("--shutdown-timeout=0.2")
    held = gate.shut(server)
    server.process.send_signal(signal.SIGTERM)
    check(Stream(held).answer() is None, "the client is cut")
    check(server.process.wait(PATIENCE) == 1, "exit 1")
    check(server.wait_for("the compute thread hangs"), "it is told")
    server.stop()
    held.close()
    gate.open()


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        test_classes(folder)
    with tempfile.TemporaryDirectory() as folder:
        test_flood(folder)
        test_place(folder)
        test_reload_under_load(folder)
    if has_gate():
        with tempfile.TemporaryDirectory() as folder:
            test_slow_reload(folder)
        with tempfile.TemporaryDirectory() as folder:
            test_hanging_reload_at_the_end(folder)
        with tempfile.TemporaryDirectory() as folder:
            test_hanging_compute_at_the_end(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
