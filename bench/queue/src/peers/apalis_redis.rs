//! apalis-redis, as its README uses it.

use apalis_core::{backend::TaskSink, error::BoxDynError, worker::builder::WorkerBuilder};
use apalis_redis::{Config, RedisStorage};

use super::QUEUE;
use crate::{Error, child::Spec};

async fn storage(url: &str, batch: usize) -> Result<RedisStorage<u64>, Error> {
    let connection = apalis_redis::connect(url).await?;
    Ok(RedisStorage::new(connection).with_config(Config::default().queue(QUEUE).batch_size(batch)))
}

pub async fn enqueue(url: &str, jobs: usize) -> Result<(), Error> {
    let mut storage = storage(url, 10).await?;
    for from in (0..jobs).step_by(200) {
        let some = (from..(from + 200).min(jobs)).map(|n| n as u64).collect();
        storage.push_bulk(some).await?;
    }
    Ok(())
}

pub async fn work(spec: &Spec) -> Result<(), Error> {
    let handler = spec.handler;
    // a name of its own for each process, as several hosts would have
    let worker = WorkerBuilder::new(format!("bench-{}", std::process::id()))
        .backend(storage(&spec.url, spec.batch).await?)
        .build(move |_job: u64| async move {
            handler.run().await;
            Ok::<_, BoxDynError>(())
        });
    worker.run().await?;
    Ok(())
}
