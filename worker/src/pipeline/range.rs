//! One range, the whole way, and how its lease ends.

use std::time::Instant;

use tracing::Instrument;
use weldfleet_queue::{Lease, apalis::Slot};
use weldfleet_service::{lock, metrics};
use weldfleet_stores::{Range, audit_csv};

use super::{
    Pipeline,
    giving_up::GivenUp,
    stages::{Counted, Fetched, Stage, Stopped},
};

/// Why a job is buried before anything of it is read.
const BAD_ID: &str = "its id can be no part of an audit file's name: at most 100 of `A-Za-z0-9._-`, no dot first; no \
                      scheduler of this product made it";

impl Pipeline {
    /// Takes a claimed range all the way; answers how its lease ends. The slot is given to the next range as soon as
    /// this one holds no rows any more.
    pub async fn process(&self, lease: Lease, slot: Slot) -> Result<Counted, GivenUp> {
        let job = lease.job();
        let span = tracing::info_span!(
            "range",
            job = job.id,
            token = lease.token(),
            attempt = job.attempts
        );
        self.account_for(&lease, &slot).instrument(span).await
    }

    async fn account_for(&self, lease: &Lease, slot: &Slot) -> Result<Counted, GivenUp> {
        if !audit_csv::is_name(&lease.job().id) {
            return Err(GivenUp::buried(BAD_ID.to_owned()));
        }
        let range = match weldfleet_fleet::range_of(lease.job()) {
            Ok(range) => range,
            Err(error) => return Err(GivenUp::buried(error.to_string())),
        };
        let started = Instant::now();
        let ended = match self.walk(lease, slot, &range).await {
            Ok(counted) => {
                let counts = counted.counts;
                tracing::info!(
                    rows = counts.rows(),
                    nok = counts.nok,
                    invalid = counts.invalid + counts.poison,
                    error = counts.error,
                    ms = started.elapsed().as_millis() as u64,
                    "range judged"
                );
                self.gate.worked();
                lock(&self.excused).remove(&lease.job().id);
                Ok(counted)
            }
            Err(stopped) => Err(self.give_up(lease, stopped).await),
        };
        let outcome = ended.as_ref().map_or_else(GivenUp::outcome, |_| "acked");
        metrics::counter!("weldfleet_ranges_total", "outcome" => outcome).increment(1);
        metrics::histogram!("weldfleet_range_seconds").record(started.elapsed());
        ended
    }

    async fn walk(&self, lease: &Lease, slot: &Slot, range: &Range) -> Result<Counted, Stopped> {
        let claimed = Stage::claimed(self, lease, slot, range);
        let mirrored = match claimed.fetch().await? {
            Fetched::Rows(rows) => rows.judge().await?.write_back().await?,
            Fetched::NoneLeft(range) => range.committed_earlier().await?,
        };
        mirrored.count().await
    }
}
