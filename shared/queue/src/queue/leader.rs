//! One of several schedulers leads, under a fencing token of the queue's own counter.

use std::time::Duration;

use super::{LeaderInfo, LeaderToken, Queue};
use crate::{QueueError, conn::Arg, reply::Reply, scripts::Operation, timing::millis};

impl Queue {
    /// Takes or keeps leadership for `ttl`. The same `id` keeps its token; a new leader gets a larger one. `None` if
    /// somebody else leads.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn try_lead(
        &self,
        id: &str,
        ttl: Duration,
    ) -> Result<Option<LeaderToken>, QueueError> {
        let owner = self.owner_text();
        let args = [
            Arg::Text(id),
            Arg::Number(millis(ttl).max(1)),
            Arg::Text(&owner),
        ];
        let value = self.run(Operation::Lead, &args).await?;
        let token = Reply::of("lead").number(&value)?;
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
        let token = token.parse().map_err(|_| QueueError::Reply {
            operation: "leader",
            detail: format!("token {token:?}"),
        })?;
        Ok(Some(LeaderInfo {
            id: id.to_owned(),
            token: LeaderToken(token),
            remaining,
        }))
    }
}
