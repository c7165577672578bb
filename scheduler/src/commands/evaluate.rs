//! `scheduler evaluate`: verdicts against labels and measured values, or against those of the service before.

use serde_json::{Value, json};
use weldfleet_service::{
    Exit, Failure, out, outln,
    output::{self, grouped, table},
};
use weldfleet_settings::{Precision, Settings};
use weldfleet_stores::{
    Day,
    clickhouse::{Confusion, LeftOut, ModelRows, Quality, Regression, Scores},
};
use weldfleet_weld::columns::MEASURE_NAMES;

use super::{
    agreement,
    long_question::{self, answer},
};
use crate::args::{Against, Evaluate};

pub async fn run(settings: &Settings, options: Evaluate) -> Result<Exit, Failure> {
    let zone = &settings.scheduler.timezone;
    let (from, to) = (options.from.resolve(zone)?, options.to.resolve(zone)?);
    if from > to {
        return Err(Failure::usage(format!(
            "--from {from} is after --to {to}; swap them"
        )));
    }
    let days: Vec<Day> = from.to(to).collect();
    let source = long_question::table(settings).await?;
    if options.against == Against::PreviousResult {
        let found = answer("verdicts beside the earlier ones", source.agreement(&days)).await?;
        let outside = answer("rows of others", source.not_selected(&days)).await?;
        return agreement::show(&found, outside, options.json);
    }
    let found = answer("verdicts beside labels", source.quality(&days)).await?;
    let unreadable = source.unreadable_verdicts("label", &days);
    let unreadable = answer("labels that cannot be read", unreadable).await?;
    let left_out = answer("rows that are left out", source.left_out(&days)).await?;
    let models = answer("models", source.models_of(&days, true)).await?;
    if options.json {
        let scores = answer("scores", source.scores(&days)).await?;
        let days: Vec<Value> = found.iter().map(as_json).collect();
        output::json(&json!({
            "days": days,
            "classification": classification(&scores, nok_threshold(settings, &models)),
            "regression": regressions(&scores),
            "left_out": left_out.iter().map(left_out_json).collect::<Vec<_>>(),
            "models": models_json(&models),
            "unreadable": agreement::unreadable_json(&unreadable),
        }))?;
    } else {
        if found.iter().all(|day| day.rows == 0) {
            outln!("no row from {from} to {to} has both a verdict and a label");
        } else {
            out!("{}", draw_verdicts(&found));
        }
        if !found.is_empty() {
            out!("{}", draw_errors(&found));
        }
        out!("{}{}", draw_models(&models), draw_left_out(&left_out));
        out!("{}", agreement::draw_unreadable("label", &unreadable));
    }
    Ok(Exit::Done)
}

/// The threshold from which the rows' model said NOK: known only where one model judged them all and is the one whose
/// folder is on this host.
fn nok_threshold(settings: &Settings, models: &[ModelRows]) -> Option<f64> {
    let [ModelRows { model_version, .. }] = models else {
        return None;
    };
    let path = settings
        .model
        .model_export_dir
        .join("global/inference_config.json");
    let config: Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    // A worker that computes in other numbers says so behind the version: `global-1+bf16`.
    let judged = model_version.as_str();
    let in_f32 = Precision::without_suffix(judged);
    if ![judged, in_f32].contains(&config["model_version"].as_str()?) {
        return None;
    }
    match settings.model.nok_threshold {
        // By its text: 0.797 shall not become 0.7970000267028809.
        Some(threshold) => threshold.to_string().parse().ok(),
        None => config["nok_threshold"].as_f64(),
    }
}

pub fn models_json(models: &[ModelRows]) -> Vec<Value> {
    let each = models.iter();
    each.map(|model| json!({ "model_version": model.model_version, "rows": model.rows }))
        .collect()
}

fn left_out_json(day: &LeftOut) -> Value {
    json!({
        "day": day.day.to_string(), "rows": day.rows, "labelled_nok": day.labelled_nok, "invalid": day.invalid,
        "error": day.error, "poison": day.poison, "waiting": day.waiting(),
    })
}

