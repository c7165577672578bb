//! The welds of one body: a list, NOK ones first, and pictures of these.
//!
//! A body has some thousand welds, of which a person wants the few that are NOK. So the list begins with them, goes on
//! with what could not be judged, and is cut; and pictures are of NOK welds alone, unless there is but one weld.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use weldfleet_fleet::store_failure;
use weldfleet_service::{
    Exit, Failure, OrExit, outln,
    output::{grouped, table},
};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day,
    clickhouse::{CarriedWeld, SourceTable},
};

use super::{explained, stored};
use crate::{inference::tuning::Tuning, judging::Judging};

/// The carried column that is looked in.
const BODY: &str = "body_no";
/// Welds that are listed, and of them drawn at most.
const LISTED: u32 = 50;

pub async fn run(
    settings: &Settings,
    number: &str,
    day: Option<Day>,
    png: Option<&Path>,
) -> Result<Exit, Failure> {
    let mut carried = settings.columns.carried().map(|(ours, _)| ours);
    if !carried.any(|ours| ours == BODY) {
        return Err(Failure::usage(format!(
            "--body looks for a carried column `{BODY}`, and none of that name is configured; add `{BODY} = \"…\"` with the plant's \
             column of body numbers to [columns.carried]"
        )));
    }
    let source = SourceTable::inspect(settings)
        .await
        .map_err(store_failure)?;
    let found = source.find_carried(BODY, number, day, LISTED).await;
    let found = found.map_err(store_failure)?;
    if found.welds.is_empty() {
        let when = day.map_or_else(|| "any day".to_owned(), |day| format!("day {day}"));
        return Err(Failure::usage(format!(
            "no weld with {BODY} `{number}` on {when} in `{}`",
            settings.tables.source_table
        )));
    }
    let counts = found.counts;
    let mut said = format!(
        "body {number}: {} welds, {} NOK",
        grouped(counts.welds),
        grouped(counts.nok)
    );
    for (count, what) in [(counts.unjudged, "not judged"), (counts.waiting, "waiting")] {
        if count > 0 {
            said.push_str(&format!(", {} {what}", grouped(count)));
        }
    }
    outln!("{said}\n\n{}", listed(&found.welds).trim_end());
    let rest = counts.welds.saturating_sub(found.welds.len() as u64);
    if rest > 0 {
        outln!("and {} more; --day narrows it", grouped(rest));
    }
    match png {
        Some(png) => draw(settings, &source, &found.welds, png).await,
        None => Ok(Exit::Done),
    }
}

fn listed(welds: &[CarriedWeld]) -> String {
    let rows: Vec<Vec<String>> = welds
        .iter()
        .map(|weld| {
            let said = match (weld.result.as_str(), weld.status.as_str()) {
                ("", "") => "waiting",
                ("", status) => status,
                (result, _) => result,
            };
            vec![
                weld.day.to_string(),
                weld.time.clone(),
                weld.record_id.clone(),
                weld.part_no.clone(),
                weld.spot_name.clone(),
                weld.timer_name.clone(),
                said.to_owned(),
                weld.defect.clone(),
            ]
        })
        .collect();
    table(
        &[
            "day",
            "time",
            "record_id",
            "part",
            "spot",
            "timer",
            "verdict",
            "defect",
        ],
        &rows,
    )
}

/// The only weld into a file; of several the NOK ones into a folder.
async fn draw(
    settings: &Settings,
    source: &SourceTable,
    welds: &[CarriedWeld],
    png: &Path,
) -> Result<Exit, Failure> {
    let is_file = png.extension().is_some_and(|extension| extension == "png");
    if let ([_, _, ..], true) = (welds, is_file) {
        return Err(Failure::usage(format!(
            "`{}` is one picture, and the body has several welds; give a folder, or --record-id with an id of the list",
            png.display()
        )));
    }
    let wanted: Vec<&CarriedWeld> = match welds {
        [only] => vec![only],
        several => several.iter().filter(|weld| weld.result == "NOK").collect(),
    };
    if wanted.is_empty() {
        outln!(
            "\nnone is NOK, so nothing is drawn; --record-id ID with --png FILE draws one of them"
        );
        return Ok(Exit::Done);
    }
    if !is_file {
        fs::create_dir_all(png)
            .with_context(|| format!("cannot make folder `{}`", png.display()))?;
    }
    let judging = Judging::from_settings(settings, Tuning::OnlyRemembered).or_exit(Exit::Usage)?;
    let mut exit = Exit::Done;
    for weld in wanted {
        let path = if is_file {
            png.to_owned()
        } else {
            png.join(file_name(weld))
        };
        // It was there a moment ago.
        let Some((block, row)) = source.weld_at(weld).await.map_err(store_failure)? else {
            continue;
        };
        let stored = stored(source, &block, row).await?;
        match explained(judging.clone(), &block, row, &stored, Some(&path))? {
            Ok(said) => outln!("\n{said}"),
            Err(reason) => {
                outln!(
                    "\nweld {} cannot be judged, and no curve of it can be drawn: {reason}",
                    weld.record_id
                );
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

/// Any text is an id, and not any text is a file's name.
fn file_name(weld: &CarriedWeld) -> PathBuf {
    let plain = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let id: String = weld.record_id.chars().map(plain).take(80).collect();
    PathBuf::from(format!("weld-{}-{}-{id}.png", weld.day, weld.ticks))
}
