#!/usr/bin/env python3
"""An operator's actions under load: reloads, shutdown, failing allocations. `make check-long` runs it; each
part is bounded in time and count.
"""
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import daemon
from daemon import IMAGE, MODEL, Stream, ask, check, finish, get, post, resident, serving, status_of
from wire import b64, fractions, png, request, rows, sample

BAD = b"not a model"


class Load:
    """Clients with keep-alive connections, until they are stopped; counts answers and faults."""

    def __init__(self, server, clients, request):
        self.server, self.request = server, request
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.statuses, self.faults, self.seconds = {}, [], []
        self.threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        try:
            while not self.stopping.is_set():
                with self.server.connect() as sock:
                    if not self._converse(sock, Stream(sock)):
                        return
        except OSError as fault:
            # Refused after the daemon closed its socket: a load balancer handles this; it is not a reset.
            if not isinstance(fault, ConnectionRefusedError):
                self._note(None, fault)

    def _converse(self, sock, stream):
        while not self.stopping.is_set():
            begun = time.monotonic()
            sock.sendall(self.request)
            answer = stream.answer()
            if answer is None:
                self._note(None, "closed without an answer")
                return False
            self._note(answer[0], None, time.monotonic() - begun)
            if answer[0] == 503:  # as Retry-After says, but sooner
                self.stopping.wait(0.2)
            if answer[1].get("connection") == "close":
                return True
        return False

    def _note(self, status, fault, seconds=0.0):
        with self.lock:
            if fault is not None:
                self.faults.append(fault)
                return
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.seconds.append(seconds)

    def count(self):
        with self.lock:
            return sum(self.statuses.values())

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return self

    def milliseconds(self, share):
        """The time within which this share of the answers arrived."""
        return 1e3 * sorted(self.seconds)[int(share * len(self.seconds))]


def reloads(server):
    answer = None
    while answer is None or answer[0] != 200:  # /metrics may also meet a failing allocation
        answer = ask(server, get("/metrics"))
    text = answer[2].decode().split("\n")
    return {k: int(x.rsplit(" ", 1)[1]) for k in ("ok", "failed") for x in text
            if x.startswith('convnetd_reloads_total{result="%s"}' % k)}


def replace(path, data):
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


def reload(server, expected):
    server.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + daemon.PATIENCE
    while sum(reloads(server).values()) < expected:
        if time.monotonic() > until:
            raise SystemExit("reload %d does not end" % expected)


def variants():
    """The model, and the same model with a renamed label."""
    with open(MODEL, "rb") as file:
        data = file.read()
    with tempfile.NamedTemporaryFile() as other:
        subprocess.run([os.path.join(daemon.BUILD, "convnet"), "edit", MODEL,
                        "--labels=0,1,2,3,4,5,6,7,8,X", "-o", other.name], check=True)
        with open(other.name, "rb") as file:
            return data, file.read()


