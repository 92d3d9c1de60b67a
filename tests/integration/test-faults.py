#!/usr/bin/env python3
"""Failing system calls, and a kill at any of them: strace makes the k-th call of a kind fail.

Training leaves either the complete old file or the complete new one, and continues to the same bits. The daemon
serves on: a request is answered or its connection is closed, and nothing is left over. Skipped (77) without
strace. Takes some minutes; part of `make check-long`. `test-faults.py daemon` does the daemon's part only.
"""
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from daemon import CONVNET, SOURCE, Stream, ask, check, finish, get, post, serving
from gate import wait_until

DATA = os.path.join(SOURCE, "tests", "data", "mnist-sample")
TINY = ('{"class_name":"Sequential","config":[{"class_name":"Flatten","config":'
        '{"batch_input_shape":[null,28,28,1]}},{"class_name":"Dense","config":'
        '{"units":10,"activation":"softmax"}}]}')
# A kind of call, how it fails, and the largest number of calls to try.
TRAINING = (("write", "ENOSPC", 40), ("fsync", "EIO", 20), ("rename", "EACCES", 10),
            ("fchmod", "EPERM", 10), ("close", "EIO", 80), ("openat", "EMFILE", 80),
            ("read", "EIO", 60), ("flock", "ENOLCK", 10), ("getdents64", "EIO", 10),
            ("mmap", "ENOMEM", 180), ("newfstatat", "EIO", 60))


# Calls of the daemon while it serves, and how every third of them fails. Left out: futex and the removal of a
# socket by epoll_ctl. These do not fail like this in the kernel, and glibc and libmicrohttpd would end the process.
SERVING = (("accept4", "EMFILE"), ("accept4", "ECONNABORTED"), ("accept4", "EINTR"), ("accept4", "ENOMEM"),
           ("recvfrom", "EINTR"), ("recvfrom", "ENOMEM"), ("recvfrom", "ECONNRESET"),
           ("sendmsg", "EINTR"), ("sendmsg", "ENOMEM"), ("epoll_wait", "EINTR"), ("poll", "EINTR"),
           ("poll", "ENOMEM"), ("write", "EIO"), ("write", "EINTR"), ("setsockopt", "ENOMEM"), ("ioctl", "EIO"),
           ("getpeername", "ENOTCONN"), ("shutdown", "ENOTCONN"), ("close", "EINTR"), ("openat", "EMFILE"),
           ("read", "EIO"), ("read", "EINTR"), ("newfstatat", "EIO"), ("mmap", "ENOMEM"))


def can_trace():
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def traced(folder, inject, arguments, k):
    """(exit status, standard error, whether the fault occurred)"""
    log = os.path.join(folder, "trace")
    call = inject.split(":", 1)[0]
    done = subprocess.run(["strace", "-f", "-qq", "-o", log, "-e", "trace=" + call, "-e",
                           "inject=%s:when=%d" % (inject, k), *arguments],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120,
                          check=False)
    with open(log, encoding="ascii", errors="replace") as file:
        text = file.read()
    return done.returncode, done.stderr.decode("utf-8", "replace"), (
        "(INJECTED)" in text or "SIGKILL" in text)


def train_arguments(folder, *more):
    return [CONVNET, "train", "--architecture=" + os.path.join(folder, "tiny.json"), "--data=" + DATA,
            "--output=" + os.path.join(folder, "m.safetensors"),
            "--checkpoint=" + os.path.join(folder, "c"), "--epochs=3", "--seed=1", "--threads=1",
            *more]


