#!/usr/bin/env python3
"""The steps of docs/training.md: a folder of photographs, a sheet of augmented pictures, a training that is
stopped and resumed, its curves in TensorBoard's files, the report, and the same answer from `convnet predict`
and the daemon. Then two classes with one sigmoid output."""
import csv
import hashlib
import http.client
import json
import math
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

from daemon import CONVNET, check, convnet, finish, serving

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir", os.path.join(TOP, "build"))
PATIENCE = 240
SIDE = 24
NETWORK = {"class_name": "Sequential", "config": {"name": "photos", "layers": [
    {"class_name": "InputLayer", "config": {"batch_shape": [None, SIDE, SIDE, 3]}},
    {"class_name": "Conv2D", "config": {"name": "conv", "filters": 8, "kernel_size": [5, 5],
                                        "strides": [2, 2], "activation": "relu"}},
    {"class_name": "MaxPooling2D", "config": {"name": "pool"}},
    {"class_name": "Flatten", "config": {"name": "flat"}},
    {"class_name": "Dense", "config": {"name": "out", "units": 3, "activation": "softmax"}}]}}


def inside(name, x, y):
    if name == "ball":
        return x * x + y * y < 1
    if name == "box":
        return abs(x) < 0.9 and abs(y) < 0.9
    return int(4 * (x + 2)) % 2 == 0 and abs(x) < 1 and abs(y) < 1


def photograph(path, name, number):
    """40 x 48 pixels: the object somewhere on a grainy background."""
    noise = hashlib.shake_128(("%s %d" % (name, number)).encode()).digest(40 * 48 + 8)
    middle_x, middle_y = 16 + noise[0] % 16, 14 + noise[1] % 12
    size, pixels = 8 + noise[2] % 5, bytearray()
    for y in range(40):
        for x in range(48):
            grain = noise[8 + y * 48 + x] % 40
            if inside(name, (x - middle_x) / size, (y - middle_y) / size):
                pixels += bytes((200 - grain, 60 + grain, 40 + noise[3] % 60))
            else:
                pixels += bytes((60 + grain, 90 + grain, 100 + grain + noise[4] % 40))
    with open(path, "wb") as file:
        file.write(b"P6 48 40 255\n" + pixels)


def make_photographs(folder, names):
    for name in names:
        os.makedirs(os.path.join(folder, name))
        for number in range(30):
            photograph(os.path.join(folder, name, "%02d.ppm" % number), name, number)


# ---- TensorBoard's files ----

