#!/usr/bin/env bash
# skl2onnx: a linear discriminant analysis of two classes says 88 % in ONNX where scikit-learn says 73 %
#
# Seen with skl2onnx 1.20.0, onnxruntime 1.32.0, onnx 1.23.2, scikit-learn 1.9.1, numpy 2.4.6 (PyPI), Python 3.11,
# 2026-11-30.
#
# Expected: the converted model has the probabilities of the original to some 1e-6, as with logistic regression and with
# three classes.
# Seen: the converter puts the softmax of (-score, score) where scikit-learn has the logistic function of the score, so
# the odds are squared. Labels agree, so a comparison of labels, or a ROC curve, shows nothing. A threshold other than
# 0.5 cuts elsewhere: "NOK from 20 %" lets every weld pass that has between 20 and 33 %.
# https://github.com/onnx/sklearn-onnx/issues/1116 (2024) tells it and is closed.
#
# What to do: compare probabilities, not labels, after each conversion; or convert a LogisticRegression with the same
# coef_ and intercept_, which is right.
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
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(1)
welds = rng.normal(size=(600, 3)).astype(np.float32)
noisy = welds[:, 0] + rng.normal(size=600)


def in_onnx(model):
    exported = to_onnx(model, welds[:1], options={"zipmap": False})
    labels, probabilities = InferenceSession(exported.SerializeToString()).run(None, {"X": welds})
    assert (labels == model.predict(welds)).all()
    return probabilities


def apart(model):
    return np.abs(in_onnx(model) - model.predict_proba(welds)).max()


two = LinearDiscriminantAnalysis().fit(welds, noisy > 0.0)
three = LinearDiscriminantAnalysis().fit(welds, np.digitize(noisy, [-1.0, 1.0]))
logistic = LogisticRegression().fit(welds, noisy > 0.0)
ours, theirs = two.predict_proba(welds)[:, 1], in_onnx(two)[:, 1]
near = np.abs(ours - 0.73).argmin()
print(f"  scikit-learn {ours[near]:.2f}, ONNX {theirs[near]:.2f}")
missed = ((ours >= 0.2) & (theirs < 0.2)).sum()
print(f"  of {(ours >= 0.2).sum()} welds with 0.2 or more, {missed} have less in ONNX")
print(f"  furthest apart: two classes {apart(two):.2f}, three {apart(three):.0e}, logistic {apart(logistic):.0e}")
assert apart(three) < 1e-5 and apart(logistic) < 1e-5
odds = (ours / (1 - ours)) ** 2
assert apart(two) > 0.1 and missed and np.allclose(theirs, odds / (1 + odds), atol=1e-4), "the finding is out of date"

same = LogisticRegression()
same.classes_, same.coef_, same.intercept_ = two.classes_, two.coef_, two.intercept_
assert np.abs(in_onnx(same)[:, 1] - ours).max() < 1e-5
print("seen: squared odds")
PY
