"""A daemon whose compute thread can be held, so that its queue fills and stays full; and conditions
to wait for. Not a test by itself.
"""
import os
import time

import daemon
from daemon import ask, check, get, post, serving


def metrics(server):
    """{name{labels}: value} of a scrape."""
    lines = ask(server, get("/metrics"))[2].decode().split("\n")
    return {x.rsplit(" ", 1)[0]: float(x.rsplit(" ", 1)[1])
            for x in lines if x and not x.startswith("#")}


def wait_until(condition, what):
    """A condition that only the server's own state tells; looked at until it holds."""
    until = time.monotonic() + daemon.PATIENCE
    while not condition():
        if time.monotonic() > until:
            check(False, what)
            return
    check(True, what)


def occupy(server, images=5):
    """A connection whose request is on its way to the batch lane."""
    sock = server.connect()
    sock.sendall(post(bytes(784 * images)))
    return sock


LIBRARY = os.path.join(daemon.BUILD, "tests/support/hang.so")


def has_gate():
    sanitizer = os.environ.get("sanitizer", "")
    return os.path.exists(LIBRARY) and "address" not in sanitizer and "thread" not in sanitizer


class Gate:
    """A server whose compute thread stops at a gate as long as that is shut."""

    def __init__(self, folder, environment=None):
        self.path = os.path.join(folder, "gate")
        self.environment = dict(environment or {}, LD_PRELOAD=os.path.abspath(LIBRARY),
                                HANG_WHILE=self.path, HANG_READ=self.path + ".read",
                                OMP_WAIT_POLICY="passive")

    def serving(self, *options, **named):
        return serving("--inline-us=0", *options, environment=self.environment, **named)

    def server(self, *options):
        """One whose end is the test's to judge."""
        return daemon.Server("--inline-us=0", *options, environment=self.environment)

    def shut(self, server):
        """Shuts it, with one request of five images held there."""
        open(self.path, "w").close()
        held = occupy(server)
        wait_until(lambda: os.path.exists(self.path + ".held"), "one request is held")
        return held

    def close_files(self):
        """From now on reading a model is held; wait_until(self.is_holding) tells when one is."""
        open(self.path + ".read", "w").close()

    def is_holding(self):
        return os.path.exists(self.path + ".read.held")

    def open_files(self):
        os.remove(self.path + ".read.held")

    def open(self):
        os.remove(self.path + ".held")
