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

impl KnownRuns {
    /// The first run that is done, and open still.
    fn first_not_closed(&self) -> Option<String> {
        let told = self.runs.iter().filter_map(|(run, known)| {
            let (_, why) = known.not_closed.as_ref()?;
            Some((
                *run,
                format!("run {run} is done and cannot be closed: {why}"),
            ))
        });
        told.min().map(|(_, why)| why)
    }
}

#[derive(Debug, Default)]
struct KnownRun {
    /// Days in which nothing was left when they were last looked at. A hint that saves queries.
    finished: HashSet<Day>,
    /// Each day that was looked at since nothing was known was finished. A run is closed only when that holds of all.
    all_finished: bool,
    /// When it could not be closed, done as it is, and why.
    not_closed: Option<(Instant, String)>,
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
    /// `None` where its rows are away: status tells that of the run.
    why: Option<String>,
}

impl FailingDays {
    /// True if it is the first time.
    fn note(&mut self, run: u64, day: Day, until: Instant, why: Option<String>) -> bool {
        let day = self.0.insert((run, day), FailingDay { until, why });
        day.is_none()
    }

    fn waits(&self, run: u64, day: Day, now: Instant) -> bool {
        let failing = self.0.get(&(run, day));
        failing.is_some_and(|failing| now < failing.until)
    }

    /// The first day that could not be looked at, and has not been since.
    fn first(&self) -> Option<String> {
        let told = self.0.iter().filter_map(|((run, day), failing)| {
            let why = failing.why.as_ref()?;
            Some(((*run, *day), format!("run {run}, {day}: {why}")))
        });
        told.min().map(|(_, why)| why)
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
            let waits = |(since, _): &(Instant, String)| since.elapsed() < LEFT_ALONE;
            if known.not_closed.as_ref().is_some_and(waits) {
                self.known.runs.insert(run.run, known);
                continue;
            }
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
                    Looked::Unfinished => {
                        known.all_finished = false;
                        known.not_closed = None;
                    }
                    Looked::Steered => {
                        known.all_finished = false;
                        break;
                    }
                    Looked::Deposed => return Ok(()),
                }
            }
            let is_done = known.all_finished && known.finished.len() == days.len();
            if !is_done || !self.close(run, &mut known).await? {
                self.known.runs.insert(run.run, known);
            }
            if summary.more {
                break;
            }
        }
        summary.backfill_waits = self
            .failing
            .first()
            .or_else(|| self.known.first_not_closed());
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
        if self.failing.waits(run.run, day, moment.at) {
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
            let is_away = sliced.is_finished() && self.is_away(run, day, moment).await?;
            Ok((sliced, is_away))
        };
        let (sliced, is_away) = match looked.await {
            Ok(looked) => looked,
            Err(DependencyError::Store(error))
                if summary.failed_days < MOST_FAILING && self.is_the_days(&error).await =>
            {
                let why = error.chain_and_remedy();
                tracing::warn!(run = run.run, %day, why, "a day cannot be looked at; others go on");
                let until = moment.at + LEFT_ALONE;
                self.failing.note(run.run, day, until, Some(why));
                summary.failed_days += 1;
                return Ok(Looked::Unfinished);
            }
            Err(error) => return Err(error),
        };
        // It was read, as far as there was room.
        if !is_away && (sliced.ended == SliceEnd::Seen || sliced.enqueued > 0) {
            self.failing.0.remove(&(run.run, day));
        }
        summary.backfill_ranges += sliced.enqueued;
        if summary.deposed {
            return Ok(Looked::Deposed);
        }
        Ok(match sliced.ended {
            SliceEnd::Conflict => Looked::Steered,
            _ if sliced.is_finished() && !is_away => Looked::Finished,
            _ => Looked::Unfinished,
        })
    }

    /// False where it cannot be closed now, and others go on.
    async fn close(&self, run: &Run, known: &mut KnownRun) -> Result<bool, DependencyError> {
        match self.deps.runs.close(run.run).await {
            Ok(()) => {
                tracing::info!(run = run.run, from = %run.from, to = %run.to, "run done");
                Ok(true)
            }
            Err(error) if self.is_the_days(&error).await => {
                let why = error.chain_and_remedy();
                if known.not_closed.is_none() {
                    tracing::warn!(run = run.run, why, "the run cannot be closed; others go on");
                }
                known.not_closed = Some((Instant::now(), why));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a run is to judge rows of the day again, and the table has none of it: nobody would know, once they are
    /// back, that they were to be judged.
    async fn is_away(
        &mut self,
        run: &Run,
        day: Day,
        moment: Moment,
    ) -> Result<bool, DependencyError> {
        let of_day: Vec<(Day, u64)> = run
            .must_find()
            .iter()
            .filter(|(of, _)| *of == day)
            .copied()
            .collect();
        let away = self.deps.table.away(run, &of_day).await?;
        let Some((_, rows)) = away.first() else {
            return Ok(false);
        };
        if self.failing.note(run.run, day, moment.at + AWAY, None) {
            tracing::warn!(
                run = run.run, %day, rows,
                "rows of the run are gone: the table has none of this day; the run waits for them, `scheduler backfill cancel` ends it"
            );
        }
        Ok(true)
    }
}
