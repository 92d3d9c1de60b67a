#!/usr/bin/env python3
"""`convnet export`: the file of another format gives the numbers that the model gives, read back by
`convnet import`, and by ONNX Runtime and TensorFlow.js where node finds onnxruntime-node and
@tensorflow/tfjs (NODE_PATH)."""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

from daemon import BUILD, MODEL, check, finish, serving
from wire import get_json, post_json

CONVNET = os.path.join(BUILD, "convnet")
IMPORTS = os.path.exists(os.path.join(BUILD, "convnet-import"))
ONNX = IMPORTS and os.path.exists(os.path.join(BUILD, "libonnx.la"))
TOLERANCE = 1e-6

RUN_ONNX = """
const ort = require('onnxruntime-node'), fs = require('fs');
(async () => {
    const session = await ort.InferenceSession.create(process.argv[1], {intraOpNumThreads: 1});
    const feeds = {};
    for (const [name, shape, data] of JSON.parse(fs.readFileSync(process.argv[2])))
        feeds[name] = new ort.Tensor('float32', Float32Array.from(data), shape);
    const outputs = await session.run(feeds);
    console.log(JSON.stringify(session.outputNames.map(
        name => [name, outputs[name].dims, Array.from(outputs[name].data)])));
})();
"""
RUN_TFJS = """
const tf = require('@tensorflow/tfjs'), fs = require('fs'), path = require('path');
(async () => {
    const file = JSON.parse(fs.readFileSync(process.argv[1])), manifest = file.weightsManifest[0];
    const bytes = fs.readFileSync(path.join(path.dirname(process.argv[1]), manifest.paths[0]));
    const model = await tf.loadLayersModel({load: async () => ({
        modelTopology: file.modelTopology, weightSpecs: manifest.weights,
        weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)})});
    const feeds = JSON.parse(fs.readFileSync(process.argv[2])).map(f => tf.tensor(f[2], f[1]));
    const outputs = [model.predict(feeds.length > 1 ? feeds : feeds[0])].flat();
    console.log(JSON.stringify(outputs.map(o => [o.name, o.shape, Array.from(o.dataSync())])));
})();
"""


def convnet(*arguments):
    result = subprocess.run([CONVNET, *arguments], capture_output=True, timeout=120, check=False)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def node(program, *arguments):
    """The program's answer; None if node or a package is not there."""
    package = program.split("require('")[1].split("'")[0]
    if shutil.which("node") is None or subprocess.run(
            ["node", "-e", "require('%s')" % package], capture_output=True,
            check=False).returncode != 0:
        print("node does not find %s" % package)
        return None
    result = subprocess.run(["node", "-e", program, "--", *arguments], capture_output=True,
                            timeout=120, check=False)
    check(result.returncode == 0, result.stderr.decode()[-600:])
    lines = result.stdout.decode().strip().split("\n")
    return json.loads(lines[-1]) if result.returncode == 0 else None


# ---- A network of many layers ----

def tensor(name):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def layer(class_name, name, config, *inputs):
    given = [tensor(x) for x in inputs] if len(inputs) > 1 else tensor(inputs[0]) if inputs else 0
    return {"class_name": class_name, "name": name, "config": dict(config, name=name),
            "inbound_nodes": [{"args": [given], "kwargs": {}}] if inputs else []}


