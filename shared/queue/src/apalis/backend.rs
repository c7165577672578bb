//! The backend: as many leases as there are free handlers, never more.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll, ready},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral, queue::Queue as QueueName},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{LeaseLayer, Slot};
use crate::{Consumer, Job, Lease};

/// The apalis backend over a [`Consumer`]. Its errors are [`Infallible`]: an outage is waited out inside.
pub struct LeasedBackend {
    consumer: Consumer,
    slots: Arc<Semaphore>,
    size: usize,
    claimed: VecDeque<(Lease, OwnedSemaphorePermit)>,
    claiming: Option<BoxFuture<'static, Option<Placed>>>,
    ended: bool,
}

type Placed = Vec<(Lease, OwnedSemaphorePermit)>;

impl LeasedBackend {
    /// A backend for one apalis worker, one job at a time.
    #[must_use]
    pub fn new(consumer: Consumer) -> Self {
        Self {
            consumer,
            slots: Arc::new(Semaphore::new(1)),
            size: 1,
            claimed: VecDeque::new(),
            claiming: None,
            ended: false,
        }
    }

    /// How many jobs may be in the hands of handlers at once; no more are ever claimed. A concurrency layer of tower
    /// below this number would make claimed jobs wait under a lease: leave it out.
    #[must_use]
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.size = jobs.max(1);
        self.slots = Arc::new(Semaphore::new(self.size));
        self
    }

    fn task(&self, lease: Lease, permit: OwnedSemaphorePermit) -> Task<Job> {
        let job = lease.job().clone();
        TaskBuilder::new(job.clone())
            .task_id(TaskId::from_string(job.id.clone()))
            .attempt(job.attempts.saturating_sub(1) as usize)
            .max_attempts(job.max_attempts as usize)
            .queue(QueueName::from(
                self.consumer.queue().options().queue.as_str(),
            ))
            .lock_by(Some(job.worker))
            .data(lease)
            .data(Slot::new(permit))
            .build()
    }
}

impl std::fmt::Debug for LeasedBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeasedBackend")
            .field("consumer", &self.consumer)
            .field("concurrency", &self.size)
            .finish_non_exhaustive()
    }
}

/// Waits for a free place, then for jobs to fill all the places that are free by then.
async fn claim(consumer: Consumer, slots: Arc<Semaphore>) -> Option<Placed> {
    let mut permits = vec![slots.clone().acquire_owned().await.ok()?];
    while let Ok(permit) = slots.clone().try_acquire_owned() {
        permits.push(permit);
    }
    // places that come free while we wait for work are used by the next claim
    let leases = consumer
        .next(u32::try_from(permits.len()).unwrap_or(u32::MAX))
        .await
        .ok()?;
    Some(leases.into_iter().zip(permits).collect())
}

impl Backend for LeasedBackend {
    type Task = Task<Job>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _cx: &mut Context<'_>,
        _worker: &WorkerContext,
    ) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Self::Error>>> {
        loop {
            if let Some((lease, permit)) = self.claimed.pop_front() {
                return Poll::Ready(Some(Ok(self.task(lease, permit))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let (consumer, slots) = (&self.consumer, &self.slots);
            let claiming = self
                .claiming
                .get_or_insert_with(|| Box::pin(claim(consumer.clone(), slots.clone())));
            let claimed = ready!(claiming.as_mut().poll(cx));
            self.claiming = None;
            match claimed {
                Some(claimed) => self.claimed.extend(claimed),
                None => self.ended = true,
            }
        }
    }

    fn poll_close(
        &mut self,
        _cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Result<(), Self::Error>> {
        // the leases that no handler has begun go back by being dropped
        self.consumer.stop_claiming();
        self.claiming = None;
        for (lease, _) in self.claimed.drain(..) {
            lease.unstart();
        }
        // the consumer was stopped, not apalis: tell it, or its worker waits for ever
        if !worker.is_shutting_down() {
            let _ = worker.stop();
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LeasedBackend {
    type Args = Job;
    type Id = String;
    // apalis's word for "tasks need no decoding"; they are as durable as Redis is
    type Kind = Ephemeral;
    type Config = crate::Options;
    type Layer = LeaseLayer;

    fn config(&self) -> &Self::Config {
        self.consumer.queue().options()
    }

    fn middleware(&mut self, _worker: &mut WorkerContext) -> Self::Layer {
        LeaseLayer
    }
}
