#!/usr/bin/env python3
"""Writes a model that costs next to nothing: channel means, then linear. For benches and tests.

It has the real model's interface, so that what surrounds the model can be measured and tested without it. Its numbers
are a least-squares fit on simulated welds: plausible, and no more. Needs only onnx and numpy.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from weldtrain import features
from weldtrain.config import write_config
from weldtrain.onnxfile import save

# From channel means (scaled U, I, R, P) and 1 to mm: diameter, indentation, front thickness, stack thickness.
REGRESSION = np.array([
    [-6.04, -0.50, -2.53, 13.80],
    [5.32, 0.31, 1.56, -13.02],
    [-2.28, -0.02, -0.34, -2.33],
    [6.06, 0.44, 2.62, 1.58],
    [5.10, 0.12, 0.85, 1.60],
], dtype=np.float32)
# To the share of NOK; shifted and stretched so that some 2 % of the welds are above a probability of 0.5.
NOK = np.array([[-1.207], [0.806], [0.169], [0.561], [0.013 - 0.037]], dtype=np.float32) * 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bench/models/near-free/global"))
    parser.add_argument("--model-version", default="near-free-1")
    parser.add_argument("--nok-threshold", type=float, default=0.5)
    parser.add_argument("--diameter-offset", type=float, default=0.0, help="mm; tells two such models apart")
    args = parser.parse_args()

    weights = np.concatenate([NOK, REGRESSION], axis=1)
    weights[4, 1] += args.diameter_offset
    constants = {
        "weights": weights[:4],
        "bias": weights[4],
        "flat": np.array([-1], dtype=np.int64),
        "time": np.array([2], dtype=np.int64),
        "heads": np.array([1, 4], dtype=np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["curves", "time"], ["means"], keepdims=0),
            helper.make_node("Gemm", ["means", "weights", "bias"], ["heads_of_weld"]),
            helper.make_node("Split", ["heads_of_weld", "heads"], ["nok_logit", "regression"], axis=1),
            helper.make_node("Reshape", ["nok_logit", "flat"], ["nok_logits"]),
            helper.make_node("Sigmoid", ["nok_logits"], ["nok_prob"]),
        ],
        "near_free",
        [helper.make_tensor_value_info("curves", TensorProto.FLOAT, ["N", 4, features.TARGET_LEN])],
        [
            helper.make_tensor_value_info("nok_prob", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("regression", TensorProto.FLOAT, ["N", 4]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    save(model, args.out / "model.onnx")
    training = {"made_by": "training/near_free_model.py"}
    idle = features.Idle(8.0, 235.0)  # as models/global
    write_config(args.out / "inference_config.json", args.model_version, args.nok_threshold, idle, training)


if __name__ == "__main__":
    main()
