#!/usr/bin/env bash
# ClickHouse: BACKUP and FREEZE leave lightweight updates out and say nothing; CLONE and DETACH of the same table refuse
#
# Seen with ClickHouse 26.9.2.1 (PyPI chdb-core 26.9.0), default settings, 2026-11-28.
#
# Expected: a restored table answers what the table answered when it was backed up, or BACKUP refuses, as
# CREATE TABLE … CLONE AS, DETACH PARTITION and MOVE PARTITION do (344, "there are 1 unapplied patch parts").
# Seen: BACKUP says BACKUP_CREATED and RESTORE says RESTORED, and every column that was set by a lightweight UPDATE is
# as it was before. FREEZE links the data part and not the patch part.
#
# What to do: ALTER TABLE … APPLY PATCHES [IN PARTITION …] and wait for it before a backup.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/python" chdb-core==26.9.0 2>/dev/null

PYTHONPATH=$folder/python python3 - "$folder/data" <<'PYTHON'
import pathlib
import sys

from chdb import session

server = session.Session(sys.argv[1])


def ask(sql):
    answer = str(server.query(sql, "TSV")).strip()
    print(f"  {sql}\n    {answer}" if answer else f"  {sql}")
    return answer


print("ClickHouse", ask("SELECT version()"))
ask("CREATE DATABASE d ENGINE = Atomic")
ask("CREATE TABLE d.t (id UInt64, verdict Nullable(String)) ENGINE = MergeTree ORDER BY id "
    "SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1")
ask("SYSTEM STOP MERGES d.t")  # no background merge may apply the patch meanwhile
ask("INSERT INTO d.t (id) SELECT number FROM numbers(10)")
ask("UPDATE d.t SET verdict = 'OK' WHERE 1")
before = ask("SELECT countIf(verdict = 'OK') FROM d.t")

backed_up = ask("BACKUP TABLE d.t TO Memory('one')")
restored = ask("RESTORE TABLE d.t AS d.restored FROM Memory('one')")
after = ask("SELECT countIf(verdict = 'OK') FROM d.restored")

ask("ALTER TABLE d.t FREEZE WITH NAME 'two'")
frozen = sorted(path.parent.name for path in pathlib.Path(sys.argv[1], "shadow").rglob("columns.txt"))
print("  frozen parts:", frozen)
try:
    ask("CREATE TABLE d.clone CLONE AS d.t")
    refused = False
except Exception as error:
    refused = "344" in str(error)
    print("  CREATE TABLE d.clone CLONE AS d.t\n   ", str(error).splitlines()[0])

ask("SYSTEM START MERGES d.t")
ask("ALTER TABLE d.t APPLY PATCHES SETTINGS mutations_sync = 2")
ask("BACKUP TABLE d.t TO Memory('three')")
ask("RESTORE TABLE d.t AS d.settled FROM Memory('three')")
settled = ask("SELECT countIf(verdict = 'OK') FROM d.settled")

assert before == "10" and "BACKUP_CREATED" in backed_up and "RESTORED" in restored
assert after == "0", f"the backup holds {after} updated rows: the finding is out of date"
assert frozen and not any(name.startswith("patch-") for name in frozen), frozen
assert refused, "CLONE no longer refuses a table with patch parts"
assert settled == "10", settled
print("seen: 10 updated rows before, 0 in the restored backup, 10 once the patches were applied")
PYTHON
