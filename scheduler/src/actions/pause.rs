//! Nothing new is claimed, fleet-wide, until somebody resumes.

use weldfleet_breaker::Tally;
use weldfleet_queue::{Pause, Queue, QueueError};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::Event;

use super::{By, refused::Refused};
use crate::{events::RESUMED, settle};

/// What came of it.
pub enum Paused {
    Now(Event),
    Already(Pause),
    /// Somebody resumed at this moment.
    Resumed,
}

/// What came of letting it go on.
pub enum Resumed {
    Now(Event),
    WasNot,
    Refused(Refused),
}

pub async fn pause(queue: &Queue, by: &By) -> Result<Paused, QueueError> {
    if queue.pause(&by.why, &by.who).await? {
        return Ok(Paused::Now(by.event("pause", "fleet", "")));
    }
    let known = queue.paused().await?;
    // One for settling would end by itself.
    if let Some(pause) = known
        .as_ref()
        .filter(|pause| settle::ends_ms(pause).is_some())
        && queue.pause_instead_of(&pause.by, &by.why, &by.who).await?
    {
        return Ok(Paused::Now(by.event("pause", "fleet", "")));
    }
    Ok(known.map_or(Paused::Resumed, Paused::Already))
}

pub async fn resume(settings: &Settings, queue: &Queue, by: &By) -> Result<Resumed, QueueError> {
    let stats = queue.stats().await?;
    if let Some(refused) = settle::keeps_still(settings, queue, &stats).await {
        return Ok(Resumed::Refused(refused));
    }
    // First the breaker's counts, or it would trip again at the next range for what it tripped for.
    Tally::new(queue.clone()).reset().await?;
    let Some(pause) = stats.paused else {
        return Ok(Resumed::WasNot);
    };
    if !queue.resume_of(&pause.by).await? {
        return Ok(Resumed::WasNot);
    }
    let was = RESUMED.words(&[&pause.by, &pause.reason]).en;
    Ok(Resumed::Now(by.event("resume", "fleet", was)))
}
