//! A table that no settings describe yet: its columns, and its latest rows as text.

use clickhouse::Row;
use serde::Deserialize;

use super::{
    Server,
    column_type::ColumnType,
    latest_days::latest_days,
    quote::{about_table, identifier, qualified},
    sql::newest_day,
};
use crate::{commas, errors::StoreError};

/// Longest text of a value, in characters; a curve of 1,000 samples as text is shorter.
const LONGEST: u32 = 20_000;

/// A column as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct SurveyedColumn {
    pub name: String,
    /// As ClickHouse writes it.
    pub kind: String,
}

/// A table's columns in their order; none where there is no such table.
pub async fn columns(server: &Server, table: &str) -> Result<Vec<SurveyedColumn>, StoreError> {
    let sql = format!(
        "SELECT name, type AS kind FROM system.columns WHERE {} ORDER BY position",
        about_table("table", server.database(), table)
    );
    server.all("read system.columns", &sql).await
}

/// Latest rows, every column as text, and how many were left out as dated later than tomorrow or on no day.
pub type LatestRows = (Vec<Vec<Option<String>>>, u64);

/// The latest rows of the latest days; any rows where no column says what is latest. A day ends with UTC's: nobody has
/// said yet which the plant's is.
pub async fn latest_rows(
    server: &Server,
    table: &str,
    columns: &[SurveyedColumn],
    (day, time): (Option<&str>, Option<&str>),
    limit: u32,
) -> Result<LatestRows, StoreError> {
    let source = qualified(server.database(), table);
    let (on_latest_days, left_out) = match day {
        Some(day) => on_latest(server, &source, day, columns, limit).await?,
        None => ("1".to_owned(), 0),
    };
    // The time of the last row but `limit` is found without reading a curve.
    let since = time.map_or_else(
        || "1".to_owned(),
        |time| {
            let time = identifier(time);
            format!(
                "{time} >= (SELECT min(latest) FROM (SELECT {time} AS latest FROM {source} WHERE {on_latest_days} \
                 ORDER BY {time} DESC LIMIT {limit}))"
            )
        },
    );
    let cells = columns.iter().map(|column| {
        if column.kind.starts_with("AggregateFunction") {
            return "NULL".to_owned();
        }
        let name = identifier(&column.name);
        format!("substringUTF8(toValidUTF8(toString({name})), 1, {LONGEST})")
    });
    let sql = format!(
        "SELECT CAST([{}] AS Array(Nullable(String))) AS cells FROM {source} WHERE {on_latest_days} AND {since} LIMIT {limit}",
        commas(cells)
    );
    Ok((server.all("read the latest rows", &sql).await?, left_out))
}

/// The values of a column on the newest day by how often they are, the most frequent first.
pub async fn counted(
    server: &Server,
    table: &str,
    columns: &[SurveyedColumn],
    (day, column): (&str, &str),
    limit: u32,
) -> Result<Vec<(Option<String>, u64)>, StoreError> {
    let source = qualified(server.database(), table);
    let value = identifier(column);
    let (newest, _) = on_latest(server, &source, day, columns, limit).await?;
    let sql = format!(
        "SELECT CAST(toValidUTF8(toString({value})) AS Nullable(String)) AS value, count() AS welds FROM {source} \
         WHERE {newest} GROUP BY value ORDER BY welds DESC, value LIMIT {limit}"
    );
    server.all("count the weld programs", &sql).await
}

/// The condition of the newest days that have been, as many as have `least` rows, and how many rows are dated later.
async fn on_latest(
    server: &Server,
    source: &str,
    name: &str,
    columns: &[SurveyedColumn],
    least: u32,
) -> Result<(String, u64), StoreError> {
    let day = identifier(name);
    if let Some(days) = latest_days(server, source, &day, "UTC", least).await? {
        return Ok((days.condition, days.left_out));
    }
    let column = columns.iter().find(|column| column.name == name);
    let is_text = column.is_some_and(|column| ColumnType::parse(&column.kind).is_text());
    Ok((
        format!("{day} = ({})", newest_day(&day, source, is_text)),
        0,
    ))
}
