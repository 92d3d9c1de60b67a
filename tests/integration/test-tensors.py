#!/usr/bin/env python3
"""Several inputs and outputs over the Open Inference Protocol: the names, shapes and order in the model file,
and /predict's message for a model that takes no picture."""
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

from daemon import CONVNET, ask, check, finish, serving
from wire import get_json, post_json, refused, request

HEIGHT, WIDTH, CHANNELS, FEATURES, CLASSES = 2, 3, 2, 4, 3
PICTURE = HEIGHT * WIDTH * CHANNELS


def layer(class_name, name, config, inputs):
    calls = [{"args": [[tensor(x) for x in inputs] if len(inputs) > 1 else tensor(inputs[0])],
              "kwargs": {}}] if inputs else []
    return {"module": "keras.layers", "class_name": class_name, "name": name,
            "config": dict(config, name=name), "registered_name": None, "inbound_nodes": calls}


def tensor(name):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def architecture():
    """scores = softmax(features . kernel); sum = the sum of the picture's halves, as a map."""
    layers = [
        layer("InputLayer", "picture", {"batch_shape": [None, HEIGHT, WIDTH, CHANNELS]}, []),
        layer("InputLayer", "features", {"batch_shape": [None, FEATURES]}, []),
        layer("Dense", "scores", {"units": CLASSES, "activation": "softmax", "use_bias": False},
              ["features"]),
        layer("Add", "twice", {}, ["picture", "picture"]),
    ]
    return {"module": "keras", "class_name": "Functional", "registered_name": None, "config": {
        "name": "ports", "layers": layers,
        "input_layers": [["picture", 0, 0], ["features", 0, 0]],
        "output_layers": [["twice", 0, 0], ["scores", 0, 0]]}}


TENSORS = {"inputs": [{"name": "vec/tor:0", "shape": [-1, FEATURES], "axes": [1], "port": 1},
                      {"name": "x", "shape": [-1, CHANNELS, HEIGHT, WIDTH], "axes": [2, 3, 1],
                       "port": 0}],
           "outputs": [{"name": "map", "shape": [-1, CHANNELS, HEIGHT, WIDTH], "axes": [2, 3, 1]},
                       {"name": "scores", "shape": [-1, CLASSES], "axes": [1]}]}


def write_model(path, kernel, tensors, network=None):
    metadata = {"format": "convnet/1", "architecture": json.dumps(network or architecture())}
    if tensors is not None:
        metadata["tensors"] = json.dumps(tensors)
    head = json.dumps({"__metadata__": metadata, "scores/kernel": {
        "dtype": "F32", "shape": [FEATURES, CLASSES], "data_offsets": [0, 4 * len(kernel)]}})
    head += " " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head.encode() +
                   struct.pack("<%df" % len(kernel), *kernel))


def softmax(features, kernel):
    z = [sum(features[i] * kernel[i * CLASSES + c] for i in range(FEATURES))
         for c in range(CLASSES)]
    e = [math.exp(v - max(z)) for v in z]
    return [v / sum(e) for v in e]


def part(name, shape, data, **more):
    return dict({"name": name, "shape": shape, "datatype": "FP32", "data": data}, **more)


def near(got, expected):
    return len(got) == len(expected) and all(abs(a - b) < 1e-5 for a, b in zip(got, expected))


def test_metadata(server):
    _, meta = get_json(server, "/v2/models/m")
    check([(x["name"], x["shape"]) for x in meta["inputs"]] ==
          [("vec/tor:0", [-1, FEATURES]), ("x", [-1, CHANNELS, HEIGHT, WIDTH])], meta)
    check([(x["name"], x["shape"]) for x in meta["outputs"]] ==
          [("map", [-1, CHANNELS, HEIGHT, WIDTH]), ("scores", [-1, CLASSES])], meta)
    _, config = get_json(server, "/v2/models/m/config")
    check([x["dims"] for x in config["input"]] == [[FEATURES], [CHANNELS, HEIGHT, WIDTH]], config)


