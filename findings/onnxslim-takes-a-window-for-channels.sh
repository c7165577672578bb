#!/usr/bin/env bash
# onnxslim: a window over time becomes factors of the channels when there are as many channels as samples
#
# Seen with onnxslim 0.1.98, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: a slimmed model computes what the original does. A multiplication after a convolution can go into its
# weights if it has one factor for each channel; factors along time, which ONNX aligns with the last dimension, cannot.
# Seen: the fusion asks only whether there are as many factors as output channels. With 16 channels of 16 samples a
# window over time, or weights that forget a weld's start, multiplies channels instead: all shapes stay, the checker
# is content. The same network over 17 samples is right, so a change of the clip's length brings or hides it.
# `Add`, which onnxslim fuses likewise, is right.
#
# What to do: `skip_fusion_patterns=["FusionConvMul"]`, and compare the outputs of real rows; `--model-check` compares
# them for random ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PY'
import numpy as np
import onnx
import onnx.checker
import onnxruntime
import onnxslim
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 16
onnxruntime.set_default_logger_severity(3)
random = np.random.default_rng(0)


def network(samples, operator, shape):
    weights = {"weights": random.normal(size=(CHANNELS, 2, 3)), "window": np.hanning(max(shape)).reshape(shape)}
    nodes = [helper.make_node("Conv", ["curves", "weights"], ["features"], pads=[1, 1]),
             helper.make_node(operator, ["features", "window"], ["weighed"])]
    graph = helper.make_graph(
        nodes, "weld",
        [helper.make_tensor_value_info("curves", TensorProto.FLOAT, ["rows", 2, samples])],
        [helper.make_tensor_value_info("weighed", TensorProto.FLOAT, ["rows", CHANNELS, samples])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model, curves):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"curves": curves})[0]


def difference(samples, operator, shape, skipped=None):
    model = network(samples, operator, shape)
    curves = random.normal(size=(3, 2, samples)).astype(np.float32)
    before = run(model, curves)
    slim = onnxslim.slim(model, skip_fusion_patterns=skipped)
    onnx.checker.check_model(slim, full_check=True)
    after = run(slim, curves)
    assert before.shape == after.shape
    return float(np.abs(before - after).max()), float(np.abs(before).max())


for title, case in {
    "16 samples, factors over time": (16, "Mul", (16,)),
    "17 samples, factors over time": (17, "Mul", (17,)),
    "16 samples, factors of channels": (16, "Mul", (16, 1)),
    "16 samples, offsets over time": (16, "Add", (16,)),
    "16 samples, fusion skipped": (16, "Mul", (16,), ["FusionConvMul"]),
}.items():
    apart, largest = difference(*case)
    print(f"  {title:32} off by {apart:.4f} where the largest output is {largest:.4f}")
    if title == "16 samples, factors over time":
        assert apart > 0.1 * largest, "the finding is out of date"
    else:
        assert apart < 1e-4, "more is wrong"
print("seen: a window over channels")
PY
