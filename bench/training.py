"""The measurements of bench/training; see there."""
import argparse
import csv
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import torch
from torch import nn

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLASSES = 10


def read_idx(path, header):
    """The bytes after an IDX header of `words` 32-bit words."""
    with open(path, "rb") as file:
        words = struct.unpack(f">{header}I", file.read(4 * header))
        values = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
    return values.reshape(words[1:])


class Peer:
    """The published network in PyTorch, its images and its optimizer."""

    def __init__(self, data, strided):
        torch.manual_seed(1)
        torch.set_num_threads(1)
        images = read_idx(os.path.join(data, "train-images-idx3-ubyte"), 4)
        labels = read_idx(os.path.join(data, "train-labels-idx1-ubyte"), 2).long()
        self.images = images[:, None].float() / 255
        self.targets = nn.functional.one_hot(labels, CLASSES).float()
        self.model = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=4 if strided else 1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, stride=3 if strided else 1), nn.ReLU(),
            nn.MaxPool2d(2, stride=2, ceil_mode=True), nn.Dropout(0.3), nn.Flatten(),
            nn.Linear(32 if strided else 800, CLASSES), nn.Softmax(dim=1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)

    def epoch(self):
        """The seconds of one epoch, and its loss."""
        begun, total = time.perf_counter(), 0.0
        order = torch.randperm(len(self.images))
        for first in range(0, len(order), 32):
            some = order[first:first + 32]
            self.optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.mse_loss(self.model(self.images[some]), self.targets[some])
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(some)
        return time.perf_counter() - begun, total / len(order)


def ours(options, name, folder):
    """The seconds of one epoch, and its loss."""
    history = os.path.join(folder, "history.csv")
    subprocess.run([options.convnet, "train", "--quiet", "--epochs", "1", "--batch-size", "32",
                    "--optimizer", "sgd", "--learning-rate", "0.01", "--loss",
                    "mean_squared_error", "--seed", "1", "--threads", "1", "--architecture",
                    os.path.join(TOP, "models", name + ".json"), "--data", options.data,
                    "--output", os.path.join(folder, "model.safetensors"), "--history", history],
                   check=True)
    with open(history, newline="") as file:
        row = next(csv.DictReader(file))
    return float(row["seconds"]), float(row["loss"])


def compare(options, name, reach, folder):
    peer = Peer(options.data, name == "seed")
    peer.model(peer.images[:32])  # the first call sets up threads and memory
    left, right, losses = [], [], None
    for _ in range(options.rounds):
        mine, theirs = ours(options, name, folder), peer.epoch()
        losses = losses or (mine[1], theirs[1])
        left.append(mine[0])
        right.append(theirs[0])
    mine, theirs = statistics.median(left), statistics.median(right)
    print(f"{name:<15} {mine:10.3f} {theirs:10.3f} {theirs / mine:7.1f} {reach:>6} "
          f"{losses[0]:9.4f} {losses[1]:9.4f}", flush=True)


def to_99(options, folder):
    model, history = os.path.join(folder, "fast.safetensors"), os.path.join(folder, "fast.csv")
    begun = time.perf_counter()
    subprocess.run([os.path.join(TOP, "scripts", "train-fast"), options.data, model, "--quiet",
                    "--threads", "2", "--history", history], check=True,
                   env=dict(os.environ, CONVNET=options.convnet))
    whole = time.perf_counter() - begun
    with open(history, newline="") as file:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(file))
    answer = subprocess.run([options.convnet, "evaluate", "--model", model, "--data", options.data,
                             "--json"], check=True, stdout=subprocess.PIPE)
    accuracy = json.loads(answer.stdout)["accuracy"]
    print(f"scripts/train-fast, two threads: {seconds:.2f} s ({whole:.2f} s with reading the data), "
          f"{100 * accuracy:.2f} % of the test set (reach: 99 % in 12 s)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--convnet", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("data")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"seconds per epoch, one thread, medians of {options.rounds} in turn; PyTorch "
              f"{torch.__version__}; the losses are the first epoch's")
        print("network            convnet    PyTorch   ratio  reach      loss  its loss")
        compare(options, "seed", "6", folder)
        compare(options, "seed-unstrided", "2.5", folder)
        to_99(options, folder)


if __name__ == "__main__":
    sys.exit(main())
