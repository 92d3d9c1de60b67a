#!/usr/bin/env python3
"""Writes mnist-sample/: the first 400 training and 200 test images of MNIST as gzipped IDX pairs.

Usage: make-mnist-sample.py MNIST_FOLDER   (plain files, as scripts/fetch-dataset writes them)
"""
import gzip
import os
import struct
import sys


def cut(source, target, header, item, count):
    with open(source, "rb") as file:
        head = bytearray(file.read(header))
        body = file.read(item * count)
    head[4:8] = struct.pack(">I", count)
    with open(target, "wb") as file:
        file.write(gzip.compress(bytes(head) + body, 9, mtime=0))


def main():
    folder = sys.argv[1]
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mnist-sample")
    os.makedirs(out, exist_ok=True)
    for split, count in (("train", 400), ("t10k", 200)):
        for kind, header, item in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            name = f"{split}-{kind}-ubyte"
            cut(f"{folder}/{name}", f"{out}/{name}.gz", header, item, count)


main()
