//! What is read for the pages of welds and events. Each reads rows, so few are read at a time.
//!
//! - [`list`]: NOK welds; [`one`]: one weld.

mod list;
mod one;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    StoreError,
    clickhouse::{EventKey, EventLine, Events, Server, SourceTable, TableWatch},
    mysql::NokTable,
};

use super::problem::Problem;
#[cfg(test)]
pub use list::WeldList;
pub use list::{Listed, NokPage};
pub use one::{OneWeld, Unjudged};

/// How long ClickHouse may take for a page.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages of this kind that are made at a time: each reads rows.
const AT_ONCE: usize = 2;
/// How long MySQL may take: without it there are welds still.
const REVIEW_PATIENCE: Duration = Duration::from_secs(3);
/// How long all that is read for one page may take.
const LONGEST: Duration = Duration::from_secs(30);

/// Reads welds. Cheap to clone.
#[derive(Clone)]
pub struct Welds {
    settings: Arc<Settings>,
    table: Arc<Mutex<Option<(SourceTable, TableWatch)>>>,
    /// NOK welds as people see them; `None` where `mysql.enabled` is off.
    records: Option<NokTable>,
    turns: Arc<Semaphore>,
    /// Events are few: they wait for nobody who reads welds.
    event_turns: Arc<Semaphore>,
}

/// Why something was not read.
enum ReadError {
    Table(StoreError),
    Reviews(Problem),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Table(error)
    }
}

/// How long ClickHouse may work on an answer that is waited for so long; an account of the console's own has its bound
/// in its profile.
fn bound(settings: &Settings, patience: Duration) -> Option<Duration> {
    settings
        .clickhouse
        .console_user
        .is_empty()
        .then_some(patience)
}

/// The table as the console looks at it.
pub async fn inspect(settings: &Settings, patience: Duration) -> Result<SourceTable, StoreError> {
    let table = SourceTable::inspect_within(patience, settings).await?;
    Ok(table.for_looking(bound(settings, patience)))
}

impl Welds {
    pub fn new(settings: Arc<Settings>) -> Result<Self, StoreError> {
        Ok(Self {
            records: NokTable::new(&settings)?,
            settings,
            table: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            event_turns: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Where reviews are kept, or why there is no such place.
    pub fn reviewed(&self) -> Result<&NokTable, Problem> {
        let records = self.records.as_ref().ok_or(Problem::NoMySql)?;
        match records.takes_reviews() {
            true => Ok(records),
            false => Err(Problem::NoReviewColumn),
        }
    }

    /// What people and the fleet did, the latest first.
    pub async fn events(
        &self,
        limit: u32,
        before: Option<EventKey>,
    ) -> Result<Vec<EventLine>, Problem> {
        let server = Server::new(&self.settings.clickhouse).with_patience(PATIENCE);
        let events = Events::on(server.for_looking(bound(&self.settings, PATIENCE)));
        let read = async { Ok(events.latest(limit, before).await?) };
        self.in_turn(&self.event_turns, read).await
    }

    async fn table(&self) -> Result<SourceTable, StoreError> {
        let mut known = self.table.lock().await;
        if let Some((table, watch)) = &mut *known
            && !watch.sees_another(table).await?
        {
            return Ok(table.clone());
        }
        let table = inspect(&self.settings, PATIENCE).await?;
        *known = Some((table.clone(), TableWatch::default()));
        Ok(table)
    }

    /// Where reviews are kept, if the columns hold what is written there: MySQL might cut it.
    pub async fn reviewable(&self) -> Result<&NokTable, Problem> {
        let records = self.reviewed()?;
        match in_time(records.unfit_reviews()).await? {
            None => Ok(records),
            Some(unfit) => Err(Problem::UnfitReviews(unfit)),
        }
    }

    async fn in_turn<T>(
        &self,
        turns: &Semaphore,
        read: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, Problem> {
        let Ok(Ok(_turn)) = timeout(PATIENCE, turns.acquire()).await else {
            return Err(Problem::Busy);
        };
        match timeout(LONGEST, read).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(ReadError::Reviews(why))) => Err(why),
            Ok(Err(ReadError::Table(error))) => {
                // The table may have changed since it was looked at.
                *self.table.lock().await = None;
                Err(error.into())
            }
            Err(_) => Err(Problem::Slow {
                seconds: LONGEST.as_secs(),
            }),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    match timeout(REVIEW_PATIENCE, work).await {
        Ok(done) => done.map_err(Problem::from),
        Err(_) => Err(Problem::MySqlSilent {
            seconds: REVIEW_PATIENCE.as_secs(),
        }),
    }
}
