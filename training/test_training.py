"""python -m unittest discover training: needs numpy only; the tests of the wrapper also onnx and onnxruntime."""

import importlib.util
import unittest

import numpy as np

from weldtrain import clickhouse, features, metrics


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


class Metrics(unittest.TestCase):
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


class RowBinary(unittest.TestCase):
    def test_reads_what_clickhouse_writes(self):
        curve = np.arange(200, dtype="<f4")
        data = b"\xc8\x01" + curve.tobytes() + b"\x03NOK" + np.array([1.5], dtype="<f4").tobytes()
        reader = clickhouse._RowBinary(data)
        self.assertEqual(reader.floats().tolist(), curve.tolist())
        self.assertEqual(reader.text(), "NOK")
        self.assertEqual(reader.floats(1).tolist(), [1.5])
        self.assertTrue(reader.done())


ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


@unittest.skipUnless(ONNX, "onnx and onnxruntime are not installed")
class RawModel(unittest.TestCase):
    """A model that answers its own features, wrapped: what it answers is what the graph made of the curves."""

    CONFIG = {"target_len": 1000, "scale": features.SCALE, "current_floor_ka": features.CURRENT_FLOOR_KA}

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
        expected = features.tensor(*(features.fit_curves([weld[k] for weld in curves]) for k in (0, 1)))
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


if __name__ == "__main__":
    unittest.main()
