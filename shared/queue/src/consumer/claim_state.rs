//! Asking for jobs: whether this process may, who waits for one, and what the queue said last.

use tokio::sync::{Mutex, Notify, mpsc::UnboundedSender, oneshot, watch};

use crate::{Lease, Pause, QueueError};

pub(super) struct ClaimState {
    /// To the settler.
    pub requests: UnboundedSender<ClaimRequest>,
    /// Locked while a claim is under way.
    pub under_way: Mutex<()>,
    pub control: watch::Sender<Control>,
    pub seen: std::sync::Mutex<QueueState>,
    /// Callers of `next` that wait to be woken.
    pub idle: watch::Sender<usize>,
    pub woken: Notify,
}

/// Somebody wants up to `max` jobs.
pub(super) struct ClaimRequest {
    pub max: u32,
    pub answer: oneshot::Sender<Result<ClaimAnswer, QueueError>>,
}

/// Answer to a [`ClaimRequest`].
pub(super) struct ClaimAnswer {
    pub leases: Vec<Lease>,
    pub paused: bool,
    pub draining: bool,
    pub next_due: std::time::Duration,
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
pub(super) struct QueueState {
    pub paused: Option<Pause>,
    pub draining: bool,
    pub born_at: u64,
}

impl ClaimState {
    pub fn new(requests: UnboundedSender<ClaimRequest>) -> Self {
        Self {
            requests,
            under_way: Mutex::default(),
            control: watch::Sender::default(),
            seen: std::sync::Mutex::default(),
            idle: watch::Sender::new(0),
            woken: Notify::new(),
        }
    }

    pub fn stop(&self) {
        self.control.send_modify(|control| control.stopped = true);
    }
}
