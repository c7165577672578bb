#!/usr/bin/env python3
"""The fleet and the loop that it takes the place of, with an older service's network, on the same cores in one run.

Each round: the old loop, the fleet in f32, the fleet in bf16, each over the same welds on a day of their own; then every
engine alone, one thread. Ratios are medians of the rounds' own ratios: a host that changes its speed changes both sides.
Started by bench/old-network.sh, which brings what this needs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect
import engines
import numpy as np
import old_service
from plant import Plant, machine
from weldtrain import features

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
BATCH = 100  # rows of the old loop's batch, and of the fleet's range: as many welds in a turn on either side
FLEETS = {"fleet, f32": "f32", "fleet, bf16": "bf16"}
LOOP = "old loop"
ALONE = ("pytorch", "onnxruntime", "openvino", "openvino-bf16")
COMPARED = 32  # rows that the engines are timed and compared on


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400, help="welds of a round's every day (400)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (3)")
    parser.add_argument("--cores", type=int, default=2, help="of this machine, services included (2)")
    parser.add_argument("--quick", action="store_true", help="one round of 200 welds")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target/release", help="where scheduler and worker are")
    parser.add_argument("--model", type=Path, default=ROOT / ".cache/old-network", help="folder with global/ of old_network_model.py")
    parser.add_argument("--json", type=Path, help="where the figures go (bench/results/old-network.json; -quick with --quick)")
    args = parser.parse_args()
    if args.quick:
        args.rows, args.runs = 200, 1
    if args.rows < COMPARED or not 1 <= args.runs <= 8 or args.cores < 1:
        parser.error(f"--rows must be at least {COMPARED}, --runs 1 to 8, --cores at least 1")
    if len(os.sched_getaffinity(0)) < args.cores:
        parser.error(f"--cores {args.cores}: this process has {len(os.sched_getaffinity(0))}")
    if args.json is None:
        args.json = ROOT / f"bench/results/old-network{'-quick' if args.quick else ''}.json"
    return args


class Comparison:
    """What is measured, by name, one value a round."""

    def __init__(self, args: argparse.Namespace, plant: Plant, folder: Path) -> None:
        self.args, self.plant, self.folder = args, plant, folder
        self.model = args.model / "global"
        self.bf16 = engines.computes_bf16()
        self.end_to_end: dict[str, list[dict]] = {}
        self.alone: dict[str, list[dict]] = {}
        self.answers: dict[str, np.ndarray] = {}

    def prepare(self) -> None:
        self.plant.simulate(self.args.rows)
        config = json.loads((self.model / "inference_config.json").read_text())
        idle = features.Idle(config["idle_before_ms"], config["idle_after_ms"])
        where = clickhouse_connect.get_client(dsn=f"{self.plant.url}/weld")
        welds = old_service.read(where, self.plant.fresh_day(COMPARED), COMPARED)
        np.save(self.folder / "rows.npy", np.stack([old_service.prepare(u, i, idle) for _, u, i in welds]))

    def round(self) -> None:
        self.loop()
        for name, precision in FLEETS.items():
            if precision == "f32" or self.bf16:
                self.fleet(name, precision)
        for engine in ALONE:
            if engine != "openvino-bf16" or self.bf16:
                self.engine(engine)

    def loop(self) -> None:
        day = self.plant.fresh_day(self.args.rows)
        words = ["--url", self.plant.url, "--day", day, "--model", self.model, "--batch", BATCH, "--threads", self.args.cores]
        self.keep(self.end_to_end, LOOP, python("old_service.py", *words))
        self.answers[LOOP] = np.array(self.plant.answers(day))

    def fleet(self, name: str, precision: str) -> None:
        day = self.plant.fresh_day(self.args.rows)
        settings = {"model.precision": precision}
        self.keep(self.end_to_end, name, self.plant.drain(day, self.args.rows, BATCH, settings).told())
        self.answers[name] = np.array(self.plant.answers(day))
        # Both sides must have done the same work.
        apart = self.apart(name, LOOP)
        if precision == "f32" and max(apart) > 1e-4:
            raise SystemExit(f"{name} is {apart} apart from the old loop (probability, mm), more than 1e-4: not the same work")

    def engine(self, name: str) -> None:
        answers = self.folder / f"{name}.npy"
        words = ["--engine", name, "--model", self.model, "--rows", self.folder / "rows.npy", "--answers", answers]
        self.keep(self.alone, name, python("alone.py", *words, "--layouts", "1x1,1x8,1x32"))
        self.answers[name] = np.load(answers)

    @staticmethod
    def keep(where: dict[str, list[dict]], name: str, measured: dict) -> None:
        where.setdefault(name, []).append(measured)
        rate = measured.get("rows_per_s") or measured["best"]["rows_per_s"]
        print(f"{name}: {rate:.1f} rows/s", flush=True)

    def apart(self, name: str, other: str) -> tuple[float, float]:
        """Largest difference of the probability, and of the regressions in mm."""
        differences = np.abs(self.answers[name] - self.answers[other])
        return float(differences[:, 0].max()), float(differences[:, 1:].max())

    # --- figures ------------------------------------------------------------------------------------------------------

    def figures(self) -> dict:
        told = {"end_to_end": {}, "alone": {}}
        for name, measured in self.end_to_end.items():
            told["end_to_end"][name] = summary(measured, self.end_to_end[LOOP], lambda one: one["rows_per_s"]) | {
                "cpu_ms_a_row": statistics.median(whole_cpu(one) for one in measured), "apart": self.apart(name, LOOP),
            }
        for name, measured in self.alone.items():
            told["alone"][name] = summary(measured, self.alone["pytorch"], lambda one: one["best"]["rows_per_s"]) | {
                "ms_a_row": statistics.median(1e3 / one["best"]["rows_per_s"] for one in measured),
                "batch": statistics.mode(one["best"]["batch"] for one in measured),
                "apart": self.apart(name, "pytorch"),
            }
        return told

    def tables(self) -> str:
        figures = self.figures()
        lines = [
            f"| {self.args.cores} cores | rows/s | spread | of the old loop | CPU, ms a row | largest difference: probability, mm |",
            "|---|---|---|---|---|---|",
        ]
        for name in (LOOP, *FLEETS):
            one = figures["end_to_end"].get(name)
            lines.append(row(name, one, lambda one: [
                f"{one['rows_per_s']:.1f}", "{:.1f} to {:.1f}".format(*one["spread"]), f"{one['ratio']:.2f}",
                f"{one['cpu_ms_a_row']:.1f}", differences(one["apart"], name == LOOP),
            ]))
        lines += ["", "| alone, one thread | ms a row | spread | speed of PyTorch's | rows of a batch | largest difference: probability, mm |",
                  "|---|---|---|---|---|---|"]
        for name in ALONE:
            one = figures["alone"].get(name)
            lines.append(row(name, one, lambda one: [
                f"{one['ms_a_row']:.1f}", "{:.1f} to {:.1f}".format(*sorted(1e3 / rate for rate in one["spread"])),
                f"{one['ratio']:.2f}", str(one["batch"]), differences(one["apart"], name == "pytorch"),
            ]))
        if not self.bf16:
            lines += ["", "bf16 was left out: this processor has neither amx_bf16 nor avx512_bf16."]
        return "\n".join(lines)


def row(name: str, one: dict | None, cells) -> str:
    return "| " + " | ".join([name, *(cells(one) if one else ["–"] * 5)]) + " |"


def differences(apart: tuple[float, float], itself: bool) -> str:
    return "" if itself else f"{apart[0]:.1e}, {apart[1]:.1e}"


def summary(measured: list[dict], base: list[dict], rate) -> dict:
    rates = [rate(one) for one in measured]
    ratios = [one / rate(other) for one, other in zip(rates, base)]
    return {"rows_per_s": statistics.median(rates), "spread": (min(rates), max(rates)), "ratio": statistics.median(ratios)}


def whole_cpu(one: dict) -> float:
    """Of the fleet every process counts; of the old loop its own, which leaves ClickHouse's share out."""
    cpu = one["cpu_ms_a_row"]
    return sum(cpu.values()) if isinstance(cpu, dict) else cpu


