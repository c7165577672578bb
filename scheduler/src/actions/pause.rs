//! Nothing new is claimed, fleet-wide, until somebody resumes.

use std::time::Duration;

use weldfleet_breaker::Tally;
use weldfleet_queue::{Pause, Queue, QueueError, Stats};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::{Event, SourceTable};

use super::{By, refused::Refused};
use crate::{clock::time_of_day, events::RESUMED, settle};

/// How long ClickHouse is asked whether it applies patches.
const PATIENCE: Duration = Duration::from_secs(5);

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
    if let Some(refused) = keeps_still(settings, queue, &stats).await {
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

/// Why the fleet must not go on now; `None`: it may. While ClickHouse cannot be asked nothing is written either.
async fn keeps_still(settings: &Settings, queue: &Queue, stats: &Stats) -> Option<Refused> {
    let pause = stats.paused.as_ref()?;
    if let Some(ends) = settle::ends_ms(pause)
        && !settle::is_abandoned(pause, queue, stats.now)
    {
        let until = time_of_day(ends, settings.scheduler.timezone.rules());
        return Some(Refused::Settling { until });
    }
    let applying = async { SourceTable::inspect(settings).await?.applying().await };
    let applying = tokio::time::timeout(PATIENCE, applying).await;
    let applying = applying.ok()?.ok()??;
    Some(Refused::Applying {
        seconds: applying.seconds,
        parts: applying.parts_left,
    })
}
