#!/usr/bin/env python3
"""The Open Inference Protocol (v2): JSON and binary tensors, requests as NVIDIA's tritonclient sends them,
metadata, and every refusal."""
import json
import math
import os
import socket
import struct
import sys
import tempfile
import time

from daemon import MODEL, Stream, ask, check, finish, serving
from wire import b64, fractions, get_json, png, post_json, refused, request, rows, sample

INFER = "/v2/models/digits/infer"
PIXELS, LABELS = sample()
ONE = PIXELS[0]


def infer(datatype, shape, data=None, **more):
    tensor = {"name": "image", "shape": shape, "datatype": datatype}
    if data is not None:
        tensor["data"] = data
    body = {"inputs": [tensor]}
    body.update(more)
    return body


def binary(head, data=b"", extra=b"", path=INFER):
    """A request of the binary tensor extension."""
    head = json.dumps(head).encode()
    return request(path, head + data,
                   b"Inference-Header-Content-Length: %d\r\n" % len(head) + extra)


def split(answer):
    """(status, JSON part, binary part) of a binary answer."""
    status, headers, body = answer
    length = headers.get("inference-header-content-length")
    if status != 200 or length is None:
        return status, json.loads(body or b"{}"), None
    check(headers["content-type"] == "application/octet-stream", "type of a binary answer")
    return status, json.loads(body[:int(length)]), body[int(length):]


def outputs(answer):
    """The only output of a JSON answer; checks the answer's rules."""
    status, headers, body = answer
    if status != 200 or not isinstance(body, dict):
        check(False, "no inference: %s %s" % (status, body))
        return {"data": []}
    check(headers["content-type"] == "application/json" and
          "inference-header-content-length" not in headers, "a JSON answer's headers")
    check(body["model_name"] == "digits" and body["model_version"] == "1" and
          len(body["outputs"]) == 1, "head of the answer: %s" % body)
    return body["outputs"][0]


