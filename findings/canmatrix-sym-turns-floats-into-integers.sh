#!/usr/bin/env bash
# canmatrix: converted from DBC to SYM, a floating-point signal is a signed integer, and 7.5 reads as 1089470464
#
# Seen with canmatrix 1.2 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: a CAN signal that is a float (SIG_VALTYPE_ in a DBC) stays one in a symbol file, which has a word for it.
# So it does from DBC to KCD and JSON, and canmatrix reads `float` in symbol files.
# Seen: `canconvert` asks for the sign first, and a DBC commonly gives a float as signed (`@1-`), so it writes `signed`,
# without an error. Scales, offsets and integers are right, so a look at some signals does not show it. What is decoded
# with the file is the float's bits as a number.
# https://github.com/ebroecker/canmatrix/issues/45 (closed) asked for floats in all formats.
#
# What to do: after a conversion decode a frame of every message with both files and compare; write `float` for
# `signed` by hand.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check canmatrix==1.2 lxml
cat >weld.dbc <<'DBC'
VERSION ""
NS_ :
BS_:
BU_: Timer
BO_ 256 Weld: 8 Timer
 SG_ current : 0|32@1- (1,0) [0|0] "kA" Timer
 SG_ voltage : 32|16@1- (0.1,-3) [0|0] "V" Timer
SIG_VALTYPE_ 256 current : 1;
DBC
for format in kcd json sym; do
    venv/bin/canconvert --jsonExportAll weld.dbc "weld.$format" 2>/dev/null
done
grep '^Var=' weld.sym
sed 's/^Var=current signed/Var=current float/' weld.sym >by-hand.sym
venv/bin/python - <<'PY'
import struct

from canmatrix.formats import loadp_flat

frame = struct.pack("<fhh", 7.5, 80, 0)
seen = {}
for name in ["weld.dbc", "weld.kcd", "weld.json", "by-hand.sym", "weld.sym"]:
    message = loadp_flat(name).frame_by_name("Weld")
    seen[name] = {signal: float(value.phys_value) for signal, value in message.decode(frame).items()}
    print(f"  {name:12}", seen[name])
wrong = seen.pop("weld.sym")
assert all(values == {"current": 7.5, "voltage": 5.0} for values in seen.values()), "more is wrong than SYM"
assert wrong == {"current": 1089470464.0, "voltage": 5.0}, "the finding is out of date"
print("seen: 7.5 kA became 1089470464 kA")
PY