def python(script: str, *words: object) -> dict:
    done = subprocess.run([sys.executable, HERE / script, *map(str, words)], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{script} ended with {done.returncode}; its reason is above")
    return json.loads(done.stdout)


def main() -> None:
    args = arguments()
    if not (args.model / "global/model.onnx").is_file():
        raise SystemExit(f"{args.model}/global: no model.onnx; training/old_network_model.py makes it")
    # Services and programs inherit it.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    plant = Plant(ROOT, args.bin_dir, [str(ROOT / "tools/services.sh")], ["clickhouse", "redis", "mysql"])
    try:
        plant.set("model.model_export_dir", str(args.model.resolve()))
        plant.set("model.provider", "openvino")
        # Tuning has no time for a model this slow; with the usual 32 one of two threads would idle at a range's end.
        plant.set("model.batch_rows", "8")
        with tempfile.TemporaryDirectory() as folder:
            comparison = Comparison(args, plant, Path(folder))
            comparison.prepare()
            for number in range(args.runs):
                print(f"round {number + 1} of {args.runs}", flush=True)
                comparison.round()
    finally:
        plant.close()
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), "rows": args.rows, "runs": args.runs,
        "figures": comparison.figures(), "rounds": {"end_to_end": comparison.end_to_end, "alone": comparison.alone},
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(document, indent=2) + "\n")
    print(f"\n{comparison.tables()}\n\nwritten: {args.json}")


if __name__ == "__main__":
    main()
