#!/usr/bin/env bash
# skl2onnx: a NaN goes into PowerTransformer and comes out of the ONNX model as a number, four sigmas low
#
# Seen with skl2onnx 1.20.0, onnxruntime 1.32.0, onnx 1.23.2, scikit-learn 1.9.1, numpy 2.4.6 (PyPI), Python 3.11,
# 2026-11-30.
#
# Expected: scikit-learn's PowerTransformer leaves NaN where it is, for a model behind it that knows missing values. So
# do the converted StandardScaler, RobustScaler and QuantileTransformer, and PowerTransformer's other method, box-cox.
# Seen: the converted yeo-johnson, which is the default, computes one formula for numbers below zero and one for the
# others and adds what applies. So that the other cannot spoil the sum, NaN is replaced by 0 in both: a NaN of the input
# becomes 0 before scaling, and after it less than all that was measured. A force that was not measured is a very low
# one, and what would have been "invalid" gets a verdict.
#
# What to do: look for NaN before the model, on the raw values; or fill them before PowerTransformer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    skl2onnx==1.20.0 onnxruntime==1.32.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
from onnxruntime import InferenceSession
from skl2onnx import to_onnx
from sklearn.preprocessing import PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler

rng = np.random.default_rng(1)
force = rng.uniform(1, 3, (500, 1)).astype(np.float32)
force[7] = np.nan


def both(scaler):
    original = scaler.fit_transform(force)
    exported = InferenceSession(to_onnx(scaler, force[:1]).SerializeToString())
    converted = exported.run(None, {"X": force})[0]
    others = np.arange(500) != 7
    assert np.allclose(original[others], converted[others], atol=1e-4)
    print(f"  {scaler!r}: {original[7, 0]} in scikit-learn, {converted[7, 0]:.2f} in ONNX")
    assert np.isnan(original[7, 0])
    return converted[7, 0], converted[others].min()


for scaler in (StandardScaler(), RobustScaler(), QuantileTransformer(n_quantiles=50), PowerTransformer("box-cox")):
    assert np.isnan(both(scaler)[0])
unscaled, _ = both(PowerTransformer(standardize=False))
missing, least = both(PowerTransformer())
print(f"  the least force that was measured: {least:.2f}")
assert unscaled == 0.0 and missing < least, "the finding is out of date"
print("seen: a missing force as the lowest of all")
PY
