//! `backfill --wait`: progress of one run until it is done or only dead letters are left.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;
use weldfleet_queue::{QueueError, State};
use weldfleet_service::{
    Exit, Failure, errln, outln,
    output::{self, grouped, spoken},
    signals,
};
use weldfleet_stores::{
    Day, Selection, StoreError,
    clickhouse::{OutcomeCounts, RunState},
};

use super::{jobs, plain, progress::Progress};
use crate::dependencies::{Dependencies, day_groups, store_failure};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits for the run; ends with 0 when every row is done, 4 when dead letters or rows that are poison or in error are
/// left, rows that were to be judged again are gone, the run was cancelled or the wait was interrupted.
pub async fn until_done(
    deps: &Dependencies,
    run: u64,
    days: &[Day],
    selection: &Selection,
    rows: u64,
    json: Option<Value>,
) -> Result<Exit, Failure> {
    let stop = signals::stop()?;
    let began = Instant::now();
    let mut progress = Progress::new("judging", rows);
    let mut stuck = Stuck::new(deps.settings.scheduler.poll_interval);
    let end = loop {
        match look(deps, run, days, selection).await {
            Ok(seen) => {
                let total = rows.max(seen.left);
                progress.show(total - seen.left, total, &seen.remark);
                match seen.state {
                    RunState::Closed => break End::Closed,
                    RunState::Cancelled => break End::Cancelled,
                    RunState::Open | RunState::Held => {}
                }
                if stuck.is_over(&seen) {
                    break End::Dead(seen.dead);
                }
            }
            Err(LookError::Fatal(error)) => {
                progress.end();
                return Err(store_failure(error));
            }
            // An outage is not the end: the run is in ClickHouse, and the fleet waits too.
            Err(LookError::Away(remark)) => progress.show(0, rows, &remark),
        }
        if stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
            progress.end();
            errln!("run {run} goes on without this process; `scheduler status` shows it");
            return Ok(Exit::Leftover);
        }
    };
    progress.end();
    let outcome = deps
        .table
        .run_outcome(run, days)
        .await
        .map_err(store_failure)?;
    // Of new rows others may have judged some; a run that has not ended well says itself what is left.
    let missing = match (end, selection) {
        (End::Closed, Selection::Force | Selection::Status(_)) => {
            rows.saturating_sub(outcome.rows())
        }
        _ => 0,
    };
    let leftover = end != End::Closed || outcome.error + outcome.poison + missing > 0;
    let dead = end.dead();
    match json {
        Some(mut report) => {
            report["seconds"] = json!(began.elapsed().as_secs_f64());
            report["outcome"] = json!(outcome);
            report["outcome"]["dead_jobs"] = json!(dead);
            report["outcome"]["cancelled"] = json!(end == End::Cancelled);
            report["outcome"]["missing"] = json!(missing);
            output::json(&report)?;
        }
        None => {
            say(run, days, &outcome, end, began.elapsed());
            if missing > 0 {
                outln!(
                    "{} rows have no verdict of this run: they are gone, were dropped, or another run has judged them since",
                    grouped(missing)
                );
            }
        }
    }
    Ok(if leftover { Exit::Leftover } else { Exit::Done })
}

/// How the wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Cancelled,
    /// So many dead letters are left, and nothing else.
    Dead(u64),
}

impl End {
    fn dead(self) -> u64 {
        match self {
            Self::Dead(jobs) => jobs,
            Self::Closed | Self::Cancelled => 0,
        }
    }
}

