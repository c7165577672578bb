//! What can go wrong, from the caller's point of view.

/// Errors of the queue. A lost lease is not an error but an [`Outcome`](crate::Outcome).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// Redis cannot be reached, or does not answer; waiting helps. No attempt of any job was spent.
    #[error("redis at {endpoint} is not available")]
    Unavailable {
        /// Host and port, without credentials.
        endpoint: String,
        /// What the connection said.
        #[source]
        source: redis::RedisError,
    },
    /// Redis answered with an error that waiting does not cure (a full memory, a missing right, a wrong type under one of our keys).
    #[error("redis refused {operation}")]
    Refused {
        /// The operation of the protocol.
        operation: &'static str,
        /// What Redis said.
        #[source]
        source: redis::RedisError,
    },
    /// A reply did not look as the protocol says.
    #[error("unexpected reply to {operation}: {detail}")]
    Reply {
        /// The operation of the protocol.
        operation: &'static str,
        /// What was expected and what came.
        detail: String,
    },
    /// An option has an impossible value.
    #[error("queue option {0}")]
    Options(String),
    /// A job to be enqueued is not acceptable.
    #[error("job {id}: {problem}")]
    InvalidJob {
        /// Its id.
        id: String,
        /// What is wrong with it, and what it should be.
        problem: String,
    },
    /// The consumer has been shut down.
    #[error("the consumer is shut down")]
    ShutDown,
}

impl QueueError {
    /// True when Redis is away: stop claiming, keep what is held, wait (an outage is not a failure of any job).
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// An error with its causes, for logs.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
