//! Endings and claims: what `turn.lua` and `settle.lua` are told, and how their answers read.

use std::time::Duration;

use super::{
    Claim, Ending, LeaseRef, Outcome, Pause, Queue, Settlement, Turn,
    jobs::{invalid, push_fields},
};
use crate::{
    Job, QueueError, State, WorkerId,
    reply::Reply,
    scripts::{Arg, Operation},
    timing::{chance, millis},
};

/// Jobs that one claim hands out.
const MOST_CLAIMED: u32 = 32;
/// Leases that one step ends.
pub(crate) const MOST_ENDED: usize = 32;
/// Bytes that are kept of why a lease ended otherwise than done.
const MOST_REASON: usize = 4096;

impl Queue {
    /// Claims up to `max` jobs (at most 32) for `worker`. Whoever calls this by hand should claim, renew or collect at
    /// least every half `ttl`, as a [`Consumer`](crate::Consumer) does: a longer silence reads as an outage, and
    /// nothing is collected for a `ttl` after one.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn claim(&self, worker: &WorkerId, max: u32) -> Result<Claim, QueueError> {
        Ok(self.turn(worker, &[], max).await?.claim)
    }

    /// Ends leases and then claims up to `max` jobs (at most 32), in one step; at most 32 endings. Each ending is
    /// answered as by [`settle`](Self::settle), in the order given.
    ///
    /// # Errors
    /// [`QueueError::InvalidJob`] if a result field's name belongs to the protocol or there are too many endings; else
    /// see [`QueueError`].
    pub async fn turn(
        &self,
        worker: &WorkerId,
        endings: &[Ending],
        max: u32,
    ) -> Result<Turn, QueueError> {
        let most = max.min(MOST_CLAIMED);
        let mut args = vec![Arg::Text(worker.as_str()), Arg::Number(u64::from(most))];
        self.push_endings(&mut args, endings)?;
        let (reply, value) = self.run(Operation::Turn, &args).await?;
        let told: TurnReply = reply.json(&value)?;
        let mut turn = Turn {
            outcomes: outcomes(&told.outcomes, endings.len())
                .ok_or_else(|| reply.wrong("an outcome for each ending", &value))?,
            claim: self.read_claim(worker, told),
        };
        self.bury_unreadable(worker, &mut turn.claim).await;
        Ok(turn)
    }

    /// Ends leases in one step, without a claim. Answers in the order asked. At most 32. `worker` is whose they are, if
    /// that is known.
    pub(crate) async fn settle_all(
        &self,
        worker: Option<&WorkerId>,
        endings: &[Ending],
    ) -> Result<Vec<Outcome>, QueueError> {
        let mut args = vec![Arg::Text(worker.map_or("", WorkerId::as_str))];
        self.push_endings(&mut args, endings)?;
        let (reply, value) = self.run(Operation::Settle, &args).await?;
        outcomes(&reply.texts(&value)?, endings.len())
            .ok_or_else(|| reply.wrong("an outcome for each ending", &value))
    }

    fn push_endings<'a>(
        &self,
        args: &mut Vec<Arg<'a>>,
        endings: &'a [Ending],
    ) -> Result<(), QueueError> {
        if let Some(surplus) = endings.get(MOST_ENDED) {
            let problem = format!(
                "{} leases cannot end in one step, at most {MOST_ENDED} can",
                endings.len()
            );
            return Err(invalid(&surplus.lease.id, &problem));
        }
        for Ending { lease, settlement } in endings {
            let (id, token) = (Arg::Text(&lease.id), Arg::Number(lease.token));
            let (verb, reason, delay) = match settlement {
                Settlement::Ack { fields } => {
                    self.validate_result(&lease.id, fields)?;
                    let texts = Arg::Number(fields.len() as u64 * 2);
                    args.extend([Arg::Text("ack"), id, token, texts]);
                    push_fields(args, fields);
                    continue;
                }
                Settlement::Retry { error, delay } => {
                    let delay = delay.unwrap_or_else(|| self.options().retry.delay(1, chance()));
                    ("retry", error, delay)
                }
                Settlement::Bury { error } => ("bury", error, Duration::ZERO),
                Settlement::Release { reason } => ("release", reason, Duration::ZERO),
                Settlement::Split { reason } => ("split", reason, Duration::ZERO),
            };
            let reason = &reason[..reason.floor_char_boundary(MOST_REASON)];
            let (reason, delay) = (Arg::Text(reason), Arg::Number(millis(delay)));
            args.extend([Arg::Text(verb), id, token, reason, delay]);
        }
        Ok(())
    }

    fn read_claim(&self, worker: &WorkerId, reply: TurnReply) -> Claim {
        let until_due = number(&reply.due).saturating_sub(number(&reply.now));
        let jobs = reply.jobs.into_iter();
        Claim {
            jobs: jobs.map(|job| self.read_claimed(worker, job)).collect(),
            paused: reply.paused.map(|pause| Pause {
                since: number(&pause.since),
                reason: pause.reason,
                by: pause.by,
            }),
            draining: reply.draining,
            next_due: Duration::from_millis(until_due),
            born_at: number(&reply.born),
        }
    }

    fn read_claimed(&self, worker: &WorkerId, claimed: ClaimedReply) -> Job {
        let mut texts = claimed.fields.into_iter();
        let pairs = std::iter::from_fn(|| Some((texts.next()?, texts.next()?))).collect();
        let weight_field = &self.options().weight_field;
        let mut job = Reply::of("turn").job_of(&claimed.id, pairs, weight_field);
        // the fields are those before the claim
        job.state = State::Leased;
        job.token = number(&claimed.token);
        job.attempts = u32::try_from(number(&claimed.attempts)).unwrap_or(u32::MAX);
        worker.as_str().clone_into(&mut job.worker);
        job
    }

    /// Jobs whose record cannot be read are not handed out: they wait in `dead` for a person, with the reason.
    async fn bury_unreadable(&self, worker: &WorkerId, claim: &mut Claim) {
        let (whole, unreadable): (Vec<_>, Vec<_>) = std::mem::take(&mut claim.jobs)
            .into_iter()
            .partition(|job| job.unreadable.is_empty());
        claim.jobs = whole;
        if unreadable.is_empty() {
            return;
        }
        let endings: Vec<Ending> = unreadable
            .iter()
            .map(|job| Ending {
                lease: LeaseRef {
                    id: job.id.clone(),
                    token: job.token,
                },
                settlement: Settlement::bury(job.unreadable.join(", ")),
            })
            .collect();
        // there may be more to claim behind them
        claim.next_due = Duration::ZERO;
        let buried = self.settle_all(Some(worker), &endings).await;
        for job in unreadable {
            let (job, reason) = (job.id, job.unreadable.join(", "));
            match &buried {
                Ok(_) => {
                    tracing::error!(job, reason, "a job that cannot be read waits in `dead`");
                }
                // its lease is given back or runs out, and whoever claims it next tries again
                Err(error) => {
                    tracing::warn!(job, reason, %error, "a job that cannot be read could not be buried");
                }
            }
        }
    }
}

/// See `turn.lua`; numbers are text, since Lua would round them.
#[derive(serde::Deserialize)]
struct TurnReply {
    #[serde(default)]
    outcomes: Vec<String>,
    now: String,
    due: String,
    born: String,
    #[serde(default)]
    draining: bool,
    paused: Option<PauseReply>,
    #[serde(default)]
    jobs: Vec<ClaimedReply>,
}

#[derive(serde::Deserialize)]
struct PauseReply {
    reason: String,
    by: String,
    since: String,
}

#[derive(serde::Deserialize)]
struct ClaimedReply {
    id: String,
    token: String,
    attempts: String,
    fields: Vec<String>,
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

fn outcomes(states: &[String], wanted: usize) -> Option<Vec<Outcome>> {
    let outcomes = states.iter().map(|state| outcome(state));
    let outcomes: Vec<_> = outcomes.collect::<Option<_>>()?;
    (outcomes.len() == wanted).then_some(outcomes)
}

fn outcome(state: &str) -> Option<Outcome> {
    match state {
        "lost" => Some(Outcome::Lost),
        state => state.parse().map(Outcome::Settled).ok(),
    }
}
