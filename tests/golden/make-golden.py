#!/usr/bin/python3
"""Writes the golden numbers that tests/unit/test_golden.c compares libconvnet with.

They come from an independent implementation: PyTorch's convolutions, pooling and autograd in float64, with
Keras's semantics written by hand where they differ ("same" padding, averages without the padding, losses,
optimizers). Needs Debian's python3-torch. Usage: tests/golden/make-golden.py [FOLDER], default: this one.

Weights, images and labels are not stored: both sides compute them with the same integer hash.
"""
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "..", "models")
ARCHITECTURES = [
    os.path.join(MODELS, "seed.json"),
    os.path.join(MODELS, "seed-unstrided.json"),
    os.path.join(HERE, "normalized.json"),
]
IMAGES, BATCH, BATCHES, STEPS = 8, 16, 3, 10
SAMPLE = 37  # every 37th element of a gradient is stored
STREAM_IMAGES, STREAM_LABELS = 1000, 1001


def f32(value):
    """A constant as libconvnet stores it."""
    return float(np.float32(value))


# ---- Computed by both sides: a hash of 32 bits, and numbers that are exact in float32 ----


def scramble(x):
    x = (x ^ (x >> np.uint64(16))) * np.uint64(0x21F0AAAD) & np.uint64(0xFFFFFFFF)
    x = (x ^ (x >> np.uint64(15))) * np.uint64(0x735A2D97) & np.uint64(0xFFFFFFFF)
    return x ^ (x >> np.uint64(15))


def hashes(stream, count):
    start = scramble(np.array([stream + 1], dtype=np.uint64))
    return scramble((start + np.arange(count, dtype=np.uint64)) & np.uint64(0xFFFFFFFF))


def centred(stream, count):
    """Uniform in [-1, 1), multiples of 2^-23."""
    return (hashes(stream, count) >> np.uint64(8)).astype(np.float64) * 2.0**-23 - 1


def initial(name, stream, shape):
    """(centre, spread) by the tensor's kind; a kernel's spread is a power of two near Glorot's."""
    kind = name.split("/")[1]
    centre, spread = {
        "gamma": (1, 0.25),
        "beta": (0, 0.25),
        "bias": (0, 0.0625),
        "moving_mean": (0, 0.25),
        "moving_variance": (1, 0.5),
        "alpha": (0, 0.25),
        "mean": (0, 0.25),
        "variance": (1, 0.5),
    }.get(kind, (0, None))
    if spread is None:
        fan_in = math.prod(shape[:-1])
        fan_out = math.prod(shape) // shape[-2]
        spread = 2.0 ** math.floor(math.log2(math.sqrt(6 / (fan_in + fan_out))))
    values = np.float32(centre + spread * centred(stream, math.prod(shape)))
    return torch.tensor(values.astype(np.float64).reshape(shape))


def images_of(shape, count):
    h = hashes(STREAM_IMAGES, count * math.prod(shape))
    pixels = np.where(h % np.uint64(4) == 0, h >> np.uint64(24), np.uint64(0))
    values = pixels.astype(np.float32) / np.float32(255)
    return torch.tensor(values.astype(np.float64).reshape([count, *shape]))


def labels_of(count, classes):
    return torch.tensor((hashes(STREAM_LABELS, count) % np.uint64(classes)).astype(np.int64))


# ---- Keras's layers, NHWC ----


def pair(value):
    return [value, value] if isinstance(value, int) else list(value)


def same_padding(size, kernel, stride):
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def padded(x, kernel, strides, padding, value=0.0):
    """NCHW."""
    if padding == "valid":
        return x
    rows = same_padding(x.shape[2], kernel[0], strides[0])
    columns = same_padding(x.shape[3], kernel[1], strides[1])
    return F.pad(x, [*columns, *rows], value=value)


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: torch.softmax(x, dim=-1),
}


