"""How good the model is, and from which probability on it says NOK."""

from __future__ import annotations

import numpy as np


def logit(probability: np.ndarray) -> np.ndarray:
    """Inverse of the sigmoid, finite for 0 and 1."""
    wide = np.clip(probability.astype(np.float64), 1e-12, 1 - 1e-12)
    return np.log(wide) - np.log1p(-wide)


def auc_pr(probability: np.ndarray, nok: np.ndarray) -> float:
    """Average precision: the area under the steps of the precision-recall curve."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(nok[order])
    # Equal probabilities are one step.
    last_of_equals = np.append(np.diff(probability[order]) != 0, True)
    hits, called = hits[last_of_equals], np.flatnonzero(last_of_equals) + 1
    recall_steps = np.diff(np.concatenate([[0], hits])) / nok.sum()
    return float((recall_steps * hits / called).sum())


def precision_recall(called: np.ndarray, nok: np.ndarray) -> tuple[float, float]:
    """Precision (1 where nothing was called) and recall."""
    hits = float((called & nok).sum())
    return (hits / called.sum() if called.any() else 1.0), hits / max(1, nok.sum())


def mean_of_known(values: np.ndarray) -> list[float | None]:
    """The mean of each column over its finite values; None where there is none."""
    known = np.isfinite(values)
    return [float(column[finite].mean()) if finite.any() else None for column, finite in zip(values.T, known.T)]


def best_threshold(probability: np.ndarray, nok: np.ndarray) -> float:
    """The threshold with the best F1; of a stretch of equally good ones the middle, on the logit scale.

    Rounded to 4 digits so that config and card say the same. Kept within 0.01 and 0.99.
    """
    order = np.argsort(-probability, kind="stable")
    sorted_logits = logit(probability[order])
    hits = np.cumsum(nok[order])
    f1 = 2 * hits / (np.arange(1, len(nok) + 1) + nok.sum())
    gaps = np.append(np.diff(sorted_logits) != 0, True)
    cut = int(np.argmax(np.where(gaps, f1, -1.0)))
    below = sorted_logits[cut + 1] if cut + 1 < len(sorted_logits) else sorted_logits[cut] - 1.0
    middle = (sorted_logits[cut] + below) / 2
    return float(np.clip(np.round(1 / (1 + np.exp(-middle)), 4), 0.01, 0.99))
