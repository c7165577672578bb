//! Whether a plant's keys identify its welds.

use std::fmt;

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::Settings;

use super::{Schema, Server, block::DUPLICATE_KEY};
use crate::{errors::StoreError, range::Day};

/// Rows looked at, the day's last: enough to see a habit, and a second's work.
const ROWS: u64 = 1_000_000;

/// Keys of a day that more than one row has, of versions the ones that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedKeys {
    /// The latest day with rows.
    pub day: Day,
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
            self.keys, self.day, self.rows, self.example
        )
    }
}

#[derive(Row, Deserialize)]
struct Repeated {
    keys: u64,
    rows: u64,
    example: String,
}

/// Looks at the latest day with rows; `None` where its keys are unique, or there is no row or no table.
///
/// # Errors
/// If the table cannot be read or worked with.
pub async fn repeated_keys(settings: &Settings) -> Result<Option<RepeatedKeys>, StoreError> {
    let server = Server::new(&settings.clickhouse).selecting(&settings.tables);
    let Some(schema) = Schema::load(&server, settings).await? else {
        return Ok(None);
    };
    let latest = format!(
        "SELECT toUInt32(max({})) FROM {}",
        schema.day_number(),
        schema.source
    );
    let latest: u32 = server.one("find the latest day", &latest).await?;
    let Ok(day) = Day::new(latest) else {
        return Ok(None);
    };
    let (time, id) = (schema.column("ck_local_time"), schema.column("record_id"));
    let sql = format!(
        "SELECT count() AS keys, sum(n) AS rows, min(concat(toString({time}), ' ', toString({id}))) AS example FROM \
         (SELECT {time}, {id}, count() AS n FROM \
         (SELECT {time}, {id} FROM {source} WHERE {on_day} ORDER BY {time} DESC LIMIT {ROWS}) GROUP BY {time}, {id} HAVING n > 1)",
        source = schema.rows(),
        on_day = schema.on_day(day),
    );
    let found: Repeated = server.one("look for repeated keys", &sql).await?;
    Ok((found.keys > 0).then_some(RepeatedKeys {
        day,
        keys: found.keys,
        rows: found.rows,
        example: found.example,
    }))
}
