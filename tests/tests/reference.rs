//! The worker's numbers equal those of a second implementation in NumPy, SciPy and ONNX Runtime's own Python.
//!
//! What that one says of the records is checked in; after a change of the model, of config/rules.toml or of the records
//! make it again (some with `--curves`, see `OTHER_UNITS` and `TEN_KILOHERTZ`):
//!
//! ```sh
//! python tools/reference/weld_reference.py judge --model models/global --rules config/rules.toml \
//!     --records shared/weld/tests/data/records.jsonl.gz --out tests/tests/data/records.judged.jsonl.gz
//! ```

use std::{collections::HashMap, fs::File, io::Read, path::Path};

use flate2::read::GzDecoder;
use serde_json::Value;
use weldfleet_simulator::{CurveLength, SimulationOptions, Simulator};
use weldfleet_tests::{process::without_services, repository};

/// `[curves]` of the records in other units; for the reference it is
/// `--curves '{"sample_interval_ms":0.5,"u_unit":"percent_of_umax","i_unit":"A","umax_unit":"mV"}'`.
const OTHER_UNITS: &[(&str, &str)] = &[
    ("WELDFLEET__CURVES__SAMPLE_INTERVAL_MS", "0.5"),
    ("WELDFLEET__CURVES__U_UNIT", "percent_of_umax"),
    ("WELDFLEET__CURVES__I_UNIT", "A"),
    ("WELDFLEET__CURVES__UMAX_UNIT", "mV"),
];

/// For the reference `--curves '{"sample_interval_ms":0.1}'`.
const TEN_KILOHERTZ: &[(&str, &str)] = &[("WELDFLEET__CURVES__SAMPLE_INTERVAL_MS", "0.1")];

/// The same model, that it takes features and that it takes the curves as measured.
const MODELS: [&str; 2] = ["models", "bench/models/cnn-raw"];

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .read_to_string(&mut text)
        .expect("gzip");
    text
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("json"))
        .collect()
}

/// What `worker predict --json` says of records, one a line.
fn judged(records: &str, model: &str, environment: &[(&str, &str)]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("records.jsonl");
    std::fs::write(&file, records).expect("write");
    let mut worker = without_services("worker");
    worker.args(["predict", "--json"]).arg(&file);
    worker.env("WELDFLEET__MODEL__MODEL_EXPORT_DIR", model);
    // The reference refuses curves of unequal length.
    worker.env("WELDFLEET__VALIDATION__MAX_LENGTH_GAP", "0");
    worker.envs(environment.iter().copied());
    let output = worker.output().expect("worker");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    lines(&String::from_utf8(output.stdout).expect("utf-8"))
}

fn close(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-4,
        (None, None) => true,
        _ => false,
    }
}

/// Judges the records and compares; answers how many verdicts and hits there were.
fn compare(name: &str, model: &str, curves: &[(&str, &str)]) -> (usize, usize) {
    let records = unpacked(&repository().join(format!("shared/weld/tests/data/{name}.jsonl.gz")));
    let expected = lines(&unpacked(
        &repository().join(format!("tests/tests/data/{name}.judged.jsonl.gz")),
    ));
    let answers = judged(&records, model, curves);
    assert_eq!(answers.len(), expected.len());

    let (mut verdicts, mut hits) = (0, 0);
    for (answer, expected) in answers.iter().zip(&expected) {
        let differ = || format!("\nworker:    {answer}\nreference: {expected}");
        for name in [
            "record_id",
            "alg_status",
            "ml_result",
            "rule_result",
            "final_result",
            "decided_by",
            "model_version",
        ] {
            assert_eq!(answer[name], expected[name], "{name}{}", differ());
        }
        for name in [
            "ml_nok_prob",
            "diameter",
            "indentation",
            "front_thickness",
            "stack_thickness",
        ] {
            assert!(close(&answer[name], &expected[name]), "{name}{}", differ());
        }
        let none = Value::Array(Vec::new());
        assert_eq!(
            &answer["rule_hits"],
            expected.get("rule_hits").unwrap_or(&none),
            "rule_hits{}",
            differ()
        );
        let code = answer["alg_error"]
            .as_str()
            .and_then(|error| error.split(':').next());
        assert_eq!(code, expected["code"].as_str(), "alg_error{}", differ());
        verdicts += usize::from(answer["final_result"].is_string());
        hits += answer["rule_hits"].as_array().map_or(0, Vec::len);
    }
    (verdicts, hits)
}

#[test]
fn five_hundred_records_are_judged_as_the_reference_judges_them() {
    for model in MODELS {
        let (verdicts, hits) = compare("records", model, &[]);
        assert!(
            verdicts > 400 && hits > 300,
            "{verdicts} verdicts and {hits} hits prove little"
        );
    }
}

#[test]
fn records_in_other_units_too() {
    for model in MODELS {
        let (verdicts, hits) = compare("records_other_units", model, OTHER_UNITS);
        assert!(
            verdicts > 30 && hits > 20,
            "{verdicts} verdicts and {hits} hits prove little"
        );
    }
}

