#!/usr/bin/env bash
# comtrade: a missing sample is NaN in BINARY and BINARY32 files and -3.4e38 A in FLOAT32 ones
#
# Seen with comtrade 0.2.0, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: a transient recorder, say at the mains of a weld shop, marks a missing sample with the lowest number of the
# file's type. The reader makes that NaN, as it does for both integer types, and as its source means to for floats: it
# says "Maximum negative value" there.
# Seen: it compares with sys.float_info.min, which is the smallest positive number of double precision, 2.2e-308. No
# 32-bit float equals that, so the mark is handed out as a current. With a channel's factor it is some other large
# number, or infinite. Minimum, mean and RMS of a curve with one gap are worthless.
#
# What to do: replace what lies outside the channel's own limits (cmin, cmax) with NaN before use.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check comtrade==0.2.0 numpy==2.4.6
venv/bin/python - <<'PY'
import math
import struct

from comtrade import Comtrade

LOWEST = {
    "BINARY": ("h", -(2**15)),
    "BINARY32": ("i", -(2**31)),
    "FLOAT32": ("f", struct.unpack("<f", bytes.fromhex("ffff7fff"))[0]),
}
CURRENTS = [10000, 10100, None, 10050]


def read(kind, **options):
    code, missing = LOWEST[kind]
    head = [
        "shop,recorder,2013",
        "1,1A,0D",
        "1,I,A,,A,1.0,0.0,0.0,-100000,100000,1,1,P",
        "50",
        "1",
        f"1000,{len(CURRENTS)}",
        "05/03/2026,06:00:00.000000",
        "05/03/2026,06:00:00.000000",
        kind,
        "1",
        "0,0",
        "B,3",
    ]
    rows = (
        struct.pack(f"<II{code}", n + 1, n * 1000, missing if current is None else current)
        for n, current in enumerate(CURRENTS)
    )
    record = Comtrade(**options)
    record.read("\r\n".join(head) + "\r\n", b"".join(rows))
    return [float(value) for value in record.analog[0]]


for kind in LOWEST:
    values = read(kind)
    print(f"  {kind}: {values}")
    assert values[:2] + values[3:] == [10000, 10100, 10050]
    for value in (values[2], read(kind, use_numpy_arrays=True)[2]):
        if kind == "FLOAT32":
            assert value < -3.4e38, "the finding is out of date"
        else:
            assert math.isnan(value)
print("seen: a gap as a current")
PY
