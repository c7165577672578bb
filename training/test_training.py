"""What needs no service. The tests of the wrapper need onnx and onnxruntime, those of the old network PyTorch too, all others
numpy only."""

import importlib.util
import os
import tempfile
import unittest
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is loaded, or it tells a collector

import numpy as np

from weldtrain import anybatch, clickhouse, features, fitting, metrics, outfolder


class Features(unittest.TestCase):
    def test_resamples_as_numpy_does(self):
        draw = np.random.default_rng(3)
        for samples in (2, 50, 599, 1000, 1001, 2400):
            curve = draw.normal(2.0, 1.0, samples).astype(np.float32)
            fitted = features.fit_curve(curve)
            expected = np.interp(np.linspace(0, samples - 1, 1000), np.arange(samples), curve.astype(np.float64))
            self.assertEqual(fitted.dtype, np.float32)
            self.assertLess(np.abs(fitted - expected).max(), 1e-6)
            self.assertEqual((fitted[0], fitted[-1]), (curve[0], curve[-1]))

    def test_resistance_is_masked_below_the_floor(self):
        u = np.array([[2.0, 3.0, 0.01]], dtype=np.float32)
        i = np.array([[8.0, 1.0, 0.5]], dtype=np.float32)
        row = features.tensor(u, i)[0]
        self.assertEqual(row[0].tolist(), [1.0, 1.5, np.float32(0.005)])
        self.assertEqual(row[1].tolist(), [1.0, 0.125, 0.0625])
        self.assertEqual(row[2].tolist(), [1.0, 12.0, 0.0])
        self.assertEqual(row[3][:2].tolist(), [0.5, 0.09375])


