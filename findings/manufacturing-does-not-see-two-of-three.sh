#!/usr/bin/env bash
# manufacturing: the rule "2 out of 3 in zone A" wants three of three and leaves out the newest point; one never fires
#
# Seen with manufacturing 1.6.0, pandas 2.3.3, numpy 2.1.3, scipy 1.14.1 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: `control_zone_a` returns "the data in which 2 out of 3 are in zone A or beyond", as it says of itself and as
# control charts define it; `control_zone_mixture` returns eight points with none in zone C.
# Seen: zone A asks for more than 2, so it answers to three in a row only, and its last window ends before the last
# point: what completes the pattern now is told with the next weld. The mixture rule asks for a point that is above the
# upper and below the lower line at once, so it is silent whatever comes. The charts of the same package draw what these
# functions return. A process that is 2.5 sigmas off in two welds of three is drawn as in control.
#
# What to do: functions of one's own for these two rules. Beyond limits, zone B and zone C see the last point.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    manufacturing==1.6.0 pandas==2.3.3 numpy==2.1.3 scipy==1.14.1
venv/bin/python - <<'PY'
import logging

logging.disable(logging.CRITICAL)

import numpy as np
from manufacturing.analysis import (
    control_beyond_limits,
    control_zone_a,
    control_zone_b,
    control_zone_c,
    control_zone_mixture,
)


def found(rule, places, height):
    """Points of 20 that a rule returns, in units of sigma, when these lie at this height."""
    points = np.tile([0.1, -0.1], 10)
    points[places] = height
    return len(rule(points, 3.0, -3.0))


two = found(control_zone_a, [8, 10], 2.5)
three = found(control_zone_a, [8, 9, 10], 2.5)
print(f"  zone A, two of three: {two} points returned; three of three: {three}")
assert (two, three) == (0, 3), "the finding is out of date"

at_end = found(control_zone_a, [17, 18, 19], 2.5)
print(f"  zone A, three of three, the last one now: {at_end}")
assert at_end == 0, "the finding is out of date"
assert found(control_zone_b, slice(15, 20), 1.5) >= 5
assert found(control_zone_c, slice(13, 20), 0.5) >= 7

alternating = np.tile([1.5, -1.5], 10)
mixture = len(control_zone_mixture(alternating, 3.0, -3.0))
print(f"  mixture, 20 points of which none is in zone C: {mixture}")
assert mixture == 0, "the finding is out of date"
assert found(control_beyond_limits, [19], 3.5) == 1
print("seen: rules that are silent where they should speak")
PY
