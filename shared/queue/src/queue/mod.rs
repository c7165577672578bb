//! One method per operation of the protocol: `jobs.rs` for those who make jobs, `turn.rs` and `leases.rs` for those
//! who do them, `workers.rs` for who they are, `operator.rs` for people, `repair.rs` for what somebody changed by hand,
//! `leader.rs` for several schedulers of which one leads, `one_at_a_time.rs` for two people at the same thing,
//! `ownership.rs` for whose the queue is, `diagnosis.rs` for which key is to blame.

mod diagnosis;
mod jobs;
mod leader;
mod leases;
mod one_at_a_time;
mod operator;
mod ownership;
mod repair;
mod turn;
mod types;
mod workers;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::Value;

pub use repair::{Repair, Repairs};
pub(crate) use turn::MOST_ENDED;
pub use types::*;
pub use workers::beat_of;
pub(crate) use workers::{BEAT_FIELD, rarer};

use crate::{
    Keys, Options, QueueError, RedisHealth, ServerCheck, State,
    conn::Link,
    health::Refusals,
    reply::Reply,
    scripts::{Arg, Operation},
    timing::millis,
};

/// A handle on one queue. Cheap to clone; clones share the connection. Nothing is connected until the first call, and a
/// call made while Redis is away fails with [`QueueError::Unavailable`] after the options' timeouts; the next call
/// tries again.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub options: Options,
    pub keys: Keys,
    pub link: Link,
    /// The keys that every script call names.
    named_keys: [String; 2],
}

impl Queue {
    /// A handle on the queue that `options` describe; does not connect yet.
    ///
    /// # Errors
    /// [`QueueError::Options`].
    pub fn new(options: Options) -> Result<Self, QueueError> {
        options.validate()?;
        Self::with_refusals(options, Arc::default())
    }

    fn with_refusals(options: Options, refusals: Arc<Refusals>) -> Result<Self, QueueError> {
        let link = Link::new(&options, refusals)?;
        let keys = Keys::new(&options);
        // The first routes the call. The second is named and never there: while a Cluster moves the slot, some keys are
        // on either side and a script that meets one of the other side breaks in the middle; with a missing key among
        // those named, Redis refuses it at the start.
        let named_keys = [keys.state(State::Pending), keys.named("never")];
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                keys,
                link,
                named_keys,
            }),
        })
    }

    /// The same queue over a connection of its own.
    ///
    /// # Errors
    /// [`QueueError::Options`].
    pub fn with_own_connection(&self) -> Result<Self, QueueError> {
        Self::with_refusals(self.inner.options.clone(), self.inner.link.refusals())
    }

    /// As [`with_own_connection`](Self::with_own_connection), with another limit on how long a reply may take.
    pub(crate) fn with_response_timeout(&self, timeout: Duration) -> Result<Self, QueueError> {
        let mut options = self.inner.options.clone();
        options.response_timeout = timeout;
        Self::with_refusals(options, self.inner.link.refusals())
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Names of its keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// Whether Redis works: it answers, and what was last asked of this handle and of those made from it was not
    /// refused.
    #[must_use]
    pub fn health(&self) -> RedisHealth {
        self.inner.link.health()
    }

    /// One round trip.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`] while Redis is away.
    pub async fn ping(&self) -> Result<Duration, QueueError> {
        let start = Instant::now();
        self.inner.link.send("ping", &redis::cmd("PING")).await?;
        Ok(start.elapsed())
    }

    /// Any command on the queue's own connection, through Sentinel, Cluster and reconnects; for keys that an owner
    /// keeps beside the queue's. They must share its hash tag ([`Keys::named`]).
    ///
    /// # Errors
    /// [`QueueError::Unavailable`] while Redis is away.
    pub async fn command(&self, command: &redis::Cmd) -> Result<redis::Value, QueueError> {
        self.inner.link.send("command", command).await
    }

    /// Whether Redis works, tried now: a write goes through (`probe.lua`). Nothing is left behind.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`], [`QueueError::RefusesWrites`] or [`QueueError::Denied`].
    pub async fn works(&self) -> Result<(), QueueError> {
        self.run(Operation::Probe, &[]).await.map(drop)
    }

    /// Looks at the server's settings for what they put at risk.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn check(&self) -> Result<ServerCheck, QueueError> {
        crate::check::check(&self.inner.link).await
    }

    /// Warns in the log of what the server's settings put at risk; for the start of whoever works with the queue. Says
    /// nothing if Redis is away.
    pub async fn warn_of_settings(&self) {
        match self.check().await {
            Ok(check) => {
                for warning in check.warnings {
                    tracing::warn!(redis = %check.endpoint, setting = warning.code, "{}", warning.text);
                }
            }
            Err(error) => {
                tracing::debug!(error = %crate::error::chain(&error), "the settings of redis were not looked at");
            }
        }
    }

    /// Runs a script. Answers with what it replied, and with what reads that.
    async fn run(
        &self,
        operation: Operation,
        args: &[Arg<'_>],
    ) -> Result<(Reply, Value), QueueError> {
        let options = self.options();
        // see `scripts/includes/prelude.lua`
        let mut all = vec![
            Arg::Number(millis(options.ttl)),
            Arg::Number(options.retain_done),
            Arg::Number(millis(options.retain_done_for)),
            Arg::Text(&options.weight_field),
        ];
        all.extend_from_slice(args);
        let keys = &self.inner.named_keys;
        match self.inner.link.run(operation.script(), keys, &all).await {
            Err(error) => {
                let error = self.explained(error).await;
                self.inner.link.refused(operation.name(), &error);
                Err(error)
            }
            Ok(value) => Ok((Reply::of(operation.name()), value)),
        }
    }

    /// For scripts that answer a number.
    async fn run_number(&self, operation: Operation, args: &[Arg<'_>]) -> Result<u64, QueueError> {
        let (reply, value) = self.run(operation, args).await?;
        reply.number(&value)
    }

    /// For scripts that answer 0 or 1.
    async fn run_flag(&self, operation: Operation, args: &[Arg<'_>]) -> Result<bool, QueueError> {
        Ok(self.run_number(operation, args).await? > 0)
    }

    /// All that `HSCAN`, `SSCAN` or `ZSCAN` says of a key.
    async fn scan(
        &self,
        operation: &'static str,
        verb: &str,
        key: &str,
    ) -> Result<Vec<String>, QueueError> {
        let from = |cursor: &str| {
            let mut command = redis::cmd(verb);
            command.arg(key).arg(cursor).arg("COUNT").arg(500);
            command
        };
        self.pages(operation, from).await
    }

    /// All that a command lists page by page, from a cursor on.
    async fn pages(
        &self,
        operation: &'static str,
        from: impl Fn(&str) -> redis::Cmd,
    ) -> Result<Vec<String>, QueueError> {
        let reply = Reply::of(operation);
        let (mut found, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let page = self.inner.link.send(operation, &from(&cursor)).await?;
            let [next_cursor, some] = reply.entries(&page)?;
            found.extend(reply.texts(some)?);
            cursor = reply.text(next_cursor)?;
            if cursor == "0" {
                return Ok(found);
            }
        }
    }
}