#[test]
fn records_that_begin_early_and_run_on_and_those_of_ten_kilohertz_too() {
    for model in MODELS {
        let (verdicts, hits) = compare("records_long_idle", model, &[]);
        assert!(
            verdicts > 30 && hits > 30,
            "{verdicts} verdicts and {hits} hits prove little"
        );
        let (verdicts, hits) = compare("records_fast", model, TEN_KILOHERTZ);
        assert!(
            verdicts > 15 && hits > 3,
            "{verdicts} verdicts and {hits} hits prove little"
        );
    }
}

/// Sound welds of one seed, recorded for this long, one a line; and after each weld the time without current, ms.
fn recorded(points: usize) -> (String, Vec<usize>) {
    const ROWS: u64 = 60;
    let options = SimulationOptions {
        nok_rate: 0.0,
        length: CurveLength::Fixed(points),
        ..SimulationOptions::new(20_261_128, ROWS, 5)
    };
    let block = Simulator::new(options).expect("options").block(0..ROWS);
    let mut records = String::new();
    let mut idle = Vec::new();
    for row in 0..block.rows() {
        let (u, i) = (block.u_curve(row), block.i_curve(row));
        let record = serde_json::json!({
            "record_id": row, "part_no": block.part_no[row], "umax": block.umax[row], "imax": block.imax[row],
            "u_curve": u, "i_curve": i,
        });
        records.push_str(&format!("{record}\n"));
        idle.push(
            i.iter()
                .rev()
                .take_while(|i| **i < 0.05 * block.imax[row])
                .count(),
        );
    }
    (records, idle)
}

/// The recorder may run as long as it likes: no sound weld becomes NOK, and where a recording holds all the idle time
/// that the model knows, a longer one gives the same numbers to the last bit.
#[test]
fn verdicts_do_not_depend_on_how_long_the_recorder_ran() {
    let config = repository().join("models/global/inference_config.json");
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(config).expect("config")).expect("json");
    let known = config["idle_after_ms"].as_f64().expect("idle_after_ms") as usize;
    for model in MODELS {
        for points in [450, 600, 800] {
            for answer in judged(&recorded(points).0, model, &[]) {
                assert_eq!(
                    answer["final_result"], "OK",
                    "{model}, {points} points: {answer}"
                );
                assert_eq!(
                    answer["ml_result"], "OK",
                    "{model}, {points} points: {answer}"
                );
            }
        }
        let (records, idle) = recorded(1000);
        let short = judged(&records, model, &[]);
        let long = judged(&recorded(2000).0, model, &[]);
        let mut equal = 0;
        for ((short, long), idle) in short.iter().zip(&long).zip(idle) {
            let differ = || format!("{model}\n1000 points: {short}\n2000 points: {long}");
            assert_eq!(short["final_result"], "OK", "{}", differ());
            assert_eq!(long["final_result"], "OK", "{}", differ());
            assert_eq!(short["ml_result"], long["ml_result"], "{}", differ());
            if idle > known {
                assert_eq!(short, long, "{model}");
                equal += 1;
            }
        }
        assert!(
            equal > 30,
            "{equal} recordings hold the idle time that the model knows"
        );
    }
}

/// A curve of this many points that follows another one.
fn of_length(curve: &[f64], points: usize) -> Vec<f64> {
    let step = (curve.len() - 1) as f64 / (points - 1) as f64;
    (0..points)
        .map(|point| {
            let place = point as f64 * step;
            let left = (place as usize).min(curve.len() - 2);
            curve[left] + (curve[left + 1] - curve[left]) * (place - left as f64)
        })
        .collect()
}

#[test]
fn features_and_raw_curves_agree_at_any_length() {
    let weld = std::fs::read_to_string(repository().join("tests/tests/data/weld.json"));
    let weld: Value = serde_json::from_str(&weld.expect("record")).expect("json");
    let lengths = [50, 51, 333, 600, 999, 1000, 1001, 1999, 5000, 20_000];
    let mut records = String::new();
    for points in lengths {
        let mut record = weld.clone();
        for name in ["u_curve", "i_curve"] {
            let curve: Vec<f64> = serde_json::from_value(weld[name].clone()).expect("numbers");
            record[name] = of_length(&curve, points).into();
        }
        records.push_str(&format!("{record}\n"));
    }
    let [features, raw] = MODELS.map(|model| judged(&records, model, &[]));
    assert_eq!((features.len(), raw.len()), (lengths.len(), lengths.len()));
    for ((points, features), raw) in lengths.iter().zip(&features).zip(&raw) {
        let differ = || format!("{points} points\nfeatures: {features}\nraw:      {raw}");
        assert!(features["ml_nok_prob"].is_number(), "{}", differ());
        for name in [
            "ml_nok_prob",
            "diameter",
            "indentation",
            "front_thickness",
            "stack_thickness",
        ] {
            assert!(close(&features[name], &raw[name]), "{name}, {}", differ());
        }
        assert_eq!(features["rule_hits"], raw["rule_hits"], "{}", differ());
    }
}

