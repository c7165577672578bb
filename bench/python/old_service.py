#!/usr/bin/env python3
"""The loop that the fleet takes the place of: read a hundred rows, prepare one after the other, judge, write back, again.

PyTorch in eager mode on every core it is given, NumPy for each row, one process, one thing at a time. It is given what a
careful one would have: columns in ClickHouse's own format, no gradients, and one UPDATE a batch. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import engines
import numpy as np
from weldtrain import features

TABLE = "spot_records"
COLUMNS = ("ml_nok_prob", "diameter", "indentation", "front_thickness", "stack_thickness")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="of ClickHouse, http://HOST:PORT")
    parser.add_argument("--database", default="weld")
    parser.add_argument("--day", required=True, type=int, metavar="YYYYMMDD")
    parser.add_argument("--model", required=True, type=Path, metavar="DIR", help="of training/old_network_model.py")
    parser.add_argument("--batch", type=int, default=100, help="rows at a time (100)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (2)")
    args = parser.parse_args()
    if args.batch < 1 or args.threads < 1:
        parser.error("--batch and --threads must be at least 1")
    return args


def prepare(u_curve: list[float], i_curve: list[float], idle: features.Idle) -> np.ndarray:
    """One weld's row, f32 [4, L]: what the worker makes of it too."""
    u, i = np.array(u_curve, dtype=np.float32), np.array(i_curve, dtype=np.float32)
    return features.tensor(*features.fit_curves([u], [i], 1.0, idle))[0]


def read(client, day: int, batch: int) -> list[tuple]:
    return client.query(
        f"SELECT record_id, u_curve, i_curve FROM {TABLE} WHERE data_date = {day} AND alg_complete_time IS NULL "
        f"ORDER BY ck_local_time, record_id LIMIT {batch}"
    ).result_rows


def write(client, day: int, ids: list[int], answers: np.ndarray) -> None:
    def column(number: int) -> str:
        values = ", ".join(f"{value:.9g}" for value in answers[:, number])
        return f"transform(record_id, {ids}, CAST([{values}] AS Array(Float32)), CAST(0 AS Float32))"

    assignments = ", ".join(f"{name} = {column(number)}" for number, name in enumerate(COLUMNS))
    client.command(
        f"UPDATE {TABLE} SET alg_complete_time = now64(3), {assignments} "
        f"WHERE data_date = {day} AND record_id IN ({', '.join(map(str, ids))})"
    )


def run(client, judge: engines.Judge, args: argparse.Namespace, idle: features.Idle) -> dict:
    spent = dict.fromkeys(("read", "prepare", "infer", "write"), 0.0)
    rows = 0
    began, cpu = time.perf_counter(), time.process_time()
    while True:
        marks = [time.perf_counter()]
        found = read(client, args.day, args.batch)
        marks.append(time.perf_counter())
        if not found:
            break
        batch = np.stack([prepare(u_curve, i_curve, idle) for _, u_curve, i_curve in found])
        marks.append(time.perf_counter())
        answers = np.column_stack(judge(batch))
        marks.append(time.perf_counter())
        write(client, args.day, [record_id for record_id, *_ in found], answers)
        marks.append(time.perf_counter())
        for stage, start, end in zip(spent, marks, marks[1:]):
            spent[stage] += end - start
        rows += len(found)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    if not rows:
        raise SystemExit(f"{TABLE} has no rows without a verdict on {args.day}")
    stages = {stage: seconds * 1e3 / rows for stage, seconds in spent.items()}
    return {"rows": rows, "seconds": wall, "rows_per_s": rows / wall, "cpu_ms_a_row": cpu * 1e3 / rows, "ms_a_row": stages}


def main() -> None:
    args = arguments()
    where = urlsplit(args.url)
    if where.scheme != "http" or not where.hostname or not where.port:
        raise SystemExit(f"--url {args.url}: give http://HOST:PORT")
    config = json.loads((args.model / "inference_config.json").read_text())
    idle = features.Idle(config["idle_before_ms"], config["idle_after_ms"])
    judge = engines.pytorch(args.model, args.threads)
    client = clickhouse_connect.get_client(host=where.hostname, port=where.port, database=args.database)
    # A loop that runs for months has long since been warm.
    judge(np.zeros((args.batch, len(features.CHANNELS), config["target_len"]), dtype=np.float32))
    json.dump(run(client, judge, args, idle), sys.stdout)
    print()


if __name__ == "__main__":
    main()
