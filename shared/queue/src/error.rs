//! What can go wrong, from the caller's point of view.

use crate::server_error::ServerError;

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
        source: ServerError,
    },
    /// Redis answers, but takes no writes (its memory is full, its disk, it is a replica, or has too few). As good as
    /// away: nothing of the queue works without writes, and nothing of it is changed meanwhile.
    #[error("redis at {endpoint} answers but refuses writes")]
    RefusesWrites {
        /// Host and port, without credentials.
        endpoint: String,
        /// What Redis said.
        #[source]
        source: ServerError,
    },
    /// Redis does not accept the user or the password, or does not allow this user what the queue does; a person must
    /// repair it.
    #[error("redis at {endpoint} does not let this user in, or do this")]
    Denied {
        /// Host and port, without credentials.
        endpoint: String,
        /// What Redis said.
        #[source]
        source: ServerError,
    },
    /// The queue belongs to another [`Owner`](crate::Owner).
    #[error("the queue {queue:?} belongs to {owner}")]
    Foreign {
        /// Name of the queue.
        queue: String,
        /// The owner's name.
        owner: String,
    },
    /// Redis answered with an error that waiting does not cure (a wrong type under one of our keys).
    #[error("redis refused {operation}{}", culprit.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// The operation of the protocol.
        operation: &'static str,
        /// The key to blame and what to do about it, where it could be told.
        culprit: Option<String>,
        /// What Redis said.
        #[source]
        source: ServerError,
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
        /// The job; empty if none of them is to blame.
        id: String,
        /// What is wrong with it, and what it should be.
        problem: String,
    },
    /// The consumer has been shut down.
    #[error("the consumer is shut down")]
    ShutDown,
}

impl QueueError {
    /// True when Redis is of no use for now: stop claiming, keep what is held, wait (an outage is not a failure of any
    /// job).
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::RefusesWrites { .. } | Self::Denied { .. }
        )
    }

    /// True when waiting alone cures nothing, although it is an outage for those who hold jobs: who starts says so and
    /// ends.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
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
