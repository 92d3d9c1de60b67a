"""The published networks in PyTorch, with the weights of a model file."""
import json
import struct

import torch
from torch import nn

CLASSES = 10


def read_tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        block = bytearray(file.read())
    del header["__metadata__"]
    return [torch.frombuffer(block[slice(*entry["data_offsets"])], dtype=torch.float32).reshape(entry["shape"])
            for _, entry in sorted(header.items(), key=lambda row: row[1]["data_offsets"])]


def read_network(path):
    """seed or seed-unstrided, recognised by the size of the last layer: channels last in the file, first in
    PyTorch."""
    kernel_1, bias_1, kernel_2, bias_2, dense, bias_3 = read_tensors(path)
    inputs = dense.shape[0]
    strided, side = inputs == 32, 1 if inputs == 32 else 5
    network = nn.Sequential(
        nn.Conv2d(1, 32, 4, stride=4 if strided else 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, stride=3 if strided else 1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=strided),
        nn.Flatten(), nn.Linear(inputs, CLASSES), nn.Softmax(dim=1))
    rows = dense.reshape(side, side, 32, CLASSES).permute(3, 2, 0, 1).reshape(CLASSES, inputs)
    values = kernel_1.permute(3, 2, 0, 1), bias_1, kernel_2.permute(3, 2, 0, 1), bias_2, rows, bias_3
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), values):
            parameter.copy_(value)
    return network.eval()
