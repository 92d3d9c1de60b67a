#!/usr/bin/env python3
"""Compressed request bodies and answers."""
import base64
import gzip
import json
import os
import sys
import zlib

from daemon import MODEL, ask, check, finish, serving
from wire import fractions, post_json, png_file, refused, request, sample

PIXELS, LABELS = sample()
INFER = "/v2/models/digits/infer"
GZIP, DEFLATE = b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n"
OCTETS = b"Content-Type: application/octet-stream\r\n"


def chunked(path, body, extra):
    pieces = [body[i:i + 100] for i in range(0, len(body), 100)]
    return (b"POST " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n" + extra +
            b"Transfer-Encoding: chunked\r\n\r\n" +
            b"".join(b"%x\r\n" % len(p) + p + b"\r\n" for p in pieces) + b"0\r\n\r\n")


def test_requests(server):
    raw = b"".join(PIXELS)
    plain = ask(server, request("/predict", raw, OCTETS))
    check(plain[0] == 200, "plain")
    for name, extra, body in (("gzip", GZIP, gzip.compress(raw)),
                              ("x-gzip", b"Content-Encoding: X-Gzip\r\n", gzip.compress(raw)),
                              ("two members", GZIP, gzip.compress(raw[:784]) +
                               gzip.compress(raw[784:])),
                              ("deflate", DEFLATE, zlib.compress(raw)),
                              ("identity", b"Content-Encoding: identity\r\n", raw)):
        check(ask(server, request("/predict", body, OCTETS + extra))[::2] == plain[::2], name)
        check(ask(server, chunked("/predict", body, OCTETS + extra))[::2] == plain[::2],
              name + " in chunks")
    # The header length of the binary extension counts uncompressed bytes.
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, 784], "datatype": "UINT8"}]}).encode()
    length = b"Inference-Header-Content-Length: %d\r\n" % len(head)
    plain = ask(server, request(INFER, head + PIXELS[0], length))
    for extra, body in ((GZIP, gzip.compress(head + PIXELS[0])),
                        (DEFLATE, zlib.compress(head + PIXELS[0]))):
        check(plain[0] == 200 and ask(server, request(INFER, body, length + extra))[::2] ==
              plain[::2], "binary tensor with %s" % extra)


def test_refusals(server):
    packed = gzip.compress(PIXELS[0])
    for coding in (b"br", b"zstd", b"gzip, gzip", b"gzip;q=1", b"compress"):
        status, headers, answer = post_json(server, "/predict", packed,
                                            b"Content-Encoding: " + coding + b"\r\n")
        check(status == 415 and headers.get("accept-encoding") == "gzip, deflate" and
              "gzip or deflate" in answer["error"], "%s: %s %s" % (coding, status, answer))
    refused(server, "not gzip", "/predict", b"hello", "malformed", GZIP)
    refused(server, "cut", "/predict", packed[:-4], "truncated", GZIP)
    refused(server, "wrong checksum", "/predict", packed[:-6] + b"\0\0" + packed[-4:], "malformed",
            GZIP)
    refused(server, "more behind", "/predict", packed + b"x", "malformed", GZIP)
    refused(server, "gzip as deflate", "/predict", packed, "malformed", DEFLATE)
    bomb = zlib.compress(bytes(12 << 20), 9)  # 12 KiB
    refused(server, "a bomb", "/predict", bomb, "256 times", DEFLATE, 413)
    # Equal images have next to no bytes as gzip: 16 are free, and each further one needs 12 bytes.
    equal, picture = bytes(784), base64.b64encode(png_file(28, 28, bytes(29 * 28))).decode()
    for count, expected in ((16, 200), (20, 200), (21, 413)):
        body = gzip.compress(equal * count)
        status, _, answer = post_json(server, "/predict", body, OCTETS + GZIP)
        check(len(body) == 50 or count == 16, "as many bytes as expected: %d" % len(body))
        check(status == expected, "%d equal images: %s" % (count, answer))
    tensor = {"inputs": [{"name": "x", "shape": [300, 784], "datatype": "UINT8", "data": [0] * 784 * 300}]}
    for name, path, kind, body, words in (
            ("raw", "/predict", OCTETS, equal * 1000, "has 1000 images; the limit is "),
            ("JSON", "/predict", b"", {"images": [[0] * 784] * 300}, "has more than "),
            ("pictures", "/predict", b"", {"images": [picture] * 1000}, "has more than "),
            ("a tensor", INFER, b"", tensor, "has 300 images; the limit is "),
            ("TensorFlow Serving", "/v1/models/digits:predict", b"", {"instances": [{"b64": picture}] * 1000},
             "has more than ")):
        body = gzip.compress(body if isinstance(body, bytes) else json.dumps(body).encode())
        most = 16 + len(body) // 12
        refused(server, "equal images: " + name, path, body, words + str(most), kind + GZIP, 413)
        refused(server, "why: " + name, path, body, "for a compressed body of %d bytes" % len(body),
                kind + GZIP, 413)
    with serving("--max-body=10K") as small:
        body = gzip.compress(bytes(784 * 13))
        check(post_json(small, "/predict", body, OCTETS + GZIP)[0] == 200, "just under the limit")
        refused(small, "over the limit when inflated", "/predict", gzip.compress(bytes(10241)),
                "over the limit", OCTETS + GZIP, 413)
    check(post_json(server, "/predict", packed, OCTETS + GZIP)[0] == 200, "and it still answers")


def test_answers(server):
    accept = b"Accept-Encoding: deflate, gzip;q=0.8\r\n"
    raw = b"".join(PIXELS)
    status, headers, plain = ask(server, request("/predict", raw, OCTETS))
    check(status == 200 and "content-encoding" not in headers and
          headers.get("vary") == "Accept-Encoding", "without Accept-Encoding: %s" % headers)
    status, headers, packed = ask(server, request("/predict", raw, OCTETS + accept))
    check(status == 200 and headers.get("content-encoding") == "gzip" and
          headers.get("vary") == "Accept-Encoding" and len(packed) < len(plain) and
          gzip.decompress(packed) == plain, "with it: %s" % headers)
    head = ask(server, request("/metrics", b"", accept, b"HEAD"), head=True)
    check(head[1].get("content-encoding") == "gzip", "HEAD: %s" % (head,))
    for extra, path, why in ((accept, "/v2", "short"), (b"Accept-Encoding: br\r\n", "/metrics", "br"),
                             (b"Accept-Encoding: gzip;q=0\r\n", "/metrics", "q=0")):
        _, headers, body = ask(server, request(path, b"", extra, b"GET"))
        check("content-encoding" not in headers and body and
              ("vary" in headers) == (path == "/metrics"), "%s: %s" % (why, headers))
    # A binary answer: the header length is that of the uncompressed JSON.
    body = {"inputs": [{"name": "x", "shape": [20, 784], "datatype": "FP32", "data":
                        [v for p in PIXELS for v in fractions(p)]}],
            "parameters": {"binary_data_output": True}, "id": "x" * 3000}
    _, headers, plain = ask(server, request(INFER, json.dumps(body).encode()))
    _, packed_headers, packed = ask(server, request(INFER, json.dumps(body).encode(), accept))
    check(packed_headers.get("content-encoding") == "gzip" and gzip.decompress(packed) == plain and
          packed_headers["inference-header-content-length"] ==
          headers["inference-header-content-length"], "binary: %s" % packed_headers)


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    with serving() as server:
        test_requests(server)
        test_refusals(server)
        test_answers(server)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
