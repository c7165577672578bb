//! Many workers on one Redis and one ClickHouse. Their device is a timed wait (`weldfleet-timed-device`); everything
//! else is real: the programs themselves, claims, reads, validation, features, rules, results, UPDATEs, audit files,
//! mirror, acks.
//!
//! Workers, services and this program share the machine's cores, so the fleet bends where those are used up. That is
//! why costs a row are measured beside the rate: from them follows where it would bend with cores for everybody.

use std::{
    ops::Sub,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use weldfleet_testkit::{onnxruntime_library, repository};

use crate::{
    days::CurveDay,
    numbers::Section,
    plant::{Done, Plant, Program},
    proc::{self, StoresCpu},
};

/// The day of the fleets.
pub const DAY: u32 = 20_260_106;
/// Fewer acks than these make no rate.
const FEW: usize = 4;
/// A small fleet is watched for longer, until it has acknowledged so many.
const ENOUGH: u64 = 8;
/// A fleet that has not ended a range a worker after so long, and takes no more of them, never will.
const STUCK: Duration = Duration::from_secs(120);
/// A device, a core or the line of UPDATEs is used up from here on, %.
const FULL: f64 = 90.0;

#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    pub workers: usize,
    /// Time of its devices, µs a row.
    pub device_us: f64,
    /// It has run in when it has held no more ranges than before for so long.
    pub run_in: Duration,
    /// How long it is watched.
    pub time: Duration,
}

/// Starts the fleet, lets it run in, and watches it at work.
pub async fn run(
    plant: &mut Plant,
    day: CurveDay,
    fleet: Fleet,
    section: &mut Section,
) -> Result<()> {
    let own = std::env::current_exe()?;
    let device = own.with_file_name("libweldfleet_timed_device.so");
    ensure!(
        device.is_file(),
        "{} does not exist; `make bench` builds it",
        device.display()
    );
    let real = onnxruntime_library().display().to_string();
    let model = repository().join("bench/models/near-free");
    plant.set("model.model_export_dir", &model.display().to_string());
    // One thread prepares rows while the device is busy with the other's.
    plant.set("model.threads", "2");
    plant.set("model.provider", "cpu");
    plant.set_variable("TIMED_DEVICE_US_A_ROW", &fleet.device_us.to_string());
    plant.set_variable("TIMED_DEVICE_ONNXRUNTIME", &real);
    plant.set_variable("ORT_DYLIB_PATH", &device.display().to_string());
    let watched = watch(plant, day, fleet).await;
    if let Ok(watched) = &watched {
        println!(
            "  {} workers on a device of {} µs a row: {:.0} rows/s",
            fleet.workers, fleet.device_us, watched.rate
        );
    }
    plant.set_variable("ORT_DYLIB_PATH", &real);
    plant.set("model.threads", "0");
    plant.set("model.provider", "auto");
    push(fleet, &watched?, section);
    Ok(())
}

/// Whether every worker still has a range to compute and one behind it.
async fn has_work(plant: &Plant, workers: usize) -> Result<bool> {
    let there = plant.jobs("pending").await? + plant.jobs("leased").await?;
    Ok(there >= 2 * u64::try_from(workers)?)
}

