#!/usr/bin/env bash
# ClickHouse: a CREATE TABLE … CLONE AS that fails leaves an empty table, and its retry with IF NOT EXISTS succeeds
#
# Seen with ClickHouse 26.9.2.1 (PyPI chdb-core 26.9.0), database engine Atomic, default settings, 2026-11-28.
#
# Expected: in an Atomic database a CREATE that answers an error has created nothing, so that a script may repeat it. So it
# is with CREATE TABLE … AS SELECT whose SELECT throws: no table is left.
# Seen: the copy of a table with unapplied patch parts is refused (344), and the new table is there, empty. The same
# statement again answers 57 (already exists), with IF NOT EXISTS it answers success: a script that retries until there is no
# error ends with an empty copy of a full table. CREATE OR REPLACE TABLE … CLONE AS leaves nothing when it fails.
#
# What to do: CREATE OR REPLACE, or drop the table after an error before trying again; compare the counts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/python" chdb-core==26.9.0 2>/dev/null

PYTHONPATH=$folder/python python3 - "$folder/data" <<'PYTHON'
import re
import sys

from chdb import session

server = session.Session(sys.argv[1])


def ask(sql):
    try:
        answer = str(server.query(sql, "TSVRaw")).strip() or "ok"
    except Exception as error:
        answer = "error " + re.search(r"Code: (\d+)", str(error)).group(1)
    print(f"  {sql}  ->  {answer}")
    return answer


print("ClickHouse", ask("SELECT version()"))
ask("CREATE DATABASE d ENGINE = Atomic")
ask("CREATE TABLE d.t (id UInt64, verdict Nullable(String)) ENGINE = MergeTree ORDER BY id "
    "SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1")
ask("SYSTEM STOP MERGES d.t")
ask("INSERT INTO d.t (id) SELECT number FROM numbers(10)")
ask("UPDATE d.t SET verdict = 'OK' WHERE 1")

first = ask("CREATE TABLE d.copy CLONE AS d.t")
again = ask("CREATE TABLE d.copy CLONE AS d.t")
retried = ask("CREATE TABLE IF NOT EXISTS d.copy CLONE AS d.t")
rows = ask("SELECT count() FROM d.copy")

selected = ask("CREATE TABLE d.picked ENGINE = MergeTree ORDER BY id AS SELECT id FROM d.t WHERE throwIf(id = 5) = 0")
picked = ask("SELECT count() FROM d.picked")

replaced = ask("CREATE OR REPLACE TABLE d.swapped CLONE AS d.t")
swapped = ask("EXISTS TABLE d.swapped")

assert first == "error 344", first
assert (again, retried, rows) == ("error 57", "ok", "0"), f"{(again, retried, rows)}: the finding is out of date"
assert (selected, picked) == ("error 395", "error 60"), f"{(selected, picked)}: AS SELECT leaves a table"
assert (replaced, swapped) == ("error 344", "0"), (replaced, swapped)
print("seen: after an error, the retry with IF NOT EXISTS answers success and the copy holds 0 of 10 rows")
PYTHON
