//! What the metrics of a scheduler mean, and those of the whole fleet.
//!
//! What is known of the fleet is taken from the status model at each scrape. So every scheduler tells it, leader or
//! standby, in the words of [`causes`](crate::status::causes), and nobody tells what was true before a failover. What
//! is not known is NaN. The rest is counted where it happens; what only the leader knows is NaN on a standby.

use std::{sync::Arc, time::Duration};

use weldfleet_queue::State;
use weldfleet_service::{
    http::BeforeScrape,
    metrics::{counter, gauge},
    recorder::{self, Kind, describe},
};
use weldfleet_stores::clickhouse::{OutcomeCounts, RunState};

use crate::{
    args::VERSION,
    pass::{BACKFILL, LIVE},
    status::{
        cache::Cache,
        causes::CODES,
        hints::attention,
        report::{Report, RunLine},
    },
};

/// How long a scrape waits for a fresh look.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is counted.
const COUNTERS: &str = "\
weldfleet_passes_failed_total passes that ended early, by the dependency that is to blame
weldfleet_ranges_enqueued_total ranges that became jobs, by class: live, backfill
weldfleet_jobs_split_total jobs cut in halves to find the row that kills workers or cannot be read
weldfleet_rows_poison_total rows given up since they killed their worker twice, isolated
weldfleet_leases_expired_total leases that ran out, whoever took them back: their worker died, was cut off or made no \
    progress; of the leader
weldfleet_mirror_failures_total times that MySQL did not take rows of the mirror; the leader makes up for it
weldfleet_mirror_rows_reconciled_total rows of MySQL that the scheduler put right, by change: inserted, updated, \
    removed
weldfleet_settlements_total times that patch parts were applied, by outcome: done, failed";

/// How long things took.
const DURATIONS: &str = "\
weldfleet_pass_duration_seconds time of a pass that went through
weldfleet_settling_duration_seconds how long the fleet stood still while patch parts were applied";

/// What this process knows of itself, or as the leader.
const OWN: &str = "\
weldfleet_scheduler_leader 1 while this scheduler leads, else 0
weldfleet_jobs_unreadable jobs whose record somebody changed, so that their day waits; of the leader
weldfleet_mirror_up 1 while the leader looks after the mirror, 0 while it cannot; of the leader
weldfleet_mirror_lag_rows NOK rows of the live days that MySQL lacks or has too many; of the leader
weldfleet_mirror_kept_rows NOK rows of MySQL that stay although the source has no verdict for their weld; of the \
    leader
weldfleet_mirror_older_rows_missing NOK rows of older days that MySQL lacks, as last counted; of the leader
weldfleet_hit_streaks times on the live days that a timer's spot of a part had hits of this rule in \
    scheduler.hit_streaks welds in a row; of the leader
weldfleet_hit_streak_told_timestamp_seconds when this scheduler last told hits in a row that no leader had told \
    before, by rule, in seconds since 1970";

/// What every scheduler knows from the stores.
const OF_FLEET: &str = "\
weldfleet_cause 1 while this is why nothing moves, or in the way, by code and whether somebody should do something
weldfleet_attention 1 while this needs a person and stops nothing, by code; NaN while nobody can tell
weldfleet_status_age_seconds age of what this scheduler knows of the fleet
weldfleet_jobs jobs in the queue by state: pending, leased, delayed, splitting, dead, done
weldfleet_jobs_outstanding jobs that are not done and not dead, by class: live, backfill
weldfleet_oldest_pending_seconds age of the oldest job that waits for a worker, by class: live, backfill (NaN while \
    live ones wait, too); 0 while paused
weldfleet_oldest_held_seconds how long work has been kept from beginning, by what: pause (0 while nothing waits, NaN \
    where it was made by hand), delay (of the failed job that is due first), run
weldfleet_workers workers that live: those that were heard of lately
weldfleet_paused 1 while the fleet is paused, else 0
weldfleet_runs_open backfills that are being judged
weldfleet_runs_held backfills that wait for a person
weldfleet_rows_left rows without a verdict by class: live, backfill, older (days that only a backfill would judge), \
    later (days that have not come yet), no_day (a data_date that is no day)
