#!/usr/bin/env bash
# ClickHouse: x IN (SELECT y …) cuts x to the type of y, so it is true where x = y is false for every y
#
# Seen with ClickHouse 26.9.2.1 (PyPI chdb-core 26.9.0), default settings, 2026-11-29.
#
# Expected: IN means that some y equals x. `=`, SEMI JOIN, EXISTS and IN with a list of values compare times and
# decimals of different scales by value, and IN (SELECT …) of another width of integer or of a DateTime does too.
# Seen: a DateTime64(6) against a subquery of DateTime64(3) is cut to milliseconds first, a Decimal(9, 2) or a Float64
# against Decimal(9, 1) to one digit, a Decimal against integers to a whole number. So IN finds, and DELETE … WHERE … IN
# deletes, rows that equal no row of the subquery, and NOT IN leaves them out. The other way round nothing is cut.
# https://github.com/ClickHouse/ClickHouse/issues/117245 tells the reverse, of a list of times finer than the column.
#
# What to do: SEMI JOIN, or a cast of the subquery's column to the type on the left.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/python" chdb-core==26.9.0 2>/dev/null

PYTHONPATH=$folder/python python3 - "$folder/data" <<'PYTHON'
import sys

from chdb import session

server = session.Session(sys.argv[1])


def ask(sql):
    answer = str(server.query(sql, "TSVRaw")).strip()
    print(f"  {sql}  ->  {answer}" if answer else f"  {sql}")
    return answer


print("ClickHouse", ask("SELECT version()"))
ask("CREATE DATABASE d ENGINE = Atomic")
ask("CREATE TABLE d.welds (at DateTime64(6, 'UTC'), id UInt8) ENGINE = MergeTree ORDER BY at")
ask("CREATE TABLE d.wanted (at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY at")
ask("INSERT INTO d.welds VALUES ('2026-11-29 06:00:00.123000', 1), ('2026-11-29 06:00:00.123456', 2)")
ask("INSERT INTO d.wanted VALUES ('2026-11-29 06:00:00.123')")

ids = "SELECT arraySort(groupArray(id)) FROM d.welds"
equal = ask(f"{ids} WHERE at = (SELECT at FROM d.wanted)")
joined = ask(f"{ids} SEMI JOIN d.wanted USING at")
listed = ask(f"{ids} WHERE at IN (toDateTime64('2026-11-29 06:00:00.123', 3, 'UTC'))")
seconds = ask(f"{ids} WHERE at IN (SELECT toDateTime('2026-11-29 06:00:00', 'UTC'))")
within = ask(f"{ids} WHERE at IN (SELECT at FROM d.wanted)")
outside = ask(f"{ids} WHERE at NOT IN (SELECT at FROM d.wanted)")
cast = ask(f"{ids} WHERE at IN (SELECT at::DateTime64(6, 'UTC') FROM d.wanted)")

numbers = [
    ask(f"SELECT {left} IN (SELECT {right}), {left} = {right}")
    for left, right in [
        ("'1.25'::Decimal(9, 2)", "'1.2'::Decimal(9, 1)"),
        ("1.25::Float64", "'1.2'::Decimal(9, 1)"),
        ("'1.25'::Decimal(9, 2)", "1::Int32"),
        ("'1.2'::Decimal(9, 1)", "'1.25'::Decimal(9, 2)"),
        ("257::UInt16", "1::UInt8"),
    ]
]

ask("DELETE FROM d.welds WHERE at IN (SELECT at FROM d.wanted)")
left = ask("SELECT count() FROM d.welds")

assert (equal, joined, listed, seconds, cast) == ("[1]", "[1]", "[1]", "[]", "[1]"), (equal, joined, listed, seconds, cast)
assert (within, outside) == ("[1,2]", "[]"), f"{(within, outside)}: the finding is out of date"
assert numbers == ["1\t0", "1\t0", "1\t0", "0\t0", "0\t0"], f"{numbers}: the finding is out of date"
assert left == "0", left
print("seen: DELETE … IN (SELECT …) took a row that equals none of the subquery's")
PYTHON
