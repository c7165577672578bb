//! A job in the hands of this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{SetOnce, mpsc::UnboundedSender};
use tokio_util::sync::CancellationToken;

use crate::{Job, LeaseRef, Settled, Settlement, timing::millis};

/// One claimed job. Cheap to clone; clones are the same lease. When the last clone is dropped before the lease was
/// settled (a panic, a cancelled future), it is given back at once as a retry.
#[derive(Clone)]
pub struct Lease {
    handle: Arc<Handle>,
}

/// What all clones share; its drop gives back what was not settled.
struct Handle {
    held: Arc<SharedLease>,
    /// False until the lease was handed to a handler: then its loss costs no attempt.
    started: AtomicBool,
}

/// A lease as the consumer's threads see it.
pub(crate) struct SharedLease {
    pub job: Job,
    /// Nobody has begun to settle it, and it is not known to be lost.
    unsettled: AtomicBool,
    lost: CancellationToken,
    outcome: SetOnce<Settled>,
    /// Milliseconds after `epoch` of the last sign of life.
    progress: AtomicU64,
    epoch: Instant,
    endings: UnboundedSender<EndRequest>,
}

/// Asks the settler to end a lease.
pub(crate) struct EndRequest {
    pub held: Arc<SharedLease>,
    pub settlement: Settlement,
    /// It may wait a moment for a claim to travel with.
    pub lingers: bool,
}

impl Lease {
    pub(crate) fn new(held: Arc<SharedLease>) -> Self {
        Self {
            handle: Arc::new(Handle {
                held,
                started: AtomicBool::new(false),
            }),
        }
    }

    /// From now on the handler is responsible: dropping the lease is a failed attempt.
    pub(crate) fn start(&self) {
        self.handle.started.store(true, Ordering::Release);
        self.progress();
    }

    /// The handler has not begun after all: dropping the lease costs no attempt.
    pub(crate) fn unstart(&self) {
        self.handle.started.store(false, Ordering::Release);
    }

    /// The job as it was claimed.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.handle.held.job
    }

    /// The fencing token of this claim: larger than that of every earlier claim of any job.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.handle.held.job.token
    }

    /// True once the lease is known to be lost: stop before the next write.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.handle.held.lost.is_cancelled()
    }

    /// Resolves when the lease is known to be lost; never if it is settled first.
    pub async fn lost(&self) {
        self.handle.held.lost.cancelled().await;
    }

    /// Tells that the handler is getting on. Without it for `job_timeout`, renewal stops and the lease is lost.
    pub fn progress(&self) {
        self.handle.held.touch();
    }

    /// Ends the lease. Waits through outages of Redis until it is settled or known to be lost; asking twice is harmless
    /// and the first settlement counts. If the future is dropped, the settlement goes on all the same.
    pub async fn settle(&self, settlement: Settlement) -> Settled {
        self.handle.held.end(settlement, false);
        self.settled().await
    }

    /// As [`settle`](Self::settle), without waiting for the answer: for whoever asks for the next job right after. The
    /// ending travels with that claim in one call to Redis; if none is made within a millisecond, alone.
    /// [`settled`](Self::settled) has the answer.
    pub fn hand_in(&self, settlement: Settlement) {
        self.handle.held.end(settlement, true);
    }

    /// Waits until the lease has ended in whatever way, and says how.
    pub async fn settled(&self) -> Settled {
        self.handle.held.outcome.wait().await.clone()
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("id", &self.job().id)
            .field("token", &self.token())
            .field("lost", &self.is_lost())
            .finish()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.held.is_held() {
            let settlement = if self.started.load(Ordering::Acquire) {
                Settlement::retry("the handler ended without settling its lease")
            } else {
                Settlement::release("nobody took it")
            };
            self.held.end(settlement, false);
        }
    }
}

impl SharedLease {
    pub fn new(job: Job, endings: UnboundedSender<EndRequest>) -> Self {
        Self {
            job,
            unsettled: AtomicBool::new(true),
            lost: CancellationToken::new(),
            outcome: SetOnce::new(),
            progress: AtomicU64::new(0),
            epoch: Instant::now(),
            endings,
        }
    }

    pub fn reference(&self) -> LeaseRef {
        LeaseRef {
            id: self.job.id.clone(),
            token: self.job.token,
        }
    }

    fn touch(&self) {
        self.progress
            .store(millis(self.epoch.elapsed()), Ordering::Relaxed);
    }

    /// Time without progress.
    pub fn idle(&self) -> Duration {
        self.epoch
            .elapsed()
            .saturating_sub(Duration::from_millis(self.progress.load(Ordering::Relaxed)))
    }

    pub fn is_held(&self) -> bool {
        self.unsettled.load(Ordering::Acquire)
    }

    fn end(self: &Arc<Self>, settlement: Settlement, lingers: bool) {
        let first = self.unsettled.swap(false, Ordering::AcqRel);
        let ended = EndRequest {
            held: self.clone(),
            settlement,
            lingers,
        };
        if first && self.endings.send(ended).is_err() {
            self.finish(Settled::Unknown);
        }
    }

    /// Marks a lease lost unless its end is already under way (then the answer to that says what became of it).
    pub fn lose(&self) -> bool {
        let first = self.unsettled.swap(false, Ordering::AcqRel);
        if first {
            self.finish(Settled::Lost);
        }
        first
    }

    /// Tells all who wait what became of it.
    pub fn finish(&self, settled: Settled) {
        if settled == Settled::Lost {
            self.lost.cancel();
        }
        let _ = self.outcome.set(settled);
    }
}
