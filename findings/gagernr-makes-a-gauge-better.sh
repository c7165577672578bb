#!/usr/bin/env bash
# GageRnR: with 10 parts and 2 measurements each a gauge's interaction counts a fifth: %GRR of 21 instead of 36
#
# Seen with GageRnR 0.8.0 (the successor of GaugeRnR), numpy 2.1.3, scipy 1.14.1, statsmodels 0.15.0 (PyPI),
# Python 3.11, 2026-11-30.
#
# Expected: the variance of operator by part is its mean square less that of the measurement, divided by the number of
# repeated measurements, as the analysis of variance of a crossed study has it.
# Seen: it is divided by the number of parts. With as many measurements as parts the result is right, so a square
# example hides it; a study as car makers ask for it (10 parts, 3 operators, 2 or 3 measurements) gets a fifth or three
# tenths. The sums of squares in the same table are right. The gauge's variance and the total contain the part, so a
# gauge for weld diameters that fails the usual 30 % passes.
# https://github.com/owodunni/GageRnR/issues/50 (2021) and 55 (2026), both open, tell it.
#
# What to do: multiply that line by parts / measurements, and add up again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    GageRnR==0.8.0 numpy==2.1.3 scipy==1.14.1 statsmodels==0.15.0 pandas==2.3.3
venv/bin/python - <<'PY'
from math import sqrt

import numpy as np
import pandas as pd
from GageRnR import Component, GageRnR, Result
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

OPERATORS, PARTS = 3, 10
PART, OPERATOR, BOTH, REPEAT = 1.0, 0.1, 0.33, 0.1  # standard deviations in mm


def study(measurements):
    rng = np.random.default_rng(5)
    shape = (OPERATORS, PARTS, measurements)
    return (
        rng.normal(0, PART, (1, PARTS, 1))
        + rng.normal(0, OPERATOR, (OPERATORS, 1, 1))
        + rng.normal(0, BOTH, (OPERATORS, PARTS, 1))
        + rng.normal(0, REPEAT, shape)
    )


def by_anova(data):
    """The variances of gauge, interaction and total from another library's mean squares."""
    r = data.shape[2]
    operator, part, _ = np.indices(data.shape)
    table = pd.DataFrame({"y": data.ravel(), "o": operator.ravel(), "p": part.ravel()})
    square = anova_lm(ols("y ~ C(o) * C(p)", table).fit())
    mean = square["sum_sq"] / square["df"]
    both = (mean["C(o):C(p)"] - mean["Residual"]) / r
    gauge = mean["Residual"] + both + max(0, (mean["C(o)"] - mean["C(o):C(p)"]) / (PARTS * r))
    return gauge, both, gauge + (mean["C(p)"] - mean["C(o):C(p)"]) / (OPERATORS * r)


for measurements in (2, 3, PARTS):
    data = study(measurements)
    gauge, both, total = by_anova(data)
    analysis = GageRnR(data)
    analysis.calculate()
    found = analysis.result[Result.Var]
    interaction = found[Component.OPERATOR_BY_PART]
    theirs = 100 * sqrt(found[GageRnR.GRR] / found[Component.TOTAL])
    print(
        f"  {measurements} measurements: interaction {interaction:.4f}, by ANOVA {both:.4f}; "
        f"%GRR {theirs:.0f}, by ANOVA {100 * sqrt(gauge / total):.0f}"
    )
    assert np.isclose(interaction, both * measurements / PARTS), "the finding is out of date"
    assert np.isclose(found[Component.MEASUREMENT], gauge - both - found[Component.OPERATOR])
    assert (theirs > 30) == (measurements == PARTS) and 100 * sqrt(gauge / total) > 30
print("seen: a gauge that is better than it is")
PY
