//! How many welds are NOK now, beside the days before, line by line.

use clickhouse::Row;
use jiff::{ToSpan as _, civil::DateTime};
use serde::Deserialize;

use super::{SourceTable, quote::literal};
use crate::{errors::StoreError, range::Day};

/// The carried column that says which line made a weld.
pub const LINE: &str = "line";
/// Lines that are told.
pub const MOST_LINES: u32 = 50;

/// Judged welds of one line.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct LineShares {
    /// Empty where no such column is carried, or it names none.
    pub line: String,
    pub judged: u64,
    pub nok: u64,
    pub judged_before: u64,
    pub nok_before: u64,
}

impl SourceTable {
    /// Welds of these days since a time by the plant's clock, and before it; lines with the most NOK first. Neither are
    /// welds that a wrong clock puts there: more than an hour after `now`, or since then and of a day long before.
    pub async fn nok_shares(
        &self,
        days: &[Day],
        since: DateTime,
        now: DateTime,
    ) -> Result<Vec<LineShares>, StoreError> {
        let schema = &self.schema;
        let (_, zone) = schema.plant_clock();
        let at = |time: DateTime| {
            let time = literal(&time.strftime("%Y-%m-%d %H:%M:%S").to_string());
            format!("toDateTime({time}{zone})")
        };
        let time = schema.column("ck_local_time");
        let before = format!("{time} < {}", at(since));
        let first = since.date().saturating_sub(1.day());
        let first = Day::from_date(first).unwrap_or(Day::EPOCH);
        let now = format!(
            "({time} >= {} AND {time} < {} AND {} >= {first})",
            at(since),
            at(now.saturating_add(1.hour())),
            schema.day_number(),
        );
        let nok = schema.is_nok();
        let sql = format!(
            "SELECT toValidUTF8({line}) AS line, countIf({now}) AS judged, countIf({now} AND {nok}) AS nok, \
             countIf({before}) AS judged_before, countIf({before} AND {nok}) AS nok_before \
             FROM {rows} WHERE {on_days} AND {verdict} IN ('OK', 'NOK') GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT {MOST_LINES}",
            line = schema.carried_text(LINE),
            rows = schema.rows(),
            on_days = schema.on_days(days),
            verdict = schema.column("final_result"),
        );
        self.server.all("count nok welds by line", &sql).await
    }
}