# A reload must not lose requests or raise the latency, and memory must not grow for hours.
def test_reloads_under_load(count):
    one, two = variants()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.safetensors")
        replace(path, one)
        with serving(model=path) as server:
            def start():
                return [Load(server, 6, post()), Load(server, 2, post(IMAGE * 64))]  # both lanes

            alone = start()
            while alone[0].count() < 4000:
                threading.Event().wait(0.01)
            for load in alone:
                load.stop()
            loads = start()
            for i in range(count):
                replace(path, BAD if i % 2 else (two if i % 4 else one))
                reload(server, i + 1)
            for load in loads:
                load.stop()
                check(load.faults == [], "no connection fails: %s" % load.faults[:3])
                check(set(load.statuses) == {200}, "no request fails: %s" % load.statuses)
            now = reloads(server)
            check(now == {"ok": count - count // 2, "failed": count // 2}, "%s" % now)
            print("%d reloads, half of them bad, under %d requests: 0 failed"
                  % (count, sum(load.count() for load in loads)))
            for name, before, load in zip(("one image", "64 images"), alone, loads):
                print("%s, without and beside reloads: p50 %.2f -> %.2f ms, p99 %.2f -> %.2f ms"
                      % (name, before.milliseconds(0.5), load.milliseconds(0.5),
                         before.milliseconds(0.99), load.milliseconds(0.99)))
                # Reloads one after another take their share of the processors and no more.
                check(load.milliseconds(0.99) < 3 * max(before.milliseconds(0.99), 5),
                      "%s: the times stay" % name)


def test_memory(count):
    one, two = variants()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.safetensors")
        replace(path, one)
        with serving(model=path) as server:
            sizes = []
            for i in range(count):
                replace(path, two if i % 2 else one)
                reload(server, i + 1)
                check(ask(server, post())[0] == 200, "an answer after reload %d" % i)
                if i % (count // 10) == count // 20:
                    sizes.append(resident(server))
            print("%d reloads, resident KiB: %s" % (count, [x // 1024 for x in sizes]))
            if os.environ.get("sanitizer", "no") == "no":  # an allocator that keeps freed memory
                check(sizes[-1] <= sizes[1] * 1.05 + 1048576, "memory is flat: %s" % sizes)


# Shutdown must not reset connections.
def test_end_under_load(count):
    answers = 0
    for i in range(count):
        with serving() as server:
            load = Load(server, 16, post())
            while load.count() < 200:
                threading.Event().wait(0.01)
            server.process.send_signal(signal.SIGTERM)
            check(server.process.wait(daemon.PATIENCE) == 0, "exit 0 under load")
            load.stop()
            # A client may find its idle connection closed; a request that it has sent is answered or has not
            # been read.
            bad = [x for x in load.faults if isinstance(x, ConnectionResetError)]
            check(bad == [], "end %d: no reset: %s" % (i, bad[:3]))
            check(set(load.statuses) == {200}, "end %d: %s" % (i, load.statuses))
            answers += load.count()
    print("%d ends under load, %d answers, no reset" % (count, answers))


def with_quotes(data):
    """The model with a note of quotes in its header: if a parser loses any byte of it because of missing
    memory, the rest is a string without an end."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    header["__metadata__"]["note"] = '"' * 5000
    for key in ("checksum", "probes"): # of a file that has not changed
        del header["__metadata__"][key]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length:]


class FailingAllocations:
    """Makes the k-th allocation of a daemon fail once."""

    def __init__(self, folder):
        self.arming = os.path.join(folder, "k")
        self.environment = {"LD_PRELOAD": os.path.abspath(FAILING), "MALLOC_FAILS": self.arming,
                            "OMP_WAIT_POLICY": "passive"}

    def arm(self, k):
        replace(self.arming, b"%d" % k)

    def has_failed(self):
        """True if the allocation was made."""
        return not os.path.exists(self.arming) and not os.path.exists(self.arming + ".armed")


FAILING = os.path.join(daemon.BUILD, "tests/support/malloc_fails.so")
STREAK = 20  # stops when this many k in a row were not reached


def each_allocation(limit, failing, step, after=lambda k: None, stride=1):
    """Calls step(k) for each k until no allocation fails any more, and at most `limit` times; and after(k) when
    no allocation fails."""
    unreached = k = 0
    while k < limit and unreached < STREAK:
        failing.arm(k)
        step(k)
        unreached = 0 if failing.has_failed() else unreached + 1
        failing.arm(-1)
        after(k)
        k += stride
    return k


def requests_of_all_kinds():
    pixels, _ = sample(1)
    picture = png(pixels[0])
    form = (b"--x\r\nContent-Disposition: form-data; name=a; filename=a\r\n\r\n" + picture +
            b"\r\n--x--\r\n")
    numbers = {"images": [rows(fractions(pixels[0]))]}
    tensor = {"inputs": [{"name": "x", "datatype": "UINT8", "shape": [1, 784],
                          "data": list(pixels[0])}]}
    return {"raw": post(), "batch": post(IMAGE * 64), "png": post(picture, b""),
            "png in batch": request("/predict", {"images": [b64(picture)] * 20}),
            "numbers": request("/predict", numbers),
            "gzip": post(gzip.compress(json.dumps(numbers).encode()),
                         b"Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\n"),
            "form": post(form, b"Content-Type: multipart/form-data; boundary=x\r\n"),
            "infer": request("/v2/models/digits/infer", tensor),
            "tensorflow": request("/v1/models/digits:predict", {"instances": [[0.5] * 784]}),
            "explain": post(picture, b"", b"/explain"), "metrics": get("/metrics"),
            "models": get("/v2/models/stats"), "openapi": get("/openapi.json"),
            "missing": get("/v2/models/none")}


def test_failing_allocations(limit):
    """The k-th allocation fails, for each k until none is reached: during requests, reloads and the start.
    Whatever happens to that request, the next one is answered."""
    sanitizer = os.environ.get("sanitizer", "")
    if not os.path.exists(FAILING) or "address" in sanitizer or "thread" in sanitizer:
        print("failing allocations: not with %s" % (sanitizer or "no library"))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "digits.safetensors")
        one, two = [with_quotes(x) for x in variants()]
        replace(model, one)
        failing = FailingAllocations(folder)
        with serving("--inline-us=100", model=model, environment=failing.environment) as server:
            for name, asked in requests_of_all_kinds().items():
                expected, seen = status_of(server, asked), []

                def ask_once(k):
                    seen.append(status_of(server, asked))
                    check(seen[-1] in (expected, 503, None), "%s %d: %s" % (name, k, seen[-1]))

                def answered(k):
                    check(status_of(server, post()) == 200, "%s: answered after %d" % (name, k))

                count = each_allocation(limit, failing, ask_once, answered)
                failed = sum(x != expected for x in seen)
                check(failed > 0, "%s: allocations did fail" % name)
                print("%s: %d allocations, of which %d spoilt the answer"
                      % (name, count, failed))
            done = sum(reloads(server).values())

            def reload_once(k):
                replace(model, two if k % 2 else one)
                reload(server, done + k + 1)

            count = each_allocation(10 * limit, failing, reload_once, lambda k: check(
                status_of(server, post()) == 200, "reload %d: answered" % k))
            now = reloads(server)
            check(now["failed"] > 0, "reload: allocations did fail")
            check(any("no memory to parse" in x for x in server.lines), "the header's among them")
            print("reload: %d allocations, %s" % (count, now))
            # No leak: work that failed half-way has freed its memory.
            size = resident(server)
            for k in range(limit):
                failing.arm(k % 40)
                status_of(server, post(IMAGE * 64))
            failing.arm(-1)
            check(resident(server) < size + 4 * 1048576, "memory is flat over failures")
        replace(model, one)
        ends = {}

        def start_once(k):
            code, _, text = daemon.run("--model=" + model, "--check-config",
                                       environment=failing.environment)
            ends[code] = ends.get(code, 0) + 1
            check(code in (0, 1, 2) and (code == 0 or text != ""), "start %d: %d %s"
                  % (k, code, text))

        # Each step starts a daemon; a reload has tested most of this code already.
        count = each_allocation(10 * limit, failing, start_once, stride=11)
        check(ends.get(1, 0) > 0, "some starts did fail")
        print("start: %d allocations, exit statuses %s" % (count, ends))


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    quick = os.environ.get("QUICK") is not None
    test_reloads_under_load(20 if quick else 200)
    test_memory(40 if quick else 1000)
    test_end_under_load(2 if quick else 10)
    test_failing_allocations(30 if quick else 300)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
