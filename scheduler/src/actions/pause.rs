//! Nothing new is claimed, fleet-wide, until somebody resumes.

use weldfleet_breaker::Tally;
use weldfleet_queue::{Pause, Queue, QueueError};
use weldfleet_stores::clickhouse::Event;

use super::By;
use crate::events::RESUMED;

/// What came of it.
pub enum Paused {
    Now(Event),
    Already(Pause),
    /// Somebody resumed at this moment.
    Resumed,
}

pub async fn pause(queue: &Queue, by: &By) -> Result<Paused, QueueError> {
    if queue.pause(&by.why, &by.who).await? {
        return Ok(Paused::Now(by.event("pause", "fleet", "")));
    }
    let known = queue.paused().await?;
    Ok(known.map_or(Paused::Resumed, Paused::Already))
}

/// `None` if it was not paused.
pub async fn resume(queue: &Queue, by: &By) -> Result<Option<Event>, QueueError> {
    let paused = queue.paused().await?;
    // First the breaker's counts, or it would trip again at the next range for what it tripped for.
    Tally::new(queue.clone()).reset().await?;
    if !queue.resume().await? {
        return Ok(None);
    }
    let was = paused.map_or_else(String::new, |pause| {
        RESUMED.words(&[&pause.by, &pause.reason]).en
    });
    Ok(Some(by.event("resume", "fleet", was)))
}
