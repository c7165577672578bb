//! A table that no settings describe yet.

use weldfleet_settings::MySql;

use super::{existing_table, server::Server};
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
    let columns = existing_table::columns(&mut conn, (&database, table)).await?;
    let _ = conn.disconnect().await;
    let surveyed = columns
        .into_iter()
        .map(|(name, column)| SurveyedMySqlColumn {
            name,
            kind: column.data_type,
            nullable: column.nullable,
            demanded: column.demands_value,
        });
    Ok(surveyed.collect())
}
