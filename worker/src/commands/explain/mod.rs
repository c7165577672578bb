//! `worker explain`: one weld, in words and drawn; or the welds of one body.

mod body;
mod draw;
mod fonts;

use std::{fmt::Write as _, path::Path, sync::Arc};

use anyhow::Context;
use weldfleet_fleet::{DayArg, store_failure};
use weldfleet_service::{Exit, Failure, OrExit, outln};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::{RowBlock, SourceTable, WeldById};
use weldfleet_weld::{DecidedBy, Outcome, Verdict, judge::Workspace};

use crate::{
    args::Which,
    commands::words::{Thresholds, hits},
    inference::{compute::Compute, tuning::Tuning},
    judging::Judging,
};

/// Tells the weld's verdict, judged anew with this configuration, and draws its curves with pulses, peaks and rule hits.
pub async fn run(
    settings: &Settings,
    which: &Which,
    day: Option<DayArg>,
    png: Option<&Path>,
) -> Result<Exit, Failure> {
    let day = day
        .map(|day| day.resolve(&settings.scheduler.timezone))
        .transpose()
        .or_exit(Exit::Usage)?;
    if let Some(number) = &which.body {
        return body::run(settings, number, day, png).await;
    }
    // The command line has asked for one of the two.
    let Some(record_id) = &which.record_id else {
        return Err(Failure::usage("give --record-id ID or --body NUMBER"));
    };
    let judging = Judging::from_settings(settings, Tuning::OnlyRemembered).or_exit(Exit::Usage)?;
    let source = SourceTable::inspect(settings)
        .await
        .map_err(store_failure)?;
    let found = source
        .find(record_id, day, None)
        .await
        .map_err(store_failure)?;
    let Some(WeldById { block, row, others }) = found else {
        let when = day.map_or_else(|| "any day".to_owned(), |day| format!("day {day}"));
        return Err(Failure::usage(format!(
            "no weld with record_id `{record_id}` on {when} in `{}`",
            settings.tables.source_table
        )));
    };
    if others > 0 {
        outln!(
            "{others} more of this id on day {} in `{}`; the last is explained, at {}",
            block.day(),
            settings.tables.source_table,
            block.time_text(row)
        );
    }
    let stored = stored(&source, &block, row).await?;
    match explained(judging, &block, row, &stored, png)? {
        Ok(said) => outln!("{said}"),
        Err(reason) => {
            return Err(Failure::new(
                Exit::Failed,
                anyhow::anyhow!(
                    "weld `{record_id}` cannot be judged, and no curve of it can be drawn: {reason}"
                ),
            ));
        }
    }
    Ok(Exit::Done)
}

