//! What must be done, or said, when Redis is not the one it was.

use weldfleet_queue::{Pause, Stats};
use weldfleet_stores::Day;

use super::PassError;
use crate::{dependencies::Dependencies, settle};

/// Redis as the last pass saw it.
#[derive(Debug, Default)]
pub struct Memory {
    born_at: Option<u64>,
    pause: Option<Pause>,
}

impl Memory {
    /// Compares; lifts the fencing counter above every token in ClickHouse where Redis is new to this process.
    pub async fn compare(
        &mut self,
        deps: &Dependencies,
        stats: &Stats,
        live_days: &[Day],
    ) -> Result<(), PassError> {
        if self.born_at != Some(stats.born_at) {
            // Before anything is enqueued, so before anything can be claimed.
            let largest = deps.table.max_token(live_days).await?;
            deps.queue.raise_token(largest).await?;
            if stats.born_at == 0 {
                // It forgot who leads, too: nothing of this pass will be accepted, and the next one tells.
                return Ok(());
            }
            if self.born_at.is_some() {
                tracing::warn!(
                    "redis forgot everything; jobs are made again from the rows and the open runs"
                );
                if let Some(pause) = &self.pause {
                    tracing::warn!(
                        reason = pause.reason,
                        by = pause.by,
                        "the fleet was paused and redis forgot that: it is claiming again; `scheduler pause` stops it"
                    );
                }
            }
            self.born_at = Some(stats.born_at);
            self.pause = None;
        }
        match (&self.pause, &stats.paused) {
            (None, Some(pause)) if settle::ends_ms(pause).is_some() => tracing::info!(
                by = pause.by,
                "the fleet stands still while a finished day is settled, and goes on by itself"
            ),
            (None, Some(pause)) => tracing::warn!(
                reason = pause.reason,
                by = pause.by,
                "the fleet is paused; `scheduler resume` lets it go on"
            ),
            (Some(_), None) => tracing::info!("the fleet is not paused any more"),
            _ => {}
        }
        self.pause.clone_from(&stats.paused);
        Ok(())
    }
}
