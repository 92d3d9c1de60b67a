#!/usr/bin/python3
"""Writes golden-layers.json: for single layers, or a layer after another, the outputs of PyTorch in float64.

Keras's semantics are written by hand where they differ ("same" padding and where a transposed convolution is
cut, averages without the padding). tests/unit/test_golden.c makes the same weights and inputs, by the hash in
make-golden.py. Needs Debian's python3-torch. Usage: tests/golden/make-layers.py [FOLDER], default: this one.
"""
import importlib.util
import json
import math
import os
import sys

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = importlib.util.spec_from_file_location("golden", os.path.join(HERE, "make-golden.py"))
GOLDEN = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(GOLDEN)
SAMPLES = 1
EPSILON = GOLDEN.f32(1e-3)


def first(x):
    """Channels first."""
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def conv(x, w, b=None, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    if padding == "same":
        reach = [(k - 1) * d + 1 for k, d in zip(w.shape, dilation)]
        x = last(GOLDEN.padded(first(x), reach, strides, "same"))
    return last(F.conv2d(first(x), w.permute(3, 2, 0, 1), b, strides, 0, dilation, groups))


def depthwise(x, w, b=None, **more):
    channels, multiplier = w.shape[2:]
    return conv(x, w.reshape(*w.shape[:2], 1, channels * multiplier), b, groups=channels, **more)


def row(f):
    """A layer over one axis as one over the second of two."""
    return lambda x, *w: f(x[:, None], *[v[None] if v.dim() > 1 else v for v in w])[:, 0]


def transposed(x, w, b, strides, padding, dilation=(1, 1)):
    y = F.conv_transpose2d(first(x), w.permute(3, 2, 0, 1), None, strides, 0, dilation=dilation)
    for axis in (2, 3):
        size, step = x.shape[axis - 1], strides[axis - 2]
        reach = (w.shape[axis - 2] - 1) * dilation[axis - 2] + 1
        length = size * step if padding == "same" else size * step + max(reach - step, 0)
        more = max(length - y.shape[axis], 0)
        y = F.pad(y, [0, more] if axis == 3 else [0, 0, 0, more])
        y = y.narrow(axis, max(reach - step, 0) // 2 if padding == "same" else 0, length)
    return last(y) + b


def average(x, size, strides):
    ones = GOLDEN.padded(torch.ones_like(first(x)), size, strides, "same")
    sums = GOLDEN.padded(first(x), size, strides, "same")
    return last(F.avg_pool2d(sums, size, strides) / F.avg_pool2d(ones, size, strides))


def maximum(x, size, strides):
    return last(F.max_pool2d(GOLDEN.padded(first(x), size, strides, "same", -math.inf), size, strides))


def per_channel(x, f):
    """f over a whole sample's numbers in channels-first order."""
    return last(f(first(x)))


def resize(x, size, mode):
    corners = None if mode == "nearest" else False
    return last(F.interpolate(first(x), size, mode=mode, align_corners=corners))


NORMS = [("gamma", [4]), ("beta", [4])]
STATISTICS = [("moving_mean", [4]), ("moving_variance", [4])]
PICTURE, SIGNAL, VECTOR = [6, 5, 4], [9, 4], [6]
FUNCTIONS = {
    "relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, -1),
}
UNARY = {
    "celu alpha=0.7": lambda x: F.celu(x, GOLDEN.f32(0.7)),
    "elu alpha=0.9": lambda x: F.elu(x, GOLDEN.f32(0.9)),
    "erf": torch.erf, "exp": torch.exp, "gelu": F.gelu,
    "hard_swish": F.hardswish, "mish": F.mish,
    "leaky_relu alpha=0.2": lambda x: F.leaky_relu(x, GOLDEN.f32(0.2)),
    "selu alpha=1.67326324 beta=1.05070098": torch.selu,
    "softplus": F.softplus, "softsign": F.softsign,
    "clip alpha=0 beta=0.5": lambda x: x.clamp(0, 0.5),
    "hard_sigmoid alpha=0.2 beta=0.5": lambda x: (x * GOLDEN.f32(0.2) + 0.5).clamp(0, 1),
    "thresholded_relu alpha=0.25": lambda x: F.threshold(x, 0.25, 0),
}

# Words of tests/support/networks.h, shape of a sample, the weights' kinds and shapes, the layer in PyTorch.
CASES = [
    ("Conv2D filters=3 kernel_size=3,2 strides=2 padding=same", PICTURE,
     [("kernel", [3, 2, 4, 3]), ("bias", [3])],
     lambda x, w, b: conv(x, w, b, (2, 2), "same")),
    ("Conv2D filters=3 kernel_size=2 dilation_rate=2,1 use_bias=false", PICTURE,
     [("kernel", [2, 2, 4, 3])], lambda x, w: conv(x, w, dilation=(2, 1))),
    ("Conv2D filters=6 kernel_size=3 groups=2", PICTURE, [("kernel", [3, 3, 2, 6]), ("bias", [6])],
     lambda x, w, b: conv(x, w, b, groups=2)),
    ("Conv1D filters=3 kernel_size=3 padding=same strides=2", SIGNAL,
     [("kernel", [3, 4, 3]), ("bias", [3])],
     row(lambda x, w, b: conv(x, w, b, (1, 2), "same"))),
    ("Conv1D filters=3 kernel_size=3 padding=causal dilation_rate=2", SIGNAL,
     [("kernel", [3, 4, 3]), ("bias", [3])],
     row(lambda x, w, b: conv(F.pad(x, [0, 0, 4, 0]), w, b, dilation=(1, 2)))),
    ("DepthwiseConv2D kernel_size=3 depth_multiplier=2 strides=2 padding=same", PICTURE,
     [("depthwise_kernel", [3, 3, 4, 2]), ("bias", [8])],
     lambda x, w, b: depthwise(x, w, b, strides=(2, 2), padding="same")),
    ("DepthwiseConv1D kernel_size=3", SIGNAL, [("depthwise_kernel", [3, 4, 1]), ("bias", [4])],
     row(depthwise)),
    ("SeparableConv2D filters=3 kernel_size=3 depth_multiplier=2", PICTURE,
     [("depthwise_kernel", [3, 3, 4, 2]), ("pointwise_kernel", [1, 1, 8, 3]), ("bias", [3])],
     lambda x, d, p, b: conv(depthwise(x, d), p, b)),
    ("SeparableConv1D filters=3 kernel_size=3", SIGNAL,
     [("depthwise_kernel", [3, 4, 1]), ("pointwise_kernel", [1, 4, 3]), ("bias", [3])],
     row(lambda x, d, p, b: conv(depthwise(x, d), p, b))),
    ("Conv2DTranspose filters=3 kernel_size=3 strides=2 padding=same", PICTURE,
     [("kernel", [3, 3, 3, 4]), ("bias", [3])],
     lambda x, w, b: transposed(x, w, b, (2, 2), "same")),
    ("Conv2DTranspose filters=3 kernel_size=2 strides=3", PICTURE,
     [("kernel", [2, 2, 3, 4]), ("bias", [3])],
     lambda x, w, b: transposed(x, w, b, (3, 3), "valid")),
    ("Conv1DTranspose filters=3 kernel_size=4 strides=2", SIGNAL,
     [("kernel", [4, 3, 4]), ("bias", [3])],
     row(lambda x, w, b: transposed(x, w, b, (1, 2), "valid"))),
    ("Dense units=5", VECTOR, [("kernel", [6, 5]), ("bias", [5])], lambda x, w, b: x @ w + b),
    ("MaxPooling2D pool_size=3 strides=2 padding=same", PICTURE, [],
     lambda x: maximum(x, (3, 3), (2, 2))),
    ("MaxPooling1D pool_size=2 padding=same", SIGNAL, [], row(lambda x: maximum(x, (1, 2), (1, 2)))),
    ("AveragePooling2D pool_size=3 strides=2 padding=same", PICTURE, [],
     lambda x: average(x, (3, 3), (2, 2))),
    ("AveragePooling1D pool_size=2 padding=same", SIGNAL, [], row(lambda x: average(x, (1, 2), (1, 2)))),
    ("GlobalMaxPooling2D", PICTURE, [], lambda x: x.amax((1, 2))),
    ("GlobalMaxPooling1D", SIGNAL, [], lambda x: x.amax(1)),
    ("GlobalAveragePooling2D", PICTURE, [], lambda x: x.mean((1, 2))),
    ("GlobalAveragePooling1D", SIGNAL, [], lambda x: x.mean(1)),
    ("BatchNormalization", PICTURE, NORMS + STATISTICS,
     lambda x, g, b, m, v: per_channel(x, lambda y: F.batch_norm(y, m, v, g, b, eps=EPSILON))),
    ("LayerNormalization", PICTURE, NORMS, lambda x, g, b: F.layer_norm(x, [4], g, b, EPSILON)),
    ("GroupNormalization groups=2", PICTURE, NORMS,
     lambda x, g, b: per_channel(x, lambda y: F.group_norm(y, 2, g, b, EPSILON))),
    ("UnitNormalization", PICTURE, [], lambda x: F.normalize(x, dim=-1)),
    ("Normalization", PICTURE, [("mean", [4]), ("variance", [4])],
     lambda x, m, v: (x - m) / v.sqrt()),
    ("LocalResponseNormalization size=3 alpha=0.5 beta=0.75 bias=2", PICTURE, [],
     lambda x: per_channel(x, lambda y: F.local_response_norm(y, 3, 0.5, 0.75, 2))),
    ("PReLU shared_axes=1,2", PICTURE, [("alpha", [1, 1, 4])],
     lambda x, a: torch.where(x > 0, x, a * x)),
    ("Rescaling scale=0.5 offset=-1", PICTURE, [], lambda x: x * 0.5 - 1),
    ("Flatten", PICTURE, [], lambda x: x.reshape(SAMPLES, -1)),
    ("Reshape target_shape=4,30", PICTURE, [], lambda x: x.reshape(SAMPLES, 4, 30)),
    ("Permute dims=3,1,2", PICTURE, [], lambda x: x.permute(0, 3, 1, 2)),
    ("RepeatVector n=3", VECTOR, [], lambda x: x[:, None].repeat(1, 3, 1)),
    ("ZeroPadding2D padding=1,2,0,3", PICTURE, [], lambda x: F.pad(x, [0, 0, 0, 3, 1, 2])),
    ("ZeroPadding1D padding=2,1", SIGNAL, [], lambda x: F.pad(x, [0, 0, 2, 1])),
    ("Cropping2D cropping=1,2,0,3", PICTURE, [], lambda x: x[:, 1:4, 0:2]),
    ("Cropping1D cropping=2,1", SIGNAL, [], lambda x: x[:, 2:8]),
    ("UpSampling2D size=2,3", PICTURE, [], lambda x: resize(x, (12, 15), "nearest")),
    ("UpSampling2D size=2 interpolation=bilinear", PICTURE, [],
     lambda x: resize(x, (12, 10), "bilinear")),
    ("UpSampling1D size=2", SIGNAL, [], lambda x: x.repeat_interleave(2, 1)),
    ("Resizing height=9 width=4", PICTURE, [], lambda x: resize(x, (9, 4), "bilinear")),
] + [("Activation activation=" + name, VECTOR, [], f) for name, f in FUNCTIONS.items()
     ] + [("Unary function=" + name, PICTURE, [], f) for name, f in UNARY.items()
          ] + [(name + " <input <r", PICTURE, [], lambda x, f=f: f(x, torch.relu(x))) for name, f in {
              "Add": torch.add, "Subtract": torch.sub, "Multiply": torch.mul,
              "Average": lambda a, b: (a + b) / 2, "Maximum": torch.maximum, "Minimum": torch.minimum,
              "Concatenate": lambda a, b: torch.cat([a, b], -1)}.items()]


def golden(words, shape, weights, layer):
    x = GOLDEN.centred(GOLDEN.STREAM_IMAGES, SAMPLES * math.prod(shape))
    tensors = [GOLDEN.initial("x/" + kind, t, dims) for t, (kind, dims) in enumerate(weights)]
    y = layer(torch.tensor(x.reshape([SAMPLES, *shape])), *tensors)
    if "<r" in words:
        words = "Unary :r function=clip alpha=0 beta=1;" + words
    return {"layers": words, "shape": shape, "output_shape": list(y.shape[1:]),
            "output": [float("%.7g" % v) for v in y.reshape(-1).tolist()]}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else HERE
    with open(os.path.join(folder, "golden-layers.json"), "w", encoding="utf-8") as file:
        file.write("[" + ",\n".join(json.dumps(golden(*case), separators=(",", ":"))
                                    for case in CASES) + "]\n")


if __name__ == "__main__":
    main()