class IdleTime(unittest.TestCase):
    """A weld of two pulses, recorded from early on to long after, with the sensors' noise."""

    @staticmethod
    def recording(before, after, interval_ms=1.0):
        draw = np.random.default_rng(7)
        lengths = [round(ms / interval_ms) for ms in (before, 60, 20, 300, after)]
        u = np.concatenate([np.full(n, level) for n, level in zip(lengths, (0.0, 1.8, 0.0, 2.6, 0.0))])
        i = np.concatenate([np.full(n, level) for n, level in zip(lengths, (0.0, 6.0, 0.0, 9.0, 0.0))])
        noise = draw.normal(0.0, 0.01, (2, len(u)))
        noise[:, lengths[0] : sum(lengths[:4])] = 0.0
        noise[1, : lengths[0] // 2 : 50] = noise[1, len(u) - lengths[4] // 2 :: 50] = 3.0  # spikes are no current
        return (u + noise[0]).astype(np.float32), (i + noise[1]).astype(np.float32)

    def test_a_recorder_that_runs_longer_changes_nothing(self):
        idle = features.Idle(0.0, 0.0)
        short, long = self.recording(5, 12), self.recording(90, 1500)
        for a, b in zip(*(features.fit_curves([u], [i], 1.0, idle) for u, i in (short, long))):
            self.assertTrue((a == b).all())

    def test_idle_time_is_kept_in_milliseconds_and_no_more_than_there_is(self):
        for interval_ms in (1.0, 0.1):
            _, i = self.recording(50, 400, interval_ms)
            span = features.weld_span(i, interval_ms, features.Idle(8.0, 12.0))
            self.assertEqual((span.start, span.stop), (round(42 / interval_ms), round(442 / interval_ms)))
            self.assertEqual(features.weld_span(i, interval_ms, features.Idle(1e6, 1e6)), slice(0, len(i)))

    def test_the_most_that_training_curves_have_cuts_none_of_them(self):
        curves = [self.recording(*around)[1] for around in ((5, 200), (40, 12))]
        self.assertEqual(features.most_idle(curves, 1.0), features.Idle(40.0, 200.0))

    def test_without_current_nothing_is_cut(self):
        i = np.zeros(300, dtype=np.float32)
        i[100] = 8.0
        self.assertEqual(features.weld_span(i, 1.0, features.Idle(1.0, 1.0)), slice(0, 300))


class Metrics(unittest.TestCase):
    def test_what_was_not_measured_weighs_nothing(self):
        values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
        self.assertEqual(metrics.mean_of_known(values), [2.0, 5.0, None])
        mean, deviation = fitting.spread(np.array([[1, 2, 3, 4], [3, np.nan, 3, 8]], dtype=np.float32))
        self.assertEqual((mean.tolist(), deviation.tolist()), ([2, 2, 3, 6], [1, 1, 1, 2]))
        with self.assertRaisesRegex(SystemExit, "measured_stack_thickness"):
            fitting.spread(np.array([[1, 2, 3, np.nan]], dtype=np.float32))

    def test_auc_pr(self):
        nok = np.array([True, False, True, False])
        self.assertEqual(metrics.auc_pr(np.array([0.9, 0.2, 0.8, 0.1]), nok), 1.0)
        self.assertAlmostEqual(metrics.auc_pr(np.array([0.9, 0.8, 0.7, 0.1]), nok), 0.5 + 0.5 * 2 / 3)
        self.assertAlmostEqual(metrics.auc_pr(np.full(4, 0.5), nok), 0.5)

    def test_threshold_lies_between_the_classes(self):
        nok = np.array([False, True, False, True])
        self.assertAlmostEqual(metrics.best_threshold(np.array([0.1, 0.9, 0.05, 0.95]), nok), 0.5, places=3)

    def test_threshold_with_the_best_f1_when_classes_overlap(self):
        probability = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.1])
        nok = np.array([True, True, False, True, False, False])
        threshold = metrics.best_threshold(probability, nok)
        self.assertTrue(0.2 < threshold < 0.6, threshold)


    def test_threshold_is_where_the_best_f1_is_however_low_or_high(self):
        nok = np.array([True, True, False, False])
        for probability in ([0.0009, 0.0008, 0.0001, 0.00005], [3e-7, 2e-7, 1e-7, 0.0], [0.99999, 0.99998, 0.99995, 0.5],
                            [1.0, 0.99999994, 0.9999999, 0.5], [1.0, 1.0, 0.99999994, 0.2]):
            probability = np.array(probability, dtype=np.float32)
            threshold = metrics.best_threshold(probability, nok)
            self.assertEqual(metrics.f1_at(probability, nok, threshold), 1.0, (probability, threshold))
            self.assertTrue(0 < threshold <= 1)
        self.assertEqual(metrics.best_threshold(np.array([0.0009, 0.0008, 0.0001, 0.0001]), nok), 0.0003)
        with self.assertRaisesRegex(SystemExit, "best where every weld is called NOK"):
            metrics.best_threshold(np.zeros(4), nok)

    def test_threshold_parts_any_classes_that_can_be_parted(self):
        draw = np.random.default_rng(2)
        for _ in range(300):
            nok = draw.random(40) < 0.4
            nok[0] = True
            probability = (draw.uniform(0.05, 1.0, 40) ** draw.integers(1, 30)).astype(np.float32)
            threshold = metrics.best_threshold(probability, nok)
            self.assertEqual(metrics.f1_at(probability, nok, threshold), metrics.best_f1(probability, nok))

    def test_a_defect_counts_nok_welds_alone(self):
        """Plants write no defect for OK welds, and none for many NOK ones."""
        from weldtrain import card

        nok = np.array([True, True, True, False, False, False])
        data = fitting.Fitted(np.zeros((6, 2)), np.zeros((6, 2)), nok, np.array(["", "", "burn", "", "burn", ""]), np.full((6, 4), np.nan))
        figures = card.evaluate(data, np.array([0.9, 0.1, 0.9, 0.1, 0.1, 0.1]), np.zeros((6, 4)), 0.5)
        self.assertEqual({kind: (one["welds"], one["recall"]) for kind, one in figures["defects"].items()}, {"": (2, 0.5), "burn": (1, 1.0)})
        self.assertIn("| not told | 2 |", "\n".join(card._defects({1: figures}, simulated=False)))
        self.assertIn("| burn | 0 | not trained | not trained |", card._defects({}, simulated=True))


