#!/usr/bin/env bash
# ClickHouse: NULL inside a text array becomes 0 in a cast to Array(Float64), where every other unreadable item is an error
#
# Seen with ClickHouse 26.9.2.1 (PyPI chdb-core 26.9.0), default settings, 2026-11-28.
#
# Expected: CAST is strict. CAST('NULL' AS Float64), CAST('[1,x,3]' AS Array(Float64)) and CAST('[1,,3]' AS
# Array(Float64)) fail with 72, so CAST('[1,NULL,3]' AS Array(Float64)) fails too: the type has no NULL.
# Seen: it is [1,0,3], in either case of the word. JSONExtract and JSONEachRow do the same to `null`, and JSONExtract
# makes 0 of text as well. A measuring device's gap ("no sample") so becomes a measured zero.
# The cast follows `input_format_null_as_default`, a setting of input formats; with 0 it fails as expected.
#
# What to do: read into Array(Nullable(Float64)), where NULL stays NULL, and look for NULL.
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
        answer = str(server.query(f"SELECT {sql}", "TSVRaw")).strip()
    except Exception as error:
        answer = "error " + re.search(r"Code: (\d+)", str(error)).group(1)
    print(f"  {sql}  ->  {answer}")
    return answer


print("ClickHouse", ask("version()"))
expected_errors = [
    ask("CAST('NULL' AS Float64)"),
    ask("CAST('[1,x,3]' AS Array(Float64))"),
    ask("CAST('[1,,3]' AS Array(Float64))"),
]
zeros = [
    ask("CAST('[1,NULL,3]' AS Array(Float64))"),
    ask("CAST('[1,null,3]' AS Array(Float64))"),
    ask("JSONExtract('[1,null,3]', 'Array(Float64)')"),
    ask("JSONExtract('[1,\"x\",3]', 'Array(Float64)')"),
]
strict = ask("CAST('[1,NULL,3]' AS Array(Float64)) SETTINGS input_format_null_as_default = 0")
kept = [
    ask("CAST('[1,NULL,3]' AS Array(Nullable(Float64)))"),
    ask("JSONExtract('[1,null,3]', 'Array(Nullable(Float64))')"),
]

assert expected_errors == ["error 72"] * 3, expected_errors
assert zeros == ["[1,0,3]"] * 4, f"{zeros}: the finding is out of date"
assert strict == "error 72", strict
assert kept == ["[1,NULL,3]"] * 2, kept
print("seen: NULL became 0 in a type that has no NULL")
PYTHON
