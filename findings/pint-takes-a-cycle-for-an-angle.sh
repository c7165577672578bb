#!/usr/bin/env bash
# Pint: 20 cycles of mains at 50 Hz are 2513 ms, not 400 ms
#
# Seen with Pint 0.25.3 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: weld timers give squeeze, weld and hold time in cycles of mains. Pint knows `cycle` and `Hz`, so cycles
# divided by the frequency are a time: 20 / 50 Hz = 400 ms. What it could not convert it would refuse, as it does for
# units of different dimensions.
# Seen: a cycle is a turn, a turn is two pi radians, and a radian is 1. The conversion goes through, 6.28 times too
# long; from milliseconds to cycles 6.28 times too few. There and back the error cancels, so a test of that passes.
# https://github.com/hgrecco/pint/issues/1288 (open) discusses the definition of the hertz.
#
# What to do: a unit of one's own, `mains_cycle = 1`, and never `cycle`; or plain numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check Pint==0.25.3
venv/bin/python - <<'PY'
from pint import UnitRegistry

unit = UnitRegistry()
mains = unit("50 Hz")
weld = (unit("20 cycles") / mains).to("ms")
count = (unit("400 ms") * mains).to("cycles")
again = ((weld * mains).to("cycles")).magnitude
print(f"  20 cycles at 50 Hz: {weld:.1f}")
print(f"  400 ms at 50 Hz: {count:.3f}")
print(f"  20 cycles to ms and back: {again:.1f}")
assert round(weld.magnitude) == 2513 and round(count.magnitude, 2) == 3.18, "the finding is out of date"
assert round(again, 6) == 20

unit.define("mains_cycle = 1")
own = (unit("20 mains_cycle") / mains).to("ms")
print(f"  20 mains_cycle at 50 Hz: {own:.1f}")
assert round(own.magnitude, 6) == 400
print("seen: a weld time that is 2 pi times too long")
PY