LAYERS = [
    layer("InputLayer", "x", {"batch_shape": [None, 9, 10, 3]}),
    layer("Conv2D", "conv", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same",
                             "activation": "relu"}, "x"),
    layer("SeparableConv2D", "separable", {"filters": 5, "kernel_size": 3, "padding": "same"},
          "conv"),
    layer("BatchNormalization", "norm", {}, "separable"),
    layer("Unary", "leaky", {"function": "leaky_relu", "alpha": 0.2}, "norm"),
    layer("Conv2DTranspose", "turned", {"filters": 4, "kernel_size": 3, "strides": 2,
                                        "padding": "same", "activation": "tanh"}, "leaky"),
    layer("ZeroPadding2D", "pad", {"padding": [[1, 0], [0, 2]]}, "turned"),
    layer("Cropping2D", "crop", {"cropping": [[1, 1], [2, 1]]}, "pad"),
    layer("MaxPooling2D", "largest", {"pool_size": 2, "padding": "same"}, "crop"),
    layer("AveragePooling2D", "mean", {"pool_size": 3, "strides": 1, "padding": "same"}, "leaky"),
    layer("Concatenate", "both", {"axis": -1}, "largest", "mean"),
    layer("DepthwiseConv2D", "depthwise", {"kernel_size": 3, "padding": "same",
                                           "depth_multiplier": 2}, "both"),
    layer("UpSampling2D", "up", {"size": 2}, "depthwise"),
    layer("Add", "twice", {}, "up", "up"),
    layer("GlobalAveragePooling2D", "global", {}, "twice"),
    layer("Dense", "scores", {"units": 3, "activation": "softmax"}, "global"),
    layer("Permute", "across", {"dims": [2, 1, 3]}, "mean"),
    layer("Flatten", "flat", {}, "across"),
    layer("Dense", "numbers", {"units": 2}, "flat"),
]
WEIGHTS = {
    "conv/kernel": [3, 3, 3, 4], "conv/bias": [4], "separable/depthwise_kernel": [3, 3, 4, 1],
    "separable/pointwise_kernel": [1, 1, 4, 5], "separable/bias": [5], "norm/gamma": [5],
    "norm/beta": [5], "norm/moving_mean": [5], "norm/moving_variance": [5],
    "turned/kernel": [3, 3, 4, 5], "turned/bias": [4], "depthwise/depthwise_kernel": [3, 3, 9, 2],
    "depthwise/bias": [18], "scores/kernel": [18, 3], "scores/bias": [3],
    "numbers/kernel": [125, 2], "numbers/bias": [2]}


def write_model(path):
    dice = random.Random(7)
    header = {"__metadata__": {"format": "convnet/1", "architecture": json.dumps({
        "class_name": "Functional", "config": {
            "name": "many", "layers": LAYERS, "input_layers": [["x", 0, 0]],
            "output_layers": [["scores", 0, 0], ["numbers", 0, 0]]}})}}
    data = b""
    for name, shape in WEIGHTS.items():
        count = 1
        for size in shape:
            count *= size
        low = 0.5 if name.endswith("variance") else -0.5
        numbers = [dice.uniform(low, low + 1) for _ in range(count)]
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack("<%df" % count, *numbers)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + data)


# ---- The same numbers ----

def infer(model, feeds):
    """The outputs as (name, shape, numbers), from `feeds` of the same; None: made up."""
    name = os.path.splitext(os.path.basename(model))[0]
    with serving(model=model) as server:
        if feeds is None:
            dice = random.Random(1)
            meta = get_json(server, "/v2/models/" + name)[1]
            feeds = []
            for port in meta["inputs"]:
                shape = [2] + port["shape"][1:]
                count = 1
                for size in shape:
                    count *= size
                feeds.append([port["name"], shape, [dice.uniform(-1, 1) for _ in range(count)]])
        status, _, body = post_json(server, "/v2/models/%s/infer" % name, {"inputs": [
            {"name": n, "shape": s, "datatype": "FP32", "data": d} for n, s, d in feeds]})
        check(status == 200, body)
    return feeds, [(o["name"], o["shape"], o["data"]) for o in body["outputs"]]


def compare(what, got, expected, by_name=True):
    if got is None:
        return
    check(len(got) == len(expected), "%s: %d outputs" % (what, len(got)))
    for (name, shape, data), (other_name, other_shape, other) in zip(got, expected):
        check(not by_name or (name, shape) == (other_name, other_shape),
              "%s: %s %s, not %s %s" % (what, name, shape, other_name, other_shape))
        worst = max(abs(a - b) / max(1, abs(b)) for a, b in zip(data, other))
        check(len(data) == len(other) and worst <= TOLERANCE, "%s: %s is off by %g"
              % (what, name, worst))


def read_back(folder, source, feeds, expected):
    path = os.path.join(folder, "back.safetensors")
    code, _, err = convnet("import", source, "-o", path)
    check(code == 0, err)
    if code == 0:
        compare("read back from " + source, infer(path, feeds)[1], expected, False)


