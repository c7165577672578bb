#!/usr/bin/env bash
# asammdf: cut and resample compute new samples from invalid ones, and mark them valid
#
# Seen with asammdf 8.8.28, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: a sample whose invalidation bit is set is no measurement, and `MDF.get` leaves it out. `MDF.cut` keeps the
# samples between two times, and `MDF.resample` interpolates between valid ones or has a gap.
# Seen: both have linear interpolation of floats, cut for the two ends that it adds by default (include_ends), and its
# numbers include the invalid ones. A new sample counts as valid if the sample before it was. A device's marker for "no
# value" (here 1e6 V beside 3 V) so becomes a valid 500001.5 V at the cut: the extremes of a weld are wrong, and
# nothing in the file says so any more.
#
# What to do: `include_ends=False` for cut; before a resample `get` the signal, which drops what is invalid, and use
# `Signal.interp`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check asammdf==8.8.28 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
from asammdf import MDF, Signal

voltage = Signal(
    name="voltage",
    unit="V",
    timestamps=np.array([0.0, 0.1, 0.2, 0.3, 0.4]),
    samples=np.array([3.0, 3.0, 1e6, 3.0, 3.0]),
    invalidation_bits=np.array([False, False, True, False, False]),
)
with MDF() as new:
    new.append([voltage])
    new.save("weld.mf4")


def show(title, signal):
    print(f"  {title:36}", list(zip(signal.timestamps.round(3).tolist(), signal.samples.tolist())))
    return signal.samples.max().round(3)


with MDF("weld.mf4") as file:
    got = show("get", file.get("voltage"))
    inner = show("cut(0.15, 0.35, include_ends=False)", file.cut(0.15, 0.35, include_ends=False).get("voltage"))
    cut = show("cut(0.15, 0.35)", file.cut(0.15, 0.35).get("voltage"))
    resampled = show("resample(0.05)", file.resample(0.05).get("voltage"))
    better = show("get, then interp", file.get("voltage").interp(np.arange(9) * 0.05))
assert got == inner == better == 3.0, "an invalid sample is read where it was not"
assert cut == resampled == 500001.5, "the finding is out of date"
print("seen: 500001.5 V, as a valid sample, where 3 V was measured")
PY
