//! Filling a table with simulated rows, whatever its shape.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jiff::{civil::Time, tz::TimeZone};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weldfleet_service::{
    Exit, Failure, OrExit, outln,
    output::{self, grouped},
    signals,
};
use weldfleet_simulator::{SimulationOptions, Simulator};
use weldfleet_stores::Day;

use super::progress::Progress;

/// Rows made and inserted at a time.
const BLOCK: u64 = 8192;

/// What is inserted on a day, from when on.
#[derive(Clone)]
pub struct Filling {
    pub simulator: Arc<Simulator>,
    pub day: Day,
    /// Where `ck_local_time` is printed, in ms since 1970, so that the printed times are of that day.
    midnight_ms: i64,
    began: Instant,
    stop: CancellationToken,
    /// Rows up to here are inserted or on their way.
    sent: Arc<AtomicU64>,
}

impl Filling {
    /// Behind the rows that the day has; `zone` is that of `ck_local_time`.
    pub fn begin(
        mut simulation: SimulationOptions,
        before: u64,
        day: Day,
        zone: &str,
    ) -> Result<Self, Failure> {
        before.checked_add(simulation.rows).ok_or_else(|| {
            anyhow::anyhow!(
                "day {day} has a record_id of {before}, and {} more would pass {}, the last there is; simulate another day",
                grouped(simulation.rows),
                u64::MAX
            )
        })?;
        simulation.first_record_id = before + 1;
        // The same seed again must not make the same welds under new ids.
        simulation.seed = simulation.seed.wrapping_add(before);
        let zone =
            TimeZone::get(zone).with_context(|| format!("time zone `{zone}` of ck_local_time"))?;
        let midnight = zone.to_ambiguous_zoned(day.date().to_datetime(Time::midnight()));
        Ok(Self {
            simulator: Arc::new(Simulator::new(simulation).or_exit(Exit::Usage)?),
            day,
            midnight_ms: midnight.compatible()?.timestamp().as_millisecond(),
            began: Instant::now(),
            stop: signals::stop()?,
            sent: Arc::default(),
        })
    }

    /// Runs `insert` for every block, some at a time.
    pub async fn insert_all<I, W>(&self, insert: I) -> Result<(), Failure>
    where
        I: Fn(Range<u64>) -> W,
        W: Future<Output = Result<u64, Failure>> + Send + 'static,
    {
        let all = insert_all(&self.simulator, insert, &self.sent);
        let ended = self.stop.run_until_cancelled(all).await;
        ended
            .unwrap_or_else(interrupted)
            .map_err(|failure| self.cut_short(failure))
    }

    pub async fn wait(&self, time: Duration) -> Result<(), Failure> {
        let waited = self
            .stop
            .run_until_cancelled(tokio::time::sleep(time))
            .await;
        waited
            .map(Ok)
            .unwrap_or_else(interrupted)
            .map_err(|failure| self.cut_short(failure))
    }

    /// Says what a filling that did not end leaves in the table.
    fn cut_short(&self, mut failure: Failure) -> Failure {
        let sent = self.sent.load(Ordering::Relaxed);
        if sent == 0 {
            return failure;
        }
        let SimulationOptions {
            rows,
            first_record_id: first,
            ..
        } = *self.simulator.options();
        failure.error = failure.error.context(format!(
            "up to {} of {} rows are inserted and stay on {}, with record ids between {first} and {}; count them",
            grouped(sent),
            grouped(rows),
            self.day,
            first - 1 + rows
        ));
        failure
    }

    /// Times of the day, in ms since 1970.
    pub fn times(&self, of_day_ms: &[u32]) -> Vec<i64> {
        let times = of_day_ms.iter().map(|ms| self.midnight_ms + i64::from(*ms));
        times.collect()
    }
}

pub fn told(filling: &Filling, json: bool) -> Result<(), Failure> {
    let (day, seconds) = (filling.day, filling.began.elapsed().as_secs_f64());
    let SimulationOptions {
        rows,
        first_record_id: first,
        ..
    } = *filling.simulator.options();
    let last = first - 1 + rows;
    let rate = rows as f64 / seconds.max(1e-9);
    if json {
        output::json(&json!({
            "day": day.to_string(), "rows": rows, "first_record_id": first, "last_record_id": last,
            "seconds": seconds, "rows_per_second": rate,
        }))?;
    } else {
        outln!(
            "inserted {} rows on {day} in {seconds:.1} s ({} rows/s); record ids {first} to {last}",
            grouped(rows),
            grouped(rate as u64),
        );
    }
    Ok(())
}

fn interrupted() -> Result<(), Failure> {
    Err(anyhow::anyhow!("interrupted").into())
}

async fn insert_all<I, W>(simulator: &Simulator, insert: I, sent: &AtomicU64) -> Result<(), Failure>
where
    I: Fn(Range<u64>) -> W,
    W: Future<Output = Result<u64, Failure>> + Send + 'static,
{
    let rows = simulator.options().rows;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut progress = Progress::new("simulating", rows);
    let mut inserted = 0;
    let mut tasks: JoinSet<Result<u64, Failure>> = JoinSet::new();
    for chunk in simulator.chunks(BLOCK) {
        // One block more than cores: one is on its way to the server.
        while tasks.len() > cores
            && let Some(done) = tasks.join_next().await
        {
            inserted += done??;
            progress.show(inserted, rows, "");
        }
        sent.fetch_max(chunk.end, Ordering::Relaxed);
        tasks.spawn(insert(chunk));
    }
    while let Some(done) = tasks.join_next().await {
        inserted += done??;
        progress.show(inserted, rows, "");
    }
    progress.end();
    Ok(())
}