#[test]
fn no_batch_size_changes_a_bit_of_a_verdict() {
    let records = unpacked(&repository().join("shared/weld/tests/data/records.jsonl.gz"));
    for model in MODELS {
        let [one, few, many] = ["1", "7", "500"]
            .map(|rows| judged(&records, model, &[("WELDFLEET__MODEL__BATCH_ROWS", rows)]));
        assert_eq!(one.len(), records.lines().count());
        assert!(one == few && one == many, "{model}");
    }
}

// --- models of PyTorch -----------------------------------------------------------------------------------------------

/// What `worker predict` says of imported models, beside what PyTorch said of the same welds as the old programs fed
/// them (tests/tests/data/imported/make.py); every fifth weld is of a part whose text names no folder.
#[test]
fn imported_models_answer_what_pytorch_answered() {
    for (name, curves, stored) in [
        ("counts", COUNTS, as_counts as fn(&mut Value)),
        ("percent", PERCENT, as_percent),
        ("volts", &[][..], (|_| {}) as fn(&mut Value)),
    ] {
        let folder = format!("tests/tests/data/imported/{name}");
        let expected = lines(&unpacked(
            &repository().join(&folder).join("expected.jsonl.gz"),
        ));
        let key = |file: &Value, weld: &Value| {
            let id = weld["record_id"].as_u64().expect("an id");
            (file.as_str().expect("a name").to_owned(), id)
        };
        let expected: HashMap<_, _> = expected
            .iter()
            .map(|told| (key(&told["records"], told), told))
            .collect();
        let (mut records, mut asked) = (String::new(), Vec::new());
        for file in ["records", "records_burn", "records_long_idle"] {
            let path = format!("shared/weld/tests/data/{file}.jsonl.gz");
            for mut weld in lines(&unpacked(&repository().join(path))) {
                if let Some(told) = expected.get(&key(&file.into(), &weld)) {
                    weld["part_no"] = told["part_no"].clone();
                    stored(&mut weld);
                    records += &format!("{weld}\n");
                    asked.push(told);
                }
            }
        }
        assert_eq!(asked.len(), expected.len(), "{name}: each weld once");
        let answers = judged(&records, &folder, curves);
        assert_eq!(answers.len(), asked.len());
        let (mut of_all, mut of_part) = (0, 0);
        for (answer, told) in answers.iter().zip(asked) {
            // A few welds of the records are of negative current.
            if answer["alg_status"] == "invalid" {
                continue;
            }
            for quantity in [
                "ml_nok_prob",
                "diameter",
                "indentation",
                "front_thickness",
                "stack_thickness",
            ] {
                let (found, wanted) = (answer[quantity].as_f64(), told[quantity].as_f64());
                let apart = (found.expect("a number") - wanted.expect("a number")).abs();
                assert!(
                    apart <= 1e-4,
                    "{name}, {quantity}: {answer}\nPyTorch: {told}"
                );
            }
            let version = answer["model_version"].as_str().expect("a version");
            let is_of_part = told["part_no"] != "";
            assert_eq!(version.ends_with("/7H0/809"), is_of_part, "{version}");
            of_all += 1;
            of_part += usize::from(is_of_part);
        }
        assert!(
            of_all >= 500 && of_part >= 100,
            "{name}: {of_all}, {of_part}"
        );
    }
}

/// `[curves]` of a plant that stores counts of 10 mV and of 20 A, the models' recipe says the same.
const COUNTS: &[(&str, &str)] = &[
    ("WELDFLEET__CURVES__U_UNIT", "mV"),
    ("WELDFLEET__CURVES__U_SCALE", "10"),
    ("WELDFLEET__CURVES__I_UNIT", "A"),
    ("WELDFLEET__CURVES__I_SCALE", "20"),
];

fn as_counts(weld: &mut Value) {
    whole(weld, "u_curve", |volts| volts * 100.0);
    whole(weld, "i_curve", |kiloamperes| kiloamperes * 50.0);
}

/// Of one that stores whole percent of the maxima, and `imax` in tens of ampere.
const PERCENT: &[(&str, &str)] = &[
    ("WELDFLEET__CURVES__U_UNIT", "percent_of_umax"),
    ("WELDFLEET__CURVES__I_UNIT", "percent_of_imax"),
    ("WELDFLEET__CURVES__IMAX_UNIT", "A"),
    ("WELDFLEET__CURVES__IMAX_SCALE", "10"),
];

fn as_percent(weld: &mut Value) {
    let maximum = |name: &str| weld[name].as_f64().expect("a number");
    let (umax, imax) = (maximum("umax"), (maximum("imax") * 100.0 + 0.5).floor());
    weld["imax"] = imax.into();
    whole(weld, "u_curve", |volts| volts * 100.0 / umax);
    whole(weld, "i_curve", |kiloamperes| kiloamperes * 10_000.0 / imax);
}

/// A curve as whole counts.
fn whole(weld: &mut Value, curve: &str, counts: impl Fn(f64) -> f64) {
    for sample in weld[curve].as_array_mut().expect("a curve") {
        *sample = (counts(sample.as_f64().expect("a number")) + 0.5)
            .floor()
            .into();
    }
}
