#!/usr/bin/env bash
# dtaidistance: the fast distance of two curves that need no warping is infinite, of ramps one time in four
#
# Seen with dtaidistance 2.5.1, scipy 1.17.1, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: dtw.distance_fast is dtw.distance in C ("same as", its description says), with pruning by default: what lies
# above the Euclidean distance, which the warped one cannot exceed, is not followed. That saves work, no result changes.
# Seen: where the best path is the straight one, both are the same sum, taken in another way, so the limit may lie below
# it by the last bit. Then everything is pruned, and the answer is infinite. These are the curves that are most alike: a
# search for the nearest takes another one, and a threshold for "another shape" fires. The other way to it is `penalty`,
# against warping, which is in the sum and not in the limit: with a large one, curves of unlike length are infinitely
# apart as well. Without a penalty noise is right but for a few pairs of a thousand, so a test with random data passes.
# https://github.com/wannesm/dtaidistance/issues/29 (2019, closed) asks about infinities, of another parameter.
#
# What to do: `use_pruning=False`, which distance_fast takes as well; or dtw.distance where the answer is infinite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check dtaidistance==2.5.1 scipy==1.17.1 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
from dtaidistance import dtw

random = np.random.default_rng(0)
time = np.linspace(0, 1, 200)
TRIES = 400


def infinite(pairs, **options):
    fast = np.array([dtw.distance_fast(*pair, **options) for pair in pairs])
    slow = np.array([dtw.distance(*pair, **options) for pair in pairs])
    assert np.isfinite(slow).all()
    assert np.allclose(fast[np.isfinite(fast)], slow[np.isfinite(fast)])
    return np.isinf(fast).sum()


ramps = [(10 * time, 10 * time + shift) for shift in random.uniform(0, 0.02, TRIES)]
lost = infinite(ramps)
print(f"  a ramp to 10 kA and the same some amperes higher: {lost} of {TRIES} distances are infinite")
assert lost > TRIES // 20, "the finding is out of date"
assert infinite(ramps, use_pruning=False) == 0

missed = 0
for _ in range(50):
    reference, stored = ramps[0][0], [ramps[0][0] + shift for shift in random.uniform(0, 0.02, 8)]
    nearest = [np.argmin([measure(reference, one) for one in stored]) for measure in (dtw.distance, dtw.distance_fast)]
    missed += nearest[0] != nearest[1]
print(f"  the nearest of eight such curves: another one in {missed} of 50 searches")
assert missed > 2, "the finding is out of date"


def noise():
    return random.normal(size=random.integers(5, 20))


unlike = [(noise(), noise()) for _ in range(TRIES)]
for penalty in (0.3, 1.0):
    lost = infinite(unlike, penalty=penalty)
    print(f"  noise of unlike lengths with a penalty of {penalty}: {lost} of {TRIES} are infinite")
assert lost > TRIES // 20, "the finding is out of date"
assert infinite(unlike, penalty=1.0, use_pruning=False) == 0
print("seen: curves that are alike, and infinitely far apart")
PY
