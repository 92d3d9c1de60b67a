#!/usr/bin/python3
"""exporters.py FOLDER: writes small ONNX files with the habits of exporters (tf2onnx, keras2onnx, PyTorch,
quantizers) and of opsets 18 to 22, which ONNX's own cases lack: FOLDER/CASE/model.onnx. Make-case.js then adds what
ONNX Runtime computes; tests/data/onnx has both. Debian: python3-onnx."""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.RandomState(0)
node = helper.make_node


def weights(name, *shape):
    return numpy_helper.from_array((RANDOM.randn(*shape) * 0.4).astype(np.float32), name)


def floats(name, *values):
    return numpy_helper.from_array(np.array(values if len(values) > 1 else values[0], np.float32),
                                   name)


def integers(name, values, kind=np.int64):
    return numpy_helper.from_array(np.array(values, kind), name)


def model(nodes, constants, inputs, outputs, opset=13, functions=()):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)] + (
        [helper.make_opsetid("own", 1)] if functions else []))
    made.ir_version = 8 if opset < 19 else 9 if opset < 21 else 10
    made.functions.extend(functions)
    return made


LAST, FIRST = [("x", ["n", 6, 6, 2])], [("x", ["n", 2, 6, 6])]
TURN, BACK = {"perm": [0, 3, 1, 2]}, {"perm": [0, 2, 3, 1]}
WINDOW = {"kernel_shape": [3, 3]}


def conv(source="x", output="c", **more):
    return node("Conv", [source, "k"], [output], **WINDOW, **more)


def tensorflow():
    """Pictures with their channels last, turned for each operator."""
    yield "tf2onnx-flatten", model([
        node("Transpose", ["x"], ["t"], **TURN),
        node("Conv", ["t", "k", "b"], ["c"], strides=[2, 2], pads=[0, 0, 1, 1], **WINDOW),
        node("Relu", ["c"], ["r"]), node("Transpose", ["r"], ["u"], **BACK),
        node("Reshape", ["u", "s"], ["f"]), node("MatMul", ["f", "d"], ["m"]),
        node("Add", ["m", "e"], ["a"]), node("Softmax", ["a"], ["y"], axis=-1)],
        [weights("k", 3, 2, 3, 3), weights("b", 3), integers("s", [-1, 27]), weights("d", 27, 4),
         weights("e", 4)], LAST, [("y", ["n", 4])])
    yield "tf2onnx-free-batch", model([
        node("Transpose", ["x"], ["t"], **TURN), conv("t"),
        node("Transpose", ["c"], ["u"], **BACK), node("Shape", ["u"], ["s"]),
        node("Cast", ["s"], ["s32"], to=6), node("Slice", ["s32", "zero", "one", "zero"], ["b"]),
        node("Concat", ["b", "rest"], ["n32"], axis=0), node("Cast", ["n32"], ["n"], to=7),
        node("Reshape", ["u", "n"], ["f"]), node("MatMul", ["f", "d"], ["y"])],
        [weights("k", 3, 2, 3, 3), integers("zero", [0]), integers("one", [1]),
         integers("rest", [48], np.int32), weights("d", 48, 3)], LAST, [("y", ["n", 3])])
    yield "tf2onnx-depthwise", model([
        node("Transpose", ["x"], ["t"], **TURN), node("Reshape", ["k0", "s"], ["k1"]),
        node("Transpose", ["k1"], ["k"], perm=[3, 2, 0, 1]),
        conv("t", group=2, auto_pad="SAME_UPPER", strides=[2, 2]), node("Add", ["c", "b"], ["a"]),
        node("Clip", ["a", "low", "high"], ["r"]), node("Transpose", ["r"], ["y"], **BACK)],
        [weights("k0", 3, 3, 2, 2), integers("s", [3, 3, 1, 4]), weights("b", 1, 4, 1, 1),
         floats("low", 0), floats("high", 6)], LAST, [("y", ["n", 3, 3, 4])])
    yield "tf2onnx-attention", model([
        node("Transpose", ["x"], ["t"], **TURN), conv("t"), node("Sigmoid", ["c"], ["s"]),
        node("Mul", ["c", "s"], ["w"]), node("ReduceMean", ["w"], ["g"], axes=[2, 3], keepdims=0),
        node("Reshape", ["g", "one"], ["g4"]), node("Transpose", ["g4"], ["gt"], **TURN),
        node("Conv", ["gt", "k2"], ["e"], kernel_shape=[1, 1]),
        node("HardSigmoid", ["e"], ["h"], alpha=1 / 6), node("Mul", ["w", "h"], ["o"]),
        node("GlobalAveragePool", ["o"], ["p"]), node("Squeeze", ["p", "places"], ["q"]),
        node("MatMul", ["q", "d"], ["y"])],
        [weights("k", 3, 2, 3, 3), integers("one", [-1, 1, 1, 3]), weights("k2", 3, 3, 1, 1),
         integers("places", [2, 3]), weights("d", 3, 2)], LAST, [("y", ["n", 2])])
    yield "tf2onnx-sequence", model([
        node("Unsqueeze", ["x", "row"], ["x4"]), node("Transpose", ["x4"], ["t"], **TURN),
        node("Conv", ["t", "k", "b"], ["c"], kernel_shape=[1, 3]),
        node("Transpose", ["c"], ["u"], **BACK), node("Squeeze", ["u", "row"], ["s"]),
        node("ReduceMax", ["s"], ["y"], axes=[1], keepdims=0)],
        [integers("row", [1]), weights("k", 4, 3, 1, 3), weights("b", 4)], [("x", ["n", 9, 3])],
        [("y", ["n", 4])])
    yield "keras2onnx-upsample", model([
        node("Identity", ["x"], ["i"]), node("Cast", ["i"], ["f"], to=1),
        node("Transpose", ["f"], ["t"], **TURN), conv("t", auto_pad="SAME_UPPER"),
        node("Elu", ["c"], ["e"]), node("Upsample", ["e", "scales"], ["up"], mode="nearest"),
        node("Transpose", ["up"], ["u"], **BACK), node("Identity", ["u"], ["y"])],
        [weights("k", 3, 2, 3, 3), floats("scales", 1, 1, 2, 2)], LAST, [("y", ["n", 12, 12, 3])],
        9)


