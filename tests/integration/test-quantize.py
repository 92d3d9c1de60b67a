#!/usr/bin/env python3
"""`convnet quantize`: its output and file, the same answers on every instruction set and from the daemon, what
it refuses, and hostile files of quantized models."""
import gzip
import json
import os
import struct
import subprocess
import tempfile

from daemon import CONVNET, MODEL, SOURCE, ask, check, finish, post, serving

DATA = os.path.join(SOURCE, "tests", "data", "mnist-sample")


def convnet(*arguments, **environment):
    return subprocess.run([CONVNET, *arguments], capture_output=True, text=True, check=False,
                          env=dict(os.environ, **environment))


def read_model(path):
    """The tensors of the header, the metadata without checksum and probes, and the data."""
    with open(path, "rb") as file:
        raw = file.read()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    metadata = header.pop("__metadata__")
    for key in ("checksum", "probes"):
        metadata.pop(key)
    return header, metadata, bytearray(raw[8 + length:])


def write_model(path, header, metadata, data):
    text = json.dumps(dict(header, __metadata__=metadata))
    text += " " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text.encode() + data)


def begin(header, name):
    return header[name]["data_offsets"][0]


def check_command(folder):
    small = os.path.join(folder, "small.safetensors")
    run = convnet("quantize", MODEL, "--data", DATA, "-o", small, "--json")
    check(run.returncode == 0, f"quantize: {run.stderr}")
    result = json.loads(run.stdout)
    check(result["accuracy"] >= result["accuracy_before"] - 0.001, f"accuracy {result}")
    check(result["samples"] > 0 and 0 < result["loss"] < 1, f"the result is {result}")
    share = os.path.getsize(small) / os.path.getsize(MODEL)
    check(share < 0.28, f"the file has {share} of the size")
    # The thresholds are made from the quantized model's own answers to these pictures.
    before, after = (json.loads(read_model(path)[1]["calibration"]) for path in (MODEL, small))
    check(after["sets"]["samples"] == result["samples"] != before["sets"]["samples"] and
          after["temperature"] == before["temperature"], f"thresholds of {before}: {after}")
    info = json.loads(convnet("info", "--json", small).stdout)
    check(info["quantized_layers"] == 7, f"info says {info.get('quantized_layers')} layers")
    check("bytes" in convnet("info", small).stdout, "info does not say that kernels are bytes")
    steps = json.loads(convnet("bench", "--layers", "--seconds=0.01", "--json", small).stdout)["steps"]
    check(sum("bytes" in step["kernel"] for step in steps) == 7, f"the steps are {steps}")
    return small


def check_answers(small):
    """The same classes on every instruction set, and the same numbers from the daemon."""
    answers = {}
    for isa in ("portable", "avx2", "avx512"):
        run = convnet("evaluate", "--model", small, "--data", DATA, "--json", CONVNET_ISA=isa)
        check(run.returncode == 0, f"evaluate: {run.stderr}")
        result = json.loads(run.stdout)
        answers[isa] = (result["correct"], round(result["loss"], 6))
    check(len(set(answers.values())) == 1, f"instruction sets differ: {answers}")
    with gzip.open(os.path.join(DATA, "t10k-images-idx3-ubyte.gz")) as file:
        pictures = file.read()[16:]
    with gzip.open(os.path.join(DATA, "t10k-labels-idx1-ubyte.gz")) as file:
        labels = file.read()[8:]
    right = 0
    with serving(model=small) as server:
        for i in range(20):
            status, _, body = ask(server, post(pictures[784 * i:784 * (i + 1)]))
            check(status == 200, f"the daemon answers {status}: {body[:200]}")
            answer = json.loads(body)["predictions"][0]
            right += answer["label"] == str(labels[i])
    check(right >= 19, f"the daemon reads {right} of 20 digits")


