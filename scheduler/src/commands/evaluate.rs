//! `scheduler evaluate`: verdicts against labels and measured values.

use serde_json::{Value, json};
use weldfleet_service::{
    Exit, Failure, out, outln,
    output::{self, grouped, table},
};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day,
    clickhouse::{Confusion, Quality, SourceTable, quality::REGRESSIONS},
};

use crate::{args::Evaluate, dependencies::store_failure};

pub async fn run(settings: &Settings, options: Evaluate) -> Result<Exit, Failure> {
    let zone = &settings.scheduler.timezone;
    let (from, to) = (options.from.resolve(zone)?, options.to.resolve(zone)?);
    if from > to {
        return Err(Failure::usage(format!(
            "--from {from} is after --to {to}; swap them"
        )));
    }
    let days: Vec<Day> = from.to(to).collect();
    let source = SourceTable::inspect(settings)
        .await
        .map_err(store_failure)?;
    let found = source.quality(&days).await.map_err(store_failure)?;
    if options.json {
        let days: Vec<Value> = found.iter().map(as_json).collect();
        output::json(&json!({ "days": days }))?;
    } else if found.is_empty() {
        outln!("no row from {from} to {to} has both a verdict and a label");
    } else {
        out!("{}", draw(&found));
    }
    Ok(Exit::Done)
}

fn as_json(quality: &Quality) -> Value {
    let judge = |confusion: &Confusion| {
        json!({
            "true_positive": confusion.true_positive, "false_positive": confusion.false_positive,
            "false_negative": confusion.false_negative, "true_negative": confusion.true_negative,
            "precision": confusion.precision(), "recall": confusion.recall(),
        })
    };
    let errors: serde_json::Map<String, Value> = REGRESSIONS
        .iter()
        .zip(quality.mean_absolute_error)
        .map(|((name, _), error)| ((*name).to_owned(), json!(error)))
        .collect();
    json!({
        "day": quality.day.to_string(), "rows": quality.rows, "labelled_nok": quality.labelled_nok,
        "fused": judge(&quality.fused), "model": judge(&quality.model), "rules": judge(&quality.rules),
        "auc_pr": quality.auc_pr, "mean_absolute_error_mm": errors,
    })
}

fn draw(found: &[Quality]) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
    };
    let number =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    let verdicts: Vec<Vec<String>> = found
        .iter()
        .flat_map(|day| {
            let judges = [
                ("fused", day.fused),
                ("model", day.model),
                ("rules", day.rules),
            ];
            judges.map(|(name, judge)| {
                vec![
                    day.day.to_string(),
                    grouped(day.rows),
                    grouped(day.labelled_nok),
                    name.to_owned(),
                    percent(judge.precision()),
                    percent(judge.recall()),
                    grouped(judge.false_positive),
                    grouped(judge.false_negative),
                    if name == "model" {
                        number(day.auc_pr)
                    } else {
                        "-".to_owned()
                    },
                ]
            })
        })
        .collect();
    let errors: Vec<Vec<String>> = found
        .iter()
        .map(|day| {
            let mut line = vec![day.day.to_string()];
            line.extend(day.mean_absolute_error.map(number));
            line
        })
        .collect();
    format!(
        "{}\nmean absolute error, mm\n{}",
        table(
            &[
                "day",
                "rows",
                "labelled NOK",
                "judge",
                "precision",
                "recall",
                "false NOK",
                "missed NOK",
                "AUC-PR"
            ],
            &verdicts
        ),
        table(
            &[
                "day",
                "diameter",
                "indentation",
                "front thickness",
                "stack thickness"
            ],
            &errors
        ),
    )
}
