//! One connection to Redis that survives outages: it reconnects on the next call, follows the primary (Sentinel,
//! Cluster), and says since when Redis works: it answers, and refuses neither writes nor what the protocol asks for.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisError, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};

use crate::{
    QueueError,
    endpoint::Endpoint,
    scripts::Script,
    server_error::{Meaning, ServerError},
};

/// Whether Redis works, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// True if the last thing heard from Redis was an answer, and it refuses neither writes nor an operation of the
    /// protocol.
    pub up: bool,
    /// How long it has been so; since the start if nothing was heard yet.
    pub since: Duration,
    /// The last error, also when Redis is up again.
    pub last_error: Option<String>,
}

/// How often one call follows a redirection or loads a script before it gives up.
const MOST_TRIES: usize = 4;
/// Callers that find the connection broken at the same time share one attempt to repair it.
const SHARED_FAILURE: Duration = Duration::from_millis(20);

pub(crate) struct Link {
    endpoint: Endpoint,
    connect_timeout: Duration,
    response_timeout: Duration,
    connection: tokio::sync::Mutex<ConnState>,
    health: Mutex<HealthState>,
    /// Shared by all connections of one member of the fleet.
    refusals: Arc<Refusals>,
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
    fn writes(&self, endpoint: &Endpoint, said: &ServerError) {
        let mut refused = lock(&self.0);
        if refused.writes.replace(said.to_string()).is_none() {
            refused.since.get_or_insert_with(Instant::now);
            tracing::warn!(endpoint = %endpoint, error = %said, "redis refuses writes, so nothing is claimed or settled");
        }
    }

    fn operation(&self, name: &'static str, error: &QueueError) {
        let text = crate::error::chain(error);
        let mut refused = lock(&self.0);
        if refused.operations.get(name) != Some(&text) {
            tracing::warn!(operation = name, error = text, "refused, trying again");
            refused.since.get_or_insert_with(Instant::now);
            refused.operations.insert(name, text);
        }
    }

