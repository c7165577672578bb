//! `scheduler drift`: how far the distributions of one day have moved from another's.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weldfleet_service::{
    Exit, Failure, out,
    output::{self, Paint, grouped, table},
};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day,
    clickhouse::{FEWEST_VALUES, ModelRows, Shift, SourceTable, drifting},
};

use super::{
    evaluate::{in_words, models_json, number},
    long_question::{self, answer},
};
use crate::args::Drift;

/// Index from which a distribution has moved; the usual limits.
const MOVED: f64 = 0.25;
/// and below which it is stable.
const STABLE: f64 = 0.1;

pub async fn run(settings: &Settings, options: Drift) -> Result<Exit, Failure> {
    let zone = &settings.scheduler.timezone;
    let (day, reference) = (options.day.resolve(zone)?, options.reference.resolve(zone)?);
    if day == reference {
        return Err(Failure::usage(format!(
            "--day and --reference are both {day}; a day does not drift from itself"
        )));
    }
    let source = long_question::table(settings).await?;
    let mut shifts = Vec::new();
    for column in drifting() {
        shifts.push(answer(column, source.shift(column, reference, day)).await?);
    }
    let models = Models::read(&source, reference, day).await?;
    if options.json {
        let columns: Vec<Value> = shifts.iter().map(as_json).collect();
        output::json(&json!({
            "day": day.to_string(), "reference": reference.to_string(), "columns": columns,
            "models": { "reference": models_json(&models.then), "day": models_json(&models.now) },
            "judge_anew": models.judge_anew(reference),
        }))?;
    } else {
        out!("{}", models.draw(day, reference));
        out!("{}", draw(&shifts, day, reference, Paint::for_stdout()));
    }
    Ok(Exit::Done)
}

/// Who judged the two days.
struct Models {
    then: Vec<ModelRows>,
    now: Vec<ModelRows>,
}

impl Models {
    async fn read(source: &SourceTable, reference: Day, day: Day) -> Result<Self, Failure> {
        let of = async |day| answer("models", source.models_of(&[day], false)).await;
        Ok(Self {
            then: of(reference).await?,
            now: of(day).await?,
        })
    }

    /// What makes the days comparable, where no model judged on both (parts of one day alone may have models of their
    /// own): what a model says of them then tells the models apart, not the welds.
    fn judge_anew(&self, reference: Day) -> Option<String> {
        let versions = |models: &[ModelRows]| -> BTreeSet<String> {
            models.iter().map(|one| one.model_version.clone()).collect()
        };
        let (then, now) = (versions(&self.then), versions(&self.now));
        let differ = !then.is_empty() && !now.is_empty() && then.is_disjoint(&now);
        differ.then(|| format!("scheduler backfill --from {reference} --to {reference} --force"))
    }

    fn draw(&self, day: Day, reference: Day) -> String {
        let Some(command) = self.judge_anew(reference) else {
            return String::new();
        };
        let told =
            |models: &[ModelRows]| models.iter().map(in_words).collect::<Vec<_>>().join(", ");
        format!(
            "{reference} was judged by {}, {day} by {}: what they say of ml_nok_prob and the measures tells the models apart, \
             not the welds; `{command}` judges {reference} anew\n\n",
            told(&self.then),
            told(&self.now)
        )
    }
}

fn as_json(shift: &Shift) -> Value {
    let mean = |rows: u64, mean: f64| (rows > 0).then_some(mean);
    json!({
        "column": shift.column, "ks": shift.ks, "psi": shift.psi,
        "reference": { "values": shift.values.0, "mean": mean(shift.values.0, shift.means.0) },
        "day": { "values": shift.values.1, "mean": mean(shift.values.1, shift.means.1) },
    })
}

fn draw(shifts: &[Shift], day: Day, reference: Day, paint: Paint) -> String {
    let mean = |rows: u64, mean: f64| number((rows > 0).then_some(mean));
    let rows: Vec<Vec<String>> = shifts
        .iter()
        .map(|shift| {
            let word = match shift.psi {
                None if shift.values.0.min(shift.values.1) == 0 => "no values".to_owned(),
                None => format!("too few values: fewer than {FEWEST_VALUES}"),
                Some(psi) if psi >= MOVED => paint.red("moved"),
                Some(psi) if psi >= STABLE => paint.yellow("moving"),
                Some(_) => "stable".to_owned(),
            };
            vec![
                shift.column.to_owned(),
                grouped(shift.values.0),
                grouped(shift.values.1),
                mean(shift.values.0, shift.means.0),
                mean(shift.values.1, shift.means.1),
                number(shift.ks),
                number(shift.psi),
                word,
            ]
        })
        .collect();
    format!(
        "{day} against {reference}\n{}",
        table(
            &[
                "column",
                "values then",
                "now",
                "mean then",
                "now",
                "KS",
                "PSI",
                ""
            ],
            &rows
        )
    )
}
