#!/usr/bin/env bash
# npTDMS: a copied channel that has a scale holds other values: scaled twice, or no numbers of the measurement at all
#
# Seen with npTDMS 1.13.0, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: TdmsWriter takes channels of a file that was read, as its documentation shows for copying files, and the
# copy reads as the original does.
# Seen: the values are written after scaling, with the scale still among the properties and with the type of the raw
# data. Raw floats are scaled once more on reading: 10000 A become 5000 A. Raw integers, which is what an acquisition
# device writes, become the bytes of floating-point numbers read as integers. Copying never fails, reading not always.
# https://github.com/adamreeve/npTDMS/issues/304 (open) tells of an error with DAQmx data.
#
# What to do: TdmsWriter.defragment copies a whole file rightly; otherwise write channel.raw_data as a ChannelObject of
# its own, with the channel's properties.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check npTDMS==1.13.0 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
from nptdms import ChannelObject, RootObject, TdmsFile, TdmsWriter
from nptdms.types import Uint32

SCALE = {
    "NI_Scaling_Status": "unscaled",
    "NI_Number_Of_Scales": np.int32(1),
    "NI_Scale[0]_Scale_Type": "Linear",
    "NI_Scale[0]_Linear_Slope": 0.5,
    "NI_Scale[0]_Linear_Y_Intercept": 0.0,
    "NI_Scale[0]_Linear_Input_Source": Uint32(0xFFFFFFFF),
}
TRUE = [10000.0, 10500.0, 11000.0, 11500.0]


def current(name):
    return TdmsFile.read(name)["weld"]["current"][:].tolist()


for kind in [np.float64, np.float32, np.int16, np.int32, np.int64]:
    raw = (np.array(TRUE) * 2).astype(kind)
    with TdmsWriter("original.tdms") as writer:
        writer.write_segment([ChannelObject("weld", "current", raw, properties=SCALE)])
    original = TdmsFile.read("original.tdms")
    with TdmsWriter("copy.tdms") as writer:
        channels = [channel for group in original.groups() for channel in group.channels()]
        writer.write_segment([RootObject(original.properties), *original.groups(), *channels])
    TdmsWriter.defragment("original.tdms", "defragmented.tdms")
    with TdmsWriter("raw.tdms") as writer:
        channel = original["weld"]["current"]
        writer.write_segment([ChannelObject("weld", "current", channel.raw_data, properties=channel.properties)])
    copy = current("copy.tdms")
    print(f"  raw {kind.__name__:8} original {current('original.tdms')}  copy {copy}")
    right = [current(name) for name in ("original.tdms", "defragmented.tdms", "raw.tdms")]
    assert right == [TRUE] * 3, "more is wrong than the copy"
    if kind in (np.float64, np.float32):
        assert copy == [value / 2 for value in TRUE], "the finding is out of date"
    else:
        assert copy != TRUE, "the finding is out of date"
print("seen: five copies, five times another current")
PY
