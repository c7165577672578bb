//! Whether another table has taken the place of the one that was looked at: exchanged, restored, altered. Statements may
//! go on without an error then, and read and write the wrong columns.

use std::time::{Duration, Instant};

use super::{SourceTable, quote::literal};
use crate::errors::StoreError;

/// Time between two looks; each reads one row of `system.tables`.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl SourceTable {
    /// Whether the table of this name is the one that was looked at, by its UUID and its text; not where there is none.
    pub async fn is_unchanged(&self) -> Result<bool, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT toUInt8(toString(uuid) = {} AND create_table_query = {}) FROM system.tables \
             WHERE {}",
            literal(&schema.table_id),
            literal(&schema.create_table_query),
            schema.about("name"),
        );
        let what = "look whether the table is the same";
        let same: Option<u8> = self.server.first(what, &sql).await?;
        Ok(same == Some(1))
    }
}

/// When to look whether a table is the same.
#[derive(Debug)]
pub struct TableWatch {
    due: Instant,
}

impl Default for TableWatch {
    /// Whoever watches a table has just looked at it.
    fn default() -> Self {
        Self {
            due: Instant::now() + LOOK_EVERY,
        }
    }
}

impl TableWatch {
    /// Waits until it is time to look.
    pub async fn is_due(&self) {
        tokio::time::sleep_until(self.due.into()).await;
    }

    /// Whether the table is another now. Between two looks it is taken for the same.
    pub async fn sees_another(&mut self, table: &SourceTable) -> Result<bool, StoreError> {
        if Instant::now() < self.due {
            return Ok(false);
        }
        self.due = Instant::now() + LOOK_EVERY;
        Ok(!table.is_unchanged().await?)
    }
}
