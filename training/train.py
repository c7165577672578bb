#!/usr/bin/env python3
"""Trains the weld model on labelled days in ClickHouse and writes model.onnx, inference_config.json, MODEL_CARD.md.

They take their place at the end, all at once, and only if the model is fit for use.

`train.py --smoke` does all of it small, in about a minute, into a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import time
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is loaded, or it tells a collector

import onnx
import onnxruntime

from weldtrain import card, clickhouse, config, features, metrics, outfolder
from weldtrain.fitting import Fitted, train
from weldtrain.runtime import Runtime

ROOT = Path(__file__).resolve().parent.parent
# Days of the three lists, of days.sh.
SIMULATED = {"train": "20260901,20260902", "calibration": "20260903,20260904", "test": "20260905,20260906"}
TABLE = "spot_records"
# A held-out day on which the threshold reaches less than this share of the day's best F1 is not what it was made for.
LEAST_OF_BEST_F1 = 0.5


def days(text: str) -> list[int]:
    return [int(day) for day in text.split(",")]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    env = os.environ.get
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=env("WELDFLEET__CLICKHOUSE__URL", "http://127.0.0.1:8123"))
    parser.add_argument("--user", default=env("WELDFLEET__CLICKHOUSE__USER", "default"))
    parser.add_argument("--password", default=env("WELDFLEET__CLICKHOUSE__PASSWORD", ""))
    parser.add_argument("--database", default=env("WELDFLEET__CLICKHOUSE__DATABASE", "weld"))
    parser.add_argument("--table", default=env("WELDFLEET__TABLES__SOURCE_TABLE", TABLE))
    for name, share in (("train", "raised"), ("calibration", "natural"), ("test", "natural")):
        default = days(SIMULATED[name])
        parser.add_argument(f"--{name}-days", type=days, default=default, metavar="DAY,DAY", help=f"{share} NOK share")
    least = "AUC-PR that each held-out day must reach; default 0.95, with --smoke 0.5"
    parser.add_argument("--least-auc-pr", type=float, help=least)
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
    args = parser.parse_args(given)
    lists = {f"--{name}-days": getattr(args, f"{name}_days") for name in SIMULATED}
    every = [day for some in lists.values() for day in some]
    for day in every:
        if every.count(day) > 1:
            where = " and ".join(name for name, some in lists.items() if day in some)
            parser.error(f"{day} is given {every.count(day)} times, in {where}: what a model was made on says nothing about it")
    args.simulated = args.table == TABLE and set(every) <= {day for text in SIMULATED.values() for day in days(text)}
    args.least_auc_pr = args.least_auc_pr if args.least_auc_pr is not None else (0.5 if args.smoke else 0.95)
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
    """The commands that made the model, fit to be pasted; where the server is, and its password, stay out of the card."""
    recipe = (ROOT / "training" / "days.sh").read_text().splitlines() if args.simulated else []
    simulate = [line for line in recipe if "simulate --day" in line]
    simulate = [re.sub(r'"\$\{ROWS:-(\d+)\}"', r"\1", line) for line in simulate]
    told = {name: getattr(args, name) for name in ("epochs", "batch", "seed", "threads", "sample_interval_ms")}
    told |= {name: getattr(args, name) for name in ("idle_before_ms", "idle_after_ms", "least_auc_pr")}
    if not args.simulated:
        told |= {"database": args.database, "table": args.table}
    told |= {f"{name}_days": ",".join(map(str, getattr(args, f"{name}_days"))) for name in SIMULATED}
    told["model_version"] = args.model_version
    words = ["python", "training/train.py", *(["--smoke"] if args.smoke else [])]
    for name, value in told.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return "\n".join([*simulate, shlex.join(words)])


def check_days(args: argparse.Namespace, server: clickhouse.Server) -> None:
    """Before hours of training: each list, and each day that is judged alone, has welds of both labels."""
    for which in (args.train_days, args.calibration_days, *([day] for day in args.test_days)):
        counts = [clickhouse.check_day(server, args.table, day, args.limit) for day in which]
        for kind, welds in zip(("OK", "NOK"), map(sum, zip(*counts))):
            if welds == 0:
                raise SystemExit(f"no weld of {which} is labelled {kind}: nothing can be learned or told from these days")


def unfit(args: argparse.Namespace, figures: dict[int, dict]) -> str | None:
    """Why the model must not be used, if so."""
    for day, figure in figures.items():
        if figure["auc_pr"] < args.least_auc_pr:
            return f"AUC-PR {figure['auc_pr']:.3f} on the held-out day {day}, at least {args.least_auc_pr:g} is asked (--least-auc-pr)"
        if not args.smoke and figure["f1"] < LEAST_OF_BEST_F1 * figure["best_f1"]:
            return (f"F1 {figure['f1']:.3f} at its nok_threshold on the held-out day {day}, where {figure['best_f1']:.3f} is possible: "
                    "calibrate on days that are like it")
    return None


def main() -> None:
    args = arguments()
    outfolder.refuse(args.out, args.model_version, args.overwrite)
    with outfolder.replacing(args.out) as folder:
        told = make(args, folder)
    print(f"wrote {args.out}: {told}")


def make(args: argparse.Namespace, folder: Path) -> str:
    """Writes the model's files to the folder; stops if the model is not fit for use."""
    # PyTorch takes seconds to load: not before the arguments are right.
    import torch

    from weldtrain import export
    from weldtrain.network import ExportedNet

    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    server = clickhouse.Server(args.url, args.user, args.password, args.database)

    check_days(args, server)

    def read(which: list[int]) -> list[clickhouse.Day]:
        return [clickhouse.read_day(server, args.table, day, args.limit) for day in which]

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
    why = unfit(args, figures)
    if why:
        raise SystemExit(f"the model is not fit for use: {why}; {args.out} is as it was")
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
        "idle": idle, "simulated": args.simulated, "table": args.table, "interval_ms": args.sample_interval_ms,
    }
    card.write_card(folder / "MODEL_CARD.md", facts, figures)
    return f"{path.stat().st_size} bytes, µs a row by batch {speed}"


if __name__ == "__main__":
    main()
