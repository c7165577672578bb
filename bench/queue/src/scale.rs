//! A thousand workers, a million jobs, one Redis: how it takes the jobs in, how long a claim takes at a steady pace and
//! flat out, what a thousand idle workers cost, and how soon an idle one picks up a new job.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use weldfleet_queue::{Consumer, NewJob, Options, Queue, Settlement, WorkerInfo};

use crate::{
    Error,
    measure::{Usage, quantile},
    server::Server,
};

pub struct Size {
    pub workers: usize,
    pub jobs: usize,
    /// Length of a steady phase.
    pub seconds: u64,
    /// Length of the idle one: everybody looks at least once.
    pub idle_seconds: u64,
    pub pickups: usize,
}

#[derive(Serialize, Deserialize)]
pub struct Scale {
    pub workers: usize,
    pub jobs: usize,
    pub enqueued_per_s: f64,
    pub enqueue_redis_us: f64,
    pub enqueue_commands: f64,
    pub bytes_a_job: f64,
    /// By jobs a second that were asked for.
    pub steady: Vec<(u32, Phase)>,
    pub flat_out: Phase,
    /// Share of one core that Redis uses while everybody waits.
    pub idle_redis_core: f64,
    pub idle_seconds: u64,
    pub pickup_ms: [f64; 3],
}

/// `[f64; 3]`: p50, p99, worst.
#[derive(Serialize, Deserialize)]
pub struct Phase {
    pub jobs_per_s: f64,
    pub claim_ms: [f64; 3],
    pub redis_core: f64,
    pub commands: f64,
}

/// Jobs a second that the fleet asks for in the steady phases. 1,000 ranges of 4,096 rows are 4 million welds a second.
const STEADY_JOBS_PER_S: [u32; 2] = [1000, 2000];
/// Jobs that a worker claims at a time when it goes flat out.
const FLAT_OUT_BATCH: u32 = 16;
/// Sockets and runtime of one consumer, with room to spare.
const FILES_A_WORKER: u64 = 12;

