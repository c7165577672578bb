"""Where a trained model goes. Workers may read that folder any time, so it never holds half a model, nor one unfit for use."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

FILES = {"model.onnx", "inference_config.json", "MODEL_CARD.md"}


def refuse(out: Path, model_version: str, overwrite: bool) -> None:
    """Stops if the folder must not be replaced: what was judged by one model would name the other too."""
    if not out.exists():
        return
    if not out.is_dir() or {path.name for path in out.iterdir()} - FILES:
        raise SystemExit(f"--out {out}: holds something else than a trained model; give a folder of its own")
    config = out / "inference_config.json"
    there = json.loads(config.read_text(encoding="utf-8")).get("model_version") if config.exists() else None
    if there == model_version and not overwrite:
        raise SystemExit(
            f"--out {out}: holds a model of version {model_version} already; give another --model-version, so that rows tell "
            f"which one judged them, or --overwrite"
        )


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """An empty folder beside `out`, which takes its place where the body ends without an error; else nothing is changed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".train-", dir=out.parent) as name:
        made = Path(name) / "model"
        made.mkdir()
        yield made
        if out.exists():
            out.rename(Path(name) / "before")
        made.rename(out)
