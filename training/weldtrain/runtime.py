"""A model in ONNX Runtime, as the worker runs it on a CPU."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnxruntime

from .config import OUTPUTS


class Runtime:
    """Single-threaded."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nok_prob, regression = self.session.run(list(OUTPUTS), {"curves": rows})
        return nok_prob, regression

    def microseconds_a_row(self, rows: np.ndarray, batch: int) -> float:
        """Fastest of seven passes over `rows`: what the model costs, not what its neighbours on the machine do."""
        passes = []
        for _ in range(7):
            start = time.perf_counter()
            for first in range(0, len(rows), batch):
                self(rows[first : first + batch])
            passes.append((time.perf_counter() - start) / len(rows) * 1e6)
        return min(passes)

    def run(self, data, batch: int = 64) -> tuple[np.ndarray, np.ndarray]:
        """Both outputs for every weld of a `Fitted`."""
        parts = [self(data.rows(slice(first, first + batch))) for first in range(0, len(data), batch)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
