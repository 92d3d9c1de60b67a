"""Networks for the tests of `convnet export`, at least one for each type of layer: by class name a list of
(shapes of the inputs, configuration, shapes of the weights). Divisors are made positive by a layer before."""
import json
import random
import struct

ELEMENT = [[4, 5, 3]]

UNARY = [
    {"function": f} for f in (
        "abs", "ceil", "cos", "erf", "exp", "floor", "gelu", "gelu_tanh", "hard_swish", "mish",
        "negative", "not", "reciprocal", "round", "sign", "sin", "softplus", "softsign", "square",
        "truncate", "truth")] + [
    {"function": "affine", "alpha": 0.7, "beta": -0.3},
    {"function": "celu", "alpha": 0.6},
    {"function": "clip", "alpha": -0.4, "beta": 0.3},
    {"function": "clip", "alpha": 0, "beta": 0.5},
    {"function": "elu", "alpha": 0.9},
    {"function": "hard_sigmoid", "alpha": 0.2, "beta": 0.5},
    {"function": "hard_sigmoid", "alpha": 0.16666667, "beta": 0.5},
    {"function": "leaky_relu", "alpha": 0.2},
    {"function": "power", "alpha": 2},
    {"function": "selu", "alpha": 1.67326324, "beta": 1.05070098},
    {"function": "shrink", "alpha": 0.3, "beta": 0.1},
    {"function": "thresholded_relu", "alpha": 0.25}]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "prelu", "divide", "divide_whole",
          "modulo", "remainder", "equal", "greater", "greater_equal", "less", "less_equal", "and",
          "or", "xor"]
REDUCE = ["sum", "mean", "max", "min", "product", "l1", "l2", "sum_square", "log_sum_exp", "argmax",
          "argmin", "argmax_last", "argmin_last"]
PAIR = [[4, 5, 3], [4, 5, 3]]
NORMS = {"gamma": [3], "beta": [3]}


def resize(axis, size, **more):
    return dict({"axis": axis, "size": size, "interpolation": "linear",
                 "coordinates": "half_pixel", "rounding": "round_prefer_floor"}, **more)


