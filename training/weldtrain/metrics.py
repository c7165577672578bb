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


def f1_by_calls(probability: np.ndarray, nok: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities from the highest on, and F1 of calling as many of them; -1 where equals would be parted."""
    order = np.argsort(-probability, kind="stable")
    ranked, hits = probability[order], np.cumsum(nok[order])
    f1 = 2 * hits / (np.arange(1, len(nok) + 1) + nok.sum())
    return ranked, np.where(np.append(np.diff(ranked) != 0, True), f1, -1.0)


def best_f1(probability: np.ndarray, nok: np.ndarray) -> float:
    """The F1 that the best threshold of these welds would have."""
    return float(f1_by_calls(probability, nok)[1].max())


def f1_at(probability: np.ndarray, nok: np.ndarray, threshold: float) -> float:
    """F1 of calling what a worker calls: it compares in single precision."""
    called = probability.astype(np.float32) >= np.float32(threshold)
    return float(2 * (called & nok).sum() / (called.sum() + nok.sum()))


def best_threshold(probability: np.ndarray, nok: np.ndarray) -> float:
    """The threshold with the best F1; of a stretch of equally good ones the middle, on the logit scale.

    Rounded to 4 digits where that keeps the F1; else as exact as single precision is, with no more digits than it needs.
    """
    ranked, f1 = f1_by_calls(probability.astype(np.float32), nok)
    cut = int(np.argmax(f1))
    lowest = ranked[cut]
    if lowest <= 0:
        raise SystemExit("the model is not fit for use: it is best where every weld is called NOK, whatever its probability")
    around = logit(np.array([lowest, ranked[cut + 1]])) if cut + 1 < len(ranked) else logit(np.array([lowest])) - [0.0, 1.0]
    middle = 1 / (1 + np.exp(-around.mean()))
    rounded = float(np.round(middle, 4))
    if rounded > 0 and f1_at(probability, nok, rounded) == f1[cut]:
        return rounded
    middle = np.float32(middle)
    # Between neighbours of single precision lies none; what the lower of those called has is called too.
    exact = middle if f1_at(probability, nok, middle) == f1[cut] else lowest
    return float(str(exact))
