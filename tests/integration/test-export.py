#!/usr/bin/env python3
"""`convnet export`: the written file gives the same numbers as the model, when `convnet import` reads it back,
and with ONNX Runtime and TensorFlow.js if node finds onnxruntime-node and @tensorflow/tfjs (NODE_PATH)."""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile

from layer_cases import CASES, layer, write_case, write_model
from daemon import BUILD, MODEL, check, convnet, finish, serving
from wire import get_json, post_json

IMPORTS = os.path.exists(os.path.join(BUILD, "convnet-import"))
ONNX = IMPORTS and os.path.exists(os.path.join(BUILD, "libonnx.la"))
TOLERANCE = 1e-6
MOST_MODELS = 60

RUN_ONNX = """
const ort = require('onnxruntime-node'), fs = require('fs');
const run = async (source, inputs) => {
    const session = await ort.InferenceSession.create(source, {intraOpNumThreads: 1});
    const feeds = {};
    for (const [name, shape, data] of inputs)
        feeds[name] = new ort.Tensor('float32', Float32Array.from(data), shape);
    const outputs = await session.run(feeds);
    return session.outputNames.map(
        name => [name, outputs[name].dims, Array.from(outputs[name].data)]);
};
(async () => {
    const answers = [];
    for (const [source, inputs] of JSON.parse(fs.readFileSync(process.argv[1])))
        answers.push(await run(source, inputs).catch(error => error.message));
    console.log(JSON.stringify(answers));
})();
"""
RUN_TFJS = """
const tf = require('@tensorflow/tfjs'), fs = require('fs'), path = require('path');
const run = async (source, inputs) => {
    const file = JSON.parse(fs.readFileSync(source)), manifest = file.weightsManifest[0];
    const bytes = fs.readFileSync(path.join(path.dirname(source), manifest.paths[0]));
    const model = await tf.loadLayersModel({load: async () => ({
        modelTopology: file.modelTopology, weightSpecs: manifest.weights,
        weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)})});
    const feeds = inputs.map(f => tf.tensor(f[2], f[1]));
    const outputs = [model.predict(feeds.length > 1 ? feeds : feeds[0])].flat();
    return outputs.map(o => [o.name, o.shape, Array.from(o.dataSync())]);
};
(async () => {
    const answers = [];
    for (const [source, inputs] of JSON.parse(fs.readFileSync(process.argv[1])))
        answers.push(await run(source, inputs).catch(error => error.message));
    console.log(JSON.stringify(answers));
})();
"""


def node(program, pairs):
    """The answers of the program to pairs of a file and its inputs: outputs, or an error; a list of None
    without node or the package."""
    package = program.split("require('")[1].split("'")[0]
    if shutil.which("node") is None or subprocess.run(
            ["node", "-e", "require('%s')" % package], capture_output=True,
            check=False).returncode != 0:
        print("node does not find %s" % package)
        return [None] * len(pairs)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(pairs, file)
        file.flush()
        result = subprocess.run(["node", "-e", program, "--", file.name], capture_output=True,
                                timeout=300, check=False)
    check(result.returncode == 0, result.stderr.decode()[-600:])
    lines = result.stdout.decode().strip().split("\n")
    return json.loads(lines[-1]) if result.returncode == 0 else [None] * len(pairs)


# ---- A network of many layers ----

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


# ---- The same numbers ----

def infer_all(folder, feeds):
    """The answers of the models of a folder: {name: (feeds, outputs)}, each a list of (name, shape, numbers).
    `feeds` has the inputs of some models; the inputs of the others are generated."""
    answers, names = {}, sorted(os.listdir(folder))
    for first in range(0, len(names), MOST_MODELS):
        with tempfile.TemporaryDirectory() as part:
            for name in names[first:first + MOST_MODELS]:
                shutil.copy(os.path.join(folder, name), part)
            answers.update(infer_part(part, feeds))
    return answers


def infer_part(folder, feeds):
    """infer_all for as many models as one daemon serves."""
    answers = {}
    with serving("--model-dir=" + folder, model=None) as server:
        for entry in get_json(server, "/v2/models")[1]["models"]:
            name = entry if isinstance(entry, str) else entry["name"]
            given = feeds.get(name)
            if given is None:
                dice = random.Random(1)
                given = []
                meta = get_json(server, "/v2/models/" + name)[1]
                check("inputs" in meta, "%s: %s" % (name, meta))
                for port in meta.get("inputs", []):
                    shape = [2] + port["shape"][1:]
                    count = 1
                    for size in shape:
                        count *= size
                    given.append([port["name"], shape,
                                  [dice.uniform(-1, 1) for _ in range(count)]])
            status, _, body = post_json(server, "/v2/models/%s/infer" % name, {"inputs": [
                {"name": n, "shape": s, "datatype": "FP32", "data": d} for n, s, d in given]})
            check(status == 200, "%s: %s" % (name, body))
            answers[name] = (given, [(o["name"], o["shape"], o["data"])
                                     for o in body.get("outputs", [])])
    return answers


def compare(what, got, expected, by_name=True):
    if got is None:
        return
    if isinstance(got, str):
        check(False, "%s: %s" % (what, got))
        return
    check(len(got) == len(expected), "%s: %d outputs" % (what, len(got)))
    for (name, shape, data), (other_name, other_shape, other) in zip(got, expected):
        check(not by_name or (name, shape) == (other_name, other_shape),
              "%s: %s %s, not %s %s" % (what, name, shape, other_name, other_shape))
        worst = max((abs(a - b) / max(1, abs(b)) for a, b in zip(data, other)), default=0)
        check(len(data) == len(other) and worst <= TOLERANCE, "%s: %s is off by %g"
              % (what, name, worst))


