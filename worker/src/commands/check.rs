//! `worker check`: everything a worker would need, one line each; judges real rows without writing.

mod batches;
mod part_names;
mod parts;
mod precision;
mod report;
mod rows;
mod rule_hits;
mod rules;
mod sample;
mod stores;

use std::fmt::Write as _;

use serde_json::{Value, json};
use weldfleet_service::{Exit, Failure, exit::chain, output};
use weldfleet_settings::Settings;

use crate::{
    inference::{Models, sessions, tuning::Tuning},
    judging::Judging,
};
use report::Report;

/// Looks at everything; non-zero if anything fails.
pub async fn run(settings: &Settings, rows: u32, json: bool) -> Result<Exit, Failure> {
    let mut report = Report::new(json);
    let judging = check_judging(settings, &mut report);
    let source = stores::clickhouse(settings, &mut report).await;
    stores::mysql(settings, &mut report).await;
    stores::redis(settings, &mut report).await;
    stores::save_dir(settings, &mut report).await;
    let mut sample = Value::Null;
    if let (Some(judging), Some(source)) = (judging, source) {
        parts::check(settings, &judging, &source, &mut report).await;
        sample = rows::check(settings, &judging, &source, rows, &mut report).await;
    }
    if json {
        output::json(&json!({
            "ok": report.exit() == Exit::Done,
            "checks": report.findings,
            "sample": sample,
        }))?;
    }
    Ok(report.exit())
}

fn check_judging(settings: &Settings, report: &mut Report) -> Option<Judging> {
    let judging = match opened(settings) {
        Ok(judging) => judging,
        Err(error) => {
            report.failed("model", chain(&error));
            return None;
        }
    };
    match judging.judge.models() {
        Some(set) => {
            let global = set.global();
            report.ok(
                "model",
                format!(
                    "{} on {}, nok_threshold {}, {} part models",
                    global.version(),
                    judging.device(),
                    global.nok_threshold(),
                    set.len() - 1
                ),
            );
            for warning in judging.warnings() {
                report.warning("model", warning);
            }
            for spec in judging.models.iter().flat_map(Models::without_answer) {
                report.warning(
                    "model",
                    format!(
                        "{} answers no number for made-up welds: rows that it judges will be in error, unless real ones differ",
                        spec.version()
                    ),
                );
            }
            report.ok("layout", judging.layout.to_string());
            check_memory(&judging, report);
        }
        None => report.warning("model", "switched off, the rules decide alone"),
    }
    match judging.judge.rules() {
        Some(rules) => {
            report.ok("rules", settings.rules.file.display().to_string());
            for warning in rules::without_effect(rules) {
                report.warning("rules", warning);
            }
        }
        None => report.warning("rules", "switched off, the model decides alone"),
    }
    Some(judging)
}

/// Judges whose models were all opened.
fn opened(settings: &Settings) -> anyhow::Result<Judging> {
    let judging = Judging::from_settings(settings, Tuning::Thorough)?;
    if let Some(models) = &judging.models {
        let layout = judging.layout.layout.one_session();
        models.open_global(layout)?;
        models.try_parts(layout)?;
    }
    Ok(judging)
}

/// What the models would take if every thread had all of them open, beside what there is.
fn check_memory(judging: &Judging, report: &mut Report) {
    let Some(models) = &judging.models else {
        return;
    };
    let layout = judging.layout.layout;
    let (files, threads) = (models.bytes(), layout.sessions as u64);
    let all = files + threads * models.session_bytes(models.ids(), layout);
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut text = format!(
        "models of {}, read once and opened by each thread ({threads}): {} in all",
        megabytes(files),
        megabytes(all)
    );
    let Some(limit) = sessions::limit(models) else {
        return report.ok("memory", text);
    };
    let _ = write!(text, "; the {} has {}", limit.of, megabytes(limit.bytes));
    if all <= limit.bytes / 2 {
        return report.ok("memory", text);
    }
    report.warning(
        "memory",
        format!(
            "{text}: more than half of it, so a thread closes models of parts that it has not used for long and opens them \
             anew, which takes time; give it more memory or fewer threads (model.threads)"
        ),
    );
}
