//! One range, the whole way, and how its lease ends.

use std::time::Instant;

use tracing::Instrument;
use weldfleet_queue::{Lease, Settlement, apalis::Slot};
use weldfleet_service::metrics;
use weldfleet_stores::{Range, audit_csv};

use super::{
    Pipeline,
    stages::{Acked, Stage, Stopped},
};

/// Why a job is buried before anything of it is read.
const BAD_ID: &str = "its id can be no part of an audit file's name: at most 100 of `A-Za-z0-9._-`, no dot first; no \
                      scheduler of this product made it";

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
        if !audit_csv::is_name(&lease.job().id) {
            return Settlement::bury(BAD_ID);
        }
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
                    invalid = counts.invalid + counts.poison,
                    error = counts.error,
                    ms = started.elapsed().as_millis() as u64,
                    "range judged"
                );
                self.gate.worked();
                self.excused().remove(&lease.job().id);
                (acked.settlement(), "acked")
            }
            Err(stopped) => self.give_up(lease, stopped).await,
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
}