def check_refusals(folder, small):
    other = os.path.join(folder, "other.safetensors")
    run = convnet("quantize", small, "--data", DATA, "-o", other)
    check(run.returncode == 1 and "quantized already" in run.stderr, f"again: {run.stderr}")
    run = convnet("train", "--weights", small, "--data", DATA, "--epochs=1",
                  "--output", other)
    check(run.returncode == 1 and "is quantized" in run.stderr, f"training: {run.stderr}")
    # One channel of the first layer becomes very large, and the next layer ignores it: the other channels
    # lose their precision.
    header, metadata, data = read_model(MODEL)
    for name in ("conv2d_1/kernel", "conv2d_1/bias"):
        at, end = header[name]["data_offsets"]
        for i in range(at, end, 4 * 16):
            value = struct.unpack_from("<f", data, i)[0]
            struct.pack_into("<f", data, i, 1e5 * (abs(value) + 1))
    at, end = header["conv2d_2/kernel"]["data_offsets"]
    for pixel in range(at, end, 4 * 16 * 32):
        data[pixel:pixel + 4 * 32] = bytes(4 * 32)
    loud = os.path.join(folder, "loud.safetensors")
    write_model(loud, header, metadata, data)
    run = convnet("quantize", loud, "--data", DATA, "-o", other)
    check(run.returncode == 1 and "--max-loss allows 0.1" in run.stderr and
          not os.path.exists(other), f"a loss of accuracy: {run.returncode} {run.stderr}")
    run = convnet("quantize", loud, "--data", DATA, "-o", other, "--max-loss=100")
    check(run.returncode == 0 and os.path.exists(other), f"told to lose it: {run.stderr}")


def check_hostile(folder, small):
    """Changed files: each is refused with the rule that it breaks."""
    kernel, scale = "conv2d_2/kernel", "conv2d_2/kernel_scale"

    def refused(what, words, change):
        header, metadata, data = read_model(small)
        change(header, metadata, data)
        path = os.path.join(folder, "changed.safetensors")
        write_model(path, header, metadata, data)
        run = convnet("info", path)
        check(run.returncode == 1 and words in run.stderr, f"{what}: {run.returncode} {run.stderr}")

    def ranges(metadata, change):
        value = json.loads(metadata["quantization"])
        change(value)
        metadata["quantization"] = json.dumps(value)

    def weight(header, _, data):
        data[begin(header, kernel)] = 65

    def negative(header, _, data):
        data[begin(header, kernel) + 7] = 0x80

    def infinite(header, _, data):
        struct.pack_into("<f", data, begin(header, scale), float("inf"))

    def zero_scale(header, _, data):
        struct.pack_into("<f", data, begin(header, scale), 0.0)

    def renamed(header, *_):
        header["conv2d_2/kernel_scales"] = header.pop(scale)

    def shape(header, *_):
        header[scale]["shape"] = [4, 8]

    refused("a weight of 65", "is 65; a weight is from -64 to 64", weight)
    refused("a weight of -128", "is -128; a weight is from -64 to 64", negative)
    refused("an infinite scale", "a scale is from 1e-12 to 1e+12", infinite)
    refused("a scale of 0", "a scale is from 1e-12 to 1e+12", zero_scale)
    refused("scales of another name", "needs a tensor", renamed)
    refused("scales of another shape", "needs a tensor", shape)
    refused("no quantization", "has dtype I8", lambda h, m, d: m.pop("quantization"))
    refused("a bias of bytes", "I8", lambda h, m, d: h["dense/bias"].update(dtype="I8", shape=[40]))
    refused("a kernel as floats", "bytes", lambda h, m, d: h[kernel].update(dtype="F32"))
    refused("a zero of 256", "a zero from 0 to 255",
            lambda h, m, d: ranges(m, lambda q: q["inputs"].__setitem__(0, [1, 256])))
    refused("a scale below 0", "a scale from",
            lambda h, m, d: ranges(m, lambda q: q["inputs"].__setitem__(0, [-1, 0])))
    refused("an unknown layer", "of which",
            lambda h, m, d: ranges(m, lambda q: q["layers"].update(nobody=[1, 0])))
    refused("ranges as a list", "must be an object",
            lambda h, m, d: m.update(quantization="[]"))
    refused("no JSON", "quantization", lambda h, m, d: m.update(quantization="{"))


def main():
    with tempfile.TemporaryDirectory() as folder:
        small = check_command(folder)
        check_answers(small)
        check_refusals(folder, small)
        check_hostile(folder, small)
    return finish()


if __name__ == "__main__":
    raise SystemExit(main())
