#!/usr/bin/env bash
# clickhouse-connect: a NaN for a column of whole numbers is inserted as 0, even if the column can be NULL
#
# Seen with clickhouse-connect 1.12.0, ClickHouse 26.9.2.1 (chdb-core 26.9.0), pandas 3.1.1, numpy 2.4.6 (PyPI), Python
# 3.11, 2026-11-30. The engine runs in process; over HTTP to a server of 26.7.2.1 the same was written.
#
# Expected: a value that the column's type cannot hold is an error, as ClickHouse answers to INSERT … VALUES (nan) and
# to an Arrow table, and as the client answers to a number that is too large; or else it is NULL, as insert_df has it.
# Seen: `insert` makes NaN and infinity 0, and cuts fractions, when the first value of the block is a float. When that is
# an integer, the same NaN is an error. None in a column without NULL follows the same rule. So whether a force that
# was not measured becomes "0 N" or an exception depends on which row comes first. insert_df rounds fractions where
# `insert` cuts them, and makes NaN 0 as well where the column has no NULL.
#
# What to do: look for values that are not finite before an insert, or insert_arrow.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    clickhouse-connect==1.12.0 chdb-core==26.9.0 pandas==3.1.1 numpy==2.4.6 pyarrow==26.0.1
venv/bin/python - <<'PY'
import logging
import math

import clickhouse_connect
import pandas as pd
import pyarrow

logging.disable(logging.CRITICAL)
client = clickhouse_connect.get_client(interface="chdb")


def rows(values):
    client.insert("forces", [[weld, value] for weld, value in enumerate(values)])


def frame(values):
    client.insert_df("forces", pd.DataFrame({"weld": range(len(values)), "force": values}))


def arrow(values):
    client.insert_arrow("forces", pyarrow.table({"weld": range(len(values)), "force": values}))


def held(kind, insert, values):
    client.command("DROP TABLE IF EXISTS forces")
    client.command(f"CREATE TABLE forces (weld UInt32, force {kind}) ENGINE = Memory")
    try:
        insert(values)
    except clickhouse_connect.driver.exceptions.Error:
        return "error"
    return [row[0] for row in client.query("SELECT force FROM forces ORDER BY weld").result_rows]


print("ClickHouse", client.command("SELECT version()"))
CASES = [
    ("Nullable(Int32)", rows, [2600.7, math.nan, math.inf], [2600, 0, 0]),
    ("Int32", rows, [2600.7, math.nan, math.inf], [2600, 0, 0]),
    ("Int32", rows, [2600.0, None], [2600, 0]),
    ("Int32", frame, [2600.7, math.nan], [2601, 0]),
    ("Nullable(Int32)", rows, [2600, math.nan], "error"),
    ("Int32", rows, [2600, None], "error"),
    ("Int32", rows, [1e10], "error"),
    ("Nullable(Int32)", frame, [2600.7, math.nan], [2601, None]),
    ("Nullable(Int32)", arrow, [2600.7, math.nan], "error"),
]
for kind, insert, values, seen in CASES:
    got = held(kind, insert, values)
    print(f"  {kind:15} {insert.__name__:5} {values!s:21} {got}")
    assert got == seen, "the finding is out of date"
print("seen: a force that nobody measured is 0")
PY
