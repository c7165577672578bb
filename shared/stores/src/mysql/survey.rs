//! A table that no settings describe yet.

use mysql_async::prelude::Queryable;
use weldfleet_settings::MySql;

use super::server::{Server, in_time};
use crate::errors::StoreError;

/// A column as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyedMySqlColumn {
    pub name: String,
    /// Lower case, without its length.
    pub kind: String,
    pub nullable: bool,
    /// An INSERT that does not name it is refused.
    pub demanded: bool,
}

/// A table's columns in their order; none where there is no such table.
pub async fn columns(
    settings: &MySql,
    table: &str,
) -> Result<Vec<SurveyedMySqlColumn>, StoreError> {
    let (mut conn, database) = Server::without_database(settings).await?;
    let rows: Vec<(String, String, String, Option<String>, String)> = in_time(
        "read columns",
        conn.exec(
            "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            (database, table),
        ),
    )
    .await?;
    let _ = conn.disconnect().await;
    let columns = rows
        .into_iter()
        .map(|(name, kind, nullable, default, extra)| {
            let extra = extra.to_lowercase();
            let fills_itself = extra.contains("auto_increment") || extra.contains("generated");
            SurveyedMySqlColumn {
                name,
                kind: kind.to_lowercase(),
                nullable: nullable == "YES",
                demanded: nullable == "NO" && default.is_none() && !fills_itself,
            }
        });
    Ok(columns.collect())
}
