//! For those who do jobs: claim, renew, settle, collect.

use std::time::Duration;

use redis::Value;

use super::{
    COLLECT_LIMIT, Claim, Collected, Ending, LeaseRef, Outcome, Pause, Queue, Renewal, Turn,
    millis,
    owner::{invalid, push_fields},
};
use crate::{Fields, QueueError, Settlement, WorkerId, conn::Arg, reply::Reply, scripts};

/// Leases that one script touches.
const CHUNK: usize = 200;
/// Jobs that one claim hands out.
const MOST_CLAIMED: u32 = 64;
/// Leases that one turn ends.
pub(crate) const MOST_ENDED: usize = 64;

/// What a turn answers before the jobs, if a claim was wanted.
const CLAIM_PARTS: usize = 7;

impl Queue {
    /// Makes sure that every later token is larger than `floor` (call it at start with the largest token ever seen elsewhere).
    /// Returns the counter.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn raise_token(&self, floor: u64) -> Result<u64, QueueError> {
        let value = self
            .run(&scripts::RAISE_TOKEN, &[Arg::Number(floor)])
            .await?;
        Reply::of("raise_token").number(&value)
    }

    /// A fencing token without a claim, larger than every one before it: for what an owner writes itself where its workers write too.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn next_token(&self) -> Result<u64, QueueError> {
        let value = self.run(&scripts::NEXT_TOKEN, &[]).await?;
        Reply::of("next_token").number(&value)
    }

    /// Claims up to `max` jobs (at most 64) for `worker`. Whoever calls this by hand should claim, renew or collect at least every
    /// half `ttl`, as a [`Consumer`](crate::Consumer) does: a longer silence reads as an outage, and nothing is collected for a `ttl` after one.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn claim(&self, worker: &WorkerId, max: u32) -> Result<Claim, QueueError> {
        Ok(self.turn(worker, &[], max).await?.claim)
    }

    /// Ends leases and then claims up to `max` jobs (at most 64), in one step and for the price of little more than the claim; at
    /// most 64 endings. Each ending is answered as by [`ack`](Self::ack) and its like, in the order given.
    ///
    /// # Errors
    /// [`QueueError::InvalidJob`] if a result field's name belongs to the protocol or there are too many endings; else see [`QueueError`].
    pub async fn turn(
        &self,
        worker: &WorkerId,
        endings: &[Ending],
        max: u32,
    ) -> Result<Turn, QueueError> {
        let most = Some(max.min(MOST_CLAIMED));
        let value = self.run_turn(worker.as_str(), endings, most).await?;
        let reply = Reply::of("turn");
        let parts = reply.tuple(&value, CLAIM_PARTS)?;
        Ok(Turn {
            outcomes: outcomes(&parts[0], endings.len())?,
            claim: self.read_claim(worker, parts)?,
        })
    }

    fn read_claim(&self, worker: &WorkerId, parts: &[Value]) -> Result<Claim, QueueError> {
        let reply = Reply::of("turn");
        let paused = match &parts[1] {
            Value::Nil => None,
            reason => Some(Pause {
                reason: reply.text(reason)?,
                by: reply.text(&parts[2])?,
                since: reply.number(&parts[3])?,
            }),
        };
        let mut jobs = Vec::new();
        for entry in &parts[CLAIM_PARTS..] {
            // the hash as it was before the claim; what the claim changed comes after it
            let packed = reply.packed(entry)?;
            let Some((hash, [attempts, token, id])) = packed.split_last_chunk() else {
                return Err(reply.wrong("a job", entry));
            };
            let (Ok(attempts), Ok(token)) = (attempts.parse(), token.parse()) else {
                return Err(reply.wrong("attempts and token", entry));
            };
            let pairs = hash
                .chunks_exact(2)
                .map(|pair| (pair[0].clone(), pair[1].clone()));
            let mut job = reply.job_of(id, pairs, &self.options().weight_field)?;
            job.state = crate::State::Leased;
            (job.token, job.attempts) = (token, attempts);
            worker.as_str().clone_into(&mut job.worker);
            jobs.push(job);
        }
        Ok(Claim {
            jobs,
            paused,
            draining: reply.number(&parts[4])? == 1,
            next_due: Some(Duration::from_millis(reply.number(&parts[5])?)),
            born_at: reply.number(&parts[6])?,
        })
    }

    /// `most` is `None` if no claim is wanted.
    async fn run_turn(
        &self,
        worker: &str,
        endings: &[Ending],
        most: Option<u32>,
    ) -> Result<Value, QueueError> {
        if let Some(surplus) = endings.get(MOST_ENDED) {
            return Err(invalid(
                &surplus.lease.id,
                &format!(
                    "{} leases cannot end in one step, at most {MOST_ENDED} can",
                    endings.len()
                ),
            ));
        }
        let options = self.options();
        // one text, as it is rarely needed
        let settings = format!(
            "{COLLECT_LIMIT} {} {} {}",
            options.retain_done,
            millis(options.retain_done_for),
            options.weight_field
        );
        let mut args = vec![
            Arg::Text(worker),
            most.map_or(Arg::Text("-1"), |most| Arg::Number(u64::from(most))),
            Arg::Number(self.inner.ttl_ms),
            Arg::Text(&settings),
            Arg::Number(endings.len() as u64),
        ];
        for ending in endings {
            self.push_ending(&mut args, ending)?;
        }
        self.run(&scripts::TURN, &args).await
    }

    fn push_ending<'a>(
        &self,
        args: &mut Vec<Arg<'a>>,
        ending: &'a Ending,
    ) -> Result<(), QueueError> {
        let (op, failure) = match &ending.settlement {
            Settlement::Ack { fields } => {
                self.validate_result(&ending.lease.id, fields)?;
                ("ack", Err(fields))
            }
            Settlement::Retry { error, delay } => {
                let delay = delay.unwrap_or_else(|| self.options().retry.delay(1, chance()));
                ("retry", Ok((error, delay)))
            }
            Settlement::Bury { error } => ("bury", Ok((error, Duration::ZERO))),
            Settlement::Release { reason } => ("release", Ok((reason, Duration::ZERO))),
            Settlement::Split { reason } => ("split", Ok((reason, Duration::ZERO))),
        };
        args.extend([
            Arg::Text(op),
            Arg::Text(&ending.lease.id),
            Arg::Number(ending.lease.token),
        ]);
        match failure {
            Err(fields) => {
                args.push(Arg::Number(fields.len() as u64 * 2));
                push_fields(args, fields);
            }
            Ok((text, delay)) => args.extend([Arg::Text(text), Arg::Number(millis(delay))]),
        }
        Ok(())
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
        let mut renewals = Renewals {
            registered: true,
            held: 0,
            workers: 0,
            renewals: Vec::with_capacity(leases.len()),
        };
        let mut chunks = leases.chunks(CHUNK);
        // without leases, one call still says that the worker lives
        let mut next = chunks.next().or(Some(&[]));
        while let Some(chunk) = next {
            let mut args = vec![
                Arg::Text(worker.as_str()),
                Arg::Number(self.inner.ttl_ms),
                Arg::Number(millis(self.options().worker_expiry())),
            ];
            for lease in chunk {
                args.push(Arg::Text(&lease.id));
                args.push(Arg::Number(lease.token));
            }
            let value = self.run(&scripts::RENEW, &args).await?;
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

    /// Ends a lease as done. Asking again with the same token answers the same.
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

    /// Ends leases in one step, without a claim. Answers in the order asked. At most 64.
    pub(crate) async fn settle(&self, endings: &[Ending]) -> Result<Vec<Outcome>, QueueError> {
        let value = self.run_turn("", endings, None).await?;
        let parts = Reply::of("turn").tuple(&value, 1)?;
        outcomes(&parts[0], endings.len())
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

    /// Gives back what a worker holds besides `keep`; at most 200.
    pub(crate) async fn release_except(
        &self,
        worker: &WorkerId,
        keep: &[LeaseRef],
    ) -> Result<u64, QueueError> {
        let mut args = vec![Arg::Text(worker.as_str()), Arg::Number(CHUNK as u64)];
        for lease in keep {
            args.push(Arg::Text(&lease.id));
            args.push(Arg::Number(lease.token));
        }
        let value = self.run(&scripts::RELEASE_ALL, &args).await?;
        Reply::of("release_all").number(&value)
    }

    /// Collects expired leases, promotes due delayed jobs, trims finished ones; bounded, call it again if `more`. Consumers do this
    /// as they claim; an owner may call it to keep things moving while no worker is there.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn collect(&self) -> Result<Collected, QueueError> {
        let options = self.options();
        let args = [
            Arg::Number(self.inner.ttl_ms),
            Arg::Number(COLLECT_LIMIT),
            Arg::Text(&options.weight_field),
            Arg::Number(options.retain_done),
            Arg::Number(millis(options.retain_done_for)),
        ];
        let value = self.run(&scripts::COLLECT, &args).await?;
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

fn outcomes(value: &Value, endings: usize) -> Result<Vec<Outcome>, QueueError> {
    let reply = Reply::of("turn");
    let text = reply.text(value)?;
    let outcomes: Result<Vec<_>, _> = text
        .split_whitespace()
        .map(|state| match state {
            "lost" => Ok(Outcome::Lost),
            state => state.parse().map(Outcome::Settled),
        })
        .collect();
    match outcomes {
        Ok(outcomes) if outcomes.len() == endings => Ok(outcomes),
        _ => Err(reply.wrong(&format!("{endings} states"), value)),
    }
}

/// Uniform in 0..1, for jitter only.
pub(crate) fn chance() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