/// Waits until the ranges under way are as many as they will be. As long as workers fill up, or ranges gather behind
/// the UPDATEs, more rows go in than come out, and neither is the rate. Of slow devices that takes minutes.
async fn run_in(plant: &Plant, fleet: Fleet) -> Result<()> {
    let first_round = u64::try_from(fleet.workers)?;
    let (mut most, mut since) = (0, Instant::now());
    loop {
        let leased = plant.jobs("leased").await?;
        if leased > most {
            (most, since) = (leased, Instant::now());
        }
        if since.elapsed() >= fleet.run_in && plant.jobs("done").await? >= first_round {
            return Ok(());
        }
        ensure!(
            has_work(plant, fleet.workers).await?,
            "{} workers had not run in when the ranges ended; give more --fleet-rows",
            fleet.workers
        );
        ensure!(
            since.elapsed() < STUCK,
            "{} workers hold {most} ranges and have not ended one each in {} s",
            fleet.workers,
            STUCK.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What was seen between two moments.
struct Watched {
    rate: f64,
    ranges: f64,
    spent: Marks,
}

async fn watch(plant: &Plant, day: CurveDay, fleet: Fleet) -> Result<Watched> {
    day.reset(plant).await?;
    let mut workers = Vec::with_capacity(fleet.workers);
    for _ in 0..fleet.workers {
        workers.push(plant.spawn("worker", &["run"])?);
    }
    for worker in &workers {
        worker.sees_the_pause().await?;
    }
    plant.run("scheduler", &["resume"])?;
    run_in(plant, fleet)
        .await
        .with_context(|| workers[0].log())?;
    let before = Marks::take(plant, &workers).await?;
    let end = Instant::now() + fleet.time;
    let enough = plant.jobs("done").await? + ENOUGH;
    while has_work(plant, fleet.workers).await?
        && (Instant::now() < end || plant.jobs("done").await? < enough)
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let after = Marks::take(plant, &workers).await?;
    let done: Vec<Done> = plant
        .done()
        .await?
        .into_iter()
        .filter(|job| (before.at..after.at).contains(&job.finished_at))
        .collect();
    let spent = after - before;
    let rate = rate(&done).with_context(|| {
        format!(
            "{} workers ended {} ranges in {:.1} s, too few for a rate; give more --fleet-rows or --fleet-seconds",
            fleet.workers,
            done.len(),
            spent.at / 1e3
        )
    })?;
    ensure!(
        spent.inferring > Duration::ZERO,
        "{} workers had judged all rows before they were watched; give more --fleet-rows",
        fleet.workers
    );
    let waited = spent.inferring.as_secs_f64() * 1e6 / spent.rows;
    ensure!(
        waited > 0.9 * fleet.device_us,
        "an inference took {waited:.1} µs a row on a device of {} µs: the timed device is not in use, or {} workers had judged \
         most rows before they were watched; give more --fleet-rows",
        fleet.device_us,
        fleet.workers
    );
    Ok(Watched {
        rate,
        ranges: done.len() as f64,
        spent,
    })
}

/// What was spent up to a moment, or between two.
#[derive(Clone, Copy)]
struct Marks {
    /// Ms of Redis time.
    at: f64,
    rows: f64,
    worker: Duration,
    stores: StoresCpu,
    busy: Duration,
    idle: Duration,
    inferring: Duration,
    updates: f64,
    updating: Duration,
    fetching: Duration,
}

impl Marks {
    async fn take(plant: &Plant, workers: &[Program]) -> Result<Self> {
        let mut marks = Self {
            at: 0.0,
            rows: 0.0,
            worker: Duration::ZERO,
            stores: plant.stores_cpu()?,
            busy: Duration::ZERO,
            idle: Duration::ZERO,
            inferring: Duration::ZERO,
            updates: 0.0,
            updating: Duration::ZERO,
            fetching: Duration::ZERO,
        };
        for worker in workers {
            let metrics = worker.metrics().await?;
            let seconds = |stage: &str| {
                let label = format!("stage=\"{stage}\"");
                Duration::from_secs_f64(metrics.sum("weldfleet_stage_seconds_sum", &label))
            };
            marks.rows += metrics.sum("weldfleet_rows_total", "");
            marks.inferring +=
                Duration::from_secs_f64(metrics.sum("weldfleet_inference_seconds_sum", ""));
            marks.updates += metrics.sum("weldfleet_stage_seconds_count", "stage=\"commit\"");
            marks.updating += seconds("commit");
            marks.fetching += seconds("fetch");
            marks.worker += proc::cpu(worker.pid())?;
        }
        (marks.busy, marks.idle) = proc::machine()?;
        marks.at = plant.redis_time().await?;
        Ok(marks)
    }
}

impl Sub for Marks {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            at: self.at - before.at,
            rows: self.rows - before.rows,
            worker: self.worker - before.worker,
            stores: self.stores - before.stores,
            busy: self.busy - before.busy,
            idle: self.idle - before.idle,
            inferring: self.inferring - before.inferring,
            updates: self.updates - before.updates,
            updating: self.updating - before.updating,
            fetching: self.fetching - before.fetching,
        }
    }
}

/// Rows a second: the slope of the line through the acks, each at its time and the sum of the rows up to it. Ranges
/// that were written together are acknowledged together, and workers that began together end together, so rows by a
/// fixed time would depend on where in that rhythm it begins.
fn rate(done: &[Done]) -> Option<f64> {
    let (first, last) = (done.first()?, done.last()?);
    if done.len() < FEW || first.finished_at >= last.finished_at {
        return None;
    }
    let mut sum = 0.0;
    let points: Vec<(f64, f64)> = done
        .iter()
        .map(|job| {
            sum += job.rows as f64;
            (job.finished_at / 1e3, sum)
        })
        .collect();
    let count = points.len() as f64;
    let time = points.iter().map(|(time, _)| time).sum::<f64>() / count;
    let rows = points.iter().map(|(_, rows)| rows).sum::<f64>() / count;
    let (mut both, mut square) = (0.0, 0.0);
    for (at, sum) in points {
        both += (at - time) * (sum - rows);
        square += (at - time) * (at - time);
    }
    Some(both / square)
}

fn push(fleet: Fleet, watched: &Watched, section: &mut Section) {
    let Watched {
        rate,
        ranges,
        spent,
    } = watched;
    let seconds = spent.at / 1e3;
    let cores = (spent.busy + spent.idle).as_secs_f64() / seconds;
    let a_row = |cpu: Duration| cpu.as_secs_f64() * 1e6 / spent.rows;
    let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / (seconds * cores);
    let devices = 100.0 * rate * fleet.device_us / 1e6 / fleet.workers as f64;
    let busy = share(spent.busy);
    let waiting = spent.updating.as_secs_f64() / seconds;
    section.push("workers", fleet.workers as f64);
    section.push("rows/s", *rate);
    section.push("devices busy, %", devices);
    section.push("cores busy, %", busy);
    section.push("  by ClickHouse, %", share(spent.stores.clickhouse));
    section.push("  by the workers, %", share(spent.worker));
    section.push("  by Redis, %", share(spent.stores.redis));
    section.push("  by MySQL, %", share(spent.stores.mysql));
    section.push("ClickHouse CPU, µs a row", a_row(spent.stores.clickhouse));
    section.push("worker CPU, µs a row", a_row(spent.worker));
    section.push(
        "Redis CPU, µs a range",
        spent.stores.redis.as_secs_f64() * 1e6 / ranges,
    );
    section.push("read of a range, ms", mean_ms(spent.fetching, *ranges));
    section.push("UPDATEs/s", spent.updates / seconds);
    section.push("rows an UPDATE", spent.rows / spent.updates);
    section.push(
        "UPDATE with its wait, ms",
        mean_ms(spent.updating, spent.updates),
    );
    section.push("UPDATEs under way or waiting", waiting);
    section.note("limit", limit(devices, busy, waiting));
}

/// What is used up; the first that is, in the order in which more workers would help.
fn limit(devices: f64, cores: f64, updates: f64) -> &'static str {
    if devices >= FULL {
        "devices"
    } else if cores >= FULL {
        "cores"
    } else if 100.0 * updates >= FULL {
        "UPDATEs"
    } else {
        "waits"
    }
}

fn mean_ms(time: Duration, count: f64) -> f64 {
    time.as_secs_f64() * 1e3 / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(times: &[f64]) -> Vec<Done> {
        times
            .iter()
            .map(|finished_at| Done {
                started_at: 0.0,
                finished_at: *finished_at,
                rows: 4000,
            })
            .collect()
    }

    #[test]
    fn groups_of_acks_do_not_bend_the_rate() {
        // Two ranges every second: 8,000 rows/s.
        let acks = [100.0, 101.0, 1100.0, 1101.0, 2100.0, 2101.0];
        let measured = rate(&done(&acks)).expect("six acks are enough");
        assert!((measured - 8000.0).abs() < 10.0, "{measured}");
        assert_eq!(rate(&done(&[100.0, 101.0, 102.0])), None);
        assert_eq!(rate(&done(&[100.0; 6])), None);
    }

    #[test]
    fn the_limit_is_what_is_used_up() {
        assert_eq!(limit(99.0, 40.0, 0.1), "devices");
        assert_eq!(limit(60.0, 97.0, 3.0), "cores");
        assert_eq!(limit(60.0, 70.0, 1.0), "UPDATEs");
        assert_eq!(limit(60.0, 70.0, 0.2), "waits");
    }
}
