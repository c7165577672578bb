#!/usr/bin/env python3
"""Writes counts/, percent/ and volts/ beside it: networks with random weights, imported, and what PyTorch says of the records.

Needs what training/requirements.lock names:

    PYTHONPATH=training python tests/tests/data/imported/make.py

The expected answers come from PyTorch and from the old programs' own arithmetic (networks.py), not from the import. Every
fifth weld is of the part that has a model of its own.
"""

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

import networks
from weldtrain import rows
from weldtrain.recipe import Recipe

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
PART = "7H0/809"
RECORDS = ("records", "records_burn", "records_long_idle")
NAMES = ("ml_nok_prob", "diameter", "indentation", "front_thickness", "stack_thickness")


def counts_answers(net, weld, *arguments):
    nok, *quantities = (float(head) for head in net(torch.from_numpy(networks.old_counts(weld, *arguments))[None]))
    diameter, indentation, front, stack = quantities
    return 1 / (1 + np.exp(-nok)), diameter * 5, indentation, front, stack + 2


def percent_answers(net, weld):
    return counts_answers(net, weld, 1, (100, 100, 2, 10_000))


def volts_answers(net, weld):
    told = net(torch.from_numpy(networks.old_volts(weld))[None])
    indentation, front, diameter, _ = told["quantities"][0].tolist()
    return torch.softmax(told["verdict"][0], dim=0)[1].item(), diameter * 10, indentation, front * 2, 0.0


OF = {
    "counts": (networks.Branches, {}, counts_answers, networks.counts),
    "percent": (networks.Branches, {}, percent_answers, networks.percent),
    "volts": (networks.Recurrent, {"channels": 3}, volts_answers, dict),
}


def networks_of(name, welds):
    """The global network and the part's, the same on every call. Their last layers are stretched until they tell one weld
    from another, which random weights hardly do."""
    kind, arguments, answers, _ = OF[name]
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        net = kind(**arguments).eval()
        seen = {}
        for layer in net.modules():
            if isinstance(layer, nn.Linear):
                layer.register_forward_hook(lambda layer, _, output: seen.setdefault(layer, []).append(output[0].clone()))
        with torch.inference_mode():
            for weld in welds[:100]:
                answers(net, weld)
        for layer, outputs in seen.items():
            mean, deviation = torch.stack(outputs).mean(0), torch.stack(outputs).std(0)
            layer.weight.data /= 3 * deviation[:, None]
            layer.bias.data = (layer.bias.data - mean) / (3 * deviation)
            layer._forward_hooks.clear()
        made.append(net)
    return made


def records(stored):
    """What a worker may judge, as this plant stores it; the old programs had no answer to curves of unequal length."""
    in_volts = Recipe.read(HERE / "volts.toml")
    welds = [
        (name, weld) for name in RECORDS for weld in rows.read(ROOT / f"shared/weld/tests/data/{name}.jsonl.gz", in_volts, 500)
    ]
    return [(name, stored(weld)) for name, weld in welds if len(weld["u_curve"]) == len(weld["i_curve"])]


def make(name, folder, golden):
    _, _, answers, stored = OF[name]
    files, welds = zip(*records(stored))
    whole, of_part = networks_of(name, welds)
    out = folder / name
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)
        torch.save(whole.state_dict(), temporary / "global.pth")
        torch.save({"epoch": 9, "model_state_dict": of_part.state_dict()}, temporary / "part.pth")
        old = {"parts": {PART: {"model_path": "part.pth", "threshold": 0.3}}}
        (temporary / "inference_config.json").write_text(json.dumps(old))
        (temporary / "welds.jsonl").write_text("".join(json.dumps(weld) + "\n" for weld in welds))
        subprocess.run([
            sys.executable, ROOT / "training/import_torch.py", "--module", f"{HERE}/networks.py:{type(whole).__name__}",
            "--weights", temporary / "global.pth", "--parts", temporary / "inference_config.json", "--recipe", HERE / f"{name}.toml",
            "--rows", temporary / "welds.jsonl", "--limit", "1000", "--golden", str(golden), "--out", out,
        ], check=True)
    lines = []
    with torch.inference_mode():
        for number, (file, weld) in enumerate(zip(files, welds)):
            part, net = (PART, of_part) if number % 5 == 0 else ("", whole)
            told = {key: float(value) for key, value in zip(NAMES, answers(net, weld))}
            lines.append(json.dumps({"records": file, "record_id": weld["record_id"], "part_no": part, **told}) + "\n")
    with open(out / "expected.jsonl.gz", "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
        packed.write("".join(lines).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--only", choices=OF)
    parser.add_argument("--golden", type=int, default=0)
    args = parser.parse_args()
    for name in [args.only] if args.only else OF:
        shutil.rmtree(args.out / name, ignore_errors=True)
        make(name, args.out, args.golden)


if __name__ == "__main__":
    main()
