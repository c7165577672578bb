//! Why the compute threads did not judge.

/// Why a range was not judged.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The lease was lost meanwhile.
    #[error("cancelled")]
    Cancelled,
    /// The model failed as a whole.
    #[error("{0}")]
    Model(String),
    /// A compute thread ended.
    #[error("{0}")]
    Ended(&'static str),
}
