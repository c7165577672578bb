"""Anybody's PyTorch module: its class, its weights, and as the fleet is served by it."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import pickle
import sys
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

from .recipe import OUTPUTS, Output, Recipe

# Where training loops put the weights beside the optimiser's state.
NESTED = ("model_state_dict", "state_dict", "model", "net", "weights")
# DataParallel and torch.compile put these before each name.
PREFIXES = ("module.", "_orig_mod.")
MOST_NAMED = 6

# Torch warns that torchvision is missing, which nothing here needs.
logging.getLogger("torch.onnx").setLevel(logging.ERROR)


def load_class(told: str) -> type[nn.Module]:
    """`FILE.py:CLASS`. Runs the file, as an import does."""
    name, _, wanted = told.rpartition(":")
    if not name or not wanted:
        raise SystemExit(f"--module {told}: give FILE.py:CLASS")
    path = Path(name)
    if not path.is_file():
        raise SystemExit(f"--module {told}: no file `{path}`")
    # What it imports from beside it is found.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None:
        raise SystemExit(f"--module {told}: `{path}` is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SystemExit(f"--module {told}: `{path}` cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, wanted, None)
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        classes = [name for name, one in vars(module).items() if inspect.isclass(one) and issubclass(one, nn.Module)]
        raise SystemExit(
            f"--module {told}: `{path}` has no class {wanted} that is a torch.nn.Module; it has {', '.join(classes) or 'none'}"
        )
    return found


def construct(kind: type[nn.Module], arguments: dict) -> nn.Module:
    try:
        bound = inspect.signature(kind).bind(**arguments)
    except TypeError as error:
        raise SystemExit(
            f"{kind.__name__}{inspect.signature(kind)} cannot be made with {arguments or 'no arguments'}: {error}; "
            f"give them in the recipe: [model] arguments = {{name = value}}"
        ) from None
    try:
        return kind(*bound.args, **bound.kwargs)
    except Exception as error:
        raise SystemExit(f"{kind.__name__} cannot be made: {type(error).__name__}: {error}") from error


def load_weights(net: nn.Module, path: Path, key: str | None) -> None:
    """Loads tensors and nothing else: a pickle of anything more could run anything."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SystemExit(f"cannot read the weights `{path}`: {error.strerror}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SystemExit(
            f"`{path}` holds more than weights, or none ({reason}); where it was saved, save only them: "
            f"torch.save(model.state_dict(), FILE)"
        ) from None
    weights = find_weights(held, path, key)
    own = net.state_dict()
    missing = [name for name in own if name not in weights]
    unknown = [name for name in weights if name not in own]
    other = [
        f"{name} {list(weights[name].shape)} for {list(own[name].shape)}"
        for name in own if name in weights and weights[name].shape != own[name].shape
    ]
    if missing or unknown or other:
        told = [("missing", missing), ("not of this module", unknown), ("of another shape", other)]
        said = "; ".join(f"{what}: {some(names)}" for what, names in told if names)
        raise SystemExit(f"`{path}` does not fit {type(net).__name__}: {said}")
    net.load_state_dict(weights)


def find_weights(held: object, path: Path, key: str | None) -> dict[str, torch.Tensor]:
    if key is not None:
        if not isinstance(held, dict) or key not in held:
            keys = some(list(held)) if isinstance(held, dict) else type(held).__name__
            raise SystemExit(f"`{path}` has no `{key}` (model.weights_key of the recipe); it has {keys}")
        held = held[key]
    elif isinstance(held, dict) and not tensors(held):
        held = next((held[name] for name in NESTED if tensors(held.get(name))), held)
    if not tensors(held):
        keys = some(list(held)) if isinstance(held, dict) else type(held).__name__
        raise SystemExit(f"`{path}` holds no table of tensors but {keys}; model.weights_key in the recipe says where they are")
    for prefix in PREFIXES:
        if held and all(name.startswith(prefix) for name in held):
            held = {name.removeprefix(prefix): tensor for name, tensor in held.items()}
    return dict(held)


def tensors(held: object) -> bool:
    return isinstance(held, dict) and bool(held) and all(isinstance(one, torch.Tensor) for one in held.values())


