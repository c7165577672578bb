//! Questions over whole days: ClickHouse takes as long as it needs, ends with whoever asks, and a person sees that it
//! works.

use std::time::{Duration, Instant};

use weldfleet_service::{Failure, errln, output::spoken};
use weldfleet_settings::Settings;
use weldfleet_stores::{StoreError, clickhouse::SourceTable};

use crate::dependencies::{inspect, store_failure};

/// Thirty days of a large plant, just judged anew, take a quarter of an hour.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Time between two lines on standard error.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The table, for such questions.
pub async fn table(settings: &Settings) -> Result<SourceTable, Failure> {
    let table = inspect(settings).await?;
    Ok(table.with_patience(PATIENCE).for_looking(None))
}

/// The answer; says now and then what is being counted.
pub async fn answer<T>(
    what: &str,
    asking: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Failure> {
    let began = Instant::now();
    let mut asking = std::pin::pin!(asking);
    loop {
        match tokio::time::timeout(LINE_EVERY, &mut asking).await {
            Ok(answer) => return answer.map_err(store_failure),
            Err(_) => errln!("ClickHouse counts {what} since {}", spoken(began.elapsed())),
        }
    }
}
