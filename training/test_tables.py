"""Every script of training/ on the product's own tables, as `scheduler migrate` makes and `scheduler simulate` fills them.

Needs numpy, onnx, onnxruntime and a built scheduler ($SCHEDULER, else target/debug/scheduler); ClickHouse comes from
tools/services.sh. What trains needs PyTorch too, and is left out where that is not installed (`make test-training`).
"""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime is loaded

import numpy as np
import onnxruntime

import train
from weldtrain import card, clickhouse, features, metrics
from weldtrain.fitting import Fitted
from weldtrain.runtime import Runtime

ROOT = Path(__file__).resolve().parent.parent
TORCH = importlib.util.find_spec("torch") is not None
DAYS = range(20260901, 20260907)
# Of a day: enough for the smoke test's training where that runs, else enough to read and judge.
ROWS = 1_500 if TORCH else 80
TABLE = "spot_records"


class Plant:
    """A ClickHouse of its own with the product's tables and the days of days.sh; gone after `close`."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.services = subprocess.Popen(
            [ROOT / "tools/services.sh", "run", Path(tempfile.gettempdir()) / f"weldfleet-training-{os.getpid()}", "clickhouse"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        line = self.services.stdout.readline()
        assert line.startswith("ready "), f"services did not start; the reason is on stderr above; answer: {line!r}"
        url = json.loads(line.removeprefix("ready "))["env"]["WELDFLEET__CLICKHOUSE__URL"]
        self.server = clickhouse.Server(url, "default", "", "weld")
        self.scheduler = os.environ.get("SCHEDULER", str(ROOT / "target/debug/scheduler"))
        # Nothing of the caller's own configuration.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WELDFLEET")}
        self.environment = {
            **clean, "WELDFLEET__CLICKHOUSE__URL": url, "WELDFLEET__MYSQL__ENABLED": "false",
            "SCHEDULER": self.scheduler, "ROWS": str(ROWS),
        }
        self.run(self.scheduler, "migrate")
        self.run("training/days.sh")

    def run(self, *command, **more) -> str:
        result = subprocess.run(
            [str(word) for word in command], cwd=ROOT, env={**self.environment, **more},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        assert result.returncode == 0, f"{command} ended with {result.returncode}:\n{result.stdout}"
        return result.stdout

    def query(self, sql: str) -> str:
        url = f"{self.server.url}/?database=weld"
        with urllib.request.urlopen(urllib.request.Request(url, data=sql.encode()), timeout=60) as answer:
            return answer.read().decode().strip()

    def close(self):
        self.services.stdin.close()
        self.services.wait()
        self.services.stdout.close()
        self.folder.cleanup()


class Tables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plant = Plant()
        cls.addClassCleanup(cls.plant.close)

    def read(self, day, table=TABLE, limit=None):
        return clickhouse.read_day(self.plant.server, table, day, limit)

    def fitted(self, days=DAYS):
        return Fitted.of([self.read(day) for day in days])

    def test_days_are_read_as_they_are_stored(self):
        for day in DAYS:
            self.assertEqual(len(self.read(day)), ROWS)
        day = self.read(DAYS[1])
        rows = self.plant.query(
            f"SELECT u_curve, i_curve, label, label_defect, {', '.join(clickhouse.REGRESSIONS)} FROM {TABLE} "
            f"WHERE data_date = {DAYS[1]} ORDER BY ck_local_time, record_id FORMAT JSONEachRow"
        )
        for number, row in enumerate(map(json.loads, rows.splitlines())):
            self.assertEqual(day.u[number].tolist(), np.array(row["u_curve"], dtype=np.float32).tolist())
            self.assertEqual(day.i[number].tolist(), np.array(row["i_curve"], dtype=np.float32).tolist())
            self.assertEqual((day.nok[number], day.defect[number]), (row["label"] == "NOK", row["label_defect"]))
            stored = np.array([row[name] for name in clickhouse.REGRESSIONS], dtype=np.float32)
            self.assertEqual(day.measured[number].tolist(), stored.tolist())
        self.assertTrue(day.nok.any() and not day.nok.all())
        self.assertEqual(len(self.read(DAYS[1], limit=30)), 30)

    def test_a_plants_own_types_and_missing_values_are_read(self):
        """Dates as Date, labels and curves that may be NULL, decimals, text; most welds were never measured."""
        self.plant.query(
            f"CREATE TABLE own ENGINE = MergeTree ORDER BY ck_local_time SETTINGS allow_nullable_key = 1 AS "
            f"SELECT toDate(toString(data_date)) AS data_date, ck_local_time, toString(record_id) AS record_id, "
            f"CAST(u_curve AS Array(Nullable(Float64))) AS u_curve, CAST(i_curve AS Array(Float64)) AS i_curve, "
            f"CAST(nullIf(multiIf(n % 4 = 1, '', n % 4 = 2, '?', label), '?') AS LowCardinality(Nullable(String))) AS label, "
            f"CAST(nullIf(label_defect, '') AS Nullable(String)) AS label_defect, "
            f"CAST(if(n % 8 = 0, measured_diameter, NULL) AS Nullable(Decimal(9, 4))) AS measured_diameter, "
            f"if(n % 8 = 0, toString(measured_indentation), NULL) AS measured_indentation, "
            f"measured_front_thickness, CAST(NULL AS Nullable(Float32)) AS measured_stack_thickness "
            f"FROM (SELECT *, row_number() OVER (ORDER BY ck_local_time, record_id) - 1 AS n "
            f"FROM {TABLE} WHERE data_date = {DAYS[0]})"
        )
        whole, day = self.read(DAYS[0]), self.read(DAYS[0], "own")
        # By time alone: ids are ordered as text here.
        labelled = [n for n in range(ROWS) if n % 4 in (0, 3)]
        self.assertEqual(len(day), len(labelled))
        self.assertEqual(day.nok.sum(), whole.nok[labelled].sum())
        measured = np.array([n % 8 == 0 for n in labelled])
        self.assertEqual(np.isfinite(day.measured).sum(axis=0).tolist(), [measured.sum(), measured.sum(), len(labelled), 0])
        known, expected = (np.nanmean(values[:, :2], axis=0) for values in (day.measured, whole.measured[labelled][measured]))
        self.assertLess(np.abs(known - expected).max(), 1e-3)

    def test_a_profile_of_the_server_changes_no_answer(self):
        """With this setting, Native names its types in binary. That it is pinned is seen by what happens when it is not."""
        pinned = dict(clickhouse.SETTINGS)
        self.addCleanup(clickhouse.SETTINGS.update, pinned)
        clickhouse.SETTINGS["output_format_native_encode_types_in_binary_format"] = "1"
        with self.assertRaises((SystemExit, ValueError, IndexError)):
            self.read(DAYS[0])

    def test_a_day_without_labelled_welds_is_told(self):
        with self.assertRaisesRegex(SystemExit, "no labelled welds of 20250101 in spot_records"):
            self.read(20250101)
        with self.assertRaisesRegex(SystemExit, "UNKNOWN_TABLE"):
            self.read(DAYS[0], "nowhere")

    def test_what_train_does_besides_training(self):
        """Judging held-out days, the threshold and the card, with the committed model."""
        runtime = Runtime(ROOT / "models/global/model.onnx")
        data = self.fitted(DAYS[:2])
        probability, regression = runtime.run(data)
        figures = card.evaluate(data, probability, regression, metrics.best_threshold(probability, data.nok))
        self.assertEqual(figures["welds"], 2 * ROWS)
        self.assertGreater(figures["auc_pr"], 0.95)
        for error, bound in zip(figures["mae_mm"], (0.3, 0.05, 0.05, 0.1)):
            self.assertLess(error, bound)
        data.measured[:, 3] = np.nan
        figures = card.evaluate(data, probability, regression, 0.5)
        self.assertIsNone(figures["mae_mm"][3])

    def test_near_free_model(self):
        out = Path(self.plant.folder.name) / "near-free"
        self.plant.run(sys.executable, "training/near_free_model.py", "--out", out, "--model-version", "n-1")
        config = json.loads((out / "inference_config.json").read_text())
        self.assertEqual(config["model_version"], "n-1")
        probability, regression = Runtime(out / "model.onnx").run(self.fitted())
        self.assertTrue(np.isfinite(regression).all())
        self.assertTrue(((probability >= 0) & (probability <= 1)).all())

    def test_raw_model(self):
        """The wrapped model is fed the curves as they are stored and answers what the model does to their features."""
        out = Path(self.plant.folder.name) / "raw"
        self.plant.run(sys.executable, "training/raw_model.py", "--model", "models/global", "--out", out)
        config = json.loads((out / "inference_config.json").read_text())
        self.assertEqual(config["input_kind"], "raw")
        session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
        for number in DAYS[:2]:
            day = self.read(number, limit=60)
            lengths = np.array([len(curve) for curve in day.u])
            starts = np.concatenate([[0], np.cumsum(2 * lengths)[:-1]])
            samples = np.concatenate([curve for weld in zip(day.u, day.i) for curve in weld])
            spans = np.stack([starts, lengths], axis=1).astype(np.int64)
            found = session.run(["nok_prob", "regression"], {"curves": samples, "spans": spans})
            wanted = Runtime(ROOT / "models/global/model.onnx").run(Fitted.of([day]))
            for one, other in zip(found, wanted):
                self.assertLess(np.abs(one - other).max(), 1e-4)

    def test_days_that_nothing_right_can_be_learned_from_are_refused_before(self):
        """Before hours of training, with the remedy."""
        check = lambda table, day=DAYS[0]: clickhouse.check_day(self.plant.server, table, day)
        day = self.read(DAYS[0])
        self.assertEqual(check(TABLE), (int((~day.nok).sum()), int(day.nok.sum())))
        self.plant.query("CREATE TABLE plants AS spot_records")
        source = f"FROM {TABLE} WHERE data_date = {DAYS[0]}"
        in_milli = "* REPLACE (arrayMap(x -> x * 1000, {0}) AS {0})"
        for columns, said in [
            (in_milli.format("u_curve"), "median maximum of u_curve on .* in plants is .* must be in V, where it is 0.2 to 10"),
            (in_milli.format("i_curve"), "median maximum of i_curve .* must be in kA, where it is 0.5 to 60: read a view"),
            ("*", None),
        ]:
            self.plant.query("TRUNCATE TABLE plants")
            self.plant.query(f"INSERT INTO plants SELECT {columns} {source}")
            if said:
                with self.assertRaisesRegex(SystemExit, said):
                    check("plants")
        self.assertEqual(check("plants"), check(TABLE))
        self.plant.query("TRUNCATE TABLE plants")
        broken = "arrayMap((x, n) -> if(n = 3 AND record_id % 2 = 0, nan, x), {0}, arrayEnumerate({0})) AS {0}".format("i_curve")
        self.plant.query(f"INSERT INTO plants SELECT * REPLACE ({broken}) {source}")
        self.assertEqual(sum(check("plants")), len(self.read(DAYS[0], "plants")))
        self.assertLess(sum(check("plants")), len(day))
        self.plant.query("TRUNCATE TABLE plants")
        self.plant.query(f"INSERT INTO plants SELECT * {source}")
        self.plant.query(f"INSERT INTO plants SELECT * {source} ORDER BY record_id LIMIT 1")
        with self.assertRaisesRegex(SystemExit, "1 labelled rows of .* repeat the key .*: they would be .* as with FINAL"):
            check("plants")
        with self.assertRaisesRegex(SystemExit, "no labelled welds of 20250101 in spot_records"):
            check(TABLE, 20250101)
        self.plant.query("TRUNCATE TABLE plants")
        self.plant.query(f"INSERT INTO plants SELECT * REPLACE ('OK' AS label) {source}")
        args = train.arguments(["--table", "plants", "--train-days", f"{DAYS[0]}", "--test-days", f"{DAYS[0] + 1}"])
        with self.assertRaisesRegex(SystemExit, rf"no weld of \[{DAYS[0]}\] is labelled NOK"):
            train.check_days(args, self.plant.server)

    def test_what_train_is_asked(self):
        """Days are given once, and a card tells how its own model was made."""
        for given in (["--test-days", "20260901"], ["--train-days", "20260110,20260110"]):
            with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
                train.arguments(given)
            self.assertIn("is given 2 times, in --train-days", said.getvalue())
        usual = train.arguments([])
        self.assertEqual((usual.simulated, usual.least_auc_pr, train.arguments(["--smoke"]).least_auc_pr), (True, 0.95, 0.5))
        self.assertIn("scheduler simulate --day 20260901 --rows 30000 --seed 101", train.commands(usual))
        own = train.arguments([
            "--table", "weld labelled", "--train-days", "20260110", "--calibration-days", "20260111", "--test-days", "20260112",
            "--sample-interval-ms", "0.5", "--least-auc-pr", "0.8", "--password", "hush", "--model-version", "own-1",
        ])
        told = train.commands(own)
        self.assertTrue(told.startswith("python training/train.py ") and not own.simulated, told)
        for part in ("--table 'weld labelled' --train-days 20260110 ", "--sample-interval-ms 0.5 ", "--least-auc-pr 0.8 "):
            self.assertIn(part, told)
        self.assertNotIn("hush", told)
        figures = {20260112: {"auc_pr": 0.85, "f1": 0.2, "best_f1": 0.6}}
        self.assertRegex(train.unfit(own, figures), "F1 0.200 at its nok_threshold on the held-out day 20260112, where 0.600")
        self.assertRegex(train.unfit(usual, figures), "AUC-PR 0.850 on the held-out day 20260112, at least 0.95 is asked")
        figures[20260112]["f1"] = 0.5
        self.assertIsNone(train.unfit(own, figures))

    def test_a_card_of_a_plants_own_welds_says_nothing_of_simulated_ones(self):
        runtime = Runtime(ROOT / "models/global/model.onnx")
        data = self.fitted(DAYS[:1])
        figures = {DAYS[0]: card.evaluate(data, *runtime.run(data), 0.5)}
        facts = {
            "model_version": "own-1", "onnxruntime": "1", "torch": "2", "parameters": 1, "bytes": 1, "operations": 1,
            "processor": "p", "microseconds": {1: 2.0}, "parity": (0.0, 0.0), "parity_rows": 1, "commands": "c", "train_welds": 1,
            "train_nok": 1, "train_days": "20260110", "calibration_days": "20260111", "epochs": 1, "batch": 1, "seed": 1,
            "threads": 1, "minutes": 1.0, "nok_threshold": 0.5, "idle": features.Idle(1.0, 2.0), "table": "own", "interval_ms": 0.5,
        }
        path = Path(self.plant.folder.name) / "card.md"
        for simulated in (True, False):
            card.write_card(path, {**facts, "simulated": simulated}, figures)
            text = path.read_text()
            for part in ("imulated", "0.6 %", "600 points", "label noise", "natural NOK share", "simulator"):
                self.assertEqual(part in text, simulated, (part, text))
        self.assertIn("labelled welds of `own`", text)
        self.assertIn("sampled every 0.5 ms", text)

    @unittest.skipUnless(TORCH, "PyTorch is not installed: make test-training")
    def test_train_smoke(self):
        """To its end: three epochs, export, parity with PyTorch, threshold, held-out days, card; then its model judges."""
        out = Path(self.plant.folder.name) / "smoke"
        command = (sys.executable, "training/train.py", "--smoke", "--out", out, "--model-version", "s-1")
        said = self.plant.run(*command)
        self.assertIn("parity", said)
        with self.assertRaisesRegex(AssertionError, "holds a model of version s-1 already"):
            self.plant.run(*command)
        config = json.loads((out / "inference_config.json").read_text())
        self.assertEqual(config["target_len"], features.TARGET_LEN)
        self.assertIn("scheduler simulate --day 20260901 --rows 30000 --seed 101", (out / "MODEL_CARD.md").read_text())
        data = self.fitted(DAYS[:1])
        probability, _ = Runtime(out / "model.onnx").run(data)
        self.assertGreater(metrics.auc_pr(probability, data.nok), 0.5)
        print(said)

    @unittest.skipUnless(TORCH, "PyTorch is not installed: make test-training")
    def test_welds_that_were_never_measured_are_learned_from(self):
        from weldtrain.fitting import train

        data = self.fitted(DAYS[:1])
        data.measured[np.arange(len(data)) % 10 != 0] = np.nan
        net, mean, deviation = train(data, epochs=1, batch=128, seed=1, log=lambda _: None)
        weights = [parameter.detach().numpy() for parameter in net.parameters()]
        self.assertTrue(all(np.isfinite(weight).all() for weight in weights))
        self.assertTrue(np.isfinite(mean.numpy()).all() and np.isfinite(deviation.numpy()).all())


if __name__ == "__main__":
    unittest.main()
