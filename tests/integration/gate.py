"""A daemon whose compute thread can be held, so that its queue fills and stays full; and functions that wait
for conditions. Not a test by itself.
"""
import os
import time

import daemon
from daemon import ask, check, get, post, serving


def metrics(server):
    """{name{labels}: value} from /metrics."""
    lines = ask(server, get("/metrics"))[2].decode().split("\n")
    return {x.rsplit(" ", 1)[0]: float(x.rsplit(" ", 1)[1])
            for x in lines if x and not x.startswith("#")}


def wait_until(condition, what):
    """Waits for a condition that only the server's own state shows, by polling."""
    until = time.monotonic() + daemon.PATIENCE
    while not condition():
        if time.monotonic() > until:
            check(False, what)
            return
    check(True, what)


def occupy(server, images=5):
    """A connection whose request has been sent to the batch lane."""
    sock = server.connect()
    sock.sendall(post(bytes(784 * images)))
    return sock


LIBRARY = os.path.join(daemon.BUILD, "tests/support/hang.so")


def has_gate():
    sanitizer = os.environ.get("sanitizer", "")
    return os.path.exists(LIBRARY) and "address" not in sanitizer and "thread" not in sanitizer


class Gate:
    """A server whose compute thread stops at a gate while the gate is closed."""

    def __init__(self, folder, environment=None):
        self.path = os.path.join(folder, "gate")
        self.environment = dict(environment or {}, LD_PRELOAD=os.path.abspath(LIBRARY),
                                HANG_WHILE=self.path, HANG_READ=self.path + ".read",
                                OMP_WAIT_POLICY="passive")

    def serving(self, *options, **named):
        return serving("--inline-us=0", *options, environment=self.environment, **named)

    def server(self, *options):
        """A server whose end the test itself checks."""
        return daemon.Server("--inline-us=0", *options, environment=self.environment)

    def shut(self, server):
        """Closes the gate and holds one request of five images there."""
        open(self.path, "w").close()
        held = occupy(server)
        wait_until(lambda: os.path.exists(self.path + ".held"), "one request is held")
        return held

    def close_files(self):
        """Holds each thread that reads a model from now on; wait_until(self.is_holding) waits for the first."""
        open(self.path + ".read", "w").close()

    def is_holding(self):
        return os.path.exists(self.path + ".read.held")

    def open_files(self):
        os.remove(self.path + ".read.held")

    def open(self):
        os.remove(self.path + ".held")