weldfleet_dates_left days that have rows without a verdict, by class: live, older
weldfleet_day_rows rows of the live days by verdict: ok, nok, invalid, poison, error
weldfleet_rows_per_second rows judged per second in the last minute; NaN while the days of open backfills were not \
    read so lately
weldfleet_dates_unsettled days before today whose verdicts are in patch parts still, so that backups and archives \
    would leave them out
weldfleet_patch_bytes uncompressed bytes of the source table's patch parts
weldfleet_patch_limit_bytes bytes of patch parts from which ClickHouse refuses every UPDATE of the table; 0: it has no \
    limit
weldfleet_disk_free_bytes room on the disk where ClickHouse writes next";

/// Installs the recorder of `scheduler run`.
///
/// # Errors
/// If one is installed already.
pub fn install() -> anyhow::Result<recorder::Handle> {
    let handle = recorder::install(&[
        "weldfleet_pass_duration_seconds",
        "weldfleet_settling_duration_seconds",
    ])?;
    describe(Kind::Counter, COUNTERS);
    describe(Kind::Histogram, DURATIONS);
    describe(Kind::Gauge, OWN);
    describe(Kind::Gauge, OF_FLEET);
    recorder::tell_build(&VERSION);
    from_zero();
    Ok(handle)
}

/// A counter that is not there before its first event hides that event from `increase`.
fn from_zero() {
    gauge!("weldfleet_scheduler_leader").set(0.0);
    for name in [
        "weldfleet_jobs_split_total",
        "weldfleet_rows_poison_total",
        "weldfleet_leases_expired_total",
        "weldfleet_mirror_failures_total",
    ] {
        counter!(name).increment(0);
    }
    for dependency in ["clickhouse", "redis"] {
        counter!("weldfleet_passes_failed_total", "dependency" => dependency).increment(0);
    }
    for class in ["live", "backfill"] {
        counter!("weldfleet_ranges_enqueued_total", "class" => class).increment(0);
    }
    for outcome in ["done", "failed"] {
        counter!("weldfleet_settlements_total", "outcome" => outcome).increment(0);
    }
    for change in ["inserted", "updated", "removed"] {
        counter!("weldfleet_mirror_rows_reconciled_total", "change" => change).increment(0);
    }
}