fn say(run: u64, days: &[Day], outcome: &OutcomeCounts, end: End, took: Duration) {
    outln!(
        "run {run} {} after {}: {} OK, {} NOK, {} invalid, {} poison, {} in error",
        match end {
            End::Closed => "is done",
            End::Cancelled => "was cancelled",
            End::Dead(_) => "has only dead letters left",
        },
        spoken(took),
        grouped(outcome.ok),
        grouped(outcome.nok),
        grouped(outcome.invalid),
        grouped(outcome.poison),
        grouped(outcome.error),
    );
    if let End::Dead(dead) = end {
        outln!(
            "{dead} dead letters: `scheduler jobs list --state dead --run {run}` shows them, \
             `scheduler jobs retry --all --run {run}` tries again"
        );
    }
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return;
    };
    if outcome.error > 0 {
        outln!(
            "rows in error have the reason in alg_error; `scheduler backfill --from {first} --to {last} --status error` judges them again"
        );
    }
    if outcome.poison > 0 {
        outln!(
            "rows that are poison killed their worker; `scheduler backfill --from {first} --to {last} --status poison` judges them again"
        );
    }
}

/// What one look saw.
#[derive(Default)]
struct RunProgress {
    state: RunState,
    left: u64,
    outstanding: u64,
    dead: u64,
    led: bool,
    remark: String,
}

enum LookError {
    Away(String),
    Fatal(StoreError),
}

impl From<StoreError> for LookError {
    fn from(error: StoreError) -> Self {
        if error.is_outage() {
            Self::Away("clickhouse does not answer; waiting".to_owned())
        } else {
            Self::Fatal(error)
        }
    }
}

impl From<QueueError> for LookError {
    fn from(error: QueueError) -> Self {
        Self::Away(format!("{error}; waiting"))
    }
}

async fn look(
    deps: &Dependencies,
    run: u64,
    days: &[Day],
    selection: &Selection,
) -> Result<RunProgress, LookError> {
    let recorded = deps.runs.get(run).await?;
    let state = recorded.as_ref().map_or(RunState::Open, |run| run.state);
    let left = deps.table.wanted_rows(run, days, selection).await?;
    let left: u64 = left.iter().map(|(_, rows)| rows).sum();
    if matches!(state, RunState::Closed | RunState::Cancelled) {
        return Ok(RunProgress {
            state,
            left,
            ..RunProgress::default()
        });
    }
    let stats = deps.queue.stats().await?;
    let groups = day_groups(&deps.queue).await?.into_iter();
    let outstanding = groups
        .filter(|(group, _)| group.run == run && days.contains(&group.day))
        .map(|(_, outstanding)| outstanding)
        .sum();
    let dead = match stats.count(State::Dead) {
        0 => 0,
        _ => jobs::dead_of(&deps.queue, run).await?,
    };
    let led = deps.queue.leader().await?.is_some();
    let gone = match &recorded {
        Some(run) if left + outstanding == 0 => deps.table.gone(run).await?,
        _ => 0,
    };
    let held = recorded.filter(|run| run.state == RunState::Held);
    let remark = if let Some(held) = held {
        let (by, why) = (&held.changed_by, &held.changed_why);
        let held = plain(&format!("held by {by}: {why}"));
        format!("{held}; `scheduler backfill resume {run}` lets it go on")
    } else if let Some(pause) = &stats.paused {
        format!("the fleet is paused: {}", plain(&pause.reason))
    } else if !led {
        "no scheduler is running; `scheduler run` starts one".to_owned()
    } else if stats.workers == 0 {
        "no worker is running; `worker run` starts one".to_owned()
    } else if gone > 0 {
        format!(
            "{} rows of the run are gone; it waits for them, `scheduler backfill cancel {run}` ends it",
            grouped(gone)
        )
    } else {
        String::new()
    };
    Ok(RunProgress {
        state,
        left,
        outstanding,
        dead,
        led,
        remark,
    })
}

/// Whether only dead letters are left, for longer than the scheduler needs to find something else to do.
struct Stuck {
    patience: Duration,
    since: Option<Instant>,
}

impl Stuck {
    fn new(poll_interval: Duration) -> Self {
        Self {
            patience: poll_interval * 3 + Duration::from_secs(1),
            since: None,
        }
    }

    fn is_over(&mut self, seen: &RunProgress) -> bool {
        if seen.state != RunState::Open
            || seen.dead == 0
            || seen.outstanding > seen.dead
            || !seen.led
        {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= self.patience
    }
}
