#!/usr/bin/env bash
# ClickHouse: groupArray and first_value over a column of mostly zeros do not follow the order of the rows
#
# Seen with ClickHouse 26.9.2.1 (PyPI chdb-core 26.9.0), default settings, 2026-11-28.
#
# Expected: rows that come out of `ORDER BY` in a subquery are aggregated in that order, as the documentation of
# groupArray says for a subquery that is small enough; two groupArray of one SELECT therefore match place by place.
# Seen: a column of which some 95 % is the default value is stored sparse, and groupArray then returns its other values
# first and the zeros after them; first_value and any return 7 where the first row holds 0. A sibling column that
# is not sparse keeps the order, so the arrays do not match: arrayAUCPR of a score and a label that agree perfectly is
# 0.02 instead of 1. groupArray of a tuple, groupArrayIf, groupArrayArray([v]) and argMin are right.
#
# What to do: collect what belongs together in one tuple, groupArray((id, v)), or sort with arraySort by a key inside.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/python" chdb-core==26.9.0 2>/dev/null

PYTHONPATH=$folder/python python3 - "$folder/data" <<'PYTHON'
import json
import sys

from chdb import session

server = session.Session(sys.argv[1])


def ask(sql):
    print(f"  {sql}")
    answer = json.loads(str(server.query(sql + " SETTINGS output_format_json_quote_64bit_integers = 0", "JSONCompact")))
    for value in answer["data"][0]:
        print(f"    {str(value)[:110]}")
    return answer["data"][0]


print("ClickHouse", str(server.query("SELECT version()", "TSV")).strip())
server.query("CREATE DATABASE d ENGINE = Atomic")
server.query("CREATE TABLE d.t (id UInt64, v UInt64) ENGINE = MergeTree ORDER BY id")
server.query("INSERT INTO d.t SELECT number, if(number % 50 = 7, number, 0) FROM numbers(1000)")
kind = str(server.query("SELECT serialization_kind FROM system.parts_columns WHERE table = 't' AND column = 'v'", "TSV")).strip()
print("v is stored", kind)

in_order = "(SELECT id, v FROM d.t ORDER BY id LIMIT 100)"
ids, values = ask(f"SELECT groupArray(id), groupArray(v) FROM {in_order}")
(pairs,) = ask(f"SELECT groupArray((id, v)) FROM {in_order}")
area, area_if = ask(
    "SELECT arrayAUCPR(groupArray(score), groupArray(nok)), arrayAUCPR(groupArrayIf(score, 1), groupArrayIf(nok, 1)) "
    "FROM (SELECT id, if(v > 0, 0.9, 0.1) AS score, v > 0 AS nok FROM d.t)"
)
first, right = ask(f"SELECT first_value(v), argMin(v, id) FROM {in_order}")

assert kind == "Sparse", kind
assert ids == list(range(100)), "ids keep the order"
assert [list(pair) for pair in pairs] == [[n, n if n % 50 == 7 else 0] for n in range(100)], "tuples keep the order"
assert values != [value for _, value in pairs], "groupArray(v) keeps the order now: the finding is out of date"
assert values == [7, 57] + [0] * 98, values
assert area < 0.1 and area_if == 1, (area, area_if)
assert (first, right) == (7, 0), (first, right)
print("seen: groupArray(v) starts with", values[:3], "where the rows hold 0, 0, 0")
PYTHON
