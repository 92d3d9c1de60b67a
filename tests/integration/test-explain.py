#!/usr/bin/env python3
"""POST /explain: the test computes each layer again from the filters and the input of the answer; all forms of
the answer agree; the prediction has the same bits as /predict's, in both lanes; each invalid request gets its
message. Also GET /: JSON for programs, the page for browsers.

The model is trained here for a moment, so that its architecture is known.
"""
import base64
import contextlib
import http.client
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import zlib

from daemon import BUILD, PATIENCE, SOURCE, Stream, ask, check, finish, get, post, serving

SAMPLE = os.path.join(SOURCE, "tests", "data", "mnist-sample")
SEVEN = os.path.join(SOURCE, "tests", "data", "seven.png")
ARCHITECTURE = os.path.join(SOURCE, "models", "seed-unstrided.json")
LAYERS = ["conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "dropout", "flatten", "dense"]


def explain(server, body, path="/explain", extra=b""):
    return ask(server, post(body, extra, path.encode()))


def read(answer):
    status, headers, body = answer
    if status != 200 or headers["content-type"] != "application/json":
        raise SystemExit("no explanation: %s %s" % (status, body[:300]))
    return json.loads(body)


def refused(answer, status, words):
    check(answer[0] == status and words in json.loads(answer[2])["error"],
          "%d with %r: %s" % (status, words, answer))


def close(got, expected, what):
    worst = max(abs(a - b) for a, b in zip(got, expected))
    check(len(got) == len(expected) and worst < 1e-4, "%s: off by %g" % (what, worst))


def convolved(x, height, width, channels, layer):
    """Conv2D, valid, strides 1, ReLU: NHWC and [kernel_height, kernel_width, in, out]."""
    kernel, bias = layer["tensors"]
    rows, columns, _, filters = kernel["shape"]
    w, y = kernel["values"], []
    for i in range(height - rows + 1):
        for j in range(width - columns + 1):
            sums = list(bias["values"])
            for a in range(rows):
                for b in range(columns):
                    for c in range(channels):
                        value = x[((i + a) * width + j + b) * channels + c]
                        if value != 0:
                            at = ((a * columns + b) * channels + c) * filters
                            for f in range(filters):
                                sums[f] += value * w[at + f]
            y.extend(max(s, 0) for s in sums)
    return y


def pooled(x, height, width, channels):
    """MaxPooling2D of 2, valid; with even sides "same" is the same."""
    return [max(x[((2 * i + a) * width + 2 * j + b) * channels + c]
                for a in (0, 1) for b in (0, 1))
            for i in range(height // 2) for j in range(width // 2) for c in range(channels)]


def classified(x, layer):
    kernel, bias = layer["tensors"]
    units = kernel["shape"][1]
    sums = [bias["values"][u] + sum(v * kernel["values"][i * units + u] for i, v in enumerate(x))
            for u in range(units)]
    powers = [math.exp(s - max(sums)) for s in sums]
    return [p / sum(powers) for p in powers]


def test_layers(server, image):
    answer = read(explain(server, image))
    layers = answer["layers"]
    check([layer["name"] for layer in layers] == LAYERS, "the layers' names, in order")
    check([layer["type"] for layer in layers] ==
          ["Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Dropout", "Flatten", "Dense"],
          "the layers' types")
    check(answer["input"]["shape"] == [28, 28, 1], "the input's shape")
    for part in [answer["input"], *layers, *(t for layer in layers for t in layer["tensors"])]:
        shape = part.get("output_shape", part.get("shape"))
        check(len(part["values"]) == math.prod(shape) and
              part["minimum"] == min(part["values"]) and part["maximum"] == max(part["values"]),
              "size and range of %s" % part.get("name", "the input"))
    x = answer["input"]["values"]
    close(layers[0]["values"], convolved(x, 28, 28, 1, layers[0]), "conv2d")
    close(layers[1]["values"], pooled(layers[0]["values"], 25, 25, 32), "max_pooling2d")
    close(layers[2]["values"], convolved(layers[1]["values"], 12, 12, 32, layers[2]), "conv2d_1")
    close(layers[3]["values"], pooled(layers[2]["values"], 10, 10, 32), "max_pooling2d_1")
    check(layers[3]["values"] == layers[4]["values"] == layers[5]["values"],
          "Dropout and Flatten change nothing")
    close(layers[6]["values"], classified(layers[5]["values"], layers[6]), "dense")
    close(layers[6]["values"], answer["prediction"]["probabilities"], "the prediction")
    return answer


def test_forms(server, image, whole):
    """Query and Accept: each form has the same numbers, or a part of them."""
    said = json.loads(ask(server, post(image, b"", b"/predict"))[2])["predictions"][0]
    check(whole["prediction"] == said, "what /predict says")
    raw = bytes(round(255 * v) for v in whole["input"]["values"])
    octets = b"Content-Type: application/octet-stream\r\n"
    check(read(explain(server, raw, extra=octets))["layers"] == whole["layers"], "raw pixels")
    check(read(explain(server, image, "/explain/model")) == whole, "by the model's name")
    for l, name in enumerate(LAYERS):
        one = read(explain(server, image, "/explain?layer=" + name))
        check(one["layers"] == [whole["layers"][l]] and one["prediction"] == whole["prediction"],
              "?layer=%s" % name)
    bare = read(explain(server, image, "/explain?filters=0"))
    check(all("tensors" not in layer for layer in bare["layers"]) and
          [x["values"] for x in bare["layers"]] == [x["values"] for x in whole["layers"]],
          "?filters=0")
    none = read(explain(server, image, "/explain?values=none"))
    check(all("values" not in layer for layer in none["layers"]) and
          [x["maximum"] for x in none["layers"]] == [x["maximum"] for x in whole["layers"]],
          "?values=none")
    small = read(explain(server, image, "/explain?values=bytes"))
    for part, full in zip([small["input"], *small["layers"], small["layers"][2]["tensors"][0]],
                          [whole["input"], *whole["layers"], whole["layers"][2]["tensors"][0]]):
        step = (full["maximum"] - full["minimum"]) / 255
        data = base64.b64decode(part["values"], validate=True)
        check(len(data) == len(full["values"]) and
              all(abs(full["minimum"] + step * b - v) <= step * 0.501 + 1e-12
                  for b, v in zip(data, full["values"])), "bytes of %s" % part.get("name", "input"))


def grey(png):
    """(width, height, rows) of an 8-bit grey PNG."""
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    check((depth, colour) == (8, 0), "an 8-bit grey PNG")
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        data += png[at + 8:at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    lines, rows, last = zlib.decompress(data), [], bytes(width)
    for y in range(height):
        line = bytearray(lines[y * (width + 1) + 1:(y + 1) * (width + 1)])
        how = lines[y * (width + 1)]
        for x in range(width):
            left, up = line[x - 1] if x else 0, last[x]
            corner = last[x - 1] if x else 0
            p = left + up - corner
            paeth = min((abs(p - left), 0, left), (abs(p - up), 1, up),
                        (abs(p - corner), 2, corner))[2]
            line[x] = (line[x] + (0, left, up, (left + up) // 2, paeth)[how]) & 255
        rows.append(bytes(line))
        last = line
    return width, height, rows


def test_tiles(server, image, whole):
    def tiles(query):
        status, headers, body = explain(server, image, "/explain?" + query, b"Accept: image/png\r\n")
        check((status, headers.get("content-type")) == (200, "image/png"), "a picture: %s" % query)
        return grey(body)

    # 32 maps of 25 x 25 in a square of 6 x 6, one pixel between them.
    width, height, rows = tiles("layer=conv2d&zoom=1")
    check((width, height) == (6 * 26 + 1, 6 * 26 + 1), "maps: %d x %d" % (width, height))
    layer = whole["layers"][0]
    for c in (0, 7, 31):
        top, left = c // 6 * 26 + 1, c % 6 * 26 + 1
        check(all(abs(rows[top + y][left + x] -
                      255 * layer["values"][(y * 25 + x) * 32 + c] / layer["maximum"]) < 0.51
                  for y in range(25) for x in range(25)), "map %d" % c)
    # 32 x 32 filters of 3 x 3: a row per input channel, a column per filter.
    width, height, rows = tiles("layer=conv2d_1&filters=1&zoom=2")
    check((width, height) == (32 * 7 + 1, 32 * 7 + 1), "filters: %d x %d" % (width, height))
    kernel = whole["layers"][2]["tensors"][0]
    largest = max(-kernel["minimum"], kernel["maximum"])
    for i, o in ((0, 0), (3, 31), (31, 5)):
        check(all(abs(rows[i * 7 + 1 + y][o * 7 + 1 + x] - 128 -
                      127 * kernel["values"][((y // 2 * 3 + x // 2) * 32 + i) * 32 + o] / largest)
                  < 0.51 for y in range(6) for x in range(6)), "filter %d of channel %d" % (o, i))
    check(tiles("layer=dense&zoom=3")[:2] == (30, 3), "a vector is a row")
    check(tiles("layer=dense&filters=1&zoom=1")[:2] == (10, 800), "a dense kernel is a matrix")
    check(tiles("layer=conv2d&filters=1")[:2] == (6 * 49 + 1, 6 * 49 + 1), "a zoom of its own")


def test_signal(folder):
    """Tiles of a network of steps and channels, whose kernels have three axes."""
    rows = [("InputLayer", {"batch_input_shape": [None, 28, 28, 1], "name": "input"}),
            ("Reshape", {"target_shape": [28, 28], "name": "reshape"}),
            ("Conv1D", {"filters": 5, "kernel_size": [3], "name": "conv1d"}),
            ("Flatten", {"name": "flatten"}),
            ("Dense", {"units": 10, "activation": "softmax", "name": "dense"})]
    path, model = os.path.join(folder, "signal.json"), os.path.join(folder, "signal.safetensors")
    with open(path, "w", encoding="ascii") as file:
        json.dump({"class_name": "Sequential", "config": {"name": "signal", "layers": [
            {"class_name": kind, "config": config} for kind, config in rows]}}, file)
    subprocess.run([os.path.join(BUILD, "convnet"), "train", "--architecture", path, "--data", SAMPLE,
                    "--output", model, "--epochs", "1", "--quiet"], check=True, timeout=PATIENCE)
    with open(SEVEN, "rb") as file:
        image = file.read()
    png = b"Accept: image/png\r\n"
    with serving(model=model) as server:
        whole = read(explain(server, image, "/explain?layer=conv1d&filters=1"))
        width, height, drawn = grey(explain(server, image, "/explain?layer=conv1d&filters=1&zoom=1",
                                            png)[2])
        check((width, height) == (3 * 29 + 1, 2 * 4 + 1), "filters: %d x %d" % (width, height))
        kernel = whole["layers"][0]["tensors"][0]
        largest = max(-kernel["minimum"], kernel["maximum"])
        for o in range(5):
            top, left = o // 3 * 4 + 1, o % 3 * 29 + 1
            check(all(abs(drawn[top + y][left + x] - 128 -
                          127 * kernel["values"][(y * 28 + x) * 5 + o] / largest) < 0.51
                      for y in range(3) for x in range(28)), "filter %d over steps" % o)
        check(grey(explain(server, image, "/explain?layer=conv1d&zoom=1", png)[2])[:2] == (5, 26),
              "steps and channels are a matrix")


def test_bad(server, image):
    png = b"Accept: image/png\r\n"
    refused(explain(server, image, "/explain?layer=conv3d"), 400,
            'there is no layer "conv3d"; the layers are conv2d, max_pooling2d,')
    refused(explain(server, image, "/explain?values=hex"), 400, "must be float, bytes or none")
    refused(explain(server, image, "/explain?filters=yes"), 400, 'filters is "yes"')
    for zoom in ("0", "17", "1x", "", "99999999999999999999"):
        refused(explain(server, image, "/explain?layer=dense&zoom=" + zoom, png), 400,
                "must be a number from 1 to 16")
    refused(explain(server, image, "/explain", png), 400, "?layer=NAME, one of conv2d,")
    refused(explain(server, image, "/explain?layer=flatten&filters=1", png), 400,
            'layer "flatten" (Flatten) has no filters')
    refused(explain(server, bytes(784 * 2), extra=b"Content-Type: application/octet-stream\r\n"),
            413, "the limit is 1")
    refused(explain(server, b""), 400, "the body is empty")
    refused(explain(server, b"junk"), 415, "neither a picture")
    refused(explain(server, image, "/explain/other"), 404, 'no model "other"')
    check(ask(server, get("/explain"))[0] == 405, "GET /explain")


def test_lanes(model, image, whole):
    """Explanations between predictions of the batch lane give the same bits; a deadline in the past fails at
    once."""
    with serving("--inline-us=0", model=model) as server:
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(server.connect()) for _ in range(12)]
            for i, sock in enumerate(socks):
                sock.sendall(post(image, b"", b"/explain" if i % 3 else b"/predict"))
            for i, sock in enumerate(socks):
                answer = read(Stream(sock).answer())
                check(answer == whole if i % 3 else
                      answer["predictions"][0]["probabilities"] ==
                      whole["prediction"]["probabilities"], "the batch lane gives the same bits")
    with serving("--inline-us=0", "--request-timeout=0.000001", model=model) as server:
        refused(explain(server, image), 504, "deadline passed")


def test_index(server):
    for accept in (b"", b"Accept: */*\r\n", b"Accept: application/json\r\n",
                   b"Accept: text/html;q=0.5, application/json\r\n"):
        status, headers, body = ask(server, get("/", accept))
        answer = json.loads(body)
        check(status == 200 and headers["content-type"] == "application/json" and
              headers["vary"] == "Accept" and answer["model"] == "model" and
              answer["input_shape"] == [28, 28, 1] and
              answer["labels"] == [str(i) for i in range(10)], "GET / as JSON: %s" % body)


def test_page(server):
    """The page for a browser, and the headers that isolate it."""
    browser = b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    files = {"/": ("text/html", b"<!doctype html>"), "/page/style.css": ("text/css", b"/*"),
             "/page/page.js": ("text/javascript", b"//"),
             "/page/answers.js": ("text/javascript", b"//"),
             "/page/drawing.js": ("text/javascript", b"//"),
             "/page/png.js": ("text/javascript", b"//"),
             "/page/tiles.js": ("text/javascript", b"//"),
             "/page/layers.js": ("text/javascript", b"//"),
             "/page/icon.svg": ("image/svg+xml", b"<svg")}
    total, tags = 0, set()
    for path, (kind, beginning) in files.items():
        status, headers, body = ask(server, get(path, browser))
        total += len(body)
        tags.add(headers["etag"])
        check(status == 200 and headers["content-type"].split(";")[0] == kind and
              body.startswith(beginning), "GET %s: %s" % (path, headers))
        policy = dict(x.split(" ", 1) for x in headers["content-security-policy"].split("; "))
        check(policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'" and
              policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'" and
              "unsafe" not in headers["content-security-policy"], "policy of %s: %s" % (path, policy))
        check(headers["x-content-type-options"] == "nosniff" and
              headers["cache-control"] == "no-cache", "headers of %s" % path)
        check(b"http://" not in body.replace(b"http://www.w3.org/", b"").replace(b"http://HOST", b"")
              and b"https://" not in body and b"style=" not in body, "%s stands alone" % path)
        for expected in (headers["etag"], headers["etag"][2:], '"x", ' + headers["etag"], "*"):
            again = ask(server, get(path, browser + b"If-None-Match: %s\r\n" % expected.encode()))
            check(again[0] == 304 and again[2] == b"" and again[1]["etag"] == headers["etag"],
                  "304 for %s of %s: %s" % (expected, path, again))
        check(ask(server, get(path, browser + b'If-None-Match: "x"\r\n'))[0] == 200, "another tag")
        head = ask(server, get(path, browser, method=b"HEAD"), head=True)
        check(head[0] == 200 and head[1]["content-length"] == str(len(body)), "HEAD %s" % path)
    check(len(tags) == len(files), "a tag for each file")
    check(total < 57344, "the page has %d bytes" % total)
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    client.request("GET", "/", headers={"Accept": "text/html"})
    check("Accept" in client.getresponse().headers.get_all("Vary"), "Vary")
    client.close()
    for path in ("/page/", "/page/embed", "/page/index.html", "/page/..%2fpage.js"):
        check(ask(server, get(path, browser))[0] in (400, 404), path)
    print("the page has %d bytes in %d files" % (total, len(files)))


def main():
    with open(SEVEN, "rb") as file:
        image = file.read()
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.safetensors")
        subprocess.run([os.path.join(BUILD, "convnet"), "train", "--architecture", ARCHITECTURE,
                        "--data", SAMPLE, "--output", model, "--epochs", "1", "--quiet"],
                       check=True, timeout=PATIENCE)
        with serving(model=model) as server:
            whole = test_layers(server, image)
            test_forms(server, image, whole)
            test_tiles(server, image, whole)
            test_bad(server, image)
            test_index(server)
            test_page(server)
        test_lanes(model, image, whole)
        test_signal(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
