#!/usr/bin/env python3
"""A full queue: which requests are refused, when, and which ones are still answered. The compute thread is held
at a gate; each step waits for a condition, never for a fixed time. test-overload.py measures the cost.
"""
import os
import sys
import tempfile

from daemon import IMAGE, MODEL, RAW, Stream, ask, check, finish, get, post, serving
from gate import Gate, has_gate, metrics, occupy, wait_until
from wire import request

FULL = 'convnetd_rejected_total{reason="queue_full"}'


def test_full_queue(folder):
    gate = Gate(folder)
    with gate.serving("--queue-images=100", "--max-images=100") as server:
        held = gate.shut(server)
        status, headers, body = ask(server, post(bytes(784 * 96)))
        check(status == 503 and "retry-after" in headers, "503 with Retry-After: %d" % status)
        check(b"96 more images" in body, "the 503 says how many images are too many")
        waiting = occupy(server, 95)
        wait_until(lambda: metrics(server)["convnetd_queue_images"] == 100, "images that fit are queued")
        check(ask(server, get())[0] == 200, "health answers")
        gate.open()
        check(Stream(held).answer()[0] == 200, "the one held is answered")
        check(Stream(waiting).answer()[0] == 200, "the request that fitted is answered")
        held.close()
        waiting.close()
        check(ask(server, post())[0] == 200, "there is room again")
        check(metrics(server)['convnetd_rejected_total{reason="queue_full"}'] == 1, "counted")


# Refused because of its head alone: the body is not stored, and the connection stays open.
def test_refused_by_head(folder):
    gate = Gate(folder)
    many = bytes(784 * 96)
    with gate.serving("--queue-images=100", "--max-images=100") as server:
        held = gate.shut(server)
        with server.connect() as sock:
            stream = Stream(sock)
            for name, asked in {"raw": post(many), "again": post(many)}.items():
                sock.sendall(asked)
                status, headers, body = stream.answer()
                check(status == 503 and "retry-after" in headers and b"96 more images" in body and
                      "connection" not in headers, "%s: %d %s" % (name, status, headers))
            sock.sendall(get())
            check(stream.answer()[0] == 200, "the connection goes on")
        with server.connect() as sock:
            sock.sendall(post(many, RAW + b"Expect: 100-continue\r\n")[:-len(many)])
            stream = Stream(sock)
            stream.more()
            check(stream.data.startswith(b"HTTP/1.1 503"), "no body is asked for: %r" % stream.data)
            check(stream.answer()[1].get("connection") == "close", "which ends the connection")
        json = (b'{"inputs":[{"name":"x","datatype":"UINT8","shape":[96,784],'
                b'"parameters":{"binary_data_size":75264}}]}')
        head = b"Inference-Header-Content-Length: %d\r\n" % len(json)
        status, _, body = ask(server, request("/v2/models/digits/infer", json + many, head))
        check(status == 503 and b"96 more images" in body, "tensors that may be few: %d %r"
              % (status, body))
        status, _, body = ask(server, request("/v2/models/digits/infer",
                                              json + bytes(4 * 784 * 96), head))
        check(status == 503 and b"96 more images" in body, "tensors: %d %r" % (status, body))
        check(metrics(server)[FULL] == 5, "all are counted")
        check(metrics(server)['nv_inference_request_failure{model="digits",version="1",'
                              'reason="OTHER"}'] == 5, "as the model's")
        status, _, _ = ask(server, request("/v2/models/none/infer", json + many, head))
        check(status == 404, "a model that is not there: %d" % status)
        gate.open()
        check(Stream(held).answer()[0] == 200, "the one held is answered")
        held.close()
        check(ask(server, post(many))[0] == 200, "there is room again")


# Cheap requests are computed even if the queue is full.
def test_inline_beside(folder):
    gate = Gate(folder)
    with gate.serving("--inline-us=20000", "--queue-images=9000", "--max-images=9000") as server:
        open(gate.path, "w").close()
        held = occupy(server, 9000)
        wait_until(lambda: os.path.exists(gate.path + ".held"), "it is held")
        check(ask(server, post(bytes(784 * 9000)))[0] == 503, "the queue is full")
        check(ask(server, post(bytes(784 * 5)))[0] == 200, "five images are computed at once")
        check(ask(server, post())[0] == 200, "one image is computed at once")
        gate.open()
        check(Stream(held).answer()[0] == 200, "the one held is answered")
        held.close()


# A probe gets a thread of its own, and its connection is closed after the answer.
def test_probes():
    with serving("--http-threads=1") as server:
        for path in ("/v2/health/live", "/v2/health/ready", "/ping", "/v2/health/live?a=b",
                     "/v2/%68ealth/live"):
            with server.connect() as sock:
                sock.sendall(get(path) * 2)
                stream = Stream(sock)
                status, headers, _ = stream.answer()
                check(status == 200 and headers.get("connection") == "close",
                      "%s: %d %s" % (path, status, headers))
                check(stream.answer() is None, "%s: and no more" % path)
        with server.connect() as sock: # a connection that is no probe, or is not recognised at once, stays open
            stream = Stream(sock)
            for part in (get(), get("/v2/health/live"), b"GET /v2/hea", b"lth/live HTTP/1.1\r\n",
                         b"Host: a\r\n\r\n", post(IMAGE)):
                sock.sendall(part)
                if part.endswith(b"\r\n\r\n") or part.endswith(IMAGE):
                    status, headers, _ = stream.answer()
                    check(status == 200 and "connection" not in headers, "kept: %s" % headers)
        head = ask(server, get("/v2/health/live", method=b"HEAD"), True)
        check(head[0] == 200 and head[1].get("connection") == "close", "HEAD: %s" % (head,))
        check(ask(server, get("/v2/health/live", method=b"POST"))[0] == 405, "not every method")


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    test_probes()
    if has_gate():
        with tempfile.TemporaryDirectory() as folder:
            test_full_queue(folder)
            test_refused_by_head(folder)
            test_inline_beside(folder)
    else:
        print("a full queue: not without hang.so, nor under a sanitizer")
    return finish()


if __name__ == "__main__":
    sys.exit(main())