def test_metadata(server):
    for path in ("/v2", "/v2/"):
        status, body = get_json(server, path)
        check(status == 200 and body["name"] == "convnetd" and body["version"] and
              "binary_tensor_data" in body["extensions"], "%s: %s" % (path, body))
    check(get_json(server, "/v2/health/live") == (200, {"live": True}), "live")
    check(get_json(server, "/v2/health/ready") == (200, {"ready": True}), "ready")
    check(get_json(server, "/v2/models") == (200, {"models": ["digits"]}), "models")
    for path in ("/v2/models/digits", "/v2/models/digits/versions/1"):
        status, body = get_json(server, path)
        check((status, body["name"], body["versions"]) == (200, "digits", ["1"]) and
              body["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 28, 28, 1]}]
              and body["outputs"] == [{"name": "probabilities", "datatype": "FP32",
                                       "shape": [-1, 10]}], "%s: %s" % (path, body))
        check(get_json(server, path + "/ready") == (200, {"name": "digits", "ready": True}),
              path + "/ready")
        status, body = get_json(server, path + "/config")
        check(status == 200 and body["input"][0]["dims"] == [28, 28, 1] and
              body["max_batch_size"] > 0, "config: %s" % body)
    for path in ("/v2/models/letters", "/v2/models/digits/versions/2",
                 "/v2/models/digits/versions/x", "/v2/models/digits/versions/0"):
        for end in ("", "/ready", "/config"):
            status, body = get_json(server, path + end)
            check(status == 404 and body["error"], "%s: %s %s" % (path + end, status, body))
        status, _, body = post_json(server, path + "/infer", infer("UINT8", [1, 784], list(ONE)))
        check(status == 404 and body["error"], "infer at %s: %s" % (path, body))
    for extra in ({}, {"ready": True}, None):
        status, _, body = post_json(server, "/v2/repository/index",
                                    b"" if extra is None else extra)
        check((status, body) == (200, [{"name": "digits", "version": "1", "state": "READY",
                                        "reason": ""}]), "index: %s" % (body,))
    status, _, body = ask(server, b"POST /v2/repository/index HTTP/1.1\r\nHost: a\r\n\r\n")
    check(status == 200, "index without a length: %s %s" % (status, body))
    refused(server, "filter", "/v2/repository/index", b'{"ready": "yes"}', "true or false")


def test_json(server):
    """Every datatype, shape and nesting gives the same bits as POST /predict."""
    status, _, body = post_json(server, "/predict", b"".join(PIXELS),
                                b"Content-Type: application/octet-stream\r\n")
    check(status == 200, "predict: %s" % status)
    expected = [x["probabilities"] for x in body["predictions"]]
    check([x["class"] for x in body["predictions"]] == LABELS, "the digits are read")
    for path in (INFER, "/v2/models/digits/versions/1/infer"):
        out = outputs(post_json(server, path, infer("UINT8", [1, 28, 28], list(ONE))))
        check(out == {"name": "probabilities", "datatype": "FP32", "shape": [1, 10],
                      "data": expected[0]}, "one image: %s" % out)
    flat = {"UINT8": list(ONE), "FP32": fractions(ONE), "FP64": [p / 255 for p in ONE]}
    for datatype in ("UINT16", "UINT32", "UINT64", "INT16", "INT32", "INT64"):
        flat[datatype] = list(ONE)
    for datatype, data in flat.items():
        nested = rows(data)
        for shape, form in (([1, 784], data), ([1, 784], [data]), ([1, 28, 28], data),
                            ([1, 28, 28], [nested]), ([1, 28, 28, 1], data),
                            ([1, 28, 28, 1], [[[[v] for v in row] for row in nested]]),
                            ([1, 1, 28, 28], data), ([1, 1, 28, 28], [[nested]])):
            out = outputs(post_json(server, INFER, infer(datatype, shape, form)))
            check(out["data"] == expected[0], "%s %s: other bits" % (datatype, shape))
    both = [v for p in PIXELS for v in p]
    out = outputs(post_json(server, INFER, infer("UINT8", [20, 28, 28], both)))
    check(out["shape"] == [20, 10] and out["data"] == [v for row in expected for v in row],
          "twenty images")
    small = [p // 2 for p in ONE]  # the range of INT8
    check(outputs(post_json(server, INFER, infer("INT8", [1, 784], small)))["data"] ==
          outputs(post_json(server, INFER, infer("UINT8", [1, 784], small)))["data"], "INT8")
    # Data before datatype and shape, and other orders.
    tensor = infer("UINT8", [1, 28, 28], list(ONE))["inputs"][0]
    for order in (("data", "datatype", "shape", "name"), ("shape", "data", "datatype"),
                  ("datatype", "name", "data", "shape")):
        body = {"inputs": [{key: tensor[key] for key in order}]}
        check(outputs(post_json(server, INFER, body))["data"] == expected[0], "order %s" % (order,))
    return expected


def test_generosity(server, expected):
    """Details that must not matter."""
    body = infer("UINT8", [1, 784], list(ONE), model_name="digits", something=[1, {"a": None}],
                 parameters={"sequence_id": 1, "unknown": "x"})
    body["inputs"][0].update(name="7c9e6679-7425-40de-944b-e07fc1f90ae7",
                             parameters={"content_type": "np", "x": {"y": [1]}}, extra=1.5)
    body["outputs"] = [{"name": "probabilities", "parameters": {"unknown": 1}}]
    check(outputs(post_json(server, INFER, body))["data"] == expected[0], "unknown members")
    for ident in ("42", "", "é\U0001f600", "a\"b\\c\n", "x" * 5000):
        _, _, answer = post_json(server, INFER, infer("UINT8", [1, 784], list(ONE), id=ident))
        check(answer.get("id") == ident, "id %r: %s" % (ident, str(answer)[:100]))
    _, _, answer = post_json(server, INFER, infer("UINT8", [1, 784], list(ONE)))
    check("id" not in answer, "no id, none back")
    for extra in (b"", b"Content-Type: application/json\r\n",
                  b"Content-Type: application/octet-stream\r\n", b"Content-Type: text/plain\r\n"):
        check(outputs(post_json(server, INFER, infer("UINT8", [1, 784], list(ONE)), extra))["data"]
              == expected[0], "with %s" % extra)
    check(outputs(post_json(server, INFER, infer("UINT8", [1, 784], list(ONE), outputs=[])))["data"]
          == expected[0], "no outputs means all")


def test_pictures(server, expected):
    one, two = png(ONE), png(PIXELS[1])
    for shape, data in (([1], [b64(one)]), ([-1], [b64(one)]), ([1, 1], [[b64(one)]]),
                        ([-1, 1], [b64(one)]), (-1, b64(one)), ([1], b64(one)), ([1], [b64(ONE)]),
                        ([1], ["data:image/png;base64," + b64(one)])):
        out = outputs(post_json(server, INFER, infer("BYTES", shape, data)))
        check(out["data"] == expected[0], "BYTES %s" % (shape,))
    out = outputs(post_json(server, INFER, infer("BYTES", [2], [b64(one), b64(two)])))
    check(out["data"] == expected[0] + expected[1], "two PNGs")
    data = struct.pack("<I", len(one)) + one + struct.pack("<I", len(two)) + two
    head = infer("BYTES", [2])
    for size in (None, len(data)):
        if size is not None:
            head["inputs"][0]["parameters"] = {"binary_data_size": size}
        status, body, rest = split(ask(server, binary(head, data)))
        check((status, rest) == (200, None) and
              body["outputs"][0]["data"] == expected[0] + expected[1], "binary PNGs: %s" % body)


def packed(values):
    return struct.pack("<%df" % len(values), *values)


def test_binary(server, expected):
    forms = {"UINT8": bytes(ONE), "FP32": packed(fractions(ONE)),
             "FP64": struct.pack("<784d", *[p / 255 for p in ONE]),
             "INT64": struct.pack("<784q", *ONE), "UINT16": struct.pack("<784H", *ONE),
             "INT32": struct.pack("<784i", *ONE), "UINT32": struct.pack("<784I", *ONE),
             "INT16": struct.pack("<784h", *ONE), "UINT64": struct.pack("<784Q", *ONE)}
    for datatype, data in forms.items():
        head = infer(datatype, [1, 28, 28])
        for size in (None, len(data)):
            if size is not None:
                head["inputs"][0]["parameters"] = {"binary_data_size": size}
            status, body, rest = split(ask(server, binary(head, data)))
            check((status, rest) == (200, None) and body["outputs"][0]["data"] == expected[0],
                  "binary %s: %s" % (datatype, body))
    # Halves are other values, but the same in JSON: 0.5 is exact in FP16 and BF16.
    for datatype, half in (("FP16", 0x3800), ("BF16", 0x3f00)):
        head = infer(datatype, [1, 784])
        _, body, _ = split(ask(server, binary(head, struct.pack("<784H", *[half] * 784))))
        same = outputs(post_json(server, INFER, infer("FP32", [1, 784], [0.5] * 784)))
        check(body["outputs"][0]["data"] == same["data"], "binary %s" % datatype)
    # Finite numbers that overflow in the network: JSON has no NaN.
    head = infer("FP32", [1, 784])
    large = [3e38, -3e38] * 392
    check(outputs(post_json(server, INFER, infer("FP32", [1, 784], large)))["data"] ==
          [None] * 10, "an overflow as JSON")
    _, _, rest = split(ask(server, binary(dict(head, parameters={"binary_data_output": True}),
                                          packed(large))))
    check(rest is not None and all(math.isnan(v) for v in struct.unpack("<10f", rest)),
          "an overflow as binary data: %r" % rest)
    test_binary_outputs(server, expected)
    test_raw(server, expected)


def test_binary_outputs(server, expected):
    """A parameter of an output takes precedence over the request's; without either the answer is JSON."""
    head = infer("UINT8", [2, 28, 28])
    data = ONE + PIXELS[1]
    both = packed(expected[0] + expected[1])
    for whole, own, is_binary in ((None, None, False), (True, None, True), (False, None, False),
                                  (None, True, True), (None, False, False), (True, False, False),
                                  (False, True, True)):
        head.pop("parameters", None)
        head.pop("outputs", None)
        if whole is not None:
            head["parameters"] = {"binary_data_output": whole}
        if own is not None:
            head["outputs"] = [{"name": "probabilities", "parameters": {"binary_data": own}}]
        status, body, rest = split(ask(server, binary(head, data)))
        out = body["outputs"][0]
        if is_binary:
            check(rest == both and "data" not in out and out["shape"] == [2, 10] and
                  out["parameters"] == {"binary_data_size": 80}, "%s %s: %s" % (whole, own, out))
        else:
            check(status == 200 and rest is None and out["data"] == expected[0] + expected[1],
                  "%s %s: %s" % (whole, own, out))
    # JSON requests with binary answers as well.
    status, body, rest = split(ask(server, request(INFER, infer(
        "UINT8", [1, 784], list(ONE), id="7", parameters={"binary_data_output": True}))))
    check(rest == packed(expected[0]) and body["id"] == "7", "JSON in, binary out")


def test_raw(server, expected):
    zero = b"Inference-Header-Content-Length: 0\r\n"
    for data in (bytes(ONE), packed(fractions(ONE)), png(ONE)):
        status, body, rest = split(ask(server, request(INFER, data, zero)))
        check(status == 200 and rest == packed(expected[0]) and
              body["outputs"][0]["shape"] == [1, 10], "raw: %s" % body)
    refused(server, "raw of another length", INFER, bytes(785), "one image", zero)
    refused(server, "raw of two", INFER, bytes(1568), "one image", zero)
    refused(server, "raw of nothing", INFER, b"", "empty", zero)


def test_tritonclient(server, expected):
    """The requests of tritonclient.http, byte for byte except for the order of headers: no Content-Type, binary
    input, binary output by default."""
    data = packed(fractions(ONE))
    head = (b'{"id":"","inputs":[{"name":"image","shape":[1,28,28,1],"datatype":"FP32",'
            b'"parameters":{"binary_data_size":3136}}],'
            b'"parameters":{"binary_data_output":true}}')
    for path in (b"/v2/models/digits/infer", b"/v2/models/digits/versions/1/infer"):
        status, body, rest = split(ask(
            server, b"POST " + path + b" HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: keep-alive"
            b"\r\nUser-Agent: Python-Geventhttpclient/2.0.11\r\n"
            b"Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n"
            % (len(head), len(head) + len(data)) + head + data))
        check(status == 200 and rest == packed(expected[0]) and body["id"] == "", "outputs=None")
    head = (b'{"inputs":[{"name":"image","shape":[1,28,28,1],"datatype":"FP32","parameters":'
            b'{"binary_data_size":3136}}],"outputs":[{"name":"probabilities","parameters":'
            b'{"classification":3,"binary_data":true}}]}')
    status, body, rest = split(ask(server, request(
        INFER, head + data, b"Inference-Header-Content-Length: %d\r\n" % len(head))))
    strings = []
    while rest:
        length, = struct.unpack("<I", rest[:4])
        strings.append(rest[4:4 + length].decode())
        rest = rest[4 + length:]
    check(body["outputs"][0]["datatype"] == "BYTES" and body["outputs"][0]["shape"] == [1, 3] and
          [s.split(":")[1] for s in strings][0] == str(LABELS[0]) and len(strings) == 3,
          "classification: %s %s" % (body, strings))


def test_classification(server, expected):
    for k in (1, 3, 10, 1000000):
        out = outputs(post_json(server, INFER, infer(
            "UINT8", [2, 784], list(ONE + PIXELS[1]),
            outputs=[{"name": "probabilities", "parameters": {"classification": k}}])))
        count = min(k, 10)
        check(out["datatype"] == "BYTES" and out["shape"] == [2, count] and
              len(out["data"]) == 2 * count, "classification %d: %s" % (k, out))
        for i in range(2):
            order = sorted(range(10), key=lambda c, i=i: (-expected[i][c], c))[:count]
            got = [x.split(":") for x in out["data"][i * count:(i + 1) * count]]
            check([int(x[1]) for x in got] == order and [x[2] for x in got] ==
                  [str(c) for c in order] and [float(x[0]) for x in got] ==
                  [expected[i][c] for c in order], "classes of image %d: %s" % (i, got))
    out = outputs(post_json(server, INFER, infer(
        "UINT8", [1, 784], list(ONE),
        outputs=[{"name": "probabilities", "parameters": {"classification": 0}}])))
    check(out["data"] == expected[0], "classification 0 is none")


def errors():
    """(name, body, words): all are answered 400."""
    data = list(ONE)
    yield "no JSON", b"hello", "'{'"
    yield "empty", b"", "empty"
    yield "a list", b"[]", "'{'"
    yield "cut", b'{"inputs":[', "ends at byte"
    yield "more behind", json.dumps(infer("UINT8", [1, 784], data)).encode() + b"x", "the end"
    yield "no inputs", {}, '"inputs"'
    yield "empty inputs", {"inputs": []}, '"inputs"'
    yield "inputs that are none", {"inputs": {}}, "'['"
    yield "two inputs", {"inputs": infer("UINT8", [1, 784], data)["inputs"] * 2}, "one"
    yield "inputs twice", b'{"inputs":[{}],"inputs":[{}]}', "twice"
    yield "no shape", {"inputs": [{"name": "a", "datatype": "UINT8", "data": data}]}, '"shape"'
    yield "no datatype", {"inputs": [{"name": "a", "shape": [1, 784], "data": data}]}, '"datatype"'
    yield "no data", infer("UINT8", [1, 784]), "neither"
    yield "data twice", b'{"inputs":[{"datatype":"UINT8","shape":[1,784],"data":[' + \
        b",".join([b"0"] * 784) + b'],"data":[1]}]}', "twice"
    yield "unknown datatype", infer("STRING", [1, 784], data), "'STRING'"
    yield "datatype in lower case", infer("uint8", [1, 784], data), "'uint8'"
    yield "BOOL", infer("BOOL", [1, 784], [True] * 784), "'BOOL'"
    yield "FP16 in JSON", infer("FP16", [1, 784], [0] * 784), "binary"
    yield "BF16 in JSON", infer("BF16", [1, 784], [0] * 784), "binary"
    for shape in ([16, 1152921504606846978], [4, 1152921504606846978], [-1, 28, 28], [1, -28, -28],
                  [-9223372036854775807, 2], [9223372036854775807, 9223372036854775807]):
        yield "shape %s" % shape, infer("FP32", shape, data), "shape [%d, " % shape[0]
    for shape in ([28, 28], [784], [1, 785], [1, 28, 29], [1, 28, 28, 3], [1, 3, 28, 28],
                  [1, 1, 1, 28, 28], [1, 2, 392]):
        yield "shape %s" % shape, infer("UINT8", shape, data), "is not the model's"
    yield "no image", infer("UINT8", [0, 784], []), "no image"
    yield "shape as a string", infer("UINT8", "[1,784]", data), "'['"
    yield "dimension as a string", infer("UINT8", ["1", 784], data), "dimension"
    yield "dimension with a fraction", infer("UINT8", [1.5, 784], data), "dimension"
    yield "dimension beyond 64 bits", b'{"inputs":[{"shape":[99999999999999999999,784]}]}', \
        "dimension"
    yield "empty shape", infer("UINT8", [], data), "empty"
    yield "shape null", infer("UINT8", None, data), "'['"
    yield "shape twice", b'{"inputs":[{"shape":[1],"shape":[2]}]}', "twice"
    yield "nine dimensions", infer("UINT8", [1] * 9, data), "8 dimensions"
    yield "too few", infer("UINT8", [1, 784], data[1:]), "783 numbers"
    yield "too many", infer("UINT8", [1, 784], data + [0]), "more numbers"
    yield "none", infer("UINT8", [1, 784], []), "a number"
    yield "ragged", infer("UINT8", [1, 28, 28], [rows(data)[:27] + [data[:27], [0]]]), "dimension 2"
    yield "a row short", infer("UINT8", [1, 28, 28], [rows(data)[:27]]), "dimension 1"
    yield "too deep", infer("UINT8", [1, 784], [[data]]), "a number"
    yield "half nested", infer("UINT8", [1, 28, 28], [rows(data)[:1] + data]), "'['"
    yield "NaN", json.dumps(infer("FP32", [1, 784], [float("nan")] * 784)).encode(), "a number"
    yield "Infinity", json.dumps(infer("FP32", [1, 784], [float("inf")] * 784)).encode(), \
        "a number"
    yield "1e999", json.dumps(infer("FP32", [1, 784], ["?"] + [0] * 783)).replace(
        '"?"', "1e999").encode(), "element 0 is inf"
    yield "strings", infer("FP32", [1, 784], ["0.5"] * 784), "a number"
    yield "null", infer("FP32", [1, 784], [None] * 784), "a number"
    yield "true", infer("UINT8", [1, 784], [True] * 784), "a number"
    yield "256", infer("UINT8", [1, 784], [256] + data[1:]), "element 0 is 256"
    yield "negative", infer("INT32", [1, 784], data[:-1] + [-1]), "element 783 is -1"
    yield "a fraction in UINT8", infer("UINT8", [1, 784], [0.5] * 784), "whole numbers"
    yield "unknown output", infer("UINT8", [1, 784], data, outputs=[{"name": "logits"}]), "'logits'"
    yield "output twice", infer("UINT8", [1, 784], data, outputs=[{"name": "probabilities"}] * 2), \
        "twice"
    yield "output without name", infer("UINT8", [1, 784], data, outputs=[{}]), "name"
    yield "output that is none", infer("UINT8", [1, 784], data, outputs=["probabilities"]), "'{'"
    yield "id that is not a string", infer("UINT8", [1, 784], data, id=42), "a string"
    yield "id that is no UTF-8", b'{"id":"\xff"}', "UTF-8"
    yield "control byte in the id", b'{"id":"a\nb"}', "end of a string"
    for key, value in (("classification", -1), ("classification", "3"), ("binary_data", 1)):
        yield "%s %s" % (key, value), infer("UINT8", [1, 784], data, outputs=[
            {"name": "probabilities", "parameters": {key: value}}]), "at byte" \
            if value != -1 else "classification is -1"
    yield "timeout", infer("UINT8", [1, 784], data, parameters={"timeout": -1}), "microseconds"
    yield "binary_data_output 1", infer("UINT8", [1, 784], data,
                                        parameters={"binary_data_output": 1}), "true or false"
    yield "no base64", infer("BYTES", [1], ["*"]), "base64"
    yield "no picture", infer("BYTES", [1], [b64(b"hello")]), "5 bytes"
    yield "a cut PNG", infer("BYTES", [1], [b64(png(ONE)[:-20])]), "picture 1"
    yield "a number for a picture", infer("BYTES", [1], [1]), "base64"
    yield "pictures of another count", infer("BYTES", [2], [b64(png(ONE))]), "1 pictures"
    yield "picture's shape", infer("BYTES", [1, 28, 28], [b64(png(ONE))]), "[n]"
    yield "no picture at all", infer("BYTES", [1], []), "base64"
    yield "brackets", b'{"inputs":[{"shape":[1,784],"datatype":"UINT8","data":' + b"[" * 250000, \
        "a number"
    yield "brackets first", b'{"inputs":[{"data":' + b"[" * 250000, "32 levels deep"
    yield "brackets elsewhere", b'{"x":' + b"[" * 250000, "32 levels deep"
    yield "brackets in the shape", b'{"inputs":[{"shape":' + b"[" * 250000, "dimension"
    yield "brackets of strings", b'{"inputs":[{"shape":[1],"datatype":"BYTES","data":' + \
        b"[" * 250000, "base64"
    yield "braces", b'{"a":' * 250000, "32 levels deep"


def test_errors(server):
    for name, body, words in errors():
        refused(server, name, INFER, body, words)
    tensor = infer("UINT8", [1, 784])
    sized = infer("UINT8", [1, 784])
    for name, size in (("larger than the body", 785), ("smaller than the body", 783),
                       ("negative", -1), ("huge", 9223372036854775807)):
        sized["inputs"][0]["parameters"] = {"binary_data_size": size}
        refused_binary(server, "binary_data_size " + name, sized, bytes(784), "binary_data_size")
    sized["inputs"][0]["parameters"] = {"binary_data_size": "784"}
    refused_binary(server, "binary_data_size as a string", sized, bytes(784), "number of bytes")
    refused_binary(server, "binary data of another length", tensor, bytes(783), "783 bytes")
    refused_binary(server, "binary data without any", tensor, b"", "neither")
    refused_binary(server, "data and binary data", infer("UINT8", [1, 784], list(ONE)), b"x",
                   "also binary")
    refused_binary(server, "binary NaN", infer("FP32", [1, 784]), b"\0\0\xc0\x7f" * 784, "nan")
    refused_binary(server, "binary FP16 infinity", infer("FP16", [1, 784]), b"\0\x7c" * 784, "nan")
    refused_binary(server, "binary INT64 beyond all", infer("INT64", [1, 784]), b"\x7f" * 6272,
                   "whole numbers")
    one = png(ONE)
    for name, data in (("cut", struct.pack("<I", len(one)) + one[:-1]),
                       ("huge", b"\xff\xff\xff\xff" + one), ("three bytes", b"abc"),
                       ("three more", struct.pack("<I", len(one)) + one + b"abc")):
        refused_binary(server, "picture's length: " + name, infer("BYTES", [-1]), data, "is truncated")
    refused_binary(server, "pictures of another count", infer("BYTES", [3]),
                   struct.pack("<I", len(one)) + one, "1 pictures")
    for value in (b"99999999999", b"99999999999999999999999", b"-1", b"+5", b"0x10", b"1e3", b"",
                  b"5 5", b"18446744073709551616", b"4294967296"):
        refused(server, "header length %s" % value, INFER, infer("UINT8", [1, 784], list(ONE)),
                "Inference-Header-Content-Length",
                b"Inference-Header-Content-Length: " + value + b"\r\n")
    check(post_json(server, INFER, infer("UINT8", [1, 784], list(ONE)))[0] == 200,
          "and it still answers")


def refused_binary(server, name, head, data, words):
    head = json.dumps(head).encode()
    refused(server, name, INFER, head + data, words,
            b"Inference-Header-Content-Length: %d\r\n" % len(head))


def test_stats(server):
    """Each count grows by the number of requests; a failure counts as one."""
    def read(path):
        status, body = get_json(server, path)
        rows = body["model_stats"]
        check(status == 200 and [(r["name"], r["version"]) for r in rows] == [("digits", "1")],
              "%s: %s" % (path, body))
        return rows[0]
    before = read("/v2/models/stats")
    begun = int(time.time() * 1000)
    for _ in range(3):
        post_json(server, INFER, infer("UINT8", [2, 784], list(ONE + PIXELS[1])))
    post_json(server, INFER, {})
    for path in ("/v2/models/stats", "/v2/models/digits/stats",
                 "/v2/models/digits/versions/1/stats"):
        after = read(path)
        old, new = before["inference_stats"], after["inference_stats"]
        # The system's coarse clock may be ten milliseconds late.
        check(begun - 100 <= after["last_inference"] <= time.time() * 1000, "last: %s" % after)
        check(after["inference_count"] - before["inference_count"] == 6, "images: %s" % after)
        check(1 <= after["execution_count"] - before["execution_count"] <= 3, "batches: %s" % after)
        for name, count in (("success", 3), ("fail", 1), ("compute_input", 3),
                            ("compute_infer", 3), ("compute_output", 3)):
            check(new[name]["count"] - old[name]["count"] == count and
                  (name == "fail" or new[name]["ns"] > old[name]["ns"]),
                  "%s: %s after %s" % (name, new[name], old[name]))
    check(get_json(server, "/v2/models/letters/stats")[0] == 404, "stats of no model")


def test_fragments(server, expected):
    """A small request, cut at every byte: the second part arrives in a packet of its own."""
    whole = binary(infer("BYTES", [1]), struct.pack("<I", len(png(ONE))) + png(ONE))
    whole = whole.replace(b"Host: a\r\n", b"Host: a\r\nConnection: keep-alive\r\n")
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(sock)
        good = 0
        for cut in range(1, len(whole)):
            sock.sendall(whole[:cut])
            sock.sendall(whole[cut:])
            answer = stream.answer()
            good += answer is not None and answer[0] == 200 and \
                json.loads(answer[2])["outputs"][0]["data"] == expected[0]
        check(good == len(whole) - 1, "%d of %d cuts" % (good, len(whole) - 1))
        for byte in whole:
            sock.sendall(bytes([byte]))
        check(stream.answer()[0] == 200, "byte by byte")


def test_repository():
    """Unloading and loading a model works on the admin socket only."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "admin.sock")
        with serving("--admin-socket=" + path) as server:
            def admin(verb, name="digits", body=b""):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
                    sock.sendall(request("/v2/repository/models/%s/%s" % (name, verb), body))
                    status, _, answer = Stream(sock).answer()
                return status, json.loads(answer)
            body = infer("UINT8", [1, 784], list(ONE))
            for verb in ("load", "unload"):
                refused(server, verb + " by TCP", "/v2/repository/models/digits/" + verb, b"",
                        "admin socket", expected=403)
                check(admin(verb, "letters")[0] == 404, verb + " of no model")
                check(admin(verb, "x" * 300)[0] == 404, verb + " of a long name")
            check(admin("unload") == (200, {"name": "digits", "unload": True}), "unload")
            refused(server, "unloaded", INFER, body, "not loaded", expected=503)
            check(get_json(server, "/v2/models/digits/ready")[0] == 503, "not ready")
            index = post_json(server, "/v2/repository/index", b"")[2]
            check(index[0]["state"] == "UNAVAILABLE" and index[0]["reason"], "index: %s" % index)
            check(post_json(server, "/v2/repository/index", {"ready": True})[2] == [], "none ready")
            check(get_json(server, "/v1/models/digits")[1]["model_version_status"][0]["state"] ==
                  "END", "TensorFlow's state")
            check(admin("load", body=b'{"parameters":{}}') ==
                  (200, {"name": "digits", "load": True}), "load")
            check(post_json(server, INFER, body)[0] == 200, "loaded again")


def test_limit():
    with serving("--max-images=3") as server:
        ok = infer("UINT8", [3, 784], [0] * 2352)
        check(post_json(server, INFER, ok)[0] == 200, "three images of three")
        refused(server, "four", INFER, infer("UINT8", [4, 784], [0] * 3136), "limit is 3",
                expected=413)
        refused(server, "four said, one sent", INFER, infer("UINT8", [4, 784], [0]), "limit is 3",
                expected=413)
        refused(server, "four pictures", INFER, infer("BYTES", [-1], [b64(png(ONE))] * 4), "3",
                expected=413)


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    for lane in ("--inline-us=100000", "--inline-us=0"):
        with serving(lane) as server:
            test_metadata(server)
            expected = test_json(server)
            test_generosity(server, expected)
            test_pictures(server, expected)
            test_binary(server, expected)
            test_tritonclient(server, expected)
            test_classification(server, expected)
            test_errors(server)
            test_fragments(server, expected)
            test_stats(server)
    test_repository()
    test_limit()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
