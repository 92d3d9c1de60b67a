#!/usr/bin/env python3
"""`convnet import` and `convnet edit`: each format gives the same network, models of other programs give the
numbers of the programs that trained them, and broken files give an error and nothing else. The models of other
programs are in ../shared/data/models, if that exists."""
import glob
import gzip
import io
import json
import os
import pickle
import resource
import struct
import sys
import tempfile
import types
import zipfile

from daemon import check, convnet, finish, serving
from wire import post_json

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir", os.path.join(TOP, "build"))
FILES = os.path.join(TOP, "tests", "data", "import")
SHARED = next((x for x in (os.path.join(TOP, *up, "shared", "data", "models")
                           for up in ([".."], ["..", ".."])) if os.path.isdir(x)), None)
MASK = (1 << 64) - 1
ONNX = os.path.exists(os.path.join(BUILD, "libonnx.la"))


def read_model(path):
    """(metadata, bytes of the tensors) of a model file."""
    with open(path, "rb") as file:
        content = file.read()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:8 + length])["__metadata__"], content[8 + length:]


def tfjs(folder, quantized):
    """The tiny model in TensorFlow.js's format, made of the imported one."""
    metadata, data = read_model(os.path.join(folder, "tiny.h5.safetensors"))
    names = [("conv/kernel", [3, 3, 2, 3]), ("conv/bias", [3]), ("bn/gamma", [3]), ("bn/beta", [3]),
             ("bn/moving_mean", [3]), ("bn/moving_variance", [3]), ("out/kernel", [27, 4]),
             ("out/bias", [4])]
    entries, shard, at = [], b"", 0
    for name, shape in names:
        count = 1
        for size in shape:
            count *= size
        values = struct.unpack("<%df" % count, data[at:at + 4 * count])
        at += 4 * count
        entry = {"name": name, "shape": shape, "dtype": "float32"}
        if quantized:
            low = min(values)
            scale = (max(values) - low) / 255 or 1
            entry["quantization"] = {"dtype": "uint8", "min": low, "scale": scale}
            shard += bytes(round((v - low) / scale) for v in values)
        else:
            shard += data[at - 4 * count:at]
        entries.append(entry)
    half = len(shard) // 2
    for number, part in enumerate((shard[:half], shard[half:])):
        with open(os.path.join(folder, "part%d.bin" % number), "wb") as file:
            file.write(part)
    path = os.path.join(folder, "model.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump({"format": "layers-model",
                   "modelTopology": {"model_config": json.loads(metadata["architecture"])},
                   "weightsManifest": [{"paths": ["part0.bin", "part1.bin"],
                                        "weights": entries}]}, file)
    return path


