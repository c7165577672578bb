//! The worker end to end: a day that is cut into jobs already, from the first claim to the last commit.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{
    days::CurveDay,
    numbers::Section,
    plant::{Metrics, Plant, Program, until},
    proc::{self, StoresCpu},
};

/// The day of the drains.
pub const DAY: u32 = 20_260_105;

/// Time between two looks at the worker's metrics: the worker makes their text, so looking costs what is measured.
const METRICS_EVERY: Duration = Duration::from_millis(250);
/// Time between two looks at the number of finished jobs, which costs Redis a command.
const DONE_EVERY: Duration = Duration::from_millis(50);

/// Stages whose CPU time the worker counts itself, in the order of a row's way.
const STAGES: &[&str] = &[
    "fetch", "prepare", "infer", "conclude", "audit", "encode", "store", "commit", "mirror",
];

struct Marks {
    worker: Duration,
    io: Duration,
    compute: Duration,
    stores: StoresCpu,
    metrics: Metrics,
    sent: f64,
    received: f64,
}

impl Marks {
    async fn take(plant: &Plant, worker: &Program) -> Result<Self> {
        let pid = worker.pid();
        let network = |event: &'static str| async move {
            plant
                .number(&format!(
                    "SELECT sum(value) FROM system.events WHERE event = '{event}'"
                ))
                .await
        };
        Ok(Self {
            sent: network("NetworkSendBytes").await?,
            received: network("NetworkReceiveBytes").await?,
            metrics: worker.metrics().await?,
            worker: proc::cpu(pid)?,
            io: proc::threads_cpu(pid, "io")?,
            compute: proc::threads_cpu(pid, "compute")?,
            stores: plant.stores_cpu()?,
        })
    }
}

/// One drain of the day with the model that is set.
pub async fn run(plant: &Plant, day: CurveDay, section: &mut Section) -> Result<()> {
    day.reset(plant).await?;
    let worker = plant.spawn("worker", &["run"])?;
    worker.sees_the_pause().await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = Marks::take(plant, &worker).await?;
    plant.run("scheduler", &["resume"])?;
    let samples = drain(plant, &worker, day).await?;
    let (first, last) = plant.span_of_done().await?;
    // What follows the last ack (counters, the last audit file's thread) belongs to the run.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let after = Marks::take(plant, &worker).await?;
    let left = day.left(plant).await?;
    ensure!(left == 0.0, "{left} rows have no verdict");

    let n = day.rows() as f64;
    let a_row = |cpu: Duration| cpu.as_secs_f64() * 1e6 / n;
    section.push("rows/s", n * 1000.0 / (last - first));
    let worker_cpu = a_row(after.worker.saturating_sub(before.worker));
    section.push("worker CPU, µs a row", worker_cpu);
    let mut told = 0.0;
    let mut infer = 0.0;
    for stage in STAGES {
        let name = "weldfleet_stage_cpu_seconds_sum";
        let label = format!("stage=\"{stage}\"");
        let cpu = (after.metrics.sum(name, &label) - before.metrics.sum(name, &label)) * 1e6 / n;
        section.push(&format!("  {stage}, µs a row"), cpu);
        told += cpu;
        if *stage == "infer" {
            infer = cpu;
        }
    }
    section.push(
        "  the rest (HTTP, Redis, runtime), µs a row",
        worker_cpu - told,
    );
    section.push("worker CPU besides inference, µs a row", worker_cpu - infer);
    section.push(
        "inference, share of the worker's CPU, %",
        100.0 * infer / worker_cpu,
    );
    section.push(
        "compute threads, µs a row",
        a_row(after.compute.saturating_sub(before.compute)),
    );
    section.push(
        "io threads, µs a row",
        a_row(after.io.saturating_sub(before.io)),
    );
    let stores = after.stores - before.stores;
    let clickhouse = a_row(stores.clickhouse);
    section.push("ClickHouse CPU, µs a row", clickhouse);
    section.push("Redis CPU, µs a row", a_row(stores.redis));
    section.push("MySQL CPU, µs a row", a_row(stores.mysql));
    let share = infer / (infer + 10.0 + clickhouse);
    section.push("model / (model + 10 µs + ClickHouse), %", 100.0 * share);
    section.push(
        "compute threads waiting, % of the middle",
        waiting(&samples, n),
    );
    let peak = proc::peak_mb(worker.pid())?;
    section.push("worker peak memory, MB", peak);
    section.push(
        "  besides the runtime's libraries, MB",
        peak - proc::runtime_libraries_mb(worker.pid())?,
    );
    section.push(
        "read from ClickHouse, bytes a row",
        (after.sent - before.sent) / n,
    );
    section.push(
        "written to ClickHouse, bytes a row",
        (after.received - before.received) / n,
    );
    section.push(
        "audit files, bytes a row",
        folder_size(&plant.save_dir())? as f64 / n,
    );
    worker.stop().await
}

struct Sample {
    rows: f64,
    wait: f64,
    busy: f64,
}

/// Looks at the worker until the day is done.
async fn drain(plant: &Plant, worker: &Program, day: CurveDay) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(600);
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            next += METRICS_EVERY;
            let metrics = worker.metrics().await?;
            samples.push(Sample {
                rows: metrics.sum("weldfleet_rows_total", ""),
                wait: metrics.sum("weldfleet_compute_wait_seconds_sum", ""),
                busy: metrics.sum("weldfleet_compute_busy_seconds_sum", ""),
            });
        }
        if plant.jobs("done").await? >= day.ranges() {
            return Ok(samples);
        }
        ensure!(
            Instant::now() < deadline,
            "the drain does not end; the worker says:\n{}",
            worker.log()
        );
        tokio::time::sleep(DONE_EVERY).await;
    }
}

/// Share of their time in which the compute threads waited for rows, between a fifth and four fifths of the day.
fn waiting(samples: &[Sample], rows: f64) -> f64 {
    let first = samples.iter().find(|sample| sample.rows > 0.2 * rows);
    let last = samples.iter().rev().find(|sample| sample.rows < 0.8 * rows);
    let (Some(first), Some(last)) = (first, last) else {
        return f64::NAN;
    };
    let (wait, busy) = (last.wait - first.wait, last.busy - first.busy);
    if busy <= 0.0 {
        f64::NAN
    } else {
        100.0 * wait / (wait + busy)
    }
}

/// From the start of the process to its first claim, jobs waiting.
pub async fn start_to_claim(plant: &Plant, day: CurveDay, section: &mut Section) -> Result<()> {
    day.reset(plant).await?;
    plant.run("scheduler", &["resume"])?;
    #[expect(
        clippy::disallowed_methods,
        reason = "compared with a time of the same host's Redis"
    )]
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs_f64()
        * 1e3;
    let worker = plant.spawn("worker", &["run"])?;
    until(
        "a job is done",
        Duration::from_secs(60),
        Duration::from_millis(20),
        async || Ok(plant.jobs("done").await? > 0),
    )
    .await?;
    let (first, _) = plant.span_of_done().await?;
    section.push("start of the worker to its first claim, ms", first - clock);
    drop(worker);
    Ok(())
}

fn folder_size(folder: &std::path::Path) -> Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        size += if kind.is_dir() {
            folder_size(&entry.path())?
        } else {
            kind.len()
        };
    }
    Ok(size)
}
