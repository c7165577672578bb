//! `worker predict`: records of a file through the same code; needs no service.

use std::{
    fs,
    io::{Read, Write, stdin, stdout},
    path::Path,
};

use anyhow::{Context, bail};
use serde_json::Value;
use weldfleet_cli::{Exit, Failure, OrExit};
use weldfleet_settings::Settings;
use weldfleet_weld::{Record, Verdict};

use crate::{
    inference::{compute::Compute, tuning::Tuning},
    judging::Judging,
};

/// Records judged between two writes.
const AT_ONCE: usize = 1024;

/// Judges every record of `file` in order.
pub fn run(settings: &Settings, file: &Path, json: bool) -> Result<Exit, Failure> {
    let text = read(file)?;
    let records = parse(&text, file).or_exit(Exit::Usage)?;
    let judging = Judging::from_settings(settings, Tuning::OnlyRemembered).or_exit(Exit::Usage)?;
    let layout = judging.plan.layout.alone();
    let mut compute = Compute::new(judging.judge, judging.models, layout).or_exit(Exit::Usage)?;
    let mut out = stdout().lock();
    for start in (0..records.len()).step_by(AT_ONCE) {
        let rows = start..(start + AT_ONCE).min(records.len());
        let verdicts = compute.judge(&records, rows.clone())?;
        for (row, verdict) in rows.zip(&verdicts) {
            if json {
                writeln!(out, "{}", answer(&records[row], verdict)?)?;
            } else {
                writeln!(out, "{}", in_words(&records[row], verdict))?;
            }
        }
    }
    Ok(Exit::Done)
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    if file == Path::new("-") {
        stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
    } else {
        text = fs::read_to_string(file)
            .with_context(|| format!("cannot read `{}`", file.display()))
            .or_exit(Exit::Usage)?;
    }
    Ok(text)
}

/// One record, or one a line; an error names the line and the field.
fn parse(text: &str, file: &Path) -> anyhow::Result<Vec<Record>> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => {
            let record = serde_json::from_str(text)
                .with_context(|| format!("`{}` is not a record", file.display()))?;
            return Ok(vec![record]);
        }
        Ok(Value::Array(_)) => bail!("`{}` is a list; write one record a line", file.display()),
        _ => {}
    }
    let mut records = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let record = serde_json::from_str(line)
            .with_context(|| format!("`{}` line {}: not a record", file.display(), number + 1))?;
        records.push(record);
    }
    anyhow::ensure!(!records.is_empty(), "`{}` holds no record", file.display());
    Ok(records)
}

/// The answer to one record: its key, then the result columns.
pub fn answer(record: &Record, verdict: &Verdict) -> anyhow::Result<Value> {
    let mut answer = serde_json::Map::new();
    let key = [
        ("record_id", &record.record_id),
        ("data_date", &record.data_date),
        ("ck_local_time", &record.ck_local_time),
    ];
    for (name, value) in key {
        if let Some(value) = value {
            answer.insert(name.to_owned(), serde_json::to_value(value)?);
        }
    }
    if let Value::Object(results) = serde_json::to_value(verdict)? {
        answer.extend(results);
    }
    Ok(Value::Object(answer))
}

fn in_words(record: &Record, verdict: &Verdict) -> String {
    let id = record
        .record_id
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string);
    let Some(result) = verdict.final_result else {
        let reason = verdict.alg_error.as_deref().unwrap_or_default();
        return format!("{id}  {}  {reason}", verdict.alg_status.as_str());
    };
    let mut text = format!("{id}  {}", result.as_str());
    if let Some(decided_by) = verdict.decided_by {
        text.push_str(&format!("  by {}", decided_by.as_str()));
    }
    if let Some(probability) = verdict.ml_nok_prob {
        text.push_str(&format!("  nok_prob {probability:.4}"));
    }
    let measures = [
        ("diameter", verdict.diameter),
        ("indentation", verdict.indentation),
        ("front", verdict.front_thickness),
        ("stack", verdict.stack_thickness),
    ];
    for (name, value) in measures {
        if let Some(value) = value {
            text.push_str(&format!("  {name} {value:.2} mm"));
        }
    }
    for hit in &verdict.rule_hits {
        let (rule, t_ms) = (hit.rule.as_str(), hit.t_ms);
        text.push_str(&format!(
            "  [{rule} {:.3} (limit {:.3}) at {t_ms:.0} ms]",
            hit.value, hit.limit
        ));
    }
    text
}
