#!/usr/bin/env bash
# csvkit: 12,5 kA in a German CSV file is 125, and 1.234,5 is 1.2345: the comma is taken out
#
# Seen with csvkit 2.2.0, agate 1.14.2, babel 2.19.0 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: a file with semicolons and decimal commas, as weld timers of a German setting write it, is read as text
# where the locale (en_US by default) knows no such number: nobody groups digits in ones. Then sums fail and one looks.
# Seen: every comma is removed before the rest is read as a number, wherever it stands, and a column of such text counts
# as one of numbers. csvstat's mean, csvsql's table and csvjson are wrong by the factor ten to the number of decimals,
# which differs from value to value: 9,8 is 98 and 9,75 is 975. csvcut and csvgrep, which do not guess types, are right.
# https://github.com/wireservice/csvkit/issues/876 (closed) tells it of csvlook.
#
# What to do: `--locale de_DE` with each command that guesses types, or `--no-inference`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check csvkit==2.2.0 agate==1.14.2 babel==2.19.0
printf '%s\n' 'weld;current;energy' '1;12,5;1.234,5' '2;9,8;987,25' '3;9,75;1.002,0' >welds.csv
read_by() { venv/bin/csvjson --delimiter ';' "$@" welds.csv; }
by_default=$(read_by)
by_locale=$(read_by --locale de_DE)
mean=$(venv/bin/csvstat --delimiter ';' --columns current --mean welds.csv)
echo "  csvjson: $by_default"
echo "  csvjson --locale de_DE: $by_locale"
echo "  csvstat --mean of the currents, 10.683: $mean"
venv/bin/python - "$by_default" "$by_locale" <<'PY'
import json
import sys

default, german = ([(row["current"], row["energy"]) for row in json.loads(text)] for text in sys.argv[1:])
assert german == [(12.5, 1234.5), (9.8, 987.25), (9.75, 1002.0)]
assert default == [(125.0, 1.2345), (98.0, 98725.0), (975.0, 1.002)], "the finding is out of date"
PY
[[ $mean == 399.333 ]] || { echo "the finding is out of date"; exit 1; }
echo "seen: currents of 125, 98 and 975 kA"
