//! A backfill is stopped for good, for a while, or goes on; or its days are judged in another order.

use weldfleet_fleet::queue_failure;
use weldfleet_queue::QueueError;
use weldfleet_service::{Failure, output::grouped};
use weldfleet_stores::{
    LIVE_RUN, StoreError,
    clickhouse::{Change, Event, Order, Run, RunState},
};
use weldfleet_words::{Words, words};

use super::{
    By,
    refused::{OfRun, Refused},
    withdraw::{self, Withdrawn},
};
use crate::{
    dependencies::{Dependencies, store_failure},
    events,
};

/// Longest backfill: an older day is more likely a slip of the finger.
pub const MOST_DAYS: usize = 3660;

/// A run that is as it was asked to be.
pub struct Steered {
    pub run: Run,
    pub withdrawn: Withdrawn,
    /// `None` if it was so before.
    pub event: Option<Event>,
    /// Why its jobs are on the queue still. The run is changed all the same, and the event is kept.
    pub still_queued: Option<Failure>,
}

pub async fn steer(
    deps: &Dependencies,
    number: u64,
    change: Change,
    by: &By,
) -> Result<Steered, Failure> {
    let (before, run) = written(deps, number, async || {
        deps.runs.change(number, change, &by.who, &by.why).await
    })
    .await?;
    if run.state != change.leads_to() {
        return Err(Refused::run_is(&run, OfRun::Change(change)).failure());
    }
    let withdrawn = match change {
        Change::Resume => Ok(Withdrawn::default()),
        // Also of a run that was stopped before: this may be the second try.
        Change::Cancel | Change::Hold => {
            let stopped = withdraw::stop(&deps.queue, &run).await;
            let (run, state) = (run.run, run.state);
            stopped.map_err(|error| still_queued(error, Refused::StillQueued { run, state }))
        }
    };
    let name = match change {
        Change::Cancel => "backfill cancel",
        Change::Hold => "backfill hold",
        Change::Resume => "backfill resume",
    };
    let event = (before.state != run.state)
        .then(|| by.event(name, format!("run {}", run.run), what_left(&withdrawn).en));
    Ok(Steered::new(run, withdrawn, event))
}

/// Takes the jobs of a run off the queue that `weld_runs` has lost, as after a restore; `None` where there are none.
pub async fn cancel_unknown(
    deps: &Dependencies,
    number: u64,
    by: &By,
) -> Result<Option<(Withdrawn, Event)>, Failure> {
    let known = deps.runs.get(number).await.map_err(store_failure)?;
    if known.is_some() || number == LIVE_RUN {
        return Ok(None);
    }
    let withdrawn = withdraw::stop_unknown(&deps.queue, number)
        .await
        .map_err(queue_failure)?;
    let left = left(withdrawn).en;
    let event = by.event("backfill cancel", format!("run {number}"), left);
    Ok((withdrawn.jobs() > 0).then_some((withdrawn, event)))
}

/// From now on the run's days are judged in this order. What is on the queue in the old one, and nobody has begun,
/// leaves it: the next pass slices it anew. In the order that it has already, nothing happens to it.
pub async fn reorder(
    deps: &Dependencies,
    number: u64,
    order: Order,
    by: &By,
) -> Result<Steered, Failure> {
    let (before, run) = written(deps, number, async || {
        deps.runs.reorder(number, order, &by.who, &by.why).await
    })
    .await?;
    let goes_on = matches!(run.state, RunState::Open | RunState::Held);
    if !goes_on || run.order != order {
        return Err(Refused::run_is(&run, OfRun::Order(order)).failure());
    }
    if before.order == order {
        return Ok(Steered::new(run, Ok(Withdrawn::default()), None));
    }
    let withdrawn = match run.state {
        RunState::Open => {
            let cleared = withdraw::slice_anew(&deps.queue, &run).await;
            let run = run.run;
            cleared.map_err(|error| still_queued(error, Refused::OldOrderQueued { run }))
        }
        _ => Ok(Withdrawn::default()),
    };
    let left = what_left(&withdrawn);
    let detail = events::ORDER.words(&[run.order.name(), before.order.name(), &left.en]);
    let event = by.event("backfill order", format!("run {}", run.run), detail.en);
    Ok(Steered::new(run, withdrawn, Some(event)))
}

