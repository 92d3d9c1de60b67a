#!/usr/bin/env python3
"""Frequent complaints about the big inference servers, each as a test of the running daemon; the table lists
them.

For a complaint that another file tests, the table names the file and a text that must be in it. The test waits
for conditions, never for a fixed time; comparisons of times use the server's own counts.
"""
import ctypes
import os
import socket
import sys
import tempfile
import threading

from daemon import (IMAGE, MODEL, SOURCE, Stream, ask, check, finish, get, post, resident, run, serving,
                    status_of)
from gate import Gate, has_gate, metrics, occupy, wait_until
from wire import b64, fractions, png, request, rows, sample

LABEL = '{model="digits",version="1"}'


def times(server, name):
    """(number, sum in seconds) of one of the server's own histograms."""
    now = metrics(server)
    return (now["convnetd_%s_duration_seconds_count%s" % (name, LABEL)],
            now["convnetd_%s_duration_seconds_sum%s" % (name, LABEL)])


# ---- Batching ----

def lone_requests(*options):
    """Mean seconds in the queue of single requests, one after another, with no other client."""
    with serving("--inline-us=0", *options) as server:
        with server.connect() as sock:
            stream = Stream(sock)
            for _ in range(20):
                sock.sendall(post())
                check(stream.answer()[0] == 200, "a lone request")
        count, seconds = times(server, "queue")
        check(count == 20, "each went through the batch lane: %d" % count)
        check(metrics(server)["convnetd_batch_images_count" + LABEL] == 20, "alone")
    return seconds / count


def batching_that_makes_things_slower(folder):
    # A batch consists of the requests that wait already; it waits for more only if the operator configured
    # this.
    check("batch-delay-ms = 0\n" in run("--print-config")[1], "no delay by default")
    delayed, lone = lone_requests("--batch-delay-ms=100"), lone_requests()
    check(delayed >= 0.09, "the configured delay is kept: %g s" % delayed)
    check(lone < delayed / 2, "a single request does not wait: %g s of %g" % (lone, delayed))
    if not has_gate():
        return
    gate = Gate(folder)
    with gate.serving() as server:
        held = gate.shut(server)
        waiting = [occupy(server, 1) for _ in range(8)]
        wait_until(lambda: metrics(server)["convnetd_queue_images"] == 13, "eight wait")
        gate.open()
        for sock in [held, *waiting]:
            check(Stream(sock).answer()[0] == 200, "all are answered")
            sock.close()
        now = metrics(server)
        check(now["convnetd_batch_images_count" + LABEL] == 2 and
              now["convnetd_batch_images_sum" + LABEL] == 13, "all waiting requests are one batch")


def delays_counted_in_requests_not_images(folder):
    # One request with as many images as fit into a batch: the batch is full and does not wait.
    with serving("--inline-us=0", "--batch-images=8", "--batch-delay-ms=1000") as server:
        for _ in range(5):
            check(status_of(server, post(IMAGE * 8)) == 200, "a full batch")
        check(times(server, "queue")[1] < 1.0, "waits for nobody: %g s" % times(server, "queue")[1])
    if not has_gate():
        return
    gate = Gate(folder)
    with gate.serving("--queue-images=100", "--max-images=100") as server:
        held = gate.shut(server)
        waiting = [occupy(server, 1) for _ in range(95)]
        wait_until(lambda: metrics(server)["convnetd_queue_images"] == 100, "95 requests fit")
        check(status_of(server, post()) == 503, "one more does not")
        for sock in waiting:
            sock.close()
        gate.open()
        check(Stream(held).answer()[0] == 200, "the one held is answered")
        held.close()


# ---- Costs ----

def json_parsing_100_times_the_models_cost(_):
    numbers = request("/predict", {"images": [rows(fractions(sample(1)[0][0]))]})
    with serving() as server:
        with server.connect() as sock:
            stream = Stream(sock)
            for _ in range(300):
                sock.sendall(numbers)
                check(stream.answer()[0] == 200, "numbers as JSON")
        decode, compute = times(server, "decode")[1], times(server, "compute")[1]
        print("784 numbers as JSON: %.0f us, the model %.0f us"
              % (decode / 300 * 1e6, compute / 300 * 1e6))
        check(decode < 10 * compute, "reading %g s, computing %g s" % (decode, compute))


