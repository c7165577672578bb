//! Jobs of a run that nobody is to work on: taken off the queue by who cancels or holds it, and by each pass.
//!
//! Nothing of such a run comes back:
//! - its state is written to ClickHouse first, then the plans of its days get a new version. A pass that read a plan
//!   before meets a conflict; one that reads it after asks ClickHouse before it enqueues, and finds the run stopped;
//! - of a cancelled run leased jobs go too. Their workers find the lease lost, and what they write late is older than
//!   any later run;
//! - of a held run leased jobs end as they would. One that is to run again goes back to the queue, and the next pass
//!   takes it off;
//! - of an open run whose order was changed what nobody has begun goes, and comes back in the new order.
//!
//! A job that leaves takes its attempts and deaths with it: resumed, its rows are sliced anew.

use std::collections::BTreeSet;

use weldfleet_fleet::DayGroup;
use weldfleet_queue::{Job, Queue, QueueError, State};
use weldfleet_stores::{
    LIVE_RUN,
    clickhouse::{Run, RunState, Runs},
};

use crate::dependencies::{DependencyError, day_groups};

/// Looks at the queue, at most; each finds what came back during the one before.
const MOST_LOOKS: u32 = 10;

/// Jobs that left the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// Nobody had begun them.
    pub waiting: u64,
    /// Somebody was at them.
    pub leased: u64,
    /// They needed a person.
    pub dead: u64,
}

impl Withdrawn {
    pub fn jobs(self) -> u64 {
        self.waiting + self.leased + self.dead
    }
}

/// Right after the run was stopped: no pass adds to it any more, and what is there leaves.
pub async fn stop(queue: &Queue, run: &Run) -> Result<Withdrawn, QueueError> {
    let groups = groups_of(run);
    queue.revoke(&groups).await?;
    let mut all = Withdrawn::default();
    for _ in 0..MOST_LOOKS {
        let some = sweep(queue, std::slice::from_ref(run)).await?;
        if some.jobs() == 0 {
            break;
        }
        all.waiting += some.waiting;
        all.leased += some.leased;
        all.dead += some.dead;
    }
    Ok(all)
}

/// Of a run that `weld_runs` does not know, so that no pass adds to it: whatever is there leaves, in whoever's hand.
pub async fn stop_unknown(queue: &Queue, number: u64) -> Result<Withdrawn, QueueError> {
    sweep_days(queue, |group| {
        (group.run == number).then_some(RunState::Cancelled)
    })
    .await
}

/// Right after the order of an open run was changed: a pass that has the old one adds nothing more, and what it added
/// leaves, unless somebody has begun it or it is one half of a job that killed its worker.
pub async fn slice_anew(queue: &Queue, run: &Run) -> Result<Withdrawn, QueueError> {
    let groups = groups_of(run);
    queue.revoke(&groups).await?;
    let mut withdrawn = Withdrawn::default();
    for group in groups {
        for job in queue.plan(&group).await?.jobs {
            let is_new = job.attempts + job.deaths == 0 && job.parent.is_empty() && !job.isolate;
            if job.state == State::Pending && is_new {
                withdrawn.waiting += u64::from(queue.drop_job(&job.id).await?);
            }
        }
    }
    Ok(withdrawn)
}

fn groups_of(run: &Run) -> Vec<String> {
    let of_day = |day: &_| {
        DayGroup {
            run: run.run,
            day: *day,
        }
        .to_string()
    };
    run.days().iter().map(of_day).collect()
}

/// Takes off the queue what is there of stopped runs. Costs one look at the groups, and nothing if no run is stopped.
pub async fn sweep(queue: &Queue, stopped: &[Run]) -> Result<Withdrawn, QueueError> {
    if stopped.is_empty() {
        return Ok(Withdrawn::default());
    }
    sweep_days(queue, |DayGroup { run, day }| {
        let of_day = |other: &&Run| other.run == run && day >= other.from && day <= other.to;
        stopped.iter().find(of_day).map(|run| run.state)
    })
    .await
}

/// After Redis went back to an older file: takes off the queue what came back of runs that have ended, of which `known`
/// is not, and answers how many jobs those were. Of runs that nobody knows it touches nothing.
pub async fn sweep_ended(
    queue: &Queue,
    runs: &Runs,
    known: &[Run],
) -> Result<u64, DependencyError> {
    let there = day_groups(queue).await?.into_iter();
    let mut ended: BTreeSet<u64> = there.map(|(group, _)| group.run).collect();
    ended.retain(|run| *run != LIVE_RUN && !known.iter().any(|other| other.run == *run));
    for run in ended.clone() {
        let state = runs.get(run).await?.map(|run| run.state);
        if !matches!(state, Some(RunState::Closed | RunState::Cancelled)) {
            ended.remove(&run);
        }
    }
    let swept = sweep_days(queue, |group| {
        ended.contains(&group.run).then_some(RunState::Cancelled)
    });
    Ok(swept.await?.jobs())
}

/// Takes off the queue what leaves it of each day whose run is in the state that `state_of` tells.
async fn sweep_days(
    queue: &Queue,
    state_of: impl Fn(DayGroup) -> Option<RunState>,
) -> Result<Withdrawn, QueueError> {
    let mut withdrawn = Withdrawn::default();
    for (group, _) in day_groups(queue).await? {
        let Some(state) = state_of(group) else {
            continue;
        };
        for job in queue.plan(&group.to_string()).await?.jobs {
            if leaves(state, job.state) {
                take_off(queue, state, &job, &mut withdrawn).await?;
            }
        }
    }
    Ok(withdrawn)
}

fn leaves(run: RunState, job: State) -> bool {
    match run {
        RunState::Open | RunState::Closed => false,
        RunState::Held => matches!(job, State::Pending | State::Delayed | State::Splitting),
        RunState::Cancelled => job != State::Done,
    }
}

async fn take_off(
    queue: &Queue,
    run: RunState,
    job: &Job,
    withdrawn: &mut Withdrawn,
) -> Result<(), QueueError> {
    let gone = match run {
        RunState::Cancelled => queue.cancel(&job.id).await?,
        // One that was claimed meanwhile is in hand, and stays.
        _ => queue.drop_job(&job.id).await?,
    };
    if gone {
        match job.state {
            State::Leased => withdrawn.leased += 1,
            State::Dead => withdrawn.dead += 1,
            _ => withdrawn.waiting += 1,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_run_keeps_what_is_in_hand_and_a_cancelled_one_nothing() {
        let left = |run| -> Vec<State> {
            let all = State::ALL.into_iter();
            all.filter(|job| !leaves(run, *job)).collect()
        };
        assert_eq!(left(RunState::Open).len(), State::ALL.len());
        assert_eq!(left(RunState::Closed).len(), State::ALL.len());
        assert_eq!(left(RunState::Cancelled), [State::Done]);
        let mut held = left(RunState::Held);
        held.sort();
        let mut kept = [State::Leased, State::Dead, State::Done];
        kept.sort();
        assert_eq!(held, kept);
    }
}
