//! The pass: the one piece of code that makes work.
//!
//! A pass is a reconciler. It takes no input and remembers nothing that matters: it reads what outstanding jobs cover,
//! reads the rows that want a verdict, subtracts, cuts the difference into ranges and enqueues them. Run again at once
//! it does nothing; run after anything whatever has gone wrong it makes exactly what is missing. So there is no
//! recovery code. A row that came late is a row that nothing covers. A Redis that lost everything covers nothing. A
//! pass that died half-way left some ranges behind, which the next one finds covered. A backfill is a row in
//! `weld_runs`, whose days are sliced like today's, only later and with another selection.
//!
//! Why nobody gets a row twice:
//! - the plan (outstanding jobs and its version) is read *before* the rows, and jobs are added only if the version is
//!   still the same. A job that ended in between leaves rows that are not wanted any more; one that was added in
//!   between changed the version;
//! - jobs are added under the leader's fencing token: of two schedulers that both believe to lead, one is refused;
//! - a range never reaches over a covered one ([`cut`]).
//!
//! Of a backfill that was held or cancelled nothing is added, and what is there leaves the queue; of one whose order
//! was changed nothing is added in the old one: see [`withdraw`].
//!
//! What is remembered is only about time and effort: since when a partial range has been waiting ([`partial_ranges`]),
//! which days of a run were seen to be finished or could not be looked at ([`runs`]), what Redis and the pause looked
//! like last time ([`memory`]), and which rows come back without a verdict ([`again`]). Losing it costs a wait or a
//! query.
//!
//! What was rejected: telling the pass what to do ("a backfill was requested", "these rows came"), because a message
//! that is lost or comes twice is then a bug; a cursor of how far a day was sliced, because late rows lie before it;
//! rows that carry the id of their job, because that is a write of every row before its first useful one.
//!
//! - [`cut`]: keys to ranges, pure; [`partial_ranges`]: partial ranges, pure;
//! - [`mod@slice`]: one day of one run; [`runs`]: backfills, and closing them;
//! - [`splitting`]: halves of jobs that kill their worker or cannot be read, and rows that are marked; [`growth`]: rows
//!   that came under a dead job;
//! - [`memory`]: what must be announced when Redis forgot it.

mod again;
pub mod cut;
mod growth;
mod memory;
pub mod partial_ranges;
mod runs;
mod slice;
mod splitting;

use std::{collections::BTreeSet, time::Instant};

use weldfleet_queue::{LeaderToken, State, Stats};
use weldfleet_stores::{
    Day, LIVE_RUN, Selection, StoreError,
    clickhouse::{Order, Run, RunState},
};

use crate::{
    actions::withdraw,
    clock::live_days,
    dependencies::{Dependencies, DependencyError},
};
use again::Again;
use growth::Growth;
use memory::Memory;
use partial_ranges::PartialRanges;
use runs::{FailingDays, KnownRuns};
use slice::{DayOfRun, SliceEnd, Sliced};

/// Priority of live days: first.
pub const LIVE: u8 = 0;
pub const BACKFILL: u8 = 1;

/// When a pass takes place. Given, not read, so that a test can say what day it is.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub at: Instant,
    /// The day that is going on in the plant.
    pub today: Day,
}

/// What a pass did and saw.
#[derive(Debug, Default)]
pub struct Summary {
    pub live_ranges: u64,
    /// Ranges added for backfills.
    pub backfill_ranges: u64,
    /// Jobs replaced by their halves.
    pub split: u64,
    /// Rows marked as poison.
    pub poisoned: u64,
    /// Days with outstanding jobs, of any run.
    pub busy_days: BTreeSet<Day>,
    /// Days of backfills that are going on or were closed in this pass.
    pub backfill_days: BTreeSet<Day>,
    /// When the longest waiting partial range must go.
    pub next_due: Option<Instant>,
    pub deposed: bool,
    /// Days of backfills are left to be looked at, for want of time.
    pub more: bool,
    /// Jobs of which it cannot be told what they cover, and why: their days wait.
    pub unreadable: Vec<(String, String)>,
    /// Days of runs that could not be looked at in this pass; the others were.
    pub failed_days: u64,
    /// The live day that could not; the others were.
    pub failed: Option<StoreError>,
    /// Why a run waits, at a day or to be closed; others do not.
    pub backfill_waits: Option<String>,
    /// Day and key of a row that comes back without a verdict.
    pub again: Option<String>,
    /// The queue when the pass began.
    pub stats: Stats,
}

/// The pass and its little memory.
pub struct Pass {
    deps: Dependencies,
    partial: PartialRanges,
    known: KnownRuns,
    /// Who led when the last pass was whole; what is known of runs is of that time.
    known_under: Option<LeaderToken>,
    failing: FailingDays,
    memory: Memory,
    growth: Growth,
    again: Again,
}

impl Pass {
    /// A pass that remembers nothing.
    pub fn new(deps: Dependencies) -> Self {
        Self {
            deps,
            partial: PartialRanges::default(),
            known: KnownRuns::default(),
            known_under: None,
            failing: FailingDays::default(),
            memory: Memory::default(),
            growth: Growth::default(),
            again: Again::default(),
        }
    }

