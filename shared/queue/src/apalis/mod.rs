//! apalis runs the handlers, the queue keeps the promises.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use apalis_core::{error::BoxDynError, worker::builder::WorkerBuilder};
//! # use weldfleet_queue::{Consumer, Job, Lease, Options, Queue, Settlement, WorkerInfo, apalis::LeasedBackend};
//! # async fn example() -> Result<(), BoxDynError> {
//! let queue = Queue::new(Options::new("redis://127.0.0.1/0", "mail"))?;
//! let consumer = Consumer::start(queue, WorkerInfo::new("host-1"))?;
//! let worker = WorkerBuilder::new(consumer.id().as_str())
//!     .backend(LeasedBackend::new(consumer.clone()).concurrency(3))
//!     .build(|job: Job, lease: Lease| async move {
//!         // … the work, with `lease.token()` in every write …
//!         Ok::<_, BoxDynError>(Settlement::ack())
//!     });
//! worker.run_until(tokio::signal::ctrl_c()).await?;
//! consumer.shutdown(Duration::from_secs(60)).await;
//! # Ok(())
//! # }
//! ```
//!
//! A handler takes [`Job`](crate::Job), may take [`Lease`] and [`Slot`], and returns `()` or [`Settlement`], or an
//! error. `()` acks; an error retries with its text (`AbortError` buries, `RetryAfterError` sets the delay); a panic
//! retries with the panic's text. When the lease is lost, the handler's future is dropped at its next await. Each
//! handler is a task of its own, so handlers share the runtime's cores.
//!
//! What apalis's own machinery is not used for, and why: retries by its `retry` layer happen inside one lease (fine, if
//! meant); acknowledgement by its `AckLayer` would be a second opinion on the job's end; its `Monitor` restarts
//! workers, which never end here.

mod backend;
mod layer;
mod slot;

use apalis_core::{
    error::BoxDynError,
    task::{Task, from_request::FromRequest, into_response::IntoResponse},
};

pub use backend::LeasedBackend;
pub use layer::{IntoSettlement, LeaseLayer, LeaseService};
pub use slot::Slot;

use crate::{Lease, Settlement};

/// The handler was called for a task that did not come from [`LeasedBackend`].
#[derive(Debug, thiserror::Error)]
#[error("the task has no lease: it did not come from a leased backend")]
pub struct NoLease;

impl<Args: Sync> FromRequest<Task<Args>> for Lease {
    type Error = NoLease;

    async fn from_request(task: &Task<Args>) -> Result<Self, Self::Error> {
        task.data().get::<Lease>().cloned().ok_or(NoLease)
    }
}

impl<Args: Sync> FromRequest<Task<Args>> for Slot {
    type Error = NoLease;

    async fn from_request(task: &Task<Args>) -> Result<Self, Self::Error> {
        task.data().get::<Slot>().cloned().ok_or(NoLease)
    }
}

impl IntoResponse for Settlement {
    type Output = Settlement;

    fn into_response(self) -> Result<Settlement, BoxDynError> {
        Ok(self)
    }
}
