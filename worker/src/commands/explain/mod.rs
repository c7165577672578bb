//! `worker explain`: one weld, drawn.

mod draw;

use std::{path::Path, sync::Arc};

use anyhow::Context;
use weldfleet_service::{Exit, Failure, OrExit, outln};
use weldfleet_settings::Settings;
use weldfleet_stores::{Day, StoreError, clickhouse::SourceTable};
use weldfleet_weld::{Verdict, judge::Workspace};

use crate::{
    inference::{compute::Compute, tuning::Tuning},
    judging::Judging,
};

/// Draws the weld's curves with pulses, peaks, rule hits and verdict, judged anew with this configuration.
pub async fn run(
    settings: &Settings,
    record_id: &str,
    day: Option<&str>,
    png: &Path,
) -> Result<Exit, Failure> {
    let day = day
        .map(str::parse::<Day>)
        .transpose()
        .or_exit(Exit::Usage)?;
    let judging = Judging::from_settings(settings, Tuning::OnlyRemembered).or_exit(Exit::Usage)?;
    let source = SourceTable::inspect(settings).await.map_err(failed)?;
    let found = source.find(record_id, day).await.map_err(failed)?;
    let Some((block, row)) = found else {
        let when = day.map_or_else(|| "any day".to_owned(), |day| format!("day {day}"));
        return Err(Failure::usage(format!(
            "no weld with record_id `{record_id}` on {when} in `{}`",
            settings.tables.source_table
        )));
    };

    let judge = Arc::clone(&judging.judge);
    let layout = judging.layout.layout.one_session();
    let mut compute = Compute::new(judging.judge, judging.models, layout).or_exit(Exit::Usage)?;
    let mut verdicts = compute.judge(&block, 0..block.len())?;
    block.refuse(&mut verdicts);
    let verdict = verdicts.get(row).context("one weld gives one verdict")?;
    let mut workspace = Workspace::default();
    let explanation = judge.explain(&block.weld(row), &mut workspace);
    let heading = format!(
        "weld {} on {} at {}   part {}   spot {}   timer {}",
        block.id(row),
        block.day(),
        block.time_text(row),
        block.part_no(row),
        block.spot_name(row),
        block.timer_name(row)
    );
    match explanation {
        Ok(explanation) => draw::picture(png, &heading, &in_words(verdict), verdict, &explanation)?,
        Err(reason) => {
            return Err(Failure::new(
                Exit::Failed,
                anyhow::anyhow!(
                    "weld `{record_id}` cannot be judged, so there is nothing to explain: {reason}"
                ),
            ));
        }
    }
    outln!("{heading}\n{}\n{}", in_words(verdict), png.display());
    Ok(Exit::Done)
}

fn failed(error: StoreError) -> Failure {
    let exit = if error.is_outage() {
        Exit::Unreachable
    } else {
        Exit::Failed
    };
    Failure::new(exit, error)
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