def quantized():
    """QuantizeLinear and DequantizeLinear around the operators."""
    for kind, zero in ((np.uint8, 121), (np.int8, -3)):
        yield "qdq-" + kind.__name__, model([
            node("QuantizeLinear", ["x", "s0", "z"], ["xq"]),
            node("DequantizeLinear", ["xq", "s0", "z"], ["xd"]),
            node("DequantizeLinear", ["kq", "sk", "zk"], ["k"], axis=0), conv("xd"),
            node("Relu", ["c"], ["r"]), node("QuantizeLinear", ["r", "s1", "z"], ["rq"]),
            node("Flatten", ["rq"], ["fq"]), node("DequantizeLinear", ["fq", "s1", "z"], ["f"]),
            node("DequantizeLinear", ["dq", "s1"], ["d"]), node("Gemm", ["f", "d"], ["y"])],
            [floats("s0", .011), integers("z", zero, kind),
             integers("kq", RANDOM.randint(-127, 127, (3, 2, 3, 3)), np.int8),
             floats("sk", .01, .02, .005), integers("zk", [0, 0, 0], np.int8), floats("s1", .023),
             integers("dq", RANDOM.randint(-127, 127, (48, 3)), np.int8)], FIRST, [("y", ["n", 3])])
    yield "qdq-axis", model([
        node("QuantizeLinear", ["kf", "s", "zk"], ["kq"], axis=0),
        node("DequantizeLinear", ["kq", "s", "zk"], ["k"], axis=0), conv(),
        node("QuantizeLinear", ["c", "s", "z"], ["q"], axis=1),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=1)],
        [weights("kf", 3, 2, 3, 3), floats("s", .01, .02, .03),
         integers("zk", [0, 0, 0], np.int8), integers("z", [100, 128, 90], np.uint8)], FIRST,
        [("y", ["n", 3, 4, 4])])


