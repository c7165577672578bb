"""RECIPE.toml: how another program made its network's input, and which of the network's outputs are ours.

The input it describes, in this order: the curves as `values` says, fitted to `length`; R and P of them; each channel less
`subtract`, divided by `divide_by`. `Recipe.input_of` is that arithmetic in NumPy, `rawgraph` the same in a graph.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import features

QUANTITIES = ("diameter", "indentation", "front_thickness", "stack_thickness")
OUTPUTS = ("nok_prob", *QUANTITIES)
ACTIVATIONS = ("none", "sigmoid", "softmax", "relu")
CHANNELS = ("U", "I", "R", "P")


def refuse(key: str, value: object, remedy: str) -> SystemExit:
    return SystemExit(f"recipe: `{key}` is {value!r}: {remedy}")


@dataclass(frozen=True)
class Stored:
    """`[stored]`: how the plant stores curves and maxima, with the keys of `[curves]` in weldfleet.toml."""

    u_unit: str = "V"
    i_unit: str = "kA"
    umax_unit: str = "V"
    imax_unit: str = "kA"
    u_scale: float = 1.0
    i_scale: float = 1.0
    umax_scale: float = 1.0
    imax_scale: float = 1.0

    UNITS = {
        "u_unit": {"V": 1.0, "mV": 0.001, "percent_of_umax": None},
        "i_unit": {"kA": 1.0, "A": 0.001, "percent_of_imax": None},
        "umax_unit": {"V": 1.0, "mV": 0.001},
        "imax_unit": {"kA": 1.0, "A": 0.001},
    }

    def check(self) -> None:
        for key, units in self.UNITS.items():
            if getattr(self, key) not in units:
                raise refuse(f"stored.{key}", getattr(self, key), f"give one of {', '.join(units)}")
        for key in ("u_scale", "i_scale", "umax_scale", "imax_scale"):
            number(f"stored.{key}", getattr(self, key), above=0.0)

    def factor(self, curve: str) -> tuple[float, str | None]:
        """What a stored sample of `u` or `i` is multiplied with to be V or kA, and the maximum (V, kA) it is multiplied with
        besides, if any."""
        unit = self.UNITS[f"{curve}_unit"][getattr(self, f"{curve}_unit")]
        scale = getattr(self, f"{curve}_scale")
        return (scale / 100.0, f"{curve}max") if unit is None else (scale * unit, None)

    def maximum(self, name: str, value: float) -> np.float32:
        """`umax` in V, `imax` in kA."""
        unit = self.UNITS[f"{name}_unit"][getattr(self, f"{name}_unit")]
        return np.float32(np.float32(value) * np.float32(getattr(self, f"{name}_scale") * unit))


@dataclass(frozen=True)
class Input:
    """`[input]`."""

    values: str = "stored"
    channels: list = field(default_factory=lambda: list(CHANNELS))
    length: int = 1000
    fit: str = "pad"
    min_current: float = 1.0
    below_min_current: str = "clip"
    derive_from: str = "values"
    subtract: list | None = None
    divide_by: list | None = None
    layout: str = "channels_first"

    CHOICES = {
        "values": {"stored": "as the plant stores them", "V_kA": "in V and kA"},
        "fit": {"pad": "the first samples, zeros behind a shorter curve", "resample": "linearly, end to end"},
        "below_min_current": {"clip": "R = U / max(I, min_current)", "zero": "R = 0 where I < min_current"},
        "derive_from": {"values": "R and P of the curves", "divided": "R and P of the divided curves"},
        "layout": {"channels_first": "[N, C, L]", "channels_last": "[N, L, C]", "separate": "C arguments [N, 1, L]"},
    }

    def check(self) -> None:
        for key, choices in self.CHOICES.items():
            if getattr(self, key) not in choices:
                told = ", ".join(f"{choice} ({what})" for choice, what in choices.items())
                raise refuse(f"input.{key}", getattr(self, key), f"give one of: {told}")
        names = self.channels
        if not isinstance(names, list) or not names or len(set(names)) < len(names) or not set(names) <= set(CHANNELS):
            raise refuse("input.channels", names, "give each once, in the network's order, out of U, I, R, P")
        if type(self.length) is not int or not 2 <= self.length <= 65_536:
            raise refuse("input.length", self.length, "give points a channel, 2 to 65536")
        number("input.min_current", self.min_current, above=0.0)
        for key in ("subtract", "divide_by"):
            values = getattr(self, key)
            if values is None:
                continue
            if not isinstance(values, list) or len(values) != len(names):
                raise refuse(f"input.{key}", values, f"give a number for each of the channels {', '.join(names)}")
            for value in values:
                number(f"input.{key}", value)
        if 0 in self.divisors():
            raise refuse("input.divide_by", self.divide_by, "a channel cannot be divided by 0")
        if self.derive_from == "divided" and not {"U", "I"} <= set(names):
            raise refuse("input.derive_from", "divided", "needs U and I among the channels, for their divisors")

    def divisors(self) -> list[float]:
        return self.divide_by or [1.0] * len(self.channels)

    def subtrahends(self) -> list[float]:
        return self.subtract or [0.0] * len(self.channels)


@dataclass(frozen=True)
class Output:
    """`[outputs.NAME]`: activation(output[column]) * scale + offset, or a constant."""

    name: str = ""
    output: int | str = 0
    column: int | None = None
    activation: str = "none"
    scale: float = 1.0
    offset: float = 0.0
    constant: float | None = None

    def check(self) -> None:
        key = f"outputs.{self.name}"
        if self.activation not in ACTIVATIONS:
            raise refuse(f"{key}.activation", self.activation, f"give one of {', '.join(ACTIVATIONS)}")
        if type(self.output) not in (int, str):
            raise refuse(f"{key}.output", self.output, "give the output's number from 0, or its key")
        if self.column is not None and (type(self.column) is not int or self.column < 0):
            raise refuse(f"{key}.column", self.column, "give the column's number from 0")
        if self.activation == "softmax" and self.column is None:
            raise refuse(f"{key}.activation", "softmax", "say which `column` is meant")
        number(f"{key}.scale", self.scale)
        number(f"{key}.offset", self.offset)
        if self.constant is not None:
            number(f"{key}.constant", self.constant)
            if self.name == "nok_prob":
                raise refuse(f"{key}.constant", self.constant, "a network that says nothing of NOK judges nothing")


@dataclass(frozen=True)
class Model:
    """`[model]`; `arguments` are those of the class, `weights_key` is where in the file the weights are."""

    version: str
    nok_threshold: float | None = None
    arguments: dict = field(default_factory=dict)
    weights_key: str | None = None

    def check(self) -> None:
        if not isinstance(self.version, str) or not self.version.strip():
            raise refuse("model.version", self.version, "give the text that tells this model from others")
        if self.nok_threshold is not None:
            threshold("model.nok_threshold", self.nok_threshold)
        if not isinstance(self.arguments, dict):
            raise refuse("model.arguments", self.arguments, "give a table: arguments = {channels = 4}")


@dataclass(frozen=True)
class Recipe:
    model: Model
    stored: Stored
    input: Input
    outputs: dict[str, Output]

    @classmethod
    def read(cls, path: Path) -> Recipe:
        try:
            return cls.parse(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(f"cannot read the recipe `{path}`: {error}") from None

    @classmethod
    def parse(cls, text: str) -> Recipe:
        try:
            told = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SystemExit(f"recipe: not TOML: {error}") from None
        known("", told, ("model", "stored", "input", "outputs"))
        outputs = table("outputs", told.get("outputs"))
        known("outputs", outputs, OUTPUTS)
        missing = [name for name in OUTPUTS if name not in outputs]
        if missing:
            raise SystemExit(
                f"recipe: no [outputs.{missing[0]}]; say where {', '.join(missing)} come from. What the network does not "
                f"estimate may be `constant = 0.0`"
            )
        recipe = cls(
            model=filled(Model, "model", told.get("model")),
            stored=filled(Stored, "stored", told.get("stored", {})),
            input=filled(Input, "input", told.get("input", {})),
            outputs={name: filled(Output, f"outputs.{name}", outputs[name], name=name) for name in OUTPUTS},
        )
        for part in (recipe.model, recipe.stored, recipe.input, *recipe.outputs.values()):
            part.check()
        return recipe

    def told(self) -> dict:
        """What it says, defaults included."""
        outputs = {name: dataclasses.asdict(one) for name, one in self.outputs.items()}
        whole = {"model": self.model, "stored": self.stored, "input": self.input}
        return {name: dataclasses.asdict(one) for name, one in whole.items()} | {"outputs": outputs}

    def scalars(self) -> list[str]:
        """Scalars that the graph needs besides the curves, to make stored values out of V and kA."""
        if self.input.values != "stored":
            return []
        return [name for name in (self.stored.factor(curve)[1] for curve in "ui") if name]

    def physical(self, weld: dict) -> tuple[np.ndarray, np.ndarray, dict[str, np.float32]]:
        """A record's curves in V and kA and its maxima, as the worker makes them of what is stored."""
        u, i = self.curves(weld)
        maxima = {name: self.stored.maximum(name, weld[name]) for name in ("umax", "imax")}
        physical = []
        for curve, samples in (("u", u), ("i", i)):
            factor, maximum = self.stored.factor(curve)
            factor = np.float32(factor) * (maxima[maximum] if maximum else np.float32(1))
            physical.append(samples * factor)
        return physical[0], physical[1], maxima

    @staticmethod
    def curves(weld: dict) -> tuple[np.ndarray, np.ndarray]:
        """As stored; of unequal curves the common beginning, as the worker has it."""
        u, i = (np.array(weld[name], dtype=np.float32) for name in ("u_curve", "i_curve"))
        length = min(len(u), len(i))
        return u[:length], i[:length]

    def input_of(self, welds: list[dict]) -> np.ndarray:
        """The network's input as the old program made it, f32 [N, C, L]."""
        rows = np.zeros((len(welds), len(self.input.channels), self.input.length), dtype=np.float32)
        for row, weld in zip(rows, welds):
            u, i = self.curves(weld) if self.input.values == "stored" else self.physical(weld)[:2]
            self.prepare(u, i, row)
        return rows

    def prepare(self, u: np.ndarray, i: np.ndarray, row: np.ndarray) -> None:
        told = self.input
        divide = {name: np.float32(by) for name, by in zip(told.channels, told.divisors())}
        subtract = {name: np.float32(by) for name, by in zip(told.channels, told.subtrahends())}
        u, i = self.fitted(u), self.fitted(i)

        def scaled(name: str, values: np.ndarray) -> np.ndarray:
            return (values - subtract[name]) / divide[name]

        base_u, base_i = (scaled("U", u), scaled("I", i)) if told.derive_from == "divided" else (u, i)
        least = np.float32(told.min_current)
        resistance = base_u / np.maximum(base_i, least)
        if told.below_min_current == "zero":
            resistance = np.where(base_i >= least, resistance, np.float32(0))
        channels = {"U": u, "I": i, "R": resistance, "P": base_u * base_i}
        for place, name in enumerate(told.channels):
            row[place] = scaled(name, channels[name])

    def fitted(self, curve: np.ndarray) -> np.ndarray:
        length = self.input.length
        if self.input.fit == "resample" and len(curve) > 1:
            return features.fit_curve(curve, length)
        if self.input.fit == "resample":
            return np.full(length, curve[0], dtype=np.float32)
        padded = np.zeros(length, dtype=np.float32)
        padded[: len(curve)] = curve[:length]
        return padded


def number(key: str, value: object, above: float = -math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= above:
        raise refuse(key, value, "give a number" + (f" above {above:g}" if above > -math.inf else ""))


def threshold(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value <= 1.0:
        raise refuse(key, value, "give a probability above 0, at most 1")
    return float(value)


def known(section: str, given: dict, names: tuple[str, ...]) -> None:
    for key in given:
        if key not in names:
            full = f"{section}.{key}".removeprefix(".")
            raise SystemExit(f"recipe: unknown key `{full}`; known here: {', '.join(names)}")


def table(section: str, given: object) -> dict:
    if given is None:
        raise SystemExit(f"recipe: no [{section}]")
    if not isinstance(given, dict):
        raise refuse(section, given, f"write it as [{section}]")
    return given


def filled(kind: type, section: str, given: object, **more: object):
    """The section as its dataclass; unknown and missing keys are refused."""
    given = table(section, given)
    fields = [one for one in dataclasses.fields(kind) if one.name not in more]
    known(section, given, tuple(one.name for one in fields))
    for one in fields:
        required = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        if required and one.name not in given:
            raise SystemExit(f"recipe: no `{section}.{one.name}`")
    return kind(**given, **more)
