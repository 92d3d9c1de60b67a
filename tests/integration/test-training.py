#!/usr/bin/env python3
"""`convnet train` with typical data and within its memory limit: pictures with a labels.csv, weights of
samples and classes, an imported network with a new head, data larger than memory, the epoch that is kept,
metrics per epoch, the report, a narrow terminal, and a folder of JPEGs."""
import array
import csv
import fcntl
import gzip
import hashlib
import json
import os
import pty
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import zipfile

from daemon import CONVNET, check, convnet, finish

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir", os.path.join(TOP, "build"))
SANITIZED = os.environ.get("sanitizer", "no") not in ("", "no")
PATIENCE = 240
MEBIBYTE = 1 << 20


def noise(number, size):
    return hashlib.shake_128(b"%d" % number).digest(size)


def network(path, side, classes, strides=2):
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": [None, side, side, 1]}},
              {"class_name": "Conv2D", "config": {"name": "c", "filters": 4, "kernel_size": [4, 4],
                                                  "strides": [strides, strides], "activation": "relu"}},
              {"class_name": "GlobalAveragePooling2D", "config": {"name": "g"}},
              {"class_name": "Dense", "config": {"name": "d", "units": classes,
                                                 "activation": "softmax"}}]
    with open(path, "w", encoding="ascii") as file:
        json.dump({"class_name": "Sequential", "config": {"name": "n", "layers": layers}}, file)


def train(folder, *more, preexec=None):
    return convnet("train", "--architecture", os.path.join(folder, "net.json"), "--optimizer", "adam",
                   "--loss", "categorical_crossentropy", "--threads", "2", *more, preexec=preexec)


