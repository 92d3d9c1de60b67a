#!/usr/bin/env python3
"""Asks by the Open Inference Protocol, as KServe's and Triton's clients do, with the standard library
alone: the pictures are one BYTES tensor, the answer is the tensor of probabilities.

    infer_kserve.py http://127.0.0.1:8080 digits seven.png ...
"""
import base64
import json
import sys
import urllib.request


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def main():
    url, model, *paths = sys.argv[1:]
    with urllib.request.urlopen(f"{url}/v2/models/{model}", timeout=30) as answer:
        takes = json.load(answer)["inputs"][0]
    pictures = []
    for path in paths:
        with open(path, "rb") as file:
            pictures.append(base64.b64encode(file.read()).decode())
    answer = post(f"{url}/v2/models/{model}/infer", {"inputs": [
        {"name": takes["name"], "shape": [len(pictures)], "datatype": "BYTES", "data": pictures}]})
    output = answer["outputs"][0]
    count = output["shape"][1]
    for i, path in enumerate(paths):
        row = output["data"][i * count:(i + 1) * count]
        print(path, row.index(max(row)), max(row))


if __name__ == "__main__":
    main()
