//! The table's shape, read from the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::{Columns, Settings, columns::RESULT_COLUMNS};

use super::{
    Column, DayType, FurtherColumns, FurtherNames, IdType, OLD_TRUTH, OWN_RECORD_ID, Schema,
    TimeType,
    check::{check_column, fits, is_for_comparison},
};
use crate::{
    clickhouse::{
        ColumnType, Server, SourceTable, Version,
        arena::Spare,
        column_type::unwrap,
        leading::LeadingColumn,
        quote::{identifier, literal, qualified},
        versions,
    },
    errors::{Class, SchemaError, SchemaFault, StoreError},
    mirror_layout::MirrorLayout,
};

/// Settings of the source table that lightweight UPDATE needs.
const UPDATE_SETTINGS: &[&str] = &["enable_block_number_column", "enable_block_offset_column"];

#[derive(Debug, Row, Deserialize)]
pub(super) struct ColumnRow {
    pub(super) name: String,
    r#type: String,
    pub(super) default_kind: String,
    pub(super) in_key: u8,
    comment: String,
}

#[derive(Debug, Row, Deserialize)]
pub(super) struct TableRow {
    pub(super) engine: String,
    sorting_key: String,
    create_table_query: String,
}

impl Column {
    fn of(row: &ColumnRow) -> Self {
        Self {
            plain: row.name.clone(),
            quoted: identifier(&row.name),
            kind: ColumnType::parse(&row.r#type),
        }
    }
}

impl SourceTable {
    /// Looks at the source table and refuses what cannot be worked with, every fault at once.
    ///
    /// The table must be complete: result columns there, lightweight UPDATE turned on. What is
    /// missing is `scheduler migrate`'s to add, and the error says so.
    pub async fn inspect(settings: &Settings) -> Result<Self, StoreError> {
        let server = Server::new(&settings.clickhouse).selecting(&settings.tables);
        let Some(schema) = Schema::load(&server, settings).await? else {
            return Err(missing_table(settings));
        };
        let lacks = [
            ("result columns are missing", &schema.missing_results),
            (
                "lightweight UPDATE is not turned on",
                &schema.missing_settings,
            ),
        ];
        let faults: Vec<SchemaFault> = lacks
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| {
                table_fault(
                    format!("{what}: {}", names.join(", ")),
                    "run `scheduler migrate`",
                )
            })
            .collect();
        if !faults.is_empty() {
            return Err(refused(settings, faults));
        }
        Ok(Self {
            server,
            schema: schema.into(),
            spare: Spare::default(),
            range_bytes: settings.worker.max_range_bytes,
            mirrored: MirrorLayout::of(settings).columns.into(),
        })
    }
}

fn missing_table(settings: &Settings) -> StoreError {
    let problem = format!(
        "no such table in database `{}`",
        settings.clickhouse.database
    );
    let remedy = "name the plant's table, run `scheduler migrate` to make one, or GRANT SELECT on it: \
                  an account sees only what it may read";
    refused(settings, vec![table_fault(problem, remedy)])
}

fn refused(settings: &Settings, faults: Vec<SchemaFault>) -> StoreError {
    StoreError::Schema(SchemaError {
        table: settings.tables.source_table.clone(),
        faults,
    })
}

/// A fault of no single column.
pub(super) fn table_fault(problem: String, remedy: &str) -> SchemaFault {
    SchemaFault {
        key: "tables.source_table".into(),
        problem,
        remedy: remedy.into(),
    }
}

/// Refuses a server that cannot run lightweight UPDATE, and an account that may not send the settings that are pinned.
pub(crate) async fn supported_version(server: &Server) -> Result<Version, StoreError> {
    let version = server.version().await?;
    if version < Version::LIGHTWEIGHT_UPDATE {
        return Err(StoreError::refused(
            format!("clickhouse server is version {version}, which has no lightweight UPDATE"),
            format!(
                "upgrade it to {} or newer; results cannot be written back atomically without it",
                Version::LIGHTWEIGHT_UPDATE
            ),
        ));
    }
    server.check_settings().await?;
    Ok(version)
}

fn selected(filter: &str) -> String {
    match filter.trim() {
        "" => "1".to_owned(),
        filter => format!("({filter})"),
    }
}

/// Lets the server read the filter, before anything relies on it. It plans the question and answers none: every start,
/// probe and `status` comes by here, and the table may have years of rows.
async fn check_filter(server: &Server, settings: &Settings) -> Result<(), StoreError> {
    let filter = settings.tables.filter.trim();
    if filter.is_empty() {
        return Ok(());
    }
    let source = qualified(server.database(), &settings.tables.source_table);
    // By itself first: in brackets, `1) OR (1` would be an expression too.
    let alone = format!("EXPLAIN SELECT count() FROM {source} WHERE NOT ignore(1)");
    let bracketed =
        format!("EXPLAIN SELECT count() FROM {source} WHERE ({filter}) AND NOT ignore(1)");
    for sql in [alone, bracketed] {
        match server.all::<String>("read tables.filter", &sql).await {
            Ok(_) => {}
            Err(error) if error.class() == Class::Outage => return Err(error),
            Err(error) => {
                let fault = SchemaFault {
                    key: "tables.filter".into(),
                    problem: format!("`{filter}`: {}", error.words()),
                    remedy: "give a condition over the plant's columns, such as `prog_no NOT IN ('41', '51')`".into(),
                };
                return Err(refused(settings, vec![fault]));
            }
        }
    }
    Ok(())
}

