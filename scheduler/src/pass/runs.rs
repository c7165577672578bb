//! Backfills: days of open runs, sliced like live ones, and closing what is done.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use weldfleet_queue::LeaderToken;
use weldfleet_stores::{Day, clickhouse::Run};

use super::{
    BACKFILL, Moment, Pass, Summary,
    slice::{DayOfRun, SliceEnd},
};
use crate::dependencies::DependencyError;

/// What is remembered of open runs.
#[derive(Debug, Default)]
pub struct KnownRuns {
    runs: HashMap<u64, KnownRun>,
    /// The run and the day at which the last pass ran out of time.
    next: Option<(u64, Day)>,
}

#[derive(Debug, Default)]
struct KnownRun {
    /// Days in which nothing was left when they were last looked at. A hint that saves queries.
    finished: HashSet<Day>,
    /// Each day that was looked at since nothing was known was finished. A run is closed only when that holds of all.
    all_finished: bool,
}

/// Live days are looked at between two passes, so backfills have so much time in one; a day that was begun is ended.
const LONGEST: Duration = Duration::from_secs(1);

/// Days that may fail in a pass before it ends: each may have cost a minute of waiting.
const MOST_FAILING: u64 = 3;
/// How long a day that failed is left alone, so that those behind it have their turn.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// How long a day is left alone whose rows are away: a partition that is detached and attached again.
const AWAY: Duration = Duration::from_secs(10);

/// Days of runs that could not be looked at, or are away.
#[derive(Debug, Default)]
pub struct FailingDays(HashMap<(u64, Day), FailingDay>);

#[derive(Debug)]
struct FailingDay {
    /// Until when it is left alone.
    until: Instant,
    why: String,
}

impl FailingDays {
    /// True if it is the first time.
    fn note(&mut self, run: u64, day: Day, until: Instant, why: &str) -> bool {
        let why = why.to_owned();
        let day = self.0.insert((run, day), FailingDay { until, why });
        day.is_none()
    }

    /// Why the day is left alone, if it is.
    fn waits(&self, run: u64, day: Day, now: Instant) -> Option<&str> {
        let failing = self.0.get(&(run, day))?;
        (now < failing.until).then_some(failing.why.as_str())
    }
}

/// What was found of a day of a run.
enum Looked {
    Finished,
    Unfinished,
    /// Somebody steers the run just now. The days behind this one would come before it.
    Steered,
    Deposed,
}

impl Pass {
    pub(super) async fn slice_runs(
        &mut self,
        open_runs: &[Run],
        leader: LeaderToken,
        free: &mut u64,
        moment: Moment,
        summary: &mut Summary,
    ) -> Result<(), DependencyError> {
        let began = Instant::now();
        self.known
            .runs
            .retain(|run, _| open_runs.iter().any(|open| open.run == *run));
        self.failing
            .0
            .retain(|(run, _), _| open_runs.iter().any(|open| open.run == *run));
        let all_days = open_runs.iter().flat_map(Run::days);
        summary.backfill_days.extend(all_days);
        let next = self.known.next.take();
        let first = next.and_then(|(of, _)| open_runs.iter().position(|run| run.run == of));
        let (behind, before) = open_runs.split_at(first.unwrap_or_default());
        for run in behind.iter().chain(before) {
            let mut days = run.days();
            let first = next.and_then(|next| days.iter().position(|day| (run.run, *day) == next));
            days.rotate_left(first.unwrap_or_default());
            let mut known = self.known.runs.remove(&run.run).unwrap_or_default();
            if known.finished.is_empty() || days.iter().all(|day| known.finished.contains(day)) {
                known.finished.clear();
                known.all_finished = true;
            }
            for day in &days {
                if known.finished.contains(day) {
                    continue;
                }
                if began.elapsed() > LONGEST {
                    summary.more = true;
                    // Where there is no room the days keep their order.
                    if *free > 0 {
                        self.known.next = Some((run.run, *day));
                    } else {
                        known.all_finished = false;
                    }
                    break;
                }
                let looking = self.look_at_day(run, *day, leader, free, moment, summary);
                match looking.await? {
                    Looked::Finished => _ = known.finished.insert(*day),
                    Looked::Unfinished => known.all_finished = false,
                    Looked::Steered => {
                        known.all_finished = false;
                        break;
                    }
                    Looked::Deposed => return Ok(()),
                }
            }
            let is_done = known.all_finished && known.finished.len() == days.len();
            if !is_done || !self.close(run, summary).await? {
                self.known.runs.insert(run.run, known);
            }
            if summary.more {
                break;
            }
        }
        Ok(())
    }

