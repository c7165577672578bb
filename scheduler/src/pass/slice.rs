//! One day of one run.

use std::time::{Duration, Instant};

use weldfleet_fleet::DayGroup;
use weldfleet_queue::{Guard, GuardedEnqueue, Job, LeaderToken, NewJob, State};
use weldfleet_stores::{
    Coverage, Day, Key, KeyOrder, KeyRange, LIVE_RUN, Range, Selection, StoreError,
    clickhouse::{KeyBlock, KeyStream, Order, RunState},
};

use super::{
    cut::{Cut, Cutter},
    partial_ranges::{PartialRanges, Scan},
};
use crate::dependencies::{Dependencies, DependencyError};

/// Ranges that are enqueued together, as soon as there are so many: six scripts full.
const CHUNK: usize = 192;

/// A day that is cut along its table's sorting key is looked at when no more jobs of it wait than this share of the
/// queue's room, or so few: each look reads the keys that are covered, too.
const SHARE_OF_ROOM: u64 = 8;
const FEW: u64 = 32;

/// Full ranges of a live day that has no jobs: what a fleet finds that was away for long, or is new.
const BACKLOG: usize = 16;

/// Time between two neighbouring rows of a live range. A longer one would let a timer whose clock is ahead lay a range
/// over all that is still to come, which would wait for as long as that range is in hand. Clocks that are wrong by a
/// time zone or summer time are off by more; a slow line's rows come closer together, so that they still share ranges.
const LONGEST_GAP_SECONDS: i64 = 30 * 60;

/// What is to be sliced.
#[derive(Debug, Clone, Copy)]
pub struct DayOfRun<'s> {
    pub run: u64,
    pub day: Day,
    pub selection: &'s Selection,
    /// Which day of the run comes first.
    pub order: Order,
    pub priority: u8,
}

/// How slicing a day ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SliceEnd {
    /// Every wanted row was seen.
    #[default]
    Seen,
    /// The priority class is full.
    Full,
    /// Somebody else changed the plan: the next pass reads it again.
    Conflict,
    Deposed,
    /// A job of the day names no range: what it covers is not known, so nothing can be said to be uncovered.
    Unreadable,
}

/// What slicing a day did and saw.
#[derive(Debug, Clone, Default)]
pub struct Sliced {
    /// Jobs that were outstanding before.
    pub outstanding: u64,
    pub enqueued: u64,
    /// Where the first of these begins.
    pub first: Option<Key>,
    /// Partial ranges that wait.
    pub waiting: u64,
    pub ended: SliceEnd,
    /// Jobs of which it cannot be told what they cover, and why.
    pub unreadable: Vec<(String, String)>,
}

impl Sliced {
    /// Nothing outstanding and nothing wanted.
    pub fn is_finished(&self) -> bool {
        self.ended == SliceEnd::Seen && self.outstanding + self.enqueued + self.waiting == 0
    }

    pub fn is_busy(&self) -> bool {
        self.outstanding + self.enqueued > 0
    }
}

