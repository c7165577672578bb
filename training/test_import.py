"""The import of PyTorch modules. Recipes need numpy only, their graphs onnx and onnxruntime, modules PyTorch too."""

import contextlib
import gzip
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is loaded, or it tells a collector

import numpy as np

from weldtrain import oldparts, rows
from weldtrain.recipe import QUANTITIES, Recipe

ROOT = Path(__file__).resolve().parent.parent
IMPORTED = ROOT / "tests/tests/data/imported"
INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("onnx", "onnxruntime", "torch")}
ONNX = INSTALLED["onnx"] and INSTALLED["onnxruntime"]

LEAST = "\n".join([
    '[model]\nversion = "m"\nnok_threshold = 0.5',
    *(f"[outputs.{name}]\noutput = {place}" for place, name in enumerate(("nok_prob", *QUANTITIES))),
])


def recipe(told=""):
    return Recipe.parse(f"{LEAST}\n{told}")


class Recipes(unittest.TestCase):
    def test_the_least_recipe_pads_stored_values_to_a_thousand(self):
        told = recipe()
        self.assertEqual((told.input.length, told.input.fit, told.input.values), (1000, "pad", "stored"))
        self.assertEqual(told.input.channels, ["U", "I", "R", "P"])
        self.assertEqual(told.scalars(), [])

    def test_what_is_wrong_is_named(self):
        for told, said in [
            ("[input]\nlenght = 9", r"unknown key `input.lenght`; known here: values, channels, length"),
            ("[extra]", "unknown key `extra`"),
            ("[outputs.width]", "unknown key `outputs.width`; known here: nok_prob, diameter"),
            ('[input]\nchannels = ["U", "U"]', r"`input.channels` is \['U', 'U'\]: give each once"),
            ('[input]\nchannels = ["U", "Z"]', "give each once, in the network's order, out of U, I, R, P"),
            ("[input]\ndivide_by = [1, 2]", "give a number for each of the channels U, I, R, P"),
            ("[input]\ndivide_by = [1, 2, 0, 1]", "cannot be divided by 0"),
            ("[input]\nsubtract = [1, 2, nan, 1]", "`input.subtract` is nan"),
            ('[input]\nfit = "stretch"', "give one of: pad .*, resample "),
            ("[input]\nlength = 1", "points a channel, 2 to 65536"),
            ("[input]\nmin_current = 0", "`input.min_current` is 0: give a number above 0"),
            ('[input]\nchannels = ["R"]\nderive_from = "divided"', "needs U and I"),
            ('[stored]\nu_unit = "kV"', "`stored.u_unit` is 'kV': give one of V, mV, percent_of_umax"),
            ("[stored]\nimax_scale = -1", "`stored.imax_scale` is -1"),
            ("[model]", "recipe: not TOML: .*model"),
        ]:
            with self.subTest(told), self.assertRaisesRegex(SystemExit, said):
                recipe(told)
        for whole, said in [
            ("[model]\nversion = 'm'", r"no \[outputs\]"),
            (LEAST.replace("version = \"m\"", ""), "no `model.version`"),
            (LEAST.replace("nok_threshold = 0.5", "nok_threshold = 7"), "`model.nok_threshold` is 7"),
            (LEAST.replace("[outputs.indentation]\noutput = 2", ""), r"no \[outputs.indentation\].*constant = 0.0"),
            (LEAST + "\nactivation = 'tanh'", "`outputs.stack_thickness.activation` is 'tanh': give one of none, sigmoid"),
            (LEAST + "\nactivation = 'softmax'", "say which `column`"),
            (LEAST.replace("output = 0", "constant = 0.5"), "a network that says nothing of NOK"),
            ("model = 3\n" + LEAST.replace("[model]\nversion = \"m\"\nnok_threshold = 0.5", ""), "write it as"),
        ]:
            with self.subTest(whole), self.assertRaisesRegex(SystemExit, said):
                Recipe.parse(whole)

    def test_the_order_of_the_arithmetic(self):
        weld = {"u_curve": [100, 200, 300], "i_curve": [0, 10, 50], "umax": 2, "imax": 9}
        clipped = recipe("[input]\nlength = 4\nmin_current = 20\ndivide_by = [100, 10, 5, 1000]").input_of([weld])[0]
        self.assertEqual(clipped.tolist(), [[1, 2, 3, 0], [0, 1, 5, 0], [1, 2, 1.2000000476837158, 0], [0, 2, 15, 0]])
        told = '[input]\nlength = 3\nchannels = ["R", "I", "U"]\nderive_from = "divided"\nbelow_min_current = "zero"\n' \
               "min_current = 0.5\nsubtract = [1, 10, 0]\ndivide_by = [2, 20, 100]"
        divided = recipe(told).input_of([weld])[0]
        self.assertEqual(divided.tolist(), [[-0.5, -0.5, 0.25], [-0.5, 0, 2], [1, 2, 3]])

    def test_stored_counts_are_those_of_the_plant(self):
        """Counts of 1 % of umax, and counts that times imax (in tens of ampere) times 1e-4 are kA."""
        told = '[stored]\nu_unit = "percent_of_umax"\ni_unit = "percent_of_imax"\nimax_unit = "A"\nimax_scale = 10'
        plant = recipe(told)
        self.assertEqual(plant.scalars(), ["umax", "imax"])
        u, i, maxima = plant.physical({"u_curve": [50, 100], "i_curve": [10, 90], "umax": 1.5, "imax": 952})
        np.testing.assert_allclose(u, [0.75, 1.5], rtol=1e-6)
        np.testing.assert_allclose(i, np.array([10, 90]) * 952 * 1e-4, rtol=1e-6)
        self.assertAlmostEqual(float(maxima["imax"]), 9.52, places=5)
        self.assertEqual(recipe(told + '\n[input]\nvalues = "V_kA"').scalars(), [])


