//! What the commands and the daemon work on, opened from the settings.

use std::sync::Arc;

pub use weldfleet_fleet::store_failure;
use weldfleet_fleet::{DayGroup, queue_failure};
use weldfleet_queue::{Queue, QueueError};
use weldfleet_service::{Failure, errln};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    StoreError,
    clickhouse::{Runs, SourceTable, TableWatch},
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

impl DependencyError {
    /// See [`StoreError::is_outage`], [`QueueError::is_outage`].
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Queue(error) => error.is_outage(),
            Self::Store(error) => error.is_outage(),
        }
    }
}

/// The plant's table, inspected once, and again where another one has taken its place.
#[derive(Default)]
pub struct WatchedTable(Option<(SourceTable, TableWatch)>);

impl WatchedTable {
    /// The table, and whether it was inspected just now.
    pub async fn get(&mut self, settings: &Settings) -> Result<(&SourceTable, bool), StoreError> {
        if let Some((table, watch)) = &mut self.0
            && watch.sees_another(table).await?
        {
            self.forget();
        }
        match self.0 {
            Some((ref table, _)) => Ok((table, false)),
            None => {
                let table = SourceTable::inspect(settings).await?;
                let (table, _) = self.0.insert((table, TableWatch::default()));
                Ok((table, true))
            }
        }
    }

    pub fn forget(&mut self) {
        self.0 = None;
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
    let queue = answering_queue(settings).await?;
    queue.check_owner().await.map_err(queue_failure)?;
    Ok(queue)
}

/// The same for `pause` and `resume`: they must work after a restore onto another server, too, where the queue is still
/// the old table's. Whoever asks is told.
pub async fn steered_queue(settings: &Settings) -> Result<Queue, Failure> {
    let queue = answering_queue(settings).await?;
    match queue.check_owner().await {
        Err(error @ QueueError::Foreign { .. }) => {
            errln!("note: {:#}", queue_failure(error).error);
        }
        checked => checked.map_err(queue_failure)?,
    }
    Ok(queue)
}

/// For this table's owner, or for none while ClickHouse is away, of which whoever asks is told.
async fn answering_queue(settings: &Settings) -> Result<Queue, Failure> {
    let queue = queue(settings)?;
    queue.ping().await.map_err(queue_failure)?;
    match weldfleet_fleet::owned(queue.clone(), settings).await {
        Ok(owned) => owned.map_err(queue_failure),
        Err(error) => {
            errln!(
                "note: whether redis.queue = \"{}\" is this table's cannot be told: {}",
                settings.redis.queue,
                error.chain()
            );
            Ok(queue)
        }
    }
}

/// The days of runs that have outstanding jobs, dead ones included, and how many.
pub async fn day_groups(queue: &Queue) -> Result<Vec<(DayGroup, u64)>, QueueError> {
    let groups = queue.groups().await?.into_iter();
    let of_days = groups.filter_map(|group| Some((group.name.parse().ok()?, group.outstanding)));
    Ok(of_days.collect())
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
