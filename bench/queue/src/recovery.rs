//! How long from `kill -9` to the next claim, and what becomes of a job that aborts its worker every time. All at once,
//! each on a Redis of its own: nearly all of it is waiting.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    child::{Handler, Spec, Worker},
    peers::Peer,
    server::Server,
};

#[derive(Serialize, Deserialize)]
pub struct Recovery {
    pub name: String,
    /// Seconds from `kill -9` to the next start, sorted; those that took longer than `patience_s` are left out.
    pub reclaim_s: Vec<f64>,
    pub tries: usize,
    pub crash: Crash,
    pub patience_s: u64,
}

#[derive(Serialize, Deserialize)]
pub struct Crash {
    pub starts: usize,
    pub given_up: bool,
    pub seconds: f64,
}

const CONTENDERS: [(&str, Peer, Option<u64>); 4] = [
    ("ours, lease 30 s (default)", Peer::Ours, None),
    ("ours, lease 2 s", Peer::Ours, Some(2000)),
    ("apalis-redis 1.0.0 (defaults)", Peer::ApalisRedis, None),
    ("bullmq-official 1.4.4 (defaults)", Peer::BullMq, None),
];
const TRIES: usize = 3;
/// A loop that has gone on for so long goes on for ever.
const MOST_STARTS: usize = 10;

pub async fn run(patience: Duration) -> Result<Vec<Recovery>, Error> {
    eprintln!("recovery: up to {} s of waiting", patience.as_secs());
    let all = CONTENDERS
        .into_iter()
        .map(|(name, peer, lease_ms)| async move {
            let tries = (0..TRIES).map(|_| reclaim(peer, lease_ms, patience));
            let (reclaimed, crash) = tokio::join!(
                futures::future::join_all(tries),
                crash_loop(peer, lease_ms, patience)
            );
            let mut reclaim_s: Vec<f64> = reclaimed
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect();
            reclaim_s.sort_by(f64::total_cmp);
            Ok(Recovery {
                name: name.to_owned(),
                reclaim_s,
                tries: TRIES,
                crash: crash?,
                patience_s: patience.as_secs(),
            })
        });
    futures::future::join_all(all).await.into_iter().collect()
}

async fn reclaim(
    peer: Peer,
    lease_ms: Option<u64>,
    patience: Duration,
) -> Result<Option<f64>, Error> {
    let (_server, mut redis, spec) = one_job(peer, Handler::Hold, lease_ms).await?;
    let mut holder = Worker::at_work(&spec).await?;
    if !holder.started().await? {
        return Err("the first worker ended instead of taking the job".into());
    }
    let alone = clients(&mut redis).await?;
    let mut heir = Worker::at_work(&spec).await?;
    while clients(&mut redis).await? <= alone {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let killed = Instant::now();
    holder.kill().await?;
    match tokio::time::timeout(patience, heir.started()).await {
        Err(_) => Ok(None),
        Ok(started) => match started? {
            true => Ok(Some(killed.elapsed().as_secs_f64())),
            false => Err("the heir ended instead of taking the job".into()),
        },
    }
}

/// A Redis of its own with one job, and what a worker is to do with that.
async fn one_job(
    peer: Peer,
    handler: Handler,
    lease_ms: Option<u64>,
) -> Result<(Server, MultiplexedConnection, Spec), Error> {
    let server = Server::start().await?;
    let redis = server.connect().await?;
    peer.enqueue(&server.url, 1).await?;
    let spec = Spec {
        peer,
        url: server.url.clone(),
        handler,
        batch: 1,
        lease_ms,
    };
    Ok((server, redis, spec))
}

async fn clients(redis: &mut MultiplexedConnection) -> Result<usize, Error> {
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(redis).await?;
    Ok(list.lines().count())
}

/// A supervisor starts the worker again whenever it dies, as systemd or Kubernetes would.
async fn crash_loop(peer: Peer, lease_ms: Option<u64>, patience: Duration) -> Result<Crash, Error> {
    let (_server, mut redis, spec) = one_job(peer, Handler::Abort, lease_ms).await?;
    let begun = Instant::now();
    let mut starts = 0;
    let mut worker = Worker::at_work(&spec).await?;
    loop {
        let given_up = peer.given_up(&mut redis).await?;
        if given_up || starts >= MOST_STARTS || begun.elapsed() > patience {
            return Ok(Crash {
                starts,
                given_up,
                seconds: begun.elapsed().as_secs_f64(),
            });
        }
        let Ok(started) = tokio::time::timeout(Duration::from_millis(500), worker.started()).await
        else {
            continue;
        };
        starts += usize::from(started?);
        worker.ended().await?;
        worker = Worker::at_work(&spec).await?;
    }
}