def test_formats(folder):
    architecture = "--architecture=" + os.path.join(FILES, "tiny.json")
    tensors = {}
    for name in ("tiny.h5", "first.h5", "tiny.keras", "twice.keras", "tiny.pth", "legacy.pth"):
        output = os.path.join(folder, name + ".safetensors")
        more = [architecture] if name.endswith(".pth") else []
        code, out, err = convnet("import", os.path.join(FILES, name), "-o", output, *more)
        check(code == 0 and "Written to" in out and err == "", "%s: %s%s" % (name, out, err))
        metadata, tensors[name] = read_model(output)
        check(len(json.loads(metadata["training"])["imported"]["sha256"]) == 64, name + ": checksum")
        check(name.endswith(".pth") or convnet("import", os.path.join(FILES, name), "--dry-run")[0]
              == 0, name + ": dry run")
    check(all(x == tensors["tiny.h5"] for name, x in tensors.items() if name != "first.h5"),
          "the formats' weights differ")
    # channels_first: the same numbers for the same picture, in the order of each file.
    picture = [[[(7 * y + 3 * x + 5 * c) % 11 / 11 for c in range(2)] for x in range(8)]
               for y in range(8)]
    last = [v for row in picture for pixel in row for v in pixel]
    first = [picture[y][x][c] for c in range(2) for y in range(8) for x in range(8)]
    answers = []
    for name, shape, values in (("tiny.h5", [1, 8, 8, 2], last), ("first.h5", [1, 2, 8, 8], first)):
        model = os.path.join(folder, "m.safetensors")
        os.replace(os.path.join(folder, name + ".safetensors"), model)
        with serving(model=model) as server:
            answers.append(infer(server, [("x", shape, values)])[0]["data"])
        os.replace(model, os.path.join(folder, name + ".safetensors"))
    check(all(abs(a - b) < 1e-6 for a, b in zip(*answers)), "channels_first: %s" % answers)
    # Keras 3's hard_sigmoid differs from Keras 2's.
    with zipfile.ZipFile(os.path.join(FILES, "tiny.keras")) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    for version, slope in (("2.15.0", 0.2), ("3.0.5", 1 / 6)):
        path = os.path.join(folder, "hard.keras")
        entries["config.json"] = entries["config.json"].replace(b'"relu"', b'"hard_sigmoid"')
        entries["metadata.json"] = json.dumps({"keras_version": version}).encode()
        with zipfile.ZipFile(path, "w") as file:
            for name, content in entries.items():
                file.writestr(name, content)
        code, _, err = convnet("import", path, "-o", path + ".out")
        functions = [x["config"] for x in json.loads(
            read_model(path + ".out")[0]["architecture"])["config"]["layers"]
            if x["config"].get("function") == "hard_sigmoid"] if code == 0 else []
        check(len(functions) == 1 and abs(functions[0]["alpha"] - slope) < 1e-6,
              "hard_sigmoid of %s: %s %s" % (version, functions, err))
    output = os.path.join(folder, "tfjs.safetensors")
    code, _, err = convnet("import", tfjs(folder, False), "-o", output)
    check(code == 0 and read_model(output)[1] == tensors["tiny.h5"], "TensorFlow.js: " + err)
    code, _, err = convnet("import", tfjs(folder, True), "-o", output)
    near = [abs(a - b) for a, b in zip(*(struct.unpack("<%df" % (len(x) // 4), x) for x in
                                         (read_model(output)[1], tensors["tiny.h5"])))]
    check(code == 0 and 0 < max(near) < 0.02, "quantized: %s %s" % (err, max(near)))
    code, out, _ = convnet("import", os.path.join(FILES, "tiny.h5"), "--dry-run", "--json")
    check(code == 0 and [x["class"] for x in json.loads(out)["layers"]] ==
          ["Conv2D", "BatchNormalization", "MaxPooling2D", "Flatten", "Dense"], "--json: " + out)


class Stub:
    """A pickled reference to a name in a module that does not exist here."""

    def __init__(self, module, name):
        parts = module.split(".")
        for i in range(1, len(parts) + 1):
            whole = ".".join(parts[:i])
            parent = sys.modules.setdefault(whole, types.ModuleType(whole))
        self.__module__, self.__name__, self.__qualname__ = module, name, name
        setattr(parent, name, self)

    def __call__(self, *arguments):
        raise AssertionError("a pickle called %s" % self.__name__)

    def __reduce__(self):
        return self.__qualname__


class Made:
    """The value that a call of a stub would return."""

    def __init__(self, stub, *arguments):
        self.reduced = stub, arguments

    def __reduce__(self):
        return self.reduced


class Storage:
    def __init__(self, key, data):
        self.key, self.data = key, data


class StatePickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", Stub("torch", "FloatStorage"), obj.key, "cpu", len(obj.data) // 4)
        return None


def write_state(path, wrap):
    """The weights of tiny.h5 as PyTorch has them, in the object that `wrap` makes of their dictionary."""
    tensors, storages = {}, []
    _, data = read_model(os.path.join(os.path.dirname(path), "tiny.h5.safetensors"))
    rebuild, at = Stub("torch._utils", "_rebuild_tensor_v2"), 0
    for name, shape in (("0.weight", (3, 3, 2, 3)), ("0.bias", (3,)), ("1.weight", (3,)),
                        ("1.bias", (3,)), ("1.running_mean", (3,)), ("1.running_var", (3,)),
                        ("4.weight", (27, 4)), ("4.bias", (4,))):
        steps = [1]
        for size in shape[:0:-1]:
            steps.insert(0, steps[0] * size)
        count = steps[0] * shape[0]
        storages.append(Storage(str(len(storages)), data[at:at + 4 * count]))
        at += 4 * count
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(shape)]
        if name == "4.weight": # the rows of the kernel by channels, rows, columns
            values = struct.unpack("<108f", storages[-1].data)
            storages[-1].data = struct.pack("<108f", *[values[(p * 3 + c) * 4 + o] for c in range(3)
                                                       for p in range(9) for o in range(4)])
        tensors[name] = Made(rebuild, storages[-1], 0, tuple(shape[i] for i in order),
                             tuple(steps[i] for i in order), False, {})
    with zipfile.ZipFile(path, "w") as file:
        buffer = io.BytesIO()
        StatePickler(buffer, 2).dump(wrap(tensors))
        file.writestr("archive/data.pkl", buffer.getvalue())
        for storage in storages:
            file.writestr("archive/data/" + storage.key, storage.data)
    return path


def test_state_habits(folder):
    """The objects that training programs store around the weights and beside them."""
    scalar = Made(Stub("numpy.core.multiarray", "scalar"), Made(Stub("numpy", "dtype"), "f8"), b"12")
    habits = {
        "plain": lambda t: t,
        "module": lambda t: {"state_dict": {"module." + k: v for k, v in t.items()}, "epoch": 3},
        "nested": lambda t: {"model": {"state_dict": t}, "optimizer": {"state": dict(t)}},
        "beside": lambda t: {"net": t, "acc": t["0.bias"], "loss": scalar, "seen": {1, 2},
                             "best": t["4.bias"]},
        "backbone": lambda t: {"backbone.features." + k: v for k, v in t.items()},
        "prefixed": lambda t: {"a.%s" % {"0": "conv", "1": "bn", "4": "out"}[k[0]] + k[1:]: v
                               for k, v in reversed(t.items())},
    }
    _, expected = read_model(os.path.join(folder, "tiny.h5.safetensors"))
    for name, wrap in habits.items():
        path = write_state(os.path.join(folder, "habit.pth"), wrap)
        code, _, err = convnet("import", path, "-o", path + ".out", "--architecture=" +
                               os.path.join(FILES, "tiny.json"))
        check(code == 0 and read_model(path + ".out")[1] == expected, "%s: %s" % (name, err))
        if code == 0:
            os.remove(path + ".out")
    path = write_state(os.path.join(folder, "whole.pth"),
                       lambda t: Made(Stub("torch.nn.modules.container", "Sequential"), t))
    refused(path, "torch.save(model.state_dict()")


def test_order(folder):
    """Modules with weights of the same shapes: told apart by names and order, or refused."""
    sizes = [3, 4, 4, 4, 2]
    architecture = written(folder, "chain.json", json.dumps({"class_name": "Sequential", "config": [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3]}}, *[
            {"class_name": "Dense", "config": {"name": "l%s" % x, "units": sizes[i + 1]}}
            for i, x in enumerate("abcd")]]}).encode())

    def state(names, order, tensors=("weight", "bias")):
        """A file of layers 0 to 3 by these names, whose numbers are the layers', in this order."""
        head, data = {}, b""
        for k in order:
            for tensor in tensors:
                shape = [sizes[k + 1], sizes[k]] if tensor == "weight" else [sizes[k + 1]]
                content = struct.pack("<f", k + 1) * (sizes[k + 1] * (sizes[k] if shape[1:] else 1))
                head["%s.%s" % (names[k], tensor)] = {
                    "dtype": "F32", "shape": shape,
                    "data_offsets": [len(data), len(data) + len(content)]}
                data += content
        text = json.dumps(head).encode()
        return written(folder, "order.safetensors", struct.pack("<Q", len(text)) + text + data)

    numbers, words = ["f.1", "f.2", "f.10", "f.11"], ["in", "one", "two", "out"]
    right = b"".join(struct.pack("<f", k + 1) * (sizes[k + 1] * (sizes[k] + 1)) for k in range(4))
    by_name = ("bias", "weight")
    for names, order, tensors, warns in (
            (words, (0, 1, 2, 3), ("weight", "bias"), False),
            (numbers, (0, 1, 2, 3), ("weight", "bias"), False),
            (["f.9", "f.8", "f.7", "f.6"], (0, 1, 2, 3), ("weight", "bias"), False),
            (numbers, (3, 2, 1, 0), ("weight", "bias"), False),
            (numbers, (0, 2, 3, 1), by_name, False), # sorted: f.1, f.10, f.11, f.2
            (words, (0, 3, 1, 2), ("weight", "bias"), True),
            (["net.l" + x for x in "abcd"], (1, 2, 3, 0), ("weight", "bias"), False),
            (["x.la", "lb", "x.lb", "lc"], (3, 0, 2, 1), ("weight", "bias"), False)):
        path = state(names, order, tensors)
        code, out, err = convnet("import", path, "-o", path + ".out", "--architecture",
                                 architecture)
        check(code == 0 and read_model(path + ".out")[1] == right and
              ("warning: " in out) == warns, "%s %s: %s%s" % (names, order, out, err))
    for names, order, tensors in ((words, (3, 2, 1, 0), ("weight", "bias")),
                                  (["a", "c", "b", "d"], (0, 2, 1, 3), by_name),
                                  (["f.1", "f.5", "f.3", "f.7"], (0, 3, 1, 2), ("weight", "bias"))):
        path = state(names, order, tensors)
        if os.path.exists(path + ".out"):
            os.remove(path + ".out")
        refused(path, "have weights of the same shapes, and their order", "--architecture",
                architecture)


