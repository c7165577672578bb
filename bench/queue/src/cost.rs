//! What a no-op job costs. One Redis for all, emptied before each run; every round runs everybody once.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    child::{Handler, Spec, Worker},
    measure::{Usage, quantile},
    peers::Peer,
    server::Server,
};

pub struct Size {
    pub jobs: usize,
    pub rounds: usize,
}

/// Medians over the rounds; a job each.
#[derive(Serialize, Deserialize)]
pub struct Cost {
    pub name: String,
    pub workers: usize,
    pub jobs_per_s: f64,
    pub enqueue_commands: f64,
    pub drain_commands: f64,
    pub redis_us: f64,
    pub client_us: f64,
    /// Against the floor with as many workers, in the same round.
    pub redis_to_floor: f64,
    pub client_to_floor: f64,
}

/// Name, library, jobs in hand at once. The floor comes first in every round.
const CONTENDERS: [(&str, Peer, usize); 10] = [
    ("raw floor: two EVALSHA a job, no guarantee", Peer::Floor, 1),
    ("ours, one at a time", Peer::Ours, 1),
    ("ours, 16 at a time", Peer::Ours, 16),
    ("ours, 64 at a time", Peer::Ours, 64),
    (
        "ours in an apalis worker, 16 at a time",
        Peer::OursInApalis,
        16,
    ),
    ("apalis-redis 1.0.0, one at a time", Peer::ApalisRedis, 1),
    (
        "apalis-redis 1.0.0, batch of 10 (default)",
        Peer::ApalisRedis,
        10,
    ),
    ("apalis-redis 1.0.0, batch of 64", Peer::ApalisRedis, 64),
    (
        "bullmq-official 1.4.4, one at a time (default)",
        Peer::BullMq,
        1,
    ),
    ("bullmq-official 1.4.4, concurrency 16", Peer::BullMq, 16),
];
const WORKERS: [usize; 2] = [1, 4];
/// Longer than any of them needs; then something is broken.
const PATIENCE: Duration = Duration::from_secs(120);

struct Run {
    jobs_per_s: f64,
    enqueue_commands: f64,
    drain_commands: f64,
    redis_us: f64,
    client_us: f64,
}

/// The floor and every contender whose name has `only` in it.
pub async fn run(size: &Size, only: &str) -> Result<Vec<Cost>, Error> {
    let server = Server::start().await?;
    let contenders: Vec<_> = CONTENDERS
        .into_iter()
        .filter(|(name, peer, _)| *peer == Peer::Floor || name.contains(only))
        .collect();
    if contenders.len() == 1 {
        let names = CONTENDERS.map(|(name, ..)| name).join("; ");
        return Err(format!("--only `{only}`: no name has this text; they are: {names}").into());
    }
    let mut runs: Vec<Vec<Run>> = (0..contenders.len() * WORKERS.len())
        .map(|_| Vec::new())
        .collect();
    for round in 1..=size.rounds {
        for (place, workers) in WORKERS.into_iter().enumerate() {
            for (number, (name, peer, batch)) in contenders.iter().copied().enumerate() {
                eprintln!(
                    "round {round} of {}: {name}, {workers} workers",
                    size.rounds
                );
                let measured = one(&server, peer, batch, workers, size.jobs).await;
                let measured =
                    measured.map_err(|error| format!("{name}, {workers} workers: {error}"))?;
                runs[place * contenders.len() + number].push(measured);
            }
        }
    }
    let mut costs = Vec::new();
    for (place, workers) in WORKERS.into_iter().enumerate() {
        let floor = &runs[place * contenders.len()];
        for (number, (name, ..)) in contenders.iter().copied().enumerate() {
            let own = &runs[place * contenders.len() + number];
            let median =
                |pick: fn(&Run) -> f64| quantile(&own.iter().map(pick).collect::<Vec<_>>(), 0.5);
            let ratio = |pick: fn(&Run) -> f64| {
                let ratios: Vec<f64> = own
                    .iter()
                    .zip(floor)
                    .map(|(run, floor)| pick(run) / pick(floor))
                    .collect();
                quantile(&ratios, 0.5)
            };
            costs.push(Cost {
                name: name.to_owned(),
                workers,
                jobs_per_s: median(|run| run.jobs_per_s),
                enqueue_commands: median(|run| run.enqueue_commands),
                drain_commands: median(|run| run.drain_commands),
                redis_us: median(|run| run.redis_us),
                client_us: median(|run| run.client_us),
                redis_to_floor: ratio(|run| run.redis_us),
                client_to_floor: ratio(|run| run.client_us),
            });
        }
    }
    Ok(costs)
}

async fn one(
    server: &Server,
    peer: Peer,
    batch: usize,
    workers: usize,
    jobs: usize,
) -> Result<Run, Error> {
    let mut redis = server.connect().await?;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut redis).await?;
    let empty = Usage::of(&mut redis).await?;
    peer.enqueue(&server.url, jobs).await?;
    let spec = Spec {
        peer,
        url: server.url.clone(),
        handler: Handler::Nothing,
        batch,
        lease_ms: None,
    };
    let mut fleet = Vec::new();
    for _ in 0..workers {
        fleet.push(Worker::start(&spec).await?);
    }

    let before = Usage::of(&mut redis).await?;
    let cpu = |fleet: &[Worker]| fleet.iter().map(Worker::cpu_s).sum::<Result<f64, Error>>();
    let cpu_before = cpu(&fleet)?;
    let started = Instant::now();
    for worker in &mut fleet {
        worker.go().await?;
    }
    let mut looks = 0;
    while !peer.done(&mut redis, jobs).await? {
        looks += 1;
        if started.elapsed() > PATIENCE {
            return Err(format!("{jobs} jobs were not done after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = started.elapsed().as_secs_f64();
    let client_s = cpu(&fleet)? - cpu_before;
    let after = Usage::of(&mut redis).await?;
    for worker in fleet {
        worker.kill().await?;
    }
    let each = |total: f64| total / jobs as f64;
    Ok(Run {
        jobs_per_s: jobs as f64 / took,
        enqueue_commands: each((before.commands - empty.commands) as f64),
        drain_commands: each((after.commands - before.commands - looks - 1) as f64),
        redis_us: each((after.cpu_s - before.cpu_s) * 1e6),
        client_us: each(client_s * 1e6),
    })
}
