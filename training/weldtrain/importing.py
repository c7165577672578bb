"""A module's folder: the graph from the curves to its answers, its configuration, the comparison with PyTorch."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from . import anybatch, rawgraph, rows, torchmodule
from .onnxfile import save
from .recipe import QUANTITIES, Recipe

MOST = 1e-4
BATCH = 50


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
    run = answers_of(session, recipe)
    expected, found = [], []
    for first in range(0, len(welds), BATCH):
        some = welds[first : first + BATCH]
        with torch.inference_mode():
            nok_prob, regression = net(torch.from_numpy(recipe.input_of(some)))
        expected.append(np.column_stack([nok_prob.numpy(), regression.numpy()]))
        found.append(np.column_stack(run(some)))
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
    anybatch.check(run, welds, expected, MOST, shown)
    return expected


def answers_of(session: onnxruntime.InferenceSession, recipe: Recipe) -> Callable[[list[dict]], list[np.ndarray]]:
    return lambda some: session.run(["nok_prob", "regression"], rows.as_raw(recipe, some))


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
