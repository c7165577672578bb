//! Whether `tables.filter` selects any row at all.

use std::fmt;

use weldfleet_settings::Settings;

use super::{Schema, Server};
use crate::errors::StoreError;

/// A filter that leaves the fleet nothing, although the table has rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptyFilter {
    /// As it is written.
    pub filter: String,
    /// Rows of the table.
    pub rows: u64,
}

impl fmt::Display for EmptyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tables.filter = `{}` selects none of the table's {} rows: nothing is the fleet's and nothing will be judged; \
             compare its values with those in the table, blanks and quotes included",
            self.filter, self.rows
        )
    }
}

/// Looks for a row that the filter selects; `None` where there is one, or no filter, no row or no table.
///
/// # Errors
/// If the table cannot be read or worked with.
pub async fn empty_filter(settings: &Settings) -> Result<Option<EmptyFilter>, StoreError> {
    let filter = settings.tables.filter.trim();
    if filter.is_empty() {
        return Ok(None);
    }
    let server = Server::new(&settings.clickhouse).selecting(&settings.tables);
    let Some(schema) = Schema::load(&server, settings).await? else {
        return Ok(None);
    };
    // Without FINAL: of a weld, one version that is selected is enough, and the first row found ends the search.
    let first = format!("SELECT toUInt8(1) FROM {} LIMIT 1", schema.source);
    let selected: Vec<u8> = server.all("look for a row of the fleet's", &first).await?;
    if !selected.is_empty() {
        return Ok(None);
    }
    let all = format!("SELECT count() FROM {}", schema.source);
    let rows: u64 = server
        .selecting_all()
        .one("count the table's rows", &all)
        .await?;
    Ok((rows > 0).then(|| EmptyFilter {
        filter: filter.to_owned(),
        rows,
    }))
}
