//! What the parts of a consumer share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, mpsc::UnboundedSender, watch};
use tokio_util::sync::CancellationToken;

use super::{WorkerInfo, settler::Request};
use crate::{
    LeaseRef, Pause, Queue, WorkerId,
    conn::lock,
    lease::{Ended, Held},
};

/// Workers that are heard often enough together.
const ENOUGH: u64 = 16;
/// A worker whose wake-up call is lost looks itself after so many `idle_poll`s at most, however large the fleet is.
pub(super) const MOST_SHARED_LOOKS: u32 = 6;

pub(super) struct Shared {
    pub id: WorkerId,
    pub queue: Queue,
    pub fields: Mutex<BTreeMap<String, String>>,
    pub registered: AtomicBool,
    /// What the server's settings put at risk was said, once.
    pub checked: AtomicBool,
    /// Everything that Redis holds for this worker, as far as it knows.
    pub held: Mutex<HashMap<String, Arc<Held>>>,
    /// To the settler.
    pub endings: UnboundedSender<Ended>,
    pub requests: UnboundedSender<Request>,
    pub control: watch::Sender<Control>,
    pub seen: Mutex<Seen>,
    /// A lease has ended.
    pub ended: Notify,
    pub lost: AtomicU64,
    /// Registered workers, as the last renewal counted them.
    pub workers: AtomicU64,
    /// Locked while a claim is under way.
    pub claiming: tokio::sync::Mutex<()>,
    pub claims_in_flight: AtomicUsize,
    /// Redis may hold leases for us that we do not know of: the reply to a claim was lost, or Redis forgot their end.
    pub suspect: AtomicBool,
    /// Callers of `next` that wait to be woken.
    pub idle: watch::Sender<usize>,
    pub woken: Notify,
    /// Renewal is told rarely, since nothing is held.
    pub dozing: AtomicBool,
    pub rouse: Notify,
    /// Ends the threads.
    pub stop: CancellationToken,
    pub heartbeat_ended: CancellationToken,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Control {
    pub stopped: bool,
    pub held: Option<String>,
    /// The queue turned out to be somebody else's.
    pub foreign: Option<String>,
}

impl Control {
    /// Why nothing is claimed.
    pub fn holds(&self) -> Option<&String> {
        self.foreign.as_ref().or(self.held.as_ref())
    }
}

/// What the last claim said about the queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub paused: Option<Pause>,
    pub draining: bool,
    pub born_at: u64,
}

impl Shared {
    pub fn new(
        queue: Queue,
        info: WorkerInfo,
        endings: UnboundedSender<Ended>,
        requests: UnboundedSender<Request>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            id: info.id,
            queue,
            fields: Mutex::new(info.fields),
            registered: AtomicBool::new(false),
            checked: AtomicBool::new(false),
            held: Mutex::default(),
            endings,
            requests,
            control: watch::Sender::default(),
            seen: Mutex::default(),
            ended: Notify::new(),
            lost: AtomicU64::new(0),
            workers: AtomicU64::new(1),
            claiming: tokio::sync::Mutex::default(),
            claims_in_flight: AtomicUsize::new(0),
            suspect: AtomicBool::new(false),
            idle: watch::Sender::new(0),
            woken: Notify::new(),
            dozing: AtomicBool::new(false),
            rouse: Notify::new(),
            stop,
            heartbeat_ended: CancellationToken::new(),
        }
    }

    /// Renewal may wait longer than usual, until [`rouse_heartbeat`](Self::rouse_heartbeat); false if something is held.
    pub fn doze(&self) -> bool {
        self.dozing.store(true, Ordering::SeqCst);
        let idle = lock(&self.held).is_empty();
        if !idle {
            self.dozing.store(false, Ordering::SeqCst);
        }
        idle
    }

    /// The more workers there are, the less often each must do what one of them must do every `interval`; at most `most` times less.
    pub fn share(&self, interval: Duration, most: u32) -> Duration {
        let workers = self.workers.load(Ordering::Relaxed) / ENOUGH;
        interval * u32::try_from(workers).unwrap_or(most).clamp(1, most)
    }

    /// How often an idle worker looks by itself: somebody of the fleet does so all the time.
    pub fn look_every(&self) -> Duration {
        self.share(self.queue.options().idle_poll, MOST_SHARED_LOOKS)
    }

    /// There is something to renew.
    pub fn rouse_heartbeat(&self) {
        if self.dozing.swap(false, Ordering::SeqCst) {
            self.rouse.notify_one();
        }
    }

    /// References to everything held.
    pub fn references(&self) -> Vec<LeaseRef> {
        lock(&self.held)
            .values()
            .map(|held| held.reference())
            .collect()
    }

    /// Takes a lease off the books if it is still this one.
    pub fn forget(&self, held: &Held) {
        let mut known = lock(&self.held);
        if known
            .get(&held.job.id)
            .is_some_and(|other| other.job.token == held.job.token)
        {
            known.remove(&held.job.id);
        }
        drop(known);
        self.ended.notify_waiters();
    }

    /// Marks a lease lost, unless its end is under way.
    pub fn lose(&self, held: &Held, why: &str) {
        if held.lose() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(job = %held.job.id, token = held.job.token, why, "lease lost");
            self.forget(held);
        }
    }

    /// Notices that Redis has forgotten everything.
    pub fn note_birth(&self, born_at: u64) {
        let mut seen = lock(&self.seen);
        if seen.born_at != 0 && seen.born_at != born_at {
            tracing::warn!(queue = %self.queue.options().queue, was_paused = seen.paused.is_some(),
                "redis has forgotten the queue: owners rebuild their jobs, a pause must be set again");
        }
        seen.born_at = born_at;
    }
}

/// Waits between tries while Redis is away: short, since a lease may depend on it, and jittered.
pub(super) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub fn new(most: Duration) -> Self {
        Self {
            next: Duration::from_millis(20),
            most: most.max(Duration::from_millis(20)),
        }
    }

    pub fn delay(&mut self) -> Duration {
        let delay = self.next.mul_f64(0.5 + crate::queue::chance() / 2.0);
        self.next = (self.next * 2).min(self.most);
        delay
    }
}
