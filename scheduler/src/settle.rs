//! Settling finished days, for the daemon and for `scheduler settle`.
//!
//! What is to be settled is read off the stores each time ([`look`]), so that a restart, another leader or a person in
//! between change nothing. Patches are applied while nothing writes to the table, since a write-back that is under way
//! meanwhile may be acknowledged and lost (`settling` of `weldfleet_stores` tells why). So the fleet is paused for that
//! moment ([`apply`]): claims stop, leases end, the statement runs, claims go on. Nobody resumes meanwhile
//! (`actions::pause`); whoever pauses takes the pause over, and it stays. A process that dies in between leaves the
//! pause behind; whoever leads lifts it ([`lift_abandoned`]).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use weldfleet_queue::{Pause, Queue, QueueError, State};
use weldfleet_stores::{
    Class, Day,
    clickhouse::{Applying, PatchedPartition, Patches, SourceTable},
};

use crate::dependencies::{DependencyError, day_groups};

/// Who is said to have paused the fleet, in front of the process's own id.
const PAUSED_BY: &str = "settling, ";
/// Why it is paused: for how long at most, s, stands behind it.
const REASON: &str = "finished days are settled; goes on by itself, at the latest after";
/// How long a pause lasts at the latest whose reason does not say so, as those of an older release.
const UNTOLD: Duration = Duration::from_secs(600);
/// Leases may take this long to end: those of a worker that died run out meanwhile.
fn drain(queue: &Queue) -> Duration {
    queue.options().ttl
}

/// Whether such a pause is nobody's any more, unless patches are being applied. That takes longer than [`drain`], so
/// that none is lifted from under its owner.
pub fn is_abandoned(pause: &Pause, queue: &Queue, now_ms: u64) -> bool {
    let age_ms = now_ms.saturating_sub(pause.since);
    u128::from(age_ms) >= (drain(queue) * 2).as_millis()
}

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What both stores say.
#[derive(Debug, Default)]
pub struct Unsettled {
    /// What is not settled.
    pub patches: Patches,
    /// Outstanding jobs by day, dead ones included, of any run.
    pub jobs: BTreeMap<Day, u64>,
}

/// Reads what is not settled and what is outstanding.
pub async fn look(table: &SourceTable, queue: &Queue) -> Result<Unsettled, DependencyError> {
    Ok(Unsettled {
        patches: table.patches().await?,
        jobs: jobs_by_day(queue).await?,
    })
}

/// Outstanding jobs by day, dead ones included, of any run.
pub async fn jobs_by_day(queue: &Queue) -> Result<BTreeMap<Day, u64>, QueueError> {
    let mut jobs: BTreeMap<Day, u64> = BTreeMap::new();
    for (group, outstanding) in day_groups(queue).await? {
        *jobs.entry(group.day).or_default() += outstanding;
    }
    Ok(jobs)
}

/// When a partition may be settled.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Days from this one on are not over yet; `None`: whoever asks knows that they are.
    pub not_over: Option<Day>,
    /// Time without a new patch.
    pub quiet: Duration,
}

/// Why a partition cannot be settled now; `None`: it can.
pub fn obstacle(partition: &PatchedPartition, seen: &Unsettled, rule: Rule) -> Option<String> {
    let days = || partition.days.iter();
    let late = |day: &Day| rule.not_over.is_some_and(|first| *day >= first);
    if let Some(day) = days().find(|day| late(&day.day)) {
        return Some(format!("{} is not over", day.day));
    }
    if let Some(day) = days().find(|day| day.left > 0) {
        return Some(format!(
            "{} has {} rows without a verdict",
            day.day, day.left
        ));
    }
    if let Some((day, jobs)) = days().find_map(|day| Some((day.day, *seen.jobs.get(&day.day)?))) {
        return Some(format!("{day} has {jobs} outstanding jobs"));
    }
    if partition.quiet_seconds < rule.quiet.as_secs() {
        return Some(format!(
            "was written {} s ago, and {} s must pass",
            partition.quiet_seconds,
            rule.quiet.as_secs()
        ));
    }
    None
}

/// Partitions that can be settled. A table whose patches come near the server's limit would soon take no verdict at
/// all: then all of them.
pub fn ready(seen: &Unsettled, rule: Rule) -> Vec<String> {
    let all = seen.patches.are_many();
    let partitions = seen.patches.partitions.iter();
    partitions
        .filter(|partition| all || obstacle(partition, seen, rule).is_none())
        .map(|partition| partition.id.clone())
        .collect()
}

/// What applying takes at least, and for each part of the table and each byte of patches, at a third of the pace of a
/// small server (9 parts, 15 MB a second).
const LEAST: Duration = Duration::from_secs(60);
const PARTS_A_SECOND: f64 = 3.0;
const BYTES_A_SECOND: f64 = 5e6;

