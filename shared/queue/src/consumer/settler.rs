//! Carries what this worker has to say to Redis: one call ends leases and claims, so that a worker which works off one
//! job after the other needs one call a job. An ending never waits for a job to come: it goes alone if nobody wants
//! one. Endings are repeated through outages.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep_until},
};

use super::{
    claim_state::{ClaimAnswer, ClaimRequest},
    shared::Shared,
};
use crate::{
    Claim, Ending, Outcome, QueueError, Settled, Settlement,
    lease::{EndRequest, SharedLease},
    lock,
    queue::MOST_ENDED,
    timing::{JitteredBackoff, chance},
};

/// Tries for a lease whose end Redis refuses by itself (somebody changed the job's key by hand).
const MOST_REFUSALS: u32 = 5;
/// How long an ending that was handed in waits for the claim of whoever handed it in.
const LINGER: Duration = Duration::from_millis(1);

struct Item {
    held: Arc<SharedLease>,
    ending: Ending,
    lingers: bool,
    refusals: u32,
}

pub(super) struct Settler {
    pub shared: Arc<Shared>,
    pub endings: UnboundedReceiver<EndRequest>,
    pub requests: UnboundedReceiver<ClaimRequest>,
}

impl Settler {
    pub async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let mut items = Vec::new();
        let most = (self.shared.queue.options().ttl / 8).min(Duration::from_secs(1));
        let mut backoff = JitteredBackoff::new(most);
        while let Some(request) = self.gather(&mut items).await {
            let request = request.filter(|request| !request.answer.is_closed());
            let Err(error) = self.carry(&mut items, request).await else {
                backoff.worked();
                continue;
            };
            // it tries until it works again
            self.shared.membership.renew_now.notify_one();
            // a Redis that was away may have forgotten endings that it confirmed
            self.shared.leases.reconcile.store(true, Ordering::Release);
            tracing::debug!(error = %crate::error::chain(&error), leases = items.len(), "settling failed, trying again");
            tokio::select! {
                () = tokio::time::sleep(backoff.failed()) => {}
                () = stop.cancelled() => break,
            }
        }
        for item in items {
            self.shared.leases.forget(&item.held);
            item.held.finish(Settled::Unknown);
        }
    }

    /// Waits until there is something to say: adds to `items` what is to be ended, returns who wants jobs. `None` at
    /// the end.
    async fn gather(&mut self, items: &mut Vec<Item>) -> Option<Option<ClaimRequest>> {
        let mut request = None;
        let mut deadline = None;
        loop {
            while items.len() < MOST_ENDED
                && let Ok(ended) = self.endings.try_recv()
            {
                items.push(self.item(ended));
            }
            while request.is_none()
                && let Ok(next) = self.requests.try_recv()
            {
                request = Some(next);
            }
            let urgent = items.iter().any(|item| !item.lingers);
            if request.is_some() || urgent || items.len() >= MOST_ENDED {
                return Some(request);
            }
            if !items.is_empty() {
                deadline.get_or_insert_with(|| Instant::now() + LINGER);
            }
            tokio::select! {
                biased;
                ended = self.endings.recv() => items.extend(ended.map(|ended| self.item(ended))),
                next = self.requests.recv() => request = next,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return Some(None),
                () = self.shared.stop.cancelled(), if items.is_empty() => return None,
            }
        }
    }

    fn item(&self, ended: EndRequest) -> Item {
        Item {
            ending: ending(&self.shared, &ended.held, ended.settlement),
            held: ended.held,
            lingers: ended.lingers,
            refusals: 0,
        }
    }

    /// Says it. What could not be ended stays in `items`; only that is an error here, a failed claim is its caller's.
    async fn carry(
        &self,
        items: &mut Vec<Item>,
        request: Option<ClaimRequest>,
    ) -> Result<(), QueueError> {
        let Some(request) = request else {
            return self.settle(items).await;
        };
        let shared = &self.shared;
        // whoever shuts down waits for this
        let under_way = shared.claiming.under_way.lock().await;
        if shared.claiming.control.borrow().stopped {
            drop(under_way);
            let _ = request.answer.send(Err(QueueError::ShutDown));
            return self.settle(items).await;
        }
        let turn = self.turn(items, request.max).await;
        drop(under_way);
        match turn {
            Ok(claimed) => {
                // if nobody listens any more, the leases go back by being dropped
                drop(request.answer.send(Ok(claimed)));
                Ok(())
            }
            Err(error) => {
                let _ = request.answer.send(Err(error.clone()));
                match items.is_empty() {
                    true => Ok(()),
                    false if error.is_outage() => again(items, error),
                    false => self.settle_each(items).await,
                }
            }
        }
    }

    async fn turn(&self, items: &mut Vec<Item>, max: u32) -> Result<ClaimAnswer, QueueError> {
        let shared = &self.shared;
        if shared.leases.reconcile.swap(false, Ordering::AcqRel) {
            let known = shared.leases.references();
            let released = shared.queue.give_back(&shared.id, &known).await;
            let released =
                released.inspect_err(|_| shared.leases.reconcile.store(true, Ordering::Release))?;
            if released > 0 {
                tracing::info!(released, "gave back leases that nobody here knew of");
            }
        }
        let endings: Vec<_> = items.iter().map(|item| item.ending.clone()).collect();
        shared
            .leases
            .claims_in_flight
            .fetch_add(1, Ordering::AcqRel);
        let turn = shared.queue.turn(&shared.id, &endings, max).await;
        let claimed = turn.map(|turn| {
            for (item, outcome) in items.drain(..).zip(turn.outcomes) {
                finish(shared, &item.held, outcome);
            }
            take(shared, turn.claim)
        });
        shared
            .leases
            .claims_in_flight
            .fetch_sub(1, Ordering::AcqRel);
        if claimed.is_err() {
            shared.leases.reconcile.store(true, Ordering::Release);
        }
        claimed
    }

    async fn settle(&self, items: &mut Vec<Item>) -> Result<(), QueueError> {
        if items.is_empty() {
            return Ok(());
        }
        let endings: Vec<_> = items.iter().map(|item| item.ending.clone()).collect();
        let shared = &self.shared;
        match shared.queue.settle_all(Some(&shared.id), &endings).await {
            Ok(outcomes) => {
                for (item, outcome) in items.drain(..).zip(outcomes) {
                    finish(shared, &item.held, outcome);
                }
                Ok(())
            }
            Err(error) if error.is_outage() => again(items, error),
            Err(_) => self.settle_each(items).await,
        }
    }

    /// One lease may be to blame for a refusal: each by itself.
    async fn settle_each(&self, items: &mut Vec<Item>) -> Result<(), QueueError> {
        let shared = &self.shared;
        let mut last = None;
        for mut item in std::mem::take(items) {
            match shared
                .queue
                .settle_all(Some(&shared.id), std::slice::from_ref(&item.ending))
                .await
            {
                Ok(outcomes) => {
                    let outcome = outcomes.first().copied().unwrap_or(Outcome::Lost);
                    finish(shared, &item.held, outcome);
                }
                Err(error) => {
                    item.refusals += u32::from(!error.is_outage());
                    last = Some(error);
                    if item.refusals < MOST_REFUSALS {
                        items.push(item);
                    } else {
                        tracing::error!(job = %item.held.job.id, "redis refuses to end this lease, it will run out");
                        shared.leases.forget(&item.held);
                        item.held.finish(Settled::Unknown);
                    }
                }
            }
        }
        last.map_or(Ok(()), |error| again(items, error))
    }
}

