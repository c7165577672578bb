//! Around every handler and all of the user's layers: runs the handler as a task of its own and ends its lease.

use std::{
    any::Any,
    task::{Context, Poll},
};

use apalis_core::{
    error::{AbortError, BoxDynError, RetryAfterError},
    task::Task,
};
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tower_layer::Layer;
use tower_service::Service;

use super::{NoLease, Slot};
use crate::{Job, Lease, Settled, Settlement};

/// What a handler may return.
pub trait IntoSettlement {
    /// How the lease ends.
    fn into_settlement(self) -> Settlement;
}

impl IntoSettlement for () {
    fn into_settlement(self) -> Settlement {
        Settlement::ack()
    }
}

impl IntoSettlement for Settlement {
    fn into_settlement(self) -> Settlement {
        self
    }
}

/// Makes a [`LeaseService`]; [`LeasedBackend`](super::LeasedBackend) puts it around the user's layers by itself.
#[derive(Debug, Clone)]
pub struct LeaseLayer;

impl<S> Layer<S> for LeaseLayer {
    type Service = LeaseService<S>;

    fn layer(&self, service: S) -> Self::Service {
        LeaseService { service }
    }
}

/// Runs the inner service as a task and ends the lease by what comes out of it.
#[derive(Debug, Clone)]
pub struct LeaseService<S> {
    service: S,
}

impl<S> Service<Task<Job>> for LeaseService<S>
where
    S: Service<Task<Job>>,
    S::Future: Send + 'static,
    S::Response: IntoSettlement + Send + 'static,
    S::Error: Into<BoxDynError> + Send + 'static,
{
    type Response = Settled;
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<Settled, BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Job>) -> Self::Future {
        let (lease, slot) = (
            task.data().get::<Lease>().cloned(),
            task.data().get::<Slot>().cloned(),
        );
        let Some(lease) = lease else {
            return Box::pin(async { Err(NoLease.into()) });
        };
        let handler = self.service.call(task);
        Box::pin(async move {
            let mut running = AbortOnDrop(tokio::spawn(handler));
            let ended = tokio::select! {
                ended = &mut running.0 => ended,
                () = lease.lost() => return Ok(Settled::Lost),
            };
            let (settlement, error) = match ended {
                Ok(Ok(response)) => (response.into_settlement(), None),
                Ok(Err(error)) => {
                    let error = error.into();
                    (settlement_of(&error), Some(error))
                }
                Err(panicked) if panicked.is_panic() => {
                    let text = format!(
                        "handler panicked: {}",
                        panic_text(panicked.into_panic().as_ref())
                    );
                    (Settlement::retry(&text), Some(text.into()))
                }
                Err(_) => (
                    Settlement::retry("handler was cancelled"),
                    Some("handler was cancelled".into()),
                ),
            };
            // The handler is done: its place is free, and the claim that fills it carries this ending to Redis.
            lease.hand_in(settlement);
            if let Some(slot) = slot {
                slot.free();
            }
            let settled = lease.settled().await;
            error.map_or(Ok(settled), Err)
        })
    }
}

/// A handler does not outlive its worker.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn settlement_of(error: &BoxDynError) -> Settlement {
    let text = crate::error::chain(error.as_ref());
    if let Some(later) = error.downcast_ref::<RetryAfterError>() {
        return Settlement::Retry {
            error: text,
            delay: Some(later.get_duration()),
        };
    }
    // apalis's catch-panic layer makes an abort of a panic; for us a panic is a failed attempt like others
    if error.is::<AbortError>() && !text.to_ascii_lowercase().contains("panic") {
        return Settlement::bury(text);
    }
    Settlement::retry(text)
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}
