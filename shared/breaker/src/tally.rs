//! The fleet's counts in Redis.

use weldfleet_queue::{Queue, QueueError};

use crate::{Limits, RangeCounts, Window, decide};

const RECORD: &str = include_str!("record.lua");

/// Counts of the last ranges, shared by the fleet: `weldfleet:{queue}:breaker:ranges` and `…:breaker:verdicts`,
/// reached through the queue's own connection.
#[derive(Clone)]
pub struct Tally {
    queue: Queue,
    ranges_key: String,
    verdicts_key: String,
}

impl Tally {
    /// The tally of one queue.
    pub fn new(queue: Queue) -> Self {
        let ranges_key = queue.keys().named("breaker:ranges");
        let verdicts_key = queue.keys().named("breaker:verdicts");
        Self {
            queue,
            ranges_key,
            verdicts_key,
        }
    }

    /// Adds a finished range, and pauses the fleet in this name where the window says so (law 8 of `docs/CONTRACT.md`).
    /// A tally that cannot be kept must not stop judging.
    pub async fn add(&self, counts: RangeCounts, limits: &Limits, by: &str) {
        let reason = match self.record(counts, limits).await {
            Ok(window) => decide(limits, &window),
            Err(error) => {
                tracing::warn!(%error, "cannot keep the breaker's tally");
                None
            }
        };
        let Some(reason) = reason else { return };
        tracing::error!(reason, "pausing the fleet");
        if let Err(error) = self.queue.pause(&reason, by).await {
            tracing::error!(%error, "cannot pause the fleet");
        }
    }

    /// Adds a finished range; answers the window it now stands in: the last ranges, at least so many of them and of
    /// their rows.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn record(&self, counts: RangeCounts, limits: &Limits) -> Result<Window, QueueError> {
        let mut command = redis::cmd("EVAL");
        command
            .arg(RECORD)
            .arg(2)
            .arg(&self.ranges_key)
            .arg(&self.verdicts_key)
            .arg(counts.ok)
            .arg(counts.nok)
            .arg(counts.unjudged)
            .arg(limits.over_ranges)
            .arg(limits.over_rows);
        let answer = self.queue.command(&command).await?;
        let (ranges, rows, unjudged, same_verdict, same_rows) = redis::from_redis_value(answer)
            .map_err(|error| QueueError::Reply {
                operation: "breaker tally",
                detail: error.to_string(),
            })?;
        Ok(Window {
            ranges,
            rows,
            unjudged,
            same_verdict,
            same_rows,
        })
    }

    /// Forgets everything, so that a resumed fleet is not paused for what it was paused for.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn reset(&self) -> Result<(), QueueError> {
        let mut command = redis::cmd("DEL");
        command.arg(&self.ranges_key).arg(&self.verdicts_key);
        self.queue.command(&command).await.map(|_| ())
    }
}