/// How long applying these may take before it is stopped: what was done by then is done for nothing, since the next
/// try looks at every part again.
pub fn bound(patches: &Patches) -> Duration {
    LEAST + three_times(patches)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn three_times(patches: &Patches) -> Duration {
    let of_parts = patches.parts as f64 / PARTS_A_SECOND;
    let of_bytes = patches.bytes as f64 / BYTES_A_SECOND;
    Duration::from_secs_f64(of_parts + of_bytes)
}

/// How long the fleet is left alone after it stood still for so long: that is at most a sixtieth of the time. What is
/// finished meanwhile is settled together.
pub fn rest(stood_still: Duration) -> Duration {
    stood_still * 60
}

/// How long finished days may wait for others, since applying these stops the fleet for so long.
pub fn may_wait(patches: &Patches) -> Duration {
    rest(three_times(patches) / 3)
}

/// How applying patches ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// They are applied; the fleet stood still for so long.
    Done(Duration),
    /// Nothing was done, or not all of it; why, for people. The next try goes on.
    Not(String),
}

/// Applies the patches of these partitions while the fleet stands still; what is not done after `most`, or when `stop`
/// is cancelled, is left for the next time. Claims go on when this returns, except after an error that leaves open
/// whether the server is at work: then [`lift_abandoned`] sees to it.
pub async fn apply(
    table: &SourceTable,
    queue: &Queue,
    who: &str,
    partitions: &[String],
    most: Duration,
    stop: &CancellationToken,
) -> Result<Applied, DependencyError> {
    if let Some(applying) = table.applying().await? {
        return Ok(Applied::Not(under_way(&applying)));
    }
    let began = Instant::now();
    let by = format!("{PAUSED_BY}{who}");
    let reason = format!("{REASON} {} s", most.max(drain(queue)).as_secs());
    queue.pause(&reason, &by).await?;
    weldfleet_failpoints::reach("scheduler::settle_paused").await;
    let outcome = while_still(table, queue, partitions, most, stop, began).await;
    let goes_on = match &outcome {
        Ok(_) => true,
        // What the server refused it does not do.
        Err(DependencyError::Store(error)) if error.class() == Class::Refused => {
            matches!(table.applying().await, Ok(None))
        }
        Err(_) => false,
    };
    // A person's pause stays.
    if goes_on {
        queue.resume_of(&by).await?;
    }
    outcome
}

