//! A member of a fleet for fault tests: `member URL STORE_URL QUEUE NAME TTL_MS MAX_JOBS`.
//!
//! Works for `QUEUE` on the Redis at `URL`. Its store is a second Redis: there it writes down every claim (list
//! `claims`), commits every effect under its token (`commit.lua` refuses stale ones) and writes down every accepted ack
//! (list `acks`). A job works for as many milliseconds as its field `ms` says; one with the field `abort` ends the
//! process.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use weldfleet_queue::{Consumer, Lease, Options, Queue, Settled, Settlement, State, WorkerInfo};

type Error = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut args = std::env::args().skip(1);
    let mut arg = |name: &str| {
        args.next().ok_or_else(|| {
            format!(
                "missing argument {name}; usage: member URL STORE_URL QUEUE NAME TTL_MS MAX_JOBS"
            )
        })
    };
    let (url, store_url, queue, name) =
        (arg("URL")?, arg("STORE_URL")?, arg("QUEUE")?, arg("NAME")?);
    let ttl = Duration::from_millis(arg("TTL_MS")?.parse()?);
    let max_jobs: u32 = arg("MAX_JOBS")?.parse()?;

    let mut options = Options::new(&url, &queue);
    options.ttl = ttl;
    options.renew_every = ttl / 4;
    options.retry.base = Duration::from_millis(50);
    let consumer = Consumer::start(Queue::new(options)?, WorkerInfo::new(&name))?;
    let mut member = Member {
        // a zombie may wake up in the middle of a call
        store: redis::Client::open(store_url)?
            .get_connection_manager_with_config(
                ConnectionManagerConfig::new().set_response_timeout(None),
            )
            .await?,
        commit: redis::Script::new(include_str!("../tests/faults/commit.lua")),
        name,
    };
    loop {
        let leases = consumer.next(max_jobs).await?;
        for lease in &leases {
            member.note("claims", lease).await?;
        }
        for lease in leases {
            member.work(&lease).await?;
        }
    }
}

struct Member {
    store: ConnectionManager,
    commit: redis::Script,
    name: String,
}

impl Member {
    async fn work(&mut self, lease: &Lease) -> Result<(), Error> {
        let job = lease.job();
        if job.get("abort").is_some() {
            std::process::abort();
        }
        let ms = job.get("ms").unwrap_or("0").parse()?;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            () = lease.lost() => {}
        }
        if lease.is_lost() {
            return Ok(());
        }
        // A member that slept through its lease gets here before it is told: the store must refuse it, then the queue
        // its ack.
        let _committed: bool = self
            .commit
            .key("committed")
            .key("writes")
            .arg(&job.id)
            .arg(lease.token())
            .invoke_async(&mut self.store)
            .await?;
        if lease.settle(Settlement::ack()).await == Settled::Settled(State::Done) {
            self.note("acks", lease).await?;
        }
        Ok(())
    }

    async fn note(&mut self, list: &str, lease: &Lease) -> Result<(), Error> {
        let line = format!("{} {} {}", self.name, lease.job().id, lease.token());
        let _: () = redis::cmd("RPUSH")
            .arg(list)
            .arg(line)
            .query_async(&mut self.store)
            .await?;
        Ok(())
    }
}