/// Cuts the rows of a day that a run wants and nothing covers into ranges, and enqueues those that are full or have
/// waited, `free` of them at most.
pub async fn slice(
    deps: &Dependencies,
    partial: &mut PartialRanges,
    of: DayOfRun<'_>,
    leader: LeaderToken,
    free: &mut u64,
    now: Instant,
) -> Result<Sliced, DependencyError> {
    let (run, day) = (of.run, of.day);
    let group = DayGroup { run, day }.to_string();
    // Before the rows: the documentation of `pass` says why.
    let plan = deps.queue.plan(&group).await?;
    let mut sliced = Sliced {
        outstanding: plan.jobs.len() as u64,
        ..Sliced::default()
    };
    if *free == 0 {
        sliced.ended = SliceEnd::Full;
        return Ok(sliced);
    }
    let covered = covered(&plan.jobs, &mut sliced.unreadable);
    if !sliced.unreadable.is_empty() {
        sliced.ended = SliceEnd::Unreadable;
        return Ok(sliced);
    }
    // One weld alone is a range of either order; a dead one must not hold a day in the other.
    let (mut welds, mut covered): (Vec<KeyRange>, Vec<KeyRange>) = covered
        .into_iter()
        .partition(|keys| keys.from == keys.to && keys.order() == KeyOrder::SortingKey);
    let order = order(deps, of, &covered);
    if order == KeyOrder::SortingKey && has_enough_waiting(deps, &plan.jobs) {
        if of.run != LIVE_RUN {
            // The run's days behind it wait, too: its own late rows come before theirs.
            *free = 0;
        }
        sliced.ended = SliceEnd::Full;
        return Ok(sliced);
    }
    let is_free = covered.is_empty();
    covered.retain(|keys| keys.order() == order);
    if order == KeyOrder::Time {
        for keys in &mut welds {
            (keys.from.leading, keys.to.leading) = (None, None);
        }
    }
    covered.append(&mut welds);
    let mut reading = Reading {
        deps,
        of,
        order,
        coverage: Coverage::new(covered),
        covered_rows: match order {
            KeyOrder::Time => 0,
            KeyOrder::SortingKey => plan.jobs.iter().map(|job| job.weight).sum(),
        },
        now,
        seeks_backlog: is_free && order != deps.table.cheapest_order(),
    };
    let mut progress = Progress {
        sliced,
        guard: Guard {
            leader,
            group,
            version: plan.version,
        },
        free,
        ready: Vec::new(),
    };
    if reading.cut(partial, &mut progress).await? == Cutting::Backlog {
        reading.order = deps.table.cheapest_order();
        reading.seeks_backlog = false;
        progress.ready.clear();
        reading.cut(partial, &mut progress).await?;
    }
    Ok(progress.sliced)
}

/// The keys that jobs cover, and `unreadable` jobs of which it cannot be told, each with the reason.
fn covered(jobs: &[Job], unreadable: &mut Vec<(String, String)>) -> Vec<KeyRange> {
    let mut covered = Vec::with_capacity(jobs.len());
    for job in jobs {
        match weldfleet_fleet::range_of(job) {
            Ok(range) => covered.push(range.keys()),
            Err(error) => unreadable.push((job.id.clone(), error.to_string())),
        }
    }
    covered
}

/// Whether so many jobs of a day wait that it need not be looked at yet: see [`SHARE_OF_ROOM`].
fn has_enough_waiting(deps: &Dependencies, jobs: &[Job]) -> bool {
    let waiting = |job: &&Job| matches!(job.state, State::Pending | State::Delayed);
    let waiting = jobs.iter().filter(waiting).count() as u64;
    let room = u64::from(deps.settings.scheduler.max_outstanding);
    waiting > FEW.max(room / SHARE_OF_ROOM)
}

/// In which order the day is cut. A run's rows are all there; live ones are cut by time, since that is how they arrive.
/// What was begun in one order goes on in it until no job is left.
fn order(deps: &Dependencies, of: DayOfRun<'_>, covered: &[KeyRange]) -> KeyOrder {
    let has = |order| covered.iter().any(|keys| keys.order() == order);
    let is_new = covered.is_empty() && of.run == LIVE_RUN;
    if is_new || has(KeyOrder::Time) {
        return KeyOrder::Time;
    }
    deps.table.cheapest_order()
}

/// One reading of a day's keys.
struct Reading<'l> {
    deps: &'l Dependencies,
    of: DayOfRun<'l>,
    order: KeyOrder,
    coverage: Coverage,
    /// Rows that are read although they are covered.
    covered_rows: u64,
    now: Instant,
    /// A [`BACKLOG`] costs less in the other order.
    seeks_backlog: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cutting {
    Done,
    /// Nothing was enqueued.
    Backlog,
}

