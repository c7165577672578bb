//! Before anything else: the queue is this table's.

use tokio::time::sleep;
use weldfleet_fleet::queue_failure;
use weldfleet_queue::Queue;
use weldfleet_service::{Failure, exit::causes};
use weldfleet_stores::{StoreError, clickhouse::SourceTable};

use super::{
    Daemon,
    outage::{self, Backoff, CLICKHOUSE, REDIS},
    slicing,
};

/// Waits until ClickHouse says which table this is, and Redis that the queue is its; `None` when stopped.
///
/// # Errors
/// If the queue is another fleet's, or Redis does not let us in.
pub async fn own(daemon: &Daemon) -> Result<Option<Queue>, Failure> {
    let mut backoff = Backoff::default();
    loop {
        match owned(daemon).await {
            Ok(queue) => {
                outage::ends(&daemon.health, CLICKHOUSE);
                match queue.own().await {
                    Ok(()) => {
                        outage::ends(&daemon.health, REDIS);
                        return Ok(Some(queue));
                    }
                    Err(error) if !error.is_outage() || error.is_denied() => {
                        return Err(queue_failure(error));
                    }
                    Err(error) => {
                        outage::begins(&daemon.health, REDIS, &causes(&error));
                    }
                }
            }
            Err(error) => {
                outage::begins(&daemon.health, CLICKHOUSE, &slicing::advice(&error));
                match daemon.queue.ping().await {
                    Ok(_) => outage::ends(&daemon.health, REDIS),
                    Err(error) => outage::begins(&daemon.health, REDIS, &causes(&error)),
                }
            }
        }
        let wait = sleep(backoff.failed());
        if daemon.stop.run_until_cancelled(wait).await.is_none() {
            return Ok(None);
        }
    }
}

/// The queue for the table, once that is what it must be.
async fn owned(daemon: &Daemon) -> Result<Queue, StoreError> {
    SourceTable::inspect(&daemon.settings).await?;
    let owned = weldfleet_fleet::owned(daemon.queue.clone(), &daemon.settings).await?;
    Ok(owned.unwrap_or_else(|_| daemon.queue.clone()))
}
