//! What the commands and the daemon work on, opened from the settings.

use std::sync::Arc;

use weldfleet_fleet::queue_failure;
pub use weldfleet_fleet::store_failure;
use weldfleet_queue::{Queue, QueueError};
use weldfleet_service::{Failure, errln};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    StoreError,
    clickhouse::{Runs, SourceTable},
    mysql::NokTable,
};

/// The queue and ClickHouse.
#[derive(Clone)]
pub struct Dependencies {
    pub settings: Arc<Settings>,
    pub queue: Queue,
    pub table: SourceTable,
    pub runs: Runs,
}

/// Which of them failed. What was done until then stands; the next pass, or the next try, goes on.
#[derive(Debug, thiserror::Error)]
pub enum DependencyError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Dependencies {
    /// Opens both; ClickHouse must answer, Redis need not yet. The queue must not be another table's.
    pub async fn open(settings: Arc<Settings>) -> Result<Self, Failure> {
        let queue = queue(&settings)?;
        let table = inspect(&settings).await?;
        let owned = weldfleet_fleet::owned(queue, &settings).await;
        let queue = owned.map_err(store_failure)?.map_err(queue_failure)?;
        match queue.check_owner().await {
            Err(error) if !error.is_outage() => return Err(queue_failure(error)),
            _ => {}
        }
        Ok(Self::of(settings, queue, table))
    }

    pub fn of(settings: Arc<Settings>, queue: Queue, table: SourceTable) -> Self {
        Self {
            runs: Runs::new(&settings),
            settings,
            queue,
            table,
        }
    }
}

/// The plant's table as it is now.
pub async fn inspect(settings: &Settings) -> Result<SourceTable, Failure> {
    SourceTable::inspect(settings).await.map_err(store_failure)
}

/// The configured queue; nothing is connected yet.
pub fn queue(settings: &Settings) -> Result<Queue, Failure> {
    let options = weldfleet_fleet::queue_options(settings);
    Queue::new(options).map_err(queue_failure)
}

/// The configured queue for a command that needs no ClickHouse: Redis must answer, and the queue must not be another
/// table's. Whose it is cannot be told while ClickHouse is away; a command that a person gave then goes on.
pub async fn own_queue(settings: &Settings) -> Result<Queue, Failure> {
    let queue = queue(settings)?;
    queue.ping().await.map_err(queue_failure)?;
    match weldfleet_fleet::owned(queue.clone(), settings).await {
        Ok(owned) => {
            let queue = owned.map_err(queue_failure)?;
            queue.check_owner().await.map_err(queue_failure)?;
            Ok(queue)
        }
        Err(error) => {
            errln!("note: {}", untold(settings, &error));
            Ok(queue)
        }
    }
}

/// The same for `pause` and `resume`: they must work after a restore onto another server, too, where the queue is still
/// the old table's. Whoever asks is told.
pub async fn steered_queue(settings: &Settings) -> Result<Queue, Failure> {
    let queue = queue(settings)?;
    queue.ping().await.map_err(queue_failure)?;
    let owned = match weldfleet_fleet::owned(queue.clone(), settings).await {
        Ok(owned) => owned.map_err(queue_failure)?,
        Err(error) => {
            errln!("note: {}", untold(settings, &error));
            return Ok(queue);
        }
    };
    match owned.check_owner().await {
        Ok(()) => {}
        Err(error @ QueueError::Foreign { .. }) => {
            errln!("note: {:#}", queue_failure(error).error);
        }
        Err(error) => return Err(queue_failure(error)),
    }
    Ok(queue)
}

fn untold(settings: &Settings, error: &StoreError) -> String {
    format!(
        "whether redis.queue = \"{}\" is this table's cannot be told: {}",
        settings.redis.queue,
        error.chain()
    )
}

/// Refuses a table of an application that cannot take what is mapped to it; one that is away costs a lag.
pub async fn check_mirror(settings: &Settings) -> Result<(), Failure> {
    let table = NokTable::new(settings).map_err(store_failure)?;
    let Some(table) = table.filter(NokTable::is_applications) else {
        return Ok(());
    };
    match table.check_columns().await {
        Err(error @ StoreError::Schema(_)) => Err(store_failure(error)),
        Err(error) => {
            tracing::warn!(error = error.chain(), "the mirror cannot be looked at yet");
            Ok(())
        }
        Ok(()) => {
            if let Ok(Some(unfit)) = table.unfit_reviews().await {
                tracing::warn!(reason = unfit, "no weld can be reviewed in the console");
            }
            Ok(())
        }
    }
}