def test_edit(folder):
    model, output = os.path.join(folder, "tiny.h5.safetensors"), os.path.join(folder, "edited")
    labels = os.path.join(folder, "labels.txt")
    with open(labels, "w", encoding="utf-8") as file:
        file.write("cat\ndog\r\nhen, brown\nfox\n")
    for argument, expected in ((labels, ["cat", "dog", "hen, brown", "fox"]),
                             ("a, b,c,d", ["a", "b", "c", "d"])):
        code, _, err = convnet("edit", model, "-o", output, "--labels", argument,
                               "--temperature=2")
        metadata, tensors = read_model(output)
        check(code == 0 and json.loads(metadata["labels"]) == expected, "labels: " + err)
        check(tensors == read_model(model)[1], "edit changed the weights")
        check(json.loads(metadata["calibration"])["temperature"] == 2, "temperature")
    for wrong in (["--labels=a,b"], ["--preprocessing=fit=round"], ["--temperature=0"]):
        code, _, err = convnet("edit", model, "-o", output, *wrong)
        check(code != 0 and err.startswith("convnet: edit: "), "%s: %s" % (wrong, err))


def refused(path, words, *more):
    code, out, err = convnet("import", path, "-o", path + ".out", *more)
    check(code == 1 and err.startswith("convnet: import: ") and words in err and out == "" and
          not os.path.exists(path + ".out"), "%s: %s %s" % (path, code, err[:300]))


