#!/usr/bin/env python3
"""Trains the weld model on simulated days in ClickHouse and writes model.onnx, inference_config.json, MODEL_CARD.md.

They take their place at the end, all at once, and only if the model is fit for use.

`train.py --smoke` does all of it small, in about a minute, into a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is loaded, or it tells a collector

import numpy as np
import onnx
import onnxruntime
import torch

from weldtrain import card, clickhouse, config, export, features, metrics, outfolder
from weldtrain.fitting import Fitted, train
from weldtrain.network import ExportedNet
from weldtrain.runtime import Runtime

ROOT = Path(__file__).resolve().parent.parent


def days(text: str) -> list[int]:
    return [int(day) for day in text.split(",")]


def arguments() -> argparse.Namespace:
    env = os.environ.get
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=env("WELDFLEET__CLICKHOUSE__URL", "http://127.0.0.1:8123"))
    parser.add_argument("--user", default=env("WELDFLEET__CLICKHOUSE__USER", "default"))
    parser.add_argument("--password", default=env("WELDFLEET__CLICKHOUSE__PASSWORD", ""))
    parser.add_argument("--database", default=env("WELDFLEET__CLICKHOUSE__DATABASE", "weld"))
    parser.add_argument("--table", default=env("WELDFLEET__TABLES__SOURCE_TABLE", "spot_records"))
    parser.add_argument("--train-days", type=days, default=days("20260901,20260902"), help="raised NOK share")
    parser.add_argument("--calibration-days", type=days, default=days("20260903,20260904"), help="natural NOK share")
    parser.add_argument("--test-days", type=days, default=days("20260905,20260906"), help="natural NOK share")
    parser.add_argument("--sample-interval-ms", type=float, default=1.0, help="time between two samples of a curve")
    idle = "idle time that is kept %s the weld, ms; default the most that a training curve has"
    parser.add_argument("--idle-before-ms", type=float, help=idle % "before")
    parser.add_argument("--idle-after-ms", type=float, help=idle % "after")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model-version", help="written to every row that it judges; default global- and the time")
    parser.add_argument("--out", type=Path, help="default data/model, with --smoke data/smoke-model")
    parser.add_argument("--overwrite", action="store_true", help="also a model of the same version")
    parser.add_argument("--smoke", action="store_true", help="6,000 welds and 3 epochs, in about a minute")
    args = parser.parse_args()
    args.epochs = args.epochs or (3 if args.smoke else 12)
    args.model_version = args.model_version or time.strftime("global-%Y%m%d-%H%M", time.gmtime())
    args.out = args.out or ROOT / ("data/smoke-model" if args.smoke else "data/model")
    args.limit = 3_000 if args.smoke else None
    return args


def kept_idle(args: argparse.Namespace, training_days: list[clickhouse.Day]) -> features.Idle:
    most = features.most_idle([i for day in training_days for i in day.i], args.sample_interval_ms)
    return features.Idle(
        most.before_ms if args.idle_before_ms is None else args.idle_before_ms,
        most.after_ms if args.idle_after_ms is None else args.idle_after_ms,
    )


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def commands(args: argparse.Namespace) -> str:
    """The commands that made the model, fit to be pasted."""
    recipe = (ROOT / "training" / "days.sh").read_text().splitlines()
    simulate = [line for line in recipe if "simulate --day" in line]
    simulate = [re.sub(r'"\$\{ROWS:-(\d+)\}"', r"\1", line) for line in simulate]
    flags = f"--epochs {args.epochs} --batch {args.batch} --seed {args.seed} --threads {args.threads}"
    for name in ("idle_before_ms", "idle_after_ms"):
        if getattr(args, name) is not None:
            flags += f" --{name.replace('_', '-')} {getattr(args, name):g}"
    smoke = " --smoke" if args.smoke else ""
    return "\n".join([*simulate, f"python training/train.py {flags} --model-version {args.model_version}{smoke}"])


def main() -> None:
    args = arguments()
    outfolder.refuse(args.out, args.model_version, args.overwrite)
    with outfolder.replacing(args.out) as folder:
        told = make(args, folder)
    print(f"wrote {args.out}: {told}")


def make(args: argparse.Namespace, folder: Path) -> str:
    """Writes the model's files to the folder; stops if the model is not fit for use."""
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    server = clickhouse.Server(args.url, args.user, args.password, args.database)

    def read(which: list[int]) -> list[clickhouse.Day]:
        loaded = [clickhouse.read_day(server, args.table, day, args.limit) for day in which]
        for missing, absent in (("OK", all(day.nok.all() for day in loaded)), ("NOK", not any(day.nok.any() for day in loaded))):
            if absent:
                raise SystemExit(f"no weld of {which} is labelled {missing}: nothing can be learned or told from these days")
        return loaded

    start = time.monotonic()
    training_days = read(args.train_days)
    idle = kept_idle(args, training_days)

    def fit(loaded: list[clickhouse.Day]) -> Fitted:
        return Fitted.of(loaded, args.sample_interval_ms, idle)

    data = fit(training_days)
    del training_days
    print(f"read {len(data)} welds to train on, {int(data.nok.sum())} NOK, {time.monotonic() - start:.0f} s")
    net, mean, deviation = train(data, args.epochs, args.batch, args.seed)
    minutes = (time.monotonic() - start) / 60
    exported = ExportedNet(net, mean, deviation).eval()

    path = folder / "model.onnx"
    export.export_onnx(exported, path)
    runtime = Runtime(path)
    calibration = fit(read(args.calibration_days))
    probability, _ = runtime.run(calibration)
    threshold = metrics.best_threshold(probability, calibration.nok)
    sample = calibration.rows(slice(0, 2_048))
    parity = export.check_parity(exported, runtime, sample)
    print(f"nok_threshold {threshold}, parity {parity}")

    figures = {}
    for day in args.test_days:
        test = fit(read([day]))
        figures[day] = card.evaluate(test, *runtime.run(test), threshold)
        print(day, json.dumps(figures[day]))
    training = {
        "seed": args.seed, "epochs": args.epochs, "batch": args.batch, "train_days": args.train_days,
        "calibration_days": args.calibration_days, "test_days": args.test_days,
    }
    worst = min(figure["auc_pr"] for figure in figures.values())
    if worst < (0.5 if args.smoke else 0.95):
        raise SystemExit(f"the model is not fit for use: AUC-PR {worst:.3f} on a held-out day; {args.out} is as it was")
    config.write_config(folder / "inference_config.json", args.model_version, threshold, idle, training)
    speed = {batch: runtime.microseconds_a_row(sample[:1_024], batch) for batch in (1, 8, 32, 256)}
    proto = onnx.load(path)
    facts = {
        "model_version": args.model_version, "onnxruntime": onnxruntime.__version__, "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in net.parameters()), "bytes": path.stat().st_size,
        "operations": len(proto.graph.node), "processor": processor(), "microseconds": speed, "parity": parity,
        "parity_rows": len(sample), "commands": commands(args), "train_welds": len(data),
        "train_nok": int(data.nok.sum()), "train_days": " and ".join(map(str, args.train_days)),
        "calibration_days": " and ".join(map(str, args.calibration_days)), "epochs": args.epochs, "batch": args.batch,
        "seed": args.seed, "threads": args.threads, "minutes": minutes, "nok_threshold": threshold,
        "idle": idle,
    }
    card.write_card(folder / "MODEL_CARD.md", facts, figures)
    return f"{path.stat().st_size} bytes, µs a row by batch {speed}"


if __name__ == "__main__":
    main()
