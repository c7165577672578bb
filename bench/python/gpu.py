#!/usr/bin/env python3
"""CUDA and TensorRT: raw ONNX Runtime and the fleet, on the CNN and on the old network. Started by bench/gpu.sh.

Steps run in the order of their worth until the time is up. What failed or had no time is named; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from plant import Plant, machine

ROOT = Path(__file__).resolve().parent.parent.parent
PROVIDERS = ("cuda", "tensorrt")


@dataclass(frozen=True)
class Model:
    """A model, and how much of it a GPU is given."""

    name: str
    folder: Path
    rows: int  # of the fleet's day
    batch: int  # of the worker; TensorRT builds an engine for this one
    layouts: tuple[str, ...]  # of raw ONNX Runtime, sessions x batch; the worker's batch comes last
    settings: tuple[tuple[str, str], ...] = ()


MODELS = (
    Model("CNN", ROOT / "models", 100_000, 1024, ("1x256", "2x1024", "4x1024", "1x1024")),
    # A batch of 1,024 of it would fill a small GPU's memory, and so would a session for each core.
    Model(
        "old network", ROOT / ".cache/old-network", 20_000, 128, ("1x32", "2x128", "1x128"),
        (("model.batch_rows", "128"), ("model.threads", "2")),
    ),
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=8, help="all of it takes at most (8)")
    parser.add_argument("--providers", default=",".join(PROVIDERS), type=lambda text: text.split(","), help="cuda,tensorrt")
    parser.add_argument("--json", type=Path, required=True, help="where the figures go")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the fleet's rows, to try this script (1)")
    args = parser.parse_args()
    if args.minutes < 1 or not 0 < args.scale <= 1:
        parser.error("--minutes must be at least 1, --scale above 0 and at most 1")
    return args


class Missed(Exception):
    """A step that gave no figure."""


def time_is_up(*_: object) -> None:
    raise Missed("the time was up")


class Measuring:
    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        # What is left then is for stopping and telling.
        seconds = 60 * args.minutes - 15
        self.end = time.monotonic() + seconds
        signal.signal(signal.SIGALRM, time_is_up)
        signal.alarm(seconds)
        self.plant: Plant | None = None
        self.figures: dict[str, dict] = {}
        self.missed: dict[str, str] = {}

    def all(self) -> None:
        self.step("services and welds", self.start)
        for model in MODELS:
            self.step(f"{model.name}, reference on the CPU", lambda: self.reference(model))
        for provider in self.args.providers:
            for model in MODELS:
                self.step(f"{model.name}, {provider}, raw", lambda: self.raw(model, provider))
                self.step(f"{model.name}, {provider}, fleet", lambda: self.fleet(model, provider))

    def step(self, name: str, measure) -> None:
        began = time.monotonic()
        try:
            if self.left() < 5:
                raise Missed("no time was left")
            measured = measure()
        # A program's own words are in a SystemExit.
        except (Missed, SystemExit, subprocess.TimeoutExpired, OSError) as reason:
            self.missed[name] = str(reason)
            print(f"{name}: not measured: {reason}", file=sys.stderr, flush=True)
            return
        if measured is not None:
            self.figures[name] = measured
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)

    def left(self) -> float:
        return self.end - time.monotonic()

    def start(self) -> None:
        services = [sys.executable, str(ROOT / "tools/services")]
        self.plant = Plant(ROOT, ROOT / "target/release", services, ["clickhouse", "redis"])
        self.plant.simulate(max(self.rows(model) for model in MODELS))

    def rows(self, model: Model) -> int:
        return max(1, int(model.rows * self.args.scale))

    # --- raw ONNX Runtime -----------------------------------------------------------------------------------------------

    def reference(self, model: Model) -> None:
        self.alone(model, "onnxruntime", [f"1x{model.batch}"], 0.1, 0)

    def raw(self, model: Model, provider: str) -> dict:
        # TensorRT builds an engine, which takes minutes, for each batch size.
        only = [one for one in model.layouts if provider == "cuda" or one.endswith(f"x{model.batch}")]
        measured = self.alone(model, provider, only, 2.0, 1)
        reference = self.folder / f"{model.name}-onnxruntime.npy"
        if reference.exists():
            apart = np.abs(np.load(self.folder / f"{model.name}-{provider}.npy") - np.load(reference))
            measured["apart"] = [float(apart[:, 0].max()), float(apart[:, 1:].max())]
        return measured

    def alone(self, model: Model, engine: str, layouts: list[str], seconds: float, threads: int) -> dict:
        words = [
            "--engine", engine, "--model", model.folder / "global", "--made-up", 2 * model.batch, "--seconds", seconds,
            "--layouts", ",".join(layouts), "--threads", threads, "--cache", self.folder / f"engines-{model.name}",
            "--answers", self.folder / f"{model.name}-{engine}.npy",
        ]
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("alone.py"), *map(str, words)],
            stdout=subprocess.PIPE, text=True, timeout=self.left(),
        )
        if done.returncode != 0:
            raise Missed(f"alone.py ended with {done.returncode}; its reason is above")
        return json.loads(done.stdout)

    # --- the fleet ------------------------------------------------------------------------------------------------------

    def fleet(self, model: Model, provider: str) -> dict:
        if self.plant is None:
            raise Missed("there are no services")
        rows = self.rows(model)
        day = self.plant.fresh_day(rows)
        settings = {
            "model.provider": provider, "model.model_export_dir": str(model.folder), **dict(model.settings),
        }
        return self.plant.drain(day, rows, 4096, settings, patience=self.left()).told()

    # --- what is told ---------------------------------------------------------------------------------------------------

    def table(self) -> str:
        lines = [
            "| | raw ONNX Runtime, rows/s | sessions x batch | fleet, rows/s | of raw | worker's CPU, µs a row | raw beside the CPU: probability, mm |",
            "|---|---|---|---|---|---|---|",
        ]
        for provider in self.args.providers:
            for model in MODELS:
                raw = self.figures.get(f"{model.name}, {provider}, raw")
                fleet = self.figures.get(f"{model.name}, {provider}, fleet")
                cells = ["–"] * 6
                if raw:
                    best = raw["best"]
                    cells[:2] = f"{best['rows_per_s']:,.0f}", f"{best['sessions']} x {best['batch']}"
                    cells[5] = "{:.1e}, {:.1e}".format(*raw["apart"]) if "apart" in raw else "–"
                if fleet:
                    cells[2], cells[4] = f"{fleet['rows_per_s']:,.0f}", f"{fleet['cpu_ms_a_row']['worker'] * 1e3:.1f}"
                if raw and fleet:
                    cells[3] = f"{fleet['rows_per_s'] / raw['best']['rows_per_s']:.2f}"
                lines.append(f"| {model.name}, {provider} | " + " | ".join(cells) + " |")
        return "\n".join(lines)


def gpu() -> str:
    """Its name, as the driver tells it."""
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in file.read_text().splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return "unknown"


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        measuring = Measuring(args, Path(folder))
        try:
            measuring.all()
        finally:
            signal.alarm(0)
            if measuring.plant:
                measuring.plant.close()
    document = {"machine": {**machine(), "gpu": gpu()}, "figures": measuring.figures, "missed": measuring.missed}
    args.json.write_text(json.dumps(document, indent=2) + "\n")
    print(f"\n{document['machine']['gpu']}, {document['machine']['cores']} cores\n\n{measuring.table()}\n\nwritten: {args.json}")
    for name, reason in measuring.missed.items():
        print(f"not measured: {name}: {reason}", file=sys.stderr)
    sys.exit(1 if measuring.missed else 0)


if __name__ == "__main__":
    main()