def written(folder, name, content):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def test_refusals(folder):
    refused(written(folder, "m.tflite", b"\x1c\0\0\0TFL3" + bytes(64)), "tf2onnx.convert --tflite")
    refused(written(folder, "x.bin", b"nothing known at all"), "not a known model file")
    refused(os.path.join(FILES, "tiny.pth"), "--architecture")
    architecture = json.load(open(os.path.join(FILES, "tiny.json"), encoding="ascii"))
    for name in ("one", "two"):
        architecture["config"]["layers"].insert(2, {"class_name": "LSTM",
                                                    "config": {"name": name, "units": 3}})
    path = written(folder, "lstm.json", json.dumps(architecture).encode())
    refused(os.path.join(FILES, "tiny.pth"), 'layer "one" is a LSTM', "--architecture=" + path)
    refused(os.path.join(FILES, "tiny.pth"), 'layer "two" is a LSTM', "--architecture=" + path)
    # Settings, in whichever layers: all of them in one message, beside the classes.
    layers = architecture["config"]["layers"]
    layers[-1]["config"]["activation"] = "sparsemax"
    layers.insert(2, {"class_name": "MaxPooling2D",
                      "config": {"name": "three", "pool_size": 2, "padding": "odd"}})
    words = ['layer "one" is a LSTM', 'layer "three": padding is "odd"', 'activation is "sparsemax"']
    for count in (4, 2):
        path = written(folder, "settings.json", json.dumps(architecture).encode())
        for word in words + ["%d parts are not supported" % count]:
            refused(os.path.join(FILES, "tiny.pth"), word, "--architecture=" + path)
        layers[:] = [layer for layer in layers if layer["class_name"] != "LSTM"]
        words = words[1:]
    layers[:] = [layer for layer in layers if layer["config"].get("name") != "three"]
    path = written(folder, "setting.json", json.dumps(architecture).encode())
    _, _, err = convnet("import", os.path.join(FILES, "tiny.pth"), "--dry-run", "--architecture=" + path)
    check(err.count("sparsemax") == 1, "one setting is named once: %s" % err)
    for argument in (["info", os.path.join(FILES, "tiny.h5")],
                     ["predict", "--model=" + os.path.join(FILES, "tiny.keras"), "-"]):
        code, _, err = convnet(*argument)
        check(code == 1 and "convnet import tiny." in err, "%s: %s" % (argument, err))
    # Pickles that call functions, in both formats of PyTorch's files.
    calls = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."
    path = os.path.join(folder, "calls.pth")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", calls)
    refused(path, "refers to os.system")
    refused(written(folder, "calls.legacy", calls), "refers to os.system")
    path = os.path.join(folder, "bomb.pth")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", bytes(200 << 20))
    refused(path, "the limit is")
    for shape, words in (([1 << 31, 1 << 31], "elements"), ([1 << 31], "can hold"),
                         ([1 << 63 - 1, 4], "elements")):
        head = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}).encode()
        refused(written(folder, "big.st", struct.pack("<Q", len(head)) + head + bytes(4)), words)
    for name in ("../secret", "/etc/passwd", "a/../../b"):
        text = {"modelTopology": {"model_config": architecture},
                "weightsManifest": [{"paths": [name], "weights": []}]}
        refused(written(folder, "outside.json", json.dumps(text).encode()), "below the model's own")


