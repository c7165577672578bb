#!/usr/bin/env python3
"""Turns a trained PyTorch module into a folder of models that the fleet serves (`model.model_export_dir`).

What the old program did to the curves before its network saw them is told by a recipe and goes into the graph, so that a
worker answers what the old program answered. Checked on welds before anything is kept: within 1e-4 of PyTorch.

examples:
  python training/import_torch.py --module nets.py:WeldNet --weights global.pth --recipe recipe.toml --out models-plant
  python training/import_torch.py --module nets.py:WeldNet --weights global.pth --parts inference_config.json \\
      --recipe recipe.toml --rows welds.jsonl --out models-plant

The module's file is run, as an import does; of the weights only tensors are read. Keys of the recipe, and how to get
welds.jsonl: training/README.md.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from weldtrain import rows
from weldtrain.oldparts import OldParts, Part, folders
from weldtrain.recipe import Recipe


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", required=True, metavar="FILE.py:CLASS", help="the network; the file is run")
    parser.add_argument("--weights", required=True, type=Path, metavar="GLOBAL.pth", help="its state_dict; for every part")
    parser.add_argument("--parts", type=Path, metavar="inference_config.json", help="weights and thresholds of single parts")
    parser.add_argument("--recipe", required=True, type=Path, metavar="RECIPE.toml", help="how the network's input is made")
    parser.add_argument("--out", required=True, type=Path, help="the folder to make; must not exist, or be empty")
    parser.add_argument("--rows", type=Path, metavar="WELDS.jsonl", help="records to compare on, one a line; may be .gz")
    parser.add_argument("--limit", type=int, default=500, help="records to compare on at most (500)")
    parser.add_argument("--golden", type=int, default=50, help="records of each model that are kept with its answers (50)")
    args = parser.parse_args()
    if args.limit < 1 or args.golden < 0:
        parser.error("--limit must be at least 1, --golden at least 0")
    return args


def main() -> None:
    args = arguments()
    recipe = Recipe.read(args.recipe)
    old = OldParts.read(args.parts) if args.parts else OldParts([], None)
    if args.parts and recipe.outputs["nok_prob"].scale < 0:
        old = old.of_nok()
        print("the network answers the probability of OK: each threshold of --parts becomes 1 - threshold, of NOK")
    nok_threshold = recipe.model.nok_threshold if recipe.model.nok_threshold is not None else old.nok_threshold
    if nok_threshold is None:
        raise SystemExit("no nok_threshold: give [model] nok_threshold in the recipe, a probability of NOK")
    if args.out.exists() and any(args.out.iterdir() if args.out.is_dir() else [args.out]):
        raise SystemExit(f"--out {args.out}: exists and is not empty; nothing is overwritten")
    # PyTorch takes seconds to load: not before the recipe is right.
    from weldtrain import importing, torchmodule

    kind = torchmodule.load_class(args.module)
    if args.rows:
        welds = rows.read(args.rows, recipe, args.limit)
    else:
        welds = rows.made_up(recipe, min(args.limit, 100))
        print(f"no --rows: compared on {len(welds)} made-up welds; give real ones before you trust it")

    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=args.out.parent) as name:
        made = Path(name) / "models"
        golden = []
        whole = Part("", args.weights, nok_threshold)
        table = folders([part.name for part in old.parts])
        for part in [whole, *old.parts]:
            folder = table.get(part.name, "global") if part is not whole else "global"
            version = recipe.model.version if part is whole else f"{recipe.model.version}/{part.name}"
            weights = part.weights or args.weights
            of = f"part {part.name}" if part is not whole else "global"
            kept = part.nok_threshold if part.nok_threshold is not None else nok_threshold
            print(f"{of}: weights {weights}{'' if part.weights else ' (those of all parts)'}, nok_threshold {kept}")
            net = torchmodule.served(kind, recipe, weights)
            importing.write(made / folder, net, recipe, version, kept)
            answers = importing.compare(made / folder, net, recipe, welds, folder)
            taken = welds[: args.golden]
            golden += [(weld | {"part_no": part.name}, version, answer) for weld, answer in zip(taken, answers)]
        if table:
            importing.write_json(made / "parts.json", table)
        if golden:
            importing.write_golden(made / "golden", golden)
        if args.out.is_dir():
            args.out.rmdir()
        made.rename(args.out)
    print(f"{args.out}: a global model, {len(table)} of parts; next: model.model_export_dir = \"{args.out}\", then worker check")


if __name__ == "__main__":
    main()