/// How far the slicing of a day has come.
struct Progress<'f> {
    sliced: Sliced,
    guard: Guard,
    /// Ranges that may still be enqueued.
    free: &'f mut u64,
    /// Those that go now.
    ready: Vec<Cut>,
}

/// Which ranges go now.
struct Choosing<'p> {
    scan: Scan<'p>,
    /// Only live rows are still coming in, so only they are worth waiting for.
    max_wait: Option<Duration>,
    waits: u64,
}

impl Choosing<'_> {
    fn goes_now(&mut self, cut: &Cut) -> bool {
        let has_waited = |max_wait| self.scan.has_waited(&cut.keys, max_wait);
        let goes = cut.full || self.max_wait.is_none_or(has_waited);
        self.waits += u64::from(!goes);
        goes
    }
}

impl Reading<'_> {
    async fn cut(
        &self,
        partial: &mut PartialRanges,
        progress: &mut Progress<'_>,
    ) -> Result<Cutting, DependencyError> {
        let Self { deps, of, now, .. } = *self;
        let settings = &deps.settings.scheduler;
        let batch = u64::from(settings.batch_size);
        let limit = (*progress.free + 1)
            .saturating_mul(batch)
            .saturating_add(self.covered_rows);
        let mut stream = deps.table.unprocessed_keys(
            of.run,
            of.day,
            of.selection,
            self.order,
            &self.coverage,
            limit,
        )?;
        // Of a run all rows are there: a gap costs nobody a wait, and rows that lie far apart need not be many ranges.
        let longest_gap = (of.run == LIVE_RUN && self.order == KeyOrder::Time)
            .then(|| LONGEST_GAP_SECONDS * deps.table.ticks_per_second());
        let mut cutter = Cutter::new(self.coverage.ranges(), batch, longest_gap);
        let mut choosing = Choosing {
            scan: partial.scan(of.run, of.day, now),
            max_wait: (of.run == LIVE_RUN).then_some(settings.max_wait),
            waits: 0,
        };
        let mut read = 0_u64;
        let mut last: Option<Key> = None;
        while progress.sliced.ended == SliceEnd::Seen {
            let Some(block) = self.next(&mut stream, &mut progress.sliced).await? else {
                break;
            };
            for key in block.keys() {
                read += 1;
                let Some(cut) = cutter.push(key) else {
                    continue;
                };
                last = Some(cut.keys.to.clone());
                if choosing.goes_now(&cut) {
                    progress.ready.push(cut);
                }
                let full = || progress.ready.iter().filter(|cut| cut.full).count();
                // What was enqueued by time is gone on with by time.
                if self.seeks_backlog && progress.sliced.enqueued == 0 && full() >= BACKLOG {
                    return Ok(Cutting::Backlog);
                }
                if progress.ready.len() as u64 == *progress.free {
                    progress.sliced.ended = SliceEnd::Full;
                    break;
                }
            }
            if progress.ready.len() >= CHUNK {
                self.enqueue(progress).await?;
            }
        }
        drop(stream);
        if progress.sliced.ended == SliceEnd::Seen {
            let cut_short = read >= limit;
            if cut_short {
                progress.sliced.ended = SliceEnd::Full;
            }
            // The tail of a stream that was cut short is not the tail of its gap.
            if let Some(tail) = cutter.finish().filter(|tail| tail.full || !cut_short)
                && choosing.goes_now(&tail)
            {
                last = Some(tail.keys.to.clone());
                progress.ready.push(tail);
            }
        }
        progress.sliced.waiting = choosing.waits;
        choosing.scan.end(match progress.sliced.ended {
            SliceEnd::Seen => None,
            _ => last.as_ref(),
        });
        if matches!(progress.sliced.ended, SliceEnd::Seen | SliceEnd::Full) {
            self.enqueue(progress).await?;
        }
        Ok(Cutting::Done)
    }

    /// The next keys; `None` at the end, and where rows had to be marked first.
    async fn next<'k>(
        &self,
        stream: &'k mut KeyStream,
        sliced: &mut Sliced,
    ) -> Result<Option<&'k KeyBlock>, DependencyError> {
        match stream.next().await {
            Err(StoreError::RecordId { hex }) => {
                mark_unusable_ids(self.deps, self.of, &hex).await?;
                sliced.ended = SliceEnd::Conflict;
                Ok(None)
            }
            read => Ok(read?),
        }
    }

    /// Enqueues the ranges under the plan's version. Where somebody was faster, `sliced` says so.
    async fn enqueue(&self, progress: &mut Progress<'_>) -> Result<(), DependencyError> {
        let Self { deps, of, .. } = *self;
        let Progress {
            sliced,
            guard,
            free,
            ready,
        } = progress;
        let mut cuts = std::mem::take(ready);
        if cuts.is_empty() {
            return Ok(());
        }
        let mut keys: Vec<&mut Key> = cuts
            .iter_mut()
            .flat_map(|cut| [&mut cut.keys.from, &mut cut.keys.to])
            .collect();
        deps.table.name_keys(&mut keys).await?;
        let order = cuts.first().map(|cut| cut.keys.order());
        let first = cuts.first().map(|cut| cut.keys.from.clone());
        // After the keys were read: a row that comes later makes its range larger, and the worker looks by itself.
        let repeated_keys =
            order == Some(KeyOrder::SortingKey) && deps.table.has_repeated_keys(of.day).await?;
        let jobs: Vec<NewJob> = cuts
            .into_iter()
            .map(|cut| {
                let range = Range {
                    run: of.run,
                    day: of.day,
                    selection: of.selection.clone(),
                    from: cut.keys.from,
                    to: cut.keys.to,
                    rows: cut.rows,
                    repeated_keys,
                };
                weldfleet_fleet::job(&range)
                    .group(&guard.group)
                    .priority(of.priority)
            })
            .collect();
        if is_changed(deps, of).await? {
            sliced.ended = SliceEnd::Conflict;
            return Ok(());
        }
        weldfleet_failpoints::reach("scheduler::before_enqueue").await;
        let answer = deps.queue.enqueue_guarded(guard, &jobs).await?;
        weldfleet_failpoints::reach("scheduler::after_enqueue").await;
        let added = match answer {
            GuardedEnqueue::Enqueued { jobs, version } => {
                guard.version = version;
                jobs.added
            }
            GuardedEnqueue::Conflict { jobs, .. } => {
                sliced.ended = SliceEnd::Conflict;
                jobs.added
            }
            GuardedEnqueue::Deposed { jobs } => {
                sliced.ended = SliceEnd::Deposed;
                jobs.added
            }
        };
        if added > 0 {
            sliced.first = sliced.first.take().or(first);
        }
        sliced.enqueued += added;
        **free = free.saturating_sub(added);
        Ok(())
    }
}

/// Rows that no job can name are marked here, so that they cost nobody else's verdict; the next pass reads the day
/// again.
async fn mark_unusable_ids(
    deps: &Dependencies,
    of: DayOfRun<'_>,
    hex: &str,
) -> Result<(), DependencyError> {
    let token = deps.queue.next_token().await?;
    let rows = deps.table.mark_unusable_ids(of.run, token, of.day).await?;
    tracing::error!(day = %of.day, rows, example = hex, "rows marked invalid: their record_id is not utf-8, or too long");
    Ok(())
}

/// Whether somebody stopped the run, or changed its order, since this pass read which are open; asked after the plan
/// was read (see `withdraw`).
async fn is_changed(deps: &Dependencies, of: DayOfRun<'_>) -> Result<bool, DependencyError> {
    if of.run == LIVE_RUN {
        return Ok(false);
    }
    let run = deps.runs.get(of.run).await?;
    Ok(run.is_none_or(|run| run.state != RunState::Open || run.order != of.order))
}
