#!/usr/bin/env bash
# aqdefreader: a Q-DAS file's date of 5 March is read as 3 May, and 13 March as 13 March
#
# Seen with aqdefreader 1.3.0, python-dateutil 4.0.0, pandas 3.1.1, chardet 7.7.0 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: the date of a measurement (K0004) is commonly written DD.MM.YYYY/HH:MM:SS in a DFQ file, the format in which
# car makers ask for measurements. A reader of that format alone reads 05.03.2026 as 5 March.
# Seen: dates go through dateutil's `parse` as it is, which takes the month first where it can. The first twelve days of
# a month become days of twelve months, the others stay: no error, no warning, and a test with a date late in a month
# passes. A control chart in the order of time, Cpk by week and "the last shift" are wrong.
#
# What to do: rewrite the file's dates as YYYY-MM-DD HH:MM:SS before it is parsed; afterwards 12.03. and 03.12. cannot
# be told apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aqdefreader==1.3.0 python-dateutil==4.0.0 pandas==3.1.1 chardet==7.7.0
venv/bin/python - <<'PY'
from datetime import datetime, timedelta

from aqdefreader import DfqFile, create_characteristic_dataframe

HEADER = ["K0100 1", "K1001/1 door", "K2001/1 1", "K2002/1 current"]
FIRST = datetime(2026, 3, 1, 6)
DAYS = [FIRST + timedelta(days=day) for day in range(31)]


def coded(day):
    return ["K0001/1 10,5", "K0002/1 0", f"K0004/1 {day:%d.%m.%Y/%H:%M:%S}"]


def in_one_line(day):
    return [f"10.5\x140\x14{day:%d.%m.%Y/%H:%M:%S}"]


for lines in (coded, in_one_line):
    text = HEADER + [line for day in DAYS for line in lines(day)]
    characteristic = DfqFile(text).get_part(0).get_characteristic_by_index(1)
    read = list(create_characteristic_dataframe(characteristic)["datetime"])
    swapped = [day.replace(month=day.day, day=day.month) if day.day <= 12 else day for day in DAYS]
    for day in (4, 12):
        print(f"  {lines.__name__}: {DAYS[day]:%d.%m.%Y} is read as {read[day]:%-d %B}")
    print(f"  {lines.__name__}: March has {sum(day.month == 3 for day in read)} of its 31 days")
    assert read == swapped, "the finding is out of date"
print("seen: one month of welds, spread over the year")
PY
