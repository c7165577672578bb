#!/usr/bin/env bash
# zfpy: compressed with a tolerance of 0.01, the samples beside a 1e9 come back as 0 or 2 instead of 3
#
# Seen with zfpy 1.0.1.post0, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: `compress_numpy(curve, tolerance=0.01)` is fixed-accuracy mode: no finite sample is off by more than 0.01,
# and one that cannot be kept so is stored with more bits.
# Seen: four samples share one exponent, that of the largest. What is smaller than its last bit is gone, so a device's
# marker for "no value" spoils its neighbours, in float32 from 1e7 on, in float64 from some 1e16 on: no error, no flag.
# The marker itself is kept, so a look at it tells nothing. HDF5's and Zarr's ZFP filters are built on the same library.
# https://github.com/llnl/zfp/issues/62 (closed) tells of another such file.
#
# What to do: take markers out before and keep them beside (NaN is no way out: zfp does not support it); or convert to
# float64 first; or the lossless mode.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check zfpy==1.0.1.post0 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
import zfpy

TOLERANCE = 0.01
AT = 17
curve = 3 + 0.01 * np.sin(np.arange(40.0))


def error(kind, marker, **mode):
    voltage = curve.astype(kind)
    voltage[AT] = marker
    back = zfpy.decompress_numpy(zfpy.compress_numpy(voltage, **mode))
    off = np.abs(back - voltage)
    print(f"  {kind}, marker {marker:.0e}, {mode or 'lossless'}: {back[AT - 1 : AT + 3]}")
    assert off[AT] <= TOLERANCE, "the marker itself is off"
    return np.delete(off, AT).max()


assert error("float32", 1e3, tolerance=TOLERANCE) <= TOLERANCE
assert error("float32", 1e7, tolerance=TOLERANCE) > 2 * TOLERANCE, "the finding is out of date"
assert error("float32", 1e9, tolerance=TOLERANCE) > 2, "the finding is out of date"
assert error("float64", 1e9, tolerance=TOLERANCE) <= TOLERANCE
assert error("float64", 1e20, tolerance=TOLERANCE) > 2, "the finding is out of date"
assert error("float32", 1e9) == 0
print("seen: 3 V that come back as 0 V, with a tolerance of 0.01 V")
PY
