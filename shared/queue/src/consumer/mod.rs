//! One member of the fleet: `claimer` asks for jobs and waits, `waiter` is woken by Redis, `settler` tells Redis which
//! leases end and asks it for new ones, through outages, `heartbeat` renews on its own thread, `shutdown` leaves in
//! order. They share three things, in `shared`: the `leases` that are held, the `membership` in the fleet, and
//! `claim_state`, what is known about claiming.

mod claim_state;
mod claimer;
mod heartbeat;
mod info;
mod leases;
mod membership;
mod settler;
mod shared;
mod shutdown;
mod waiter;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

pub use info::{ShutdownReport, WorkerInfo};
use settler::Settler;
use shared::Shared;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Lease, Pause, Queue, QueueError, WorkerId, lock};

/// What a consumer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Leases held.
    pub leases: usize,
    /// The queue's pause, as last seen.
    pub paused: Option<Pause>,
    /// Why this process does not claim ([`Consumer::hold`]).
    pub held: Option<String>,
    /// A job that must run isolated waits for this worker's other leases to end.
    pub draining: bool,
    /// Leases lost so far.
    pub lost: u64,
}

/// Claims, renews and settles for this process. Cheap to clone. Renewal runs on an OS thread of its own with its own
/// connection, so that handlers which occupy every core of the runtime lose no lease. No error of Redis ends it. When
/// the last clone is dropped without [`shutdown`](Self::shutdown), renewal stops and what is held runs out.
#[derive(Clone)]
pub struct Consumer {
    shared: Arc<Shared>,
    _stops_with_last_clone: Arc<DropGuard>,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("id", self.id())
            .field("status", &self.status())
            .finish()
    }
}

impl Consumer {
    /// Starts the member's threads; registers as soon as Redis answers. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`QueueError::Options`] if its thread cannot be started.
    pub fn start(queue: Queue, info: WorkerInfo) -> Result<Self, QueueError> {
        let (endings, endings_out) = tokio::sync::mpsc::unbounded_channel();
        let (requests, requests_out) = tokio::sync::mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::new(
            queue.clone(),
            info,
            endings,
            requests,
            stop.clone(),
        ));
        heartbeat::start(&shared, queue.with_own_connection()?)?;
        let settler = Settler {
            shared: shared.clone(),
            endings: endings_out,
            requests: requests_out,
        };
        tokio::spawn(settler.run());
        let patience = queue.options().idle_poll * shared::MOST_SHARED_LOOKS
            + queue.options().response_timeout;
        tokio::spawn(waiter::run(
            shared.clone(),
            queue.with_response_timeout(patience)?,
        ));
        Ok(Self {
            shared,
            _stops_with_last_clone: Arc::new(stop.drop_guard()),
        })
    }

    /// The id under which it is registered.
    #[must_use]
    pub fn id(&self) -> &WorkerId {
        &self.shared.id
    }

    /// The queue it works for.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// Waits until at least one job was claimed, at most `max`; through pauses, outages, holds and empty queues. If the
    /// future is dropped, what it may have claimed is given back.
    ///
    /// # Errors
    /// Only [`QueueError::ShutDown`], after [`stop_claiming`](Self::stop_claiming) or [`shutdown`](Self::shutdown).
    pub async fn next(&self, max: u32) -> Result<Vec<Lease>, QueueError> {
        claimer::next(&self.shared, max).await
    }

    /// Claims what is there now, at most `max`.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn try_next(&self, max: u32) -> Result<Vec<Lease>, QueueError> {
        Ok(claimer::claim(&self.shared, max).await?.leases)
    }

    /// Stops claiming in this process, for a reason of its own (a dependency is away). Leases stay.
    pub fn hold(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.shared
            .claiming
            .control
            .send_modify(|control| control.held = Some(reason));
    }

    /// Claims again.
    pub fn proceed(&self) {
        self.shared
            .claiming
            .control
            .send_modify(|control| control.held = None);
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        let seen = lock(&self.shared.claiming.seen).clone();
        ConsumerStatus {
            leases: self.shared.leases.len(),
            paused: seen.paused,
            held: self.shared.claiming.control.borrow().holds().cloned(),
            draining: seen.draining,
            lost: self.shared.leases.lost.load(Ordering::Relaxed),
        }
    }

    /// Changes the free fields that people see.
    pub fn set_fields(&self, fields: BTreeMap<String, String>) {
        let membership = &self.shared.membership;
        *lock(&membership.fields) = fields;
        membership.registered.store(false, Ordering::Release);
        membership.renew_now.notify_one();
    }

    /// Stops claiming for good; handlers go on and their leases are renewed.
    pub fn stop_claiming(&self) {
        self.shared.claiming.stop();
    }

    /// Stops claiming, waits up to `grace` for the leases to be settled, releases the rest (they are lost to their
    /// handlers), deregisters.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        shutdown::run(&self.shared, grace).await
    }
}
