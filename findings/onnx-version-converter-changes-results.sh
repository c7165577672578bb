#!/usr/bin/env bash
# onnx: version_converter answers with a valid model that computes something else: Softmax, Hardmax, Resize, Upsample
#
# Seen with onnx 1.23.2, onnxruntime 1.31.1, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: `convert_version` makes a model of another opset that gives the same numbers, or an error where it cannot,
# as for many operators ("No Adapter"). What has no equal it must not convert.
# Seen: four operators change, the checker is content, and shapes stay. A Softmax over classes (axis 1 of samples x
# classes x time) that goes from opset 13 to 12 for an older runtime runs over classes and time together: the classes of
# a moment no longer add up to 1 but to 0.26 or 0.09, so no probability reaches a threshold. From 12 to 13 Softmax is
# right and Hardmax is not. A Resize of opset 10 and an Upsample of 9 get the new default for where samples lie, so a
# resampled curve is shifted by a part of a sample.
# https://github.com/onnx/onnx/issues/8480 (open) tells it of Resize.
#
# What to do: export anew for the opset that is wanted; after a conversion compare the outputs of real rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, version_converter

onnxruntime.set_default_logger_severity(3)
SCORES = np.random.default_rng(0).normal(size=(1, 3, 6)).astype(np.float32)  # one weld, three classes, six moments
CURVE = np.array([[[0, 1, 2, 3, 4, 5]]], np.float32)


def model(opset, operator, shape, scales=(), **attributes):
    constants = [numpy_helper.from_array(np.array(scales, np.float32), "scales")] if scales else []
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *(constant.name for constant in constants)], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 3)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(onnx_model, x):
    onnx.checker.check_model(onnx_model, full_check=True)
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


STRETCH = {"scales": (1.0, 1.0, 1.5), "mode": "linear"}
CASES = [  # operator, from, to, input, attributes, whether the result stays
    ("Softmax", 12, 13, SCORES, {"axis": 1}, True),
    ("Softmax", 13, 12, SCORES, {"axis": 1}, False),
    ("Hardmax", 12, 13, SCORES, {"axis": 1}, False),
    ("Resize", 10, 13, CURVE, STRETCH, False),
    ("Upsample", 9, 11, CURVE, STRETCH, False),
]
for operator, before, after, x, attributes, same in CASES:
    old = model(before, operator, x.shape, **attributes)
    was, now = run(old, x), run(version_converter.convert_version(old, after), x)
    for opset, y in ((before, was), (after, now)):
        shown = ("sum of the classes", y.sum(axis=1)[0]) if x is SCORES else ("curve", y[0, 0, :6])
        print(f"  {operator:8} {before:2} -> {after}  in {opset:2}: {shown[0]}", *(f"{v:.2f}" for v in shown[1]))
    assert was.shape == now.shape, "the shape is another one"
    assert np.allclose(was, now, atol=1e-5) == same, "the finding is out of date"
print("seen: four operators that compute something else")
PY