async fn while_still(
    table: &SourceTable,
    queue: &Queue,
    partitions: &[String],
    most: Duration,
    stop: &CancellationToken,
    began: Instant,
) -> Result<Applied, DependencyError> {
    loop {
        let stats = queue.stats().await?;
        if stats.paused.is_none() {
            return Ok(Applied::Not("somebody let the fleet go on".to_owned()));
        }
        let held = stats.count(State::Leased) + stats.count(State::Splitting);
        let updates = table.updates_under_way().await?;
        if held == 0 && updates == 0 {
            break;
        }
        if began.elapsed() >= drain(queue) || stop.is_cancelled() {
            return Ok(Applied::Not(format!(
                "{held} ranges and {updates} UPDATEs did not end within {} s",
                began.elapsed().as_secs()
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    table.apply_patches(partitions).await?;
    weldfleet_failpoints::reach("scheduler::settle_applying").await;
    let mut failing: Option<Instant> = None;
    while let Some(applying) = table.applying().await? {
        // A person's pause may have ended at the moment in which this began.
        if queue.paused().await?.is_none() {
            table.stop_applying().await?;
            return Ok(Applied::Not("somebody let the fleet go on".to_owned()));
        }
        match applying.failed.is_empty() {
            true => failing = None,
            false => _ = failing.get_or_insert_with(Instant::now),
        }
        let fails = failing.is_some_and(|since| since.elapsed() >= LEAST);
        if fails || began.elapsed() >= most || stop.is_cancelled() {
            table.stop_applying().await?;
            return Ok(Applied::Not(format!(
                "stopped after {} s; {}",
                began.elapsed().as_secs(),
                under_way(&applying)
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(Applied::Done(began.elapsed()))
}

fn under_way(applying: &Applying) -> String {
    let mut text = format!(
        "the server has been applying patches for {} s, {} parts are left",
        applying.seconds, applying.parts_left
    );
    if !applying.failed.is_empty() {
        text.push_str(": ");
        text.push_str(&applying.failed);
    }
    text
}

/// Lets the fleet go on if whoever paused it for settling is gone and the server is not at it.
pub async fn lift_abandoned(table: &SourceTable, queue: &Queue) -> Result<(), DependencyError> {
    let stats = queue.stats().await?;
    if let Some(pause) = &stats.paused
        && ends_ms(pause).is_some()
        && is_abandoned(pause, queue, stats.now)
        && table.applying().await?.is_none()
    {
        tracing::warn!("a process that settled days is gone; the fleet goes on");
        queue.resume_of(&pause.by).await?;
    }
    Ok(())
}

/// When a pause for settling ends by itself at the latest, ms since 1970; `None`: it is somebody else's.
pub fn ends_ms(pause: &Pause) -> Option<u64> {
    pause.by.strip_prefix(PAUSED_BY)?;
    let told = pause.reason.strip_prefix(REASON);
    let told = told.and_then(|rest| rest.trim().strip_suffix(" s")?.parse().ok());
    Some(pause.since + told.unwrap_or(UNTOLD.as_secs()) * 1000)
}

#[cfg(test)]
mod tests {
    use weldfleet_stores::clickhouse::PatchedDay;

    use super::*;

    const QUIET: Duration = Duration::from_secs(600);

    fn day(number: u32) -> Day {
        Day::new(number).unwrap()
    }

    fn partition(days: &[(u32, u64)], quiet_seconds: u64) -> PatchedPartition {
        PatchedPartition {
            id: "p".to_owned(),
            quiet_seconds,
            days: days
                .iter()
                .map(|(number, left)| PatchedDay {
                    day: day(*number),
                    left: *left,
                })
                .collect(),
        }
    }

    #[test]
    fn a_large_table_has_more_time() {
        let seconds = |parts, bytes| {
            let patches = Patches {
                parts,
                bytes,
                ..Patches::default()
            };
            bound(&patches).as_secs()
        };
        assert_eq!(seconds(4, 1_000_000), 61);
        assert_eq!(may_wait(&Patches::default()), Duration::ZERO);
        assert_eq!(seconds(2_000, 2_180_000_000), 1_162);
    }

    #[test]
    fn only_complete_quiet_days_that_are_over_are_settled() {
        let rule = Rule {
            not_over: Some(day(20_261_128)),
            quiet: QUIET,
        };
        let why = |partition: &PatchedPartition, jobs: &[(u32, u64)]| {
            let seen = Unsettled {
                jobs: jobs.iter().map(|(of, jobs)| (day(*of), *jobs)).collect(),
                ..Unsettled::default()
            };
            obstacle(partition, &seen, rule).unwrap_or_default()
        };
        let quiet = partition(&[(20_261_126, 0), (20_261_127, 0)], 600);
        assert_eq!(why(&quiet, &[]), "");
        assert_eq!(why(&quiet, &[(20_261_125, 3)]), "", "jobs of another day");
        assert_eq!(
            why(&quiet, &[(20_261_127, 3)]),
            "20261127 has 3 outstanding jobs"
        );
        assert_eq!(
            why(&partition(&[(20_261_126, 0), (20_261_127, 4)], 600), &[]),
            "20261127 has 4 rows without a verdict"
        );
        assert_eq!(
            why(&partition(&[(20_261_127, 0)], 599), &[]),
            "was written 599 s ago, and 600 s must pass"
        );
        for later in [20_261_128, 20_261_129] {
            assert_eq!(
                why(&partition(&[(20_261_127, 0), (later, 0)], 9999), &[]),
                format!("{later} is not over")
            );
        }
        let asked = Rule {
            not_over: None,
            quiet: Duration::ZERO,
        };
        let today = partition(&[(20_261_128, 0)], 0);
        assert_eq!(obstacle(&today, &Unsettled::default(), asked), None);
    }

    #[test]
    fn a_pause_for_settling_says_when_it_ends() {
        let ends = |by: &str, reason: &str| {
            ends_ms(&Pause {
                by: by.to_owned(),
                reason: reason.to_owned(),
                since: 5000,
            })
        };
        assert_eq!(ends("settling, a", &format!("{REASON} 60 s")), Some(65_000));
        assert_eq!(ends("settling, a", "of an older release"), Some(605_000));
        assert_eq!(ends("ana@desk", &format!("{REASON} 60 s")), None);
    }

    #[test]
    fn near_the_limit_everything_is_settled() {
        let rule = Rule {
            not_over: Some(day(20_261_128)),
            quiet: QUIET,
        };
        let mut seen = Unsettled {
            patches: Patches {
                parts: 3,
                bytes: 49,
                limit: 100,
                partitions: vec![partition(&[(20_261_128, 7)], 0)],
            },
            jobs: BTreeMap::from([(day(20_261_128), 5)]),
        };
        assert_eq!(ready(&seen, rule), Vec::<String>::new());
        seen.patches.bytes = 50;
        assert_eq!(ready(&seen, rule), ["p"]);
    }
}
