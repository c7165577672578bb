//! One range, the whole way, and how its lease ends.

use std::{collections::HashMap, path::PathBuf, sync::Mutex, time::Instant};

use tracing::Instrument;
use weldfleet_breaker::{Limits, Tally, decide};
use weldfleet_queue::{Lease, Queue, Settlement, apalis::Slot};
use weldfleet_service::metrics;
use weldfleet_stores::{Range, clickhouse::SourceTable};

use super::{
    Gate, Writing,
    counts::Counts,
    stages::{Acked, Stage, Stopped},
};
use crate::{inference::pool::Pool, needs::Needs};

/// Everything a range needs on its way.
pub struct Pipeline {
    /// The truth.
    pub source: SourceTable,
    /// Steps 2 to 4.
    pub writing: Writing,
    /// The compute threads.
    pub pool: Pool,
    /// Folder of the audit files.
    pub save_dir: PathBuf,
    /// This process, in the names of temporary files.
    pub worker: String,
    /// Where a dependency that is away is reported.
    pub gate: Gate,
    /// The fleet's tally and its limits.
    pub tally: Tally,
    /// When the fleet stops itself.
    pub limits: Limits,
    /// For pausing it.
    pub queue: Queue,
    /// What a probe of the table needs.
    pub needs: Needs,
    /// Ranges given back for what looked like the server's failure, and how often.
    pub excused: Mutex<HashMap<String, u32>>,
}

impl Pipeline {
    /// Takes a claimed range all the way; answers how its lease ends. The slot is given to the next range as soon as
    /// this one holds no rows any more.
    pub async fn process(&self, lease: Lease, slot: Slot) -> Settlement {
        let job = lease.job();
        let span = tracing::info_span!(
            "range",
            job = job.id,
            token = lease.token(),
            attempt = job.attempts
        );
        self.settle(&lease, &slot).instrument(span).await
    }

    async fn settle(&self, lease: &Lease, slot: &Slot) -> Settlement {
        let range = match weldfleet_fleet::range_of(lease.job()) {
            Ok(range) => range,
            Err(error) => return Settlement::bury(error.to_string()),
        };
        let started = Instant::now();
        let (settlement, outcome) = match self.walk(lease, slot, &range).await {
            Ok(acked) => {
                let counts = acked.counts;
                tracing::info!(
                    rows = counts.rows(),
                    nok = counts.nok,
                    invalid = counts.invalid,
                    error = counts.error,
                    ms = started.elapsed().as_millis() as u64,
                    "range judged"
                );
                self.gate.worked();
                self.excused().remove(&lease.job().id);
                (acked.settlement(), "acked")
            }
            Err(stopped) => self.give_up(lease, &range, stopped).await,
        };
        metrics::counter!("weldfleet_ranges_total", "outcome" => outcome).increment(1);
        metrics::histogram!("weldfleet_range_seconds").record(started.elapsed());
        settlement
    }

    async fn walk(&self, lease: &Lease, slot: &Slot, range: &Range) -> Result<Acked, Stopped> {
        let fetched = Stage::claimed(self, lease, slot, range).fetch().await?;
        let judged = fetched.judge().await?;
        let mirrored = judged.write_back().await?;
        mirrored.ack().await
    }

    /// Law 8 of `docs/CONTRACT.md`; a tally that cannot be kept must not stop judging.
    pub(super) async fn trip_breaker(&self, counts: &Counts) {
        let tallied = self
            .tally
            .record(counts.for_breaker(), self.limits.over_ranges)
            .await;
        let reason = match tallied {
            Ok(window) => decide(&self.limits, &window),
            Err(error) => {
                tracing::warn!(%error, "cannot keep the breaker's tally");
                None
            }
        };
        let Some(reason) = reason else { return };
        tracing::error!(reason, "pausing the fleet");
        if let Err(error) = self.queue.pause(&reason, &self.worker).await {
            tracing::error!(%error, "cannot pause the fleet");
        }
    }
}
