//! `scheduler pause` and `scheduler resume`

use weldfleet_fleet::queue_failure;
use weldfleet_service::{Exit, Failure, outln};
use weldfleet_settings::Settings;

use super::{keep, operator};
use crate::{
    actions::pause::{self, Paused, Resumed},
    dependencies::own_queue,
};

pub async fn pause(settings: &Settings, reason: &str) -> Result<Exit, Failure> {
    let queue = own_queue(settings).await?;
    let paused = pause::pause(&queue, &operator(reason)).await;
    match paused.map_err(queue_failure)? {
        Paused::Now(event) => {
            keep(settings, &[event]).await;
            outln!("paused: nothing new is claimed; leases already held are finished");
        }
        Paused::Already(pause) => outln!("already paused by {}: {}", pause.by, pause.reason),
        Paused::Resumed => {
            outln!("somebody resumed at this moment; pause again if you mean it");
        }
    }
    Ok(Exit::Done)
}

pub async fn resume(settings: &Settings, reason: &str) -> Result<Exit, Failure> {
    let queue = own_queue(settings).await?;
    let resumed = pause::resume(settings, &queue, &operator(reason)).await;
    match resumed.map_err(queue_failure)? {
        Resumed::Now(event) => {
            keep(settings, &[event]).await;
            outln!("resumed: workers claim again");
        }
        Resumed::WasNot => outln!("was not paused"),
        Resumed::Refused(why) => return Err(why.failure()),
    }
    Ok(Exit::Done)
}
