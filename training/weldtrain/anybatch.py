"""Whether a graph answers a weld the same, however many it is asked about at once: a worker asks about 1 to some thousand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Of one row `.squeeze()` makes none.
SIZES = (1, 2, 3)
REMEDY = "its forward depends on the number of rows; write `.squeeze(1)` instead of `.squeeze()`"


def check(run: Callable[[list[dict]], list[np.ndarray]], welds: list[dict], expected: np.ndarray, most: float, shown: str) -> None:
    """Stops unless `run` answers `expected` [N, 5] of the first welds, as `nok_prob` [n] and `regression` [n, 4]."""
    for count in SIZES:
        if count > len(welds):
            return
        try:
            found = [np.asarray(output) for output in run(welds[:count])]
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise SystemExit(f"{shown}: the exported graph fails on {count} rows ({reason}): {REMEDY}") from error
        shapes, wanted = [list(output.shape) for output in found], [[count], [count, 4]]
        if shapes != wanted:
            raise SystemExit(f"{shown}: the exported graph answers shapes {shapes} for {count} rows, not {wanted}: {REMEDY}")
        apart = np.abs(np.column_stack(found) - expected[:count]).max()
        if not apart <= most:
            raise SystemExit(f"{shown}: {count} rows alone and among others are answered {apart:.2e} apart: {REMEDY}")