# ---- Every model in every format ----

FORMATS = {"onnx": ["--format=onnx", ".onnx"], "keras": ["--format=keras", ".keras"],
           "h5": ["--format=keras", ".h5"], "tfjs": ["--format=tfjs", ".json"]}


def export_one(folder, name, kind, extent, class_name):
    """The file, or None if the format does not have the layer, which the message names."""
    option, end = FORMATS[kind]
    source = os.path.join(folder, name + "-" + kind + end)
    code, out, err = convnet("export", os.path.join(folder, "models", name + ".safetensors"),
                             option, "-o", source)
    if code == 0:
        check(extent != "no" and "pictures by fit=" in out, "%s %s: %r %r" % (name, kind, out, err))
        return source
    check(extent != "yes" and not os.path.exists(source) and err.count("\n") == 1 and
          ('layer "y" is a %s' % class_name) in err, "%s %s: %d %r %r" % (name, kind, code, out, err))
    return None


def test_models(folder, extents):
    """Exports each model of the folder "models" in each format: `extents` has by its name what each format has
    of it, and the class that is refused otherwise."""
    back = os.path.join(folder, "back")
    os.mkdir(back)
    answers = infer_all(os.path.join(folder, "models"), {})
    check(sorted(answers) == sorted(extents), "models are missing: %s" % (set(answers) ^ set(extents)))
    feeds, seen = {}, {}
    for kind in FORMATS:
        if kind in ("keras", "h5") and not IMPORTS:
            continue
        sources = {}
        for name, (given, class_name) in extents.items():
            source = export_one(folder, name, kind, given[kind], class_name)
            seen.setdefault((class_name, kind, given[kind]), set()).add(source is not None)
            if source is not None:
                sources[name] = source
        pairs = [[source, answers[name][0]] for name, source in sources.items()]
        if kind in ("onnx", "tfjs"):
            outputs = node(RUN_ONNX if kind == "onnx" else RUN_TFJS, pairs)
            for name, got in zip(sources, outputs):
                compare(name + " by " + kind, got, answers[name][1], kind == "onnx")
        for name, source in sources.items() if IMPORTS and (ONNX or kind != "onnx") else ():
            target = name + "-" + kind
            code, _, err = convnet("import", source, "-o",
                                   os.path.join(back, target + ".safetensors"))
            check(code == 0, "%s: %s" % (source, err))
            feeds[target] = name
    for key, done in seen.items():
        check(key[2] != "some" or done == {True, False}, "%s: not both done and refused" % (key,))
    if not feeds:
        return
    # By position, because other formats have other names for their inputs.
    renamed = {}
    for target, name in feeds.items():
        renamed[target] = answers[name][0]
    for target, (_, got) in infer_all(back, renamed).items():
        compare("read back " + target, got, answers[feeds[target]][1], False)


def layer_models(folder, extents):
    """A model per case of each row of THE table of layers."""
    code, out, err = convnet("layers", "--json")
    check(code == 0, err)
    rows = json.loads(out)
    check({row["name"] for row in rows} == set(CASES),
          "layer_cases.py lacks %s" % ({row["name"] for row in rows} ^ set(CASES)))
    for row in rows:
        for i, case in enumerate(CASES.get(row["name"], [])):
            name = "%s-%d" % (row["name"], i)
            write_case(os.path.join(folder, name + ".safetensors"), row["name"], case)
            extents[name] = (row["export"], row["name"])


# ---- The order in which Keras 3 numbers layers ----

def keras_order(config):
    """The names of a Functional model's layers as Keras sorts them: by depth, which is the longest path to an
    output, then in the order in which a search from the outputs finds them."""
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
    """The layers are in Keras 3's order, and the weights have the numbers of this order."""
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
    ALL = dict.fromkeys(FORMATS, "yes")
    models = os.path.join(place, "models")
    os.mkdir(models)
    write_model(os.path.join(models, "many.safetensors"), LAYERS, ["x"], ["scores", "numbers"],
                WEIGHTS)
    # A calibrated softmax stays calibrated: the division becomes a layer or a node, also where the softmax
    # is in a layer that becomes several.
    sequence = os.path.join(place, "sequence.safetensors")
    write_case(sequence, "SeparableConv1D", (
        [[4, 3]], {"filters": 5, "kernel_size": 4, "activation": "softmax"},
        {"depthwise_kernel": [4, 3, 1], "pointwise_kernel": [1, 3, 5], "bias": [5]}))
    for label, source_, temperature in (("digits", MODEL, 1), ("warm", MODEL, 2.5),
                                        ("sequence", sequence, 2.5)):
        code_, _, err_ = convnet("edit", source_, "-o", os.path.join(models, label + ".safetensors"),
                                 "--temperature=%g" % temperature)
        check(code_ == 0, err_)
    of_models = {label: (ALL, "none") for label in ("many", "digits", "warm", "sequence")}
    layer_models(models, of_models)
    test_models(place, of_models)
    if IMPORTS:
        test_order(place, os.path.join(models, "many.safetensors"))
sys.exit(finish())
