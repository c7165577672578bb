"""The `inference_config.json` of another program: which weights and which threshold each part has."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from .recipe import threshold

TABLES = ("parts", "part_models", "models")
WEIGHTS = ("weights", "model_path", "model", "path", "file")
THRESHOLDS = ("nok_threshold", "threshold", "best_threshold")
THRESHOLD_TABLES = ("thresholds", "part_thresholds", "nok_thresholds")


@dataclass(frozen=True)
class Part:
    """`weights` is None where a part has only a threshold of its own."""

    name: str
    weights: Path | None
    nok_threshold: float | None


@dataclass(frozen=True)
class OldParts:
    parts: list[Part]
    nok_threshold: float | None
    names_nok: bool = False
    """Whether a key says that a threshold is one of NOK."""

    def of_nok(self) -> OldParts:
        """Its thresholds are probabilities of OK, below which a weld was NOK: those of NOK, from which on it is."""
        if self.names_nok:
            raise SystemExit(
                "the network answers the probability of OK, and a key of the parts is called `nok_threshold`: call it "
                "`threshold` if it is one of OK, else make it 1 minus itself and call it `threshold`"
            )
        return OldParts(
            [replace(part, nok_threshold=complement(part.nok_threshold, f"part {part.name!r}")) for part in self.parts],
            complement(self.nok_threshold, "all parts"),
        )

    @classmethod
    def read(cls, path: Path) -> OldParts:
        try:
            told = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=without_twins)
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(f"cannot read `{path}`: {error}") from None
        except ValueError as error:
            raise SystemExit(f"`{path}`: {error}") from None
        return cls.of(told, path)

    @classmethod
    def of(cls, told: object, path: Path) -> OldParts:
        if not isinstance(told, dict):
            raise SystemExit(f"`{path}` holds no JSON object")
        table = the_one(told, TABLES, path) or {}
        thresholds = the_one(told, THRESHOLD_TABLES, path) or {}
        for kind, one in (("parts", table), ("thresholds", thresholds)):
            if not isinstance(one, dict):
                raise SystemExit(f"`{path}`: {kind} must be an object, by part")
        if not table and not thresholds:
            raise SystemExit(
                f"`{path}` names no parts: one of the keys {', '.join(TABLES)} must be an object, as "
                f'{{"parts": {{"7H0/809": {{"weights": "7H0_809.pth", "nok_threshold": 0.6}}}}}}'
            )
        parts = [part(name, table.get(name), thresholds.get(name), path) for name in dict.fromkeys([*table, *thresholds])]
        missing = [f"{one.name!r}: {one.weights}" for one in parts if one.weights and not one.weights.is_file()]
        if missing:
            raise SystemExit(f"`{path}` names weights that are not there: {'; '.join(missing)}")
        of_all = told.get("global") if isinstance(told.get("global"), dict) else {}
        found = first(told, THRESHOLDS) if first(told, THRESHOLDS) is not None else first(of_all, THRESHOLDS)
        entries = [told, of_all, *(entry for entry in table.values() if isinstance(entry, dict))]
        names_nok = any(key in entry for entry in entries for key in ("nok_threshold", "nok_thresholds"))
        return cls(parts, None if found is None else threshold(f"{path}: threshold", found), names_nok)


def part(name: str, entry: object, own: object, path: Path) -> Part:
    """An entry is the weights' path, or an object that holds it; relative paths begin where the configuration is."""
    weights = entry
    if isinstance(entry, dict):
        weights = the_one(entry, WEIGHTS, path, name)
        told = the_one(entry, THRESHOLDS, path, name)
        if told is not None and own is not None and told != own:
            raise SystemExit(f"`{path}`: part {name!r} has two thresholds, {told!r} and {own!r}: keep one")
        own = told if own is None else own
        # A part whose weights or threshold went unread would be judged by those of all parts.
        unread = [key for key in entry if key not in (*WEIGHTS, *THRESHOLDS)]
        lacking = [kind for kind, found in (("weights", weights), ("threshold", own)) if found is None]
        if len(lacking) == 2 or (unread and lacking):
            raise SystemExit(
                f"`{path}`: part {name!r} has keys {', '.join(map(repr, entry)) or 'none'}, of which none is of its "
                f"{' or '.join(lacking)}; known here are those of weights ({', '.join(WEIGHTS)}) and of a threshold "
                f"({', '.join(THRESHOLDS)}): rename what is meant, remove the others"
            )
    if weights is not None and not isinstance(weights, str):
        raise SystemExit(f"`{path}`: part {name!r}: the weights are {weights!r}, but must be a path")
    return Part(
        name,
        None if weights is None else path.parent / weights,
        None if own is None else threshold(f"{path}: threshold of part {name!r}", own),
    )


def complement(ok: float | None, of: str) -> float | None:
    return None if ok is None else threshold(f"nok_threshold of {of}, 1 - {ok:g}", round(1 - ok, 9))


def the_one(told: dict, keys: tuple[str, ...], path: Path, part: str | None = None) -> object:
    """The value of that one of the keys that is there; two of them could say two things."""
    found = [key for key in keys if key in told]
    if len(found) > 1:
        of_part = "" if part is None else f"of part {part!r} "
        raise SystemExit(f"`{path}`: {' and '.join(map(repr, found))} {of_part}mean the same: keep one")
    return told[found[0]] if found else None


def first(told: dict, keys: tuple[str, ...]) -> object:
    return next((told[key] for key in keys if key in told), None)


def without_twins(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        twin = next(name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1)
        raise ValueError(f"key {twin!r} is there twice")
    return found


def folders(parts: list[str]) -> dict[str, str]:
    """A folder below the model folder for each part: its text, with `_` for what a file's name had better not hold."""
    taken, found = set(), {}
    for name in parts:
        stem = re.sub(r"[^\w.-]+", "_", name).strip(".")[:80] or "part"
        folder, count = stem, 1
        while folder.casefold() in taken:
            count += 1
            folder = f"{stem}_{count}"
        taken.add(folder.casefold())
        found[name] = f"parts/{folder}"
    return found