def test_broken(folder):
    """Files that are cut, or have single bytes changed: an error or a model, never a crash."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for name in ("tiny.h5", "tiny.keras", "tiny.pth", "legacy.pth"):
        with open(os.path.join(FILES, name), "rb") as file:
            whole = file.read()
        more = ["--architecture=" + os.path.join(FILES, "tiny.json")] if "pth" in name else []
        cut = [whole[:len(whole) * i // 200] for i in range(0, 200, 10)]
        for i in range(0, len(whole), max(1, len(whole) // 40)):
            cut.append(whole[:i] + bytes([(whole[i] + 1) % 256]) + whole[i + 1:])
        for number, content in enumerate(cut):
            path = written(folder, "broken-" + name, content)
            code, _, err = convnet("import", path, "--dry-run", *more)
            check(code in (0, 1) and (code == 0 or err.startswith("convnet: import: ")),
                  "%s, %d: %s %s" % (name, number, code, err[:200]))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    check(peak < 512 << 10, "an import took %d KiB" % peak)
    print("broken files: %.1f s of processor" % (
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime))


# ---- Models of other programs, with reference outputs ----

def noise(count, seed):
    values, state = [], seed
    for _ in range(count):
        state = state + 0x9E3779B97F4A7C15 & MASK
        z = state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        values.append(((z ^ z >> 31) >> 40) / 16777216)
    return values


def agree(name, got, expected):
    worst = max((abs(a - b) / (1e-4 + 1e-3 * abs(b)) for a, b in zip(got, expected)), default=9)
    check(len(got) == len(expected) and worst <= 1, "%s: %.3g times the tolerance" % (name, worst))
    return worst


def infer(server, inputs):
    """The outputs for one sample; inputs: (name, shape with the batch, numbers)."""
    status, _, body = post_json(server, "/v2/models/m/infer", {"inputs": [
        {"name": name, "shape": shape, "datatype": "FP32", "data": values}
        for name, shape, values in inputs]})
    check(status == 200, "%s: %s" % (inputs[0][:2], str(body)[:300]))
    return body["outputs"] if status == 200 else []


def compare(name, outputs, expected, k):
    """The largest difference between the outputs and those of a reference's sample k."""
    worst = 0
    check([len(o["data"]) for o in outputs] == [o["count"] for o in expected], name + ": outputs")
    for got, reference in zip(outputs, expected):
        check(got["shape"] == reference["shape"], "%s: %s %s" % (name, got["shape"],
                                                                 reference["shape"]))
        if "values" in reference:
            worst = max(worst, agree(name, got["data"], reference["values"][k]))
        if "strided" in reference:
            count, parts = reference["count"], reference["strided_count"]
            worst = max(worst, agree(name, [got["data"][i * count // parts] for i in range(parts)],
                                     reference["strided"][k]))
    return worst


def try_model(folder, path, cases, *options):
    """Imports the file and compares its outputs; `cases`: (inputs, reference outputs, k)."""
    model = os.path.join(folder, "m.safetensors")
    code, _, err = convnet("import", path, "-o", model, *options)
    check(code == 0, "%s: not imported: %s" % (path, err))
    if code != 0:
        return
    with serving(model=model) as server:
        worst = max(compare(path, infer(server, inputs), expected, k) for inputs, expected, k in cases)
    print("%s: at most %.3g times the tolerance" % (path[len(SHARED) + 1:], worst))


def reference_input(port, k):
    count = 1
    for size in port["used"]:
        count *= size
    return (port["name"], port["used"],
            [v * port["scale"] + port["shift"] for v in noise(count, k + 1 + 100 * port["m"])])


def test_shared(folder):
    if SHARED is None:
        print("no ../shared/data/models: the models of others are left out")
        return
    with gzip.open(os.path.join(TOP, "tests", "data", "mnist-sample",
                                "t10k-images-idx3-ubyte.gz")) as file:
        pixels = file.read()[16:]
    scalings = {"x/255": lambda x: x / 255, "(x-.1307)/.3081": lambda x: (x / 255 - .1307) / .3081}
    for name in ("07subhadip-cnn.keras", "07subhadip-mlp.keras", "purinat33-cnn.h5",
                 "aslamplr-tfjs/model.json", "andreygermanov.onnx", "ruiyangju.onnx",
                 "webonnx-opt.onnx", "xboot-mnist8.onnx"):
        if name.endswith(".onnx") and not ONNX:
            continue
        stem = os.path.dirname(name) or os.path.splitext(name)[0]
        with open(os.path.join(SHARED, "reference", stem + ".json"), encoding="utf-8") as file:
            reference = json.load(file)
        scale = scalings.get(reference["best_scaling"], lambda x: x)
        outputs = [{"count": 10, "shape": [1, 10], "values": reference["outputs_first10"]}]
        try_model(folder, os.path.join(SHARED, name), [
            ([("x", [1, 784], [scale(x) for x in pixels[784 * i:784 * i + 784]])], outputs, i)
            for i in range(10)])
    test_state_dicts(folder, pixels)
    for path in sorted(glob.glob(os.path.join(SHARED, "general", "reference", "*.json"))):
        with open(path, encoding="utf-8") as file:
            reference = json.load(file)
        source = os.path.join(SHARED, "general", reference["file"])
        if "refuse" in reference:
            refused_by_name(source)
        if not reference.get("inputs") or source.endswith(".th"):
            continue
        if source.endswith(".onnx") and not ONNX:
            continue
        ports, options = reference["inputs"], []
        for port in ports:
            if any(not isinstance(size, int) for size in port["shape"][1:]):
                options.append("--input-shape=%s=%s" % (port["name"],
                                                        ",".join(map(str, port["used"]))))
        try_model(folder, source, [([reference_input(port, k) for port in ports],
                                    reference["outputs"], k) for k in range(2)], *options)


def layer(kind, name, *inputs, **config):
    """A layer of a Functional model; an input is a layer's name."""
    return {"class_name": kind, "name": name, "config": {"name": name, **config},
            "inbound_nodes": [[[i, 0, 0, {}] for i in inputs]] if inputs else []}


def functional(layers, output):
    return {"class_name": "Functional", "config": {
        "name": "net", "layers": layers, "input_layers": [[layers[0]["name"], 0, 0]],
        "output_layers": [[output, 0, 0]]}}


def resnet20():
    """The form of akamaster: shortcuts take every other pixel and add channels of zeros."""
    layers = [layer("InputLayer", "x", batch_input_shape=[None, 32, 32, 3])]

    def add(kind, name, *inputs, **config):
        layers.append(layer(kind, name, *inputs, **config))
        return name

    def convolution(name, value, filters, stride):
        if stride > 1:
            value = add("ZeroPadding2D", name + "_pad", value, padding=1)
        value = add("Conv2D", name, value, filters=filters, kernel_size=3, strides=stride,
                    padding="valid" if stride > 1 else "same", use_bias=False)
        return add("BatchNormalization", name.replace("conv", "bn"), value, epsilon=1e-5)

    value = add("ReLU", "r", convolution("conv1", "x", 16, 1))
    for stage, filters in enumerate((16, 32, 64), 1):
        for block in range(3):
            stem = "layer%d_%d_" % (stage, block)
            stride = 2 if stage > 1 and block == 0 else 1
            inner = add("ReLU", stem + "r", convolution(stem + "conv1", value, filters, stride))
            inner = convolution(stem + "conv2", inner, filters, 1)
            if stride > 1: # permutes the channels to an axis that can be padded, and back
                value = add("MaxPooling2D", stem + "s", value, pool_size=1, strides=2)
                value = add("Permute", stem + "p", value, dims=[1, 3, 2])
                value = add("ZeroPadding2D", stem + "z", value,
                            padding=[[0, 0], [filters // 4, filters // 4]])
                value = add("Permute", stem + "q", value, dims=[1, 3, 2])
            value = add("ReLU", stem + "o", add("Add", stem + "a", inner, value))
    value = add("GlobalAveragePooling2D", "g", value)
    return functional(layers, add("Dense", "linear", value, units=10))


def digit_readers():
    """(file, architecture) of two state dicts that read digits."""
    def chain(*layers):
        made = [layer("InputLayer", "x", batch_input_shape=[None, 28, 28, 1])]
        for number, (kind, config) in enumerate(layers):
            made.append(layer(kind, "l%d" % number, made[-1]["name"], **config))
        return functional(made, made[-1]["name"])
    pool = ("MaxPooling2D", {"pool_size": 2})
    relu = ("ReLU", {})
    yield "hui-hwoo.pth", chain(
        ("Conv2D", {"filters": 10, "kernel_size": 5}), pool, relu,
        ("Conv2D", {"filters": 20, "kernel_size": 5}), pool, relu, ("Flatten", {}),
        ("Dense", {"units": 50, "activation": "relu"}),
        ("Dense", {"units": 10, "activation": "log_softmax"}))
    yield "ruiyangju.pth", chain(
        ("Conv2D", {"filters": 32, "kernel_size": 3, "activation": "relu"}), pool, ("Flatten", {}),
        ("Dense", {"units": 10}))


def test_state_dicts(folder, pixels):
    """The shared state dicts with architectures as Keras JSON."""
    path = os.path.join(SHARED, "general", "reference", "torch_akamaster_resnet20-12fca82f.th.json")
    with open(path, encoding="utf-8") as file:
        reference = json.load(file)
    architecture = written(folder, "net.json", json.dumps(resnet20()).encode())
    port = dict(reference["inputs"][0])

    def sample(k): # the reference's input is channels first, this network's channels last
        values = reference_input(port, k)[2]
        return [values[1024 * c + i] for i in range(1024) for c in range(3)]
    try_model(folder, os.path.join(SHARED, "general", reference["file"]),
              [([("x", [1, 32, 32, 3], sample(k))], reference["outputs"], k) for k in range(2)],
              "--architecture=" + architecture)
    with gzip.open(os.path.join(TOP, "tests", "data", "mnist-sample",
                                "t10k-labels-idx1-ubyte.gz")) as file:
        labels = file.read()[8:]
    for name, described in digit_readers():
        model = os.path.join(folder, "m.safetensors")
        architecture = written(folder, "net.json", json.dumps(described).encode())
        code, _, err = convnet("import", os.path.join(SHARED, name), "-o", model,
                               "--architecture=" + architecture)
        check(code == 0, "%s: %s" % (name, err))
        with serving(model=model) as server:
            scales = {"x/255": lambda x: x / 255, "normalised": lambda x: (x / 255 - .1307) / .3081}
            right = {scale: sum(
                max(range(10), key=infer(server, [("x", [1, 784], [
                    scales[scale](x) for x in pixels[784 * i:784 * i + 784]])])[0][
                        "data"].__getitem__) == labels[i] for i in range(50)) for scale in scales}
        check(max(right.values()) >= 48, "%s reads %s of 50" % (name, right))
        print("%s reads %s of 50" % (name, right))


def refused_by_name(path):
    code, _, err = convnet("import", path, "--dry-run")
    check(code == 1 and "TensorFlow Lite" in err, "%s: %s" % (path, err))


if not os.path.exists(os.path.join(BUILD, "convnet-import")):
    print("built with --disable-import")
    sys.exit(77)
with tempfile.TemporaryDirectory() as place:
    test_formats(place)
    test_state_habits(place)
    test_order(place)
    test_edit(place)
    test_refusals(place)
    test_broken(place)
    test_shared(place)
sys.exit(finish())
