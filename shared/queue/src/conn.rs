//! One connection to Redis that survives outages: it reconnects on the next call, follows the primary (Sentinel,
//! Cluster), and says what each error means.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisError, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};

use crate::{
    Options, QueueError, RedisHealth,
    endpoint::Endpoint,
    health::{Answers, Refusals},
    scripts::{Arg, Script},
    server_error::{Meaning, ServerError},
};

/// How often one call follows a redirection or loads a script before it gives up.
const MOST_TRIES: usize = 4;
/// Callers that find the connection broken at the same time share one attempt to repair it.
const SHARED_FAILURE: Duration = Duration::from_millis(20);

pub(crate) struct Link {
    endpoint: Endpoint,
    config: AsyncConnectionConfig,
    connection: tokio::sync::Mutex<ConnState>,
    answers: Answers,
    /// Shared by all connections of one member of the fleet.
    refusals: Arc<Refusals>,
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

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("endpoint", &self.endpoint.to_string())
            .finish_non_exhaustive()
    }
}

impl Link {
    pub fn new(options: &Options, refusals: Arc<Refusals>) -> Result<Self, QueueError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        Ok(Self {
            endpoint: Endpoint::of(options)?,
            config,
            connection: tokio::sync::Mutex::default(),
            answers: Answers::default(),
            refusals,
        })
    }

    pub fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    /// What all connections of one member know together.
    pub fn refusals(&self) -> Arc<Refusals> {
        self.refusals.clone()
    }

    pub fn health(&self) -> RedisHealth {
        self.answers.health(&self.refusals)
    }

    fn heard(&self, error: Option<&ServerError>) {
        self.answers.heard(&self.endpoint, error);
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
            let error = match connection.send_packed_command(cmd).await {
                Ok(Value::ServerError(error)) => RedisError::from(error),
                Ok(value) => {
                    if tries > 1 || !self.answers.up() {
                        self.heard(None);
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            if !self.react(generation, &error).await || tries >= MOST_TRIES {
                return Err(self.classify(operation, error));
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
        match values.iter().find_map(error_of) {
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
            Err(error) => error,
            Ok(values) => {
                let mut errors = values.iter().filter_map(error_of);
                let of_all = errors
                    .find(|error| ServerError::from(error.clone()).meaning() != Meaning::Other);
                let Some(error) = of_all else {
                    self.heard(None);
                    return Ok(values);
                };
                error
            }
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
        match self.endpoint.connect(&self.config, moved_to).await {
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
}

fn error_of(value: &Value) -> Option<RedisError> {
    match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    }
}
