#!/usr/bin/env python3
"""A folder of models with requests: versions, reload, deadlines, dead clients, a hanging compute thread,
shutdown, metrics and logs. Each test waits for a condition, never for a fixed time. Tests that take long are in
test-operations.py.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import daemon
from daemon import MODEL, RAW, Stream, ask, check, finish, get, post, serving
from gate import Gate, has_gate, metrics, occupy, wait_until


def predict(server, model="", extra=b""):
    path = b"/predict" + (b"/" + model.encode() if model else b"")
    return ask(server, post(extra=RAW + extra, path=path))


def sha(server, name, version):
    for key in metrics(server):
        if key.startswith('convnetd_model_info{name="%s",version="%d"' % (name, version)):
            return key.split('sha256="')[1].split('"')[0]
    return None


def other_model(path):
    """The same network with another checksum: a label is renamed."""
    subprocess.run([os.path.join(daemon.BUILD, "convnet"), "edit", MODEL, "--labels=0,1,2,3,4,5,6,7,8,X",
                    "-o", path], check=True)


def put(folder, name, source=MODEL):
    shutil.copy(source, os.path.join(folder, "draft"))
    os.rename(os.path.join(folder, "draft"), os.path.join(folder, name))


def reload(server):
    before = metrics(server)
    count = sum(v for k, v in before.items() if k.startswith("convnetd_reloads_total"))
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: sum(v for k, v in metrics(server).items()
                           if k.startswith("convnetd_reloads_total")) > count, "the reload ends")


def test_folder(folder):
    put(folder, "digits.safetensors")
    put(folder, "digits@3.safetensors")
    put(folder, "other.safetensors")
    with open(os.path.join(folder, "bad.safetensors"), "wb") as bad:
        bad.write(b"bad")
    with serving("--model-dir=" + folder, model=None) as server:
        check(json.loads(predict(server)[2])["model"] == "digits", "the first good name is default")
        check(json.loads(predict(server, "other")[2])["model"] == "other", "the other by its name")
        status, _, body = predict(server, "bad")
        check(status == 503 and b"not loaded" in body, "a refused one is 503")
        status, _, body = predict(server, "none")
        check(status == 404 and b"bad, digits, other" in body, "an unknown one is 404 with the names")
        check(any("bad.safetensors refused" in x for x in server.lines), "the log says why")
        now = metrics(server)
        check(now['convnetd_model_ready{model="digits",version="3"}'] == 1, "version 3 is there")
        check(now['convnetd_model_refused{model="bad",version="1"}'] == 1, "bad is marked")
        check(now['convnetd_request_images_count{model="digits",version="3"}'] == 1,
              "the highest version is the name's")
        os.remove(os.path.join(folder, "bad.safetensors"))
        os.remove(os.path.join(folder, "digits@3.safetensors"))
        put(folder, "new.safetensors")
        reload(server)
        check(predict(server, "bad")[0] == 404, "a vanished one goes")
        check(predict(server, "new")[0] == 200, "a new one comes")
        check('convnetd_model_ready{model="digits",version="3"}' not in metrics(server),
              "so does a version")
    with serving("--model-dir=" + folder, "--default-model=other", model=None) as server:
        check(json.loads(predict(server)[2])["model"] == "other", "the operator's default")


# A failed reload must be reported, and a reload must not lose requests.
def test_reload(folder):
    path = os.path.join(folder, "digits.safetensors")
    put(folder, "digits.safetensors")
    with serving(model=path) as server:
        first = sha(server, "digits", 1)
        reload(server)
        check(sha(server, "digits", 1) == first, "an unchanged model is not read again")
        check(server.wait_for("reload done: 0 loaded, 1 unchanged"), "the log says that the model is unchanged")
        other_model(path)
        reload(server)
        second = sha(server, "digits", 1)
        check(second not in (None, first), "a new file is served")
        with open(path, "wb") as bad:
            bad.write(b"bad")
        reload(server)
        check(sha(server, "digits", 1) == second, "a bad one leaves the old one")
        check(predict(server)[0] == 200, "which still answers")
        now = metrics(server)
        check(now['convnetd_reloads_total{result="failed"}'] == 1, "the metric tells")
        check(now['convnetd_model_refused{model="digits",version="1"}'] == 1, "by model too")
        check(server.wait_for("reload failed, the models in use stay the same"), "so does the log")
        check(now['convnetd_request_images_count{model="digits",version="1"}'] == 1,
              "counts outlive reloads")


# Work whose deadline is over must not be computed.
def test_deadline(folder):
    gate = Gate(folder)
    with gate.serving() as server:
        held = gate.shut(server)
        status, _, body = predict(server, extra=b"Request-Timeout-Ms: 20\r\n")
        check(status == 504, "late while the one before it is computed: %d %r" % (status, body))
        check(metrics(server)["convnetd_queue_images"] == 5, "the late request is gone from the queue")
        for value in (b"0", b"-1", b"1.5", b"x", b"99999999999999999999", b""):
            status, _, body = predict(server, extra=b"Request-Timeout-Ms: " + value + b"\r\n")
            check(status == 400 and b"Request-Timeout-Ms" in body, "refused: %r" % value)
        gate.open()
        check(Stream(held).answer()[0] == 200, "the one before it is answered")
        held.close()
        check(metrics(server)['convnetd_rejected_total{reason="deadline"}'] == 1, "counted")
    with gate.serving("--request-timeout=0.05") as server:
        held = gate.shut(server)
        check(predict(server, extra=b"Request-Timeout-Ms: 86400000\r\n")[0] == 504,
              "a client cannot lengthen it")
        gate.open()
        check(Stream(held).answer()[0] == 200, "a computation that began in time is answered")
        held.close()


def test_dead_clients(folder):
    gate = Gate(folder)
    with gate.serving() as server:
        held = gate.shut(server)
        dead = [occupy(server, 3) for _ in range(3)]
        living = occupy(server, 2)
        wait_until(lambda: metrics(server)["convnetd_queue_images"] == 16, "all of them wait")
        for sock in dead:
            sock.close()
        gate.open()
        check(Stream(held).answer()[0] == 200, "the one held is answered")
        check(Stream(living).answer()[0] == 200, "the client that still waits is answered")
        wait_until(lambda: metrics(server)['convnetd_rejected_total{reason="client_gone"}'] == 3,
                   "the requests of three dead clients are dropped")
        check(metrics(server)['convnetd_images_total{model="digits",version="1"}'] == 7,
              "images of dead clients are not computed")
        held.close()
        living.close()


def drain(manager):
    manager.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while manager.recv(4096):
            pass


# Health must not say OK while the worker hangs.
def test_hanging_compute_thread(folder):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(os.path.join(folder, "notify"))
    manager.settimeout(daemon.PATIENCE)
    gate = Gate(folder, {"NOTIFY_SOCKET": os.path.join(folder, "notify"),
                         "WATCHDOG_USEC": "600000"})
    with gate.serving("--stall-timeout=0.2") as server:
        while b"WATCHDOG=1" not in manager.recv(4096):
            pass
        check(ask(server, get("/v2/health/ready"))[0] == 200, "ready at first")
        held = gate.shut(server)
        wait_until(lambda: ask(server, get("/v2/health/ready"))[0] == 503, "not ready")
        check(ask(server, get())[0] == 200, "live all the same")
        drain(manager)
        manager.settimeout(1.5)
        with contextlib.suppress(socket.timeout):
            check(b"WATCHDOG=1" not in manager.recv(4096), "the watchdog is not fed")
        gate.open()
        check(Stream(held).answer()[0] == 200, "the answer comes in the end")
        held.close()
        manager.settimeout(daemon.PATIENCE)
        check(b"WATCHDOG=1" in manager.recv(4096), "the watchdog is fed again")
        check(ask(server, get("/v2/health/ready"))[0] == 200, "ready again")
    manager.close()


# Shutdown must not reset connections.
def test_shutdown(folder):
    gate = Gate(folder)
    with gate.serving("--shutdown-delay=3600") as server:
        held = gate.shut(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(server, get("/v2/health/ready"))[0] == 503, "not ready at once")
        check(ask(server, get())[0] == 200, "but alive")
        check(server.wait_for("ending after shutdown-delay"), "the log says what comes")
        server.process.send_signal(signal.SIGTERM)
        check(server.wait_for("SIGTERM: finishing what runs"), "a second signal ends the delay")
        gate.open()
        check(Stream(held).answer()[0] == 200, "a request in progress is answered")
        held.close()


def test_metrics():
    with serving() as server:
        predict(server)
        now = metrics(server)
        label = '{model="digits",version="1"}'
        for name in ("decode", "compute", "encode", "request"):
            check(now["convnetd_%s_duration_seconds_count%s" % (name, label)] == 1, name)
        check(now["convnetd_images_total" + label] == 1, "images")
        check(now["nv_inference_count" + label] == 1, "Triton's name")
        check(now["nv_inference_request_success" + label] == 1, "Triton's name of requests")
    with serving("--triton-metrics=no") as server:
        predict(server)
        ask(server, get("/%22%5c%0a"))
        text = ask(server, get("/metrics"))[2]
        check(b"nv_" not in text, "unless the operator wants none")
        if shutil.which("promtool") is None:
            print("promtool is missing: names are not checked")
            return
        lint = subprocess.run(["promtool", "check", "metrics"], input=text,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        check(lint.returncode == 0, "promtool: " + lint.stdout.decode())


def test_logs():
    path = b"/x%22%5c%ffy%7f"
    odd = b"GET /x%22%5cy%c3 HTTP/1.1\r\nHost: a\r\nX-Request-Id: job-1\r\n\r\n"
    with serving("--access-log", "--log-format=json") as server:
        predict(server, extra=b"X-Request-Id: job-2\r\n")
        ask(server, odd)
        ask(server, b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        # Two threads write these lines, in either order.
        check(server.wait_for("job-1"), "the odd path is logged")
        check(server.wait_for("job-2"), "the prediction is logged")
        lines = [json.loads(x) for x in list(server.lines) if x]
        entry = [x for x in lines if x.get("id") == "job-2"][0]
        check(entry["status"] == 200 and entry["route"] == "/predict" and entry["images"] == 1 and
              entry["model"] == "digits" and entry["peer"] == "127.0.0.1" and
              entry["bytes_in"] == 784 and entry["seconds"] > 0, "the fields: %r" % entry)
        entry = [x for x in lines if x.get("id") == "job-1"][0]
        check(entry["path"] == '/x"\\y\\xc3' and entry["route"] == "none", "escaped: %r" % entry)
    with serving("--access-log") as server:
        ask(server, odd)
        check(server.wait_for('path="/x\\"\\\\y\\xc3"'), "logfmt quotes and escapes")
    with serving("--access-log", "--log-format=text") as server:
        ask(server, get())
        check(server.wait_for("Z request method=GET path=/v2"), "text for people")
    with serving() as server:
        ask(server, get())
    check(not any("request" in x and "method" in x for x in server.lines), "none unless asked for")
    check(journal_line().startswith(b"<6>level=info msg="), "the journal's priority")


def journal_line():
    """The first log line of a daemon whose standard error is the journal's."""
    read, write = os.pipe()
    info = os.fstat(write)
    env = dict(os.environ, JOURNAL_STREAM="%d:%d" % (info.st_dev, info.st_ino))
    process = subprocess.Popen([daemon.DAEMON, "--model=" + MODEL, "--port=0"], stderr=write,
                               env=env)
    os.close(write)
    with os.fdopen(read, "rb") as lines:
        first = lines.readline()
        process.send_signal(signal.SIGTERM)
        lines.read()
    check(process.wait() == 0, "ends well under the journal")
    return first


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        test_folder(folder)
    with tempfile.TemporaryDirectory() as folder:
        test_reload(folder)
    for test in (test_deadline, test_dead_clients, test_hanging_compute_thread,
                 test_shutdown):
        if has_gate():
            with tempfile.TemporaryDirectory() as folder:
                test(folder)
        else:
            print("%s: not without hang.so, nor under a sanitizer" % test.__name__)
    test_metrics()
    test_logs()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