/// What is left over goes with the next call, and lingers no more.
fn again(items: &mut [Item], error: QueueError) -> Result<(), QueueError> {
    items.iter_mut().for_each(|item| item.lingers = false);
    Err(error)
}

fn finish(shared: &Shared, held: &SharedLease, outcome: Outcome) {
    let settled = match outcome {
        Outcome::Settled(state) => Settled::Settled(state),
        Outcome::Lost => {
            shared.leases.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(job = %held.job.id, token = held.job.token, "lease was lost before it was settled");
            Settled::Lost
        }
    };
    shared.leases.forget(held);
    held.finish(settled);
}

fn take(shared: &Shared, claim: Claim) -> ClaimAnswer {
    shared.note_birth(claim.born_at);
    let leases = shared.leases.take_on(claim.jobs);
    if !leases.is_empty() {
        shared.membership.wake_up();
    }
    let mut seen = lock(&shared.claiming.seen);
    let paused = claim.paused.is_some();
    if paused && seen.paused.is_none() {
        tracing::info!(
            reason = claim.paused.as_ref().map(|pause| pause.reason.as_str()),
            "the queue is paused"
        );
    }
    seen.paused = claim.paused;
    seen.draining = claim.draining;
    ClaimAnswer {
        leases,
        paused,
        draining: claim.draining,
        next_due: claim.next_due,
    }
}

/// The end of a lease as the protocol takes it.
pub(super) fn ending(shared: &Shared, held: &SharedLease, mut settlement: Settlement) -> Ending {
    match &mut settlement {
        Settlement::Ack { fields } => {
            while let Some(name) = shared.queue.reserved_field(fields).map(str::to_owned) {
                tracing::error!(field = %name, job = %held.job.id, "result field is left out, its name belongs to the protocol");
                fields.retain(|(field, _)| *field != name);
            }
        }
        Settlement::Retry { delay, .. } => {
            let policy = &shared.queue.options().retry;
            delay.get_or_insert_with(|| policy.delay(held.job.attempts, chance()));
        }
        _ => {}
    }
    Ending {
        lease: held.reference(),
        settlement,
    }
}