def test_numbers(server, kernel, dice):
    for images in (1, 3):
        x = [dice.uniform(-2, 2) for _ in range(images * PICTURE)]
        v = [dice.uniform(-2, 2) for _ in range(images * FEATURES)]
        expected = [y for i in range(images)
                  for y in softmax(v[i * FEATURES:(i + 1) * FEATURES], kernel)]
        picture = part("x", [images, CHANNELS, HEIGHT, WIDTH], x)
        vector = part("vec/tor:0", [images, FEATURES], v)
        for inputs in ([picture, vector], [vector, picture],
                       [part("x", [images, PICTURE], x), dict(reversed(vector.items()))]):
            status, _, body = post_json(server, "/v2/models/m/infer", {"inputs": inputs})
            check(status == 200, body)
            outputs = body["outputs"]
            check([o["name"] for o in outputs] == ["map", "scores"], outputs)
            check(outputs[0]["shape"] == [images, CHANNELS, HEIGHT, WIDTH], outputs)
            check(near(outputs[0]["data"], [2 * a for a in x]), "the map's order: %s" % outputs[0])
            check(near(outputs[1]["data"], expected), "scores: %s %s" % (outputs[1], expected))
        # Tensors with channels last are used as they are.
        last = part("x", [images, HEIGHT, WIDTH, CHANNELS], x)
        _, _, body = post_json(server, "/v2/models/m/infer", {"inputs": [last, vector],
                                                              "outputs": [{"name": "map"}]})
        turned = [2 * x[i * PICTURE + (y * WIDTH + z) * CHANNELS + c] for i in range(images)
                  for c in range(CHANNELS) for y in range(HEIGHT) for z in range(WIDTH)]
        check(len(body["outputs"]) == 1 and near(body["outputs"][0]["data"], turned), body)


def test_outputs(server):
    inputs = [part("x", [1, PICTURE], [1] * PICTURE), part("vec/tor:0", [1, FEATURES], [0] * 4)]
    _, _, body = post_json(server, "/v2/models/m/infer", {"inputs": inputs, "outputs": [
        {"name": "scores", "parameters": {"classification": 2}}, {"name": "map"}]})
    check([(o["name"], o["datatype"], o["shape"]) for o in body["outputs"]] ==
          [("scores", "BYTES", [1, 2]), ("map", "FP32", [1, CHANNELS, HEIGHT, WIDTH])], body)


def test_binary(server):
    values = [float(i) for i in range(PICTURE)]
    head = json.dumps({"inputs": [
        {"name": "x", "shape": [1, PICTURE], "datatype": "FP32",
         "parameters": {"binary_data_size": 4 * PICTURE}},
        {"name": "vec/tor:0", "shape": [1, FEATURES], "datatype": "FP32",
         "parameters": {"binary_data_size": 4 * FEATURES}}],
        "parameters": {"binary_data_output": True}}).encode()
    body = head + struct.pack("<%df" % PICTURE, *values) + struct.pack("<4f", 0, 0, 0, 0)
    status, headers, answer = ask(server, request(
        "/v2/models/m/infer", body, b"Inference-Header-Content-Length: %d\r\n" % len(head)))
    check(status == 200, answer)
    length = int(headers["inference-header-content-length"])
    sizes = [o["parameters"]["binary_data_size"] for o in json.loads(answer[:length])["outputs"]]
    check(sizes == [4 * PICTURE, 4 * CLASSES], sizes)
    numbers = struct.unpack("<%df" % (PICTURE + CLASSES), answer[length:])
    check(near(numbers[:PICTURE], [2 * v for v in values]), numbers)
    check(near(numbers[PICTURE:], [1 / 3] * 3), numbers)


def test_refusals(server):
    x, v = part("x", [1, PICTURE], [0] * PICTURE), part("vec/tor:0", [1, FEATURES], [0] * FEATURES)
    path = "/v2/models/m/infer"
    for name, inputs, words in (
            ("one is missing", [x], "lacks the input 'vec/tor:0'"),
            ("one twice", [x, x], "occurs twice"),
            ("a third", [x, v, x], "more than 2 inputs"),
            ("an unknown one", [x, part("y", [1, 1], [0])], "there is no input 'y'"),
            ("no name", [x, {k: v[k] for k in v if k != "name"}], "has no \"name\""),
            ("other counts", [x, part("vec/tor:0", [2, FEATURES], [0] * 2 * FEATURES)],
             "another input has 1"),
            ("a wrong shape", [x, part("vec/tor:0", [1, 5], [0] * 5)], "is not the model's"),
            ("bytes", [x, dict(v, datatype="UINT8")], "takes only FP32")):
        refused(server, name, path, {"inputs": inputs}, words)
    refused(server, "an unknown output", path, {"inputs": [x, v], "outputs": [{"name": "z"}]},
            "this model's are 'map', 'scores'")
    refused(server, "an output twice", path,
            {"inputs": [x, v], "outputs": [{"name": "map"}, {"name": "map"}]}, "occurs twice")
    status, _, body = post_json(server, "/predict", {"images": [[0]]})
    check(status in (400, 415, 422) and "takes 2 inputs" in body["error"] and
          "/v2/models/NAME/infer" in body["error"], body)


