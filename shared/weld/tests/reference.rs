//! The whole pipeline against the Python reference (tools/reference/weld_reference.py): features, hits and verdicts of
//! the checked-in records, with what a model would say taken from there too.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{collections::HashMap, convert::Infallible, io::Read, path::PathBuf};

use flate2::read::GzDecoder;
use serde::{Deserialize, de::DeserializeOwned};
use weldfleet_weld::{
    Record, RecordId, Verdict,
    curves::Curves,
    features::{InferenceConfig, Resampling, write_row},
    judge::{Batch, Judge, ModelId, ModelSet, Prepared, Workspace},
    rules::{RuleSet, RulesFile, hits_json},
    units::CurveUnits,
    validation::ValidationLimits,
};

#[derive(Deserialize)]
struct Expected {
    record_id: u64,
    alg_status: String,
    code: Option<String>,
    ml_nok_prob: Option<f32>,
    ml_result: Option<String>,
    rule_result: Option<String>,
    rule_hits: Option<serde_json::Value>,
    final_result: Option<String>,
    decided_by: Option<String>,
    diameter: Option<f32>,
    stack_thickness: Option<f32>,
    /// `nok_prob` and four regressions; null is NaN. None where the model was not asked.
    model: Option<[Option<f32>; 5]>,
    features: Option<HashMap<String, Checksums>>,
    rows: Option<HashMap<String, Vec<f32>>>,
}

#[derive(Deserialize)]
struct Checksums {
    sum: [f64; 4],
    moment: [f64; 4],
}

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let bytes = std::fs::read(&path).unwrap();
    if !name.ends_with(".gz") {
        return bytes;
    }
    let mut text = Vec::new();
    GzDecoder::new(bytes.as_slice())
        .read_to_end(&mut text)
        .unwrap();
    text
}