def whole(path, convnet_words):
    return not os.path.exists(path) or subprocess.run(
        [CONVNET, *convnet_words, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        check=False).returncode == 0


def weights(path):
    """The file without its header, which has the time of the training."""
    with open(path, "rb") as file:
        data = file.read()
    return data[8 + int.from_bytes(data[:8], "little"):]


def clear(folder, *keep):
    for name in os.listdir(folder):
        if name not in keep:
            os.remove(os.path.join(folder, name))


def go_on(folder, expected, what):
    """Training continues from the remaining files to the same weights, and leaves no other files."""
    more = ["--resume=" + os.path.join(folder, "c")] if os.path.exists(
        os.path.join(folder, "c")) else []
    done = subprocess.run(train_arguments(folder, *more), capture_output=True, check=False)
    check(done.returncode == 0, "%s: then: %s" % (what, done.stderr[-300:]))
    check(weights(os.path.join(folder, "m.safetensors")) == expected, "%s: the same weights" % what)
    left = [x for x in os.listdir(folder) if x.startswith(".")]
    check(not left, "%s: %s is left" % (what, left))


def test_training(folder):
    with open(os.path.join(folder, "tiny.json"), "w", encoding="ascii") as file:
        file.write(TINY)
    model = os.path.join(folder, "m.safetensors")
    subprocess.run(train_arguments(folder), check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    expected = weights(model)
    for kind, fault, most in TRAINING:
        for way in ("signal=SIGKILL", "error=" + fault):
            # First every call, then fewer and fewer of them.
            for k in itertools.chain(range(1, 12), range(12, most, 5)):
                if kind == "mmap" and k == 1:
                    continue # calls of the dynamic linker, before the program begins
                clear(folder, "tiny.json")
                what = "%s, %s, call %d" % (kind, way, k)
                status, said, made = traced(folder, "%s:%s" % (kind, way),
                                            train_arguments(folder), k)
                if not made:
                    break
                killed = way.startswith("signal")
                check(status in (-signal.SIGKILL, 137) if killed else 0 <= status < 128,
                      "%s: status %d: %s" % (what, status, said[-300:]))
                check(killed or status == 0 or said, "%s: says why" % what)
                check(whole(model, ["info"]), "%s: a whole model or none" % what)
                if status != 0 and (k <= 4 or kind in ("rename", "fsync")):
                    go_on(folder, expected, what)
    clear(folder)


def use(server):
    """Requests of several kinds, each on a connection of its own; the statuses of the answers."""
    statuses = set()
    for request in 3 * (get("/ping"), get("/metrics"), post(), post(bytes(784 * 200)), post(path=b"/explain")):
        try:
            with server.connect() as sock:
                sock.settimeout(20)
                sock.sendall(request)
                answer = Stream(sock).answer()
                statuses.add(answer[0] if answer else None)
        except OSError: # closed; or refused, since the server waits before it accepts again
            statuses.add(None)
    return statuses


def test_serving(folder):
    log = os.path.join(folder, "trace")
    kinds, failed = {}, 0
    for call, fault in SERVING:
        kinds.setdefault(call, []).append(fault)
    for call, faults in kinds.items():
        with serving("--http-threads=2", "--threads=2") as server:
            for fault in faults:
                what = "%s, %s" % (call, fault)
                with subprocess.Popen(["strace", "-f", "-qq", "-o", log, "-p", str(server.process.pid), "-e",
                                       "trace=" + call, "-e", "inject=%s:error=%s:when=2+3" % (call, fault)],
                                      stderr=subprocess.PIPE) as tracer:
                    server.process.send_signal(signal.SIGHUP)
                    statuses = use(server)
                    tracer.send_signal(signal.SIGINT)
                    said = tracer.stderr.read()
                check(not said, "%s: strace: %s" % (what, said))
                check(statuses <= {None, 200, 408, 503}, "%s: %s" % (what, statuses))
                check(server.process.poll() is None, "%s: the daemon lives" % what)
                with open(log, encoding="ascii", errors="replace") as file:
                    made = file.read().count("(INJECTED)")
                wait_until(lambda: answers_again(server), "%s: it serves on" % what)
                print("%s: %d failed; %s" % (what, made, sorted(statuses, key=str)))
                failed += made
    check(failed > 100, "%d calls failed" % failed)


def answers_again(server):
    try:
        return ask(server, post())[0] == 200
    except (OSError, TypeError):
        return False


def main():
    if not can_trace() or os.environ.get("sanitizer", "no") not in ("", "no"):
        print("strace is missing, or may not trace here")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        test_serving(folder)
        if sys.argv[1:] != ["daemon"]:
            test_training(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
