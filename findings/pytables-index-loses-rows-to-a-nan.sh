#!/usr/bin/env bash
# PyTables: with one NaN in an indexed column a query finds 355 of 20276 rows; pandas' HDFStore makes such an index
#
# Seen with tables 3.11.1, pandas 3.1.1, numpy 2.4.6 (PyPI), Python 3.11, 2026-11-30.
#
# Expected: an index makes a query faster and finds what the query without it finds. NaN fulfils no comparison.
# Seen: from some 150,000 rows on, most rows of a range are missing, though none of them is NaN: with one NaN or
# thousands, for float32 and float64, whenever the index is of the default kind. Without the NaN all are found, and
# shorter tables, as tests have them, are right. HDFStore.append indexes `data_columns` this way unless told not to.
# https://github.com/PyTables/PyTables/issues/282 and 327 (2013, closed) told it of small tables.
#
# What to do: `create_csindex()`, which is right (in pandas `index=False`, then create_table_index with kind "full" and
# optlevel 9), or leave rows with NaN out of the table; compare a count with `remove_index()` once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tables==3.11.1 pandas==3.1.1 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
import pandas as pd
import tables

ROWS = 150_000
random = np.random.default_rng(0)
resistance = random.normal(size=ROWS)
with_nan = resistance.copy()
with_nan[ROWS // 2] = np.nan
CONDITION = "(x > 1) & (x < 2)"


def expected(values):
    return int(((values > 1) & (values < 2)).sum())


def found(values, index):
    with tables.open_file("welds.h5", "w") as file:
        table = file.create_table("/", "welds", np.rec.fromarrays([values], names="x"))
        if index:
            getattr(table.cols.x, index)()
        return len(table.read_where(CONDITION))


def found_by_pandas(values, **options):
    with pd.HDFStore("pandas.h5", "w") as store:
        store.append("welds", pd.DataFrame({"x": values}), data_columns=["x"], **options)
        if options:
            store.create_table_index("welds", columns=["x"], kind="full", optlevel=9)
        return len(store.select("welds", CONDITION))


right = {
    "no NaN, index": (found(resistance, "create_index"), expected(resistance)),
    "a NaN, no index": (found(with_nan, None), expected(with_nan)),
    "a NaN, create_csindex": (found(with_nan, "create_csindex"), expected(with_nan)),
    "a NaN, pandas, full index": (found_by_pandas(with_nan, index=False), expected(with_nan)),
}
wrong = {
    "a NaN, create_index": (found(with_nan, "create_index"), expected(with_nan)),
    "a NaN, pandas": (found_by_pandas(with_nan), expected(with_nan)),
}
for title, (seen, want) in (right | wrong).items():
    print(f"  {title:26} {seen:6} of {want} rows")
assert all(seen == want for seen, want in right.values()), "more is wrong than the default index"
assert all(seen < want / 2 for seen, want in wrong.values()), "the finding is out of date"
print("seen: a NaN elsewhere took the rows along")
PY