def structure():
    """Functions of the file's own, branches that shapes choose, names for one value."""
    leak = node("LeakyRelu", ["X"], ["Y"])
    attribute = leak.attribute.add()
    attribute.name, attribute.ref_attr_name = "alpha", "slope"
    attribute.type = onnx.AttributeProto.FLOAT
    standard, own = helper.make_opsetid("", 13), helper.make_opsetid("own", 1)
    functions = [
        helper.make_function("own", "Leak", ["X"], ["Y"], [leak], [standard], ["slope"]),
        helper.make_function("own", "Block", ["X", "W"], ["Z"],
                             [node("Conv", ["X", "W"], ["c"], **WINDOW),
                              node("Leak", ["c"], ["Z"], domain="own", slope=.3)],
                             [standard, own])]
    yield "functions", model([
        node("Block", ["x", "k"], ["c"], domain="own"), node("Block", ["c", "k2"], ["d"], domain="own"),
        node("Leak", ["d"], ["y"], domain="own")],
        [weights("k", 3, 2, 3, 3), weights("k2", 2, 3, 3, 3)], FIRST, [("y", ["n", 2, 2, 2])], 13,
        functions)
    branches = {}
    for name, body in (("then_branch", node("Squeeze", ["p", "axis"], ["then"])),
                       ("else_branch", node("Einsum", ["p"], ["else"], equation="abcd->ab"))):
        branches[name] = helper.make_graph([body], name, [], [helper.make_tensor_value_info(
            body.output[0], TensorProto.FLOAT, None)])
    yield "branch", model([
        conv(), node("GlobalAveragePool", ["c"], ["p"]), node("Shape", ["p"], ["s"]),
        node("Gather", ["s", "three"], ["size"]), node("Equal", ["size", "one"], ["is"]),
        node("If", ["is"], ["q"], **branches), node("Flatten", ["q"], ["f"]),
        node("MatMul", ["f", "d"], ["m"]), node("Identity", ["m"], ["i"]),
        node("Add", ["i", "e"], ["a"]), node("Relu", ["m"], ["r"]), node("Mul", ["a", "r"], ["y"])],
        [weights("k", 3, 2, 3, 3), integers("axis", [3]), integers("three", 3), integers("one", 1),
         weights("d", 3, 4), weights("e", 4)], FIRST, [("y", ["n", 4])])


def opsets():
    """Operators that changed after opset 17."""
    kernel, places = weights("k", 4, 2, 3, 3), integers("places", [2, 3])
    yield "opset-18", model([
        node("Resize", ["x", "", "", "size"], ["r"], mode="linear", axes=[2, 3]),
        node("Pad", ["r", "pads", "", "places"], ["p"]), conv("p"),
        node("Split", ["c"], ["a", "b"], axis=1, num_outputs=2), node("Mul", ["a", "b"], ["m"]),
        node("ReduceMean", ["m", "places"], ["y"], keepdims=0)],
        [kernel, places, integers("size", [9, 7]), integers("pads", [1, 0, 0, 2])], FIRST,
        [("y", ["n", 2])], 18)
    yield "opset-19", model([conv(), node("AveragePool", ["c"], ["y"], kernel_shape=[2, 2],
                                          dilations=[2, 1])],
                            [kernel], FIRST, [("y", ["n", 4, 2, 3])], 19)
    for form in ("none", "tanh"):
        yield "opset-20-" + form, model([conv(), node("Gelu", ["c"], ["y"], approximate=form)],
                                        [kernel], FIRST, [("y", ["n", 4, 4, 4])], 20)
    yield "opset-22", model([
        conv(), node("GroupNormalization", ["c", "g", "b"], ["m"], num_groups=2),
        node("Mish", ["m"], ["s"]), node("ReduceMax", ["s", "places"], ["y"], keepdims=0)],
        [kernel, places, weights("g", 4), weights("b", 4)], FIRST, [("y", ["n", 4])], 22)