class OldConfigurations(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "a.pth").touch()

    def read(self, told):
        path = self.folder / "inference_config.json"
        path.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
        return oldparts.OldParts.read(path)

    def test_parts_have_weights_a_threshold_or_both(self):
        found = self.read({
            "threshold": 0.7,
            "parts": {"7H0/809": {"model_path": "a.pth", "threshold": 0.6}, "左门": "a.pth"},
            "part_thresholds": {"B": 0.9},
        })
        self.assertEqual(found.nok_threshold, 0.7)
        told = [(part.name, part.weights, part.nok_threshold) for part in found.parts]
        path = self.folder / "a.pth"
        self.assertEqual(told, [("7H0/809", path, 0.6), ("左门", path, None), ("B", None, 0.9)])

    def test_what_is_wrong_is_named(self):
        for told, said in [
            ("[]", "holds no JSON object"),
            ("{", "Expecting property name"),
            ('{"parts": {"A": "a.pth", "A": "a.pth"}}', "key 'A' is there twice"),
            ({"device": "cuda"}, "names no parts: one of the keys parts, part_models"),
            ({"parts": {"A": "a.pth", "B": "b.pth", "C": {"file": "c.pth"}}}, "weights that are not there: 'B'.*b.pth; 'C'"),
            ({"parts": {"A": {"epochs": 3}}}, "part 'A' has keys 'epochs', of which none is of its weights or threshold"),
            ({"parts": {"A": {"checkpoint": "a.pth", "threshold": 0.6}}}, "part 'A' has keys 'checkpoint', 'threshold', of which none is of its weights;"),
            ({"parts": {"A": {"weights": "a.pth", "prob_threshold": 0.6}}}, "of which none is of its threshold;"),
            ({"parts": {"A": {"weights": "a.pth", "path": "b.pth"}}}, "'weights' and 'path' of part 'A' mean the same: keep one"),
            ({"parts": {"A": {"threshold": 0.6}}, "models": {"A": "a.pth"}}, "'parts' and 'models' mean the same: keep one"),
            ({"parts": {"A": {"threshold": 0.6}}, "thresholds": {"A": 0.5}}, "part 'A' has two thresholds, 0.6 and 0.5: keep one"),
            ({"parts": {"A": 5}}, "part 'A': the weights are 5"),
            ({"parts": {"A": {"threshold": "high"}}}, "threshold of part 'A'. is 'high'"),
        ]:
            with self.subTest(told), self.assertRaisesRegex(SystemExit, said):
                self.read(told)

    def test_a_threshold_that_is_said_to_be_of_nok_is_not_turned_round(self):
        for told in (
            {"nok_threshold": 0.2, "parts": {"A": "a.pth"}},
            {"parts": {"A": {"weights": "a.pth", "nok_threshold": 0.2}}},
            {"nok_thresholds": {"A": 0.2}},
        ):
            with self.assertRaisesRegex(SystemExit, "call it `threshold`"):
                self.read(told).of_nok()

    def test_thresholds_of_ok_become_those_of_nok(self):
        told = self.read({"threshold": 0.7, "parts": {"A": "a.pth", "B": {"threshold": 0.9}}}).of_nok()
        self.assertEqual((told.nok_threshold, [part.nok_threshold for part in told.parts]), (0.3, [None, 0.1]))
        self.assertEqual([part.name for part in told.parts], ["A", "B"])
        with self.assertRaisesRegex(SystemExit, "nok_threshold of part 'B', 1 - 1. is 0.0: give a probability above 0"):
            self.read({"parts": {"B": {"threshold": 1}}}).of_nok()

    def test_each_part_has_a_folder_of_its_own_below_parts(self):
        found = oldparts.folders(["7H0/809", "7H0 809", "7h0_809", "..", "", "../x", "左门", "a" * 300])
        self.assertEqual(list(found.values())[:7], [
            "parts/7H0_809", "parts/7H0_809_2", "parts/7h0_809_3", "parts/part", "parts/part_2", "parts/_x", "parts/左门",
        ])
        self.assertEqual(len(found["a" * 300]), len("parts/") + 80)


