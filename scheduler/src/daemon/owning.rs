//! Before anything else: the queue is this table's.

use weldfleet_cli::Failure;
use weldfleet_queue::Queue;
use weldfleet_stores::{StoreError, clickhouse::SourceTable};

use super::{
    Daemon, slicing,
    trouble::{self, Backoff, CLICKHOUSE, REDIS},
};
use crate::parts::queue_failure;

/// Waits until ClickHouse says which table this is, and Redis that the queue is its; `None` when stopped.
///
/// # Errors
/// If the queue is another fleet's, or Redis does not let us in.
pub async fn own(daemon: &Daemon) -> Result<Option<Queue>, Failure> {
    let mut backoff = Backoff::default();
    loop {
        match owned(daemon).await {
            Ok(queue) => {
                trouble::works(&daemon.health, CLICKHOUSE);
                match queue.own().await {
                    Ok(()) => {
                        trouble::works(&daemon.health, REDIS);
                        return Ok(Some(queue));
                    }
                    Err(error) if !error.is_outage() || error.is_denied() => {
                        return Err(queue_failure(error));
                    }
                    Err(error) => {
                        trouble::note(&daemon.health, REDIS, &trouble::of_queue(&error));
                    }
                }
            }
            Err(error) => {
                trouble::note(&daemon.health, CLICKHOUSE, &slicing::advice(&error));
                match daemon.queue.ping().await {
                    Ok(_) => trouble::works(&daemon.health, REDIS),
                    Err(error) => trouble::note(&daemon.health, REDIS, &trouble::of_queue(&error)),
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.failed()) => {}
            () = daemon.stop.cancelled() => return Ok(None),
        }
    }
}

/// The queue for the table, once that is what it must be.
async fn owned(daemon: &Daemon) -> Result<Queue, StoreError> {
    SourceTable::inspect(&daemon.settings).await?;
    let owner = weldfleet_fleet::owner(&daemon.settings).await?;
    let owned = owner.and_then(|owner| daemon.queue.owned_by(owner).ok());
    Ok(owned.unwrap_or_else(|| daemon.queue.clone()))
}
