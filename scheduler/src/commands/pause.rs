//! `scheduler pause` and `scheduler resume`

use weldfleet_fleet::queue_failure;
use weldfleet_service::{Exit, Failure, outln};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::Events;

use super::{keep, operator, plain};
use crate::{
    actions::pause::{self, Paused, Resumed},
    dependencies::steered_queue,
    events::is_pause_lost,
};

pub async fn pause(settings: &Settings, reason: &str) -> Result<Exit, Failure> {
    let queue = steered_queue(settings).await?;
    let paused = pause::pause(&queue, &operator(reason)).await;
    match paused.map_err(queue_failure)? {
        Paused::Now(event) => {
            keep(settings, &[event]).await;
            outln!("paused: nothing new is claimed; leases already held are finished");
        }
        Paused::Already(pause) => {
            let (by, why) = (plain(&pause.by), plain(&pause.reason));
            outln!("already paused by {by}: {why}");
        }
        Paused::Resumed => {
            outln!("somebody resumed at this moment; pause again if you mean it");
        }
    }
    Ok(Exit::Done)
}

pub async fn resume(settings: &Settings, reason: &str) -> Result<Exit, Failure> {
    let queue = steered_queue(settings).await?;
    let resumed = pause::resume(settings, &queue, &operator(reason)).await;
    match resumed.map_err(queue_failure)? {
        Resumed::Now(event) => {
            keep(settings, &[event]).await;
            outln!("resumed: workers claim again");
        }
        Resumed::WasNot => {
            outln!("was not paused");
            // Somebody has seen that it goes on, so that nobody need be told any more.
            if is_pause_lost(&Events::new(settings)).await {
                keep(settings, &[operator(reason).event("resume", "fleet", "")]).await;
            }
        }
        Resumed::Refused(why) => return Err(why.failure()),
    }
    Ok(Exit::Done)
}
