#!/usr/bin/env python3
"""Asks with Triton's own client: pictures as a BYTES tensor in binary, the answer as a NumPy array.

    infer_triton.py 127.0.0.1:8080 digits seven.png ...
"""
import sys

import numpy
import tritonclient.http as triton


def main():
    address, model, *paths = sys.argv[1:]
    client = triton.InferenceServerClient(address)
    metadata = client.get_model_metadata(model)
    pictures = []
    for path in paths:
        with open(path, "rb") as file:
            pictures.append(file.read())
    tensor = triton.InferInput(metadata["inputs"][0]["name"], [len(pictures)], "BYTES")
    tensor.set_data_from_numpy(numpy.array(pictures, dtype=object))
    rows = client.infer(model, [tensor]).as_numpy(metadata["outputs"][0]["name"])
    for path, row in zip(paths, rows):
        print(path, row.argmax(), row.max())


if __name__ == "__main__":
    main()
