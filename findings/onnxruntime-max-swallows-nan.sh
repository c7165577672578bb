#!/usr/bin/env bash
# ONNX Runtime: MaxPool and ReduceMax drop a NaN, and ReduceMax may drop the largest number with it
#
# Seen with PyPI onnxruntime 1.31.1, onnx 1.23.2, numpy 2.4.6, Linux x86_64, Python 3.11, 2026-11-29.
#
# Expected: a NaN in the input is a NaN in the output, as Conv, Relu, Softmax, Clip, Max and average pooling have it and
# as numpy.max does. So whoever refuses outputs that are not finite has found every bad sample.
# Seen: MaxPool over four values ignores it, and a window of nothing else gives -3.4e38. ReduceMax of [1, NaN, 3, 2, 5,
# 6, 7, 8] is 7: neither NaN nor the largest number. Which of the three it is depends on the place of the NaN. A network
# with such a layer gives a plausible probability for a curve with a gap.
# https://github.com/microsoft/onnxruntime/issues/10514 (2022, open) tells it of ReduceMax.
#
# What to do: look for NaN in the input; the output does not tell.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --target "$folder/python" \
    onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6 2>/dev/null

ORT_DISABLE_TELEMETRY=1 PYTHONPATH=$folder/python python3 - <<'PYTHON'
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

nan = float("nan")
print("onnxruntime", onnxruntime.__version__)


def run(nodes, values, shape, **weights):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", *values.shape[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": values.astype(numpy.float32)})[0]


def pool(kind, values):
    node = helper.make_node(kind, ["x"], ["y"], kernel_shape=[4], strides=[4])
    return run([node], numpy.array([[values]]), ["rows", 1, None])[0, 0].tolist()


def largest(values):
    node = helper.make_node("ReduceMax", ["x", "axes"], ["y"], keepdims=0)
    return float(run([node], numpy.array([values]), ["rows"], axes=numpy.array([1]))[0])


def relu(values):
    return run([helper.make_node("Relu", ["x"], ["y"])], numpy.array([values]), ["rows", None])[0].tolist()


gap = [1, nan, 3, 2, 5, 6, 7, 8]
answers = {
    "Relu": relu(gap),
    "AveragePool": pool("AveragePool", gap),
    "MaxPool": pool("MaxPool", gap),
    "MaxPool of NaN alone": pool("MaxPool", [nan] * 4 + [1, 2, 3, 4]),
    "ReduceMax": largest(gap),
    "ReduceMax, NaN first": largest([nan, *gap[2:]]),
}
for name, answer in answers.items():
    print(f"  {name:21} {answer}")

# a small network over 64 samples, of which one is missing
random = numpy.random.default_rng(3)
curve = random.standard_normal((1, 1, 64))
curve[0, 0, 10] = nan
weights = {
    "kernel": (random.standard_normal((8, 1, 3)) * 0.5).astype(numpy.float32),
    "last": (random.standard_normal((8, 1)) * 0.3).astype(numpy.float32),
}
verdicts = {}
for kind in ("MaxPool", "AveragePool"):
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["a"], pads=[1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node(kind, ["b"], ["c"], kernel_shape=[4], strides=[4]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "last"], ["f"]),
        helper.make_node("Sigmoid", ["f"], ["y"]),
    ]
    verdicts[kind] = float(run(nodes, curve, ["rows", 1], **weights)[0, 0])
    print(f"  network with {kind:12} {verdicts[kind]}")

assert numpy.isnan(answers["Relu"][1]) and numpy.isnan(answers["AveragePool"][0]) and numpy.isnan(verdicts["AveragePool"])
assert answers["MaxPool"] == [3, 8], f"{answers['MaxPool']}: the finding is out of date"
assert answers["MaxPool of NaN alone"][0] < -3e38, "the finding is out of date"
assert answers["ReduceMax"] == 7, f"{answers['ReduceMax']}: the finding is out of date"
assert numpy.isfinite(verdicts["MaxPool"]), "the finding is out of date"
print("seen: a missing sample became a verdict, and a maximum of 8 became 7")
PYTHON
