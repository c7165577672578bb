#!/usr/bin/env bash
# ClickHouse: `parseDateTime64BestEffortOrNull` reads a plant's "no time" as New Year of the year in which it is asked
#
# Seen with ClickHouse 26.7.3 (PyPI chdb-core 26.7.3), 2026-11-30.
#
# Expected: a text that names no day is NULL, as the name's "OrNull" says; at the worst the epoch, as with toDateTimeOrZero.
# Seen: `0000-00-00 00:00:00`, which MySQL applications and timers write for "none", is 1 January of the server's current
# year. So are a time of day alone and a lone number. Next year the same stored text is another time, so that copies of it
# that were made this year differ from it.
#
# What to do: parse only texts that begin with a four-digit year other than 0000 and name month and day.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/python" chdb-core==26.7.3 2>/dev/null

PYTHONPATH=$folder/python python3 - "$folder/data" <<'PYTHON'
import sys

from chdb import session

server = session.Session(sys.argv[1])


def ask(sql):
    answer = str(server.query(sql, "TSVRaw")).strip()
    print(f"  {sql}  ->  {answer}")
    return answer


print("ClickHouse", ask("SELECT version()"))
year = ask("SELECT toYear(now('UTC'))")
parsed = {
    text: ask(f"SELECT toString(parseDateTime64BestEffortOrNull('{text}', 0, 'UTC'))")
    for text in ("0000-00-00 00:00:00", "08:15:00", "5", "none", "2026-11-30 08:15:00")
}
expected = {
    "0000-00-00 00:00:00": f"{year}-01-01 00:00:00",
    "08:15:00": f"{year}-01-01 08:15:00",
    "5": f"{year}-01-05 00:00:00",
    "none": "\\N",
    "2026-11-30 08:15:00": "2026-11-30 08:15:00",
}
told = ask("SELECT toString(parseDateTimeOrNull('0000-00-00 00:00:00', '%Y-%m-%d %H:%i:%s', 'UTC'))")
assert parsed == expected, f"{parsed}: the finding is out of date"
assert told == "\\N", told
print(f"seen: no time at all is New Year {year}, a time of day is on it, and a lone number is a day of January")
PYTHON
