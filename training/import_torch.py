#!/usr/bin/env python3
"""Turns a trained PyTorch module into a folder of models that the fleet serves (`model.model_export_dir`).

What the old program did to the curves before its network saw them is told by a recipe and goes into the graph, so that a
worker answers what the old program answered. Checked on welds before anything is kept: within 1e-4 of PyTorch.

examples:
  python training/import_torch.py --module nets.py:WeldNet --weights global.pth --recipe recipe.toml --out models-plant
  python training/import_torch.py --module nets.py:WeldNet --weights global.pth --parts inference_config.json \\
      --recipe recipe.toml --rows welds.jsonl --out models-plant

The module's file is run, as an import does; of the weights only tensors are read. Keys of the recipe, and how to get
welds.jsonl: training/README.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is loaded, or it tells a collector

import numpy as np
import onnx
import onnxruntime
import torch

from weldtrain import rawgraph, rows, torchmodule
from weldtrain.oldparts import OldParts, Part, folders
from weldtrain.onnxfile import save
from weldtrain.recipe import QUANTITIES, Recipe

MOST = 1e-4
BATCH = 50


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", required=True, metavar="FILE.py:CLASS", help="the network; the file is run")
    parser.add_argument("--weights", required=True, type=Path, metavar="GLOBAL.pth", help="its state_dict; for every part")
    parser.add_argument("--parts", type=Path, metavar="inference_config.json", help="weights and thresholds of single parts")
    parser.add_argument("--recipe", required=True, type=Path, metavar="RECIPE.toml", help="how the network's input is made")
    parser.add_argument("--out", required=True, type=Path, help="the folder to make; must not exist, or be empty")
    parser.add_argument("--rows", type=Path, metavar="WELDS.jsonl", help="records to compare on, one a line; may be .gz")
    parser.add_argument("--limit", type=int, default=500, help="records to compare on at most (500)")
    parser.add_argument("--golden", type=int, default=50, help="records of each model that are kept with its answers (50)")
    args = parser.parse_args()
    if args.limit < 1 or args.golden < 0:
        parser.error("--limit must be at least 1, --golden at least 0")
    return args


def main() -> None:
    args = arguments()
    recipe = Recipe.read(args.recipe)
    old = OldParts.read(args.parts) if args.parts else OldParts([], None)
    nok_threshold = recipe.model.nok_threshold if recipe.model.nok_threshold is not None else old.nok_threshold
    if nok_threshold is None:
        raise SystemExit("no nok_threshold: give [model] nok_threshold in the recipe")
    if args.out.exists() and any(args.out.iterdir() if args.out.is_dir() else [args.out]):
        raise SystemExit(f"--out {args.out}: exists and is not empty; nothing is overwritten")
    kind = torchmodule.load_class(args.module)
    if args.rows:
        welds = rows.read(args.rows, recipe, args.limit)
    else:
        welds = rows.made_up(recipe, min(args.limit, 100))
        print(f"no --rows: compared on {len(welds)} made-up welds; give real ones before you trust it")

    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=args.out.parent) as name:
        made = Path(name) / "models"
        golden = []
        whole = Part("", args.weights, nok_threshold)
        table = folders([part.name for part in old.parts])
        for part in [whole, *old.parts]:
            folder = table.get(part.name, "global") if part is not whole else "global"
            version = recipe.model.version if part is whole else f"{recipe.model.version}/{part.name}"
            net = torchmodule.served(kind, recipe, part.weights or args.weights)
            write(made / folder, net, recipe, version, part.nok_threshold or nok_threshold)
            answers = compare(made / folder, net, recipe, welds, folder)
            taken = welds[: args.golden]
            golden += [(weld | {"part_no": part.name}, version, answer) for weld, answer in zip(taken, answers)]
        if table:
            write_json(made / "parts.json", table)
        if golden:
            write_golden(made / "golden", golden)
        made.chmod(0o755)
        if args.out.is_dir():
            args.out.rmdir()
        made.rename(args.out)
    print(f"{args.out}: a global model, {len(table)} of parts; next: model.model_export_dir = \"{args.out}\", then worker check")


def write(folder: Path, net: torchmodule.Served, recipe: Recipe, version: str, nok_threshold: float) -> None:
    """model.onnx, from the curves as measured to the network's answers, and inference_config.json."""
    network = rawgraph.centred(torchmodule.export(net))
    save(rawgraph.in_front(rawgraph.of_recipe(recipe), network, network.graph.input[0].name), folder / "model.onnx")
    told = recipe.input
    config = {
        "model_version": version,
        "input_kind": "raw",
        "target_len": told.length,
        "fit": told.fit,
        # Of a raw model these say nothing: the graph does what the recipe says.
        "channels": ["U", "I", "R", "P"],
        "scale": [1.0, 1.0, 1.0, 1.0],
        **({"scalars": recipe.scalars()} if recipe.scalars() else {}),
        "nok_threshold": nok_threshold,
        "input": rawgraph.SAMPLES,
        "spans": rawgraph.SPANS,
        "outputs": {"nok_prob": "nok_prob", "regression": "regression"},
        "training": {
            "made_by": "training/import_torch.py", "torch": torch.__version__, "onnx": onnx.__version__,
            "recipe": recipe.told(),
        },
    }
    write_json(folder / "inference_config.json", config)


