#!/usr/bin/env bash
# python-can: an ASC log gives a frame older than the first one in seconds since 1970, all others since the start
#
# Seen with python-can 4.6.1 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: ASCWriter writes how long after the first frame each frame came. One that is handed over second but was
# stamped earlier, which is common when one Notifier serves two buses, gets a negative time, or zero, or an error.
# Seen: its time is not made relative at all. The log says 0.000000, 1795953599.977000, 0.010000, and ASCReader hands
# that out as it stands. Read with relative_timestamp=False the frame lies in the year 2083. Sorting, a duration or
# a replay of the log goes wrong by decades over one frame. CSV and SQLite logs of the same frames are right.
# https://github.com/hardbyte/python-can/issues/468 (open) asked for the true times of such frames.
#
# What to do: sort the frames of all buses before an ASCWriter, or log to another format.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-can==4.6.1
venv/bin/python - <<'PY'
from datetime import datetime, timezone

import can

START = 1795953600.0  # 2026-11-29 12:00:00 UTC
OFFSETS = [0.0, -0.023, 0.010]
frames = [
    can.Message(timestamp=START + offset, arbitration_id=0x100 + bus, is_extended_id=False, data=[1], channel=bus)
    for bus, offset in enumerate(OFFSETS)
]


def read_back(name, **options):
    with can.Logger(name) as log:
        for frame in frames:
            log(frame)
    with can.LogReader(name, **options) as log:
        return [round(frame.timestamp, 6) for frame in log]


asc, csv = read_back("bus.asc"), read_back("bus.csv")
absolute = read_back("bus.asc", relative_timestamp=False)
year = datetime.fromtimestamp(absolute[1], timezone.utc).year
print(*open("bus.asc"), sep="  ", end="")
print("stamped:", [START + offset for offset in OFFSETS])
print("CSV:    ", csv)
print("ASC:    ", asc, "or, as absolute times, the second in", year)
assert csv == [START + offset for offset in OFFSETS], "CSV does not keep the times either"
assert asc == [0.0, START - 0.023, 0.01] and year == 2083, "the finding is out of date"
print("seen: seconds since 1970 between two times of a few milliseconds")
PY
