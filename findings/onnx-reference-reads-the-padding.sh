#!/usr/bin/env bash
# onnx: its reference evaluator gives a recurrent network the padding behind a short curve, whatever sequence_lens says
#
# Seen with onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: curves of unlike length are padded to the longest, and LSTM, GRU and RNN get the lengths as sequence_lens.
# Behind its end a curve counts no more, and the last state is the one at its end. onnx.reference.ReferenceEvaluator,
# by which one decides who is right when a runtime and the training disagree, does that, or refuses what it does not do.
# Seen: it takes the lengths and does not look at them. The padding is read as measured samples, the last state is that
# after the padding, and nothing is said. The same curve cut to its length, or alone, is right, so it depends on the
# other welds in the call. `clip` has no effect, `activations` of LSTM and GRU neither, nor LSTM's `input_forget`; RNN
# knows two functions and refuses others. ONNX Runtime does the lengths right.
# The class's description says in general that it may differ from the specification, and of no operator that it does.
#
# What to do: check recurrent models with ONNX Runtime, or with one curve of full length per call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SAMPLES, INPUTS, HIDDEN = 40, 2, 4
random = np.random.default_rng(0)
curves = random.normal(size=(SAMPLES, 2, INPUTS)).astype(np.float32)
lengths = np.array([SAMPLES, 25], np.int32)
curves[25:, 1] = 0


def model(kind, gates, **attributes):
    weights = np.random.default_rng(1)
    names = {"W": (1, gates * HIDDEN, INPUTS), "R": (1, gates * HIDDEN, HIDDEN)}
    graph = helper.make_graph(
        [helper.make_node(kind, ["X", "W", "R", "", "lengths"], ["", "last"], hidden_size=HIDDEN, **attributes)],
        "graph",
        [
            helper.make_tensor_value_info("X", TensorProto.FLOAT, ["samples", "welds", INPUTS]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["welds"]),
        ],
        [helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, "welds", HIDDEN])],
        [numpy_helper.from_array(weights.normal(size=size).astype(np.float32), name) for name, size in names.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def last(onnx, runtime, curves, lengths):
    inputs = {"X": curves, "lengths": lengths}
    if runtime == "reference":
        return ReferenceEvaluator(onnx).run(None, inputs)[0][0]
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0][0]


for kind, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
    onnx = model(kind, gates)
    short, whole = (curves[:25, 1:], lengths[1:]), (curves, lengths)
    right = last(onnx, "reference", *short)[0]
    assert np.allclose(right, last(onnx, "onnxruntime", *short)[0], atol=1e-5)
    padded = {runtime: last(onnx, runtime, *whole)[1] for runtime in ("onnxruntime", "reference")}
    off = {runtime: np.abs(state - right).max() for runtime, state in padded.items()}
    print(f"  {kind}: last state of the short curve, padded, off by {off['reference']:.2f} in the reference,", end=" ")
    print(f"by {off['onnxruntime']:.2f} in ONNX Runtime")
    assert off["onnxruntime"] < 1e-5
    assert off["reference"] > 0.1, "the finding is out of date"
    full = np.full(2, SAMPLES, np.int32)
    assert np.allclose(padded["reference"], last(onnx, "onnxruntime", curves, full)[1], atol=1e-5), "out of date"

for kind, gates, other in (
    ("LSTM", 4, {"clip": 0.3}),
    ("LSTM", 4, {"activations": ["Sigmoid", "Relu", "Tanh"]}),
    ("LSTM", 4, {"input_forget": 1}),
    ("GRU", 3, {"activations": ["Sigmoid", "Relu"]}),
):
    plain = last(model(kind, gates), "reference", curves, lengths)
    changed = last(model(kind, gates, **other), "reference", curves, lengths)
    runtime = np.abs(last(model(kind, gates, **other), "onnxruntime", curves[:, :1], lengths[:1]) - plain[0]).max()
    print(f"  {kind} with {other}: the reference is as without, ONNX Runtime is {runtime:.2f} away")
    assert np.array_equal(plain, changed), "the finding is out of date"
    assert runtime > 0.01
print("seen: a reference in which padding is measurement")
PY
