//! `backfill --wait`: progress of one run until it is done or only dead letters are left.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use weldfleet_queue::{QueueError, State};
use weldfleet_service::{
    Exit, Failure, errln, outln,
    output::{self, grouped, spoken},
};
use weldfleet_stores::{
    Day, Selection, StoreError,
    clickhouse::{RunOutcome, RunState},
};

use super::progress::Progress;
use crate::{
    dependencies::{Dependencies, store_failure},
    pass::group,
};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits for the run; ends with 0 when every row is done, 4 when dead letters or rows in error are left or the wait was interrupted.
pub async fn until_done(
    deps: &Dependencies,
    run: u64,
    days: &[Day],
    selection: &Selection,
    rows: u64,
    json: Option<Value>,
) -> Result<Exit, Failure> {
    let began = Instant::now();
    let mut progress = Progress::new("judging", rows);
    let mut stuck = Stuck::new(deps.settings.scheduler.poll_interval);
    let dead = loop {
        match look(deps, run, days, selection).await {
            Ok(seen) => {
                let total = rows.max(seen.left);
                progress.show(total - seen.left, total, &seen.remark);
                if seen.closed {
                    break 0;
                }
                if stuck.is_over(&seen) {
                    break seen.dead;
                }
            }
            Err(LookError::Fatal(error)) => {
                progress.end();
                return Err(store_failure(error));
            }
            // An outage is not the end: the run is in ClickHouse, and the fleet waits too.
            Err(LookError::Away(remark)) => progress.show(0, rows, &remark),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => {
                progress.end();
                errln!("run {run} goes on without this process; `scheduler status` shows it");
                return Ok(Exit::Leftover);
            }
        }
    };
    progress.end();
    let outcome = deps
        .table
        .run_outcome(run, days)
        .await
        .map_err(store_failure)?;
    let leftover = dead > 0 || outcome.error > 0;
    match json {
        Some(mut report) => {
            report["seconds"] = json!(began.elapsed().as_secs_f64());
            report["outcome"] = json!({
                "ok": outcome.ok, "nok": outcome.nok, "invalid": outcome.invalid, "poison": outcome.poison,
                "error": outcome.error, "dead_jobs": dead,
            });
            output::json(&report)?;
        }
        None => say(run, days, &outcome, dead, began.elapsed()),
    }
    Ok(if leftover { Exit::Leftover } else { Exit::Done })
}

fn say(run: u64, days: &[Day], outcome: &RunOutcome, dead: u64, took: Duration) {
    outln!(
        "run {run} {} after {}: {} OK, {} NOK, {} invalid, {} poison, {} in error",
        if dead > 0 {
            "has only dead letters left"
        } else {
            "is done"
        },
        spoken(took),
        grouped(outcome.ok),
        grouped(outcome.nok),
        grouped(outcome.invalid),
        grouped(outcome.poison),
        grouped(outcome.error),
    );
    if dead > 0 {
        outln!(
            "{dead} dead letters: `scheduler jobs list --state dead --run {run}` shows them, \
             `scheduler jobs retry --all --run {run}` tries again"
        );
    }
    if outcome.error > 0
        && let (Some(first), Some(last)) = (days.first(), days.last())
    {
        outln!(
            "rows in error have the reason in alg_error; `scheduler backfill --from {first} --to {last} --status error` judges them again"
        );
    }
}

/// What one look saw.
struct Seen {
    closed: bool,
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
) -> Result<Seen, LookError> {
    let closed = deps
        .runs
        .get(run)
        .await?
        .is_some_and(|run| run.state == RunState::Closed);
    let left = deps.table.wanted_rows(run, days, selection).await?;
    let left: u64 = left.iter().map(|(_, rows)| rows).sum();
    if closed {
        return Ok(Seen {
            closed,
            left,
            outstanding: 0,
            dead: 0,
            led: false,
            remark: String::new(),
        });
    }
    let stats = deps.queue.stats().await?;
    let groups: BTreeMap<String, u64> = deps
        .queue
        .groups()
        .await?
        .into_iter()
        .map(|group| (group.name, group.outstanding))
        .collect();
    let outstanding = days
        .iter()
        .filter_map(|day| groups.get(&group(run, *day)))
        .sum();
    let mut dead = 0;
    if stats.count(State::Dead) > 0 {
        let run = run.to_string();
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let page = deps.queue.list(State::Dead, at, 500).await?;
            dead += page
                .jobs
                .iter()
                .filter(|job| job.get("run") == Some(&run))
                .count() as u64;
            cursor = page.next;
        }
    }
    let led = deps.queue.leader().await?.is_some();
    let remark = if let Some(pause) = &stats.paused {
        format!("the fleet is paused: {}", pause.reason)
    } else if !led {
        "no scheduler is running; `scheduler run` starts one".to_owned()
    } else if stats.workers == 0 {
        "no worker is running; `worker run` starts one".to_owned()
    } else {
        String::new()
    };
    Ok(Seen {
        closed,
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

    fn is_over(&mut self, seen: &Seen) -> bool {
        if seen.dead == 0 || seen.outstanding > seen.dead || !seen.led {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= self.patience
    }
}