impl Schema {
    /// The table's shape, `None` if there is no such table. What `migrate` cannot change is an error.
    pub(crate) async fn load(
        server: &Server,
        settings: &Settings,
    ) -> Result<Option<Self>, StoreError> {
        let version = supported_version(server).await?;
        let [database, table] = [server.database(), &settings.tables.source_table].map(literal);
        let sql = format!(
            "SELECT engine, sorting_key, create_table_query FROM system.tables WHERE database = {database} AND name = {table}"
        );
        let tables: Vec<TableRow> = server.all("read system.tables", &sql).await?;
        let Some(table_row) = tables.into_iter().next() else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT name, type, default_kind, toUInt8(is_in_partition_key OR is_in_sorting_key OR is_in_primary_key \
             OR is_in_sampling_key) AS in_key, comment FROM system.columns \
             WHERE database = {database} AND table = {table} ORDER BY position"
        );
        let columns: Vec<ColumnRow> = server.all("read system.columns", &sql).await?;
        // A setting may come from the server's defaults, which the table's own text does not show.
        let sql = format!(
            "SELECT name FROM system.merge_tree_settings WHERE value = '1' AND name IN ('{}')",
            UPDATE_SETTINGS.join("', '")
        );
        let on_by_default: Vec<String> =
            server.all("read system.merge_tree_settings", &sql).await?;
        check_filter(server, settings).await?;
        let described = TableDescription {
            settings,
            table: table_row,
            columns,
        };
        described
            .into_schema(server, version, &on_by_default)
            .map(Some)
    }
}

/// The source table as the server describes it, and what it is to be.
pub(super) struct TableDescription<'a> {
    settings: &'a Settings,
    pub(super) table: TableRow,
    columns: Vec<ColumnRow>,
}

/// What a table has of the columns that have a name of ours by themselves.
#[derive(Default)]
struct KnownColumns {
    columns: BTreeMap<&'static str, Column>,
    /// See [`Schema::passed_over`].
    passed_over: BTreeMap<&'static str, String>,
    missing_results: Vec<&'static str>,
}

