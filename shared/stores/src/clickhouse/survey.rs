//! A table that no settings describe yet: its columns, and its latest rows as text.

use clickhouse::Row;
use serde::Deserialize;

use super::{
    Server,
    column_type::ColumnType,
    quote::{identifier, literal, qualified},
    sql::newest_day,
};
use crate::errors::StoreError;

/// Longest text of a value, in characters; a curve of 1,000 samples as text is shorter.
const LONGEST: u32 = 20_000;

/// A column as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct SurveyedColumn {
    pub name: String,
    /// As ClickHouse writes it.
    pub kind: String,
}

#[derive(Row, Deserialize)]
struct CellsRow {
    cells: Vec<Option<String>>,
}

/// A table's columns in their order; none where there is no such table.
pub async fn columns(server: &Server, table: &str) -> Result<Vec<SurveyedColumn>, StoreError> {
    let sql = format!(
        "SELECT name, type AS kind FROM system.columns WHERE database = {} AND table = {} ORDER BY position",
        literal(server.database()),
        literal(table)
    );
    server.all("read system.columns", &sql).await
}

/// The latest rows of the latest day, every column as text; any rows where no column says what is latest.
pub async fn latest_rows(
    server: &Server,
    table: &str,
    columns: &[SurveyedColumn],
    (day, time): (Option<&str>, Option<&str>),
    limit: u32,
) -> Result<Vec<Vec<Option<String>>>, StoreError> {
    let source = qualified(server.database(), table);
    let is_text = |name: &str| {
        let column = columns.iter().find(|column| column.name == name);
        column.is_some_and(|column| ColumnType::parse(&column.kind).is_text())
    };
    let on_latest_day = day.map_or_else(
        || "1".to_owned(),
        |name| {
            let day = identifier(name);
            let newest = newest_day(&day, &source, is_text(name));
            format!("{day} = ({newest})")
        },
    );
    // The time of the last row but `limit` is found without reading a curve.
    let since = time.map_or_else(
        || "1".to_owned(),
        |time| {
            let time = identifier(time);
            format!(
                "{time} >= (SELECT min(latest) FROM (SELECT {time} AS latest FROM {source} WHERE {on_latest_day} \
                 ORDER BY {time} DESC LIMIT {limit}))"
            )
        },
    );
    let cells: Vec<String> = columns
        .iter()
        .map(|column| {
            if column.kind.starts_with("AggregateFunction") {
                return "NULL".to_owned();
            }
            format!(
                "substringUTF8(toValidUTF8(toString({})), 1, {LONGEST})",
                identifier(&column.name)
            )
        })
        .collect();
    let sql = format!(
        "SELECT CAST([{}] AS Array(Nullable(String))) AS cells FROM {source} WHERE {on_latest_day} AND {since} LIMIT {limit}",
        cells.join(", ")
    );
    let rows: Vec<CellsRow> = server.all("read the latest rows", &sql).await?;
    Ok(rows.into_iter().map(|row| row.cells).collect())
}