class Rows(unittest.TestCase):
    def test_what_a_worker_calls_invalid_is_left_out(self):
        near = {"umax": 2, "imax": 9, "u_curve": [2.0] * 59 + [-0.5], "i_curve": [9] * 62}
        good = {"record_id": 1, "umax": "2.0", "imax": 9, "u_curve": [2.0] * 60, "i_curve": str([9] * 60)}
        bad = [{"u_curve": [2.0, None] * 40}, {"u_curve": []}, {"umax": "None"}, {"imax": 900}, {"u_curve": [1e39] * 60}, {"umax": 9},
               {"u_curve": [2.0] * 59 + [-0.7]}, {"i_curve": [9] * 59 + [-3.0]}, {"i_curve": [9] * 63}]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "welds.jsonl.gz"
            with gzip.open(path, "wt") as file:
                file.writelines(json.dumps(weld) + "\n" for weld in [*({**good, **one} for one in bad), good, near])
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                found = rows.read(path, recipe(), 10)
            self.assertIn("9 of 11 records left out, which a worker calls invalid", said.getvalue())
            self.assertEqual([(weld["umax"], weld["i_curve"][0]) for weld in found], [(2.0, 9.0)] * 2)
            with gzip.open(path, "wt") as file:
                file.write('{"umax": 2}')
            with self.assertRaisesRegex(SystemExit, "jsonl.gz:1: no `u_curve`"):
                rows.read(path, recipe(), 10)
            with self.assertRaisesRegex(SystemExit, "cannot read"):
                rows.read(Path(folder) / "none.jsonl", recipe(), 10)