class Network:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            layers = json.load(file)["config"]["layers"]
        self.input_shape = layers[0]["config"]["batch_shape"][1:]
        self.layers = [(layer["class_name"], layer["config"]) for layer in layers[1:]]
        self.reset()

    def reset(self):
        """The initial weights; a pass over zeros finds the shapes."""
        self.tensors = {}
        self.building = True
        x = self.forward(torch.zeros([1, *self.input_shape], dtype=torch.float64), False)
        self.classes = x.shape[-1]
        self.building = False

    def tensor(self, config, kind, shape):
        name = f"{config['name']}/{kind}"
        if self.building:
            self.tensors[name] = initial(name, len(self.tensors), shape)
        return self.tensors[name]

    def trainable(self):
        return {n: t for n, t in self.tensors.items() if "/moving_" not in n}

    def forward(self, x, training):
        for class_name, config in self.layers:
            x = getattr(self, class_name)(x, config, training)
            x = ACTIVATIONS[config.get("activation", "linear")](x)
        return x

    def Conv2D(self, x, c, _training):
        kernel, strides = pair(c["kernel_size"]), pair(c.get("strides", 1))
        w = self.tensor(c, "kernel", [*kernel, x.shape[3], c["filters"]])
        b = self.tensor(c, "bias", [c["filters"]]) if c.get("use_bias", True) else None
        x = padded(x.permute(0, 3, 1, 2), kernel, strides, c.get("padding", "valid"))
        return F.conv2d(x, w.permute(3, 2, 0, 1), b, strides).permute(0, 2, 3, 1)

    def Dense(self, x, c, _training):
        w = self.tensor(c, "kernel", [x.shape[1], c["units"]])
        return x @ w + self.tensor(c, "bias", [c["units"]])

    def MaxPooling2D(self, x, c, _training):
        size = pair(c["pool_size"])
        strides = pair(c.get("strides") or size)
        x = padded(x.permute(0, 3, 1, 2), size, strides, c.get("padding", "valid"), -math.inf)
        return F.max_pool2d(x, size, strides).permute(0, 2, 3, 1)

    def AveragePooling2D(self, x, c, _training):
        size = pair(c["pool_size"])
        strides = pair(c.get("strides") or size)
        x = x.permute(0, 3, 1, 2)
        ones = padded(torch.ones_like(x), size, strides, c.get("padding", "valid"))
        sums = padded(x, size, strides, c.get("padding", "valid"))
        means = F.avg_pool2d(sums, size, strides) / F.avg_pool2d(ones, size, strides)
        return means.permute(0, 2, 3, 1)

    def GlobalAveragePooling2D(self, x, _config, _training):
        return x.mean(dim=(1, 2))

    def Flatten(self, x, _config, _training):
        return x.reshape(x.shape[0], -1)

    def Activation(self, x, _config, _training):
        return x

    def Dropout(self, x, _config, _training):
        return x  # rate 0, because two implementations draw different masks

    def BatchNormalization(self, x, c, training):
        channels = [x.shape[-1]]
        gamma = self.tensor(c, "gamma", channels)
        beta = self.tensor(c, "beta", channels)
        mean = self.tensor(c, "moving_mean", channels)
        variance = self.tensor(c, "moving_variance", channels)
        if training:
            axes = tuple(range(x.dim() - 1))
            moments = x.mean(axes), x.var(axes, unbiased=False)
            keep = f32(c.get("momentum", 0.99))
            for moving, now in zip((mean, variance), moments):
                moving.copy_(moving * keep + now.detach() * (1 - keep))
            mean, variance = moments
        return (x - mean) / torch.sqrt(variance + f32(c.get("epsilon", 1e-3))) * gamma + beta


# ---- Keras's losses and optimizers ----


def targets_of(labels, classes, smoothing):
    return F.one_hot(labels, classes).double() * (1 - smoothing) + smoothing / classes


def mean_squared_error(p, t):
    return ((p - t) ** 2).mean(dim=1).mean()


