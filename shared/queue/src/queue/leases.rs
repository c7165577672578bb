//! For those who do jobs: renew, end a lease, collect; `turn.rs` claims.

use std::{collections::HashSet, time::Duration};

use super::{Collected, Ending, LeaseRef, Outcome, Queue, Renewal, Settlement};
use crate::{
    Fields, QueueError, WorkerId,
    conn::Arg,
    reply::Reply,
    scripts::Operation,
    timing::{chance, millis},
};

/// Leases that one script renews.
const MOST_RENEWED: usize = 200;
/// Leases that one script gives back.
const MOST_RELEASED: usize = 50;

impl Queue {
    /// Makes sure that every later token is larger than `floor` (call it at start with the largest token ever seen
    /// elsewhere). Returns the counter.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn raise_token(&self, floor: u64) -> Result<u64, QueueError> {
        let value = self
            .run(Operation::RaiseToken, &[Arg::Number(floor)])
            .await?;
        Reply::of("raise_token").number(&value)
    }

    /// A fencing token without a claim, larger than every one before it: for what an owner writes itself where its
    /// workers write too.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn next_token(&self) -> Result<u64, QueueError> {
        let value = self.run(Operation::NextToken, &[]).await?;
        Reply::of("next_token").number(&value)
    }

    /// Extends leases by one `ttl` from now, also those that ran out but were not collected yet. Answers in the order
    /// asked.
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
            let [registered, held, workers, renewed] = reply.entries(&value)?;
            renewals.registered = reply.number(registered)? == 1;
            renewals.held = reply.number(held)?;
            renewals.workers = reply.number(workers)?;
            let renewed = reply.list(renewed)?;
            if renewed.len() != chunk.len() {
                return Err(reply.wrong("a renewal for each lease", &value));
            }
            for renewed in renewed {
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
        let outcomes = self.settle(None, &[ending]).await?;
        outcomes.first().copied().ok_or_else(|| QueueError::Reply {
            operation: "settle",
            detail: "an empty answer".to_owned(),
        })
    }

    /// Gives back everything a worker holds (only do this for a worker that has ended); returns how many. No attempt is
    /// spent. The script is `give_back.lua`.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn give_back_all(&self, worker: &WorkerId) -> Result<u64, QueueError> {
        self.give_back_except(worker, &[]).await
    }

    /// Gives back what a worker holds besides `keep`.
    pub(crate) async fn give_back_except(
        &self,
        worker: &WorkerId,
        keep: &[LeaseRef],
    ) -> Result<u64, QueueError> {
        let keep: HashSet<&LeaseRef> = keep.iter().collect();
        let mut held = self.leases_of(worker).await?;
        held.retain(|lease| !keep.contains(lease));
        let mut released = 0;
        for some in held.chunks(MOST_RELEASED) {
            let mut args = vec![Arg::Text(worker.as_str())];
            for lease in some {
                args.extend([Arg::Text(&lease.id), Arg::Number(lease.token)]);
            }
            let value = self.run(Operation::GiveBack, &args).await?;
            released += Reply::of("give_back").number(&value)?;
        }
        Ok(released)
    }

    /// What Redis thinks a worker holds.
    async fn leases_of(&self, worker: &WorkerId) -> Result<Vec<LeaseRef>, QueueError> {
        let reply = Reply::of("leases");
        let key = self.keys().worker_leases(worker.as_str());
        let pairs = self.scan("leases", "HSCAN", &key).await?;
        let leases = pairs.chunks_exact(2).map(|pair| {
            Ok(LeaseRef {
                id: reply.text(&pair[0])?,
                token: reply.number(&pair[1])?,
            })
        });
        leases.collect()
    }

    /// Collects expired leases, promotes due delayed jobs, trims finished ones; bounded, call it again if `more`.
    /// Consumers do this as they claim; an owner may call it to keep things moving while no worker is there.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn collect(&self) -> Result<Collected, QueueError> {
        let value = self.run(Operation::Collect, &[]).await?;
        let reply = Reply::of("collect");
        let [pending, dead, splitting, promoted, trimmed, held, more] = reply.entries(&value)?;
        Ok(Collected {
            expired: reply.number(pending)?,
            dead: reply.number(dead)?,
            splitting: reply.number(splitting)?,
            promoted: reply.number(promoted)?,
            trimmed: reply.number(trimmed)?,
            held: reply.number(held)? == 1,
            more: reply.number(more)? == 1,
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
