//! For those who do jobs: renew, end a lease, collect; `turn.rs` claims.

use std::collections::HashSet;

use super::{Collected, Ending, LeaseRef, Outcome, Queue, Renewal, Renewals, Settlement};
use crate::{
    QueueError, WorkerId,
    reply::Reply,
    scripts::{Arg, Operation},
    timing::millis,
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
        self.run_number(Operation::RaiseToken, &[Arg::Number(floor)])
            .await
    }

    /// A fencing token without a claim, larger than every one before it: for what an owner writes itself where its
    /// workers write too.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn next_token(&self) -> Result<u64, QueueError> {
        self.run_number(Operation::NextToken, &[]).await
    }

    /// Extends leases by one `ttl` from now, also those that ran out but were not collected yet, and says that the
    /// worker lives.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn renew(
        &self,
        worker: &WorkerId,
        leases: &[LeaseRef],
    ) -> Result<Renewals, QueueError> {
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
            let (reply, value) = self.run(Operation::Renew, &args).await?;
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

    /// Ends a lease. Asking again with the same token changes nothing and answers with the job's state then. A retry
    /// without a delay waits as the policy says for a first attempt.
    ///
    /// # Errors
    /// [`QueueError::InvalidJob`] if a result field's name belongs to the protocol; else see [`QueueError`].
    pub async fn settle(
        &self,
        lease: &LeaseRef,
        settlement: Settlement,
    ) -> Result<Outcome, QueueError> {
        let ending = Ending {
            lease: lease.clone(),
            settlement,
        };
        let outcomes = self.settle_all(None, &[ending]).await?;
        outcomes.first().copied().ok_or_else(|| QueueError::Reply {
            operation: "settle",
            detail: "an empty answer".to_owned(),
        })
    }

    /// Gives back what a worker holds besides `keep`, which it must not be working on; returns how many. No attempt is
    /// spent.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn give_back(&self, worker: &WorkerId, keep: &[LeaseRef]) -> Result<u64, QueueError> {
        let keep: HashSet<&LeaseRef> = keep.iter().collect();
        let mut held = self.leases_of(worker).await?;
        held.retain(|lease| !keep.contains(lease));
        let mut released = 0;
        for some in held.chunks(MOST_RELEASED) {
            let mut args = vec![Arg::Text(worker.as_str())];
            for lease in some {
                args.extend([Arg::Text(&lease.id), Arg::Number(lease.token)]);
            }
            released += self.run_number(Operation::GiveBack, &args).await?;
        }
        Ok(released)
    }

    /// What Redis thinks a worker holds.
    async fn leases_of(&self, worker: &WorkerId) -> Result<Vec<LeaseRef>, QueueError> {
        let reply = Reply::of("leases");
        let key = self.keys().worker_leases(worker.as_str());
        let pairs = self.scan("leases", "HSCAN", &key).await?;
        let leases = pairs.as_chunks().0.iter().map(|[id, token]| {
            Ok(LeaseRef {
                id: id.clone(),
                token: reply.token(token)?,
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
        let (reply, value) = self.run(Operation::Collect, &[]).await?;
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
