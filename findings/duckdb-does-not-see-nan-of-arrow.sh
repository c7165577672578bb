#!/usr/bin/env bash
# DuckDB: isnan(x) finds no NaN in a Parquet file of Arrow or Polars, and NOT isnan(x) lets every NaN through
#
# Seen with duckdb 2.0.1, pyarrow 26.0.1, polars 2.1.0 (PyPI), Python 3.11, default settings, 2026-11-30.
#
# Expected: a condition means the same over a file as over a table that was made from it, as it does for a file that
# DuckDB wrote. In DuckDB a NaN equals NaN and is larger than every number, so `x > 100` finds it, too.
# Seen: Arrow and Polars leave NaN out of a column's minimum and maximum, as the format prescribes. DuckDB takes the
# maximum for the largest value, and so decides a condition that no number, or every number, fulfils without a look at
# the rows. Whoever leaves out bad samples with `NOT isnan(x)` keeps them, and the mean is NaN; a search for them says
# that there are none. A plausibility check `x BETWEEN 0 AND 100` passes them. It depends on the numbers beside the
# NaN: with one above 100 in the same row group the last one is right.
# https://github.com/duckdb/duckdb/issues/25521 (open) tells it of comparisons with a number.
#
# What to do: `PRAGMA disable_optimizer`, or have NaN written as NULL.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0
venv/bin/python - <<'PY'
import math

import duckdb
import polars
import pyarrow
import pyarrow.parquet

VALUES = {"weld": [1, 2, 3], "x": [1.0, math.nan, 5.0]}
pyarrow.parquet.write_table(pyarrow.table(VALUES), "arrow.parquet")
polars.DataFrame(VALUES).write_parquet("polars.parquet")
connection = duckdb.connect()
connection.execute("CREATE TABLE welds AS FROM 'arrow.parquet'")
connection.execute("COPY welds TO 'duckdb.parquet'")


def welds(source, condition):
    query = f"SELECT weld FROM {source} WHERE {condition} ORDER BY weld"
    return [row[0] for row in connection.execute(query).fetchall()]


CONDITIONS = {"isnan(x)": [], "NOT isnan(x)": [1, 2, 3], "x > 100": [], "x BETWEEN 0 AND 100": [1, 2, 3]}
for condition, wrong in CONDITIONS.items():
    connection.execute("PRAGMA enable_optimizer")
    table = welds("welds", condition)
    own, arrow, other = (welds(f"'{name}.parquet'", condition) for name in ("duckdb", "arrow", "polars"))
    print(f"  {condition:20} table {table}, DuckDB's file {own}, Arrow's {arrow}, Polars' {other}")
    assert own == table and table == ([2] if wrong == [] else [1, 3]), "more is wrong than other writers' files"
    assert arrow == wrong and other == wrong, "the finding is out of date"
    connection.execute("PRAGMA disable_optimizer")
    assert welds("'arrow.parquet'", condition) == table, "it is not the optimizer"
print("seen: a NaN in the rows, and none for the conditions")
PY
