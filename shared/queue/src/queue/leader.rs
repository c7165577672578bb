//! One of several schedulers leads, under a fencing token of the queue's own counter.

use std::time::Duration;

use super::{Candidate, LeaderInfo, LeaderToken, Queue};
use crate::{
    QueueError,
    reply::Reply,
    scripts::{Arg, Operation},
    timing::millis,
};

/// How long a candidate that asks no more stays listed: long enough for whoever watches it to notice.
const LISTED: Duration = Duration::from_secs(600);

impl Queue {
    /// Takes or keeps leadership for `ttl`. The same `id` keeps its token; a new leader gets a larger one. `None` if
    /// somebody else leads. Whether it leads or not, who gives an `address` is one of the
    /// [`candidates`](Self::candidates), reached there, and says of itself what `says` has.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn try_lead(
        &self,
        id: &str,
        address: &str,
        says: &[String],
        ttl: Duration,
    ) -> Result<Option<LeaderToken>, QueueError> {
        let mut told = address.to_owned();
        for line in says {
            told.push('\n');
            told.push_str(&line.replace('\n', " "));
        }
        let owner = self.owner_text();
        let args = [
            Arg::Text(id),
            Arg::Number(millis(ttl).max(1)),
            Arg::Text(&owner),
            Arg::Text(&told),
            Arg::Number(millis(LISTED)),
        ];
        let token = self.run_number(Operation::Lead, &args).await?;
        Ok((token > 0).then_some(LeaderToken(token)))
    }

    /// Gives leadership up; false if it was not held any more.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn resign(&self, token: LeaderToken) -> Result<bool, QueueError> {
        self.run_flag(Operation::Resign, &[Arg::Number(token.0)])
            .await
    }

    /// Everybody who asks for leadership and said where they are reached, also for a while after they fell silent.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn candidates(&self) -> Result<Vec<Candidate>, QueueError> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys().named("candidates"));
        let value = self.inner.link.send("candidates", &command).await?;
        let listed = Reply::of("candidates").pairs(&value)?;
        let mut candidates: Vec<Candidate> = listed
            .into_iter()
            .filter_map(|(id, text)| {
                let (asked, told) = text.split_once(' ')?;
                let mut told = told.split('\n').map(str::to_owned);
                Some(Candidate {
                    id,
                    address: told.next()?,
                    asked_ms: asked.parse().ok()?,
                    says: told.collect(),
                })
            })
            .collect();
        candidates.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(candidates)
    }

    /// No candidate any more, at the end of whoever was one.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn withdraw(&self, id: &str) -> Result<(), QueueError> {
        let mut command = redis::cmd("HDEL");
        command.arg(self.keys().named("candidates")).arg(id);
        self.inner.link.send("withdraw", &command).await.map(drop)
    }

    /// Who leads.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn leader(&self) -> Result<Option<LeaderInfo>, QueueError> {
        let key = self.keys().named("leader");
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg(&key).cmd("PTTL").arg(&key);
        let values = self.inner.link.send_all("leader", &pipeline).await?;
        let reply = Reply::of("leader");
        let text = reply.text(values.first().unwrap_or(&redis::Value::Nil))?;
        let Some((token, id)) = text.split_once(' ') else {
            return Ok(None);
        };
        let remaining = match values.get(1) {
            Some(redis::Value::Int(ms)) => Duration::from_millis(u64::try_from(*ms).unwrap_or(0)),
            _ => Duration::ZERO,
        };
        Ok(Some(LeaderInfo {
            id: id.to_owned(),
            token: LeaderToken(reply.token(token)?),
            remaining,
        }))
    }
}