class NativeBlocks(unittest.TestCase):
    @staticmethod
    def column(name, kind, data):
        text = [bytes([len(word)]) + word.encode() for word in (name, kind)]
        return b"".join(text) + data

    def test_reads_what_clickhouse_writes(self):
        curve = np.arange(200, dtype="<f4")
        block = b"\x03\x02" + b"".join([
            self.column("u", "Array(Float32)", np.array([200, 202], dtype="<u8").tobytes() + np.append(curve, [7, 8]).astype("<f4").tobytes()),
            self.column("label", "String", b"\x03NOK\x00"),
            self.column("mm", "Float32", np.array([1.5, np.nan], dtype="<f4").tobytes()),
        ])
        blocks = list(clickhouse.NativeBlocks(block + block))
        self.assertEqual(len(blocks), 2)
        for (_, _, curves), (name, kind, labels), (_, _, mm) in blocks:
            self.assertEqual((name, kind, labels), ("label", "String", ["NOK", ""]))
            self.assertEqual([one.tolist() for one in curves], [curve.tolist(), [7, 8]])
            self.assertEqual((mm[0], np.isnan(mm[1])), (1.5, True))

    def test_a_type_that_was_not_asked_for_is_named(self):
        block = b"\x01\x01" + self.column("mm", "Nullable(Float32)", b"\x00\x00\x00\x00\x00")
        with self.assertRaisesRegex(SystemExit, r"Nullable\(Float32\)"):
            list(clickhouse.NativeBlocks(block))


