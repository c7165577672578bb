//! Backfills: days of open runs, sliced like live ones, and closing what is done.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use weldfleet_queue::LeaderToken;
use weldfleet_stores::{Day, clickhouse::Run};

use super::{
    BACKFILL, Moment, Pass, PassError, Summary,
    slice::{DayOfRun, SliceEnd},
};

/// Days of open runs in which nothing was left when they were last looked at. A hint that saves queries: a run is
/// closed only in a pass that looked at all its days.
#[derive(Debug, Default)]
pub struct FinishedDays(HashMap<u64, HashSet<Day>>);

/// Days that may fail in a pass before it ends: each may have cost a minute of waiting.
const MOST_FAILING: u64 = 3;
/// How long a day that failed is left alone, so that those behind it have their turn.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// Days of runs that could not be looked at, and when.
#[derive(Debug, Default)]
pub struct FailingDays(HashMap<(u64, Day), Instant>);

impl FailingDays {
    fn note(&mut self, run: u64, day: Day, now: Instant) {
        self.0.insert((run, day), now);
    }

    fn waits(&self, run: u64, day: Day, now: Instant) -> bool {
        let failed = self.0.get(&(run, day));
        failed.is_some_and(|failed| now.saturating_duration_since(*failed) < LEFT_ALONE)
    }
}

impl Pass {
    pub(super) async fn slice_runs(
        &mut self,
        open_runs: &[Run],
        leader: LeaderToken,
        free: &mut u64,
        moment: Moment,
        summary: &mut Summary,
    ) -> Result<(), PassError> {
        self.finished
            .0
            .retain(|run, _| open_runs.iter().any(|open| open.run == *run));
        self.failing
            .0
            .retain(|(run, _), _| open_runs.iter().any(|open| open.run == *run));
        for run in open_runs {
            let days = run.days();
            summary.backfill_days.extend(&days);
            let mut finished = self.finished.0.remove(&run.run).unwrap_or_default();
            if days.iter().all(|day| finished.contains(day)) {
                finished.clear();
            }
            let looks_at_all = finished.is_empty();
            for day in &days {
                if finished.contains(day) || self.failing.waits(run.run, *day, moment.at) {
                    continue;
                }
                let day_of_run = DayOfRun {
                    run: run.run,
                    day: *day,
                    selection: &run.selection,
                    order: run.order,
                    priority: BACKFILL,
                };
                let sliced = self
                    .slice_day(day_of_run, leader, free, moment, summary)
                    .await;
                let sliced = match sliced {
                    Ok(sliced) => sliced,
                    Err(PassError::Store(error))
                        if summary.failed_days < MOST_FAILING && self.is_the_days(&error).await =>
                    {
                        let why = error.chain();
                        tracing::warn!(run = run.run, %day, why, "a day cannot be looked at; others go on");
                        self.failing.note(run.run, *day, moment.at);
                        summary.failed_days += 1;
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                summary.backfill_ranges += sliced.enqueued;
                if summary.deposed {
                    return Ok(());
                }
                if sliced.is_finished() {
                    finished.insert(*day);
                }
                // Somebody steers the run just now. The days behind this one would come before it.
                if sliced.ended == SliceEnd::Conflict {
                    break;
                }
            }
            if looks_at_all && finished.len() == days.len() {
                self.deps.runs.close(run.run).await?;
                tracing::info!(run = run.run, from = %run.from, to = %run.to, "run done");
                summary.closed.push(run.run);
            } else {
                self.finished.0.insert(run.run, finished);
            }
        }
        Ok(())
    }
}