fn draw_models(models: &[ModelRows]) -> String {
    match models {
        [] => String::new(),
        [one] => format!("\nmodel: {}\n", in_words(one)),
        several => format!(
            "\nfigures mix {} models: {}\n",
            several.len(),
            several.iter().map(in_words).collect::<Vec<_>>().join(", ")
        ),
    }
}

pub fn in_words(model: &ModelRows) -> String {
    let version = match model.model_version.as_str() {
        "" => "none",
        version => version,
    };
    format!("{version} ({} rows)", grouped(model.rows))
}

/// Labelled welds that no figure counts, of which a model that fails on the bad ones has many.
fn draw_left_out(left_out: &[LeftOut]) -> String {
    if left_out.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = left_out
        .iter()
        .map(|day| {
            let counts = [
                day.rows,
                day.labelled_nok,
                day.invalid,
                day.error,
                day.poison,
            ];
            let counts = counts.into_iter().chain([day.waiting()]).map(grouped);
            std::iter::once(day.day.to_string()).chain(counts).collect()
        })
        .collect();
    let head = [
        "day",
        "rows",
        "labelled NOK",
        "invalid",
        "error",
        "poison",
        "waiting",
    ];
    format!(
        "\nnot counted: labelled welds without a verdict\n{}",
        table(&head, &rows)
    )
}

/// In the shape that the service before had.
fn classification(scores: &Scores, threshold: Option<f64>) -> Value {
    let table = &scores.confusion;
    json!({
        "n_eval": table.rows(), "threshold": threshold,
        "accuracy": table.accuracy(), "precision": table.precision(), "recall": table.recall(), "f1": table.f1(),
        "auc": scores.auc, "pos_rate_true": table.labelled_share(), "pos_rate_pred": table.said_share(),
    })
}

fn regressions(scores: &Scores) -> Value {
    let figures = |regression: &Regression| {
        json!({
            "n_eval": regression.rows, "mae": regression.mae, "mse": regression.mse, "rmse": regression.rmse(),
            "r2": regression.r2,
        })
    };
    let each = MEASURE_NAMES.iter().zip(&scores.regressions);
    each.map(|(name, regression)| ((*name).to_owned(), figures(regression)))
        .collect::<serde_json::Map<String, Value>>()
        .into()
}

fn as_json(quality: &Quality) -> Value {
    let judge = |confusion: &Confusion| {
        json!({
            "true_positive": confusion.true_positive, "false_positive": confusion.false_positive,
            "false_negative": confusion.false_negative, "true_negative": confusion.true_negative,
            "precision": confusion.precision(), "recall": confusion.recall(),
        })
    };
    let errors: serde_json::Map<String, Value> = MEASURE_NAMES
        .iter()
        .zip(quality.mean_absolute_error)
        .map(|(name, error)| ((*name).to_owned(), json!(error)))
        .collect();
    json!({
        "day": quality.day.to_string(), "rows": quality.rows, "labelled_nok": quality.labelled_nok,
        "fused": judge(&quality.fused), "model": judge(&quality.model), "rules": judge(&quality.rules),
        "auc_pr": quality.auc_pr, "mean_absolute_error_mm": errors,
    })
}

pub fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn draw_verdicts(found: &[Quality]) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
    };
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
    let head = [
        "day",
        "rows",
        "labelled NOK",
        "judge",
        "precision",
        "recall",
        "false NOK",
        "missed NOK",
        "AUC-PR",
    ];
    table(&head, &verdicts)
}

fn draw_errors(found: &[Quality]) -> String {
    let errors: Vec<Vec<String>> = found
        .iter()
        .map(|day| {
            let mut line = vec![day.day.to_string()];
            line.extend(day.mean_absolute_error.map(number));
            line
        })
        .collect();
    let measures = MEASURE_NAMES.map(|name| name.replace('_', " "));
    let measures: Vec<String> = std::iter::once("day".to_owned()).chain(measures).collect();
    let measures: Vec<&str> = measures.iter().map(String::as_str).collect();
    format!(
        "\nmean absolute error, mm, labelled or not\n{}",
        table(&measures, &errors)
    )
}
