#!/usr/bin/env python3
"""Wraps a model that takes features into one that takes the curves as measured: fitting, R, P and scale move into the graph.

Such a model spares the worker the features and a GPU host two thirds of the bytes to the device. The graph does the
arithmetic of shared/weld/src/features/row.rs with integer positions and single precision; both agree within 1e-6 of a
channel's range. Needs only onnx and numpy.

    python training/raw_model.py --model models/global --out models-raw/global
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx

from weldtrain.features import CURRENT_FLOOR_KA
from weldtrain.onnxfile import save
from weldtrain.rawgraph import ROWS, SAMPLES, SPANS, fitted, graph, in_front, node


def feature_graph(config: dict) -> onnx.GraphProto:
    """From `curves` f32 [S] and `spans` i64 [N, 2] to `rows` f32 [N, 4, target_len]."""
    length = config["target_len"]
    nodes, constants = fitted(config["fit"], length)
    constants |= {
        "floor": np.array(config.get("current_floor_ka", CURRENT_FLOOR_KA), dtype=np.float32),
        "one_f32": np.array(1, dtype=np.float32),
        "zero_f32": np.array(0, dtype=np.float32),
        "channel_axis": np.array([1], dtype=np.int64),
        "scale": np.array(config["scale"], dtype=np.float32)[None, :, None],
    }
    nodes += [
        # Divides by 1 where no current flows, so that no infinity arises that Where would have to hide.
        node("GreaterOrEqual", "i floor", "flows"),
        node("Where", "flows i one_f32", "divisor"),
        node("Div", "u divisor", "ratio"),
        node("Where", "flows ratio zero_f32", "r"),
        node("Mul", "u i", "p"),
        *(node("Unsqueeze", f"{name} channel_axis", f"{name}_channel") for name in "uirp"),
        node("Concat", " ".join(f"{name}_channel" for name in "uirp"), "channels", axis=1),
        node("Mul", "channels scale", ROWS),
    ]
    return graph(nodes, constants, 4, length)


def wrap(model: onnx.ModelProto, config: dict) -> onnx.ModelProto:
    """The raw model of a features model with this configuration."""
    return in_front(feature_graph(config), model, config.get("input", "curves"))


def raw_config(config: dict) -> dict:
    """The configuration of the raw model."""
    if config.get("input_kind", "features") != "features":
        raise SystemExit("the model takes raw curves already")
    wrapped = {}
    for key, value in config.items():
        if key == "target_len":
            wrapped["input_kind"] = "raw"
        if key not in ("input", "input_kind"):
            wrapped[key] = value
    return {**wrapped, "input": SAMPLES, "spans": SPANS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder with model.onnx and inference_config.json")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    config = json.loads((args.model / "inference_config.json").read_text())
    config_of_raw = raw_config(config)
    save(wrap(onnx.load(args.model / "model.onnx"), config), args.out / "model.onnx")
    text = json.dumps(config_of_raw, indent=2, ensure_ascii=False)
    (args.out / "inference_config.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
