//! The source table as the server describes it.

use std::collections::BTreeSet;

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::Settings;

use super::{OLD_TRUTH, OWN_RECORD_ID};
use crate::{
    clickhouse::{ColumnType, Server, quote::about_table},
    commas,
    errors::{SchemaFault, StoreError},
};

/// Settings of the source table that lightweight UPDATE needs.
const UPDATE_SETTINGS: &[&str] = &["enable_block_number_column", "enable_block_offset_column"];

#[derive(Debug, Row, Deserialize)]
pub(super) struct ColumnRow {
    pub(super) name: String,
    pub(super) r#type: String,
    pub(super) default_kind: String,
    pub(super) in_key: u8,
    comment: String,
}

#[derive(Debug, Row, Deserialize)]
pub(super) struct TableRow {
    pub(super) table_id: String,
    pub(super) engine: String,
    pub(super) sorting_key: String,
    pub(super) create_table_query: String,
}

/// The source table as the server describes it, and what it is to be.
pub(super) struct TableDescription<'a> {
    pub(super) settings: &'a Settings,
    pub(super) table: TableRow,
    columns: Vec<ColumnRow>,
    /// Those of [`UPDATE_SETTINGS`] that are on where the table's own text says nothing.
    on_by_default: Vec<String>,
}

impl<'a> TableDescription<'a> {
    /// `None` if there is no such table.
    pub(super) async fn read(
        server: &Server,
        settings: &'a Settings,
    ) -> Result<Option<Self>, StoreError> {
        let about = |named| about_table(named, server.database(), &settings.tables.source_table);
        let sql = format!(
            "SELECT toString(uuid) AS table_id, engine, sorting_key, create_table_query FROM system.tables WHERE {}",
            about("name")
        );
        let Some(table) = server.first("read system.tables", &sql).await? else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT name, type, default_kind, toUInt8(is_in_partition_key OR is_in_sorting_key OR is_in_primary_key \
             OR is_in_sampling_key) AS in_key, comment FROM system.columns \
             WHERE {} ORDER BY position",
            about("table")
        );
        let columns: Vec<ColumnRow> = server.all("read system.columns", &sql).await?;
        // A setting may come from the server's defaults, which the table's own text does not show.
        let sql = format!(
            "SELECT name FROM system.merge_tree_settings WHERE value = '1' AND name IN ('{}')",
            UPDATE_SETTINGS.join("', '")
        );
        let on_by_default: Vec<String> =
            server.all("read system.merge_tree_settings", &sql).await?;
        Ok(Some(Self {
            settings,
            table,
            columns,
            on_by_default,
        }))
    }

    pub(super) fn no_column(&self, key: String, theirs: &str) -> SchemaFault {
        let known: BTreeSet<&str> = self.columns.iter().map(|row| row.name.as_str()).collect();
        let known = commas(known);
        let remedy = format!("map it to the plant's name; the table has: {known}");
        SchemaFault::new(key, format!("no column `{theirs}`"), remedy)
    }

    /// A column of the table, save one that `migrate` is to rename.
    pub(super) fn column(&self, theirs: &str) -> Option<&ColumnRow> {
        let mut columns = self.columns.iter();
        columns
            .find(|row| row.name == theirs)
            .filter(|row| row.name != OLD_TRUTH || !self.has_old_truth())
    }

    pub(super) fn has_old_truth(&self) -> bool {
        let has = |name: &str, fits: &dyn Fn(&ColumnRow) -> bool| {
            self.columns.iter().any(|row| row.name == name && fits(row))
        };
        has("record_id", &|row| row.comment == OWN_RECORD_ID)
            && has(OLD_TRUTH, &|row| row.r#type == "LowCardinality(String)")
            && !has("label_defect", &|_| true)
    }

    pub(super) fn missing_settings(&self) -> Vec<&'static str> {
        let text = &self.table.create_table_query;
        UPDATE_SETTINGS
            .iter()
            .copied()
            .filter(|name| {
                let own = text
                    .rsplit_once(&format!("{name} = "))
                    .map(|(_, value)| value.starts_with('1') || value.starts_with("true"));
                !own.unwrap_or_else(|| self.on_by_default.iter().any(|on| on == name))
            })
            .collect()
    }

    /// The engine whatever keeps its parts.
    pub(super) fn engine_family(&self) -> &str {
        let engine = self.table.engine.as_str();
        engine
            .strip_prefix("Replicated")
            .or_else(|| engine.strip_prefix("Shared"))
            .unwrap_or(engine)
    }

    pub(super) fn column_type(&self, theirs: &str) -> Option<ColumnType> {
        let row = self.column(theirs)?;
        Some(ColumnType::parse(&row.r#type))
    }
}

/// A fault of no single column.
pub(crate) fn table_fault(problem: String, remedy: &str) -> SchemaFault {
    SchemaFault::new("tables.source_table", problem, remedy)
}
