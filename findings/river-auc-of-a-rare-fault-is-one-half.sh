#!/usr/bin/env bash
# river: of a rare fault every honest model has a ROC AUC of 0.5, a coin's, and an overconfident one looks better
#
# Seen with river 0.26.1, scikit-learn 1.9.1, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: the area under the ROC curve goes by ranks alone. `ROCAUC`, which runs along with the data, is documented as
# an approximation whose error is not significant for well calibrated probabilities, and as reliable for comparing
# models in any case.
# Seen: its 10 thresholds lie evenly between 0 and 1, so the first above 0 is 0.11. A fault in one weld of fifty has
# calibrated probabilities below that, all of them between two thresholds: nothing is ranked, and the area is 0.5 for a
# model of 0.84, for a perfect ranking and for the opposite one. A model that ranks worse and overstates fivefold passes
# thresholds and gets 0.68, so the comparison takes the worse. No warning; with balanced classes it is right to two
# digits.
#
# What to do: `RollingROCAUC`, which is exact over its window; or some hundred thresholds (n_thresholds).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check river==0.26.1 scikit-learn==1.9.1 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
from river.metrics import ROCAUC, RollingROCAUC
from sklearn.metrics import roc_auc_score

ROWS = 20000
random = np.random.default_rng(0)


def areas(bad, scores):
    metrics = [ROCAUC(), ROCAUC(n_thresholds=500), RollingROCAUC(window_size=ROWS)]
    for truth, score in zip(bad.tolist(), scores.tolist(), strict=True):
        for metric in metrics:
            metric.update(truth, score)
    return [roc_auc_score(bad, scores), *(metric.get() for metric in metrics)]


balanced = random.beta(1, 1, ROWS)
honest = 0.1 * random.beta(0.3, 1.5, ROWS)
half = random.random(ROWS) < balanced
rare = random.random(ROWS) < honest
blurred = np.clip(5 * honest * random.lognormal(0, 1.5, ROWS), 0, 1)
tests = {
    "balanced classes, calibrated": (half, balanced),
    "rare fault, calibrated": (rare, honest),
    "rare fault, perfect ranking": (rare, np.where(rare, 0.09, 0.01)),
    "rare fault, the wrong way round": (rare, np.where(rare, 0.01, 0.09)),
    "rare fault, worse and overstated": (rare, blurred),
}
found = {title: areas(*test) for title, test in tests.items()}
print(f"  faults {rare.mean():.2%}, mean probability {honest.mean():.2%}, highest {honest.max():.3f}")
for title, (true, ten, many, rolling) in found.items():
    print(f"  {title:33} scikit-learn {true:.3f}  river {ten:.3f}  of 500 thresholds {many:.3f}  rolling {rolling:.3f}")
fair, calibrated, perfect, opposite, overstated = found.values()
assert abs(fair[0] - fair[1]) < 0.01, "balanced classes are wrong, too"
assert all(abs(true - rolling) < 1e-3 for true, _, _, rolling in found.values()), "the rolling one is not exact"
assert all(abs(true - many) < 0.03 for true, _, many, _ in found.values()), "500 thresholds are too few"
assert perfect[0] == 1 and opposite[0] == 0 and calibrated[0] > overstated[0] + 0.05, "other models than meant"
assert calibrated[1] == perfect[1] == opposite[1] == 0.5, "the finding is out of date"
assert overstated[1] > 0.6, "the finding is out of date"
print("seen: one half for the best model and for the worst")
PY