CASES = {
    "Conv2D": [
        ([[7, 6, 3]], {"filters": 4, "kernel_size": [3, 2], "strides": [2, 1], "padding": "same",
                       "activation": "relu"}, {"kernel": [3, 2, 3, 4], "bias": [4]}),
        ([[7, 6, 4]], {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "use_bias": False},
         {"kernel": [3, 3, 4, 4]}),
        ([[7, 6, 4]], {"filters": 6, "kernel_size": 3, "groups": 2},
         {"kernel": [3, 3, 2, 6], "bias": [6]}),
        ([[7, 6]], {"filters": 2, "kernel_size": 3}, {"kernel": [3, 3, 1, 2], "bias": [2]})],
    "Conv1D": [
        ([[9, 3]], {"filters": 4, "kernel_size": 3, "padding": "causal", "activation": "tanh"},
         {"kernel": [3, 3, 4], "bias": [4]}),
        ([[9, 3]], {"filters": 4, "kernel_size": 4, "strides": 2, "padding": "same"},
         {"kernel": [4, 3, 4], "bias": [4]})],
    "DepthwiseConv2D": [
        ([[7, 6, 3]], {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
         {"depthwise_kernel": [3, 3, 3, 2], "bias": [6]})],
    "DepthwiseConv1D": [
        ([[9, 3]], {"kernel_size": 3, "padding": "same"},
         {"depthwise_kernel": [3, 3, 1], "bias": [3]})],
    "SeparableConv2D": [
        ([[7, 6, 3]], {"filters": 5, "kernel_size": 3, "padding": "same"},
         {"depthwise_kernel": [3, 3, 3, 1], "pointwise_kernel": [1, 1, 3, 5], "bias": [5]})],
    "SeparableConv1D": [
        ([[9, 3]], {"filters": 5, "kernel_size": 3},
         {"depthwise_kernel": [3, 3, 1], "pointwise_kernel": [1, 3, 5], "bias": [5]}),
        ([[9, 3]], {"filters": 5, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
         {"depthwise_kernel": [3, 3, 1], "pointwise_kernel": [1, 3, 5], "bias": [5]})],
    "Conv2DTranspose": [
        ([[4, 5, 3]], {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"},
         {"kernel": [3, 3, 2, 3], "bias": [2]}),
        ([[4, 5, 3]], {"filters": 2, "kernel_size": 3, "dilation_rate": 2},
         {"kernel": [3, 3, 2, 3], "bias": [2]}),
        ([[4, 5, 3]], {"filters": 2, "kernel_size": [2, 3], "strides": [3, 2]},
         {"kernel": [2, 3, 2, 3], "bias": [2]})],
    "Conv1DTranspose": [
        ([[6, 3]], {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"},
         {"kernel": [3, 2, 3], "bias": [2]}),
        ([[6, 3]], {"filters": 2, "kernel_size": 3, "dilation_rate": 2},
         {"kernel": [3, 2, 3], "bias": [2]})],
    "Dense": [([[6]], {"units": 4, "activation": "sigmoid"}, {"kernel": [6, 4], "bias": [4]})],
    "MaxPooling2D": [([[7, 6, 3]], {"pool_size": [3, 2], "strides": [2, 2], "padding": "same"}, {}),
                     ([[7, 6]], {"pool_size": 2}, {})],
    "MaxPooling1D": [([[9, 3]], {"pool_size": 2}, {})],
    "AveragePooling2D": [([[7, 6, 3]], {"pool_size": 3, "strides": 2, "padding": "same"}, {})],
    "AveragePooling1D": [([[9, 3]], {"pool_size": 3, "strides": 1, "padding": "same"}, {})],
    "GlobalMaxPooling2D": [(ELEMENT, {}, {}), (ELEMENT, {"keepdims": True}, {})],
    "GlobalMaxPooling1D": [([[9, 3]], {}, {}), ([[9, 3]], {"keepdims": True}, {})],
    "GlobalAveragePooling2D": [(ELEMENT, {}, {}), ([[7, 6]], {}, {}),
                               (ELEMENT, {"keepdims": True}, {})],
    "GlobalAveragePooling1D": [([[9, 3]], {}, {}), ([[9, 3]], {"keepdims": True}, {})],
    "Flatten": [(ELEMENT, {}, {})],
    "Activation": [(ELEMENT, {"activation": name}, {})
                   for name in ("relu", "sigmoid", "tanh", "softmax")],
    "BatchNormalization": [
        (ELEMENT, {}, dict(NORMS, moving_mean=[3], moving_variance=[3])),
        ([[6]], {"center": False}, {"gamma": [6], "moving_mean": [6], "moving_variance": [6]})],
    "Dropout": [(ELEMENT, {"rate": 0.5}, {})],
    "SpatialDropout1D": [([[9, 3]], {"rate": 0.5}, {})],
    "SpatialDropout2D": [(ELEMENT, {"rate": 0.5}, {})],
    "GaussianNoise": [(ELEMENT, {"stddev": 0.5}, {})],
    "GaussianDropout": [(ELEMENT, {"rate": 0.5}, {})],
    "AlphaDropout": [(ELEMENT, {"rate": 0.5}, {})],
    "ActivityRegularization": [(ELEMENT, {"l1": 0.1, "l2": 0.2}, {})],
    "RandomFlip": [(ELEMENT, {"mode": "horizontal"}, {})],
    "RandomRotation": [(ELEMENT, {"factor": 0.2}, {})],
    "RandomZoom": [(ELEMENT, {"height_factor": [-0.2, 0.1]}, {})],
    "RandomTranslation": [(ELEMENT, {"height_factor": 0.2, "width_factor": 0.1}, {})],
    "RandomContrast": [(ELEMENT, {"factor": 0.2}, {})],
    "RandomBrightness": [(ELEMENT, {"factor": 0.2}, {})],
    "Add": [(PAIR, {}, {}), ([[4, 5, 3], [1, 1, 3], [4, 5, 3]], {}, {})],
    "Subtract": [(PAIR, {}, {})],
    "Multiply": [(PAIR, {}, {}), ([[4, 5, 3], [1, 1, 3]], {}, {})],
    "Average": [(PAIR, {}, {})],
    "Maximum": [(PAIR, {}, {})],
    "Minimum": [(PAIR, {}, {})],
    "Concatenate": [([[4, 5, 3], [4, 2, 3]], {"axis": 2}, {}), (PAIR, {"axis": -1}, {})],
    "Binary": [([[4, 5, 3], [1, 5, 1]], {"function": f}, {}) for f in BINARY],
    "Constant": [(ELEMENT, {"shape": [4, 3]}, {"value": [12]})],
    "MatMul": [([[3, 4], [4, 5]], {}, {}), ([[2, 3, 4], [1, 4, 5]], {}, {})],
    "Pad": [(ELEMENT, {"before": [1, 0, 2], "after": [0, 1, 1], "value": 0.5}, {}),
            (ELEMENT, {"before": [1, 2, 0], "after": [2, 1, 0], "mode": "reflect"}, {}),
            (ELEMENT, {"before": [1, 2, 0], "after": [2, 1, 0]}, {})],
    "Reduce": [(ELEMENT, {"function": f, "axis": 2}, {}) for f in REDUCE] + [
        (ELEMENT, {"function": f, "axis": axis}, {}) for f in ("sum", "min") for axis in (1, 3)] + [
        ([[6]], {"function": "sum", "axis": 1}, {})],
    "Resize": [
        (ELEMENT, resize(1, 9), {}), (ELEMENT, resize(2, 3), {}),
        (ELEMENT, resize(2, 10, interpolation="nearest"), {}),
        (ELEMENT, resize(1, 7, interpolation="nearest", coordinates="asymmetric",
                         rounding="floor"), {}),
        (ELEMENT, resize(1, 9, interpolation="cubic", cubic_coefficient=-0.75), {}),
        (ELEMENT, resize(3, 5, coordinates="align_corners"), {})],
    "Slice": [(ELEMENT, {"begin": [1, 0, 0], "size": [2, 4, 3], "strides": [1, 1, 1]}, {}),
              (ELEMENT, {"begin": [3, 0, 1], "size": [4, 3, 2], "strides": [-1, 2, 1]}, {})],
    "Unary": [(ELEMENT, config, {}) for config in UNARY],
    "Where": [([[4, 5, 3], [4, 5, 3], [1, 5, 1]], {}, {})],
    "Reshape": [(ELEMENT, {"target_shape": [10, 6]}, {})],
    "Permute": [(ELEMENT, {"dims": [3, 1, 2]}, {})],
    "RepeatVector": [([[6]], {"n": 4}, {})],
    "ZeroPadding2D": [(ELEMENT, {"padding": [[1, 0], [0, 2]]}, {})],
    "ZeroPadding1D": [([[9, 3]], {"padding": [1, 2]}, {})],
    "Cropping2D": [([[7, 6, 3]], {"cropping": [[1, 1], [2, 1]]}, {})],
    "Cropping1D": [([[9, 3]], {"cropping": [1, 2]}, {})],
    "UpSampling2D": [(ELEMENT, {"size": [2, 3]}, {}),
                     (ELEMENT, {"size": 3, "interpolation": "bilinear"}, {})],
    "UpSampling1D": [([[9, 3]], {"size": 2}, {})],
    "Resizing": [(ELEMENT, {"height": 7, "width": 3}, {}),
                 (ELEMENT, {"height": 7, "width": 3, "interpolation": "nearest"}, {})],
    "Rescaling": [(ELEMENT, {"scale": 0.3, "offset": 0.1}, {}),
                  (ELEMENT, {"scale": [0.3, 0.5, 2], "offset": [0.1, 0, 1]}, {})],
    "Normalization": [(ELEMENT, {}, {"mean": [3], "variance": [3]})],
    "LayerNormalization": [(ELEMENT, {}, NORMS), (ELEMENT, {"center": False, "axis": [2, 3]},
                                                  {"gamma": [5, 3]})],
    "GroupNormalization": [([[4, 5, 6]], {"groups": 3}, {"gamma": [6], "beta": [6]}),
                           ([[4, 5, 6]], {"groups": -1, "scale": False}, {"beta": [6]})],
    "UnitNormalization": [(ELEMENT, {}, {})],
    "LocalResponseNormalization": [([[4, 5, 8]], {"size": 3, "alpha": 0.3, "beta": 0.6}, {}),
                                   ([[8]], {}, {})],
    "PReLU": [(ELEMENT, {"shared_axes": [1, 2]}, {"alpha": [1, 1, 3]}),
              (ELEMENT, {}, {"alpha": [4, 5, 3]})],
}


def tensor(name):
    """The inputs of a layer in Keras 3's JSON."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def layer(class_name, name, config, *inputs):
    given = [tensor(x) for x in inputs] if len(inputs) > 1 else tensor(inputs[0]) if inputs else 0
    return {"class_name": class_name, "name": name, "config": dict(config, name=name),
            "inbound_nodes": [{"args": [given], "kwargs": {}}] if inputs else []}


def write_model(path, layers, inputs, outputs, weights):
    """A model file of a Functional network with generated weights."""
    dice = random.Random(7)
    header = {"__metadata__": {"format": "convnet/1", "architecture": json.dumps({
        "class_name": "Functional", "config": {
            "name": "many", "layers": layers, "input_layers": [[name, 0, 0] for name in inputs],
            "output_layers": [[name, 0, 0] for name in outputs]}})}}
    data = b""
    for name, shape in weights.items():
        count = 1
        for size in shape:
            count *= size
        low = 0.5 if name.endswith("variance") else -0.5
        numbers = [dice.uniform(low, low + 1) for _ in range(count)]
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack("<%df" % count, *numbers)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + data)


def write_case(path, class_name, case):
    """A model of one layer."""
    shapes, config, weights = case
    names = ["x%d" % i for i in range(len(shapes))]
    layers = [layer("InputLayer", name, {"batch_shape": [None] + shape})
              for name, shape in zip(names, shapes)]
    read = list(names)
    if config.get("function") in ("divide", "divide_whole", "modulo", "remainder", "reciprocal"):
        read[-1] = "positive"
        layers.append(layer("Unary", "positive", {"function": "softplus"}, names[-1]))
    layers.append(layer(class_name, "y", config, *read))
    write_model(path, layers, names, ["y"],
                {"y/" + name: shape for name, shape in weights.items()})
