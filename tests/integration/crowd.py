#!/usr/bin/env python3
"""Clients that always have a request in progress.

`crowd.py PORT COUNT` sends the request on its standard input on this number of connections, and sends it again
on a connection when a part of an answer arrives there. Writes a line when all connections have sent a request,
and then a byte for each part of an answer, unless earlier bytes are still unread. Ends when a connection ends.
Runs in a process of its own; not a test by itself.
"""
import contextlib
import os
import selectors
import socket
import subprocess
import sys


class Crowd:
    """The process, which runs as long as the block; it must not end before."""

    def __init__(self, port, count, request):
        self.process = subprocess.Popen([sys.executable, __file__, str(port), str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.process.stdin.write(request)
        self.process.stdin.close()

    def __enter__(self):
        if self.process.stdout.readline() != b"sent\n":
            raise SystemExit("crowd.py has ended")
        return self

    def wait(self):
        """Waits until the server has sent another part of an answer."""
        pipe = self.process.stdout.fileno()
        os.set_blocking(pipe, False)
        with contextlib.suppress(BlockingIOError):
            while os.read(pipe, 65536) != b"":
                pass
        os.set_blocking(pipe, True)
        if os.read(pipe, 1) == b"":
            raise SystemExit("a connection of crowd.py has ended")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def main():
    request = sys.stdin.buffer.read()
    selector = selectors.DefaultSelector()
    for _ in range(int(sys.argv[2])):
        sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.sendall(request)
        selector.register(sock, selectors.EVENT_READ)
    print("sent", flush=True)
    os.set_blocking(1, False)
    while True:
        for key, _ in selector.select():
            if key.fileobj.recv(1 << 20) == b"":
                return 1
            key.fileobj.sendall(request)
            with contextlib.suppress(BlockingIOError):
                os.write(1, b".")


if __name__ == "__main__":
    sys.exit(main())
