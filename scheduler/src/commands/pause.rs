//! `scheduler pause` and `scheduler resume`

use weldfleet_breaker::Tally;
use weldfleet_fleet::queue_failure;
use weldfleet_service::{Exit, Failure, outln};
use weldfleet_settings::Settings;

use super::{operator, record};
use crate::dependencies::own_queue;

pub async fn pause(settings: &Settings, reason: &str) -> Result<Exit, Failure> {
    let queue = own_queue(settings).await?;
    let paused = queue.pause(reason, &operator()).await;
    if paused.map_err(queue_failure)? {
        record::record(settings, &[record::event("pause", "fleet", reason, "")]).await;
        outln!("paused: nothing new is claimed; leases already held are finished");
        return Ok(Exit::Done);
    }
    match queue.paused().await.map_err(queue_failure)? {
        Some(pause) => outln!("already paused by {}: {}", pause.by, pause.reason),
        None => outln!("somebody resumed at this moment; pause again if you mean it"),
    }
    Ok(Exit::Done)
}

pub async fn resume(settings: &Settings, reason: &str) -> Result<Exit, Failure> {
    let queue = own_queue(settings).await?;
    let paused = queue.paused().await.map_err(queue_failure)?;
    // First the breaker's counts, or it would trip again at the next range for what it tripped for.
    Tally::new(queue.clone())
        .reset()
        .await
        .map_err(queue_failure)?;
    if queue.resume().await.map_err(queue_failure)? {
        let was = paused.map_or_else(String::new, |pause| {
            format!("was paused by {}: {}", pause.by, pause.reason)
        });
        record::record(settings, &[record::event("resume", "fleet", reason, was)]).await;
        outln!("resumed: workers claim again");
    } else {
        outln!("was not paused");
    }
    Ok(Exit::Done)
}
