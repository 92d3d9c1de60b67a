#!/usr/bin/env python3
"""Requests of TorchServe's and TensorFlow Serving's clients."""
import os
import sys

from daemon import MODEL, ask, check, finish, serving
from wire import b64, fractions, get_json, png, post_json, refused, request, rows, sample

PREDICT = "/v1/models/digits:predict"
PIXELS, LABELS = sample()
ONE, TWO = PIXELS[:2]


def test_torchserve(server, expected):
    check(get_json(server, "/ping") == (200, {"status": "Healthy"}), "ping")
    order = sorted(range(10), key=lambda c: (-expected[0][c], c))[:5]
    for path in ("/predictions/digits", "/predictions/digits/1"):
        for name, body, extra in (
                ("PNG", png(ONE), b""), ("PNG by type", png(ONE), b"Content-Type: image/png\r\n"),
                ("as curl -T sends it", png(ONE), b"Expect: 100-continue\r\n"),
                ("octets", ONE, b"Content-Type: application/octet-stream\r\n"),
                ("form", b"--x\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a\"\r\n"
                 b"\r\n" + png(ONE) + b"\r\n--x--\r\n",
                 b"Content-Type: multipart/form-data; boundary=x\r\n")):
            status, headers, answer = post_json(server, path, body, extra)
            check(status == 200 and headers["content-type"] == "application/json" and
                  list(answer.items()) == [(str(c), expected[0][c]) for c in order],
                  "%s %s: %s %s" % (path, name, status, answer))
    status, _, answer = post_json(server, "/predictions/digits", ONE + TWO,
                                 b"Content-Type: application/octet-stream\r\n")
    check(status == 200 and [max(a, key=a.get) for a in answer] == [str(x) for x in LABELS[:2]],
          "two images: %s" % (answer,))
    refused(server, "no such model", "/predictions/letters", png(ONE), "letters", expected=404)
    refused(server, "no such version", "/predictions/digits/2", png(ONE), "version", expected=404)
    refused(server, "no picture", "/predictions/digits", b"hello", "neither", expected=415)
    refused(server, "raw without its type", "/predictions/digits", ONE, "octet-stream", expected=415)
    refused(server, "nothing", "/predictions/digits", b"", "empty")
    check(ask(server, request("/predictions/digits", method=b"GET"))[0] == 405, "GET")


def instances():
    """(name, a form of an instance): all of them are the image ONE."""
    whole, parts, one = list(ONE), fractions(ONE), png(ONE)
    for name, data in (("whole", whole), ("fractions", parts)):
        yield name + ", flat", data
        yield name + ", rows", rows(data)
        yield name + ", pixels", [[[v] for v in row] for row in rows(data)]
        yield name + ", channel first", [rows(data)]
        yield name + ", named", {"conv2d_input": rows(data)}
    yield "b64", {"b64": b64(one)}
    yield "b64 of a raw image", {"b64": b64(ONE)}
    yield "named b64", {"image_bytes": {"b64": b64(one)}}
    yield "string", b64(one)
    yield "named string", {"data": b64(one)}


def test_tensorflow(server, expected):
    for path in (PREDICT, "/v1/models/digits/versions/1:predict"):
        for name, instance in instances():
            for key, answer_key in (("instances", "predictions"), ("inputs", "outputs")):
                status, headers, answer = post_json(
                    server, path, {"signature_name": "serving_default", key: [instance]})
                check(status == 200 and headers["content-type"] == "application/json" and
                      answer == {answer_key: [expected[0]]}, "%s as %s: %s" % (name, key, answer))
    both = {"predictions": expected[:2]}
    check(post_json(server, PREDICT, {"instances": [list(ONE), {"b64": b64(png(TWO))}]})[2] == both,
          "two rows of different kinds")
    for column in ({"image": [rows(list(ONE)), rows(list(TWO))]}, [list(ONE), list(TWO)],
                   {"image": [{"b64": b64(png(ONE))}, {"b64": b64(png(TWO))}]}):
        check(post_json(server, PREDICT, {"inputs": column})[2] == {"outputs": expected[:2]},
              "columns")
    check(post_json(server, PREDICT, {"inputs": {"b64": b64(png(ONE))}})[2] ==
          {"outputs": expected[:1]}, "one b64 as column")
    # The rule for numbers applies to each image separately.
    dark = [1.0] + [0.0] * 783
    alone = post_json(server, PREDICT, {"instances": [dark]})[2]["predictions"][0]
    pair = post_json(server, PREDICT, {"instances": [list(ONE), dark]})[2]["predictions"]
    check(pair == [expected[0], alone], "an image is read by itself")