fn lines<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let text = String::from_utf8(data(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn config(fit: &str) -> InferenceConfig {
    let text = String::from_utf8(data(&format!("inference_config_{fit}.json"))).unwrap();
    InferenceConfig::from_json(&text).unwrap()
}

/// The reference refuses curves of unequal length.
fn limits() -> ValidationLimits {
    ValidationLimits {
        max_length_gap: 0,
        ..ValidationLimits::default()
    }
}

fn other_units() -> CurveUnits {
    toml::from_str(
        "sample_interval_ms = 0.5\nu_unit = 'percent_of_umax'\ni_unit = 'A'\numax_unit = 'mV'\nimax_unit = 'kA'",
    )
    .unwrap()
}

fn ten_kilohertz() -> CurveUnits {
    CurveUnits {
        sample_interval_ms: 0.1,
        ..CurveUnits::default()
    }
}

fn ten_milliseconds() -> CurveUnits {
    CurveUnits {
        sample_interval_ms: 10.0,
        ..CurveUnits::default()
    }
}

/// Judges the records with the model's answers as the reference had them.
fn judged(units: CurveUnits, records: &[Record], expected: &[Expected]) -> Vec<Verdict> {
    let rules = RulesFile::from_toml(&String::from_utf8(data("rules.toml")).unwrap()).unwrap();
    let models = ModelSet::new(config("resample"), [], None).unwrap();
    let rules = RuleSet::new(&rules, units.sample_interval_ms);
    let judge = Judge::new(units, limits(), Some(models), Some(rules), 0.9999).unwrap();
    let mut answers = expected.iter().filter_map(|expected| expected.model);
    let mut model = |_: ModelId, batch: Batch<'_>| -> Result<(), Infallible> {
        assert_eq!(batch.curves.len(), batch.rows() * 4000);
        assert!(batch.rows() <= 32);
        for row in 0..batch.rows() {
            let answer = answers
                .next()
                .expect("no more rows are asked about than the reference asked");
            let answer = answer.map(|value| value.unwrap_or(f32::NAN));
            batch.nok_prob[row] = answer[0];
            batch.regression[row * 4..row * 4 + 4].copy_from_slice(&answer[1..]);
        }
        Ok(())
    };
    let (mut workspace, mut prepared, mut verdicts) =
        (Workspace::default(), Prepared::default(), Vec::new());
    for chunk in records.chunks(150) {
        let welds = chunk.iter().map(Record::weld);
        let judged = common::judged(&judge, welds, 32, &mut model, &mut workspace, &mut prepared);
        verdicts.extend(judged.unwrap());
    }
    assert!(
        answers.next().is_none(),
        "the reference asked the model about more rows"
    );
    verdicts
}

fn check_verdicts(units: CurveUnits, name: &str) -> usize {
    let records: Vec<Record> = lines(&format!("{name}.jsonl.gz"));
    let expected: Vec<Expected> = lines(&format!("{name}.expected.jsonl.gz"));
    let verdicts = judged(units, &records, &expected);
    assert_eq!(verdicts.len(), records.len());
    let mut hits = 0;
    for ((record, expected), verdict) in records.iter().zip(&expected).zip(&verdicts) {
        let id = expected.record_id;
        assert_eq!(record.record_id, Some(RecordId::Number(id)));
        assert_eq!(
            verdict.alg_status.as_str(),
            expected.alg_status,
            "{id}: {:?}",
            verdict.alg_error
        );
        let code = verdict
            .alg_error
            .as_deref()
            .map(|error| error.split(':').next().unwrap());
        assert_eq!(code, expected.code.as_deref(), "{id}");
        let text = |outcome: Option<weldfleet_weld::Outcome>| {
            outcome.map(|outcome| outcome.as_str().to_owned())
        };
        assert_eq!(text(verdict.ml_result), expected.ml_result, "{id}");
        assert_eq!(
            text(verdict.rule_result),
            expected.rule_result,
            "{id}: {}",
            hits_json(&verdict.rule_hits)
        );
        assert_eq!(text(verdict.final_result), expected.final_result, "{id}");
        assert_eq!(
            verdict.decided_by.map(|by| by.as_str().to_owned()),
            expected.decided_by,
            "{id}"
        );
        let found: serde_json::Value =
            serde_json::from_str(&hits_json(&verdict.rule_hits)).unwrap();
        let wanted = expected
            .rule_hits
            .clone()
            .unwrap_or(serde_json::Value::Array(Vec::new()));
        assert_eq!(found, wanted, "{id}: hits");
        hits += verdict.rule_hits.len();
        assert_eq!(verdict.ml_nok_prob, expected.ml_nok_prob, "{id}");
        assert_eq!(verdict.diameter, expected.diameter, "{id}");
        assert_eq!(verdict.stack_thickness, expected.stack_thickness, "{id}");
        // A row in error tells which model was asked.
        let told = verdict.model_version.is_some();
        assert!(told || verdict.final_result.is_none(), "{id}");
    }
    hits
}

#[test]
fn verdicts_and_hits_of_the_reference_records() {
    assert!(
        check_verdicts(CurveUnits::default(), "records") > 300,
        "records with too few hits prove little"
    );
}

#[test]
fn verdicts_and_hits_in_other_units_and_sampling() {
    assert!(check_verdicts(other_units(), "records_other_units") > 20);
}

#[test]
fn verdicts_and_hits_of_records_that_begin_early_and_run_on() {
    assert!(check_verdicts(CurveUnits::default(), "records_long_idle") > 20);
}

#[test]
fn verdicts_and_hits_at_ten_kilohertz() {
    assert!(check_verdicts(ten_kilohertz(), "records_fast") > 10);
}

/// Hills measured by height, and peaks that must begin late.
#[test]
fn verdicts_and_hits_of_burn_marks() {
    assert!(check_verdicts(CurveUnits::default(), "records_burn") > 40);
}

/// Temper pulses, some longer than the weld, and pulsation with expulsions, blind pulses and equal ones.
#[test]
fn verdicts_and_hits_of_several_pulses() {
    assert!(check_verdicts(CurveUnits::default(), "records_pulses") > 25);
}

#[test]
fn verdicts_and_hits_at_ten_milliseconds() {
    assert!(check_verdicts(ten_milliseconds(), "records_slow") > 10);
}

#[test]
fn features_of_the_reference_records() {
    for (name, units) in [
        ("records", CurveUnits::default()),
        ("records_other_units", other_units()),
        ("records_long_idle", CurveUnits::default()),
        ("records_fast", ten_kilohertz()),
        ("records_burn", CurveUnits::default()),
        ("records_pulses", CurveUnits::default()),
        ("records_slow", ten_milliseconds()),
    ] {
        let records: Vec<Record> = lines(&format!("{name}.jsonl.gz"));
        let expected: Vec<Expected> = lines(&format!("{name}.expected.jsonl.gz"));
        let (mut curves, mut full_rows) = (Curves::default(), 0);
        let mut resampling = Resampling::default();
        for (record, expected) in records.iter().zip(&expected) {
            let loaded = curves.load(&record.weld(), &units, &limits());
            assert_eq!(
                loaded.is_ok(),
                expected.features.is_some(),
                "{}",
                expected.record_id
            );
            for (fit, checksums) in expected.features.iter().flatten() {
                let config = config(fit);
                let mut row = vec![f32::NAN; config.row_len()];
                write_row(&curves, &config, &mut resampling, &mut row);
                for (channel, values) in row.chunks(config.target_len).enumerate() {
                    let sum: f64 = values.iter().map(|x| f64::from(*x)).sum();
                    let weighted = values
                        .iter()
                        .enumerate()
                        .map(|(k, x)| f64::from(*x) * (k + 1) as f64);
                    let place = format!("{} {fit} channel {channel}", expected.record_id);
                    assert_close(sum, checksums.sum[channel], &place);
                    assert_close(weighted.sum(), checksums.moment[channel], &place);
                }
                if let Some(rows) = &expected.rows {
                    assert_eq!(
                        row, rows[fit],
                        "{} {fit}: not equal to the last bit",
                        expected.record_id
                    );
                    full_rows += 1;
                }
            }
        }
        assert!(full_rows >= 1, "{name} has no full rows");
    }
}

fn assert_close(found: f64, wanted: f64, place: &str) {
    let tolerance = 1e-9 * wanted.abs().max(1.0);
    assert!(
        (found - wanted).abs() <= tolerance,
        "{place}: {found}, the reference has {wanted}"
    );
}
