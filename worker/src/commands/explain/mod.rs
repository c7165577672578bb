//! `worker explain`: one weld, drawn; or the welds of one body.

mod body;
mod draw;
mod fonts;

use std::{fmt::Write as _, path::Path, sync::Arc};

use anyhow::Context;
use weldfleet_fleet::store_failure;
use weldfleet_service::{Exit, Failure, OrExit, outln};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day,
    clickhouse::{RowBlock, SourceTable, WeldById},
};
use weldfleet_weld::{Verdict, judge::Workspace};

use crate::{
    args::Which,
    inference::{compute::Compute, tuning::Tuning},
    judging::Judging,
};

/// Draws the weld's curves with pulses, peaks, rule hits and verdict, judged anew with this configuration.
pub async fn run(
    settings: &Settings,
    which: &Which,
    day: Option<&str>,
    png: Option<&Path>,
) -> Result<Exit, Failure> {
    let day = day
        .map(str::parse::<Day>)
        .transpose()
        .or_exit(Exit::Usage)?;
    if let Some(number) = &which.body {
        return body::run(settings, number, day, png).await;
    }
    // The command line has asked for both.
    let (Some(record_id), Some(png)) = (&which.record_id, png) else {
        return Err(Failure::usage("give --record-id ID and --png OUT"));
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
    match picture(judging, &block, row, png)? {
        Ok(said) => outln!("{said}\n{}", png.display()),
        Err(reason) => {
            return Err(Failure::new(
                Exit::Failed,
                anyhow::anyhow!(
                    "weld `{record_id}` cannot be judged, so there is nothing to explain: {reason}"
                ),
            ));
        }
    }
    Ok(Exit::Done)
}

/// Judges a weld of the block and draws it: what is said of it, or why it cannot be judged.
fn picture(
    judging: Judging,
    block: &RowBlock,
    row: usize,
    png: &Path,
) -> Result<Result<String, String>, Failure> {
    let judge = Arc::clone(&judging.judge);
    let layout = judging.layout.layout.one_session();
    let mut compute = Compute::new(judging.judge, judging.models, layout).or_exit(Exit::Usage)?;
    let mut verdicts = compute.judge(block, 0..block.len())?;
    block.refuse(&mut verdicts);
    let verdict = verdicts.get(row).context("one weld gives one verdict")?;
    let mut workspace = Workspace::default();
    let explanation = match judge.explain(&block.weld(row), &mut workspace) {
        Ok(explanation) => explanation,
        // What keeps a row from being read is its reason, and what follows from it is none.
        Err(reason) => return Ok(Err(verdict.alg_error.clone().unwrap_or(reason))),
    };
    let heading = format!(
        "weld {} on {} at {}   part {}   spot {}   timer {}",
        block.id(row),
        block.day(),
        block.time_text(row),
        block.part_no(row),
        block.spot_name(row),
        block.timer_name(row)
    );
    let (summary, further) = (in_words(verdict), further(block, row));
    draw::picture(png, &heading, &summary, &further, verdict, &explanation)?;
    let mut said = format!("{heading}\n{summary}");
    if !further.is_empty() {
        let _ = write!(said, "\n{further}");
    }
    Ok(Ok(said))
}

/// What only this plant has: carried texts and further numbers.
fn further(block: &RowBlock, row: usize) -> String {
    let names = block.further();
    let carried = names.carried.iter().enumerate();
    let carried = carried.map(|(place, name)| format!("{name} {}", block.carried(row, place)));
    let scalars = names.scalars.iter().zip(block.scalars(row));
    let scalars = scalars.map(|(name, number)| match number.is_nan() {
        true => format!("{name} -"),
        false => format!("{name} {number}"),
    });
    carried.chain(scalars).collect::<Vec<_>>().join("   ")
}

fn in_words(verdict: &Verdict) -> String {
    let mut said = match verdict.final_result {
        Some(result) => vec![
            result.as_str().to_owned(),
            format!("decided by {}", verdict.decision()),
        ],
        None => vec![verdict.alg_status.as_str().to_owned()],
    };
    if let Some(result) = verdict.ml_result {
        let probability = verdict.ml_nok_prob.unwrap_or(f32::NAN);
        said.push(format!("model {} ({probability:.4})", result.as_str()));
    }
    if let Some(result) = verdict.rule_result {
        said.push(format!("rules {}", result.as_str()));
    }
    if let Some(diameter) = verdict.diameter {
        said.push(format!("nugget {diameter:.2} mm"));
    }
    said.join("   ")
}
