"""How far a ClickHouse engine gets that serves no HTTP: what `scheduler migrate` prints, and what a day does to a table, in process.

usage: python3 tools/engine_in_process.py DDL NATIVE     (chdb-core on PYTHONPATH)

DDL is the output of `scheduler migrate --dry-run`, NATIVE simulated rows as another engine writes them (FORMAT Native). Prints one JSON
object: the version, and each step with `ok` or the error's code.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from chdb import session


def main() -> None:
    ddl, native = Path(sys.argv[1]).read_text(), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        server = session.Session(folder)
        steps: dict[str, str] = {}

        def step(name: str, *statements: str, expect: str | None = None) -> None:
            try:
                answers = [str(server.query(statement, "TSV")).strip() for statement in statements]
                good = expect is None or answers[-1] == expect
                steps[name] = "ok" if good else f"{answers[-1]!r} instead of {expect!r}"
            except Exception as error:
                found = re.search(r"Code: (\d+)\. DB::Exception: (.*)", str(error))
                steps[name] = f"{found.group(1)}: {found.group(2)[:90]}" if found else str(error)[:90]

        version = str(server.query("SELECT version()", "TSV")).strip()
        step("serve HTTP", "SYSTEM START LISTEN HTTP")
        step("migrate", *clickhouse_statements(ddl))
        step("rows in Native", f"INSERT INTO weld.spot_records SELECT * FROM file('{native}', Native)")
        rows = str(server.query("SELECT count() FROM weld.spot_records", "TSV")).strip()
        step("lightweight UPDATE",
             "INSERT INTO weld.weld_results (token, key_hash, final_result, diameter) "
             "SELECT 7, cityHash64(data_date, ck_local_time, record_id), 'OK', nan FROM weld.spot_records",
             "UPDATE weld.spot_records SET alg_complete_time = now64(3), alg_token = 7, final_result = CAST(arrayElement(tupleElement( "
             "(SELECT groupArray((key_hash, final_result)) FROM weld.weld_results WHERE token = 7) AS r, 2), transform(cityHash64( "
             "data_date, ck_local_time, record_id), tupleElement(r, 1), arrayEnumerate(tupleElement(r, 1)), toUInt32(0))) "
             "AS LowCardinality(Nullable(String))) WHERE cityHash64(data_date, ck_local_time, record_id) IN "
             "(SELECT key_hash FROM weld.weld_results WHERE token = 7) AND alg_run IS NULL",
             "SELECT count() FROM weld.spot_records WHERE final_result = 'OK' AND alg_token = 7", expect=rows)
        step("APPLY PATCHES, DETACH, ATTACH",
             "ALTER TABLE weld.spot_records APPLY PATCHES IN PARTITION 20261122 SETTINGS mutations_sync = 2",
             "ALTER TABLE weld.spot_records DETACH PARTITION 20261122", "ALTER TABLE weld.spot_records ATTACH PARTITION 20261122",
             "SELECT count() FROM weld.spot_records WHERE final_result = 'OK'", expect=rows)
        print(json.dumps({"version": f"ClickHouse {version}", "rows": int(rows), "steps": steps}))


def clickhouse_statements(ddl: str) -> list[str]:
    """Those under a line `-- clickhouse: …`."""
    parts = re.split(r"^-- (\w+): .*\n", ddl, flags=re.MULTILINE)[1:]
    return [sql.strip().rstrip(";") for store, sql in zip(parts[::2], parts[1::2]) if store == "clickhouse"]


if __name__ == "__main__":
    main()
