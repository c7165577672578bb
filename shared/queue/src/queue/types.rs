//! Questions and answers of the protocol.

use std::{collections::BTreeMap, time::Duration};

use crate::{Fields, Job, State, WorkerId};

/// A lease, named by job and token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseRef {
    /// The job.
    pub id: String,
    /// The token its claim was given.
    pub token: u64,
}

/// How a handler ends its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// Done; the fields are added to the job's hash.
    Ack {
        /// Result fields.
        fields: Fields,
    },
    /// Failed; runs again after the delay of the [`RetryPolicy`](crate::RetryPolicy), or is dead if attempts are used
    /// up.
    Retry {
        /// Why.
        error: String,
        /// Overrides the policy's delay.
        delay: Option<Duration>,
    },
    /// Failed for good: dead at once.
    Bury {
        /// Why.
        error: String,
    },
    /// Given back untouched: no attempt is spent, anyone may claim it at once.
    Release {
        /// Why.
        reason: String,
    },
    /// Hand the job to its owner for splitting (state `splitting`), for a reason the worker found itself.
    Split {
        /// Why.
        reason: String,
    },
}

impl Settlement {
    /// Done, without result fields.
    #[must_use]
    pub fn ack() -> Self {
        Self::Ack { fields: Vec::new() }
    }

    /// Failed, with the policy's delay.
    #[must_use]
    pub fn retry(error: impl Into<String>) -> Self {
        Self::Retry {
            error: error.into(),
            delay: None,
        }
    }

    /// Failed for good.
    #[must_use]
    pub fn bury(error: impl Into<String>) -> Self {
        Self::Bury {
            error: error.into(),
        }
    }

    /// Given back untouched.
    #[must_use]
    pub fn release(reason: impl Into<String>) -> Self {
        Self::Release {
            reason: reason.into(),
        }
    }

    /// Handed to its owner for splitting.
    #[must_use]
    pub fn split(reason: impl Into<String>) -> Self {
        Self::Split {
            reason: reason.into(),
        }
    }
}

/// How a lease ends, for [`Queue::turn`](crate::Queue::turn).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The one that ends, if its token is still the job's.
    pub lease: LeaseRef,
    /// Its end; a retry without a delay waits as the policy says for a first attempt.
    pub settlement: Settlement,
}

/// Answer to a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What became of the leases that were to end, in the order given.
    pub outcomes: Vec<Outcome>,
    /// What was claimed after that.
    pub claim: Claim,
}

/// Answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The jobs, now leased; empty if there was nothing to get.
    pub jobs: Vec<Job>,
    /// Set while the queue is paused.
    pub paused: Option<Pause>,
    /// A job that must run isolated waits for this worker, or runs there: nothing is handed out until its leases have
    /// ended.
    pub draining: bool,
    /// When something becomes due (a delayed job, a lease that might run out), from now.
    pub next_due: Duration,
    /// When this Redis first knew the queue, µs; a change means that it forgot everything (a pause, too).
    pub born_at: u64,
}

/// Whether a lease was extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It lasts one `ttl` from now.
    Renewed,
    /// Another token holds the job, or it is gone: stop before the next write.
    Lost,
}

/// Answer to a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewals {
    /// False if Redis does not list the worker (any more).
    pub registered: bool,
    /// Leases that Redis holds for it.
    pub held: u64,
    /// Registered workers.
    pub workers: u64,
    /// What became of each lease, in the order asked.
    pub renewals: Vec<Renewal>,
}

/// What became of a lease that its holder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As asked; the job is now in this state.
    Settled(State),
    /// The lease was lost before; nothing changed.
    Lost,
}

/// What became of a lease, seen through outages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// As asked; the job is now in this state.
    Settled(State),
    /// The lease was lost before; nothing changed.
    Lost,
    /// The process shut down before Redis answered; the lease runs out by itself.
    Unknown,
}

/// Answer to an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Enqueued {
    /// Jobs added.
    pub added: u64,
    /// Jobs whose id was outstanding already.
    pub deduplicated: u64,
}

/// What a guarded enqueue expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The leader who asks.
    pub leader: LeaderToken,
    /// The group it plans.
    pub group: String,
    /// The version it has read.
    pub version: u64,
}

/// Answer to a guarded enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardedEnqueue {
    /// Added; the plan has a new version.
    Enqueued {
        /// What was added.
        jobs: Enqueued,
        /// The plan's version now.
        version: u64,
    },
    /// Somebody else changed the plan: read it again.
    Conflict {
        /// Added before the conflict (by earlier chunks).
        jobs: Enqueued,
        /// The plan's version now.
        version: u64,
    },
    /// Somebody else leads.
    Deposed {
        /// Added before (by earlier chunks).
        jobs: Enqueued,
    },
}

