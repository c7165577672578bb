//! What this process holds, as far as it knows, and what Redis may think besides.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::{Notify, mpsc::UnboundedSender},
    time::Instant,
};

use crate::{
    Job, Lease, LeaseRef,
    lease::{EndRequest, SharedLease},
    lock,
};

pub(super) struct Leases {
    held: Mutex<HashMap<String, Arc<SharedLease>>>,
    /// Given up here, and no longer renewed: Redis ends them as a death when they run out. Until then, and not for ever.
    running_out: Mutex<Vec<(LeaseRef, Instant)>>,
    /// To the settler.
    endings: UnboundedSender<EndRequest>,
    /// A lease has ended.
    pub ended: Notify,
    pub lost: AtomicU64,
    pub claims_in_flight: AtomicUsize,
    /// Redis may hold leases for us that we do not know of: the reply to a claim was lost, or Redis forgot their end.
    /// The next turn gives them back first.
    pub reconcile: AtomicBool,
}

impl Leases {
    pub fn new(endings: UnboundedSender<EndRequest>) -> Self {
        Self {
            held: Mutex::default(),
            running_out: Mutex::default(),
            endings,
            ended: Notify::new(),
            lost: AtomicU64::new(0),
            claims_in_flight: AtomicUsize::new(0),
            reconcile: AtomicBool::new(false),
        }
    }

    pub fn len(&self) -> usize {
        lock(&self.held).len()
    }

    pub fn all(&self) -> Vec<Arc<SharedLease>> {
        lock(&self.held).values().cloned().collect()
    }

    /// Those that nobody may give back.
    pub fn references(&self) -> Vec<LeaseRef> {
        let held = lock(&self.held);
        let held: Vec<_> = held.values().map(|held| held.reference()).collect();
        [held, self.running_out()].concat()
    }

    pub fn running_out(&self) -> Vec<LeaseRef> {
        let mut leases = lock(&self.running_out);
        leases.retain(|(_, until)| *until > Instant::now());
        leases.iter().map(|(lease, _)| lease.clone()).collect()
    }

    /// Gives up a lease whose handler makes no progress. It runs out as if the worker had died, so that the job is
    /// isolated and, in the end, given up; giving it back would cost it nothing, for ever.
    pub fn let_run_out(&self, held: &SharedLease, why: &str, until: Instant) {
        lock(&self.running_out).push((held.reference(), until));
        self.lose(held, why);
    }

    /// Takes on what was claimed.
    pub fn take_on(&self, jobs: Vec<Job>) -> Vec<Lease> {
        let mut known = lock(&self.held);
        jobs.into_iter()
            .map(|job| {
                let held = Arc::new(SharedLease::new(job, self.endings.clone()));
                if let Some(older) = known.insert(held.job.id.clone(), held.clone()) {
                    // the same job again: the earlier lease of it ran out without our notice
                    older.lose();
                }
                Lease::new(held)
            })
            .collect()
    }

    /// Takes a lease off the books if it is still this one.
    pub fn forget(&self, held: &SharedLease) {
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
    pub fn lose(&self, held: &SharedLease, why: &str) {
        if held.lose() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(job = %held.job.id, token = held.job.token, why, "lease lost");
            self.forget(held);
        }
    }

    pub async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            ended.await;
        }
    }
}
