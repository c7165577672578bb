//! Whether a plant's keys identify its welds.

use std::fmt;

use weldfleet_settings::Settings;

use super::{LatestDays, Schema, Server, block::DUPLICATE_KEY, latest_days::latest_days};
use crate::errors::StoreError;

/// Rows looked at, the last ones: enough to see a habit, and a second's work.
const ROWS: u64 = 1_000_000;
/// A day with fewer rows than these says little, and the days before it are looked at, too.
const FEW: u32 = 1000;

/// Keys of some days that more than one row has, of versions the ones that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedKeys {
    /// The latest days with rows.
    pub days: LatestDays,
    /// How many such keys.
    pub keys: u64,
    /// How many rows have one of them.
    pub rows: u64,
    /// One of them, `<ck_local_time> <record_id>`.
    pub example: String,
}

impl fmt::Display for RepeatedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} keys of day {} are in more than one row ({} rows), e.g. `{}`: rows with one key and different content are \
             invalid, {DUPLICATE_KEY}; (data_date, ck_local_time, record_id) must identify a weld",
            self.keys, self.days, self.rows, self.example
        )
    }
}

/// Looks at the latest days with rows; `None` where its keys are unique, or there is no row or no table.
///
/// # Errors
/// If the table cannot be read or worked with.
pub async fn repeated_keys(settings: &Settings) -> Result<Option<RepeatedKeys>, StoreError> {
    let server = Server::new(&settings.clickhouse).selecting(&settings.tables);
    let Some(schema) = Schema::load(&server, settings).await? else {
        return Ok(None);
    };
    let (date, zone) = (schema.column("data_date"), &schema.plant_zone);
    let Some(days) = latest_days(&server, &schema.source, date, zone, FEW).await? else {
        return Ok(None);
    };
    let (time, id) = (schema.column("ck_local_time"), schema.column("record_id"));
    let sql = format!(
        "SELECT count(), sum(n), min(concat(toString({time}), ' ', toString({id}))) FROM \
         (SELECT {time}, {id}, count() AS n FROM \
         (SELECT {day} AS f_day, {time}, {id} FROM {source} WHERE {on_days} ORDER BY {time} DESC LIMIT {ROWS}) \
         GROUP BY f_day, {time}, {id} HAVING n > 1)",
        day = schema.day_number(),
        source = schema.rows(),
        on_days = days.condition,
    );
    let (keys, rows, example): (u64, u64, String) =
        server.one("look for repeated keys", &sql).await?;
    Ok((keys > 0).then_some(RepeatedKeys {
        days,
        keys,
        rows,
        example,
    }))
}