@unittest.skipUnless(ONNX, "onnx and onnxruntime are not installed")
class Graphs(unittest.TestCase):
    """A network that answers its own input: what it answers is what the graph made of the curves."""

    TOLD = [
        '[stored]\nu_unit = "percent_of_umax"\ni_unit = "percent_of_imax"\nimax_unit = "A"\nimax_scale = 10\n'
        "[input]\nmin_current = 1\ndivide_by = [200, 150, 5, 10000]",
        '[stored]\nu_unit = "mV"\ni_unit = "percent_of_imax"\n[input]\nfit = "resample"\nlength = 400\nchannels = ["I", "R", "U"]\n'
        'below_min_current = "zero"',
        '[input]\nvalues = "V_kA"\nchannels = ["R", "I", "U"]\nsubtract = [0.2, 4, 1]\ndivide_by = [0.1, 4, 1]\n'
        'derive_from = "divided"\nmin_current = 0.1',
        '[stored]\nu_scale = 0.01\ni_scale = 0.02\n[input]\nchannels = ["P"]\nlength = 50\ndivide_by = [7]',
    ]

    @staticmethod
    def echo(asked):
        import onnxruntime
        from onnx import TensorProto, helper

        from weldtrain import rawgraph

        shape = ["N", len(asked.input.channels), asked.input.length]
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "seen")]
        graph = helper.make_graph([helper.make_node("Identity", ["input"], ["seen"])], "echo", values[:1], values[1:])
        echo = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        whole = rawgraph.in_front(rawgraph.of_recipe(asked), echo, "input")
        return onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])

    def test_a_graph_makes_of_curves_what_the_recipe_says(self):
        for told in self.TOLD:
            with self.subTest(told):
                asked = recipe(told)
                session = self.echo(asked)
                inputs = {value.name for value in session.get_inputs()}
                self.assertEqual(inputs, {"curves", "spans"} | ({"scalars"} if asked.scalars() else set()))
                welds = rows.made_up(asked, 20)
                wanted = asked.input_of(welds)
                found = session.run(["seen"], rows.as_raw(asked, welds))[0]
                np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-5)

    def test_current_flows_from_the_count_on_that_the_old_program_had(self):
        """Counts that are multiplied into kA and divided again may come back a last bit smaller."""
        for stored, maximum in (('i_unit = "A"', 9.0), ('i_unit = "percent_of_imax"', 9.37), ("i_scale = 0.3", 9.0)):
            for derived in ("", 'derive_from = "divided"\nsubtract = [0, 300, 0, 0]\ndivide_by = [1, 0.7, 1, 1]\n'):
                least = 1000 if not derived else 1000 / 0.7
                told = f'[stored]\n{stored}\n[input]\nbelow_min_current = "zero"\nmin_current = {least}\nlength = 600\n{derived}'
                with self.subTest(told):
                    asked = recipe(told)
                    counts = [1300.0 if derived else 1000.0, 1299.0 if derived else 999.0, 1500.0] * 200
                    welds = [{"u_curve": [1.0 + n] * 600, "i_curve": counts, "umax": 2.0, "imax": maximum + n / 7} for n in range(9)]
                    found = self.echo(asked).run(["seen"], rows.as_raw(asked, welds))[0]
                    wanted = asked.input_of(welds)
                    self.assertTrue((wanted[:, 2, 0] > 0).all() and (wanted[:, 2, 1] == 0).all())
                    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-5)

    def test_a_centred_normalisation_is_the_same_and_keeps_its_digits(self):
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        from weldtrain import rawgraph

        draw = np.random.default_rng(1)
        curves = (draw.uniform(1.0, 3.0, (20, 3, 1)) + draw.normal(0.0, 0.002, (20, 3, 1000))).astype(np.float32)
        wide = curves.astype(np.float64)
        spread = np.sqrt(wide.var(axis=2, keepdims=True) + 1e-5)
        wanted = (wide - wide.mean(axis=2, keepdims=True)) / spread
        shape = ["N", 3, 1000]
        model = helper.make_model(helper.make_graph(
            [helper.make_node("InstanceNormalization", ["x", "scale", "bias"], ["y"], epsilon=1e-5)], "normalise",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(np.full(3, value, dtype=np.float32), name) for name, value in (("scale", 1), ("bias", 0))],
        ), opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        apart = []
        for whole in (model.SerializeToString(), rawgraph.centred(model).SerializeToString()):
            session = onnxruntime.InferenceSession(whole, providers=["CPUExecutionProvider"])
            apart.append(np.abs(session.run(["y"], {"x": curves})[0] - wanted).max())
        self.assertLess(apart[1], 1e-5)
        self.assertGreater(apart[0], 1e-4, "the kernel itself keeps its digits: centred() may go")