    /// A day that cannot be looked at keeps others from their turn only if it is one of many.
    async fn look_at_day(
        &mut self,
        run: &Run,
        day: Day,
        leader: LeaderToken,
        free: &mut u64,
        moment: Moment,
        summary: &mut Summary,
    ) -> Result<Looked, DependencyError> {
        if let Some(why) = self.failing.waits(run.run, day, moment.at) {
            summary.day_waits(run.run, day, why);
            return Ok(Looked::Unfinished);
        }
        let day_of_run = DayOfRun {
            run: run.run,
            day,
            selection: &run.selection,
            order: run.order,
            priority: BACKFILL,
        };
        weldfleet_failpoints::reach("scheduler::day_of_run").await;
        let looked = async {
            let slicing = self.slice_day(day_of_run, leader, free, moment, summary);
            let sliced = slicing.await?;
            let away = match sliced.is_finished() {
                true => self.away(run, day, moment).await?,
                false => None,
            };
            Ok((sliced, away))
        };
        let (sliced, away) = match looked.await {
            Ok(looked) => looked,
            Err(DependencyError::Store(error))
                if summary.failed_days < MOST_FAILING && self.is_the_days(&error).await =>
            {
                let why = error.chain_and_remedy();
                tracing::warn!(run = run.run, %day, why, "a day cannot be looked at; others go on");
                self.failing
                    .note(run.run, day, moment.at + LEFT_ALONE, &why);
                summary.day_waits(run.run, day, &why);
                summary.failed_days += 1;
                return Ok(Looked::Unfinished);
            }
            Err(error) => return Err(error),
        };
        summary.backfill_ranges += sliced.enqueued;
        if summary.deposed {
            return Ok(Looked::Deposed);
        }
        if let Some(why) = &away {
            summary.day_waits(run.run, day, why);
        }
        Ok(match sliced.ended {
            SliceEnd::Conflict => Looked::Steered,
            _ if sliced.is_finished() && away.is_none() => Looked::Finished,
            _ => Looked::Unfinished,
        })
    }

    /// False where it cannot be closed now, and others go on.
    async fn close(&self, run: &Run, summary: &mut Summary) -> Result<bool, DependencyError> {
        match self.deps.runs.close(run.run).await {
            Ok(()) => {
                tracing::info!(run = run.run, from = %run.from, to = %run.to, "run done");
                Ok(true)
            }
            Err(error) if self.is_the_days(&error).await => {
                tracing::debug!(run = run.run, "the run cannot be closed; others go on");
                summary.not_closed.get_or_insert(error);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A run is to judge rows of the day again, and the table has none of it: nobody would know, once they are back,
    /// that they were to be judged. Answers why the run waits.
    async fn away(
        &mut self,
        run: &Run,
        day: Day,
        moment: Moment,
    ) -> Result<Option<String>, DependencyError> {
        let of_day: Vec<(Day, u64)> = run
            .must_find()
            .iter()
            .filter(|(of, _)| *of == day)
            .copied()
            .collect();
        let away = self.deps.table.away(run, &of_day).await?;
        let Some((_, rows)) = away.first() else {
            return Ok(None);
        };
        let why = format!(
            "{rows} rows of the run are gone: the table has none of this day; the run waits for them, `scheduler backfill cancel` ends it"
        );
        let until = moment.at + AWAY;
        if self.failing.note(run.run, day, until, &why) {
            tracing::warn!(run = run.run, %day, why, "a day of a run is away");
        }
        Ok(Some(why))
    }
}

impl Summary {
    /// A day of a run waits; the first one is told.
    fn day_waits(&mut self, run: u64, day: Day, why: &str) {
        let told = || format!("run {run}, {day}: {why}");
        self.day_of_run_waits.get_or_insert_with(told);
    }
}
