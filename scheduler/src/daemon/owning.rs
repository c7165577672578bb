//! Before anything else: the queue is this table's.

use weldfleet_fleet::queue_failure;
use weldfleet_service::{Failure, exit::causes};
use weldfleet_stores::{StoreError, clickhouse::SourceTable};

use super::{
    Daemon,
    outage::{self, Backoff, CLICKHOUSE, REDIS},
};
use crate::dependencies::Dependencies;

/// Waits until ClickHouse says which table this is, and Redis that the queue is its; `None` when stopped.
///
/// # Errors
/// If the queue is another fleet's, or Redis does not let us in.
pub async fn own(daemon: &Daemon) -> Result<Option<Dependencies>, Failure> {
    let mut backoff = Backoff::default();
    while !daemon.stop.is_cancelled() {
        match open(daemon).await {
            Ok(deps) => {
                outage::ends(&daemon.health, CLICKHOUSE);
                match deps.queue.own().await {
                    Ok(()) => {
                        outage::ends(&daemon.health, REDIS);
                        return Ok(Some(deps));
                    }
                    Err(error) if !error.is_outage() || error.is_denied() => {
                        return Err(queue_failure(error));
                    }
                    Err(error) => outage::begins(&daemon.health, REDIS, &causes(&error)),
                }
            }
            Err(error) => {
                outage::begins(&daemon.health, CLICKHOUSE, &outage::advice(&error));
                match daemon.queue.ping().await {
                    Ok(_) => outage::ends(&daemon.health, REDIS),
                    Err(error) => outage::begins(&daemon.health, REDIS, &causes(&error)),
                }
            }
        }
        daemon.sleep(backoff.failed()).await;
    }
    Ok(None)
}

/// The table, once it is what it must be, and the queue for it.
async fn open(daemon: &Daemon) -> Result<Dependencies, StoreError> {
    let (settings, queue) = (daemon.settings.clone(), daemon.queue.clone());
    let table = SourceTable::inspect(&settings).await?;
    let owned = weldfleet_fleet::owned(queue.clone(), &settings).await?;
    Ok(Dependencies::of(settings, owned.unwrap_or(queue), table))
}
