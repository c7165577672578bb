//! Whether a row policy keeps rows of the table from the fleet's account.

use std::fmt;

use super::SourceTable;
use crate::errors::StoreError;

/// As `EXPLAIN actions = 1` begins the line with a policy's condition. One that lets every row through has no such line.
const CONDITION: &str = "Row level filter column:";

/// A row policy that hides rows from the account that asks. The server says nothing of it in any answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPolicy {
    /// Which rows the account sees.
    pub condition: String,
    table: String,
    user: String,
}

impl fmt::Display for RowPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            condition,
            table,
            user,
        } = self;
        write!(
            f,
            "a row policy shows `{user}` only rows with `{condition}`: others are never judged and missing in every count; \
             `CREATE ROW POLICY weldfleet ON {table} USING 1 TO {user}` shows all of them, and `tables.filter` says which are \
             the fleet's"
        )
    }
}

impl SourceTable {
    /// The row policy that hides rows from this account, if one does. The server plans a question and answers none.
    pub async fn row_policy(&self) -> Result<Option<RowPolicy>, StoreError> {
        let schema = &self.schema;
        let time = schema.column("ck_local_time");
        let sql = format!("EXPLAIN actions = 1 SELECT {time} FROM {}", schema.source);
        let server = self.server.clone().selecting_all();
        let lines: Vec<String> = server.all("look for a row policy", &sql).await?;
        let condition = lines
            .iter()
            .find_map(|line| line.trim().strip_prefix(CONDITION));
        Ok(condition.map(|condition| RowPolicy {
            condition: condition.trim().to_owned(),
            table: schema.source.clone(),
            user: server.user().to_owned(),
        }))
    }
}