def pytorch():
    """LocalResponseNorm, whose channels become the first of three axes of a pooling."""
    yield "pytorch-response-norm", model([
        conv(), node("Pow", ["c", "two"], ["q"]), node("Unsqueeze", ["q", "axis"], ["u"]),
        node("Pad", ["u", "pads"], ["p"]),
        node("AveragePool", ["p"], ["m"], kernel_shape=[3, 1, 1], strides=[1, 1, 1]),
        node("Squeeze", ["m", "axis"], ["s"]), node("Mul", ["s", "alpha"], ["a"]),
        node("Add", ["a", "one"], ["b"]), node("Pow", ["b", "beta"], ["d"]),
        node("Div", ["c", "d"], ["y"])],
        [weights("k", 5, 2, 3, 3), floats("two", 2), integers("axis", [1]),
         integers("pads", [0, 0, 1, 0, 0, 0, 0, 1, 0, 0]), floats("alpha", .5), floats("one", 1),
         floats("beta", .75)], FIRST, [("y", ["n", 5, 4, 4])], 16)


def scopes():
    """A function whose branch has its own names, which the graph around the call has as well."""
    def branch(name, nodes, constants=()):
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(
            nodes[-1].output[0], TensorProto.FLOAT, None)], constants)
    standard = helper.make_opsetid("", 15)
    turn = helper.make_function("own", "Turn", ["a"], ["b"], [node("Cos", ["a"], ["b"])], [standard])
    pick = helper.make_function("own", "Pick", ["a"], ["d"], [
        node("Neg", ["a"], ["b"]), node("Shape", ["a"], ["s"]), node("Size", ["s"], ["rank"]),
        node("Constant", [], ["two"], value=integers("two", 2)), node("Equal", ["rank", "two"], ["is"]),
        node("If", ["is"], ["d"], then_branch=branch("flat", [
            node("Mul", ["b", "e"], ["c"]), node("Turn", ["c"], ["f"], domain="own"),
            node("Add", ["f", "a"], ["g"])], [floats("e", 3, 1, 2, 4)]),
             else_branch=branch("deep", [node("Identity", ["b"], ["h"])]))],
        [standard, helper.make_opsetid("own", 1)])
    yield "function-branch", model([
        node("Turn", ["x"], ["a"], domain="own"), node("Sub", ["x", "e"], ["b"]),
        node("Mul", ["a", "b"], ["c"]), node("Pick", ["c"], ["f"], domain="own"),
        node("Pick", ["f"], ["g"], domain="own"), node("Mul", ["g", "a"], ["i"]),
        node("Add", ["i", "b"], ["j"]), node("Mul", ["j", "e"], ["k"]), node("Sub", ["k", "c"], ["y"])],
        [floats("e", .1, .2, .3, .4)], [("x", ["n", 4])], [("y", ["n", 4])], 15, [turn, pick])


def optimized():
    """What ONNX Runtime saves of a model that it has optimized, and vectors of length 1."""
    made = model([
        node("FusedConv", ["x", "k", "b"], ["c"], domain="com.microsoft", activation="Relu", **WINDOW),
        node("FusedConv", ["c", "k2"], ["d"], domain="com.microsoft", activation="LeakyRelu",
             activation_params=[.1], kernel_shape=[2, 2]),
        node("LpNormalization", ["d"], ["n"], axis=1), node("Flatten", ["n"], ["f"]),
        node("FusedGemm", ["f", "w", "e"], ["y"], domain="com.microsoft", activation="Sigmoid",
             transB=1)],
        [weights("k", 3, 2, 3, 3), weights("b", 3), weights("k2", 4, 3, 2, 2), weights("w", 3, 36),
         weights("e", 3)], FIRST, [("y", ["n", 3])], 12)
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    yield "onnxruntime-fused", made


for make in (tensorflow, quantized, structure, opsets, pytorch, scopes, optimized):
    for case, made in make():
        os.makedirs(os.path.join(sys.argv[1], case), exist_ok=True)
        with open(os.path.join(sys.argv[1], case, "model.onnx"), "wb") as file:
            file.write(made.SerializeToString())