@unittest.skipUnless(all(INSTALLED.values()), "PyTorch is not installed: make test-training")
class Modules(unittest.TestCase):
    """The whole import, and what it says of modules and weights that it cannot use."""

    NETS = """
import torch
from torch import nn

class Flat(nn.Module):
    def __init__(self, outputs=5):
        super().__init__()
        self.head = nn.Linear(4, outputs)
    def forward(self, curves):
        return self.head(curves.mean(dim=2))

class Asking(Flat):
    def __init__(self, outputs, dropout):
        super().__init__(outputs)

class OfValues(Flat):
    def forward(self, curves):
        return super().forward(curves) if curves.sum() > 1e9 else super().forward(curves) * 2

class Talking(Flat):
    def forward(self, curves):
        return "NOK"

class Squeezing(Flat):
    def forward(self, curves):
        told = super().forward(curves)
        return torch.sigmoid(told[:, :1].squeeze()), told[:, 1:]

class Wider(Flat):
    def forward(self, curves):
        return self.head(curves[:, :, :4].mean(dim=1)).mean(dim=0)
"""
    COLUMNS = ('[model]\nversion = "flat"\nnok_threshold = 0.5\n[input]\ndivide_by = [1000, 1000, 100, 1e6]\n'
               "[outputs.nok_prob]\ncolumn = 0\nactivation = 'sigmoid'\n"
               + "".join(f"[outputs.{name}]\ncolumn = {k}\n" for k, name in enumerate(QUANTITIES, 1)))

    @classmethod
    def setUpClass(cls):
        import torch

        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        (cls.folder / "nets.py").write_text(cls.NETS)
        (cls.folder / "columns.toml").write_text(cls.COLUMNS)
        sys.path.insert(0, str(cls.folder))
        cls.addClassCleanup(sys.path.remove, str(cls.folder))
        import nets

        torch.manual_seed(3)
        net = nets.Flat()
        cls.net = net
        torch.save(net.state_dict(), cls.folder / "flat.pth")
        torch.save({f"module.{k}": v for k, v in net.state_dict().items()}, cls.folder / "parallel.pth")
        torch.save(net, cls.folder / "whole.pth")
        torch.save({"head.weight": net.head.weight.data[:, :3], "tail": net.head.bias.data}, cls.folder / "other.pth")
        torch.save({"optimizer": 3, "ema": net.state_dict()}, cls.folder / "nested.pth")
        (cls.folder / "text.pth").write_text("no weights")

    def refused(self, said, module="nets.py:Flat", weights="flat.pth", told=None, **more):
        """In this process, for PyTorch takes seconds to load."""
        import import_torch

        path = self.folder / "asked.toml"
        path.write_text(told or self.COLUMNS)
        options = {"module": self.folder / module, "weights": self.folder / weights, "recipe": path, "out": self.folder / "out", **more}
        arguments = ["import_torch.py", *(str(word) for key, value in options.items() for word in (f"--{key}", value))]
        printed = io.StringIO()
        with unittest.mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(printed):
            with self.assertRaisesRegex(SystemExit, said):
                import_torch.main()
        self.assertFalse((self.folder / "out").exists(), "nothing half made is left")

    def test_modules_weights_and_outputs_that_do_not_fit_are_told(self):
        flat = self.COLUMNS
        for said, asked in [
            ("no file `.*nothing.py`", {"module": "nothing.py:Flat"}),
            ("give FILE.py:CLASS", {"module": "nets.py"}),
            ("has no class Flatt that is a torch.nn.Module; it has Flat, Asking, ", {"module": "nets.py:Flatt"}),
            (r"Asking\(outputs, dropout\) cannot be made with no arguments.*\[model\] arguments", {"module": "nets.py:Asking"}),
            ("holds more than weights.*torch.save\\(model.state_dict", {"weights": "whole.pth"}),
            ("holds more than weights, or none", {"weights": "text.pth"}),
            ("cannot read the weights", {"weights": "none.pth"}),
            ("missing: head.bias; not of this module: tail; of another shape: head.weight \\[5, 3\\] for \\[5, 4\\]",
             {"weights": "other.pth"}),
            ("holds no table of tensors but optimizer, ema; model.weights_key", {"weights": "nested.pth"}),
            ("has no `net` \\(model.weights_key", {"weights": "nested.pth", "told": flat.replace("[input]", "weights_key = 'net'\n[input]")}),
            ("cannot be exported to ONNX", {"module": "nets.py:OfValues"}),
            ("answers str, but must answer tensors", {"module": "nets.py:Talking"}),
            ("output 0 is \\[5\\] for 3 rows", {"module": "nets.py:Wider"}),
            ("has 5 columns; say which `column`", {"told": flat.replace("column = 0\n", "")}),
            ("has 5 columns, but `column` is 9", {"told": flat.replace("column = 4", "column = 9")}),
            ("has no output 'nok'; it has 0", {"told": flat.replace("column = 0", "output = 'nok'")}),
            ("Flat fails on an input of \\[3, 3, 1000\\]", {"told": flat.replace(
                "divide_by = [1000, 1000, 100, 1e6]", 'channels = ["U", "I", "R"]')}),
            ("which is no probability", {"told": flat.replace("'sigmoid'", "'none'\nscale = 100")}),
            ("no nok_threshold", {"told": flat.replace("nok_threshold = 0.5", "")}),
        ]:
            with self.subTest(said):
                self.refused(said, **asked)
        self.refused("exists and is not empty", out=self.folder)
        heads = ('[model]\nversion = "two"\nnok_threshold = 0.5\n[input]\ndivide_by = [1000, 1000, 100, 1e6]\n[outputs.nok_prob]\n'
                 + "".join(f"[outputs.{name}]\noutput = 1\ncolumn = {k}\n" for k, name in enumerate(QUANTITIES)))
        self.refused(r"fails on 1 rows.*write `.squeeze\(1\)` instead of `.squeeze\(\)`", module="nets.py:Squeezing", told=heads)

    def test_thresholds_of_a_network_that_answers_ok(self):
        import import_torch

        told = self.COLUMNS.replace("nok_threshold = 0.5\n", "").replace("'sigmoid'", "'sigmoid'\nscale = -1\noffset = 1")
        (self.folder / "ok.toml").write_text(told)
        (self.folder / "ok.json").write_text(json.dumps({"threshold": 0.8, "parts": {"A": {"threshold": 0.6}}}))
        options = {"module": self.folder / "nets.py:Flat", "weights": self.folder / "flat.pth", "recipe": self.folder / "ok.toml",
                   "parts": self.folder / "ok.json", "out": self.folder / "of-ok"}
        arguments = ["import_torch.py", *(str(word) for key, value in options.items() for word in (f"--{key}", value))]
        printed = io.StringIO()
        with unittest.mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(printed):
            import_torch.main()
        self.assertIn("each threshold of --parts becomes 1 - threshold", printed.getvalue())
        for folder, threshold in (("global", 0.2), ("parts/A", 0.4)):
            config = json.loads((self.folder / "of-ok" / folder / "inference_config.json").read_text())
            self.assertEqual(config["nok_threshold"], threshold)

    def test_the_old_services_kind_of_network_from_weights_to_golden_batch(self):
        """Its graph is checked in with what PyTorch answers; made again, it is the same."""
        with tempfile.TemporaryDirectory() as out:
            path = os.pathsep.join([str(ROOT / "training"), *filter(None, [os.environ.get("PYTHONPATH")])])
            made = subprocess.run(
                [sys.executable, IMPORTED / "make.py", "--out", out, "--only", "counts", "--golden", "3"],
                env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            self.assertEqual(made.returncode, 0, made.stdout)
            self.assertRegex(made.stdout, r"parts/7H0_809: \d+ welds, largest difference to PyTorch \d\.\d+e-0[5-9]")
            print(made.stdout)
            found = Path(out) / "counts"
            self.assertEqual(json.loads((found / "parts.json").read_text()), {"7H0/809": "parts/7H0_809"})
            config = json.loads((found / "parts/7H0_809/inference_config.json").read_text())
            self.assertEqual((config["model_version"], config["nok_threshold"]), ("imported-counts/7H0/809", 0.3))
            again, kept = (self.lines(folder / "expected.jsonl.gz") for folder in (found, IMPORTED / "counts"))
            self.assertEqual(len(again), len(kept))
            for one, other in zip(again, kept):
                for name in ("ml_nok_prob", *QUANTITIES):
                    self.assertLess(abs(one[name] - other[name]), 1e-4, (one, other))
            golden = [self.lines(found / f"golden/{name}.jsonl.gz") for name in ("rows", "expected")]
            self.assertEqual([weld["part_no"] for weld in golden[0]], [""] * 3 + ["7H0/809"] * 3)
            self.assertEqual([weld["record_id"] for weld in golden[0]], [weld["record_id"] for weld in golden[1]])

    def test_weights_of_a_parallel_module_and_of_a_table_in_a_table(self):
        from weldtrain import torchmodule

        told = recipe()
        kind = torchmodule.load_class(f"{self.folder / 'nets.py'}:Flat")
        for weights, key in (("parallel.pth", None), ("nested.pth", "ema")):
            net = torchmodule.construct(kind, told.model.arguments)
            torchmodule.load_weights(net, self.folder / weights, key)
            self.assertTrue((net.head.weight == self.net.head.weight).all())

    @staticmethod
    def lines(path):
        with gzip.open(path, "rt") as file:
            return [json.loads(line) for line in file]


if __name__ == "__main__":
    unittest.main()