def categorical_crossentropy(p, t):
    return -(t * torch.log(torch.clamp(p, 1e-7, 1 - 1e-7))).sum(dim=1).mean()


LOSSES = {
    "mean_squared_error": (mean_squared_error, 0),
    "categorical_crossentropy": (categorical_crossentropy, 0),
    "label_smoothing": (categorical_crossentropy, f32(0.1)),
}

RATE, MOMENTUM, DECAY = f32(0.01), f32(0.9), f32(0.004)
BETA_1, BETA_2, EPSILON = f32(0.9), f32(0.999), f32(1e-7)


def sgd(_name, p, g, _state, _step):
    p -= RATE * g


def nesterov(_name, p, g, state, _step):
    state["v"] = MOMENTUM * state.get("v", 0) - RATE * g
    p += MOMENTUM * state["v"] - RATE * g


def adam(_name, p, g, state, step):
    state["m"] = BETA_1 * state.get("m", 0) + (1 - BETA_1) * g
    state["v"] = BETA_2 * state.get("v", 0) + (1 - BETA_2) * g * g
    rate = RATE * math.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
    p -= rate * state["m"] / (torch.sqrt(state["v"]) + EPSILON)


def adamw(name, p, g, state, step):
    if name.endswith("/kernel"):
        p -= p * DECAY * RATE
    adam(name, p, g, state, step)


OPTIMIZERS = {"sgd": sgd, "nesterov": nesterov, "adam": adam, "adamw": adamw}


def loss_and_gradients(network, images, labels, loss):
    function, smoothing = LOSSES[loss]
    trainable = network.trainable()
    for tensor in trainable.values():
        tensor.requires_grad_(True)
    targets = targets_of(labels, network.classes, smoothing)
    value = function(network.forward(images, True), targets)
    gradients = torch.autograd.grad(value, list(trainable.values()))
    for tensor in trainable.values():
        tensor.requires_grad_(False)
    return float(value), dict(zip(trainable, gradients))


def train(network, images, labels, loss, optimizer):
    network.reset()
    losses, states = [], {name: {} for name in network.tensors}
    for step in range(STEPS):
        first = step % BATCHES * BATCH
        batch = slice(first, first + BATCH)
        value, gradients = loss_and_gradients(network, images[batch], labels[batch], loss)
        losses.append(value)
        for name, g in gradients.items():
            OPTIMIZERS[optimizer](name, network.tensors[name], g, states[name], step + 1)
    return {"losses": losses, "parameters": summaries(network.tensors)}


def digits(value):
    return float(f"{value:.9g}")


def summaries(tensors):
    return {
        name: {
            "norm": digits(float(torch.linalg.norm(t))),
            "sample": [digits(v) for v in t.reshape(-1)[::SAMPLE].tolist()],
        }
        for name, t in tensors.items()
    }


def golden(path):
    network = Network(path)
    images = images_of(network.input_shape, BATCH * BATCHES)
    labels = labels_of(BATCH * BATCHES, network.classes)
    some, their_labels = images[:IMAGES], labels[:IMAGES]
    outputs = network.forward(some, False)
    result = {
        "outputs": [[digits(v) for v in row] for row in outputs.tolist()],
        "gradients": {},
        "training": {},
    }
    for loss in LOSSES:
        network.reset()
        value, gradients = loss_and_gradients(network, some, their_labels, loss)
        result["gradients"][loss] = {"loss": value, "tensors": summaries(gradients)}
    for loss in ("mean_squared_error", "categorical_crossentropy"):
        result["training"][loss] = {
            optimizer: train(network, images, labels, loss, optimizer) for optimizer in OPTIMIZERS
        }
    return result


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else HERE
    for path in ARCHITECTURES:
        name = os.path.splitext(os.path.basename(path))[0]
        with open(os.path.join(folder, f"golden-{name}.json"), "w", encoding="utf-8") as file:
            json.dump(golden(path), file, separators=(",", ":"))
            file.write("\n")


if __name__ == "__main__":
    main()