/// What the row has, column by column.
type Stored = Vec<(&'static str, String)>;

async fn stored(source: &SourceTable, block: &RowBlock, row: usize) -> Result<Stored, Failure> {
    let key = block.key(row).to_owned();
    let found = source.stored_verdict(block.day(), &key).await;
    Ok(found.map_err(store_failure)?.unwrap_or_default())
}

/// Judges a weld of the block, and draws it where a picture is wanted: what is said of it, or why there is nothing to
/// draw.
fn explained(
    judging: Judging,
    block: &RowBlock,
    row: usize,
    stored: &Stored,
    png: Option<&Path>,
) -> Result<Result<String, String>, Failure> {
    let judge = Arc::clone(&judging.judge);
    let layout = judging.layout.layout.one_session();
    let mut compute = Compute::new(judging.judge, judging.models, layout).or_exit(Exit::Usage)?;
    let mut verdicts = compute.judge(block, 0..block.len())?;
    block.refuse(&mut verdicts);
    let verdict = verdicts.get(row).context("one weld gives one verdict")?;
    let heading = format!(
        "weld {} on {} at {}   part {}   spot {}   timer {}",
        block.id(row),
        block.day(),
        block.time_text(row),
        block.part_no(row),
        block.spot_name(row),
        block.timer_name(row)
    );
    let version = verdict.model_version.as_ref();
    let version = version.map(|version| format!("model_version {version}"));
    let thresholds = Thresholds::of(&judge, block.part_no(row));
    let besides = [
        version,
        verdict.ml_result.and(thresholds.in_words()),
        stored_otherwise(verdict, stored),
        further(block, row),
    ];
    let further = besides
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("   ");
    let summary = in_words(verdict, thresholds);
    let mut said = format!("{heading}\n{summary}");
    for hit in hits(verdict) {
        let _ = write!(said, "\n{hit}");
    }
    if !further.is_empty() {
        let _ = write!(said, "\n{further}");
    }
    let Some(png) = png else { return Ok(Ok(said)) };
    let mut workspace = Workspace::default();
    let weld = block.weld(row);
    let explained = judge.explain(&weld, &mut workspace);
    // Of a weld that nothing can judge a person sees what was recorded.
    let explained = explained.or_else(|reason| judge.as_recorded(&weld).ok_or(reason));
    let explanation = match explained {
        Ok(explanation) => explanation,
        // What keeps a row from being read is its reason, and what follows from it is none.
        Err(reason) => {
            let reason = verdict.alg_error.clone().unwrap_or(reason);
            let stored = stored_otherwise(verdict, stored);
            return Ok(Err(
                stored.map_or(reason.clone(), |stored| format!("{reason}; {stored}"))
            ));
        }
    };
    draw::picture(png, &heading, &summary, &further, verdict, &explanation)?;
    let _ = write!(said, "\n{}", png.display());
    Ok(Ok(said))
}

/// What only this plant has: carried texts and further numbers.
fn further(block: &RowBlock, row: usize) -> Option<String> {
    let names = block.further();
    let carried = names.carried.iter().enumerate();
    let carried = carried.map(|(place, name)| format!("{name} {}", block.carried(row, place)));
    let scalars = names.scalars.iter().zip(block.scalars(row));
    let scalars = scalars.map(|(name, number)| match number.is_nan() {
        true => format!("{name} -"),
        false => format!("{name} {number}"),
    });
    let all = carried.chain(scalars).collect::<Vec<_>>().join("   ");
    (!all.is_empty()).then_some(all)
}

/// What the row has, where that is another verdict than the one that was just made. None while it waits for its verdict.
fn stored_otherwise(verdict: &Verdict, stored: &Stored) -> Option<String> {
    let of = |name: &str| {
        let mut columns = stored.iter().filter(|(known, _)| *known == name);
        columns.next().map_or("", |(_, value)| value.as_str())
    };
    let (status, result, decided_by) = (of("alg_status"), of("final_result"), of("decided_by"));
    let now = [
        verdict.alg_status.as_str(),
        verdict.final_result.map_or("", Outcome::as_str),
        verdict.decided_by.map_or("", DecidedBy::as_str),
        verdict.model_version.as_deref().unwrap_or_default(),
    ];
    if status.is_empty() || now == [status, result, decided_by, of("model_version")] {
        return None;
    }
    let mut said = match result {
        "" => format!("stored: {status} ({})", of("alg_error")),
        result => format!("stored: {result} by {decided_by}"),
    };
    if !of("model_version").is_empty() {
        let _ = write!(said, ", model {}", of("model_version"));
    }
    Some(said)
}

fn in_words(verdict: &Verdict, thresholds: Thresholds) -> String {
    let mut said = match verdict.final_result {
        Some(result) => vec![
            result.as_str().to_owned(),
            format!("decided by {}", verdict.decision()),
        ],
        None => {
            let reason = verdict.alg_error.as_deref().unwrap_or_default();
            vec![format!("{}: {reason}", verdict.alg_status.as_str())]
        }
    };
    if let Some(result) = verdict.ml_result {
        let probability = verdict.ml_nok_prob.unwrap_or(f32::NAN);
        let probability = thresholds.probability(probability);
        said.push(format!("model {} ({probability})", result.as_str()));
    }
    if let Some(result) = verdict.rule_result {
        said.push(format!("rules {}", result.as_str()));
    }
    if let Some(diameter) = verdict.diameter {
        said.push(format!("nugget {diameter:.2} mm"));
    }
    said.join("   ")
}

#[cfg(test)]
mod tests {
    use weldfleet_weld::Status;

    use super::*;

    fn judged(version: &str) -> Verdict {
        Verdict {
            final_result: Some(Outcome::Ok),
            decided_by: Some(DecidedBy::SoftAnd),
            model_version: Some(version.into()),
            ..Verdict::unjudged(Status::Ok, "")
        }
    }

    fn row(status: &str, result: &str, decided_by: &str, version: &str) -> Stored {
        vec![
            ("alg_status", status.to_owned()),
            ("alg_error", "nan: no number".to_owned()),
            ("final_result", result.to_owned()),
            ("decided_by", decided_by.to_owned()),
            ("model_version", version.to_owned()),
        ]
    }

    #[test]
    fn what_is_stored_is_told_where_it_is_another_verdict() {
        let verdict = judged("global-2");
        let told = |stored: &Stored| stored_otherwise(&verdict, stored);
        assert_eq!(told(&row("ok", "OK", "soft_and", "global-2")), None);
        assert_eq!(told(&row("", "", "", "")), None, "it waits");
        assert_eq!(told(&Stored::new()), None);
        let other = told(&row("ok", "NOK", "override", "global-1"));
        let said = "stored: NOK by override, model global-1";
        assert_eq!(other.as_deref(), Some(said));
        let other = told(&row("error", "", "", "global-1"));
        let said = "stored: error (nan: no number), model global-1";
        assert_eq!(other.as_deref(), Some(said));
    }

    #[test]
    fn a_weld_that_the_model_cannot_judge_has_its_reason() {
        let verdict = Verdict::unjudged(Status::Error, "model_output: diameter is NaN");
        let said = in_words(&verdict, Thresholds::default());
        assert_eq!(said, "error: model_output: diameter is NaN");
    }
}