def test_tensorflow_status(server):
    available = {"version": "1", "state": "AVAILABLE",
                 "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/digits", "/v1/models/digits/versions/1"):
        check(get_json(server, path) == (200, {"model_version_status": [available]}), path)
        status, body = get_json(server, path + "/metadata")
        signature = body["metadata"]["signature_def"]["signature_def"]["serving_default"]
        check(status == 200 and body["model_spec"]["name"] == "digits" and
              [d["size"] for d in signature["inputs"]["image"]["tensor_shape"]["dim"]] ==
              ["-1", "28", "28", "1"] and
              [d["size"] for d in signature["outputs"]["probabilities"]["tensor_shape"]["dim"]] ==
              ["-1", "10"], "metadata: %s" % body)
    for path in ("/v1/models/letters", "/v1/models/digits/versions/2",
                 "/v1/models/digits/versions/01", "/v1/models/letters/metadata"):
        status, body = get_json(server, path)
        check(status == 404 and body["error"], "%s: %s %s" % (path, status, body))
    check(ask(server, request(PREDICT, method=b"GET"))[0] == 405, "GET of predict")
    check(ask(server, request("/v1/models/digits:classify", b"{}"))[0] == 404, "unknown verb")


def errors():
    data = list(ONE)
    yield "no JSON", b"hello", "'{'"
    yield "empty", b"", "ends at byte 0"
    yield "neither", {}, "neither"
    yield "both", {"instances": [data], "inputs": [data]}, "either"
    yield "instances twice", b'{"instances":[' + b64(png(ONE)).join('""').encode() + \
        b'],"instances":[]}', "either"
    yield "no instance", {"instances": []}, "no image"
    yield "instances that are none", {"instances": {"image": data}}, "'['"
    yield "a number", {"instances": [5]}, "an image"
    yield "null", {"instances": [None]}, "an image"
    yield "empty object", {"instances": [{}]}, "empty object"
    yield "two inputs in a row", {"instances": [{"a": data, "b": data}]}, "second input, 'b'"
    yield "two inputs in columns", {"inputs": {"a": [data], "b": [data]}}, "second input, 'b'"
    yield "wrapped too deep", {"instances": [{"a": {"b": {"c": data}}}]}, "an image"
    yield "783 numbers", {"instances": [data[1:]]}, "784 numbers"
    yield "785 numbers", {"instances": [data + [0]]}, "784 numbers"
    yield "27 rows", {"instances": [rows(data)[1:]]}, "not of the model's shape"
    yield "14 x 56", {"instances": [rows(data, 56)]}, "not of the model's shape"
    yield "ragged", {"instances": [rows(data)[:26] + [data[:27], data[:29]]]}, "not of the model's"
    yield "mixed depth", {"instances": [rows(data)[:27] + data[:28]]}, "not of the model's shape"
    yield "four deep", {"instances": [[[[[v] for v in data]]]]}, "not of the model's shape"
    yield "a batch as an instance", {"instances": [[rows(data), rows(data)]]}, "not of the model's"
    yield "negative", {"instances": [[-0.5] * 784]}, "contains -0.5"
    yield "above 255", {"instances": [[256] * 784]}, "contains 256"
    yield "fractions above 1", {"instances": [[0.5, 2.0] * 392]}, "fractions"
    yield "strings in numbers", {"instances": [["a"] * 784]}, "a number"
    yield "no base64", {"instances": [{"b64": "*"}]}, "base64"
    yield "no picture", {"instances": [{"b64": b64(b"hello")}]}, "5 bytes"
    yield "a cut PNG", {"instances": [{"b64": b64(png(ONE)[:-20])}]}, "picture 1"
    yield "brackets", b'{"instances":' + b"[" * 250000, "not of the model's shape"
    yield "braces", b'{"instances":[' + b'{"a":' * 250000, "an image"


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    for lane in ("--inline-us=100000", "--inline-us=0"):
        with serving(lane) as server:
            answer = post_json(server, "/predict", b"".join(PIXELS),
                               b"Content-Type: application/octet-stream\r\n")[2]
            expected = [x["probabilities"] for x in answer["predictions"]]
            test_torchserve(server, expected)
            test_tensorflow(server, expected)
            test_tensorflow_status(server)
            for name, body, words in errors():
                refused(server, name, PREDICT, body, words)
    with serving("--max-images=3") as server:
        refused(server, "four of three", PREDICT, {"instances": [[0] * 784] * 4}, "3", expected=413)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
