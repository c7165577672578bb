#!/usr/bin/env python3
"""Writes a model like the one an older service runs: 14 million random weights, 56 MB, 3 GMAC a weld. For benches.

Its numbers mean nothing; the same seed gives the same ones. Needs PyTorch. What is that service's and what is assumed:
weldtrain/oldnetwork.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from weldtrain import features
from weldtrain.config import write_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(".cache/old-network/global"))
    parser.add_argument("--model-version", default="old-network-1")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    # PyTorch takes seconds to load: not before the arguments are right.
    from weldtrain.export import check_parity, export_onnx
    from weldtrain.oldnetwork import OldNetwork
    from weldtrain.runtime import Runtime

    net = OldNetwork(features.TARGET_LEN, seed=args.seed).eval()
    path = args.out / "model.onnx"
    export_onnx(net, path)
    rows = np.random.default_rng(args.seed).uniform(0.0, 2.0, (3, 4, features.TARGET_LEN)).astype(np.float32)
    apart = max(check_parity(net, Runtime(path), rows))
    idle = features.Idle(8.0, 235.0)  # as models/global
    training = {"made_by": "training/old_network_model.py", "seed": args.seed}
    write_config(args.out / "inference_config.json", args.model_version, 0.5, idle, training)
    print(f"{args.out}: {path.stat().st_size / 1e6:.1f} MB, within {apart:.1e} of PyTorch")


if __name__ == "__main__":
    main()
