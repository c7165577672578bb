"""The network as an ONNX file, and the proof that ONNX Runtime computes the same."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import features
from .config import OUTPUTS
from .onnxfile import save
from .runtime import Runtime

# Torch warns that torchvision is missing, which nothing here needs.
logging.getLogger("torch.onnx").setLevel(logging.ERROR)


def export_onnx(net: nn.Module, path: Path, length: int = features.TARGET_LEN) -> None:
    """Writes `net` with input `curves` [N, 4, L] and outputs `nok_prob` [N], `regression` [N, 4]; N is free."""
    example = torch.zeros(2, 4, length)
    program = torch.onnx.export(
        net.eval(), (example,), dynamo=True, input_names=["curves"], output_names=list(OUTPUTS),
        dynamic_shapes=({0: torch.export.Dim("N")},), opset_version=18, verbose=False,
    )
    save(program.model_proto, path)


def check_parity(net: nn.Module, runtime: Runtime, rows: np.ndarray) -> tuple[float, float]:
    """Largest difference PyTorch to ONNX Runtime: probability, mm. Stops if either is above 1e-4."""
    with torch.inference_mode():
        expected = [output.numpy() for output in net(torch.from_numpy(rows))]
    found = runtime(rows)
    for name, one, other in zip(OUTPUTS, expected, found):
        if one.shape != other.shape or not np.isfinite(other).all():
            raise SystemExit(f"exported model is wrong: {name} {other.shape}, expected finite {one.shape}")
    differences = tuple(float(np.abs(one - other).max()) for one, other in zip(expected, found))
    if max(differences) > 1e-4:
        raise SystemExit(f"exported model differs from pytorch by {differences}, at most 1e-4 allowed")
    return differences
