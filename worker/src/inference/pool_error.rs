//! Why the compute threads did not judge.

use weldfleet_weld::judge::ModelId;

/// A model that judges no weld now, made-up ones neither: no row's fault.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct ModelFailure {
    pub model: ModelId,
    pub reason: String,
}

/// Why a range was not judged.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The lease was lost meanwhile.
    #[error("cancelled")]
    Cancelled,
    /// A model judges nothing.
    #[error(transparent)]
    Model(#[from] ModelFailure),
    /// A compute thread ended.
    #[error("{0}")]
    Ended(&'static str),
}
