//! What the tables consist of. Every write, merge and deletion changes the names of their parts, so that who remembers
//! a table's stamp knows, without a look at its rows, that nothing was written since.

use clickhouse::Row;
use serde::Deserialize;

use super::{SourceTable, quote::literal};
use crate::errors::StoreError;

/// The parts of the source table and of the table of runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Row, Deserialize)]
pub struct Parts {
    /// Uncompressed bytes of the source table's patch parts.
    pub patch_bytes: u64,
    /// Stamp of the source table.
    pub source: u64,
    /// Stamp of `weld_runs`.
    pub runs: u64,
    /// ClickHouse's clock, ms since 1970.
    pub now_ms: i64,
}

impl SourceTable {
    /// Reads no row of either table.
    pub async fn parts(&self) -> Result<Parts, StoreError> {
        let (database, source) = (&self.schema.database, literal(&self.schema.table));
        let sql = format!(
            "SELECT sumIf(data_uncompressed_bytes, table = {source} AND startsWith(partition_id, 'patch-')) AS patch_bytes, \
             groupBitXorIf(cityHash64(name), table = {source}) AS source, \
             groupBitXorIf(cityHash64(name), table = 'weld_runs') AS runs, toInt64(toUnixTimestamp64Milli(now64(3))) AS now_ms \
             FROM system.parts WHERE active AND database = {} AND table IN ({source}, 'weld_runs')",
            literal(database),
        );
        self.server.one("read the parts of tables", &sql).await
    }
}
