#!/usr/bin/env python3
"""Memory after a storm of requests: it stays within the budget, and is returned after the clients have gone.
Each storm is small enough for `make check`; bench/soak and bench/abuse have larger ones.
"""
import gzip
import os
import random
import sys

from daemon import Stream, ask, check, finish, get, post, resident, serving
from wire import png_file
from gate import wait_until

BUDGET = 64
# MB that the budget does not count: the process, output before it is counted, and freed memory that has not
# been returned yet.
OUTSIDE = 128
AFTERWARDS = 20
with open(os.path.join(os.environ.get("top_builddir", "build"), "Makefile"), encoding="utf-8") as makefile:
    # The C library's allocator and sanitizers keep freed memory.
    GIVES_BACK = "\nJEMALLOC_LIBS = -l" in makefile.read()


def photograph(width, height):
    ink = width // 2
    row = b"\0" + bytes(b"\xf0" * 3 * (width - ink) + b"\x20" * 3 * (ink // 20)).ljust(3 * width, b"\xf0")
    return png_file(width, height, row * height, colour=2)


def storm(name, count, request, read):
    """`count` connections send `request`; each reads one answer if `read`, else waits only until its first byte
    arrives."""
    with serving("--memory-budget=%dM" % BUDGET, "--max-connections-per-address=0", "--http-threads=2",
                 "--threads=2") as server:
        socks, statuses = [server.connect() for _ in range(count)], {}
        for sock in socks:
            try:
                sock.sendall(request)
            except OSError: # answered and closed before everything was sent
                pass
        for sock in socks:
            try:
                answer = Stream(sock).answer() if read else (bool(sock.recv(1)),)
            except OSError:
                answer = None
            status = answer[0] if answer else None
            statuses[status] = statuses.get(status, 0) + 1
        peak = resident(server, "VmHWM") / 2**20
        for sock in socks:
            sock.close()
        if GIVES_BACK:
            check(peak < BUDGET + OUTSIDE, "%s: at most %.0f MB" % (name, peak))
            wait_until(lambda: resident(server) < AFTERWARDS << 20,
                       "%s: memory comes back: %.0f MB" % (name, resident(server) / 2**20))
        check(ask(server, post())[0] == 200, "%s: it serves on" % name)
        print("%s: %s, at most %.0f MB, afterwards %.0f MB" % (name, statuses, peak, resident(server) / 2**20))


def main():
    # Images with 24 bytes each as gzip, since equal ones are refused.
    noise = random.Random(1)
    packed = gzip.compress(b"".join(noise.randbytes(20).ljust(784, b"\0") for _ in range(1000)), 9)
    gzipped = b"Content-Type: application/octet-stream\r\nContent-Encoding: gzip\r\n"
    storm("slow readers of /explain", 100, 30 * post(path=b"/explain"), False)
    storm("gzip bombs", 40, post(packed, gzipped, b"/predict?image=png"), True)
    storm("photographs", 16, post(photograph(4000, 3000), b"Content-Type: image/png\r\n"), True)
    storm("idle connections", 500, get("/ping"), True)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
