//! Room on the server's disks.

use clickhouse::Row;
use serde::Deserialize;

use super::SourceTable;
use crate::errors::StoreError;

/// A disk of the server.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Disk {
    pub name: String,
    /// Bytes that may still be written.
    pub free_bytes: u64,
}

impl SourceTable {
    /// The disk with the most room of those that the source table may be on: where the server writes next. `None` if
    /// the account may not see it.
    pub async fn roomiest_disk(&self) -> Result<Option<Disk>, StoreError> {
        let sql = format!(
            "SELECT name, toUInt64(unreserved_space) AS free_bytes FROM system.disks WHERE name IN (\
             SELECT arrayJoin(disks) FROM system.storage_policies WHERE policy_name = (\
             SELECT any(storage_policy) FROM system.tables WHERE {})) \
             ORDER BY free_bytes DESC LIMIT 1",
            self.schema.about("name"),
        );
        match self.server.first("look at the disks", &sql).await {
            Err(error) if !error.is_outage() => Ok(None),
            answered => answered,
        }
    }
}