pub async fn run(size: &Size) -> Result<Scale, Error> {
    allow_files(size.workers as u64 * FILES_A_WORKER + 200)?;
    let server = Server::start().await?;
    let mut redis = server.connect().await?;
    let queue = Queue::new(Options::new(&server.url, "scale"))?;

    eprintln!("scale: {} jobs are enqueued", size.jobs);
    let (empty, started) = (Usage::of(&mut redis).await?, Instant::now());
    enqueue(&queue, size.jobs).await?;
    let (full, enqueue_s) = (
        Usage::of(&mut redis).await?,
        started.elapsed().as_secs_f64(),
    );
    let each = |total: f64| total / size.jobs as f64;

    eprintln!("scale: {} workers start", size.workers);
    let fleet = Arc::new(Fleet {
        pace: Mutex::new(Pace::Rest),
        claims_ms: Mutex::default(),
        done: AtomicU64::new(0),
    });
    let mut tasks = Vec::new();
    for _ in 0..size.workers {
        let consumer = Consumer::start(queue.with_own_connection()?, WorkerInfo::new("scale"))?;
        tasks.push(tokio::spawn(work(fleet.clone(), consumer, size.workers)));
    }
    while queue.stats().await?.workers < size.workers as u64 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let mut steady = Vec::new();
    for jobs_per_s in STEADY_JOBS_PER_S {
        eprintln!("scale: a steady pace of {jobs_per_s} jobs/s");
        let end = tokio::time::sleep(Duration::from_secs(size.seconds));
        let pace = Pace::Steady(jobs_per_s);
        steady.push((jobs_per_s, phase(&fleet, &mut redis, pace, end).await?));
    }
    eprintln!("scale: flat out");
    let all_done = async {
        let mut told = Instant::now();
        loop {
            let done = fleet.done.load(Ordering::Relaxed);
            if done >= size.jobs as u64 {
                return;
            }
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                eprintln!("scale: {done} of {} jobs are done", size.jobs);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let flat_out = phase(&fleet, &mut redis, Pace::FlatOut, all_done).await?;

    eprintln!("scale: everybody waits");
    fleet.set(Pace::Wait);
    // one idle poll, so that everybody is where idle workers are
    tokio::time::sleep(queue.options().idle_poll).await;
    let before = Usage::of(&mut redis).await?;
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(size.idle_seconds)).await;
    let idle_redis_core =
        (Usage::of(&mut redis).await?.cpu_s - before.cpu_s) / started.elapsed().as_secs_f64();
    let pickup_ms = pickups(&fleet, &queue, size.pickups).await?;

    for task in tasks {
        task.abort();
    }
    Ok(Scale {
        workers: size.workers,
        jobs: size.jobs,
        enqueued_per_s: size.jobs as f64 / enqueue_s,
        enqueue_redis_us: each((full.cpu_s - empty.cpu_s) * 1e6),
        enqueue_commands: each((full.commands - empty.commands) as f64),
        bytes_a_job: each(full.memory.saturating_sub(empty.memory) as f64),
        steady,
        flat_out,
        idle_redis_core,
        idle_seconds: size.idle_seconds,
        pickup_ms,
    })
}

/// Jobs as the scheduler makes them: ranges of a day.
async fn enqueue(queue: &Queue, jobs: usize) -> Result<(), Error> {
    for from in (0..jobs).step_by(10_000) {
        let ranges: Vec<NewJob> = (from..(from + 10_000).min(jobs))
            .map(|n| {
                NewJob::new(format!("20261124-{n:08}"))
                    .group("20261124/0")
                    .weight(4096)
                    .field("run", "0")
                    .field("day", "20261124")
                    .field("from", format!("2026-11-24 00:00:00.000 {}", n * 4096))
                    .field("to", format!("2026-11-24 00:00:01.000 {}", n * 4096 + 4095))
            })
            .collect();
        queue.enqueue(&ranges).await?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Rest,
    /// One job at a time, together so many a second.
    Steady(u32),
    FlatOut,
    /// As a worker does: wait for the next job.
    Wait,
}

struct Fleet {
    pace: Mutex<Pace>,
    claims_ms: Mutex<Vec<f64>>,
    done: AtomicU64,
}

impl Fleet {
    fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, pace: Pace) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }

    fn claimed_after(&self, time: Duration) {
        self.claims_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(time.as_secs_f64() * 1e3);
    }

    fn take_claims(&self) -> Vec<f64> {
        std::mem::take(
            &mut *self
                .claims_ms
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

async fn work(
    fleet: Arc<Fleet>,
    consumer: Consumer,
    workers: usize,
) -> Result<(), weldfleet_queue::QueueError> {
    // workers that know nothing of each other: each has its own place in the cycle, by chance
    let place = RandomState::new().hash_one(consumer.id().as_str()) as f64 / u64::MAX as f64;
    let mut spread = None;
    loop {
        match fleet.pace() {
            Pace::Rest => tokio::time::sleep(Duration::from_millis(20)).await,
            Pace::Steady(jobs_per_s) => {
                let cycle = Duration::from_secs_f64(workers as f64 / f64::from(jobs_per_s));
                if spread.replace(jobs_per_s) != Some(jobs_per_s) {
                    tokio::time::sleep(cycle.mul_f64(place)).await;
                }
                let started = Instant::now();
                claim(&fleet, &consumer, 1).await?;
                tokio::time::sleep(cycle.saturating_sub(started.elapsed())).await;
            }
            Pace::FlatOut => claim(&fleet, &consumer, FLAT_OUT_BATCH).await?,
            Pace::Wait => {
                let leases = consumer.next(1).await?;
                fleet.done.fetch_add(leases.len() as u64, Ordering::Relaxed);
                for lease in leases {
                    lease.settle(Settlement::ack()).await;
                }
            }
        }
    }
}

async fn claim(
    fleet: &Fleet,
    consumer: &Consumer,
    most: u32,
) -> Result<(), weldfleet_queue::QueueError> {
    let started = Instant::now();
    let leases = consumer.try_next(most).await?;
    if leases.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        return Ok(());
    }
    fleet.claimed_after(started.elapsed());
    let count = leases.len() as u64;
    futures::future::join_all(leases.iter().map(|lease| lease.settle(Settlement::ack()))).await;
    fleet.done.fetch_add(count, Ordering::Relaxed);
    Ok(())
}

async fn phase(
    fleet: &Fleet,
    redis: &mut MultiplexedConnection,
    pace: Pace,
    end: impl Future<Output = ()>,
) -> Result<Phase, Error> {
    let (before, done_before, started) = (
        Usage::of(redis).await?,
        fleet.done.load(Ordering::Relaxed),
        Instant::now(),
    );
    fleet.take_claims();
    fleet.set(pace);
    end.await;
    let seconds = started.elapsed().as_secs_f64();
    let (after, done) = (
        Usage::of(redis).await?,
        fleet.done.load(Ordering::Relaxed) - done_before,
    );
    Ok(Phase {
        jobs_per_s: done as f64 / seconds,
        claim_ms: spread(&fleet.take_claims()),
        redis_core: (after.cpu_s - before.cpu_s) / seconds,
        commands: (after.commands - before.commands) as f64 / done as f64,
    })
}

/// From the call that enqueues a job to its claim by one of the waiting, one job at a time.
async fn pickups(fleet: &Fleet, queue: &Queue, count: usize) -> Result<[f64; 3], Error> {
    let mut times = Vec::with_capacity(count);
    for n in 0..count {
        let before = fleet.done.load(Ordering::Relaxed);
        let started = Instant::now();
        queue.enqueue(&[NewJob::new(format!("pickup-{n}"))]).await?;
        while fleet.done.load(Ordering::Relaxed) == before {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
        // let the one who had it go back to waiting
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(spread(&times))
}

fn spread(values: &[f64]) -> [f64; 3] {
    [0.5, 0.99, 1.0].map(|share| quantile(values, share))
}

fn allow_files(wanted: u64) -> Result<(), Error> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < wanted {
        return Err(format!("{wanted} open files are needed, {hard} are allowed: raise the limit (ulimit -Hn) or give fewer --workers").into());
    }
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), hard)?)
}
