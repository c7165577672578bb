//! bullmq-official, as its README uses it.

use bullmq::{
    BulkJob, Job, Queue, QueueOptions, Worker, WorkerOptions, options::RedisConnectionOptions,
    worker::CancellationToken,
};

use super::QUEUE;
use crate::{Error, child::Spec};

pub async fn enqueue(url: &str, jobs: usize) -> Result<(), Error> {
    let queue = Queue::with_options(
        QUEUE,
        QueueOptions::new().connection(RedisConnectionOptions::new().url(url)),
    )
    .await?;
    for from in (0..jobs).step_by(200) {
        let some = (from..(from + 200).min(jobs))
            .map(|n| BulkJob::new("job", n))
            .collect();
        queue.add_bulk(some).await?;
    }
    Ok(())
}

pub async fn work(spec: &Spec) -> Result<(), Error> {
    let handler = spec.handler;
    let options = WorkerOptions {
        connection: RedisConnectionOptions::new().url(&spec.url),
        concurrency: spec.batch,
        ..WorkerOptions::default()
    };
    let process = move |_job: Job, _token: CancellationToken| async move {
        handler.run().await;
        Ok(serde_json::Value::Null)
    };
    let _worker = Worker::with_options(QUEUE, process, options).await?;
    std::future::pending().await
}