def rounds(server, kinds, count):
    for _ in range(count):
        for kind in kinds:
            ask(server, kind)


def memory_that_grows(_):
    picture = png(sample(1)[0][0])
    kinds = (post(), post(IMAGE * 64), post(picture, b""),
             request("/predict", {"images": [b64(picture)] * 3}), post(picture, b"", b"/explain"),
             get("/metrics"), get("/v2/models/none"), post(b"no picture", b""),
             b"POST /predict HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    with serving() as server:
        rounds(server, kinds, 200)
        if os.environ.get("sanitizer", "no") != "no":  # its allocator keeps freed memory
            return
        # The allocator gives freed pages back within seconds.
        wait_until(lambda: resident(server) < 24 << 20, "memory comes back")
        most = resident(server) + (1 << 20)
        rounds(server, kinds, 600)
        wait_until(lambda: resident(server) < most, "memory is flat")
        print("resident KiB without requests: %d, at most %d" % (resident(server) // 1024, most // 1024))


# ---- Threads in containers ----

def threads(*options, **named):
    """Threads of the daemon before and after each kind of work on many connections at once."""
    picture = png(sample(1)[0][0])
    with serving("--max-connections=100", *options, **named) as server:
        folder = "/proc/%d/task" % server.process.pid
        check(status_of(server, post(IMAGE * 300)) == 200, "the team has started")
        before = len(os.listdir(folder))

        def load():
            with server.connect() as sock:
                stream = Stream(sock)
                for kind in (post(), post(IMAGE * 300), post(picture, b"", b"/explain")):
                    sock.sendall(kind)
                    check(stream.answer()[0] == 200, "under load")

        clients = [threading.Thread(target=load) for _ in range(8)]
        for client in clients:
            client.start()
        most = before
        while any(client.is_alive() for client in clients):
            most = max(most, len(os.listdir(folder)))
        for client in clients:
            client.join()
        check(most == before, "%d threads under load, %d before" % (most, before))
    return before


NEW_USERS, NEW_MOUNTS, PRIVATE = 0x10000000, 0x00020000, 0x44000


def show_quota(files):
    """In the child: a private /sys/fs/cgroup with these files, as in a container."""
    system = ctypes.CDLL(None, use_errno=True)
    if system.unshare(NEW_MOUNTS | (0 if os.geteuid() == 0 else NEW_USERS)) != 0 or \
            system.mount(b"none", b"/", None, PRIVATE, None) != 0 or \
            system.mount(b"none", b"/sys/fs/cgroup", b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "no mounts of its own")
    for path, text in files.items():
        path = os.path.join("/sys/fs/cgroup", path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)


QUOTAS = {"a container's": {"cpu.max": "150000 100000\n"},
          "a container's, version 1": {"cpu/cpu.cfs_quota_us": "150000\n",
                                       "cpu/cpu.cfs_period_us": "100000\n"},
          "none": {"cpu.max": "max 100000\n"}}


def own_group():
    """A control group below this process's with a quota of one processor; None if it cannot be made."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        places = [x.rstrip("\n").split(":", 2) for x in file]
    for _, controllers, path in places:
        old = "cpu" in controllers.split(",")
        if controllers != "" and not old:
            continue
        group = "/sys/fs/cgroup%s%s/convnet-test-%d" % ("/cpu" if old else "", path.rstrip("/"),
                                                        os.getpid())
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            with open(group + ("/cpu.cfs_quota_us" if old else "/cpu.max"), "w",
                      encoding="ascii") as file:
                file.write("100000" if old else "100000 100000")
            return group
        except OSError:
            os.rmdir(group)
    return None


def join(group):
    with open(group + "/cgroup.procs", "w", encoding="ascii") as file:
        file.write("0")


def thread_oversubscription_in_containers(_):
    processors = sorted(os.sched_getaffinity(0))
    one = threads(preexec=lambda: os.sched_setaffinity(0, processors[:1]))
    print("threads on one processor: %d" % one)
    if len(processors) < 2:
        return
    two = threads(preexec=lambda: os.sched_setaffinity(0, processors[:2]))
    check(two == one + 3,
          "a second processor: one more of HTTP, one more that computes, one that prepares: %d, %d"
          % (one, two))
    for name, files in QUOTAS.items():
        expected = two if name == "none" else one

        def confine():
            os.sched_setaffinity(0, processors[:2])
            show_quota(files)

        try:
            found = threads(preexec=confine)
        except Exception as fault:  # subprocess does not report what its child raised
            print("quota %s: %s" % (name, fault))
            continue
        check(found == expected, "quota %s: %d threads, not %d" % (name, found, expected))
    group = own_group()
    if group is None:
        print("a service's quota: no control group can be made here")
        return
    found = threads(preexec=lambda: join(group))
    check(found == one, "a service's quota: %d threads, not %d" % (found, one))
    os.rmdir(group)


# ---- Health ----

def health_that_says_200_whatever_happens(folder):
    # No model can answer: an admin unloaded it, or there was none at start.
    path = os.path.join(folder, "admin.sock")
    with serving("--admin-socket=" + path) as server:
        check(status_of(server, get("/v2/health/ready")) == 200, "ready")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(request("/v2/repository/models/digits/unload", b""))
            check(Stream(sock).answer()[0] == 200, "its model is unloaded")
        for place in ("/v2/health/ready", "/v2/models/digits/ready", "/ping"):
            check(status_of(server, get(place)) == 503, place + " without a model")
        check(status_of(server, get("/v2/health/live")) == 200, "it lives all the same")
    code, _, error = run("--model-dir=" + folder, "--port=0")
    check(code == 1 and "has no model" in error, "no start without any: %d %s" % (code, error))


# The complaint, and its test: a function here, or a text in another file.
COMPLAINTS = (
    ("batching that makes things slower", batching_that_makes_things_slower),
    ("answers that change with the batch", "test-predict.py", "def test_lanes("),
    ("delays counted in requests, not images", delays_counted_in_requests_not_images),
    ("memory that grows for hours", memory_that_grows),
    ("memory that grows with reloads", "test-operations.py", "def test_memory("),
    ("reload that drops requests", "test-admin.py", "def test_reload_under_load("),
    ("reload that raises the times", "test-operations.py", "def test_reloads_under_load("),
    ("a failed reload that is silent", "test-models.py", "def test_reload("),
    ("JSON parsing 100 times the model's cost", json_parsing_100_times_the_models_cost),
    ("deadlines that fire only after the work is done", "test-models.py", "def test_deadline("),
    ("thread oversubscription in containers", thread_oversubscription_in_containers),
    ("health that says OK while the worker is stuck", "test-models.py",
     "def test_hanging_compute_thread("),
    ("health that says 200 whatever happens", health_that_says_200_whatever_happens),
    ("shutdown that resets connections", "test-framing.py", "def test_stop("),
    ("shutdown that resets connections, under load", "test-operations.py",
     "def test_end_under_load("),
    ("a crash on a shape given as a string", "test-kserve.py", '"shape as a string"'),
    ("a shape product that overflows", "test-kserve.py", "[16, 1152921504606846978]"),
    ("250,000 nested brackets", "test-kserve.py", 'b"[" * 250000'),
    ("a header-length field of 99999999999", "test-kserve.py", 'b"99999999999"'),
    ("metrics that cost a third of the throughput", "../../bench/metrics", "#!"),
    ("listening to the world with no authentication by default", "test-access.py",
     "def test_start("))


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    for name, *case in COMPLAINTS:
        if callable(case[0]):
            with tempfile.TemporaryDirectory() as folder:
                case[0](folder)
            continue
        with open(os.path.join(SOURCE, "tests", "integration", case[0]), encoding="utf-8") as file:
            check(case[1] in file.read(), "%s: %s is not in %s" % (name, case[1], case[0]))
    return finish()


if __name__ == "__main__":
    sys.exit(main())
