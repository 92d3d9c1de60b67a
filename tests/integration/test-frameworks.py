#!/usr/bin/env python3
"""Runs docs/import.md as written: the lines of each framework, from its file to an answered curl.

`convnet export` of a small network makes the files; PyTorch's weights, whose file only Python's torch writes,
come as safetensors, which the importer recognises by the bytes. Needs curl (77 without)."""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from daemon import BUILD, PATIENCE, SOURCE, check, finish, serving
from layer_cases import write_model

BASE = "http://127.0.0.1:8080"
LAYERS = [
    {"class_name": "InputLayer", "config": {"batch_shape": [None, 224, 224, 3]}},
    {"class_name": "Conv2D", "config": {"name": "conv", "filters": 4, "kernel_size": 8,
                                        "strides": 8, "activation": "relu"}},
    {"class_name": "GlobalAveragePooling2D", "config": {"name": "mean"}},
    {"class_name": "Dense", "config": {"name": "out", "units": 3, "activation": "softmax"}}]
TORCH = {"conv.weight": [4, 3, 8, 8], "conv.bias": [4], "out.weight": [3, 4], "out.bias": [3]}


def run(command, folder):
    path = os.path.abspath(BUILD) + ":" + os.environ["PATH"]
    return subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, check=False,
                          capture_output=True, timeout=2 * PATIENCE, env=dict(os.environ, PATH=path))


def blocks(text):
    """The indented blocks that import a file and ask about it."""
    for block in re.findall(r"(?:^    .*\n)+", text, re.M):
        if "convnet import" in block and "curl" in block:
            yield [line[4:] for line in block.rstrip("\n").split("\n")]


def write_torch(path):
    dice = random.Random(3)
    header, data = {}, b""
    for name, shape in TORCH.items():
        count = 1
        for size in shape:
            count *= size
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack("<%df" % count, *[dice.uniform(-0.5, 0.5) for _ in range(count)])
    head = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + data)


def make_files(folder):
    source = os.path.join(folder, "source.safetensors")
    functional = []
    for i, one in enumerate(LAYERS):
        name = one["config"].get("name", "x")
        before = LAYERS[i - 1]["config"].get("name", "x")
        functional.append({
            "class_name": one["class_name"], "name": name, "config": dict(one["config"], name=name),
            "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__", "config": {
                "keras_history": [before, 0, 0]}}], "kwargs": {}}] if i > 0 else []})
    write_model(source, functional, ["x"], ["out"],
                {"conv/kernel": [8, 8, 3, 4], "conv/bias": [4], "out/kernel": [4, 3],
                 "out/bias": [3]})
    os.mkdir(os.path.join(folder, "export"))
    for form, name in (("keras", "cells.keras"), ("tfjs", "export/model.json"),
                       ("onnx", "net.onnx")):
        done = run("convnet export source.safetensors --format %s -o %s" % (form, name), folder)
        check(done.returncode == 0, done.stderr.decode())
    write_torch(os.path.join(folder, "net.pth"))
    with open(os.path.join(folder, "net.json"), "w", encoding="utf-8") as file:
        json.dump({"class_name": "Sequential", "config": {"name": "net", "layers": LAYERS}}, file)
    with open(os.path.join(folder, "labels.txt"), "w", encoding="utf-8") as file:
        file.write("red\nwhite\nplatelet\n")
    shutil.copy(os.path.join(SOURCE, "examples", "seven.png"), os.path.join(folder, "photo.jpg"))


def test_block(lines, folder):
    first = [line for line in lines if "torch" not in line]
    start = [line for line in first if line.startswith("convnetd ")]
    check(len(lines) <= 6 and len(start) == 1 and first[-1].startswith("curl "), str(lines))
    model = os.path.join(folder, start[0].split("--model ")[1].split()[0])
    done = run("\n".join(first[:first.index(start[0])]), folder)
    check(done.returncode == 0, "%s: %s" % (lines, done.stderr.decode()))
    with serving(model=model) as server:
        done = run(first[-1].replace(BASE, "http://127.0.0.1:%d" % server.port), folder)
    answer = json.loads(done.stdout.decode() or "{}")
    check("predictions" in answer and "label" in answer["predictions"][0],
          "%s: %s" % (lines, done.stdout))
    return answer.get("model")


if shutil.which("curl") is None or not os.path.exists(os.path.join(BUILD, "libonnx.la")):
    print("curl or the importer is missing")
    sys.exit(77)
with open(os.path.join(SOURCE, "docs", "import.md"), encoding="utf-8") as file_:
    ways = list(blocks(file_.read()))
check(len(ways) == 4, "%d frameworks with lines from the file to the answer" % len(ways))
with tempfile.TemporaryDirectory() as place:
    make_files(place)
    for way in ways:
        test_block(way, place)
sys.exit(finish())
