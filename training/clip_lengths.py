#!/usr/bin/env python3
"""Puts the bound at 0 mm behind the four lengths of a model that train.py exported before it did so itself.

A linear output has no lower bound: a weld unlike those of the training had a nugget of -0.75 mm. Only values below 0
change; `nok_prob` stays as it is to the last bit. A model that has the bound already is left alone. Needs only onnx.

    python training/clip_lengths.py models/global/model.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from weldtrain.config import OUTPUTS
from weldtrain.onnxfile import save

LENGTHS = OUTPUTS[1]


def clipped(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model, no length below 0. Max and not Relu: it lets a NaN through, and a NaN must be an error."""
    graph = model.graph
    (last,) = [node for node in graph.node if LENGTHS in node.output]
    if last.op_type == "Max":
        return model
    unbounded, least = f"{LENGTHS}_unbounded", f"{LENGTHS}_least"
    last.output[:] = [unbounded if name == LENGTHS else name for name in last.output]
    graph.initializer.append(numpy_helper.from_array(np.array(0, dtype=np.float32), least))
    graph.node.append(helper.make_node("Max", [unbounded, least], [LENGTHS]))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="+", help="model.onnx, written anew in its place")
    for path in parser.parse_args().model:
        save(clipped(onnx.load(path)), path)


if __name__ == "__main__":
    main()
