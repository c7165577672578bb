"""The model's input, with the arithmetic of shared/weld (features/idle.rs, features/row.rs).

Of the samples without current before and after the weld a model is fed at most the idle time that it was trained with, so
that a verdict does not depend on how long the recorder ran. U (V) and I (kA) are fitted to `target_len` points by linear interpolation in double precision; R = U/I (mOhm, 0 where
I is below the floor) and P = U*I (kW) are computed on these in single precision; each channel is multiplied with its
scale. Scales are powers of two, so that they round nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TARGET_LEN = 1000
FIT = "resample"
CHANNELS = ("U", "I", "R", "P")
SCALE = (0.5, 0.125, 4.0, 0.03125)
CURRENT_FLOOR_KA = 1.0
# Current flows where it is at least this share of the curve's largest sample for at least this long.
FLOWING_SHARE = 0.05
FLOWING_MS = 3.0


@dataclass(frozen=True)
class Idle:
    """Idle time that is kept before and after the weld, ms."""

    before_ms: float
    after_ms: float


def _samples(ms: float, interval_ms: float) -> int:
    return int(np.floor(ms / interval_ms + 0.5))


def flowing(i: np.ndarray, interval_ms: float) -> tuple[int, int] | None:
    """From the first sample with current to behind the last; None where no current flows long enough."""
    flows = i >= np.float32(FLOWING_SHARE * float(i.max()))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flows, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    long_enough = ends - starts >= max(1, _samples(FLOWING_MS, interval_ms))
    if not long_enough.any():
        return None
    return int(starts[long_enough][0]), int(ends[long_enough][-1])


def weld_span(i: np.ndarray, interval_ms: float, idle: Idle | None) -> slice:
    """The samples that a model is fed; all of them without `idle`."""
    found = None if idle is None else flowing(i, interval_ms)
    if found is None:
        return slice(0, len(i))
    start, end = found
    before, after = _samples(idle.before_ms, interval_ms), _samples(idle.after_ms, interval_ms)
    return slice(max(0, start - before), min(len(i), end + after))


def most_idle(curves: list[np.ndarray], interval_ms: float) -> Idle:
    """The most idle time before and after any of these welds: nothing of them is cut with it."""
    before, after = 0, 0
    for i in curves:
        start, end = flowing(i, interval_ms) or (0, len(i))
        before, after = max(before, start), max(after, len(i) - end)
    return Idle(before * interval_ms, after * interval_ms)


def fit_curve(curve: np.ndarray, length: int = TARGET_LEN) -> np.ndarray:
    """`curve` resampled endpoint to endpoint, f32 [length]."""
    samples = len(curve)
    if samples == length:
        return curve.astype(np.float32)
    positions = np.arange(length) * ((samples - 1) / (length - 1))
    left = np.minimum(positions.astype(np.int64), samples - 2)
    wide = curve.astype(np.float64)
    fitted = ((wide[left + 1] - wide[left]) * (positions - left) + wide[left]).astype(np.float32)
    fitted[-1] = curve[-1]
    return fitted


def fit_curves(
    u: list[np.ndarray], i: list[np.ndarray], interval_ms: float, idle: Idle | None, length: int = TARGET_LEN
) -> tuple[np.ndarray, np.ndarray]:
    """Voltages and currents of N welds, without what is too much of their idle time, each f32 [N, length]."""
    fitted = np.empty((2, len(u), length), dtype=np.float32)
    for row, (u_curve, i_curve) in enumerate(zip(u, i)):
        span = weld_span(i_curve, interval_ms, idle)
        fitted[0, row] = fit_curve(u_curve[span], length)
        fitted[1, row] = fit_curve(i_curve[span], length)
    return fitted[0], fitted[1]


def tensor(u: np.ndarray, i: np.ndarray) -> np.ndarray:
    """f32 [N, 4, L] from fitted curves in V and kA."""
    scale = np.array(SCALE, dtype=np.float32)
    rows = np.empty((len(u), 4, u.shape[1]), dtype=np.float32)
    flows = i >= np.float32(CURRENT_FLOOR_KA)
    rows[:, 0] = u * scale[0]
    rows[:, 1] = i * scale[1]
    rows[:, 2] = np.where(flows, u / np.where(flows, i, np.float32(1.0)) * scale[2], np.float32(0.0))
    rows[:, 3] = u * i * scale[3]
    return rows
