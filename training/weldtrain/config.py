"""inference_config.json: what a worker must know of a model."""

from __future__ import annotations

import json
from pathlib import Path

from . import features

OUTPUTS = ("nok_prob", "regression")


def write_config(path: Path, model_version: str, nok_threshold: float, idle: features.Idle, training: dict) -> None:
    """inference_config.json."""
    config = {
        "model_version": model_version,
        "target_len": features.TARGET_LEN,
        "fit": features.FIT,
        "channels": list(features.CHANNELS),
        "scale": list(features.SCALE),
        "current_floor_ka": features.CURRENT_FLOOR_KA,
        "idle_before_ms": idle.before_ms,
        "idle_after_ms": idle.after_ms,
        "nok_threshold": nok_threshold,
        "input": "curves",
        "outputs": {name: name for name in OUTPUTS},
        "training": training,
    }
    path.write_text(json.dumps(config, indent=2) + "\n")
