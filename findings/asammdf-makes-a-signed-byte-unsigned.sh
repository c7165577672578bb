#!/usr/bin/env bash
# asammdf: a signed CAN signal of 8 bits that crosses a byte boundary has no negative values: -1 °C is 255 °C
#
# Seen with asammdf 8.8.28, canmatrix 1.2, cantools 45.1.0, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: `MDF.extract_bus_logging` reads a signal as its DBC file describes it, wherever its bits are, as cantools
# does. Most sizes are right at all places, so one trusts it with the rest.
# Seen: a signed signal of just 8 bits is right where it fills one byte, and unsigned where its bits lie in two: for
# both byte orders, at 49 of 57 places. Seven and nine bits, 16 and 32 are right there. A temperature or a deviation in
# per cent below 0 becomes a large one above, with scale and unit applied, so it looks measured.
# https://github.com/danielhrisca/asammdf/issues/1165 (2025, closed) tells of other sizes, which are right since.
#
# What to do: look in the DBC file for signed signals of 8 bits that do not start with a byte, and take 256 * scale off
# what is above their maximum; or decode these with cantools.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    asammdf==8.8.28 canmatrix==1.2 cantools==45.1.0 numpy==2.4.6
venv/bin/python -W ignore - <<'PY'
import cantools
import numpy as np
from asammdf import MDF, Signal, Source
from asammdf.blocks import v4_constants

FRAME = [(name, "<u4" if name == "ID" else "u1") for name in ["BusChannel", "ID", "IDE", "DLC", "DataLength"]]
FRAME = [(f"CAN_DataFrame.{name}", kind) for name, kind in [*FRAME, ("DataBytes", "(8,)u1"), ("Dir", "u1")]]
INTEL, MOTOROLA = 1, 0


def values(size):
    return [-1, -(2 ** (size - 1)), -3, 2 ** (size - 1) - 1]


def places(size, order):
    if order == INTEL:
        return range(65 - size)
    return [bit // 8 * 8 + 7 - bit % 8 for bit in range(65 - size)]  # the number of the bit of most weight


def fills_bytes(size, order, start):
    return size % 8 == 0 and start % 8 == (0 if order == INTEL else 7)


signals = [(size, order, start) for size in (7, 8, 9, 16, 32) for order in (INTEL, MOTOROLA)
           for start in places(size, order)]
with open("bus.dbc", "w", encoding="ascii") as dbc:
    dbc.write('VERSION ""\nNS_ :\nBS_:\nBU_: timer\n')
    for number, (size, order, start) in enumerate(signals, 1):
        dbc.write(f'BO_ {number} M{number}: 8 timer\n SG_ s{number} : {start}|{size}@{order}- (1,0) [0|0] "" timer\n')
database = cantools.database.load_file("bus.dbc")
rows = []
for number, (size, order, start) in enumerate(signals, 1):
    for value in values(size):
        data = database.encode_message(number, {f"s{number}": value})
        assert database.decode_message(number, data) == {f"s{number}": value}
        rows.append((1, number, 0, 8, 8, list(data), 0))
source = Source("CAN", "CAN", "", v4_constants.SOURCE_BUS, v4_constants.BUS_TYPE_CAN)
frames = Signal(np.array(rows, FRAME), np.arange(len(rows)) / 1000, name="CAN_DataFrame", source=source)
with MDF(version="4.11") as log:
    log.append([frames], acq_name="CAN", acq_source=source, common_timebase=True)
    log.save("bus.mf4")
with MDF("bus.mf4") as log:
    read = log.extract_bus_logging({"CAN": [("bus.dbc", 0)]})
    read = {signal.name: signal.samples.tolist() for signal in read.iter_channels()}

wrong = [signal for number, signal in enumerate(signals, 1) if read[f"s{number}"] != values(signal[0])]
for size in (7, 8, 9, 16, 32):
    for order, title in [(INTEL, "Intel"), (MOTOROLA, "Motorola")]:
        of = sum(signal[:2] == (size, order) for signal in signals)
        print(f"  {size:2} bits, {title:8} wrong at {sum(s[:2] == (size, order) for s in wrong):2} of {of} places")
example = signals.index((8, INTEL, 4)) + 1
print(f"  8 bits from bit 4: true {values(8)}, read {read[f's{example}']}")
assert all(size == 8 and not fills_bytes(size, order, start) for size, order, start in wrong), "more is wrong"
assert len(wrong) == 2 * 49, "the finding is out of date"
assert read[f"s{example}"] == [255, 128, 253, 127], "the finding is out of date"
print("seen: signed signals of 8 bits without a sign")
PY
