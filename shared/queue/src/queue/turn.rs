//! What `turn.lua` is asked, and how its answer reads.

use std::time::Duration;

use redis::Value;

use super::{
    Claim, Ending, LeaseRef, Outcome, Pause, Queue, Turn, millis,
    owner::{invalid, push_fields},
    protocol::chance,
};
use crate::{
    Job, QueueError, Settlement, State, WorkerId, conn::Arg, reply::Reply, scripts::Operation,
};

/// Leases that one turn ends.
pub(crate) const MOST_ENDED: usize = 32;
/// Bytes that are kept of why a lease ended otherwise than done.
const MOST_REASON: usize = 4096;

impl Queue {
    /// `most` is `None` if no claim is wanted.
    pub(super) async fn run_turn(
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
        let mut args = vec![
            Arg::Text(worker),
            most.map_or(Arg::Text("-1"), |most| Arg::Number(u64::from(most))),
        ];
        for ending in endings {
            self.push_ending(&mut args, ending)?;
        }
        self.run(Operation::Turn, &args).await
    }

    fn push_ending<'a>(
        &self,
        args: &mut Vec<Arg<'a>>,
        ending: &'a Ending,
    ) -> Result<(), QueueError> {
        let (id, token) = (Arg::Text(&ending.lease.id), Arg::Number(ending.lease.token));
        let (op, reason, delay) = match &ending.settlement {
            Settlement::Ack { fields } if fields.is_empty() => {
                args.extend([Arg::Text("ack"), id, token]);
                return Ok(());
            }
            Settlement::Ack { fields } => {
                self.validate_result(&ending.lease.id, fields)?;
                let texts = Arg::Number(fields.len() as u64 * 2);
                args.extend([Arg::Text("ack_with"), id, token, texts]);
                push_fields(args, fields);
                return Ok(());
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
        args.extend([Arg::Text(op), id, token, reason, delay]);
        Ok(())
    }

    /// Takes the answer to a turn of `worker` apart; see `turn.lua`. Also returns the leases whose jobs it did not hand over.
    pub(super) fn read_turn(
        &self,
        worker: &WorkerId,
        endings: usize,
        value: &Value,
    ) -> Result<(Turn, Vec<LeaseRef>), QueueError> {
        let reply = Reply::of("turn");
        let text = reply.joined(value)?;
        let mut records = Reply::records(&text);
        let head: Vec<_> = Reply::units(records.next().unwrap_or_default()).collect();
        let [states, now, due, born, notice @ ..] = &head[..] else {
            return Err(reply.wrong("states, times and a notice", value));
        };
        let number = |text: &str| {
            let number = text.parse::<u64>();
            number.map_err(|_| reply.wrong("a time", value))
        };
        let outcomes: Vec<_> = states
            .split_terminator(' ')
            .map(outcome)
            .collect::<Option<_>>()
            .filter(|outcomes: &Vec<_>| outcomes.len() == endings)
            .ok_or_else(|| reply.wrong(&format!("{endings} states"), value))?;
        let paused = match notice {
            ["paused", by, since, reason @ ..] => Some(Pause {
                reason: reason.join(" "),
                by: (*by).to_owned(),
                since: number(since)?,
            }),
            _ => None,
        };
        let (mut jobs, mut unread) = (Vec::new(), Vec::new());
        for record in records {
            let mut units = Reply::units(record).peekable();
            let (Some(id), Some(token)) = (units.next(), units.next()) else {
                return Err(reply.wrong("a job", value));
            };
            let token = number(token)?;
            if units.peek().is_none() {
                let id = id.to_owned();
                unread.push(LeaseRef { id, token });
                continue;
            }
            let mut job = reply.job_of(id, units, &self.options().weight_field)?;
            (job.state, job.token) = (State::Leased, token);
            worker.as_str().clone_into(&mut job.worker);
            jobs.push(job);
        }
        let turn = Turn {
            outcomes,
            claim: Claim {
                jobs,
                paused,
                draining: notice.first() == Some(&"draining"),
                next_due: Some(Duration::from_millis(
                    number(due)?.saturating_sub(number(now)?),
                )),
                born_at: number(born)?,
            },
        };
        Ok((turn, unread))
    }

    /// Jobs whose record cannot be read are not handed out: they wait in `dead` for a person, with the reason.
    pub(super) async fn bury_unreadable(&self, claim: &mut Claim) {
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
        claim.next_due = Some(Duration::ZERO);
        let buried = self.settle(&endings).await;
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

    /// Jobs that were claimed, but not handed over. One that is not ours any more is left out.
    pub(super) async fn read_claimed(&self, leases: &[LeaseRef]) -> Result<Vec<Job>, QueueError> {
        let ids: Vec<_> = leases.iter().map(|lease| lease.id.clone()).collect();
        let mut jobs = self.jobs(&ids).await?;
        jobs.retain(|job| {
            let lease = leases.iter().find(|lease| lease.id == job.id);
            job.state == State::Leased && lease.is_some_and(|lease| lease.token == job.token)
        });
        Ok(jobs)
    }
}

fn outcome(state: &str) -> Option<Outcome> {
    match state {
        "lost" => Some(Outcome::Lost),
        state => state.parse().map(Outcome::Settled).ok(),
    }
}
