//! Step 4: MySQL follows what was committed, and never holds up judging.
//!
//! A mirror that is away costs nothing but a lag: the range is acked all the same, and the scheduler's mirror
//! reconciler makes the day equal again. After a failure the mirror is left alone for a moment, so that a server which
//! accepts connections and answers nothing does not cost every range its patience.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use weldfleet_service::metrics;
use weldfleet_stores::{
    StoreError,
    mysql::{CommittedRange, Mirror},
};

/// Longest wait for the mirror of one range.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the mirror is left alone after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// The mirror as the pipeline uses it.
pub struct Mirroring {
    mirror: Mirror,
    failed_at: Mutex<Option<Instant>>,
}

impl Mirroring {
    /// Follows into this mirror.
    pub fn new(mirror: Mirror) -> Self {
        Self {
            mirror,
            failed_at: Mutex::new(None),
        }
    }

    /// Mirrors the ranges, unless MySQL is away.
    ///
    /// # Errors
    /// Only what ClickHouse, the side that is read, failed with.
    pub async fn mirror(&self, ranges: &[&CommittedRange]) -> Result<(), StoreError> {
        if self.resting() {
            metrics::counter!("weldfleet_mirror_skipped_total").increment(1);
            return Ok(());
        }
        let mirrored = tokio::time::timeout(PATIENCE, self.mirror.mirror_all(ranges)).await;
        let failure = match mirrored {
            Ok(Ok(_)) => {
                self.rest_from(None);
                metrics::gauge!("weldfleet_dependency_up", "dependency" => "mysql").set(1.0);
                return Ok(());
            }
            // The side that is read: whatever it is, other ranges need it too.
            Ok(Err(
                error @ (StoreError::ClickHouse { .. } | StoreError::ClickHouseSilent { .. }),
            )) => {
                return Err(error);
            }
            Ok(Err(error)) => error.chain(),
            Err(_) => format!("mysql: no answer for {} s", PATIENCE.as_secs()),
        };
        self.rest_from(Some(Instant::now()));
        metrics::gauge!("weldfleet_dependency_up", "dependency" => "mysql").set(0.0);
        metrics::counter!("weldfleet_mirror_failures_total").increment(1);
        tracing::warn!(
            error = failure,
            "mirror lags, judging goes on; the scheduler reconciles it"
        );
        Ok(())
    }

    fn resting(&self) -> bool {
        let failed_at = self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failed_at.is_some_and(|at| at.elapsed() < PAUSE)
    }

    fn rest_from(&self, at: Option<Instant>) {
        *self
            .failed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = at;
    }
}
