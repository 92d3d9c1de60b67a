#!/usr/bin/env python3
"""The effect of cheap requests with a high cost on other clients.

A palette picture of 16 million pixels is two kilobytes. A body with many of them is refused by max-pixels or
decoded in turns with other clients; health checks and small requests are answered meanwhile, deadlines hold,
and memory is returned.
"""
import gzip
import json
import base64
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from daemon import DAEMON, MODEL, PATIENCE, RAW, Stream, ask, check, finish, get, post, resident, serving
from wire import png_chunk, png_file
from gate import wait_until


def palette_picture(side):
    """A PNG of one bit per sample, with palette and tRNS; all pixels are equal."""
    return png_file(side, side, (b"\0" + bytes((side + 7) // 8)) * side, 1, 3,
                    png_chunk(b"PLTE", b"\xff\xff\xff\0\0\0") + png_chunk(b"tRNS", b"\xff\x80"))


def images(picture, count):
    text = base64.b64encode(picture).decode()
    return json.dumps({"images": [text] * count}).encode()


def post_json(body, extra=b""):
    return post(body, b"Content-Type: application/json\r\n" + extra)


def post_packed(body, extra=b"", path=b"/predict"):
    return post(gzip.compress(body), b"Content-Encoding: gzip\r\n" + extra, path)


def grey_picture(side):
    """An empty page of 8 bits per sample."""
    return png_file(side, side, (b"\0" + b"\xff" * side) * side)


def test_pixels_in_proportion():
    """Few bytes may be few pixels, in whatever they are wrapped, and a whole page stays readable."""
    large, page = palette_picture(4096), grey_picture(4096)
    typed = b"Content-Type: image/png\r\n"
    # 16 million pixels in a lossless WebP and in a TIFF of fax rows, each of an empty page.
    webp = (b"RIFF" + struct.pack("<I", 4 + 8 + 20) + b"WEBPVP8L" + struct.pack("<I", 20) + b"\x2f" +
            struct.pack("<I", 4095 | 4095 << 14) + b"\x88\x88\x08" + bytes(12))
    entries = ((256, 4, 4096), (257, 4, 4096), (258, 3, 1), (259, 3, 4), (262, 3, 0), (273, 4, 8),
               (277, 3, 1), (278, 4, 4096), (279, 4, 512))
    tiff = (b"II*\0" + struct.pack("<I", 520) + b"\xff" * 512 + struct.pack("<H", len(entries)) +
            b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries) +
            bytes(4))
    requests = {
        "a palette picture in gzip": post_packed(large, typed),
        "two in JSON in gzip": post_packed(images(large, 2), b"Content-Type: application/json\r\n"),
        "a grey page in gzip, to be read": post_packed(page, typed, b"/read"),
        "a WebP": post(webp, b"Content-Type: image/webp\r\n"),
        "a TIFF": post(tiff, b"Content-Type: image/tiff\r\n"),
    }
    with serving("--http-threads=1") as server:
        for name, request in requests.items():
            status, _, body = ask(server, request)
            check(status == 413 and (b"16777216 pixels" in body or b"4096 x 4096 pixels" in body),
                  "%s of %d bytes: %d %r" % (name, len(request), status, body[:160]))
        # As it is it may be decoded; it is empty.
        for name, body in (("palette", large), ("grey", page)):
            status, _, body = ask(server, post(body, typed))
            check(status == 422, "an empty page, %s: %d %r" % (name, status, body[:160]))


def squares_picture(side):
    """A PNG of one bit per sample with 1,600 black squares, each of which may be a digit."""
    rows = [b"\0" + (b"\0\x1f" if y % 16 < 11 else b"\xff\xff") * (side // 16) for y in range(side)]
    return png_file(side, side, b"".join(rows), 1)


def test_many_parts():
    """Few bytes may be few parts, and the refusal says so."""
    with serving() as server:
        picture = squares_picture(640)
        status, _, body = ask(server, post(picture, b"Content-Type: image/png\r\n", b"/read"))
        check(status == 413 and b"more than %d parts that may be digits" % (64 + len(picture) // 4) in body,
              "squares to be read: %d %r" % (status, body[:160]))


def test_many_large_pictures():
    picture = palette_picture(4096)
    with serving("--http-threads=1") as server:
        status, _, body = ask(server, post_json(images(picture, 100)))
        check(status == 413 and b"max-pixels" in body, "a hundred: %d %r" % (status, body[:80]))


def test_others_go_on():
    body = images(palette_picture(4096), 4)
    with serving("--http-threads=1") as server:
        attackers = [server.connect() for _ in range(8)]
        for sock in attackers:
            sock.sendall(post_json(body))
        worst = 0
        for _ in range(30):
            begun = time.monotonic()
            check(ask(server, post())[0] == 200, "a small request is answered")
            worst = max(worst, time.monotonic() - begun)
        print("a small request beside 8 x 4 x 16 million pixels: worst %.1f ms" % (worst * 1e3))
        check(worst < 1, "soon: %.3f s" % worst)
        for sock in attackers:
            sock.close()


def test_deadline():
    body = images(palette_picture(4096), 4)
    with serving() as server:
        others = [server.connect() for _ in range(4)]
        for sock in others:
            sock.sendall(post_json(body))
        begun = time.monotonic()
        status = ask(server, post_json(body, b"Request-Timeout-Ms: 20\r\n"))[0]
        late = time.monotonic() - begun - 0.02
        print("a deadline among them: %d, %.0f ms late" % (status, late * 1e3))
        check(status == 504 and late < 1, "504 in time: %d, %.3f s late" % (status, late))
        for sock in others:
            sock.close()


def test_memory_comes_back():
    with serving("--memory-budget=64M") as server:
        body = bytes(784 * 10000)
        socks = [server.connect() for _ in range(24)]
        for sock in socks:
            try:
                sock.sendall(post(body)[:-1])
            except OSError:  # refused from its head, and closed while this was sent
                pass
        codes = []
        for sock in socks:
            try:
                sock.sendall(body[-1:])
                answer = Stream(sock).answer()
                codes.append(answer[0] if answer else None)
            except OSError:
                codes.append(None)
        check(503 in codes, "over the budget: %s" % codes)
        check(200 in codes, "a client that holds a part of the budget is served: %s" % codes)
        print("24 x 7.8 MB in 64M: %s, %.0f MB" % (codes, resident(server) / 2**20))
        for sock in socks:
            sock.close()
        if os.environ.get("sanitizer", "no") == "no":  # an allocator that keeps freed memory
            wait_until(lambda: resident(server) < 40 << 20,
                       "memory comes back: %.0f MB" % (resident(server) / 2**20))
        print("afterwards %.0f MB" % (resident(server) / 2**20))
        check(ask(server, post())[0] == 200, "it serves on")


def test_promises_to_bodies_that_do_not_come():
    """A head that announces a large body and sends nothing reserves memory only for a moment."""
    body = bytes(784 * 10000)

    def status_of_a_large_one():
        try:
            answer = ask(server, post(body))
        except OSError:  # refused and closed while the body was being sent
            answer = None
        return answer[0] if answer else None

    with serving("--memory-budget=64M") as server:
        with server.connect() as silent:
            silent.sendall(post(body, RAW + b"Expect: 100-continue\r\n")[:-len(body)])
            check(b" 100 " in silent.recv(100), "the memory is promised")
            refused = b"a body of 13132000 bytes takes"
            wait_until(lambda: status_of_a_large_one() == 200, "a client that sends its body is served in the end")
            check(silent.recv(1) == b"", "a client that sends nothing is disconnected")
        with server.connect() as sock:
            sock.sendall(post(bytes(784 * 16750))[:400])
            answer = Stream(sock).answer()
            check(answer[0] == 413 and refused in answer[2], "a body that can never fit is refused: %s" % (answer,))


def test_explanations_are_counted():
    """The query and the model tell what an explanation takes: it is refused before it is computed."""
    with serving("--memory-budget=2M") as server:
        status, _, body = ask(server, post(path=b"/explain"))
        check(status == 413 and b"three quarters of memory-budget" in body,
              "more than there will ever be: %d %r" % (status, body[:120]))
        status, _, body = ask(server, post(path=b"/explain?values=none"))
        check(status == 200, "without values: %d %r" % (status, body[:120]))


def test_log_that_nobody_reads():
    readable, writable = os.pipe()
    process = subprocess.Popen([DAEMON, "--model=" + MODEL, "--port=0", "--access-log=yes",
                                "--allowed-hosts=*"], stderr=writable)
    os.close(writable)
    try:
        line = b""
        while b"listening on" not in line:
            line += os.read(readable, 65536)
        port = int(re.search(rb"http://[^ ]*:(\d+)", line).group(1))
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            stream = Stream(sock)
            answers = []
            for _ in range(600):
                sock.sendall(get())
                answers.append(stream.answer()[0])
            check(answers == [200] * 600, "all are answered: %s" % set(answers))
            sock.sendall(get("/metrics"))
            lost = re.search(rb"convnetd_log_lines_dropped_total (\d+)", stream.answer()[2])
            check(lost and int(lost.group(1)) > 100, "lost lines are counted: %s" % lost)
        process.send_signal(signal.SIGTERM)
        check(process.wait(PATIENCE) == 0, "it ends")
    finally:
        process.kill()
        os.close(readable)


def test_folder_of_bad_files():
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(MODEL, os.path.join(folder, "good.safetensors"))
        with serving("--model-dir=" + folder, model=None) as server:
            for i in range(1000):
                name = "".join(chr(ord("a") + int(c)) for c in "%03d" % i)
                with open(os.path.join(folder, name + ".safetensors"), "wb") as file:
                    file.write(b"no model")
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_for("1000 refused"), "the reload's line has the count")
            check(len(server.lines) < 40, "%d lines of log" % len(server.lines))
            print("a folder of 1,000 bad files: %d lines of log" % len(server.lines))


def test_watchdog_of_a_busy_server():
    """Large pictures keep all threads busy; the watchdog must not kill the daemon for this."""
    body = images(palette_picture(4096), 4)
    with tempfile.TemporaryDirectory() as folder, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(os.path.join(folder, "notify"))
        manager.settimeout(PATIENCE)
        with serving("--http-threads=1", environment={
                "NOTIFY_SOCKET": os.path.join(folder, "notify"),
                "WATCHDOG_USEC": "600000"}) as server:
            while b"WATCHDOG=1" not in manager.recv(4096):
                pass
            others = [server.connect() for _ in range(8)]
            for sock in others:
                sock.sendall(post_json(body))
            fed, answered = 0, 0
            while fed < 5 or not answered:
                fed += b"WATCHDOG=1" in manager.recv(4096)
                answered += len(select.select(others, [], [], 0)[0])
            check(True, "fed %d times while it was busy" % fed)
            for sock in others:
                sock.close()


def test_idle_connections_make_room():
    # One thread records the order in which the answers end.
    with serving("--max-connections=20", "--http-threads=1") as server:
        idle = []
        for _ in range(20):
            sock = server.connect()
            sock.sendall(get())
            check(Stream(sock).answer()[0] == 200, "one of the crowd")
            idle.append(sock)
        answers = [ask(server, get("/v2"))[0] for _ in range(10)]
        check(answers == [200] * 10, "new clients beside idle ones: %s" % answers)
        closed = [idle.index(sock) for sock in select.select(idle, [], [], PATIENCE)[0]]
        check(closed and closed == list(range(len(closed))), "the oldest are closed: %s" % closed)
        for sock in idle:
            sock.close()


def test_places_of_probes():
    # Without places for probes, the server would wait for an unfinished head until long after PATIENCE.
    with serving("--header-timeout=600", "--idle-timeout=600") as server:
        socks = [server.connect() for _ in range(130)]
        for sock in socks:
            sock.sendall(b"GET /ping HTTP/1.1\r\nX: ")
        check(ask(server, get("/ping"))[0] == 200, "a probe is answered beside them")
        # The order in which the server saw the connections decides which of them got a place.
        ended = select.select(socks, [], [], PATIENCE)[0]
        check(ended and Stream(ended[0]).rest() == b"", "a place is kept for a second")
        for sock in socks:
            sock.close()


def main():
    test_idle_connections_make_room()
    test_places_of_probes()
    test_log_that_nobody_reads()
    test_folder_of_bad_files()
    test_watchdog_of_a_busy_server()
    test_pixels_in_proportion()
    test_many_parts()
    test_many_large_pictures()
    test_others_go_on()
    test_deadline()
    test_memory_comes_back()
    test_promises_to_bodies_that_do_not_come()
    test_explanations_are_counted()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
