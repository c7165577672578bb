//! `weldfleet-queue`, alone and under apalis.

use std::time::Duration;

use apalis_core::{error::BoxDynError, worker::builder::WorkerBuilder};
use weldfleet_queue::{
    Consumer, Job, NewJob, Options, Queue, Settlement, State, WorkerInfo, apalis::LeasedBackend,
};

use super::QUEUE;
use crate::{Error, child::Spec};

fn queue(url: &str, lease_ms: Option<u64>) -> Result<Queue, Error> {
    let mut options = Options::new(url, QUEUE);
    if let Some(ms) = lease_ms {
        options.ttl = Duration::from_millis(ms);
        options.renew_every = options.ttl / 4;
    }
    Ok(Queue::new(options)?)
}

fn key(state: State) -> String {
    weldfleet_queue::Keys::new(&Options::new("", QUEUE)).state(state)
}

pub fn outstanding() -> Vec<String> {
    vec![key(State::Pending), key(State::Leased)]
}

pub fn dead() -> String {
    key(State::Dead)
}

pub async fn enqueue(url: &str, jobs: usize) -> Result<(), Error> {
    let jobs: Vec<NewJob> = (0..jobs)
        .map(|n| NewJob::new(format!("{n:08}")).field("payload", "1"))
        .collect();
    queue(url, None)?.enqueue(&jobs).await?;
    Ok(())
}

pub async fn work(spec: &Spec) -> Result<(), Error> {
    let consumer = Consumer::start(queue(&spec.url, spec.lease_ms)?, WorkerInfo::new("bench"))?;
    let (batch, handler) = (u32::try_from(spec.batch)?, spec.handler);
    loop {
        let handled = consumer
            .next(batch)
            .await?
            .into_iter()
            .map(|lease| async move {
                handler.run().await;
                // travels with the next claim, as an apalis worker's does
                lease.hand_in(Settlement::ack());
            });
        futures::future::join_all(handled).await;
    }
}

pub async fn work_in_apalis(spec: &Spec) -> Result<(), Error> {
    let consumer = Consumer::start(queue(&spec.url, spec.lease_ms)?, WorkerInfo::new("bench"))?;
    let handler = spec.handler;
    let worker = WorkerBuilder::new(consumer.id().as_str())
        .backend(LeasedBackend::new(consumer.clone()).concurrency(spec.batch))
        .build(move |_job: Job| async move {
            handler.run().await;
            Ok::<_, BoxDynError>(Settlement::ack())
        });
    worker.run().await?;
    Ok(())
}