def compare(folder: Path, net: torchmodule.Served, recipe: Recipe, welds: list[dict], shown: str) -> np.ndarray:
    """PyTorch's answers [N, 5] on the recipe's input; stops where the graph's on the curves are not the same."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    expected, found = [], []
    for first in range(0, len(welds), BATCH):
        some = welds[first : first + BATCH]
        with torch.inference_mode():
            nok_prob, regression = net(torch.from_numpy(recipe.input_of(some)))
        expected.append(np.column_stack([nok_prob.numpy(), regression.numpy()]))
        found.append(np.column_stack(session.run(["nok_prob", "regression"], rows.as_raw(recipe, some))))
    expected, found = np.concatenate(expected), np.concatenate(found)
    names = ("nok_prob", *QUANTITIES)
    for answers, who in ((expected, "PyTorch"), (found, "the exported graph")):
        wrong = ~np.isfinite(answers)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise SystemExit(f"{shown}: {who} answers no number as {names[column]} of record {row + 1}")
    if expected[:, 0].min() < 0 or expected[:, 0].max() > 1:
        raise SystemExit(
            f"{shown}: nok_prob reaches from {expected[:, 0].min():.4g} to {expected[:, 0].max():.4g}, which is no "
            f"probability; see activation, scale and offset of outputs.nok_prob in the recipe"
        )
    apart = np.abs(expected - found)
    row, column = np.unravel_index(apart.argmax(), apart.shape)
    print(
        f"{shown}: {len(welds)} welds, largest difference to PyTorch {apart.max():.2e} ({names[column]} of record {row + 1}); "
        + ", ".join(f"{name} {low:.4g} to {high:.4g}" for name, low, high in zip(names, expected.min(0), expected.max(0)))
    )
    if apart.max() > MOST:
        raise SystemExit(f"{shown}: the graph does not answer what PyTorch answers; at most {MOST} is allowed")
    return expected


def write_golden(folder: Path, golden: list[tuple[dict, str, np.ndarray]]) -> None:
    """Records and, line by line, what PyTorch says of them under the names of the result columns."""
    folder.mkdir()
    names = ("ml_nok_prob", *QUANTITIES)
    lines = {"rows": [weld for weld, _, _ in golden]}
    lines["expected"] = [
        {"record_id": weld.get("record_id"), "model_version": version, **{k: float(v) for k, v in zip(names, answer)}}
        for weld, version, answer in golden
    ]
    for name, records in lines.items():
        # Without a time in it: the same import gives the same bytes.
        with open(folder / f"{name}.jsonl.gz", "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
            packed.writelines(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
