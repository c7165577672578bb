"""Graphs that take the curves as measured: samples f32 [S] and spans i64 [N, 2] in, curves of a fixed length out.

Positions are integers and values single precision, which ONNX Runtime runs on every provider.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

SAMPLES = "curves"
SPANS = "spans"
SCALARS = "scalars"
ROWS = "rows"
PREFIX = "features/"


def node(kind: str, inputs: str, outputs: str, **attributes) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def fitted(fit: str, length: int) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Nodes that make `u` and `i` [N, length], V and kA, and the constants they use besides `zero_f32`."""
    constants = {
        "point": np.arange(length, dtype=np.int64)[None, :],
        "last": np.array(length - 1, dtype=np.int64),
        "last_f32": np.array(length - 1, dtype=np.float32),
        "one": np.array(1, dtype=np.int64),
        "two_columns": np.array([1, 1], dtype=np.int64),
    }
    nodes = [
        node("Split", f"{SPANS} two_columns", "start points", axis=1),
        node("Sub", "points one", "points_less_one"),
        *(resampled_places() if fit == "resample" else padded_places()),
    ]
    for curve, begin in (("u", "start"), ("i", "i_start")):
        if curve == "i":
            nodes.append(node("Add", "start points", begin))
        nodes += [
            node("Add", f"{begin} left", f"{curve}_left_at"),
            node("Gather", f"{SAMPLES} {curve}_left_at", f"{curve}_left", axis=0),
        ]
        if fit == "resample":
            nodes += [
                node("Add", f"{begin} right", f"{curve}_right_at"),
                node("Gather", f"{SAMPLES} {curve}_right_at", f"{curve}_right", axis=0),
                node("Sub", f"{curve}_right {curve}_left", f"{curve}_rise"),
                node("Mul", f"{curve}_rise fraction", f"{curve}_part"),
                node("Add", f"{curve}_part {curve}_left", curve),
            ]
        else:
            nodes.append(node("Where", f"inside {curve}_left zero_f32", curve))
    return nodes, constants


def resampled_places() -> list[onnx.NodeProto]:
    """Point j lies at sample j(n-1)/(L-1): whole part and rest of an integer division, exact at any length."""
    return [
        node("Mul", "point points_less_one", "numerator"),
        node("Div", "numerator last", "left"),
        node("Mul", "left last", "whole"),
        node("Sub", "numerator whole", "rest"),
        node("Cast", "rest", "rest_f32", to=TensorProto.FLOAT),
        node("Div", "rest_f32 last_f32", "fraction"),
        node("Add", "left one", "next"),
        node("Min", "next points_less_one", "right"),
    ]


def padded_places() -> list[onnx.NodeProto]:
    """Point j is sample j, and nothing behind the last one."""
    return [
        node("Less", "point points", "inside"),
        node("Min", "point points_less_one", "left"),
    ]