    /// What it works on.
    pub fn deps(&self) -> &Dependencies {
        &self.deps
    }

    /// Makes what is missing.
    ///
    /// Calls `sees` as soon as ClickHouse has answered.
    pub async fn run(
        &mut self,
        leader: LeaderToken,
        moment: Moment,
        sees: impl Fn(),
    ) -> Result<Summary, DependencyError> {
        // What the last pass was to do may be undone, or Redis went back under another leader.
        let anew = self.known_under.take() != Some(leader);
        if anew {
            self.known = KnownRuns::default();
        }
        let summary = self.make(leader, moment, anew, sees).await?;
        self.known_under = Some(leader);
        Ok(summary)
    }

    async fn make(
        &mut self,
        leader: LeaderToken,
        moment: Moment,
        anew: bool,
        sees: impl Fn(),
    ) -> Result<Summary, DependencyError> {
        let stats = self.deps.queue.stats().await?;
        let live_days = live_days(&self.deps.settings.scheduler, moment.today);
        let may_hold_old_jobs = self.memory.compare(&self.deps, &stats, &live_days).await?;
        let mut summary = Summary::default();
        let runs = self.deps.runs.for_pass().await?;
        sees();
        if may_hold_old_jobs || anew {
            let ended = withdraw::sweep_ended(&self.deps.queue, &self.deps.runs, &runs).await?;
            if ended > 0 {
                tracing::warn!(
                    jobs = ended,
                    "jobs of ended runs were back and left the queue"
                );
            }
        }
        let (open_runs, stopped): (Vec<Run>, Vec<Run>) = runs
            .into_iter()
            .partition(|run| run.state == RunState::Open);
        let withdrawn = withdraw::sweep(&self.deps.queue, &stopped).await?;
        if withdrawn.jobs() > 0 {
            tracing::info!(
                jobs = withdrawn.jobs(),
                "jobs of stopped runs left the queue"
            );
        }
        let most = u64::from(self.deps.settings.scheduler.max_outstanding);
        let mut live_free = most.saturating_sub(stats.outstanding(LIVE));
        let mut backfill_free = most.saturating_sub(stats.outstanding(BACKFILL));
        let dead = stats.count(State::Dead);
        summary.stats = stats;

        let mut looked_at: Vec<(u64, Day)> = live_days.iter().map(|day| (LIVE_RUN, *day)).collect();
        looked_at.extend(
            open_runs
                .iter()
                .flat_map(|run| run.from.to(run.to).map(|day| (run.run, day))),
        );
        self.partial.keep_only(&looked_at);

        for day in live_days {
            let day_of_run = DayOfRun {
                run: LIVE_RUN,
                day,
                selection: &Selection::New,
                order: Order::default(),
                priority: LIVE,
            };
            let sliced = self
                .slice_day(day_of_run, leader, &mut live_free, moment, &mut summary)
                .await;
            match sliced {
                Ok(sliced) => summary.live_ranges += sliced.enqueued,
                Err(DependencyError::Store(error)) if self.is_the_days(&error).await => {
                    summary.failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            if summary.deposed {
                return Ok(summary);
            }
        }
        // Behind the live days: each job costs some questions.
        self.split_jobs(&mut summary).await?;
        match self.split_grown(dead, &stopped, moment, &mut summary).await {
            Err(DependencyError::Store(error)) if self.is_the_days(&error).await => {
                tracing::warn!(why = error.chain(), "dead jobs cannot be looked at");
            }
            other => other?,
        }
        self.slice_runs(&open_runs, leader, &mut backfill_free, moment, &mut summary)
            .await?;
        let max_wait = self.deps.settings.scheduler.max_wait;
        if live_free > 0 {
            summary.next_due = self.partial.next_due(max_wait);
        }
        summary.again = self.again.told(max_wait, moment.at);
        Ok(summary)
    }

    /// Whether an error is one of the day that was asked for, such as a part of it that cannot be read, and not of the
    /// server: then others need not wait.
    pub(super) async fn is_the_days(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Schema(_)) && self.deps.table.server().version().await.is_ok()
    }

    async fn slice_day(
        &mut self,
        of: DayOfRun<'_>,
        leader: LeaderToken,
        free: &mut u64,
        moment: Moment,
        summary: &mut Summary,
    ) -> Result<Sliced, DependencyError> {
        let (deps, partial) = (&self.deps, &mut self.partial);
        let mut sliced = slice::slice(deps, partial, of, leader, free, moment.at).await?;
        if let Some(first) = sliced.first.take() {
            self.again.note(of.run, of.day, first, moment.at);
        }
        summary.unreadable.extend_from_slice(&sliced.unreadable);
        if sliced.is_busy() {
            summary.busy_days.insert(of.day);
        }
        summary.deposed |= sliced.ended == SliceEnd::Deposed;
        Ok(sliced)
    }
}
