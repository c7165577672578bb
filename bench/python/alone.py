#!/usr/bin/env python3
"""An engine alone on rows that are in memory: what the model costs where nothing else is done. Prints one JSON object.

examples:
  alone.py --engine openvino-bf16 --model .cache/old-network/global --rows rows.npy --layouts 1x1,1x4,1x16
  alone.py --engine cuda --model models/global --made-up 2048 --layouts 1x256,2x1024
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import engines
import numpy as np

CHANNELS = 4


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True, choices=engines.NAMES)
    parser.add_argument("--model", required=True, type=Path, metavar="DIR", help="with model.onnx and inference_config.json")
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--rows", type=Path, metavar="FILE.npy", help="f32 [N, 4, L]")
    rows.add_argument("--made-up", type=int, metavar="N", help="so many rows of noise")
    parser.add_argument("--layouts", default="1x1,1x4,1x16", type=layouts, help="sessions x rows of a batch (1x1,1x4,1x16)")
    parser.add_argument("--threads", type=int, default=1, help="of a session; 0: as many as it takes (1)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each layout, at least (2)")
    parser.add_argument("--answers", type=Path, metavar="FILE.npy", help="keep what it says of the first batch: f32 [B, 5]")
    parser.add_argument("--cache", type=Path, help="where TensorRT keeps its engines")
    args = parser.parse_args()
    if not (args.model / "model.onnx").is_file():
        parser.error(f"--model {args.model}: there is no model.onnx")
    if args.threads < 0 or args.seconds <= 0 or (args.made_up is not None and args.made_up < 1):
        parser.error("--made-up must be at least 1, --threads at least 0, --seconds above 0")
    return args


def layouts(text: str) -> list[tuple[int, int]]:
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*(,[1-9]\d*x[1-9]\d*)*", text):
        raise argparse.ArgumentTypeError(f"{text!r}: give sessions x batch, as 1x16,2x1024")
    return [tuple(map(int, one.split("x"))) for one in text.split(",")]


def read_rows(args: argparse.Namespace) -> np.ndarray:
    length = json.loads((args.model / "inference_config.json").read_text())["target_len"]
    if args.rows is None:
        return np.random.default_rng(1).uniform(0.0, 2.0, (args.made_up, CHANNELS, length)).astype(np.float32)
    rows = np.load(args.rows)
    if rows.dtype != np.float32 or rows.ndim != 3 or rows.shape[1:] != (CHANNELS, length) or not len(rows):
        raise SystemExit(f"{args.rows}: {rows.dtype} {list(rows.shape)}, but the model takes float32 [N, {CHANNELS}, {length}]")
    return rows


def measure(judges: list[engines.Judge], rows: np.ndarray, batch: int, seconds: float) -> tuple[float, float]:
    """Rows a second and milliseconds of CPU a row, every session in a thread of its own."""
    batches = [rows[first : first + batch] for first in range(0, len(rows) - batch + 1, batch)]
    done = [0] * len(judges)
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(judges) + 1)

    def work(number: int) -> None:
        try:
            judges[number](batches[0])
            barrier.wait()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                judges[number](batches[done[number] // batch % len(batches)])
                done[number] += batch
        except BaseException as failure:
            failures.append(failure)
            barrier.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(judges))]
    for thread in threads:
        thread.start()
    try:
        barrier.wait()
    except threading.BrokenBarrierError:
        pass  # a session failed; it says why below
    began, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return sum(done) / wall, cpu * 1e3 / sum(done)


def main() -> None:
    args = arguments()
    rows = read_rows(args)
    most = max(batch for _, batch in args.layouts)
    if most > len(rows):
        raise SystemExit(f"a batch of {most} rows is asked for, there are {len(rows)}")
    with tempfile.TemporaryDirectory() as temporary:
        cache = args.cache or Path(temporary)
        opened = [engines.open_engine(args.engine, args.model, args.threads, cache)]
        measured = []
        for sessions, batch in args.layouts:
            while len(opened) < sessions:
                opened.append(engines.open_engine(args.engine, args.model, args.threads, cache))
            rate, cpu_ms = measure(opened[:sessions], rows, batch, args.seconds)
            measured.append({"sessions": sessions, "batch": batch, "rows_per_s": rate, "cpu_ms_a_row": cpu_ms})
        if args.answers:
            np.save(args.answers, np.column_stack(opened[0](rows[: args.layouts[-1][1]])))
    best = max(measured, key=lambda one: one["rows_per_s"])
    json.dump({"engine": args.engine, "threads": args.threads, "best": best, "layouts": measured}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