/// A group's outstanding jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPlan {
    /// Version of the plan, read before the jobs; 0 if there is none.
    pub version: u64,
    /// Its outstanding jobs, in no order.
    pub jobs: Vec<Job>,
}

/// A group of which jobs are outstanding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What its jobs name as their [`group`](crate::NewJob::group).
    pub name: String,
    /// Version of its plan.
    pub version: u64,
    /// Its jobs that are not done; dead ones are among them.
    pub outstanding: u64,
}

/// Answer to a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitOutcome {
    /// Replaced by this many children.
    Split(u64),
    /// It is not waiting to be split any more.
    NotSplitting,
}

/// Answer to [`Queue::take`](crate::Queue::take).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is the caller's now.
    Taken {
        /// Outstanding jobs of the owner before, which were forgotten.
        forgotten: u64,
    },
    /// Somebody still works on it; nothing changed.
    InUse {
        /// Workers heard of lately.
        workers: u64,
        /// Who leads, if somebody does.
        leader: Option<String>,
    },
}

/// Proof of leadership, fenced by the queue's own token counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaderToken(pub u64);

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderInfo {
    /// As it called itself.
    pub id: String,
    /// What its guarded enqueues are held against.
    pub token: LeaderToken,
    /// What is left of its lease.
    pub remaining: Duration,
}

/// Somebody who leads or waits to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Unique per process.
    pub id: String,
    /// Where it is reached.
    pub address: String,
    /// When it last asked, Redis time, ms since 1970.
    pub asked_ms: u64,
    /// What it said then of itself, a line each.
    pub says: Vec<String>,
}

/// Why claiming is stopped.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pause {
    /// As given by whoever paused.
    pub reason: String,
    /// Who paused it.
    pub by: String,
    /// When, ms of Redis time.
    pub since: u64,
}

/// What a collect did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Expired leases that went back to pending.
    pub expired: u64,
    /// Expired leases whose job is dead now.
    pub dead: u64,
    /// Expired leases whose job waits to be split now.
    pub splitting: u64,
    /// Delayed jobs that came due.
    pub promoted: u64,
    /// Finished jobs that were forgotten.
    pub trimmed: u64,
    /// Expired leases that are kept for now, since Redis (or the fleet) was away.
    pub held: bool,
    /// There is more to do: call again.
    pub more: bool,
}

/// A page of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of their state's set.
    pub jobs: Vec<Job>,
    /// Where to go on; `None` at the end.
    pub next: Option<u64>,
}

/// What the queue holds now, and what became of jobs so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Stats {
    /// Jobs by state.
    pub states: BTreeMap<State, u64>,
    /// Outstanding jobs by priority, dead ones not counted: what back-pressure looks at.
    pub outstanding: BTreeMap<u8, u64>,
    /// Age of the oldest pending job of the most urgent priority, ms.
    pub oldest_pending_ms: Option<u64>,
    /// That priority.
    pub oldest_pending_priority: Option<u8>,
    /// Registered workers.
    pub workers: u64,
    /// Jobs ever done, retried, buried, died, since this Redis knew the queue.
    pub totals: BTreeMap<String, u64>,
    /// The fencing counter.
    pub token: u64,
    /// When this Redis first knew the queue, µs; a change means that it forgot everything.
    pub born_at: u64,
    /// Redis time, ms.
    pub now: u64,
    /// Why claiming is stopped, if it is.
    pub paused: Option<Pause>,
    /// When [`resume`](crate::Queue::resume) ended a pause last, ms of Redis time; 0 if it never did. A pause that is
    /// gone and began later was lost.
    pub resumed_at: u64,
}

impl Stats {
    /// Jobs in a state.
    #[must_use]
    pub fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// Outstanding jobs of a priority class, dead ones not counted.
    #[must_use]
    pub fn outstanding(&self, priority: u8) -> u64 {
        self.outstanding.get(&priority).copied().unwrap_or(0)
    }
}

/// What jobs wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Pending jobs that must run isolated.
    pub isolated: u64,
    /// When the first delayed job is due, ms of Redis time.
    pub next_delayed: Option<u64>,
    /// When that job was enqueued, the same way.
    pub delayed_since: Option<u64>,
    /// Leases that ran out and are not taken back yet.
    pub expired: u64,
    /// Until when those are kept, since Redis or the whole fleet was away, ms of Redis time.
    pub kept_until: Option<u64>,
}

/// One registered worker.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WorkerEntry {
    /// Unique per process.
    #[serde(serialize_with = "as_text")]
    pub id: WorkerId,
    /// Since it was last heard of, ms.
    pub silent_ms: u64,
    /// Leases it holds.
    pub leases: u64,
    /// Ids of the jobs it holds, at most 100.
    pub jobs: Vec<String>,
    /// What it says of itself: host, device, model version, …
    pub fields: BTreeMap<String, String>,
}

fn as_text<S: serde::Serializer>(id: &WorkerId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.as_str())
}
