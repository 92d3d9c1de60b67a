#!/usr/bin/python3
"""Writes tests/data/import: small files as Keras and PyTorch write them, with random weights from a
seed. Needs Debian's python3-h5py and python3-torch; the files are committed."""
import io
import json
import os
import zipfile

import h5py
import numpy
import torch

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "import")
random = numpy.random.default_rng(7)


def layer(name, class_name, **config):
    return {"class_name": class_name, "config": dict(config, name=name)}


def model(first):
    """A convolution, a normalisation, a pooling and a dense layer over 8 x 8 pixels."""
    shape = {"batch_input_shape": [None, 2, 8, 8] if first else [None, 8, 8, 2]}
    order = {"data_format": "channels_first" if first else "channels_last"}
    return {"class_name": "Sequential", "config": {"name": "tiny", "layers": [
        layer("conv", "Conv2D", filters=3, kernel_size=[3, 3], activation="relu", **shape, **order),
        layer("bn", "BatchNormalization", axis=[1 if first else 3], epsilon=0.01),
        layer("pool", "MaxPooling2D", pool_size=[2, 2], **order),
        layer("flatten", "Flatten"),
        layer("out", "Dense", units=4, activation="softmax")]}}


WEIGHTS = {
    "conv": [("kernel", random.normal(size=(3, 3, 2, 3))), ("bias", random.normal(size=3))],
    "bn": [("gamma", random.uniform(0.5, 2, 3)), ("beta", random.normal(size=3)),
           ("moving_mean", random.normal(size=3)), ("moving_variance", random.uniform(0.5, 2, 3))],
    "out": [("kernel", random.normal(size=(27, 4))), ("bias", random.normal(size=4))],
}
# Flatten of a channels_first picture has another order.
ROWS = WEIGHTS["out"][0][1].reshape(3, 3, 3, 4).transpose(2, 0, 1, 3).reshape(27, 4)


def legacy(name, first):
    with h5py.File(os.path.join(HERE, name), "w", track_order=False) as file:
        file.attrs["model_config"] = json.dumps(model(first))
        file.attrs["keras_version"] = b"2.4.0"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"conv", b"bn", b"pool", b"flatten", b"out"]
        for one in ("conv", "bn", "pool", "flatten", "out"):
            part = group.create_group(one)
            weights = WEIGHTS.get(one, [])
            part.attrs["weight_names"] = [("%s/%s:0" % (one, w)).encode() for w, _ in weights]
            for w, values in weights:
                values = ROWS if first and one == "out" and w == "kernel" else values
                part["%s/%s:0" % (one, w)] = values.astype("f4")


def archive(name, numbers):
    """`numbers`: the numbers of groups that Keras 2.13 writes twice for each class."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for one, group in numbers.items():
            for i, (_, values) in enumerate(WEIGHTS[one]):
                file["layers/%s/vars/%d" % (group, i)] = values.astype("f4")
    with zipfile.ZipFile(os.path.join(HERE, name), "w") as out:
        for entry, content in (("metadata.json", "{}"), ("config.json", json.dumps(model(False))),
                               ("model.weights.h5", data.getvalue())):
            out.writestr(zipfile.ZipInfo(entry), content)


def state():
    """The same network as PyTorch has it."""
    kernel, bias = WEIGHTS["conv"]
    tensors = {"features.0.weight": kernel[1].transpose(3, 2, 0, 1), "features.0.bias": bias[1]}
    for name, (_, values) in zip(("weight", "bias", "running_mean", "running_var"), WEIGHTS["bn"]):
        tensors["features.1." + name] = values
    tensors["features.1.num_batches_tracked"] = numpy.array(3)
    tensors["head.weight"] = ROWS.T
    tensors["head.bias"] = WEIGHTS["out"][1][1]
    return {name: torch.tensor(numpy.ascontiguousarray(values)).float()
            for name, values in tensors.items()}


os.makedirs(HERE, exist_ok=True)
legacy("tiny.h5", False)
legacy("first.h5", True)
archive("tiny.keras", {"conv": "conv2d", "bn": "batch_normalization", "out": "dense"})
archive("twice.keras", {"conv": "conv2d_2", "bn": "batch_normalization_4", "out": "dense_2"})
torch.save(state(), os.path.join(HERE, "tiny.pth"))
torch.save(state(), os.path.join(HERE, "legacy.pth"), _use_new_zipfile_serialization=False)
with open(os.path.join(HERE, "tiny.json"), "w", encoding="ascii") as text:
    json.dump(model(False), text)
