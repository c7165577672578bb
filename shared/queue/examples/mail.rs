//! Enqueues a mail and works mails off until Ctrl-C.

use std::time::Duration;

use apalis_core::{error::BoxDynError, worker::builder::WorkerBuilder};
use weldfleet_queue::{
    Consumer, Job, Lease, NewJob, Options, Queue, WorkerInfo, apalis::LeasedBackend,
};

async fn send(job: Job, lease: Lease) -> Result<(), BoxDynError> {
    let to = job.get("to").ok_or("the job has no address")?;
    // the token goes into every write: a store that compares tokens refuses a worker that slept through its lease
    println!("mail to {to} under token {}", lease.token());
    Ok(()) // acked; an error or a panic is retried, a dead worker's job is claimed by another
}

#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let mut options = Options::new("redis://127.0.0.1/0", "mail");
    options.ttl = Duration::from_secs(10);
    options.renew_every = Duration::from_secs(3);
    let queue = Queue::new(options)?;
    let mail = NewJob::new("welcome-7").field("to", "ada@example.org");
    queue.enqueue(&[mail]).await?;

    let consumer = Consumer::start(queue, WorkerInfo::new("host-1"))?;
    let worker = WorkerBuilder::new(consumer.id().as_str())
        .backend(LeasedBackend::new(consumer.clone()).concurrency(4))
        .build(send);
    worker.run_until(tokio::signal::ctrl_c()).await?;
    consumer.shutdown(Duration::from_secs(60)).await;
    Ok(())
}
