//! One connection to Redis that survives outages: it reconnects on the next call, follows the primary (Sentinel, Cluster), and
//! says since when Redis answers.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisError, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};

use crate::{QueueError, endpoint::Endpoint, scripts::Script};

/// Whether Redis answers, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// True if the last thing heard from Redis was an answer.
    pub up: bool,
    /// How long it has been so; since the start if nothing was heard yet.
    pub since: Duration,
    /// The last error, also when Redis is up again.
    pub last_error: Option<String>,
}

/// How often one call follows a redirection or loads a script before it gives up.
const MOST_TRIES: usize = 4;
/// Callers that find the connection broken at the same time share one attempt to mend it.
const SHARED_FAILURE: Duration = Duration::from_millis(20);

pub(crate) struct Link {
    endpoint: Endpoint,
    connect_timeout: Duration,
    response_timeout: Duration,
    connection: tokio::sync::Mutex<Slot>,
    health: Mutex<HealthState>,
}

#[derive(Default)]
struct Slot {
    current: Option<(u64, MultiplexedConnection)>,
    generation: u64,
    /// Set by a redirection.
    moved_to: Option<String>,
    failed: Option<(Instant, RedisError)>,
}

struct HealthState {
    up: bool,
    since: Instant,
    last_error: Option<String>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("endpoint", &self.endpoint.to_string())
            .finish_non_exhaustive()
    }
}

impl Link {
    pub fn new(endpoint: Endpoint, connect_timeout: Duration, response_timeout: Duration) -> Self {
        Self {
            endpoint,
            connect_timeout,
            response_timeout,
            connection: tokio::sync::Mutex::default(),
            health: Mutex::new(HealthState {
                up: false,
                since: Instant::now(),
                last_error: None,
            }),
        }
    }

    pub fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    pub fn health(&self) -> Health {
        let state = lock(&self.health);
        Health {
            up: state.up,
            since: state.since.elapsed(),
            last_error: state.last_error.clone(),
        }
    }

    fn heard(&self, error: Option<&RedisError>) {
        let mut state = lock(&self.health);
        let up = error.is_none();
        if state.up != up {
            state.up = up;
            state.since = Instant::now();
            match error {
                Some(error) => {
                    tracing::warn!(endpoint = %self.endpoint, error = %error, "redis does not answer")
                }
                None => tracing::info!(endpoint = %self.endpoint, "redis answers"),
            }
        }
        if let Some(error) = error {
            state.last_error = Some(error.to_string());
        }
    }

    /// Runs a script; loads it if the server does not know it.
    pub async fn run(
        &self,
        script: &Script,
        keys: &[String; 2],
        args: &[Arg<'_>],
    ) -> Result<Value, QueueError> {
        let command = |verb: &str, code: &str| {
            let mut cmd = redis::cmd(verb);
            cmd.arg(code).arg(keys.len()).arg(&keys[..]);
            for arg in args {
                match arg {
                    Arg::Text(text) => cmd.arg(*text),
                    Arg::Number(number) => cmd.arg(*number),
                };
            }
            cmd
        };
        let known = command("EVALSHA", &script.sha);
        match self.send(script.name, &known).await {
            Err(QueueError::Refused { source, .. })
                if source.kind() == ErrorKind::Server(ServerErrorKind::NoScript) =>
            {
                self.send(script.name, &command("EVAL", &script.code)).await
            }
            other => other,
        }
    }

    /// Sends one command; follows redirections.
    pub async fn send(&self, operation: &'static str, cmd: &Cmd) -> Result<Value, QueueError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (generation, mut connection) = self.connected().await?;
            match connection.send_packed_command(cmd).await {
                Ok(Value::ServerError(error)) => {
                    let error = RedisError::from(error);
                    if !self.react(generation, &error).await || tries >= MOST_TRIES {
                        return Err(self.classify(operation, error));
                    }
                }
                Ok(value) => {
                    if tries > 1 || !lock(&self.health).up {
                        self.heard(None);
                    }
                    return Ok(value);
                }
                Err(error) => {
                    if !self.react(generation, &error).await || tries >= MOST_TRIES {
                        return Err(self.classify(operation, error));
                    }
                }
            }
        }
    }

    /// Sends commands in one round trip; the replies in order.
    pub async fn send_all(
        &self,
        operation: &'static str,
        pipeline: &redis::Pipeline,
    ) -> Result<Vec<Value>, QueueError> {
        let (generation, mut connection) = self.connected().await?;
        match pipeline.query_async::<Vec<Value>>(&mut connection).await {
            Ok(values) => {
                self.heard(None);
                Ok(values)
            }
            Err(error) => {
                self.react(generation, &error).await;
                Err(self.classify(operation, error))
            }
        }
    }

    /// Drops a connection that is of no use any more; true if the call is worth repeating at once since it had no effect.
    async fn react(&self, generation: u64, error: &RedisError) -> bool {
        if let Some((address, _)) = error.redirect_node() {
            let mut slot = self.connection.lock().await;
            slot.moved_to = Some(address.to_owned());
            slot.current = None;
            return true;
        }
        if !is_outage(error) {
            return false;
        }
        let mut slot = self.connection.lock().await;
        if slot
            .current
            .as_ref()
            .is_some_and(|(current, _)| *current == generation)
        {
            slot.current = None;
            slot.moved_to = None;
        }
        false
    }

    fn classify(&self, operation: &'static str, error: RedisError) -> QueueError {
        if is_outage(&error) {
            self.heard(Some(&error));
            QueueError::Unavailable {
                endpoint: self.endpoint.to_string(),
                source: error,
            }
        } else {
            QueueError::Refused {
                operation,
                source: error,
            }
        }
    }

    async fn connected(&self) -> Result<(u64, MultiplexedConnection), QueueError> {
        let mut slot = self.connection.lock().await;
        if let Some((generation, connection)) = &slot.current {
            return Ok((*generation, connection.clone()));
        }
        if let Some((when, error)) = &slot.failed
            && when.elapsed() < SHARED_FAILURE
        {
            return Err(QueueError::Unavailable {
                endpoint: self.endpoint.to_string(),
                source: error.clone(),
            });
        }
        let moved_to = slot.moved_to.take();
        match self.connect(moved_to).await {
            Ok(connection) => {
                slot.generation += 1;
                slot.failed = None;
                slot.current = Some((slot.generation, connection.clone()));
                Ok((slot.generation, connection))
            }
            Err(error) => {
                self.heard(Some(&error));
                slot.failed = Some((Instant::now(), error.clone()));
                Err(QueueError::Unavailable {
                    endpoint: self.endpoint.to_string(),
                    source: error,
                })
            }
        }
    }

    async fn connect(&self, moved_to: Option<String>) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout));
        self.endpoint.connect(&config, moved_to).await
    }
}

/// One argument of a script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg<'a> {
    Text(&'a str),
    Number(u64),
}

/// Waiting cures it: nobody there, no answer, a server that is loading, has been deposed, or a slot on its way.
pub(crate) fn is_outage(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::Parse
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly,
        ) => true,
        // scripts wrap what a command said
        _ => {
            let text = error.to_string();
            text.contains("READONLY") || text.contains("MASTERDOWN") || text.contains("NOREPLICAS")
        }
    }
}

/// Locks; a panic elsewhere does not make the data wrong here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) type SharedLink = Arc<Link>;
