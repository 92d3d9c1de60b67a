#!/usr/bin/env python3
"""Files of every format that `convnet import` reads, cut at each 1/200 of their length and with 200 of
their bytes changed: tests/support/broken_files tells whether each becomes a network or is refused in
one sentence. Shards of TensorFlow.js are cut here, since they lie beside the file."""
import json
import os
import struct
import subprocess
import sys
import tempfile

from daemon import CONVNET, check, finish

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir", os.path.join(TOP, "build"))
READER = os.path.join(BUILD, "tests", "support", "broken_files")
FILES = os.path.join(TOP, "tests", "data", "import")
ONNX = os.path.exists(os.path.join(BUILD, "libonnx.la"))


def convnet(*arguments):
    return subprocess.run([CONVNET, *arguments], capture_output=True, timeout=300, check=False)


def write_safetensors(path, weights):
    """A file of another program, with PyTorch's names and shapes for tiny.json."""
    head, at = {}, 0
    for name, shape in (("conv.weight", [3, 2, 3, 3]), ("conv.bias", [3]), ("bn.weight", [3]),
                        ("bn.bias", [3]), ("bn.running_mean", [3]), ("bn.running_var", [3]),
                        ("out.weight", [4, 27]), ("out.bias", [4])):
        size = 4
        for dim in shape:
            size *= dim
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + weights[:at])


def make_files(folder):
    """One file per format, all small."""
    files = [os.path.join(FILES, name) for name in
             ("tiny.h5", "first.h5", "tiny.keras", "twice.keras", "tiny.pth", "legacy.pth")]
    model = os.path.join(folder, "tiny.safetensors")
    made = convnet("import", files[0], "-o", model)
    check(made.returncode == 0, "import: %s" % made.stderr)
    for name in ("made.keras", "made.h5", "model.json") + (("made.onnx",) if ONNX else ()):
        path = os.path.join(folder, name)
        kind = {"model.json": "tfjs", "made.onnx": "onnx"}.get(name, "keras")
        made = convnet("export", model, "--format", kind, "-o", path)
        check(made.returncode == 0, "%s: %s" % (name, made.stderr))
        files.append(path)
    with open(model, "rb") as file:
        content = file.read()
    if ONNX:
        files += [os.path.join(TOP, "tests", "data", "onnx", name, "model.onnx")
                  for name in ("branch", "functions", "function-branch", "qdq-axis")]
    files.append(os.path.join(folder, "foreign.safetensors"))
    write_safetensors(files[-1], content[8 + struct.unpack("<Q", content[:8])[0]:])
    return files


def test_shards(folder):
    path = os.path.join(folder, "model.json")
    shards = [name for name in os.listdir(folder) if name.endswith(".bin")]
    check(len(shards) == 1, "shards: %s" % shards)
    shard = os.path.join(folder, shards[0])
    with open(shard, "rb") as file:
        whole = file.read()
    for length in [0, 1, len(whole) // 2, len(whole) - 1]:
        with open(shard, "wb") as file:
            file.write(whole[:length])
        made = convnet("import", path, "--dry-run")
        check(made.returncode == 1 and made.stderr.count(b"\n") == 1 and b"shards" in made.stderr,
              "shard of %d: %s" % (length, made.stderr))
    os.remove(shard)
    made = convnet("import", path, "--dry-run")
    check(made.returncode == 1 and shards[0].encode() in made.stderr, "no shard: %s" % made.stderr)


if not os.path.exists(READER):
    print("built with --disable-import")
    sys.exit(77)
with tempfile.TemporaryDirectory() as place:
    names = make_files(place)
    if os.environ.get("sanitizer", "no") != "no":
        # libhdf5 1.10 reads beyond a damaged attribute (form 517 of made.h5 here). `convnet import` has it in a
        # confined process for that reason; the sanitizer cannot go on after it.
        names = [name for name in names if not name.endswith(".h5")]
    result = subprocess.run([READER, os.path.join(FILES, "tiny.json"), *names],
                            capture_output=True, timeout=1800, check=False)
    check(result.returncode == 0, "%s%s" % (result.stdout.decode(), result.stderr.decode()))
    lines = [line for line in result.stdout.decode().splitlines() if " forms became " in line]
    check(len(lines) == len(names), "%d lines of %d files" % (len(lines), len(names)))
    print("\n".join(lines))
    test_shards(place)
sys.exit(finish())
