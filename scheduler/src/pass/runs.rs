//! Backfills: days of open runs, sliced like live ones, and closing what is done.

use std::collections::{HashMap, HashSet};

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
        summary.open_runs = open_runs.len() as u64;
        for run in open_runs {
            let days = run.days();
            summary.backfill_days.extend(&days);
            let mut finished = self.finished.0.remove(&run.run).unwrap_or_default();
            if days.iter().all(|day| finished.contains(day)) {
                finished.clear();
            }
            let looks_at_all = finished.is_empty();
            for day in &days {
                if finished.contains(day) {
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
                    .await?;
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
                summary.open_runs -= 1;
            } else {
                self.finished.0.insert(run.run, finished);
            }
        }
        Ok(())
    }
}