/// What only the leader knows is not known to this scheduler.
pub fn forget(names: &[&'static str]) {
    for name in names {
        gauge!(*name).set(f64::NAN);
    }
}

/// Takes what is known of the fleet before each scrape.
pub fn of_fleet(cache: Cache) -> BeforeScrape {
    Arc::new(move || {
        let cache = cache.clone();
        Box::pin(async move {
            if let Some((report, age)) = cache.get(PATIENCE).await {
                gauge!("weldfleet_status_age_seconds").set(age);
                show(&report);
            }
        })
    })
}

/// The number, or NaN where it is not known.
pub fn known(number: Option<u64>) -> f64 {
    number.map_or(f64::NAN, |number| number as f64)
}

fn show(report: &Report) {
    for (code, alarming) in CODES {
        let mut causes = report.causes.iter();
        let named = causes.any(|cause| (cause.code, cause.alarming) == (code, alarming));
        let alarming = if alarming { "true" } else { "false" };
        gauge!("weldfleet_cause", "code" => code, "alarming" => alarming).set(u8::from(named));
    }
    for (code, told) in attention(report) {
        gauge!("weldfleet_attention", "code" => code).set(known(told.map(u64::from)));
    }
    show_queue(report);
    show_rows(report);
    let patches = report.patches.as_ref();
    gauge!("weldfleet_dates_unsettled")
        .set(known(patches.map(|line| line.days_unsettled.len() as u64)));
    gauge!("weldfleet_patch_bytes").set(known(patches.map(|line| line.bytes)));
    gauge!("weldfleet_patch_limit_bytes").set(known(patches.map(|line| line.limit_bytes)));
    let disk = report.disk.as_ref();
    gauge!("weldfleet_disk_free_bytes").set(known(disk.map(|disk| disk.free_bytes)));
}

fn show_queue(report: &Report) {
    for state in State::ALL {
        let jobs = report.jobs.as_ref();
        let count = jobs.map(|jobs| jobs.get(&state).copied().unwrap_or(0));
        gauge!("weldfleet_jobs", "state" => state.as_str()).set(known(count));
    }
    let queue = report.queue.as_ref();
    for (class, priority) in [("live", LIVE), ("backfill", BACKFILL)] {
        let count = queue.map(|queue| queue.outstanding.get(&priority).copied().unwrap_or(0));
        gauge!("weldfleet_jobs_outstanding", "class" => class).set(known(count));
    }
    let living = report.living_count();
    gauge!("weldfleet_workers").set(known(living.map(|count| count as u64)));
    let paused = queue.map(|_| u64::from(report.paused.is_some()));
    gauge!("weldfleet_paused").set(known(paused));
    let waiting = OldestWaits::of(report);
    for (class, seconds) in [("live", waiting.for_a_worker), ("backfill", waiting.behind)] {
        gauge!("weldfleet_oldest_pending_seconds", "class" => class)
            .set(seconds.unwrap_or(f64::NAN));
    }
    for (by, seconds) in [
        ("pause", waiting.for_resume),
        ("delay", waiting.for_its_delay),
        ("run", waiting.for_its_run),
    ] {
        gauge!("weldfleet_oldest_held_seconds", "by" => by).set(seconds.unwrap_or(f64::NAN));
    }
}

/// How long the oldest work has been waiting, by what it waits for, s; 0 where there is none, `None` if nobody can
/// tell.
#[derive(Debug, PartialEq)]
struct OldestWaits {
    /// Live jobs.
    for_a_worker: Option<f64>,
    /// Jobs of backfills; nobody looks at them while live ones wait.
    behind: Option<f64>,
    for_resume: Option<f64>,
    for_its_delay: Option<f64>,
    for_its_run: Option<f64>,
}

impl OldestWaits {
    fn of(report: &Report) -> Self {
        let seconds = |ms: Option<u64>| ms.unwrap_or(0) as f64 / 1000.0;
        let queue = report.queue.as_ref();
        let pending = queue.map(|queue| seconds(queue.oldest_pending_ms));
        let none = queue.map(|_| 0.0);
        let backfill = queue.and_then(|queue| queue.oldest_pending_priority) == Some(BACKFILL);
        let (for_a_worker, behind, for_resume) = match (&report.paused, pending) {
            (Some(pause), _) => {
                let paused = queue.map(|queue| queue.now_ms.saturating_sub(pause.since));
                // One made by hand says not since when.
                let paused = paused.filter(|_| pause.since > 0);
                let waits = pending.is_some_and(|pending| pending > 0.0);
                (
                    none,
                    none,
                    paused.map(|ms| seconds(Some(ms).filter(|_| waits))),
                )
            }
            (None, Some(0.0)) => (none, none, none),
            (None, _) if backfill => (none, pending, none),
            (None, _) => (pending, None, none),
        };
        Self {
            for_a_worker,
            behind,
            for_resume,
            for_its_delay: queue.map(|queue| seconds(queue.oldest_delayed_ms)),
            for_its_run: report
                .runs
                .as_ref()
                .map(|runs| oldest_held(runs, report.at_ms)),
        }
    }
}

fn oldest_held(runs: &[RunLine], now_ms: i64) -> f64 {
    let held = runs.iter().filter(|run| run.state == RunState::Held);
    let oldest = held.map(|run| run.since_ms).min();
    oldest.map_or(0.0, |since| (now_ms - since).max(0) as f64 / 1000.0)
}

fn show_rows(report: &Report) {
    let live = || {
        let days = report.days.as_ref()?;
        Some(days.iter().filter(|day| day.live))
    };
    let older = report.older_days.as_ref();
    let runs = report.runs.as_ref();
    let in_runs = runs.map(|runs| runs.iter().filter_map(|run| run.left).sum::<u64>());
    for (class, rows) in [
        ("live", report.live_rows_left()),
        ("backfill", in_runs),
        (
            "older",
            older.map(|days| days.iter().map(|day| day.left).sum()),
        ),
        ("later", report.rows_later),
        ("no_day", report.rows_on_no_day),
    ] {
        gauge!("weldfleet_rows_left", "class" => class).set(known(rows));
    }
    for (class, dates) in [
        (
            "live",
            live().map(|days| days.filter(|day| day.left > 0).count()),
        ),
        ("older", older.map(Vec::len)),
    ] {
        gauge!("weldfleet_dates_left", "class" => class)
            .set(known(dates.map(|dates| dates as u64)));
    }
    let mut sums = OutcomeCounts::default()
        .named()
        .map(|(name, _)| (name, None));
    for day in live().into_iter().flatten() {
        for ((_, sum), (_, count)) in sums.iter_mut().zip(day.outcomes.named()) {
            *sum.get_or_insert(0) += count;
        }
    }
    for (verdict, sum) in sums {
        gauge!("weldfleet_day_rows", "verdict" => verdict).set(known(sum));
    }
    gauge!("weldfleet_rows_per_second").set(report.rows_per_second.unwrap_or(f64::NAN));
    let count = |state| {
        let runs = runs?.iter().filter(|run| run.state == state);
        Some(runs.count() as u64)
    };
    gauge!("weldfleet_runs_open").set(known(count(RunState::Open)));
    gauge!("weldfleet_runs_held").set(known(count(RunState::Held)));
}

#[cfg(test)]
mod tests {
    use weldfleet_queue::Pause;

    use super::*;
    use crate::status::report::QueueFacts;

    #[test]
    fn work_that_nobody_may_begin_waits_for_no_worker() {
        let mut report = Report {
            at_ms: 100_000,
            queue: Some(QueueFacts {
                now_ms: 90_000,
                oldest_pending_ms: Some(7000),
                oldest_pending_priority: Some(LIVE),
                oldest_delayed_ms: Some(9000),
                ..QueueFacts::default()
            }),
            runs: Some(
                // Asked for long before.
                [
                    (RunState::Held, 40_000),
                    (RunState::Held, 60_000),
                    (RunState::Open, 1000),
                ]
                .map(|(state, since_ms)| RunLine {
                    state,
                    since_ms,
                    ..RunLine::default()
                })
                .into(),
            ),
            ..Report::default()
        };
        let waiting = OldestWaits {
            for_a_worker: Some(7.0),
            behind: None,
            for_resume: Some(0.0),
            for_its_delay: Some(9.0),
            for_its_run: Some(60.0),
        };
        assert_eq!(OldestWaits::of(&report), waiting);
        report.paused = Some(Pause {
            reason: "tip dress".to_owned(),
            by: "ana".to_owned(),
            since: 87_000,
        });
        let paused = OldestWaits {
            for_a_worker: Some(0.0),
            behind: Some(0.0),
            for_resume: Some(3.0),
            ..waiting
        };
        assert_eq!(OldestWaits::of(&report), paused);
        if let Some(pause) = &mut report.paused {
            pause.since = 0;
        }
        assert_eq!(OldestWaits::of(&report).for_resume, None, "by hand");
        if let Some(pause) = &mut report.paused {
            pause.since = 87_000;
        }
        report.queue.get_or_insert_default().oldest_pending_ms = None;
        assert_eq!(
            OldestWaits::of(&report).for_resume,
            Some(0.0),
            "nothing waits"
        );
        (report.queue, report.runs) = (None, None);
        let unknown = OldestWaits {
            for_a_worker: None,
            behind: None,
            for_resume: None,
            for_its_delay: None,
            for_its_run: None,
        };
        assert_eq!(OldestWaits::of(&report), unknown);
    }

    #[test]
    fn a_backfill_that_waits_is_no_live_work_that_waits() {
        let of = |oldest: Option<(u64, u8)>| {
            let waiting = OldestWaits::of(&Report {
                queue: Some(QueueFacts {
                    oldest_pending_ms: oldest.map(|(ms, _)| ms),
                    oldest_pending_priority: oldest.map(|(_, priority)| priority),
                    ..QueueFacts::default()
                }),
                ..Report::default()
            });
            (waiting.for_a_worker, waiting.behind)
        };
        assert_eq!(of(Some((7000, LIVE))), (Some(7.0), None));
        assert_eq!(of(Some((7000, BACKFILL))), (Some(0.0), Some(7.0)));
        assert_eq!(of(None), (Some(0.0), Some(0.0)));
    }
}
