"""Welds to compare on: records of a file, or made up."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from .recipe import Recipe

NEEDED = ("u_curve", "i_curve", "umax", "imax")


# [validation] of weldfleet.toml, as it comes: V, kA, samples.
U_MAX, I_MAX, MIN_POINTS, MAX_MISMATCH, MAX_LENGTH_GAP = (0.2, 10.0), (0.5, 60.0), 50, 0.3, 2


def read(path: Path, recipe: Recipe, limit: int) -> list[dict]:
    """Records as `worker predict` takes them, with what is stored in the plant's table; one a line, .gz too. Left out are
    welds that a worker calls invalid: curves that are short, unequal or far below zero, samples that are no numbers, maxima
    out of range or far from the curve's."""
    opened = gzip.open if path.suffix == ".gz" else open
    welds, left_out = [], 0
    try:
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if len(welds) == limit:
                    break
                if line.strip():
                    weld = record(line, recipe, f"{path}:{number}")
                    if weld is None:
                        left_out += 1
                    else:
                        welds.append(weld)
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"cannot read `{path}`: {error}") from None
    if left_out:
        print(f"{path}: {left_out} of {left_out + len(welds)} records left out, which a worker calls invalid")
    if not welds:
        raise SystemExit(f"`{path}` holds no valid weld; see [stored] in the recipe, for the units")
    return welds


def record(line: str, recipe: Recipe, where: str) -> dict | None:
    try:
        weld = json.loads(line)
    except ValueError as error:
        raise SystemExit(f"{where}: not JSON: {error}") from None
    if not isinstance(weld, dict):
        raise SystemExit(f"{where}: a weld is a JSON object")
    for name in NEEDED:
        if name not in weld:
            raise SystemExit(f"{where}: no `{name}`; records have our column names, as for `worker predict`")
    try:
        weld = {**weld, **{name: numbers(weld[name]) for name in ("u_curve", "i_curve")}}
        weld |= {name: float(weld[name]) for name in ("umax", "imax")}
        with np.errstate(over="ignore"):
            u, i, maxima = recipe.physical(weld)
    except (TypeError, ValueError):
        return None
    if abs(len(weld["u_curve"]) - len(weld["i_curve"])) > MAX_LENGTH_GAP:
        return None
    if len(u) < MIN_POINTS or not np.isfinite([u, i]).all():
        return None
    told = ((maxima["umax"], u, U_MAX), (maxima["imax"], i, I_MAX))
    valid = [
        low <= most <= high and abs(curve.max() - most) <= MAX_MISMATCH * most and curve.min() >= -MAX_MISMATCH * most
        for most, curve, (low, high) in told
    ]
    return weld if all(valid) else None


def numbers(curve: object) -> list[float]:
    """Of an array, of numbers or texts, or of a text such as `[1, 2.5]`."""
    if isinstance(curve, str):
        curve = [one for one in curve.strip("[] \t").replace(";", ",").split(",") if one.strip()]
    return [float(one) for one in curve]


def made_up(recipe: Recipe, count: int, seed: int = 1) -> list[dict]:
    """Two pulses with noise, of several lengths, as the plant would store them."""
    draw = np.random.default_rng(seed)
    welds = []
    for number in range(count):
        pulse, pause, main, after = (int(draw.integers(*span)) for span in ((40, 100), (10, 30), (200, 500), (10, 600)))
        current = np.concatenate([np.full(n, level) for n, level in ((6, 0), (pulse, 5), (pause, 0), (main, 9), (after, 0))])
        i = current * draw.uniform(0.7, 1.3) + draw.normal(0, 0.005, len(current))
        resistance = 0.28 + 0.03 * np.exp(-np.arange(len(i)) / 40) + draw.normal(0, 0.0004, len(i))
        u = current * resistance * draw.uniform(0.8, 1.2) + draw.normal(0, 0.01, len(i))
        maxima = {"umax": float(u.max()), "imax": float(i.max())}
        weld = {"record_id": number + 1, "part_no": "", "data_date": 20260101, "ck_local_time": "2026-01-01 00:00:00"}
        for name in maxima:
            unit = recipe.stored.maximum(name, 1.0)
            weld[name] = round(maxima[name] / float(unit), 3)
        for curve, samples in (("u", u), ("i", i)):
            factor, maximum = recipe.stored.factor(curve)
            factor *= float(recipe.stored.maximum(maximum, weld[maximum])) if maximum else 1.0
            whole = recipe.input.values == "stored" and factor < 0.2
            stored = np.round(samples / factor) if whole else np.round(samples / factor, 3)
            weld[f"{curve}_curve"] = [float(one) for one in stored]
        welds.append(weld)
    return welds


def as_raw(recipe: Recipe, welds: list[dict]) -> dict[str, np.ndarray]:
    """The inputs that a worker gives a raw model for these records."""
    samples, spans, scalars, start = [], [], [], 0
    for weld in welds:
        u, i, maxima = recipe.physical(weld)
        samples += [u, i]
        spans.append((start, len(u)))
        scalars.append([maxima[name] for name in recipe.scalars()])
        start += 2 * len(u)
    inputs = {"curves": np.concatenate(samples), "spans": np.array(spans, dtype=np.int64)}
    if recipe.scalars():
        inputs["scalars"] = np.array(scalars, dtype=np.float32)
    return inputs