class OutFolder(unittest.TestCase):
    """The folder of a model that workers may be reading."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name) / "models" / "global"

    def write(self, version):
        with outfolder.replacing(self.out) as made:
            for name in outfolder.FILES:
                (made / name).write_text(f'{{"model_version": "{version}"}}')

    def version(self):
        return (self.out / "inference_config.json").read_text()

    def test_a_training_that_ends_badly_leaves_what_was_there(self):
        for before in (False, True):
            if before:
                self.write("m-1")
            with self.assertRaises(SystemExit), outfolder.replacing(self.out) as made:
                (made / "model.onnx").write_text("half")
                raise SystemExit("not fit for use")
            self.assertEqual(self.out.exists(), before)
        self.assertIn("m-1", self.version())
        self.write("m-2")
        self.assertIn("m-2", self.version())
        self.assertEqual([path.name for path in self.out.parent.iterdir()], ["global"])

    def test_a_version_is_not_given_twice_and_no_other_folder_is_replaced(self):
        outfolder.refuse(self.out, "m-1", overwrite=False)
        self.write("m-1")
        with self.assertRaisesRegex(SystemExit, "holds a model of version m-1 already"):
            outfolder.refuse(self.out, "m-1", overwrite=False)
        outfolder.refuse(self.out, "m-1", overwrite=True)
        outfolder.refuse(self.out, "m-2", overwrite=False)
        with self.assertRaisesRegex(SystemExit, "something else than a trained model"):
            outfolder.refuse(self.out.parent, "m-2", overwrite=True)


class AnyBatch(unittest.TestCase):
    WELDS = [{"number": number} for number in range(5)]
    EXPECTED = np.arange(25, dtype=np.float32).reshape(5, 5)

    def check(self, answer):
        rows = lambda some: self.EXPECTED[[weld["number"] for weld in some]]
        anybatch.check(lambda some: answer(rows(some)), self.WELDS, self.EXPECTED, 1e-4, "global")

    def test_one_row_is_answered_like_many(self):
        self.check(lambda rows: (rows[:, 0], rows[:, 1:]))
        for answer, said in (
            (lambda rows: (rows[:, :1].squeeze(), rows[:, 1:]), r"shapes \[\[\], \[1, 4\]\] for 1 rows"),
            (lambda rows: (rows[:, 0], (rows - rows.mean(0))[:, 1:]), "1 rows alone and among others"),
            (lambda rows: (rows[:, 0], rows[:, 1:].reshape(2, -1)), "fails on 1 rows|shapes"),
            (lambda rows: (rows[:, 0], rows[1, 1:]), "fails on 1 rows"),
        ):
            with self.assertRaisesRegex(SystemExit, f"({said}).*write `.squeeze\\(1\\)` instead of"):
                self.check(answer)


ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


@unittest.skipUnless(ONNX, "onnx and onnxruntime are not installed")
class Lengths(unittest.TestCase):
    """training/clip_lengths.py: no length below 0, and nothing else is changed."""

    def test_what_is_below_0_becomes_0_and_a_nan_stays_one(self):
        import onnxruntime
        from onnx import TensorProto, checker, helper, numpy_helper

        from clip_lengths import clipped

        graph = helper.make_graph(
            [
                helper.make_node("ReduceMean", ["curves", "axes"], ["nok_prob"], keepdims=0),
                helper.make_node("ReduceMean", ["curves", "time"], ["means"], keepdims=0),
                helper.make_node("Neg", ["means"], ["regression"]),
            ],
            "linear",
            [helper.make_tensor_value_info("curves", TensorProto.FLOAT, ["N", 4, 8])],
            [
                helper.make_tensor_value_info("nok_prob", TensorProto.FLOAT, ["N"]),
                helper.make_tensor_value_info("regression", TensorProto.FLOAT, ["N", 4]),
            ],
            [numpy_helper.from_array(np.array(axes, dtype=np.int64), name) for name, axes in (("axes", [1, 2]), ("time", [2]))],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        rows = np.random.default_rng(3).normal(0.0, 1.0, (70, 4, 8)).astype(np.float32)
        rows[0, 2] = np.nan

        def answers():
            checker.check_model(model, full_check=True)
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            return session.run(["nok_prob", "regression"], {"curves": rows})

        before = answers()
        self.assertTrue((before[1] < 0).any())
        clipped(model)
        after = answers()
        self.assertEqual(after[0].tobytes(), before[0].tobytes())
        self.assertTrue(np.isnan(after[1][0, 2]))
        self.assertEqual(after[1].tobytes(), np.maximum(before[1], np.float32(0)).tobytes())
        nodes = len(model.graph.node)
        self.assertEqual(len(clipped(model).graph.node), nodes, "once is enough")

    def test_the_shipped_models_have_the_bound(self):
        import onnx

        for path in ("models/global", "bench/models/cnn-raw/global"):
            model = onnx.load(Path(__file__).parent.parent / path / "model.onnx")
            (last,) = [node for node in model.graph.node if "regression" in node.output]
            self.assertEqual(last.op_type, "Max", path)


@unittest.skipUnless(ONNX, "onnx and onnxruntime are not installed")
class RawModel(unittest.TestCase):
    """A model that answers its own features, wrapped: what it answers is what the graph made of the curves."""

    # Without `current_floor_ka`: its default is the worker's.
    CONFIG = {"target_len": 1000, "scale": features.SCALE}

    def features_of(self, curves, fit):
        import onnxruntime
        import raw_model
        from onnx import TensorProto, helper

        shape = ["N", 4, 1000]
        graph = helper.make_graph(
            [helper.make_node("Identity", ["curves"], ["seen"])], "echo",
            [helper.make_tensor_value_info("curves", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("seen", TensorProto.FLOAT, shape)],
        )
        echo = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        wrapped = raw_model.wrap(echo, {**self.CONFIG, "fit": fit})
        session = onnxruntime.InferenceSession(wrapped.SerializeToString(), providers=["CPUExecutionProvider"])
        lengths = [len(u) for u, _ in curves]
        starts = np.cumsum([0] + [2 * n for n in lengths[:-1]])
        spans = np.stack([starts, lengths], axis=1).astype(np.int64)
        samples = np.concatenate([curve for weld in curves for curve in weld])
        return session.run(["seen"], {"curves": samples, "spans": spans})[0]

    @staticmethod
    def curves(lengths):
        draw = np.random.default_rng(5)
        flow = [np.clip(draw.normal(9.0, 4.0, n), 0.0, None).astype(np.float32) for n in lengths]
        return [((i * 0.29 + draw.normal(0.0, 0.01, len(i))).astype(np.float32), i) for i in flow]

    def test_resampled_features_are_those_of_the_worker(self):
        curves = self.curves([2, 50, 599, 1000, 1001, 2400])
        u, i = ([weld[k] for weld in curves] for k in (0, 1))
        expected = features.tensor(*features.fit_curves(u, i, 1.0, features.Idle(1e6, 1e6)))
        seen = self.features_of(curves, "resample")
        flows = (expected[:, 2] == 0) == (seen[:, 2] == 0)
        self.assertTrue(flows.all(), "R is masked at the same points")
        self.assertLess(np.abs(seen - expected).max(), 1e-5)

    def test_padded_features_end_in_zeros_and_long_curves_are_cut(self):
        curves = self.curves([3, 1000, 1500])
        seen = self.features_of(curves, "pad")
        self.assertEqual(seen[0, 0, :3].tolist(), (curves[0][0] * np.float32(0.5)).tolist())
        self.assertEqual(np.abs(seen[0, :, 3:]).max(), 0.0)
        self.assertEqual(seen[2, 1].tolist(), (curves[2][1][:1000] * np.float32(0.125)).tolist())


@unittest.skipUnless(importlib.util.find_spec("torch"), "PyTorch is not installed: make test-training")
class TrainedNetwork(unittest.TestCase):
    def test_no_length_is_below_0(self):
        import torch

        from weldtrain.export import check_parity, export_onnx
        from weldtrain.network import ExportedNet, WeldNet
        from weldtrain.runtime import Runtime

        net = WeldNet().eval()
        net(torch.zeros(1, 4, features.TARGET_LEN))
        # About as many below 0 as above.
        exported = ExportedNet(net, torch.zeros(4), torch.full((4,), 30.0)).eval()
        rows = np.random.default_rng(3).uniform(0.0, 2.0, (40, 4, features.TARGET_LEN)).astype(np.float32)
        with torch.inference_mode():
            self.assertTrue((net(torch.from_numpy(rows))[1] < 0).any())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            export_onnx(exported, path)
            runtime = Runtime(path)
            import onnx

            (last,) = [node for node in onnx.load(path).graph.node if "regression" in node.output]
        self.assertEqual(last.op_type, "Max", "which lets a NaN through")
        check_parity(exported, runtime, rows)
        _, millimetres = runtime(rows)
        self.assertEqual(millimetres.min(), 0.0)
        rows[0] = np.nan
        self.assertTrue(np.isnan(runtime(rows)[1][0]).all())


@unittest.skipUnless(importlib.util.find_spec("torch"), "PyTorch is not installed: make test-training")
class OldNetwork(unittest.TestCase):
    """The network of training/old_network_model.py, narrow."""

    LENGTH = 96

    @classmethod
    def setUpClass(cls):
        from weldtrain.oldnetwork import OldNetwork as Network

        cls.network = staticmethod(lambda seed: Network(cls.LENGTH, widths=(8, 4), seed=seed).eval())

    def test_a_seed_is_a_network(self):
        one, again, other = (self.network(seed).state_dict() for seed in (1, 1, 2))
        self.assertTrue(all((again[name] == value).all() for name, value in one.items()))
        weights = [name for name, value in one.items() if name.endswith("weight") and value.ndim > 1]
        self.assertTrue(all((other[name] != one[name]).any() for name in weights))

    def test_its_graph_takes_any_batch_and_answers_as_pytorch(self):
        from weldtrain.export import check_parity, export_onnx
        from weldtrain.runtime import Runtime

        network = self.network(1)
        rows = np.random.default_rng(3).uniform(0.0, 2.0, (5, 4, self.LENGTH)).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            export_onnx(network, path, self.LENGTH)
            runtime = Runtime(path)
        check_parity(network, runtime, rows)
        probability, millimetres = runtime(rows)
        self.assertEqual((probability.shape, millimetres.shape), ((5,), (5, 4)))
        self.assertTrue(((probability > 0) & (probability < 0.5)).all())
        # A verdict does not depend on the welds beside it, and does depend on the weld.
        for row in range(5):
            self.assertLess(np.abs(runtime(rows[row : row + 1])[1][0] - millimetres[row]).max(), 1e-5)
        self.assertGreater(np.abs(millimetres - millimetres[0]).max(), 1e-3)


if __name__ == "__main__":
    unittest.main()
