//! Step 4: MySQL follows what was committed, and never holds up judging.
//!
//! A mirror that is away costs nothing but a lag: the range is acked all the same, and the scheduler's mirror
//! reconciler makes the day equal again. After a failure the mirror is left alone for a moment, so that a server which
//! accepts connections and answers nothing does not cost every range its patience.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use weldfleet_service::{lock, metrics};
use weldfleet_stores::{
    StoreError,
    mysql::{CommittedRange, Mirror, NokTable},
};

/// Longest wait for the mirror of one range.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long rows are looked for that MySQL refuses: removing, timing and adding rows each may, within the patience.
const SEARCH: Duration = Duration::from_secs(1);
/// How long the mirror is left alone after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// After so long without another failure no range is tried any more, and MySQL is asked itself.
const ASK_AFTER: Duration = Duration::from_secs(15);

/// The mirror as the pipeline uses it.
pub struct Mirroring {
    mirror: Mirror,
    failed_at: FailedAt,
}

/// When MySQL failed last; `None`: it works.
#[derive(Clone, Default)]
struct FailedAt(Arc<Mutex<Option<Instant>>>);

impl FailedAt {
    fn age(&self) -> Option<Duration> {
        let at = *lock(&self.0);
        at.map(|at| at.elapsed())
    }

    /// Notes how it is, and tells it; whether it was as well.
    fn note(&self, at: Option<Instant>) -> bool {
        let up = if at.is_none() { 1.0 } else { 0.0 };
        metrics::gauge!("weldfleet_dependency_up", "dependency" => "mysql").set(up);
        let mut known = lock(&self.0);
        std::mem::replace(&mut *known, at).is_none()
    }

    /// Asks MySQL until it answers: once production has ended no range finds out that it does.
    async fn until_it_works(self, table: NokTable) {
        while let Some(age) = self.age() {
            let asked = age >= ASK_AFTER;
            if asked
                && matches!(
                    tokio::time::timeout(PATIENCE, table.check()).await,
                    Ok(Ok(()))
                )
            {
                self.note(None);
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Mirroring {
    pub fn new(mirror: Mirror) -> Self {
        Self {
            mirror: mirror.searching_for(SEARCH),
            failed_at: FailedAt::default(),
        }
    }

    /// Mirrors the ranges, unless MySQL is away.
    ///
    /// # Errors
    /// Only what ClickHouse, the side that is read, failed with.
    pub async fn mirror(&self, ranges: &[&CommittedRange]) -> Result<(), StoreError> {
        if self.failed_at.age().is_some_and(|age| age < PAUSE) {
            metrics::counter!("weldfleet_mirror_skipped_total").increment(1);
            return Ok(());
        }
        let mirrored = tokio::time::timeout(PATIENCE, self.mirror.mirror_all(ranges)).await;
        let failure = match mirrored {
            Ok(Ok(change)) => {
                if change.refused.rows > 0 {
                    tracing::warn!(refused = %change.refused, "the mirror goes on without these records");
                }
                self.failed_at.note(None);
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
        if self.failed_at.note(Some(Instant::now())) {
            let table = self.mirror.table().clone();
            tokio::spawn(self.failed_at.clone().until_it_works(table));
        }
        metrics::counter!("weldfleet_mirror_failures_total").increment(1);
        tracing::warn!(
            error = failure,
            "mirror lags, judging goes on; the scheduler reconciles it"
        );
        Ok(())
    }
}