def test_files(folder, kernel):
    """The description of tensors in a file must fit its network."""
    path = os.path.join(folder, "bad.safetensors")
    for name, change in (
            ("a size", lambda t: t["inputs"][0].update(shape=[-1, 5])),
            ("an axis", lambda t: t["inputs"][1].update(axes=[2, 3])),
            ("an axis twice", lambda t: t["inputs"][1].update(axes=[2, 2, 1])),
            ("a port twice", lambda t: t["inputs"][1].update(port=1)),
            ("a port too many", lambda t: t["inputs"].append(dict(t["inputs"][0], name="q"))),
            ("a long name", lambda t: t["outputs"][0].update(name="n" * 300)),
            ("a big shape", lambda t: t["outputs"][0].update(shape=[-1, 1 << 40, 1 << 40]))):
        tensors = json.loads(json.dumps(TENSORS))
        change(tensors)
        write_model(path, kernel, tensors)
        result = subprocess.run([CONVNET, "info", path], capture_output=True, check=False)
        check(result.returncode == 1 and b"tensor" in result.stderr, "%s: %s" % (name, result))


def one_input(path, kernel):
    """The same network with only the features as input: a softmax behind a map."""
    json_text = architecture()
    layers = json_text["config"]["layers"]
    json_text["config"]["layers"] = [layers[1], layers[2], layer("Add", "twice", {},
                                                                 ["features", "features"])]
    json_text["config"]["input_layers"] = [["features", 0, 0]]
    tensors = {"inputs": TENSORS["inputs"][:1], "outputs": [
        {"name": "double", "shape": [-1, FEATURES], "axes": [1]}, TENSORS["outputs"][1]]}
    tensors["inputs"][0] = dict(tensors["inputs"][0], port=0)
    write_model(path, kernel, tensors, json_text)


def test_answer(folder, kernel):
    """/predict asks the user to choose an output; the choice keeps the protocol's order of outputs."""
    path, chosen = os.path.join(folder, "m.safetensors"), os.path.join(folder, "c.safetensors")
    one_input(path, kernel)
    body = {"inputs": [part("any", [1, FEATURES], [1, 2, 3, 4])]}
    with serving(model=path) as server:
        status, _, answer = post_json(server, "/predict", {"images": [[1, 2, 3, 4]]})
        check(status != 200 and "--answer" in answer["error"] and "/v2/" in answer["error"], answer)
        before = post_json(server, "/v2/models/m/infer", body)[2]
    wrong = subprocess.run([CONVNET, "edit", path, "-o", chosen, "--answer=no"],
                           capture_output=True, check=False)
    check(wrong.returncode == 1 and b"no output \"no\"" in wrong.stderr, wrong)
    subprocess.run([CONVNET, "edit", path, "-o", chosen, "--answer=scores"], check=True)
    with serving(model=chosen) as server:
        after = post_json(server, "/v2/models/c/infer", body)[2]
        check([o["name"] for o in after["outputs"]] == ["double", "scores"] and
              after["outputs"] == before["outputs"], after)
        status, _, answer = post_json(server, "/predict", {"images": [[255, 0, 0, 0]]})
        check(status == 200 and near(answer["predictions"][0]["probabilities"],
                                     softmax([1, 0, 0, 0], kernel)), answer)


with tempfile.TemporaryDirectory() as place:
    luck = random.Random(3)
    weights = [luck.uniform(-1, 1) for _ in range(FEATURES * CLASSES)]
    model = os.path.join(place, "m.safetensors")
    write_model(model, weights, TENSORS)
    with serving(model=model) as running:
        test_metadata(running)
        test_numbers(running, weights, luck)
        test_outputs(running)
        test_binary(running)
        test_refusals(running)
    with serving("--inline-us=0", model=model) as running:
        test_numbers(running, weights, luck)
    test_files(place, weights)
    test_answer(place, weights)
sys.exit(finish())