def test_model(folder, model):
    feeds, expected = infer(model, None)
    inputs, source = os.path.join(folder, "inputs.json"), os.path.join(folder, "m.onnx")
    with open(inputs, "w", encoding="ascii") as file:
        json.dump(feeds, file)
    code, out, err = convnet("export", model, "--format=onnx", "-o", source)
    check(code == 0 and "pictures by fit=" in out, out + err)
    if ONNX:
        read_back(folder, source, feeds, expected)
    compare("ONNX Runtime", node(RUN_ONNX, source, inputs), expected)
    source = os.path.join(folder, "model.json")
    code, _, err = convnet("export", model, "--format=tfjs", "-o", source)
    check(code == 0 and os.path.exists(os.path.join(folder, "model.weights.bin")), err)
    if IMPORTS:
        read_back(folder, source, feeds, expected)
    compare("TensorFlow.js", node(RUN_TFJS, source, inputs), expected, False)
    for end in (".keras", ".h5") if IMPORTS else ():
        source = os.path.join(folder, "m" + end)
        code, out, err = convnet("export", model, "--format=keras", "-o", source)
        check(code == 0 and "pictures by fit=" in out, out + err)
        read_back(folder, source, feeds, expected)


def test_temperature(folder):
    """A softmax that is calibrated stays so: the division is a layer or a node."""
    model = os.path.join(folder, "warm.safetensors")
    check(convnet("edit", MODEL, "-o", model, "--temperature=2.5")[0] == 0, "edit")
    test_model(folder, model)


# ---- The order of layers that Keras 3 counts by ----

def keras_order(config):
    """The names of a Functional model's layers as Keras sorts them: by depth, which is the longest
    way to an output, then as a search from the outputs meets them."""
    sources, calls, done, met, depth = {}, {}, [], [], {}

    def tensors(value):
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            yield tuple(value["config"]["keras_history"][:2])
        elif isinstance(value, list):
            for element in value:
                yield from tensors(element)

    for one in config["layers"]:
        calls[one["name"]] = max(1, len(one["inbound_nodes"]))
        for i in range(calls[one["name"]]):
            node = one["inbound_nodes"][i]["args"] if one["inbound_nodes"] else []
            sources[(one["name"], i)] = list(tensors(node))

    def search(call):
        if call in done:
            return
        if call[0] not in met:
            met.append(call[0])
        for source in sources[call]:
            search(source)
        done.append(call)

    ends = config["output_layers"]
    for end in ends if isinstance(ends[0], list) else [ends]:
        search((end[0], end[1]))
    deepest = {}
    for call in reversed(done):
        own = max(depth.get(call, 0), deepest.get(call[0], 0))
        depth[call] = deepest[call[0]] = own
        for source in sources[call]:
            depth[source] = max(depth.get(source, 0), own + 1)
    return sorted(met, key=lambda name: (-deepest[name], met.index(name)))


def test_order(folder, model):
    """The layers stand as Keras 3 sorts them, the weights under the numbers that this gives."""
    source = os.path.join(folder, "order.keras")
    code, _, err = convnet("export", model, "--format=keras", "-o", source)
    check(code == 0, err)
    with zipfile.ZipFile(source) as file:
        check(file.namelist() == ["metadata.json", "config.json", "model.weights.h5"],
              str(file.namelist()))
        config = json.loads(file.read("config.json"))["config"]
        hdf5 = file.read("model.weights.h5")
    names = [one["name"] for one in config["layers"]]
    check(names == keras_order(config), "%s, not %s" % (names, keras_order(config)))
    check(hdf5[:8] == b"\x89HDF\r\n\x1a\n", "no HDF5")
    again = os.path.join(folder, "again.keras")
    check(convnet("export", model, "--format=keras", "-o", again)[0] == 0, "export")
    with open(source, "rb") as first, open(again, "rb") as second:
        check(first.read() == second.read(), "the same model gave other bytes")


with tempfile.TemporaryDirectory() as place:
    many = os.path.join(place, "many.safetensors")
    write_model(many)
    test_model(place, many)
    digits = os.path.join(place, "digits.safetensors")
    check(convnet("edit", MODEL, "-o", digits, "--temperature=1")[0] == 0, "edit")
    test_model(place, digits)
    test_temperature(place)
    if IMPORTS:
        test_order(place, many)
sys.exit(finish())
