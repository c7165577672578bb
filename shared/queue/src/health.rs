//! Since when Redis works: it answers, and refuses neither writes nor what the protocol asks for.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{QueueError, endpoint::Endpoint, lock, scripts::Script, server_error::ServerError};

/// Whether Redis works, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisHealth {
    /// True if the last thing heard from Redis was an answer, and it refuses neither writes nor an operation of the
    /// protocol.
    pub up: bool,
    /// How long it has been so; since the start if nothing was heard yet.
    pub since: Duration,
    /// The last error, also when Redis is up again.
    pub last_error: Option<String>,
}

/// What Redis refuses although it answers; each is told once when it begins and once when it ends.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Refused>);

#[derive(Default)]
struct Refused {
    /// A write was refused, and none has gone through since.
    writes: Option<String>,
    /// Operations that were refused for another reason the last time.
    operations: BTreeMap<&'static str, String>,
    since: Option<Instant>,
}

impl Refusals {
    pub fn writes(&self, endpoint: &Endpoint, said: &ServerError) {
        let mut refused = lock(&self.0);
        if refused.writes.replace(said.to_string()).is_none() {
            refused.since.get_or_insert_with(Instant::now);
            tracing::warn!(endpoint = %endpoint, error = %said, "redis refuses writes, so nothing is claimed or settled");
        }
    }

    pub fn operation(&self, name: &'static str, error: &QueueError) {
        let text = crate::error::chain(error);
        let mut refused = lock(&self.0);
        if refused.operations.get(name) != Some(&text) {
            tracing::warn!(operation = name, error = text, "refused, trying again");
            refused.since.get_or_insert_with(Instant::now);
            refused.operations.insert(name, text);
        }
    }

    pub fn worked(&self, endpoint: &Endpoint, script: &Script) {
        let mut refused = lock(&self.0);
        if refused.since.is_none() {
            return;
        }
        if script.proves_writes && refused.writes.take().is_some() {
            tracing::info!(endpoint = %endpoint, "redis takes writes again");
        }
        if refused.operations.remove(script.name).is_some() {
            tracing::info!(operation = script.name, "works again");
        }
        if refused.writes.is_none() && refused.operations.is_empty() {
            refused.since = None;
        }
    }

    /// What is refused now, and since when something is.
    fn now(&self) -> Option<(String, Instant)> {
        let refused = lock(&self.0);
        let text = refused.writes.as_ref();
        let text = text.or_else(|| refused.operations.values().next());
        Some((text?.clone(), refused.since?))
    }
}

/// Whether one connection is answered, and since when.
pub(crate) struct Answers(Mutex<Answered>);

struct Answered {
    up: bool,
    since: Instant,
    last_error: Option<String>,
}

impl Default for Answers {
    fn default() -> Self {
        Self(Mutex::new(Answered {
            up: false,
            since: Instant::now(),
            last_error: None,
        }))
    }
}

impl Answers {
    pub fn up(&self) -> bool {
        lock(&self.0).up
    }

    pub fn health(&self, refusals: &Refusals) -> RedisHealth {
        let refused = refusals.now();
        let state = lock(&self.0);
        match refused {
            Some((error, since)) if state.up => RedisHealth {
                up: false,
                since: since.elapsed(),
                last_error: Some(error),
            },
            _ => RedisHealth {
                up: state.up,
                since: state.since.elapsed(),
                last_error: state.last_error.clone(),
            },
        }
    }

    /// Notes an answer, or why there is none.
    pub fn heard(&self, endpoint: &Endpoint, error: Option<&ServerError>) {
        let mut state = lock(&self.0);
        let up = error.is_none();
        if state.up != up {
            state.up = up;
            state.since = Instant::now();
            match error {
                Some(error) => {
                    tracing::warn!(endpoint = %endpoint, error = %error, "redis does not answer")
                }
                None => tracing::info!(endpoint = %endpoint, "redis answers"),
            }
        }
        if let Some(error) = error {
            state.last_error = Some(error.to_string());
        }
    }
}