    fn worked(&self, endpoint: &Endpoint, script: &Script) {
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

/// The connection in use, and what came of the last attempt to make one.
#[derive(Default)]
struct ConnState {
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
    pub fn new(
        endpoint: Endpoint,
        connect_timeout: Duration,
        response_timeout: Duration,
        refusals: Arc<Refusals>,
    ) -> Self {
        Self {
            endpoint,
            refusals,
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

    /// What all connections of one member know together.
    pub fn refusals(&self) -> Arc<Refusals> {
        self.refusals.clone()
    }

    pub fn health(&self) -> Health {
        let refused = self.refusals.now();
        let state = lock(&self.health);
        match refused {
            Some((error, since)) if state.up => Health {
                up: false,
                since: since.elapsed(),
                last_error: Some(error),
            },
            _ => Health {
                up: state.up,
                since: state.since.elapsed(),
                last_error: state.last_error.clone(),
            },
        }
    }

    fn heard(&self, error: Option<&ServerError>) {
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
        let answer = match self.send(script.name, &known).await {
            Err(QueueError::Refused { source, .. })
                if source.error().kind() == ErrorKind::Server(ServerErrorKind::NoScript) =>
            {
                self.send(script.name, &command("EVAL", &script.code)).await
            }
            other => other,
        };
        if answer.is_ok() {
            self.refusals.worked(&self.endpoint, script);
        }
        answer
    }

    /// Notes that an operation of the protocol was refused for a reason of its own.
    pub fn refused(&self, operation: &'static str, error: &QueueError) {
        if let QueueError::Refused { .. } | QueueError::Foreign { .. } | QueueError::Denied { .. } =
            error
        {
            self.refusals.operation(operation, error);
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

    /// Sends commands in one round trip; the replies in order. The first error among them is the error of all.
    pub async fn send_all(
        &self,
        operation: &'static str,
        pipeline: &redis::Pipeline,
    ) -> Result<Vec<Value>, QueueError> {
        let values = self.send_each(operation, pipeline).await?;
        let error = values.iter().find_map(|value| match value {
            Value::ServerError(error) => Some(RedisError::from(error.clone())),
            _ => None,
        });
        match error {
            Some(error) => Err(self.classify(operation, error)),
            None => Ok(values),
        }
    }

    /// Sends commands in one round trip; the replies in order, of which each may be [`Value::ServerError`].
    pub async fn send_each(
        &self,
        operation: &'static str,
        pipeline: &redis::Pipeline,
    ) -> Result<Vec<Value>, QueueError> {
        let (generation, mut connection) = self.connected().await?;
        let sent = connection
            .send_packed_commands(pipeline, 0, pipeline.len())
            .await;
        let error = match sent {
            Ok(values) => {
                let of_all = values.iter().find_map(|value| match value {
                    Value::ServerError(error) => {
                        let error = RedisError::from(error.clone());
                        (ServerError::from(error.clone()).meaning() != Meaning::Other)
                            .then_some(error)
                    }
                    _ => None,
                });
                match of_all {
                    Some(error) => error,
                    None => {
                        self.heard(None);
                        return Ok(values);
                    }
                }
            }
            Err(error) => error,
        };
        self.react(generation, &error).await;
        Err(self.classify(operation, error))
    }

    /// Drops a connection that is of no use any more; true if the call is worth repeating at once since it had no
    /// effect.
    async fn react(&self, generation: u64, error: &RedisError) -> bool {
        if let Some((address, _)) = error.redirect_node() {
            let mut state = self.connection.lock().await;
            state.moved_to = Some(address.to_owned());
            state.current = None;
            return true;
        }
        let said = ServerError::from(error.clone());
        // a primary that became a replica, and who is not let in, may be another, or know us, next time
        let connect_anew = said.meaning() == Meaning::Outage
            || matches!(&*said.code(), "READONLY" | "NOAUTH" | "WRONGPASS");
        if !connect_anew {
            return false;
        }
        let mut state = self.connection.lock().await;
        if state
            .current
            .as_ref()
            .is_some_and(|(current, _)| *current == generation)
        {
            state.current = None;
            state.moved_to = None;
        }
        false
    }

    fn classify(&self, operation: &'static str, error: RedisError) -> QueueError {
        let source = ServerError::from(error);
        // A server may let the handshake pass and say only then that it wants another certificate.
        let advice = match self.endpoint.is_encrypted() {
            true => self.endpoint.advice(&source.to_string()),
            false => None,
        };
        let source = source.advised(advice);
        let endpoint = self.endpoint.to_string();
        match source.meaning() {
            Meaning::Outage => {
                self.heard(Some(&source));
                QueueError::Unavailable { endpoint, source }
            }
            Meaning::RefusesWrites => {
                self.heard(None);
                self.refusals.writes(&self.endpoint, &source);
                QueueError::RefusesWrites { endpoint, source }
            }
            Meaning::Denied => {
                if source.code() != "NOPERM" {
                    self.heard(Some(&source));
                }
                QueueError::Denied { endpoint, source }
            }
            Meaning::Foreign => QueueError::Foreign {
                queue: String::new(),
                owner: source.detail(),
            },
            Meaning::Other => QueueError::Refused {
                operation,
                culprit: None,
                source,
            },
        }
    }

    async fn connected(&self) -> Result<(u64, MultiplexedConnection), QueueError> {
        let mut state = self.connection.lock().await;
        if let Some((generation, connection)) = &state.current {
            return Ok((*generation, connection.clone()));
        }
        if let Some((when, error)) = &state.failed
            && when.elapsed() < SHARED_FAILURE
        {
            return Err(self.unconnected(error.clone()));
        }
        let moved_to = state.moved_to.take();
        match self.connect(moved_to).await {
            Ok(connection) => {
                state.generation += 1;
                state.failed = None;
                state.current = Some((state.generation, connection.clone()));
                Ok((state.generation, connection))
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(self.unconnected(error))
            }
        }
    }

    /// Whatever keeps us from connecting is an outage, unless it is who we are.
    fn unconnected(&self, error: RedisError) -> QueueError {
        let source = ServerError::from(error);
        let advice = self.endpoint.advice(&source.to_string());
        let source = source.advised(advice);
        self.heard(Some(&source));
        let endpoint = self.endpoint.to_string();
        match source.meaning() {
            Meaning::Denied => QueueError::Denied { endpoint, source },
            _ => QueueError::Unavailable { endpoint, source },
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

/// Locks; a panic elsewhere does not make the data wrong here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) type SharedLink = Arc<Link>;
