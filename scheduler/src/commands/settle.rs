//! `scheduler settle`: applies the patch parts of days at once, before a backup or an archive.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::sleep;
use weldfleet_fleet::queue_failure;
use weldfleet_service::{
    Exit, Failure, errln, outln,
    output::{self, spoken},
    signals,
};
use weldfleet_settings::Settings;
use weldfleet_stores::Day;

use super::{host, keep, operator};
use crate::{
    args::Settle,
    dependencies::{Dependencies, DependencyError, store_failure},
    events::STOOD_STILL_LEFT,
    settle::{self, Applied, Criteria, Unsettled},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest standstill of the fleet; whoever asks for it is there to see it.
const STANDSTILL: Duration = Duration::from_secs(3600);
/// Days that are written meanwhile may need more than one.
const MOST_ROUNDS: u32 = 3;
/// Whoever asks says that the days are over, and does not want to wait.
const CRITERIA: Criteria = Criteria {
    not_over: None,
    quiet: Duration::ZERO,
};

pub async fn run(settings: Arc<Settings>, options: Settle) -> Result<Exit, Failure> {
    let zone = settings.scheduler.timezone.clone();
    let (from, to) = (options.from.resolve(&zone)?, options.to.resolve(&zone)?);
    if from > to {
        return Err(Failure::usage(format!(
            "--from {from} is after --to {to}; write the earlier day first"
        )));
    }
    let deps = Dependencies::open(settings.clone()).await?;
    let stop = signals::stop()?;
    let began = Instant::now();
    let mut stood_still = Duration::ZERO;
    let mut rounds = 0;
    let mut said = String::new();
    let (seen, why) = loop {
        let seen = settle::look(&deps.table, &deps.queue)
            .await
            .map_err(failure)?;
        let mut why = String::new();
        let ids = ready(&seen, from, to, rounds == 0);
        if !ids.is_empty() && !stop.is_cancelled() {
            if !options.json {
                errln!("applying patches; the fleet stands still until it is done");
            }
            let who = format!("scheduler settle on {}", host());
            let applied = settle::apply(&deps.table, &deps.queue, &who, &ids, STANDSTILL, &stop);
            match applied.await.map_err(failure)? {
                Applied::Done(took) => {
                    stood_still += took;
                    rounds += 1;
                    if rounds < MOST_ROUNDS {
                        continue;
                    }
                    "they are written again and again".clone_into(&mut why);
                }
                Applied::Not(reason) => why = reason,
            }
        }
        let left = left_over(&seen, from, to);
        if left.is_empty() || !options.wait || stop.is_cancelled() {
            break (seen, why);
        }
        let text = in_words(&left, &why);
        if text != said {
            errln!("waiting: {text}");
            said = text;
        }
        stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
    };
    let left = left_over(&seen, from, to);
    if rounds > 0 {
        let left = left.len().to_string();
        let detail = STOOD_STILL_LEFT.words(&[&spoken(stood_still), &left]);
        let by = operator(&options.why.reason);
        let event = by.event("settle", format!("days {from}..{to}"), detail.en);
        keep(&settings, &[event]).await;
    }
    if options.json {
        let days: Vec<_> = left
            .iter()
            .map(|(day, why)| json!({ "day": day.to_string(), "why": why }))
            .collect();
        output::json(&json!({
            "from": from.to_string(), "to": to.to_string(), "left": days, "why": (!why.is_empty()).then_some(why),
            "seconds": began.elapsed().as_secs_f64(), "stood_still_seconds": stood_still.as_secs_f64(),
            "patch_bytes": seen.patches.bytes, "patch_limit_bytes": seen.patches.limit,
        }))?;
    } else if left.is_empty() {
        tell_settled(from, to, stood_still);
    } else {
        tell_left(&left, &why);
    }
    Ok(if left.is_empty() {
        Exit::Done
    } else {
        Exit::Leftover
    })
}

fn tell_settled(from: Day, to: Day, stood_still: Duration) {
    let mut text = format!("settled: every day from {from} to {to}");
    if !stood_still.is_zero() {
        text.push_str(&format!(
            "; the fleet stood still for {}",
            spoken(stood_still)
        ));
    }
    outln!("{text}");
}

/// `why`: why no further look would change it; empty if nothing is known.
fn tell_left(left: &BTreeMap<Day, String>, why: &str) {
    for (day, why) in left {
        outln!("{day} is not settled: {why}");
    }
    if !why.is_empty() {
        outln!("{why}");
    }
}

/// Partitions of the asked days that can be settled. Near the server's limit of patches all of them, at `first`: beyond
/// it no row gets a verdict, so that a day with rows left would never be complete.
fn ready(seen: &Unsettled, from: Day, to: Day, first: bool) -> Vec<String> {
    let all = first && seen.patches.are_many();
    let partitions = seen.patches.partitions.iter();
    partitions
        .filter(|partition| {
            let asked = partition
                .days
                .iter()
                .any(|day| day.day >= from && day.day <= to);
            asked && (all || settle::obstacle(partition, seen, CRITERIA).is_none())
        })
        .map(|partition| partition.id.clone())
        .collect()
}

/// The asked days that are not settled, each with the reason.
fn left_over(seen: &Unsettled, from: Day, to: Day) -> BTreeMap<Day, String> {
    let mut left = BTreeMap::new();
    for partition in &seen.patches.partitions {
        let why = settle::obstacle(partition, seen, CRITERIA);
        for day in &partition.days {
            if day.day >= from && day.day <= to {
                let why = why
                    .clone()
                    .unwrap_or_else(|| "its patches are not applied yet".to_owned());
                left.insert(day.day, why);
            }
        }
    }
    left
}

fn in_words(left: &BTreeMap<Day, String>, why: &str) -> String {
    let mut text = match left.iter().next() {
        Some((day, first)) if left.len() == 1 => format!("{day}: {first}"),
        Some((_, first)) => format!("{} days; {first}", left.len()),
        None => String::new(),
    };
    if !why.is_empty() {
        text.push_str(&format!(" ({why})"));
    }
    text
}

fn failure(error: DependencyError) -> Failure {
    match error {
        DependencyError::Queue(error) => queue_failure(error),
        DependencyError::Store(error) => store_failure(error),
    }
}