def checksum(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


# ---- Regularizers ----

def regularized(folder):
    """As in Keras, val_loss and evaluate's loss contain what the regularizers add."""
    data, model = os.path.join(TOP, "tests", "data", "mnist-sample"), os.path.join(folder, "l2.st")
    history = os.path.join(folder, "l2.csv")
    layers = [{"class_name": "Flatten", "config": {"name": "f", "batch_input_shape": [None, 28, 28, 1]}},
              {"class_name": "Dense", "config": {
                  "name": "d", "units": 10, "activation": "softmax",
                  "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.5}}}}]
    with open(os.path.join(folder, "net.json"), "w", encoding="ascii") as file:
        json.dump({"class_name": "Sequential", "config": {"name": "n", "layers": layers}}, file)
    code, _, said = train(folder, "--data", data, "--output", model, "--epochs", "1", "--history", history,
                          "--validation-split", "0.2")
    check(code == 0, "training with a regularizer: %s" % said)
    kernel = array.array("f", tensors_of(model)["d/kernel"])
    penalty = 0.5 * sum(w * w for w in kernel)
    with open(history, encoding="ascii") as file:
        row = next(csv.DictReader(file))
    check(float(row["val_loss"]) > penalty > 1, "val_loss contains %g: %s" % (penalty, row))
    code, out, said = convnet("evaluate", "--model", model, "--data", data, "--json")
    result = json.loads(out)
    check(abs(result["regularization"] - penalty) < 1e-5 * penalty, "%s and not %g" % (out, penalty))
    code, plain, said = convnet("evaluate", "--model", model, "--data", data)
    check(code == 0 and "%.6f of it from the regularizers" % penalty in plain, "evaluate: %s" % plain)
    check(result["loss"] > penalty and "%.6f" % result["loss"] in plain, "its loss contains it: %s" % out)


# ---- Rows of the training images ----

def rows(folder):
    """--augment row takes neighbours from the training images, in train and in augment."""
    data = os.path.join(TOP, "tests", "data", "mnist-sample")
    weights, sheets = [], []
    for name in ("none", "row=1"):
        model, sheet = os.path.join(folder, "row.st"), os.path.join(folder, "row.png")
        code, _, said = train(folder, "--data", data, "--output", model, "--epochs", "1", "--augment", name)
        check(code == 0, "training with --augment %s: %s" % (name, said))
        weights.append(tensors_of(model)["d/kernel"])
        code, _, said = convnet("augment", "--data", data, "--augment", name, "--output", sheet)
        check(code == 0, "a sheet of --augment %s: %s" % (name, said))
        sheets.append(checksum(sheet))
    check(weights[0] != weights[1], "rows change a training")
    check(sheets[0] != sheets[1], "rows change a sheet")
    code, _, said = convnet("augment", "--data", data, "--output", os.path.join(folder, "sheet.jpg"))
    check(code == 1 and "sheet.jpg" in said and ".png" in said and
          not os.path.exists(os.path.join(folder, "sheet.jpg")), "a sheet is a PNG: %s" % said)


# ---- labels.csv and weights ----

def write_labelled(folder):
    """48 pictures: bright ones are called day, dark ones night; a third of the names have no ending."""
    os.makedirs(folder)
    with open(os.path.join(folder, "labels.csv"), "w", encoding="ascii", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "label", "weight", "split"])
        for i in range(48):
            day = i % 2
            grain = noise(i, 64)
            with open(os.path.join(folder, "%d.pgm" % i), "wb") as picture:
                picture.write(b"P5 8 8 255\n" + bytes(120 * day + x // 4 for x in grain))
            rows.writerow([str(i) if i % 3 == 0 else "%d.pgm" % i, ("night", "day")[day],
                           "1" if i < 30 else "0.25", "test" if i >= 40 else "train"])


def labelled(folder):
    data, model = os.path.join(folder, "sky"), os.path.join(folder, "sky.safetensors")
    history, page = os.path.join(folder, "sky.csv"), os.path.join(folder, "sky.svg")
    write_labelled(data)
    network(os.path.join(folder, "net.json"), 8, 2)
    code, _, said = train(folder, "--data", data, "--output", model, "--epochs", "12",
                          "--learning-rate", "0.05", "--validation-split", "0.25", "--epoch-metrics",
                          "--monitor", "val_f1", "--history", history)
    check(code == 0, "pictures with labels.csv: %s" % said)
    check("Training: 30 pictures 8x8x1 in 2 classes" in said, "the number of pictures and classes is printed: %s" % said)
    check("their own weights" in said, "the weights are said: %s" % said)
    check("Test: the test pictures stay apart" in said, "the test pictures are mentioned: %s" % said)
    with open(history, encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    check(len(rows) == 12 and all(0 <= float(r["val_f1"]) <= 1 and 0 <= float(r["val_auc"]) <= 1
                                  for r in rows), "metrics in each epoch: %s" % rows[:1])
    code, out, said = convnet("evaluate", "--model", model, "--data", data, "--json")
    check(code == 0 and json.loads(out)["samples"] == 8, "evaluate: %s %s" % (out, said))
    check(json.loads(out)["accuracy"] > 0.8, "it learned: %s" % out)
    code, _, said = convnet("report", "--history", history, "--output", page)
    if "without cairo" in said:
        return
    check(code == 0, "a report of the curves: %s" % said)
    with open(page, encoding="utf-8") as file:
        check("<svg" in file.read(400), "it is SVG")
    code, _, said = convnet("report", "--history", history, "--model", model, "--data", data,
                            "--split", "train", "--output", os.path.join(folder, "sky.png"))
    check(code == 0, "a report of all: %s" % said)
    code, _, said = convnet("report", "--output", page)
    check(code == 2 and "nothing to draw" in said, "a report of nothing: %s" % said)


def weights_matter(folder):
    """Samples with weight 0 have no effect, a weight of 1 changes nothing; a checkpoint contains the weights."""
    data = os.path.join(folder, "rows")
    os.makedirs(data)
    network(os.path.join(folder, "net.json"), 8, 2)

    def write(weight_of):
        with open(os.path.join(data, "train.csv"), "w", encoding="ascii") as file:
            head = ["label"] + ["p%d" % p for p in range(64)] + (["weight"] if weight_of else [])
            file.write(",".join(head) + "\n")
            for i in range(64):
                row = [i % 2, *(x // 2 + 100 * (i % 2) for x in noise(i, 64))]
                file.write(",".join(map(str, row + ([weight_of(i)] if weight_of else []))) + "\n")

    def result(name, *more):
        output = os.path.join(folder, name)
        code, _, said = train(folder, "--data", data, "--output", output, "--epochs", "2", *more)
        code2, info, _ = convnet("info", "--json", output) if code == 0 else (1, "{}", "")
        return (code, said, json.loads(info).get("training", {}).get("metrics")) if code2 == 0 else \
            (code, said, None)

    state = os.path.join(folder, "rows.state")
    write(None)
    plain = result("w0")
    write(lambda i: 1)
    check(result("w1", "--checkpoint", state)[2] == plain[2] is not None, "weights of 1 change nothing")
    write(lambda i: i % 2)
    code, said, weighted = result("w2")
    check(code == 0 and weighted != plain[2], "weights are heeded: %s %s" % (weighted, said))
    code, said, _ = result("w3", "--resume", state)
    check(code == 1 and "the checkpoint was made with data " in said, "other weights are other data: %s" % said)
    for command, more in (("evaluate", ("--loss", "mse")),
                          ("report", ("--output", os.path.join(folder, "rows.svg")))):
        code, _, said = convnet(command, "--model", os.path.join(folder, "w2"), "--data", data,
                                "--split", "train", *more)
        if "without cairo" not in said:
            check(code == 0, "%s on the pictures of the training: %s" % (command, said))
            check("convnet: %s: %s: the model was trained on these" % (command, data) in said,
                  "%s warns in its own name: %s" % (command, said))


# ---- Transfer from an imported network ----

def write_array(path, shape, data):
    head = "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }" % (shape,)
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)


def tensors_of(path):
    """{name: bytes} of a .safetensors file."""
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    return {name: data[8 + length + entry["data_offsets"][0]:8 + length + entry["data_offsets"][1]]
            for name, entry in json.loads(data[8:8 + length]).items() if name != "__metadata__"}


def transfer(folder):
    """Networks that Keras made get a head for three classes; frozen tensors keep their bytes."""
    data = os.path.join(folder, "arrays")
    os.makedirs(data)
    write_array(os.path.join(data, "x_train.npy"), (90, 8, 8, 2),
                b"".join(bytes(x // 4 + 60 * (i % 3) for x in noise(i, 128)) for i in range(90)))
    write_array(os.path.join(data, "y_train.npy"), (90,), bytes(i % 3 for i in range(90)))
    for name in ("tiny.keras", "first.h5"):
        source = os.path.join(folder, name + ".safetensors")
        model = os.path.join(folder, name + ".new")
        code, _, said = convnet("import", os.path.join(TOP, "tests", "data", "import", name), "-o", source)
        if code != 0 and ("without" in said or "disable" in said):
            return
        check(code == 0, "import %s: %s" % (name, said))
        code, _, said = convnet("train", "--weights", source, "--data", data, "--output", model,
                                "--new-head", "--freeze", "conv*,bn", "--optimizer", "adam",
                                "--learning-rate", "0.05", "--loss", "categorical_crossentropy",
                                "--epochs", "15", "--batch-size", "15")
        check(code == 0 and "in 3 classes" in said, "train what was imported: %s" % said)
        before, after = tensors_of(source), tensors_of(model)
        frozen = [x for x in before if x.startswith(("conv/", "bn/"))]
        check(len(frozen) >= 5 and all(before[x] == after[x] for x in frozen), "frozen: %s" % frozen)
        check(before["out/kernel"] != after["out/kernel"] and len(after["out/bias"]) == 12,
              "a head for three classes")
        code, out, said = convnet("evaluate", "--model", model, "--data", data, "--split", "train",
                                  "--json")
        check(code == 0 and json.loads(out)["accuracy"] > 0.6, "it learned: %s %s" % (out[:80], said))


# ---- Memory ----

def write_large(folder, count, side):
    """An IDX pair of count x side x side bytes; the class is the brightness."""
    os.makedirs(folder)
    with open(os.path.join(folder, "train-images-idx3-ubyte"), "wb") as file:
        file.write(struct.pack(">IIII", 2051, count, side, side))
        for i in range(count):
            file.write(bytes([40 + 100 * (i % 2) + i % 7]) * (side * side))
    with open(os.path.join(folder, "train-labels-idx1-ubyte"), "wb") as file:
        file.write(struct.pack(">II", 2049, count) + bytes(i % 2 for i in range(count)))


def write_large_arrays(folder, count, side):
    """The same as arrays: a folder of .npy, a stored .npz with 64-bit fields, a compressed one."""
    os.makedirs(folder)
    write_array(os.path.join(folder, "x_train.npy"), "(%d, %d, %d)" % (count, side, side),
                b"".join(bytes([40 + 100 * (i % 2) + i % 7]) * (side * side) for i in range(count)))
    write_array(os.path.join(folder, "y_train.npy"), "(%d,)" % count, bytes(i % 2 for i in range(count)))
    names = [folder, folder + "-stored.npz", folder + "-deflated.npz"]
    usual = zipfile.ZIP64_LIMIT
    for path, method, limit in ((names[1], zipfile.ZIP_STORED, 100), (names[2], zipfile.ZIP_DEFLATED, usual)):
        zipfile.ZIP64_LIMIT = limit  # beyond it the numbers are in fields of 64 bits
        with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
            for name in ("x_train.npy", "y_train.npy"):
                archive.write(os.path.join(folder, name), name)
    zipfile.ZIP64_LIMIT = usual
    return names


def within(limit):
    """Writable private memory in bytes, without what is mapped from a file."""
    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def larger_than_memory(folder):
    count, side = 1500, 256 # 94 MiB
    data, whole, streamed = (os.path.join(folder, name) for name in ("large", "whole", "streamed"))
    write_large(data, count, side)
    network(os.path.join(folder, "net.json"), side, 2, 64)
    common = ["--data", data, "--epochs", "1", "--batch-size", "16", "--validation-split", "0.1"]
    code, _, said = train(folder, *common, "--output", whole)
    check(code == 0 and "Memory: about " in said and "Disk:" not in said, "in memory: %s" % said)
    small = ["--memory", "24M", "--spill-dir", folder]
    limit = None if SANITIZED else within(88 * MEBIBYTE)
    code, _, said = train(folder, *common, *small, "--output", streamed, preexec=limit)
    check(code == 0 and "Disk: 94 MiB" in said, "from a file: %d %s" % (code, said))
    check(checksum(whole) == checksum(streamed), "the same bits from memory and from a file")
    for arrays in write_large_arrays(os.path.join(folder, "arrays256"), count, side):
        code, _, said = train(folder, "--data", arrays, *common[2:], *small, "--output", streamed,
                              preexec=limit)
        check(code == 0 and "Disk: 94 MiB" in said, "%s from a file: %d %s" % (arrays, code, said))
        check(checksum(whole) == checksum(streamed), "the same bits from %s" % arrays)
    check(not [x for x in os.listdir(folder) if x.startswith("convnet.")], "no file is left")
    if not SANITIZED:
        code, _, said = train(folder, *common, "--output", streamed, preexec=limit)
        check(code == 1 and "no memory for" in said, "that limit is too small for memory: %s" % said)
    code, _, said = train(folder, *common, "--memory", "24M", "--spill-dir", "/proc/none", "--output",
                          streamed)
    check(code == 1 and "/proc/none" in said, "no place for the file: %s" % said)
    code, _, said = train(folder, "--data", data, "--output", streamed, "--memory", "21M",
                          "--batch-size", "64")
    check(code == 1 and "--memory allows 21 MiB" in said and "--batch-size" in said,
          "a limit refuses before the data are read: %s" % said)


# Prints the largest resident memory of a command in KiB; this process, which is small, counts too.
PEAK = """import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)"""


def memory_is_stated(folder):
    """What the command says before the first epoch is what the process takes, with the program and a teacher."""
    stated = []
    for teacher in ((), ("--teacher", "digits")):
        result = subprocess.run(
            [sys.executable, "-c", PEAK, CONVNET, "train", "--architecture", "digits", "--data",
             os.path.join(TOP, "tests", "data", "mnist-sample"), "--epochs", "1", "--validation-split", "0.2",
             "--batch-size", "256", "--output", os.path.join(folder, "stated"), *teacher],
            capture_output=True, timeout=PATIENCE, check=False)
        said = result.stderr.decode()
        memory = re.search("Memory: about ([0-9]+) MiB", said)
        check(result.returncode == 0 and memory, "a training that states its memory: %s" % said)
        stated.append(int(memory[1]))
        used = int(result.stdout) / 1024
        check(SANITIZED or used - 4 < stated[-1] < used * 1.2, "%.0f MiB are used: %s" % (used, said))
    check(stated[0] < stated[1], "a teacher needs memory, too: %s" % stated)


# ---- A terminal ----

def narrow(folder):
    """The last line of an epoch continues below the end of a narrow terminal, and is complete."""
    sample = os.path.join(TOP, "tests", "data", "mnist-sample")
    leader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    with open(os.path.join(folder, "said"), "wb") as out:
        with subprocess.Popen([CONVNET, "train", "--architecture", "digits", "--data", sample, "--epochs", "1",
                               "--validation-split", "0.2", "--epoch-metrics", "--output",
                               os.path.join(folder, "narrow.st")], stdout=out, stderr=terminal) as child:
            os.close(terminal)
            said = b""
            try:
                while True:
                    said += os.read(leader, 4096)
            except OSError:  # EIO: the other end is closed
                pass
            check(child.wait(PATIENCE) == 0, "training on a terminal: %s" % said)
    os.close(leader)
    drawn = [part for line in said.decode().replace("\r\n", "\n").split("\n") if "\r" in line
             for part in line.replace("\x1b[K", "").split("\r")]
    check(drawn and max(map(len, drawn)) < 60, "no line is wider than the terminal: %s" % drawn)
    paces = [float(value) / {"u": 1e6, "m": 1e3, "": 1}[unit] for line in drawn
             for value, unit in re.findall(r"([0-9.]+)([um]?)s/step", line)]
    check(paces and paces[0] > paces[-1] / 50, "the first step takes time, too: %s" % paces)
    check(all(b"%s: 0." % name in said for name in (b"val_accuracy", b"val_f1", b"val_auc")),
          "nothing is cut off: %s" % said)


# ---- Odd habits of data files ----

def put(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if isinstance(data, str):
        data = data.encode()
    with (gzip.open if name.endswith(".gz") else open)(path, "wb") as file:
        file.write(data)
    return path


def rows_of_pixels(head="label", scale="%d", separator=",", end="\n", label_last=False, before="", quote=""):
    """12 pictures of 4x4 in 3 classes: the first pixel of number i is 20 * i, the last one is 255."""
    lines = []
    names = [head] + ["pixel%d" % i for i in range(16)] if head is not None else None
    for i in range(-1 if names else 0, 12):
        pixels = [20 * i] + [255] * 15
        cells = names if i < 0 else ["%d" % (i % 3)] + [scale % (p / 255 if scale == "%.6f" else p) for p in pixels]
        cells = [quote + cell + quote for cell in cells]
        cells = cells[1:] + cells[:1] if label_last else cells
        lines.append(("" if not before else before + separator if i < 0 else "%d" % i + separator) +
                     separator.join(cells))
    return end.join(lines) + end


def npy(kind, shape, data):
    head = b"{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind.encode(), str(shape).encode())
    head += b" " * (117 - len(head)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def archive(path, **arrays):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in arrays.items():
            file.writestr(name + ".npy", data)
    return path


def habits(folder):
    """Headers, separators, marks and names as other programs write them give the same pictures."""
    folder = os.path.join(folder, "habits")
    os.makedirs(folder)
    grey, labels = os.path.join(folder, "net.json"), bytes(i % 3 for i in range(12))
    network(grey, 4, 3, 1)
    prints = {}

    def learn(data, *more, architecture=grey):
        model = os.path.join(folder, "model")
        code, _, said = convnet("train", "--architecture", architecture, "--data", data, "--epochs", "1",
                                "--output", model, "--loss", "categorical_crossentropy", *more)
        record = json.loads(convnet("info", "--json", model)[1]) if code == 0 else {}
        return record.get("training", {}).get("data", {}).get("sha256"), said

    def same(kind, what, data):
        digest, said = learn(data)
        check(digest is not None and digest == prints.setdefault(kind, digest), "%s: %s" % (what, said))

    plain = rows_of_pixels()
    for name, text in (
            ("plain.csv", plain), ("gz.csv.gz", plain), ("bom.csv", "\ufeff" + plain),
            ("crlf.csv", rows_of_pixels(end="\r\n")), ("semicolons.csv", rows_of_pixels(separator=";")),
            ("tabs.tsv", rows_of_pixels(separator="\t")), ("blanks.csv", rows_of_pixels(separator=" , ")),
            ("quotes.csv", rows_of_pixels(quote='"')), ("headless.csv", rows_of_pixels(head=None)),
            ("last.csv", rows_of_pixels(label_last=True)), ("class.csv", rows_of_pixels(head="Class")),
            ("target.csv", rows_of_pixels(head="target")), ("index.csv", rows_of_pixels(before=" ")),
            ("id.csv", rows_of_pixels(before="id")), ("floats.csv", rows_of_pixels(scale="%.1f")),
            ("fractions.csv", rows_of_pixels(scale="%.6f"))):
        same("csv", name, put(folder, name, text))
    put(folder, "redmon/mnist_train.csv", rows_of_pixels(head=None))
    put(folder, "redmon/mnist_test.csv", rows_of_pixels(head=None))
    same("csv", "mnist_train.csv", os.path.join(folder, "redmon"))
    check("UTF-16" in learn(put(folder, "wide.csv", plain.encode("utf-16")))[1], "UTF-16 is named")

    pixels = b"".join(bytes([20 * i] + [255] * 15) for i in range(12))
    images, classes = npy("|u1", (12, 4, 4), pixels), npy("|u1", (12,), labels)
    dotted = os.path.join(folder, "dotted")
    put(dotted, "train-images.idx3-ubyte", struct.pack(">IIII", 2051, 12, 4, 4) + pixels)
    put(dotted, "train-labels.idx1-ubyte", struct.pack(">II", 2049, 12) + labels)
    same("csv", "images.idx3-ubyte", dotted)
    fractions = struct.pack(">192f", *(p / 255 for p in pixels))
    for name, arrays in (("a", {"x_train": images, "y_train": classes}), ("b", {"X_train": images, "Y_train": classes}),
                         ("c", {"image": images, "label": classes}),
                         ("d", {"train_images": images, "train_labels": npy(">i8", (12,), struct.pack(">12q", *labels))}),
                         ("e", {"x_train": npy(">f4", (12, 4, 4, 1), fractions), "y_train": classes})):
        same("csv", "arrays %s" % ", ".join(arrays), archive(os.path.join(folder, name + ".npz"), **arrays))
    first = archive(os.path.join(folder, "f.npz"), x_train=npy("|u1", (12, 3, 8, 8), bytes(12 * 192)), y_train=classes)
    check("x.transpose(0, 2, 3, 1)" in learn(first)[1], "channels first are named: %s" % learn(first)[1])

    def listed(name, text, below=""):
        for i in range(12):
            put(folder, "%s/%s%d.pgm" % (name, below, i), b"P5 4 4 255\n" + bytes([20 * i] + [255] * 15))
        put(folder, name + "/labels.csv", text)
        same("listed", name, os.path.join(folder, name))

    body = [("%d.pgm" % i, "cdb"[i % 3]) for i in range(12)]
    listed("file", "file,label\n" + "".join("%s,%s\n" % row for row in body))
    listed("bom", "\ufefffile;label\r\n" + "".join("%s;%s\r\n" % row for row in body))
    listed("words", "File Name, Class\n" + "".join("%s, %s\n" % row for row in body))
    listed("spanish", "imagen,etiqueta\n" + "".join("%s,%s\n" % row for row in body))
    listed("german", "Bild,Autor,label\n" + "".join("%s,x,%s\n" % row for row in body))
    listed("windows", "file,label\n" + "".join("in\\%s,%s\n" % row for row in body), "in/")
    listed("below", "file,label\n" + "".join("%s,%s\n" % row for row in body), "images/")

    for split in ("Train", "Valid", "Test"):
        for c in "abc":
            put(folder, "splits/%s/%s/deep/1.pgm" % (split, c), b"P5 4 4 255\n" + noise(ord(c), 16))
    put(folder, "splits/Train/__MACOSX/a/._1.pgm", "x")
    put(folder, "splits/notes_train.csv", "label,author\n1,2\n")
    put(folder, "splits/Train/a/Thumbs.db", "x")
    said = learn(os.path.join(folder, "splits"))[1]
    check("Training: 3 pictures 4x4x1 in 3 classes" in said and "Validation: 3 pictures from its" in said and
          "Left out: 1 file that is no picture\n" in said and "Test: the test pictures stay apart" in said, said)
    put(folder, "high/in/a/1.pgm", "x")
    said = learn(os.path.join(folder, "high"))[1]
    check("has one subfolder, in;" in said and "are the data in %s/high/in?" % folder in said, said)


# ---- Which epoch is written; metrics per epoch; balanced classes ----

def shades(folder, name, **classes):
    """An .npz of pictures whose class, of six, is their brightness. Each split lists the classes of its
    pictures, and the labels that they get."""
    arrays = {}
    for split, pairs in classes.items():
        arrays["x_" + split] = npy("|u1", (len(pairs), 8, 8), b"".join(
            bytes(40 * shade + x // 8 for x in noise(i, 64)) for i, (shade, _) in enumerate(pairs)))
        arrays["y_" + split] = npy("|u1", (len(pairs),), bytes(label for _, label in pairs))
    network(os.path.join(folder, "net.json"), 8, 6)
    return archive(os.path.join(folder, name + ".npz"), **arrays)


def kept_epochs(folder):
    """Most validation labels are wrong, so that what is learned makes val_loss rise: an early epoch is best."""
    data = shades(folder, "kept", train=[(i % 6, i % 6) for i in range(96)],
                  val=[(c, c if i % 5 == 0 else (c + 3) % 6) for i in range(60) for c in [i % 7 % 6]])
    for keep in ("best", "last"):
        model, history = os.path.join(folder, keep + ".st"), os.path.join(folder, keep + ".csv")
        code, _, said = train(folder, "--data", data, "--output", model, "--epochs", "12", "--learning-rate",
                              "0.05", "--keep", keep, "--epoch-metrics", "--history", history)
        check(code == 0, "training with --keep %s: %s" % (keep, said))
        with open(history, encoding="ascii") as file:
            epochs = list(csv.DictReader(file))
        best = min(epochs, key=lambda epoch: float(epoch["val_loss"]))
        check(len(epochs) == 12 and float(best["val_loss"]) < float(epochs[-1]["val_loss"]) - 0.1,
              "an epoch before the last is best: %s" % epochs)
        written = best if keep == "best" else epochs[-1]
        check("the weights of epoch %s of 12" % written["epoch"] in said, "--keep %s: %s" % (keep, said))
        code, out, said = convnet("evaluate", "--model", model, "--data", data, "--split", "validation",
                                  "--loss", "categorical_crossentropy", "--json")
        check(code == 0, "evaluate what --keep %s wrote: %s" % (keep, said))
        measured = json.loads(out)
        for column, name in (("loss", "loss"), ("accuracy", "accuracy"), ("precision", "macro_precision"),
                             ("recall", "macro_recall"), ("f1", "macro_f1"), ("weighted_f1", "weighted_f1"),
                             ("auc", "auc"), ("top_5", "top_5_accuracy")):
            value = float(written["val_" + column])
            check(abs(value - measured[name]) < 1e-6 * max(1, value),
                  "--keep %s: val_%s is %g, evaluate's %s is %g" % (keep, column, value, name, measured[name]))


def balanced(folder):
    """--class-weight balanced is samples / (classes * samples of the class)."""
    counts = (2, 1, 16, 4, 1, 24)
    data = shades(folder, "balanced", train=[(c, c) for c in range(6) for _ in range(counts[c])])
    named = ",".join("%d=%.9g" % (c, 48 / (6 * count)) for c, count in enumerate(counts))
    model, weights = os.path.join(folder, "balanced.st"), []
    for more in ((), ("--class-weight", "balanced"), ("--class-weight", named)):
        code, _, said = train(folder, "--data", data, "--output", model, "--epochs", "2", *more)
        check(code == 0, "training %s: %s" % (" ".join(more), said))
        weights.append(tensors_of(model))
    check(weights[1] == weights[2], "balanced is %s" % named)
    check(weights[0] != weights[1], "class weights change what is learned")


# ---- Pictures in JPEG ----

def jpeg(levels):
    """A grey JPEG of 16x16, whose quarters have exactly these levels: each block has only its mean."""
    bits, before = "", 128
    for level in levels:
        change, before = level - before, level
        size = abs(change).bit_length()
        bits += format(size, "04b")  # each code of a size is the size itself
        if size > 0:
            bits += format(change if change > 0 else change + (1 << size) - 1, "0%db" % size)
        bits += "0"  # the end of the block
    bits += "1" * (-len(bits) % 8)
    packed = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")

    def segment(kind, data):
        return b"\xff" + bytes([kind]) + struct.pack(">H", len(data) + 2) + data

    return (b"\xff\xd8" + segment(0xdb, b"\0" + bytes([8] * 64)) +
            segment(0xc0, struct.pack(">BHHBBBB", 8, 16, 16, 1, 1, 0x11, 0)) +
            segment(0xc4, b"\0" + bytes([0, 0, 0, 9] + [0] * 12) + bytes(range(9))) +
            segment(0xc4, b"\x10" + bytes([1] + [0] * 15) + b"\0") +
            segment(0xda, bytes([1, 1, 0, 0, 63, 0])) + packed + b"\xff\xd9")


def jpegs(folder):
    """A folder of JPEGs gives the data and the weights that the same pictures give as PGMs."""
    network(os.path.join(folder, "net.json"), 16, 2)
    results = []
    for ending in ("pgm", "jpg"):
        data, model = os.path.join(folder, ending), os.path.join(folder, ending + ".st")
        for i in range(24):
            levels = [x // 2 + 120 * (i % 2) for x in noise(i, 4)]
            pixels = b"".join(bytes([levels[2 * (y // 8) + x // 8] for x in range(16)]) for y in range(16))
            put(data, "%s/%d.%s" % (("night", "day")[i % 2], i, ending),
                jpeg(levels) if ending == "jpg" else b"P5 16 16 255\n" + pixels)
        code, _, said = train(folder, "--data", data, "--output", model, "--epochs", "2")
        if "built without it" in said:
            print("skipped: this build reads no JPEG")
            return
        check(code == 0 and "Training: 24 pictures 16x16x1 in 2 classes" in said,
              "a folder of %s: %s" % (ending, said))
        record = json.loads(convnet("info", "--json", model)[1]) if code == 0 else {}
        results.append((record.get("training", {}).get("data", {}).get("sha256"),
                        code == 0 and tensors_of(model)))
    check(results[0] == results[1], "JPEGs and PGMs of the same pixels: data %s and %s" %
          (results[0][0], results[1][0]))


# ---- Messages ----

def messages(folder):
    """Each names the value, the rule and what to do."""
    mnist, state = os.path.join(TOP, "tests", "data", "mnist-sample"), os.path.join(folder, "said.state")
    two, empty = os.path.join(folder, "two"), os.path.join(folder, "empty")
    for name in (two + "/cat", two + "/dog", empty):
        os.makedirs(name)
    for name in ("cat", "dog"):
        shutil.copy(os.path.join(TOP, "tests", "data", "seven.png"), os.path.join(two, name))
    seed = ("train", "--architecture", "seed", "--epochs", "1", "--output", os.path.join(folder, "said"))
    learn = seed + ("--data", mnist)
    code, _, said = convnet(*learn, "--checkpoint", state)
    check(code == 0, said)
    resume = learn + ("--epochs", "2", "--resume", state)
    measure = ("evaluate", "--model", "digits", "--data")
    for arguments, status, words in (
            (seed + ("--data", empty), 1, "no known data set, which would be MNIST's"),
            (seed + ("--data", empty), 1, "or one folder of pictures per class\n"),
            (seed + ("--data", two), 1, "has 2 classes, but architecture seed has 10 outputs; --new-head gives it 2"),
            (learn + ("--extra-data", two), 1, "class \"cat\" of the data is not among the model's 10 labels: 0, 1, 2"),
            (measure + (two,), 1, "class \"cat\" of the data is not among the model's 10 labels: 0, 1, 2"),
            (measure + (mnist, "--history", "x.csv"), 2, "--history needs --report"),
            (("report", "--output", "x.svg", "--model", "digits"), 2, "--data is missing"),
            (learn + ("--class-weight", "cat=2"), 1, "'cat', which is not a class of the data; these are 0, 1, 2"),
            (learn + ("--monitor", "val_loss"), 1, "no validation data; add --validation-split 0.1"),
            (learn + ("--epoch-metrics",), 1, "there are none; add --validation-split 0.1"),
            (learn + ("--schedule", "one-cycle", "--warmup-epochs", "2"), 2, "omit warmup-epochs (2)"),
            (learn + ("--memory", "1M"), 1, "--memory allows 1 MiB, too little for any batch"),
            (learn + ("--resume", os.path.join(folder, "said")), 1, "to go on from a model, use --weights"),
            (learn + ("--resume", os.path.join(TOP, "tests", "data", "seven.png")), 1, "is no safetensors file"),
            (resume + ("--learning-rate", "0.5"), 1,
             "made with learning_rate 0.01; this training has learning_rate 0.5: give the same learning_rate"),
            (resume + ("--validation-split", "0.1"), 1, "give the same data and validation-split"),
            (resume + ("--architecture", "digits"), 1, "another architecture: give the same one")):
        code, _, said = convnet(*arguments)
        check(code == status and words in said, "%s: %s" % (" ".join(arguments), said))


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        regularized(folder)
        rows(folder)
        labelled(folder)
        weights_matter(folder)
        transfer(folder)
        larger_than_memory(folder)
        memory_is_stated(folder)
        narrow(folder)
        habits(folder)
        kept_epochs(folder)
        balanced(folder)
        jpegs(folder)
        messages(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