def some(names: list) -> str:
    rest = len(names) - MOST_NAMED
    return ", ".join(map(str, names[:MOST_NAMED])) + (f" and {rest} more" if rest > 0 else "")


class Served(nn.Module):
    """From the recipe's input [N, C, L] to `nok_prob` [N] and `regression` [N, 4]."""

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.net = net
        self.recipe = recipe

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = self.answers(rows)
        found = [self.one(self.recipe.outputs[name], outputs, rows) for name in OUTPUTS]
        return found[0], torch.stack(found[1:], dim=1)

    def answers(self, rows: torch.Tensor) -> dict[int | str, torch.Tensor]:
        layout = self.recipe.input.layout
        if layout == "channels_last":
            told = self.net(rows.transpose(1, 2))
        elif layout == "separate":
            told = self.net(*(rows[:, k : k + 1] for k in range(rows.shape[1])))
        else:
            told = self.net(rows)
        if isinstance(told, torch.Tensor):
            told = (told,)
        if isinstance(told, dict):
            return dict(told)
        if not isinstance(told, (tuple, list)):
            raise SystemExit(f"the module answers {type(told).__name__}, but must answer tensors, or a tuple or dict of them")
        return dict(enumerate(told))

    @staticmethod
    def one(told: Output, outputs: dict, rows: torch.Tensor) -> torch.Tensor:
        """An output's value of each row, [N]."""
        if told.constant is not None:
            return torch.full_like(rows[:, 0, 0], told.constant)
        where = f"recipe: outputs.{told.name}"
        if told.output not in outputs:
            raise SystemExit(f"{where}: the module has no output {told.output!r}; it has {some([repr(k) for k in outputs])}")
        value = outputs[told.output]
        if not isinstance(value, torch.Tensor) or value.ndim == 0 or value.shape[0] != rows.shape[0]:
            shape = list(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise SystemExit(f"{where}: output {told.output!r} is {shape} for {rows.shape[0]} rows, not one value a row")
        value = value.flatten(1) if value.ndim > 1 else value.unsqueeze(1)
        columns = value.shape[1]
        if told.column is None and columns != 1:
            raise SystemExit(f"{where}: output {told.output!r} has {columns} columns; say which `column` is meant")
        if (told.column or 0) >= columns:
            raise SystemExit(f"{where}: output {told.output!r} has {columns} columns, but `column` is {told.column}")
        if told.activation == "softmax":
            value = torch.softmax(value, dim=1)
        value = value[:, told.column or 0]
        if told.activation == "sigmoid":
            value = torch.sigmoid(value)
        elif told.activation == "relu":
            value = torch.relu(value)
        return value * told.scale + told.offset


def served(kind: type[nn.Module], recipe: Recipe, weights: Path) -> Served:
    net = construct(kind, recipe.model.arguments)
    load_weights(net, weights, recipe.model.weights_key)
    whole = Served(net.float(), recipe).eval()
    rows = torch.zeros(3, len(recipe.input.channels), recipe.input.length)
    try:
        with torch.inference_mode():
            whole(rows)
    except SystemExit:
        raise
    except Exception as error:
        shapes = {"channels_last": "[3, {1}, {0}]", "separate": "{0} times [3, 1, {1}]"}
        shape = shapes.get(recipe.input.layout, "[3, {0}, {1}]").format(rows.shape[1], rows.shape[2])
        raise SystemExit(
            f"{kind.__name__} fails on an input of {shape} ({type(error).__name__}: {error}); see channels, length and layout "
            f"in the recipe's [input]"
        ) from error
    return whole


def export(whole: Served) -> onnx.ModelProto:
    """The module with input `rows`; N is free."""
    example = torch.zeros(2, len(whole.recipe.input.channels), whole.recipe.input.length)
    try:
        with warnings.catch_warnings():
            # Of Torch's own insides; what matters is compared afterwards.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                whole, (example,), dynamo=True, input_names=["network_input"], output_names=["nok_prob", "regression"],
                dynamic_shapes=({0: torch.export.Dim("N")},), opset_version=18, verbose=False,
            )
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise SystemExit(
            f"{type(whole.net).__name__} cannot be exported to ONNX: {type(error).__name__}: {reason[0] if reason else ''}; "
            f"its forward must not depend on values or on the number of rows"
        ) from error
    return program.model_proto


