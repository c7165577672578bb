//! For those who do jobs: claim, renew, settle, collect.

use std::time::Duration;

use super::{Claim, Collected, Ending, LeaseRef, Outcome, Queue, Renewal, Turn, millis};
use crate::{
    Fields, QueueError, Settlement, WorkerId, conn::Arg, reply::Reply, scripts::Operation,
};

/// Leases that one script renews.
const MOST_RENEWED: usize = 200;
/// Leases that one script gives back.
const MOST_RELEASED: u64 = 50;
/// Jobs that one claim hands out.
const MOST_CLAIMED: u32 = 32;

impl Queue {
    /// Makes sure that every later token is larger than `floor` (call it at start with the largest token ever seen elsewhere).
    /// Returns the counter.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn raise_token(&self, floor: u64) -> Result<u64, QueueError> {
        let value = self
            .run(Operation::RaiseToken, &[Arg::Number(floor)])
            .await?;
        Reply::of("raise_token").number(&value)
    }

    /// A fencing token without a claim, larger than every one before it: for what an owner writes itself where its workers write too.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn next_token(&self) -> Result<u64, QueueError> {
        let value = self.run(Operation::NextToken, &[]).await?;
        Reply::of("next_token").number(&value)
    }

    /// Claims up to `max` jobs (at most 32) for `worker`. Whoever calls this by hand should claim, renew or collect at least every
    /// half `ttl`, as a [`Consumer`](crate::Consumer) does: a longer silence reads as an outage, and nothing is collected for a `ttl` after one.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn claim(&self, worker: &WorkerId, max: u32) -> Result<Claim, QueueError> {
        Ok(self.turn(worker, &[], max).await?.claim)
    }

    /// Ends leases and then claims up to `max` jobs (at most 32), in one step and for the price of little more than the claim; at
    /// most 32 endings. Each ending is answered as by [`ack`](Self::ack) and its like, in the order given.
    ///
    /// # Errors
    /// [`QueueError::InvalidJob`] if a result field's name belongs to the protocol or there are too many endings; else see [`QueueError`].
    pub async fn turn(
        &self,
        worker: &WorkerId,
        endings: &[Ending],
        max: u32,
    ) -> Result<Turn, QueueError> {
        let most = max.min(MOST_CLAIMED);
        let value = self.run_turn(worker.as_str(), endings, Some(most)).await?;
        let (mut turn, unread) = self.read_turn(worker, endings.len(), &value)?;
        turn.claim.jobs.extend(self.read_claimed(&unread).await?);
        self.bury_unreadable(&mut turn.claim).await;
        Ok(turn)
    }

    /// Extends leases by one `ttl` from now, also those that ran out but were not collected yet. Answers in the order asked.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn renew(
        &self,
        worker: &WorkerId,
        leases: &[LeaseRef],
    ) -> Result<Vec<Renewal>, QueueError> {
        Ok(self.renew_and_count(worker, leases).await?.renewals)
    }

    pub(crate) async fn renew_and_count(
        &self,
        worker: &WorkerId,
        leases: &[LeaseRef],
    ) -> Result<Renewals, QueueError> {
        let reply = Reply::of("renew");
        let owner = self.owner_text();
        let mut renewals = Renewals {
            registered: true,
            held: 0,
            workers: 0,
            renewals: Vec::with_capacity(leases.len()),
        };
        let mut chunks = leases.chunks(MOST_RENEWED);
        // without leases, one call still says that the worker lives
        let mut next = chunks.next().or(Some(&[]));
        while let Some(chunk) = next {
            let mut args = vec![
                Arg::Text(worker.as_str()),
                Arg::Number(millis(self.options().worker_expiry())),
                Arg::Text(&owner),
            ];
            for lease in chunk {
                args.push(Arg::Text(&lease.id));
                args.push(Arg::Number(lease.token));
            }
            let value = self.run(Operation::Renew, &args).await?;
            let parts = reply.tuple(&value, 4)?;
            renewals.registered = reply.number(&parts[0])? == 1;
            renewals.held = reply.number(&parts[1])?;
            renewals.workers = reply.number(&parts[2])?;
            for renewed in reply.tuple(&parts[3], chunk.len())? {
                renewals.renewals.push(if reply.number(renewed)? == 1 {
                    Renewal::Renewed
                } else {
                    Renewal::Lost
                });
            }
            next = chunks.next();
        }
        Ok(renewals)
    }

    /// Ends a lease as done. Asking again with the same token changes nothing and answers with the job's state then.
    ///
    /// # Errors
    /// [`QueueError::InvalidJob`] if a result field's name belongs to the protocol; else see [`QueueError`].
    pub async fn ack(&self, lease: &LeaseRef, fields: &Fields) -> Result<Outcome, QueueError> {
        let fields = fields.clone();
        self.settle_one(lease, Settlement::Ack { fields }).await
    }

    /// Ends a lease as failed: delayed (by the policy if `delay` is `None`), or dead if attempts are used up.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn retry(
        &self,
        lease: &LeaseRef,
        error: &str,
        delay: Option<Duration>,
    ) -> Result<Outcome, QueueError> {
        let delay = match delay {
            Some(delay) => delay,
            None => {
                let attempts = self.get(&lease.id).await?.map_or(1, |job| job.attempts);
                self.options().retry.delay(attempts, chance())
            }
        };
        let settlement = Settlement::Retry {
            error: error.to_owned(),
            delay: Some(delay),
        };
        self.settle_one(lease, settlement).await
    }

    /// Ends a lease as failed for good.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn bury(&self, lease: &LeaseRef, error: &str) -> Result<Outcome, QueueError> {
        self.settle_one(lease, Settlement::bury(error)).await
    }

    /// Gives a lease back; no attempt is spent.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn release(&self, lease: &LeaseRef, reason: &str) -> Result<Outcome, QueueError> {
        self.settle_one(lease, Settlement::release(reason)).await
    }

    /// Ends a lease by handing the job to its owner for splitting.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn hand_to_split(
        &self,
        lease: &LeaseRef,
        reason: &str,
    ) -> Result<Outcome, QueueError> {
        self.settle_one(lease, Settlement::split(reason)).await
    }

    async fn settle_one(
        &self,
        lease: &LeaseRef,
        settlement: Settlement,
    ) -> Result<Outcome, QueueError> {
        let ending = Ending {
            lease: lease.clone(),
            settlement,
        };
        let outcomes = self.settle(&[ending]).await?;
        outcomes.first().copied().ok_or_else(|| QueueError::Reply {
            operation: "settle",
            detail: "an empty answer".to_owned(),
        })
    }

    /// Ends leases in one step, without a claim. Answers in the order asked. At most 32.
    pub(crate) async fn settle(&self, endings: &[Ending]) -> Result<Vec<Outcome>, QueueError> {
        let value = self.run_turn("", endings, None).await?;
        let nobody = WorkerId::from_text("");
        Ok(self.read_turn(&nobody, endings.len(), &value)?.0.outcomes)
    }

    /// Gives back everything a worker holds (only do this for a worker that has ended); returns how many. No attempt is spent.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn release_all(&self, worker: &WorkerId) -> Result<u64, QueueError> {
        let mut released = 0;
        loop {
            let some = self.release_except(worker, &[]).await?;
            released += some;
            if some == 0 {
                return Ok(released);
            }
        }
    }

    /// Gives back what a worker holds besides `keep`; at most 50.
    pub(crate) async fn release_except(
        &self,
        worker: &WorkerId,
        keep: &[LeaseRef],
    ) -> Result<u64, QueueError> {
        let mut args = vec![Arg::Text(worker.as_str()), Arg::Number(MOST_RELEASED)];
        for lease in keep {
            args.push(Arg::Text(&lease.id));
            args.push(Arg::Number(lease.token));
        }
        let value = self.run(Operation::ReleaseAll, &args).await?;
        Reply::of("release_all").number(&value)
    }

    /// Collects expired leases, promotes due delayed jobs, trims finished ones; bounded, call it again if `more`. Consumers do this
    /// as they claim; an owner may call it to keep things moving while no worker is there.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn collect(&self) -> Result<Collected, QueueError> {
        let value = self.run(Operation::Collect, &[]).await?;
        let reply = Reply::of("collect");
        let parts = reply.tuple(&value, 7)?;
        Ok(Collected {
            expired: reply.number(&parts[0])?,
            dead: reply.number(&parts[1])?,
            splitting: reply.number(&parts[2])?,
            promoted: reply.number(&parts[3])?,
            trimmed: reply.number(&parts[4])?,
            held: reply.number(&parts[5])? == 1,
            more: reply.number(&parts[6])? == 1,
        })
    }
}

/// Answer to a renewal of everything a worker holds.
#[derive(Debug)]
pub(crate) struct Renewals {
    /// False if Redis does not list the worker (any more).
    pub registered: bool,
    /// Leases that Redis holds for it.
    pub held: u64,
    /// Registered workers.
    pub workers: u64,
    pub renewals: Vec<Renewal>,
}

/// Uniform in 0..1, for jitter only.
pub(crate) fn chance() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