def graph(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], channels: int, length: int, scalars: int = 0
) -> onnx.GraphProto:
    """The nodes, which make `rows` f32 [N, channels, length], as a graph."""
    used = {name for one in nodes for name in one.input}
    inputs = [
        helper.make_tensor_value_info(SAMPLES, TensorProto.FLOAT, ["S"]),
        helper.make_tensor_value_info(SPANS, TensorProto.INT64, ["N", 2]),
    ]
    if scalars:
        inputs.append(helper.make_tensor_value_info(SCALARS, TensorProto.FLOAT, ["N", scalars]))
    return helper.make_graph(
        nodes,
        "curves_to_features",
        inputs,
        [helper.make_tensor_value_info(ROWS, TensorProto.FLOAT, ["N", channels, length])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )


def centred(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with each InstanceNormalization fed what lies around 0, which is the same to it. ONNX Runtime's kernel scales
    before it takes the mean away, which costs a channel of large mean and small deviation three of its digits."""
    nodes = []
    for one in model.graph.node:
        if one.op_type == "InstanceNormalization":
            before = one.input[0]
            nodes += [
                helper.make_node("ReduceMean", [before, "centre_axis"], [f"{before}_mean"], keepdims=1),
                helper.make_node("Sub", [before, f"{before}_mean"], [f"{before}_centred"]),
            ]
            one.input[0] = f"{before}_centred"
        nodes.append(one)
    if len(nodes) > len(model.graph.node):
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.append(numpy_helper.from_array(np.array([-1], dtype=np.int64), "centre_axis"))
    return model


def in_front(front: onnx.GraphProto, model: onnx.ModelProto, model_input: str) -> onnx.ModelProto:
    """The model behind that graph, so that it takes what the graph takes."""
    version = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version < 13:
        raise SystemExit(f"the model has opset {version}; the wrapper needs at least 13, export it anew")
    names = [value.name for value in front.input]
    prefixed = helper.make_model(
        compose.add_prefix_graph(front, PREFIX), opset_imports=model.opset_import, ir_version=model.ir_version
    )
    merged = compose.merge_models(prefixed, model, io_map=[(PREFIX + ROWS, model_input)])
    renamed = {PREFIX + name: name for name in names}
    for one in merged.graph.node:
        for place, name in enumerate(one.input):
            one.input[place] = renamed.get(name, name)
    for value in merged.graph.input:
        value.name = renamed.get(value.name, value.name)
    return merged


def of_recipe(recipe) -> onnx.GraphProto:
    """The input of a recipe's network: `Recipe.input_of` as a graph."""
    told, names = recipe.input, recipe.input.channels
    nodes, constants = fitted(told.fit, told.length)
    constants |= {
        "zero_f32": np.array(0, dtype=np.float32),
        "min_current": np.array(told.min_current, dtype=np.float32),
        "channel_axis": np.array([1], dtype=np.int64),
        "divisors": np.array(told.divisors(), dtype=np.float32)[None, :, None],
        "subtrahends": np.array(told.subtrahends(), dtype=np.float32)[None, :, None],
    }
    curves = {"u": "u", "i": "i"}
    if told.values == "stored":
        for curve in "ui":
            nodes += as_stored(recipe, curve, constants)
            curves[curve] = f"{curve}_stored"
    base = dict(curves)
    if told.derive_from == "divided":
        for curve in "ui":
            place = names.index(curve.upper())
            constants[f"{curve}_divisor"] = np.array(told.divisors()[place], dtype=np.float32)
            constants[f"{curve}_subtrahend"] = np.array(told.subtrahends()[place], dtype=np.float32)
            nodes += [
                node("Sub", f"{curves[curve]} {curve}_subtrahend", f"{curve}_centred"),
                node("Div", f"{curve}_centred {curve}_divisor", f"{curve}_divided"),
            ]
            base[curve] = f"{curve}_divided"
    if "R" in names:
        clipped = "r" if told.below_min_current == "clip" else "r_of_all"
        nodes += [node("Max", f"{base['i']} min_current", "divisor"), node("Div", f"{base['u']} divisor", clipped)]
        if told.below_min_current == "zero":
            constants["least_current"] = np.array(least_current(told), dtype=np.float32)
            nodes += [
                node("GreaterOrEqual", f"{base['i']} least_current", "flows"),
                node("Where", "flows r_of_all zero_f32", "r"),
            ]
    if "P" in names:
        nodes.append(node("Mul", f"{base['u']} {base['i']}", "p"))
    values = {"U": curves["u"], "I": curves["i"], "R": "r", "P": "p"}
    nodes += [node("Unsqueeze", f"{values[name]} channel_axis", f"{name}_channel") for name in names]
    nodes += [
        helper.make_node("Concat", [f"{name}_channel" for name in names], ["channels"], axis=1),
        node("Sub", "channels subtrahends", "centred"),
        node("Div", "centred divisors", ROWS),
    ]
    return graph(nodes, constants, len(names), told.length, len(recipe.scalars()))


def least_current(told) -> float:
    """From where on current flows. A stored count that equals `min_current` may come back a few last bits below it."""
    if told.values != "stored":
        return told.min_current
    count = told.min_current
    if told.derive_from == "divided":
        place = told.channels.index("I")
        count += told.subtrahends()[place] / told.divisors()[place]
    return told.min_current - 1e-6 * max(told.min_current, abs(count))


def as_stored(recipe, curve: str, constants: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
    """Divides by what the worker multiplied with: so counts come back as counts, but for the last bit."""
    factor, maximum = recipe.stored.factor(curve)
    constants[f"{curve}_factor"] = np.array(factor, dtype=np.float32)
    if maximum is None:
        return [node("Div", f"{curve} {curve}_factor", f"{curve}_stored")]
    constants[f"{maximum}_at"] = np.array([recipe.scalars().index(maximum)], dtype=np.int64)
    return [
        node("Gather", f"{SCALARS} {maximum}_at", maximum, axis=1),
        node("Mul", f"{maximum} {curve}_factor", f"{curve}_of_row"),
        node("Div", f"{curve} {curve}_of_row", f"{curve}_stored"),
    ]
