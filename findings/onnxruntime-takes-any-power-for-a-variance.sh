#!/usr/bin/env bash
# onnxruntime: by default a model that divides by a fourth moment divides by the deviation instead
#
# Seen with onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6 (PyPI), CPU, Python 3.11, 2026-11-30.
#
# Expected: graph optimizations keep a model's results, to rounding. A fused LayerNormalization takes the place of the
# nodes that compute one: less the mean, divided by the root of the mean square.
# Seen: the fusion looks for Pow, not for its exponent. With a mean fourth power, which weighs the spikes of a curve,
# the node still becomes a LayerNormalization, and the outputs are another curve. It happens from level "basic" on; the
# default is "all". Even an exponent that is an input of the model is fused away: the input stays, and does nothing. The
# sibling without the mean (SimplifiedLayerNormalization) has looked at the exponent since
# https://github.com/microsoft/onnxruntime/pull/29196, after which it is right.
#
# What to do: compare each model's outputs with those under ORT_DISABLE_ALL once; then
# `disabled_optimizers=["LayerNormFusionL1", "LayerNormFusionL2"]`, or Mul where Pow is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 venv/bin/python - <<'PY'
import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnxruntime import GraphOptimizationLevel as Level

SAMPLES = 16
onnxruntime.set_default_logger_severity(3)
curve = np.ones((1, SAMPLES), np.float32)
curve[0, 5] = 4  # one spike


def model(exponent, mean=True):
    one = ", ".join(["1"] * SAMPLES)
    zero = ", ".join(["0"] * SAMPLES)
    fixed = "" if exponent is None else f", float exponent = {{{exponent}}}"
    given = ", float exponent" if exponent is None else ""
    less = "m = ReduceMean <axes = [-1]> (x)  d = Sub(x, m)" if mean else "d = Identity(x)"
    parsed = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["": 17]>
        curves (float[N, {SAMPLES}] x{given}) => (float[N, {SAMPLES}] y)
        <float e = {{0.00001}}, float[{SAMPLES}] one = {{{one}}}, float[{SAMPLES}] zero = {{{zero}}}{fixed}> {{
            {less}  p = Pow(d, exponent)  v = ReduceMean <axes = [-1]> (p)  a = Add(v, e)  s = Sqrt(a)
            n = Div(d, s)  o = Mul(n, one)  y = Add(o, zero)
        }}""")
    onnx.checker.check_model(parsed, full_check=True)
    return parsed.SerializeToString()


def spike(content, level, exponent=None, disabled=None):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"], disabled_optimizers=disabled)
    feed = {"x": curve} | ({} if exponent is None else {"exponent": np.array(exponent, np.float32)})
    return float(session.run(None, feed)[0][0, 5])


def right(exponent, mean=True):
    less = curve.astype(float) - (curve.mean() if mean else 0)
    return float((less / np.sqrt((less**exponent).mean() + 1e-5))[0, 5])


for exponent in (2, 4, 6):
    off, basic, default = [spike(model(exponent), level)
                           for level in (Level.ORT_DISABLE_ALL, Level.ORT_ENABLE_BASIC, Level.ORT_ENABLE_ALL)]
    given = spike(model(None), Level.ORT_ENABLE_ALL, exponent)
    print(f"  exponent {exponent}: the spike is {right(exponent):.4f}; off {off:.4f}, basic {basic:.4f},"
          f" default {default:.4f}, with the exponent as an input {given:.4f}")
    plain = spike(model(exponent, mean=False), Level.ORT_ENABLE_ALL)
    spared = spike(model(exponent), Level.ORT_ENABLE_ALL, disabled=["LayerNormFusionL1", "LayerNormFusionL2"])
    given_off = spike(model(None), Level.ORT_DISABLE_ALL, exponent)
    assert np.allclose([off, spared, given_off], right(exponent), rtol=1e-4), "more is wrong than the fusion"
    assert np.isclose(plain, right(exponent, mean=False), rtol=1e-4), "it is wrong without the mean, too"
    assert np.allclose([basic, default, given], right(2), rtol=1e-4), "the finding is out of date"
print("seen: three exponents, one result")
PY
