#!/usr/bin/env python3
"""Wraps a model that takes features into one that takes the curves as measured: fitting, R, P and scale move into the graph.

Such a model spares the worker the features and a GPU host two thirds of the bytes to the device. The graph does the
arithmetic of shared/weld/src/features/row.rs with integer positions and single precision, which ONNX Runtime runs on
every provider; both agree within 1e-6 of a channel's range. Needs only onnx and numpy.

    python training/raw_model.py --model models/global --out models-raw/global
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from weldtrain.onnxfile import save

SAMPLES = "curves"
SPANS = "spans"
ROWS = "rows"
PREFIX = "features/"


def feature_graph(config: dict) -> onnx.GraphProto:
    """From `curves` f32 [S] and `spans` i64 [N, 2] to `rows` f32 [N, 4, target_len]."""
    length = config["target_len"]
    constants = {
        "point": np.arange(length, dtype=np.int64)[None, :],
        "last": np.array(length - 1, dtype=np.int64),
        "last_f32": np.array(length - 1, dtype=np.float32),
        "one": np.array(1, dtype=np.int64),
        "two_columns": np.array([1, 1], dtype=np.int64),
        "floor": np.array(config["current_floor_ka"], dtype=np.float32),
        "one_f32": np.array(1, dtype=np.float32),
        "zero_f32": np.array(0, dtype=np.float32),
        "channel_axis": np.array([1], dtype=np.int64),
        "scale": np.array(config["scale"], dtype=np.float32)[None, :, None],
    }
    nodes = [
        helper.make_node("Split", [SPANS, "two_columns"], ["start", "points"], axis=1),
        helper.make_node("Sub", ["points", "one"], ["points_less_one"]),
        *(resampled_places() if config["fit"] == "resample" else padded_places()),
    ]
    for curve, begin in (("u", "start"), ("i", "i_start")):
        if curve == "i":
            nodes.append(helper.make_node("Add", ["start", "points"], [begin]))
        nodes += [
            helper.make_node("Add", [begin, "left"], [f"{curve}_left_at"]),
            helper.make_node("Gather", [SAMPLES, f"{curve}_left_at"], [f"{curve}_left"], axis=0),
        ]
        if config["fit"] == "resample":
            nodes += [
                helper.make_node("Add", [begin, "right"], [f"{curve}_right_at"]),
                helper.make_node("Gather", [SAMPLES, f"{curve}_right_at"], [f"{curve}_right"], axis=0),
                helper.make_node("Sub", [f"{curve}_right", f"{curve}_left"], [f"{curve}_rise"]),
                helper.make_node("Mul", [f"{curve}_rise", "fraction"], [f"{curve}_part"]),
                helper.make_node("Add", [f"{curve}_part", f"{curve}_left"], [curve]),
            ]
        else:
            nodes.append(helper.make_node("Where", ["inside", f"{curve}_left", "zero_f32"], [curve]))
    nodes += [
        # Divides by 1 where no current flows, so that no infinity arises that Where would have to hide.
        helper.make_node("GreaterOrEqual", ["i", "floor"], ["flows"]),
        helper.make_node("Where", ["flows", "i", "one_f32"], ["divisor"]),
        helper.make_node("Div", ["u", "divisor"], ["ratio"]),
        helper.make_node("Where", ["flows", "ratio", "zero_f32"], ["r"]),
        helper.make_node("Mul", ["u", "i"], ["p"]),
        *(helper.make_node("Unsqueeze", [name, "channel_axis"], [f"{name}_channel"]) for name in "uirp"),
        helper.make_node("Concat", [f"{name}_channel" for name in "uirp"], ["channels"], axis=1),
        helper.make_node("Mul", ["channels", "scale"], [ROWS]),
    ]
    used = {name for node in nodes for name in node.input}
    return helper.make_graph(
        nodes,
        "curves_to_features",
        [
            helper.make_tensor_value_info(SAMPLES, TensorProto.FLOAT, ["S"]),
            helper.make_tensor_value_info(SPANS, TensorProto.INT64, ["N", 2]),
        ],
        [helper.make_tensor_value_info(ROWS, TensorProto.FLOAT, ["N", 4, length])],
        [numpy_helper.from_array(constants[name], name) for name in constants if name in used],
    )


def resampled_places() -> list[onnx.NodeProto]:
    """Point j lies at sample j(n-1)/(L-1): whole part and rest of an integer division, exact at any length."""
    return [
        helper.make_node("Mul", ["point", "points_less_one"], ["numerator"]),
        helper.make_node("Div", ["numerator", "last"], ["left"]),
        helper.make_node("Mul", ["left", "last"], ["whole"]),
        helper.make_node("Sub", ["numerator", "whole"], ["rest"]),
        helper.make_node("Cast", ["rest"], ["rest_f32"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["rest_f32", "last_f32"], ["fraction"]),
        helper.make_node("Add", ["left", "one"], ["next"]),
        helper.make_node("Min", ["next", "points_less_one"], ["right"]),
    ]


def padded_places() -> list[onnx.NodeProto]:
    """Point j is sample j, and nothing behind the last one."""
    return [
        helper.make_node("Less", ["point", "points"], ["inside"]),
        helper.make_node("Min", ["point", "points_less_one"], ["left"]),
    ]


def wrap(model: onnx.ModelProto, config: dict) -> onnx.ModelProto:
    """The raw model of a features model with this configuration."""
    version = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version < 13:
        raise SystemExit(f"the model has opset {version}; the wrapper needs at least 13, export it anew")
    front = helper.make_model(
        compose.add_prefix_graph(feature_graph(config), PREFIX),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    merged = compose.merge_models(front, model, io_map=[(PREFIX + ROWS, config.get("input", "curves"))])
    for node in merged.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = {PREFIX + SAMPLES: SAMPLES, PREFIX + SPANS: SPANS}.get(name, name)
    for value, name in zip(merged.graph.input, (SAMPLES, SPANS)):
        value.name = name
    return merged


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
