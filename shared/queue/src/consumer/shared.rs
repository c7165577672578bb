//! What the tasks of a consumer share.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    claim_state::{ClaimRequest, ClaimState},
    info::WorkerInfo,
    leases::Leases,
    membership::Membership,
};
use crate::{Queue, WorkerId, lease::EndRequest, lock};

/// A worker whose wake-up call is lost looks itself after so many `idle_poll`s at most, however large the fleet is.
pub(super) const MOST_SHARED_LOOKS: u32 = 6;

pub(super) struct Shared {
    pub id: WorkerId,
    pub queue: Queue,
    pub leases: Leases,
    pub membership: Membership,
    pub claiming: ClaimState,
    /// Ends all tasks.
    pub stop: CancellationToken,
}

impl Shared {
    pub fn new(
        queue: Queue,
        info: WorkerInfo,
        endings: UnboundedSender<EndRequest>,
        requests: UnboundedSender<ClaimRequest>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            id: info.id,
            queue,
            leases: Leases::new(endings),
            membership: Membership::new(info.fields),
            claiming: ClaimState::new(requests),
            stop,
        }
    }

    /// Renewal may wait longer than usual, until [`Membership::wake_up`]; false if something is held.
    pub fn renew_rarely(&self) -> bool {
        self.membership.renews_rarely.store(true, Ordering::SeqCst);
        let idle = self.leases.len() == 0;
        if !idle {
            self.membership.renews_rarely.store(false, Ordering::SeqCst);
        }
        idle
    }

    /// How often an idle worker looks by itself: somebody of the fleet does so all the time.
    pub fn look_every(&self) -> Duration {
        let idle_poll = self.queue.options().idle_poll;
        self.membership.share(idle_poll, MOST_SHARED_LOOKS)
    }

    /// Notices that Redis has forgotten everything.
    pub fn note_birth(&self, born_at: u64) {
        let mut seen = lock(&self.claiming.seen);
        if seen.born_at != 0 && seen.born_at != born_at {
            tracing::warn!(queue = %self.queue.options().queue, was_paused = seen.paused.is_some(),
                "redis has forgotten the queue: owners rebuild their jobs, a pause must be set again");
        }
        seen.born_at = born_at;
    }
}