/// Writes a run; returns it as it was and as it is then. ClickHouse would take the same change twice at once.
async fn written(
    deps: &Dependencies,
    number: u64,
    write: impl AsyncFnOnce() -> Result<Option<Run>, StoreError>,
) -> Result<(Run, Run), Failure> {
    let writing = async {
        let before = deps.runs.get(number).await?;
        Ok::<_, StoreError>(before.zip(write().await?))
    };
    let written = deps
        .queue
        .one_at_a_time(&format!("run:{number}"), writing)
        .await;
    let written = written.map_err(store_failure)?;
    written.ok_or_else(|| Refused::UnknownRun(number).failure())
}

fn still_queued(error: QueueError, refused: Refused) -> Failure {
    let failure = queue_failure(error);
    Failure::new(failure.exit, failure.error.context(refused))
}

impl Steered {
    fn new(run: Run, withdrawn: Result<Withdrawn, Failure>, event: Option<Event>) -> Self {
        let (withdrawn, still_queued) = match withdrawn {
            Ok(withdrawn) => (withdrawn, None),
            Err(failure) => (Withdrawn::default(), Some(failure)),
        };
        Self {
            run,
            withdrawn,
            event,
            still_queued,
        }
    }

    pub fn said(&self, wanted: OfRun) -> Words {
        let id = self.run.run;
        let changed = self.event.is_some();
        let (who, who_zh) = match self.run.changed_by.as_str() {
            by if !changed && !by.is_empty() => (format!(" (by {by})"), format!("（由 {by}）")),
            _ => Default::default(),
        };
        let withdrawn = left(self.withdrawn);
        let (left, left_zh) = (&withdrawn.en, &withdrawn.zh);
        match wanted {
            // Jobs of it may have left the queue all the same: an earlier try could not take them off.
            OfRun::Change(Change::Cancel | Change::Hold) if !changed => {
                let (state, done_zh) = match self.run.state {
                    RunState::Cancelled => ("cancelled", "取消"),
                    _ => ("held", "搁置"),
                };
                let by_zh = match self.run.changed_by.as_str() {
                    "" => String::new(),
                    by => format!("由 {by} "),
                };
                let said = words!(
                    "run {id} is already {state}{who}; nothing was changed",
                    "补跑 {id} 此前已{by_zh}{done_zh}，本次未作更改"
                );
                match self.withdrawn.jobs() {
                    0 => said,
                    _ => said.and(&withdrawn),
                }
            }
            OfRun::Change(Change::Cancel) => words!(
                "run {id} is cancelled: {left}; rows keep the verdicts they have",
                "补跑 {id} 已取消：{left_zh}；数据行保留已有判定"
            ),
            OfRun::Change(Change::Hold) => words!(
                "run {id} is held: {left}; `scheduler backfill resume {id}` lets it go on",
                "补跑 {id} 已搁置：{left_zh}；`scheduler backfill resume {id}` 恢复"
            ),
            OfRun::Change(Change::Resume) if !changed => words!(
                "run {id} goes on already{who}; nothing was changed",
                "补跑 {id} 已在进行{who_zh}，未作更改"
            ),
            OfRun::Change(Change::Resume) => {
                words!("run {id} goes on", "补跑 {id} 继续进行")
            }
            OfRun::Order(order) => {
                let (order, zh) = match order {
                    Order::Oldest => ("oldest", "最早"),
                    Order::Newest => ("newest", "最近"),
                };
                if !changed {
                    words!(
                        "run {id} goes from the {order} day already; nothing was changed",
                        "补跑 {id} 已是从{zh}的日期开始，未作更改"
                    )
                } else if self.run.state == RunState::Held {
                    words!(
                        "run {id} goes from the {order} day once it is resumed",
                        "补跑 {id} 恢复后从{zh}的日期开始"
                    )
                } else {
                    words!(
                        "run {id} goes from the {order} day: {left}, to come back in this order",
                        "补跑 {id} 从{zh}的日期开始：{left_zh}，按新顺序重新产生"
                    )
                }
            }
        }
    }
}

fn what_left(withdrawn: &Result<Withdrawn, Failure>) -> Words {
    match withdrawn {
        Ok(withdrawn) => left(*withdrawn),
        Err(_) => events::STILL_QUEUED.words(&[]),
    }
}

fn left(withdrawn: Withdrawn) -> Words {
    let Withdrawn { leased, dead, .. } = withdrawn;
    let [jobs, leased_jobs, dead_jobs] = [withdrawn.jobs(), leased, dead].map(grouped);
    match leased + dead {
        0 => events::LEFT.words(&[&jobs]),
        _ => events::LEFT_IN_HAND.words(&[&jobs, &leased_jobs, &dead_jobs]),
    }
}
