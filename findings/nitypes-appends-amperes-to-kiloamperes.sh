#!/usr/bin/env bash
# nitypes: amperes appended to a waveform in kiloamperes become kiloamperes, and a day between the two is gone
#
# Seen with nitypes 1.1.0, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: `AnalogWaveform.append` of NI's types for measured curves, which documents a warning where the sample
# interval or the scale of the other waveform is another, does so as well for another unit and another channel, and
# leaves a gap, or refuses, where the other waveform begins a day later.
# Seen: the interval and the scale are compared, nothing else. Values of the other waveform count in the unit of the
# first and directly after its last sample. Its properties are merged where the first has none: a waveform without a
# unit gets the other's for its own values, too.
#
# What to do: compare `units`, `channel_name` and the start of the other with the end of the first before append.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nitypes==1.1.0 numpy==2.4.6
venv/bin/python - <<'PY'
import warnings
from datetime import datetime, timedelta

import numpy as np
from nitypes.waveform import AnalogWaveform, LinearScaleMode, Timing

DAY = datetime(2026, 3, 5, 6)
MS = timedelta(milliseconds=1)


def curve(values, unit, start=DAY, step=MS, scale=None):
    waveform = AnalogWaveform.from_array_1d(np.array(values))
    waveform.timing = Timing.create_with_regular_interval(step, start)
    if unit:
        waveform.units = unit
    if scale:
        waveform.scale_mode = scale
    return waveform


def append(title, first, other):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        first.append(other)
    kinds = [warning.category.__name__ for warning in told]
    end = list(first.timing.get_timestamps(0, first.sample_count))[-1]
    print(f"  {title}: {first.scaled_data} {first.units}, the last at {end}, warnings: {kinds}")
    return first, end, kinds


_, _, told = append("another step", curve([9.8, 10.0], "kA"), curve([9.9, 10.1], "kA", step=2 * MS))
assert told == ["TimingMismatchWarning"]
scaled = curve([99.0, 101.0], "kA", scale=LinearScaleMode(0.1, 0))
_, _, told = append("another scale", curve([9.8, 10.0], "kA"), scaled)
assert told == ["ScalingMismatchWarning"]
both, end, told = append(
    "another unit, a day later", curve([9.8, 10.0], "kA"), curve([9900.0, 10100.0], "A", start=DAY + timedelta(days=1))
)
assert not told and both.units == "kA" and end == DAY + 3 * MS, "the finding is out of date"
assert both.scaled_data.tolist() == [9.8, 10.0, 9900.0, 10100.0]
both, _, told = append("without a unit", curve([9.8, 10.0], None), curve([9900.0, 10100.0], "A"))
assert not told and both.units == "A", "the finding is out of date"
print("seen: 9900 kA")
PY
