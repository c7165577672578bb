//! Records that are there twice: the unique key keeps them out, and a table that was restored without it does not.

use weldfleet_settings::{
    Settings,
    columns::{MIRROR_KEY, REVIEW_COLUMNS},
};

use super::{NokTable, existing_table::ExistingTable, quote::identifier};
use crate::errors::{SchemaError, SchemaFault, StoreError};

impl NokTable {
    /// Whether the fleet's own table has its unique key. An application's is looked at before the fleet starts; that
    /// there is no table the first statement says.
    pub async fn check_key(&self) -> Result<(), StoreError> {
        if self.is_applications() {
            return Ok(());
        }
        let mut conn = self.server().connect().await?;
        let found = ExistingTable::read(&mut conn, self.server().database(), &self.table).await?;
        if found.columns.is_empty() || found.has_own_key() {
            return Ok(());
        }
        Err(StoreError::Schema(SchemaError {
            table: self.table.clone(),
            faults: vec![SchemaFault {
                key: "tables.result_table".into(),
                problem: format!(
                    "no unique key over ({}), so a weld could be there twice",
                    MIRROR_KEY.join(", ")
                ),
                remedy: "run `scheduler migrate`".into(),
            }],
        }))
    }
}

/// What removes the records of the fleet's own table that are there twice, one statement each. Of those that people
/// have reviewed all stay, or else one.
pub fn remove_twins(settings: &Settings) -> [String; 3] {
    let table = identifier(&settings.tables.result_table);
    let reviewed = |of: &str| {
        let written = REVIEW_COLUMNS.map(|column| format!("{of}.{column} IS NOT NULL"));
        format!("({})", written.join(" OR "))
    };
    [
        format!(
            "ALTER TABLE {table} ADD COLUMN weldfleet_twin BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE, \
             ADD KEY weldfleet_twins (data_date, ck_ticks)"
        ),
        format!(
            "DELETE twin FROM {table} AS twin JOIN {table} AS other USING ({}) WHERE NOT {} \
             AND twin.weldfleet_twin <> other.weldfleet_twin \
             AND ({} OR other.weldfleet_twin < twin.weldfleet_twin)",
            MIRROR_KEY.join(", "),
            reviewed("twin"),
            reviewed("other"),
        ),
        format!("ALTER TABLE {table} DROP COLUMN weldfleet_twin, DROP KEY weldfleet_twins"),
    ]
}