def checksum(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    crc ^= 0xffffffff
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """(number, value) of each field of a protobuf message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            if key & 7 == 2:
                size, at = varint(data, at)
            else:
                size = {1: 8, 5: 4}[key & 7]
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def read_events(folder):
    """{(step, tag): value} of all files; their checksums must be right."""
    values = {}
    for name in sorted(os.listdir(folder)):
        check(name.startswith("events.out.tfevents."), "TensorBoard looks for %s" % name)
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        at, first = 0, True
        while at < len(data):
            length, sum_of_length = struct.unpack("<QI", data[at:at + 12])
            check(sum_of_length == checksum(data[at:at + 8]), "the checksum of a length")
            event = data[at + 12:at + 12 + length]
            check(struct.unpack("<I", data[at + 12 + length:at + 16 + length])[0] == checksum(event),
                  "the checksum of an event")
            at += 16 + length
            parts = dict(fields(event))
            if first:
                check(parts[3] == b"brain.Event:2", "the version: %s" % parts)
            for number, value in fields(parts.get(5, b"")):
                tag = dict(fields(value))
                values[parts[2], tag[1].decode()] = struct.unpack("<f", tag[2])[0]
                check(number == 1, "a summary has values only")
            first = False
    return values


# ---- The steps ----

def command(folder, output, *more):
    return ["train", "--architecture", os.path.join(folder, "net.json"), "--data",
            os.path.join(folder, "photos"), "--output", os.path.join(folder, output),
            "--validation-split", "0.2", "--optimizer", "adam", "--learning-rate", "0.003", "--loss",
            "categorical_crossentropy", "--augment", "photos", "--seed", "1", "--epochs", "30",
            "--batch-size", "8", *more]


def look(folder):
    sheet = os.path.join(folder, "sheet.png")
    lists = ["photos,crop=0.3,cutout=6", "mixup=0.4@0.5,cutmix=1@0.5,erasing=0.3"]
    for augment in lists:
        code, _, error = convnet("augment", "--data", os.path.join(folder, "photos"), "--model",
                                 os.path.join(folder, "net.json"), "--augment", augment, "--rows", "3",
                                 "--columns", "4", "--output", sheet)
        with open(sheet, "rb") as file:
            size = struct.unpack(">II", file.read()[16:24])
        check("sheet.png: 3 pictures" in error, error)
        check(code == 0 and size == (5 * (SIDE + 2) - 2, 3 * (SIDE + 2) - 2), "the sheet: %s %s" %
              (size, error))
        with open(sheet, "rb") as file:
            once = file.read()
        check(not os.path.exists(sheet + ".x") and len(set(once)) > 64, "the sheet shows something")


def train(folder):
    """Stopped by Ctrl-C after the first epoch, and resumed: the same file as without interruption."""
    paths = {name: os.path.join(folder, name) for name in ("state", "history.csv", "logs")}
    more = ["--checkpoint", paths["state"], "--history", paths["history.csv"], "--log-dir", paths["logs"]]
    code, _, error = convnet(*command(folder, "whole"))
    check(code == 0 and "Written:" in error and "Next:" in error, error)
    with subprocess.Popen([CONVNET, *command(folder, "mine", *more)],
                          stderr=subprocess.PIPE) as process:
        until = time.monotonic() + PATIENCE
        while not os.path.exists(paths["state"]) and time.monotonic() < until:
            if process.poll() is not None:
                break
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=PATIENCE)[1].decode()
    stopped = process.returncode == 128 + signal.SIGINT
    check(stopped or process.returncode == 0, "stopped: %d %s" % (process.returncode, error))
    if stopped:
        check("--resume" in error, "it says how to continue: %s" % error)
        code, _, error = convnet(*command(folder, "mine", *more, "--resume", paths["state"]))
        check(code == 0, "resumed: %s" % error)
    with open(os.path.join(folder, "whole"), "rb") as whole, \
            open(os.path.join(folder, "mine"), "rb") as mine:
        check(whole.read() == mine.read(), "a training that was stopped has the bits of one that was not")
    events = read_events(paths["logs"])
    with open(paths["history.csv"], encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    check(len(rows) == 30, "a row per epoch")
    for row in rows:
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
            got = events.get((int(row["epoch"]), "epoch_" + name), math.nan)
            check(abs(got - float(row[name])) <= 1e-6 * max(1, abs(got)),
                  "epoch %s: %s is %s, in the events %s" % (row["epoch"], name, row[name], got))
    return paths["history.csv"]


def report(folder, history):
    page = os.path.join(folder, "report.svg")
    measure = ("evaluate", "--model", os.path.join(folder, "mine"), "--data",
               os.path.join(folder, "photos"), "--split", "validation")
    code, out, error = convnet(*measure, "--json")
    check(code == 0 and json.loads(out)["samples"] == 18 and "trained on" not in error,
          "the pictures that were kept: %s %s" % (out[:200], error))
    code, out, error = convnet(*measure, "--report", page, "--history", history)
    check(code == 0 or "cairo" in error, error)
    check(code != 0 or os.path.getsize(page) > 1000, "a report: %s" % out)


def served_alike(folder, model, pictures):
    code, out, error = convnet("predict", "--model", model, "--format", "ndjson", *pictures)
    check(code == 0, error)
    rows = [json.loads(line) for line in out.splitlines()]
    check(len(rows) == len(pictures), "a row per picture: %s" % out)
    right = 0
    with serving("--model=" + model) as server:
        for path, row in zip(pictures, rows):
            with open(path, "rb") as file:
                status, _, body = request_picture(server, file.read())
            answer = json.loads(body)
            answer = answer.get("predictions", [answer])[0]
            check(status == 200 and answer["label"] == row["label"] and
                  answer["probabilities"] == row["probabilities"],
                  "%s: %s by the daemon, %s by the command" % (path, body, row))
            right += row["label"] == os.path.basename(os.path.dirname(path))
    return right


def request_picture(server, picture):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", "/predict", picture, {"Content-Type": "image/x-portable-pixmap"})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def one_sigmoid(folder):
    """Two classes with one sigmoid output and binary cross-entropy."""
    data = os.path.join(folder, "two")
    make_photographs(data, ("ball", "stripes"))
    network = json.loads(json.dumps(NETWORK))
    network["config"]["layers"][-1]["config"].update(units=1, activation="sigmoid")
    path, model = os.path.join(folder, "two.json"), os.path.join(folder, "two.safetensors")
    with open(path, "w", encoding="ascii") as file:
        json.dump(network, file)
    code, _, error = convnet("train", "--architecture", path, "--data", data, "--output", model, "--loss",
                             "binary_crossentropy", "--optimizer", "adam", "--learning-rate", "0.01",
                             "--epochs", "20", "--batch-size", "8", "--seed", "1",
                             "--validation-split", "0.2")
    check(code == 0, error)
    code, out, error = convnet("evaluate", "--model", model, "--data", data, "--json")
    result = json.loads(out) if code == 0 else {}
    check(result.get("accuracy", 0) > 0.9, "one sigmoid learns: %s %s" % (out[:300], error))
    pictures = [os.path.join(data, name, "%02d.ppm" % i) for name in ("ball", "stripes")
                for i in range(6)]
    right = served_alike(folder, model, pictures)
    check(right >= 10, "%d of 12 by one sigmoid" % right)


def main():
    with tempfile.TemporaryDirectory() as folder:
        make_photographs(os.path.join(folder, "photos"), ("ball", "box", "stripes"))
        with open(os.path.join(folder, "net.json"), "w", encoding="ascii") as file:
            json.dump(NETWORK, file)
        look(folder)
        history = train(folder)
        report(folder, history)
        pictures = [os.path.join(folder, "photos", name, "%02d.ppm" % i)
                    for name in ("ball", "box", "stripes") for i in (0, 7, 21)]
        right = served_alike(folder, os.path.join(folder, "mine"), pictures)
        check(right >= 6, "%d of 9 photographs" % right)
        one_sigmoid(folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