impl TableDescription<'_> {
    fn into_schema(
        self,
        server: &Server,
        version: Version,
        on_by_default: &[String],
    ) -> Result<Schema, StoreError> {
        let mut faults = Vec::new();
        self.check_engine(&mut faults);
        let KnownColumns {
            columns,
            passed_over,
            missing_results,
        } = self.known_columns(&mut faults);
        let further = self.further(&mut faults);
        let bare = |ours| {
            columns
                .get(ours)
                .map_or("", |column: &Column| column.kind.bare.as_str())
        };
        let (time, time_zone) = time_type(bare("ck_local_time"));
        let schema = Schema {
            database: server.database().to_owned(),
            table: self.settings.tables.source_table.clone(),
            source: qualified(server.database(), &self.settings.tables.source_table),
            results: qualified(server.database(), "weld_results"),
            version,
            id: if bare("record_id") == "String" {
                IdType::Text
            } else {
                IdType::Number
            },
            day: match bare("data_date") {
                "Date" => DayType::Date,
                "Date32" => DayType::Date32,
                "String" => DayType::Text,
                _ => DayType::Number,
            },
            time,
            time_zone,
            missing_results,
            missing_settings: self.missing_settings(on_by_default),
            has_old_truth: self.has_old_truth(),
            keeps_versions: self.engine_family() == "ReplacingMergeTree",
            narrowing: self.narrowing(),
            leading: self.leading(),
            create_table_query: self.table.create_table_query,
            selected: selected(&self.settings.tables.filter),
            columns,
            passed_over,
            further,
        };
        if faults.is_empty() {
            Ok(schema)
        } else {
            Err(refused(self.settings, faults))
        }
    }

    /// Finds the columns that have a name of ours by themselves.
    fn known_columns(&self, faults: &mut Vec<SchemaFault>) -> KnownColumns {
        let mut known = KnownColumns::default();
        for ours in Columns::known() {
            let theirs = self.settings.columns.name(ours);
            let Some(row) = self.column(theirs) else {
                match RESULT_COLUMNS.contains(&ours) {
                    true => known.missing_results.push(ours),
                    false => self.check_missing(ours, theirs, faults),
                }
                continue;
            };
            let column = Column::of(row);
            if theirs == ours
                && is_for_comparison(ours)
                && let (false, expected) = fits(ours, &column.kind)
            {
                let kind = &column.kind.full;
                let why = format!("column `{ours}` is {kind}: expected {expected}");
                known.passed_over.insert(ours, why);
                continue;
            }
            check_column(ours, row, &column.kind, faults);
            known.columns.insert(ours, column);
        }
        known
    }

    /// Carried columns and further numbers.
    fn further(&self, faults: &mut Vec<SchemaFault>) -> FurtherColumns {
        let (mut names, mut further) = (FurtherNames::default(), FurtherColumns::default());
        let columns = &self.settings.columns;
        let carried = columns.carried().map(|pair| ("carried", pair));
        let scalars = columns.scalars().map(|pair| ("scalars", pair));
        for (section, (ours, theirs)) in carried.chain(scalars) {
            let key = format!("columns.{section}.{ours}");
            let Some(row) = self.column(theirs) else {
                faults.push(self.no_column(key, theirs));
                continue;
            };
            let column = Column::of(row);
            let kind = &column.kind;
            let (fits, expected, names, columns) = match section {
                "carried" => (
                    !kind.bare.starts_with("AggregateFunction"),
                    "values, not states of a sum",
                    &mut names.carried,
                    &mut further.carried,
                ),
                _ => (
                    kind.is_number() || kind.is_text(),
                    "a number, or text",
                    &mut names.scalars,
                    &mut further.scalars,
                ),
            };
            if fits {
                names.push(ours.to_owned());
                columns.push(column);
            } else {
                faults.push(SchemaFault {
                    key,
                    problem: format!("column `{theirs}` is {}: expected {expected}", kind.full),
                    remedy: "map another column, or remove the line".into(),
                });
            }
        }
        further.names = Arc::new(names);
        further
    }

    pub(super) fn no_column(&self, key: String, theirs: &str) -> SchemaFault {
        let known: BTreeSet<&str> = self.columns.iter().map(|row| row.name.as_str()).collect();
        SchemaFault {
            key,
            problem: format!("no column `{theirs}`"),
            remedy: format!(
                "map it to the plant's name; the table has: {}",
                known.into_iter().collect::<Vec<_>>().join(", ")
            ),
        }
    }

    /// A column of the table, save one that `migrate` is to rename.
    pub(super) fn column(&self, theirs: &str) -> Option<&ColumnRow> {
        let mut columns = self.columns.iter();
        columns
            .find(|row| row.name == theirs)
            .filter(|row| row.name != OLD_TRUTH || !self.has_old_truth())
    }

    fn has_old_truth(&self) -> bool {
        let has = |name: &str, fits: &dyn Fn(&ColumnRow) -> bool| {
            self.columns.iter().any(|row| row.name == name && fits(row))
        };
        has("record_id", &|row| row.comment == OWN_RECORD_ID)
            && has(OLD_TRUTH, &|row| row.r#type == "LowCardinality(String)")
            && !has("label_defect", &|_| true)
    }

    fn missing_settings(&self, on_by_default: &[String]) -> Vec<&'static str> {
        let text = &self.table.create_table_query;
        UPDATE_SETTINGS
            .iter()
            .copied()
            .filter(|name| {
                let own = text
                    .rsplit_once(&format!("{name} = "))
                    .map(|(_, value)| value.starts_with('1') || value.starts_with("true"));
                !own.unwrap_or_else(|| on_by_default.iter().any(|on| on == name))
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

    /// By what few rows are found before versions are compared.
    fn narrowing(&self) -> Vec<String> {
        if self.engine_family() != "ReplacingMergeTree" {
            return Vec::new();
        }
        let ours = ["data_date", "ck_local_time", "record_id"];
        let theirs = ours.map(|ours| self.settings.columns.name(ours));
        versions::narrowing(&self.table.sorting_key, theirs, |column| {
            self.column_type(column).is_none_or(|kind| kind.nullable)
        })
    }

    /// The column that leads the sorting key.
    fn leading(&self) -> Option<LeadingColumn> {
        let ours = ["data_date", "ck_local_time"];
        let theirs = ours.map(|ours| self.settings.columns.name(ours));
        LeadingColumn::of(&self.table.sorting_key, theirs, |column| {
            self.column_type(column)
        })
    }

    fn column_type(&self, theirs: &str) -> Option<ColumnType> {
        let row = self.column(theirs)?;
        Some(ColumnType::parse(&row.r#type))
    }
}

fn time_type(bare: &str) -> (TimeType, Option<String>) {
    let arguments = |wrapper| unwrap(bare, wrapper).map(|inner| inner.split(',').map(str::trim));
    let zone = |text: Option<&str>| text.map(|zone| zone.trim_matches('\'').to_owned());
    if let Some(mut parts) = arguments("DateTime64") {
        let precision = parts.next().and_then(|text| text.parse().ok()).unwrap_or(3);
        return (TimeType::Ticks(precision), zone(parts.next()));
    }
    let zone = arguments("DateTime").and_then(|mut parts| zone(parts.next()));
    (TimeType::Seconds, zone)
}
