//! What makes the plant's table out among all others, whatever it is called and by whatever URL it is reached.

use super::{Server, quote::about_table};
use crate::errors::StoreError;

/// A server that was given no UUID of its own, or a table in a database without them.
const NONE: &str = "00000000-0000-0000-0000-000000000000";

impl Server {
    /// Marks of a table of this server's database, of which one in common is the same table: its UUID survives a
    /// rename, its place (server, database and name) a restore from a backup or a new `CREATE`. `None` if there is no
    /// such table; empty if it cannot be made out.
    pub async fn table_marks(&self, table: &str) -> Result<Option<Vec<String>>, StoreError> {
        let database = self.database();
        let sql = format!(
            "SELECT toString(uuid), toString(serverUUID()) FROM system.tables WHERE {}",
            about_table("name", database, table)
        );
        let what = "ask for the table's UUID";
        let found: Option<(String, String)> = self.first(what, &sql).await?;
        Ok(found.map(|(table_id, server)| {
            let mut marks = Vec::new();
            if table_id != NONE {
                marks.push(format!("table {table_id}"));
            }
            if server != NONE {
                marks.push(format!("place {server} {database}.{table}"));
            }
            marks
        }))
    }
}
