//! A place for one handler.

use std::sync::{Arc, Mutex};

use tokio::sync::OwnedSemaphorePermit;

use crate::lock;

/// A handler's place among [`LeasedBackend::concurrency`](super::LeasedBackend::concurrency); free again when the task
/// is gone, or earlier.
#[derive(Clone)]
pub struct Slot {
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self {
            permit: Arc::new(Mutex::new(Some(permit))),
        }
    }

    /// Lets the next job be claimed while this handler goes on. What it still does must be cheap to hold, and bounded
    /// by the handler itself: the lease stays held, and renewed, until it is settled.
    pub fn free(&self) {
        lock(&self.permit).take();
    }
}
