//! The plant's table as it really is: our column names to theirs, and their types.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::{
    Columns, Settings,
    columns::{COMPARED_COLUMNS, INPUT_COLUMNS, RESULT_COLUMNS, TRUTH_COLUMNS},
};
use weldfleet_weld::columns::ValueKind;

use super::{
    ColumnType, Server, SourceTable, Version,
    arena::Spare,
    column_type::unwrap,
    leading::LeadingColumn,
    quote::{identifier, literal, qualified},
    stored::curve_fits,
    versions,
};
use crate::{
    columns::{plain_type, result_column},
    errors::{Class, SchemaError, SchemaFault, StoreError},
    mirror_layout::MirrorLayout,
};

/// Input columns that a plant may lack; they read as empty text.
pub const OPTIONAL_COLUMNS: &[&str] = &["part_no", "spot_name", "timer_name"];

/// Settings of the source table that lightweight UPDATE needs.
pub const UPDATE_SETTINGS: &[&str] = &["enable_block_number_column", "enable_block_offset_column"];

/// The comment that our own CREATE TABLE gives `record_id`: what tells such a table from a plant's.
pub(crate) const OWN_RECORD_ID: &str = "id within its day and time";

/// What `label_defect` was called in such a table.
pub(crate) const OLD_TRUTH: &str = "defect";

/// How `record_id` is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    /// An unsigned integer.
    Number,
    /// A `String`.
    Text,
}

/// How `data_date` is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayType {
    /// An integer `YYYYMMDD`.
    Number,
    Date,
    Date32,
    /// Text, `20261122` or `2026-11-22`.
    Text,
}

/// How `ck_local_time` is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeType {
    /// `DateTime`: seconds.
    Seconds,
    /// `DateTime64(p)`: 10^-p s.
    Ticks(u8),
}

impl TimeType {
    /// Ticks of an instant given in milliseconds since 1970-01-01 UTC.
    pub fn ticks_at_unix_ms(self, ms: i64) -> i64 {
        match self {
            Self::Seconds => ms.div_euclid(1000),
            Self::Ticks(precision) if precision >= 3 => ms * 10_i64.pow(u32::from(precision) - 3),
            Self::Ticks(precision) => ms.div_euclid(10_i64.pow(3 - u32::from(precision))),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    plain: String,
    quoted: String,
    kind: ColumnType,
}

/// Names, types and settings of the source table.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Database of every table.
    pub database: String,
    /// Source table's name.
    pub table: String,
    /// Source table, quoted, with its database.
    pub source: String,
    /// `weld_results`, quoted, with its database.
    pub results: String,
    /// The server's version.
    pub version: Version,
    /// How `record_id` is stored.
    pub id: IdType,
    /// How `data_date` is stored.
    pub day: DayType,
    /// How `ck_local_time` is stored.
    pub time: TimeType,
    /// Time zone in which `ck_local_time` is printed; `None` is the server's.
    pub time_zone: Option<String>,
    /// Result columns the table lacks, in contract order.
    pub missing_results: Vec<&'static str>,
    /// Settings lightweight UPDATE needs and the table has not.
    pub missing_settings: Vec<&'static str>,
    /// Whether a table of our own making has the truth under the name that it had: `defect`.
    pub has_old_truth: bool,
    /// The table as the server would make it again.
    pub(crate) create_table_query: String,
    /// Which rows are the fleet's, as a condition.
    pub(crate) selected: String,
    /// Whether the table keeps versions of a row (`ReplacingMergeTree`), of which the one that `FINAL` returns counts.
    pub keeps_versions: bool,
    /// Columns of its sorting key by which few of its rows are found before `FINAL` compares versions; may be none.
    pub(crate) narrowing: Vec<String>,
    /// The column that leads its sorting key, where that is not the time.
    pub(crate) leading: Option<LeadingColumn>,
    columns: BTreeMap<&'static str, Column>,
    /// Columns of the plant's own that only have the name of one of ours that is optional; why each is none.
    passed_over: BTreeMap<&'static str, String>,
    /// What is fetched besides, for people and for models.
    further: FurtherColumns,
}

/// Columns that have a name of ours only because the settings give them one.
#[derive(Debug, Clone, Default, PartialEq)]
struct FurtherColumns {
    names: Arc<FurtherNames>,
    /// In the order of the names.
    carried: Vec<Column>,
    scalars: Vec<Column>,
}

/// Our names of them, in the order in which rows hold their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FurtherNames {
    /// Texts, for people.
    pub carried: Vec<String>,
    /// Numbers, for people and models.
    pub scalars: Vec<String>,
}

impl FurtherNames {
    /// Those that the settings give.
    pub fn of(columns: &Columns) -> Self {
        let name = |(ours, _): (&str, &str)| ours.to_owned();
        Self {
            carried: columns.carried().map(name).collect(),
            scalars: columns.scalars().map(name).collect(),
        }
    }
}

#[derive(Debug, Row, Deserialize)]
struct ColumnRow {
    name: String,
    r#type: String,
    default_kind: String,
    in_key: u8,
    comment: String,
}

#[derive(Debug, Row, Deserialize)]
struct TableRow {
    engine: String,
    sorting_key: String,
    create_table_query: String,
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
        let mut faults = Vec::new();
        let remedy = || "run `scheduler migrate`".to_owned();
        if !schema.missing_results.is_empty() {
            faults.push(SchemaFault {
                key: "tables.source_table".into(),
                problem: format!(
                    "result columns are missing: {}",
                    schema.missing_results.join(", ")
                ),
                remedy: remedy(),
            });
        }
        if !schema.missing_settings.is_empty() {
            faults.push(SchemaFault {
                key: "tables.source_table".into(),
                problem: format!(
                    "lightweight UPDATE is not turned on: {}",
                    schema.missing_settings.join(", ")
                ),
                remedy: remedy(),
            });
        }
        if !faults.is_empty() {
            return Err(StoreError::Schema(SchemaError {
                table: schema.table,
                faults,
            }));
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
    StoreError::Schema(SchemaError {
        table: settings.tables.source_table.clone(),
        faults: vec![SchemaFault {
            key: "tables.source_table".into(),
            problem: format!(
                "no such table in database `{}`",
                settings.clickhouse.database
            ),
            remedy: "name the plant's table, run `scheduler migrate` to make one, or GRANT SELECT on it: an account sees only what it may read".into(),
        }],
    })
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
                return Err(StoreError::Schema(SchemaError {
                    table: settings.tables.source_table.clone(),
                    faults: vec![SchemaFault {
                        key: "tables.filter".into(),
                        problem: format!("`{filter}`: {}", error.words()),
                        remedy: "give a condition over the plant's columns, such as `prog_no NOT IN ('41', '51')`".into(),
                    }],
                }));
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
        let (database, table) = (server.database(), settings.tables.source_table.as_str());
        let here = format!(
            "database = {} AND table = {}",
            literal(database),
            literal(table)
        );
        let tables: Vec<TableRow> = server
            .all(
                "read system.tables",
                &format!(
                    "SELECT engine, sorting_key, create_table_query FROM system.tables WHERE database = {} AND name = {}",
                    literal(database),
                    literal(table)
                ),
            )
            .await?;
        let Some(found) = tables.into_iter().next() else {
            return Ok(None);
        };
        let rows: Vec<ColumnRow> = server
            .all(
                "read system.columns",
                &format!(
                    "SELECT name, type, default_kind, toUInt8(is_in_partition_key OR is_in_sorting_key OR is_in_primary_key \
                     OR is_in_sampling_key) AS in_key, comment FROM system.columns WHERE {here} ORDER BY position"
                ),
            )
            .await?;
        // A setting may come from the server's defaults, which the table's own text does not show.
        let on_by_default: Vec<String> = server
            .all(
                "read system.merge_tree_settings",
                "SELECT name FROM system.merge_tree_settings WHERE value = '1' \
                 AND name IN ('enable_block_number_column', 'enable_block_offset_column')",
            )
            .await?;
        check_filter(server, settings).await?;
        let found = FoundTable {
            settings,
            table: found,
            columns: rows,
        };
        found.into_schema(server, version, &on_by_default).map(Some)
    }

    /// The plant's name of one of our columns, quoted. Ours, quoted, if the table lacks it.
    pub(crate) fn column(&self, ours: &'static str) -> &str {
        self.columns.get(ours).map_or(ours, |column| &column.quoted)
    }

    /// The plant's name of one of our columns, if the table has it.
    pub fn plain_name(&self, ours: &str) -> Option<&str> {
        self.columns.get(ours).map(|column| column.plain.as_str())
    }

    /// The table for people: its name, and each mapped column as `ours = theirs type`.
    pub fn describe(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .filter(|(ours, _)| weldfleet_settings::columns::INPUT_COLUMNS.contains(ours))
            .map(|(ours, column)| (*ours, column))
            .chain(self.further.each())
            .map(|(ours, column)| {
                if ours == column.plain {
                    format!("{ours} {}", column.kind.full)
                } else {
                    format!("{ours} = `{}` {}", column.plain, column.kind.full)
                }
            })
            .collect();
        format!("{}: {}", self.source, columns.join(", "))
    }

    /// Whether the table has the column.
    pub fn has(&self, ours: &str) -> bool {
        self.columns.contains_key(ours)
    }

    /// Columns that are taken for the plant's own although they have a name of ours, and why.
    pub fn passed_over(&self) -> impl Iterator<Item = &str> {
        self.passed_over.values().map(String::as_str)
    }

    /// The same for one of them, behind what a person is told of its absence; else nothing.
    pub(crate) fn why_passed_over(&self, ours: &str) -> String {
        let why = self.passed_over.get(ours);
        why.map_or_else(String::new, |why| format!(" ({why})"))
    }

    /// The column's type, if the table has it.
    pub fn column_type(&self, ours: &str) -> Option<&ColumnType> {
        self.columns.get(ours).map(|column| &column.kind)
    }

    /// Our names of what is fetched besides.
    pub fn further(&self) -> &Arc<FurtherNames> {
        &self.further.names
    }

    /// Carried columns as non-null `String`, in order.
    pub(crate) fn carried_texts(&self) -> impl Iterator<Item = String> {
        self.further
            .carried
            .iter()
            .map(|column| text_of(Some(column)))
    }

    /// One of them by its name; empty where it is not configured.
    pub(crate) fn carried_text(&self, ours: &str) -> String {
        let names = &self.further.names.carried;
        let place = names.iter().position(|name| name == ours);
        text_of(place.and_then(|place| self.further.carried.get(place)))
    }

    /// Further numbers: how each is asked for, and whether that is text.
    pub(crate) fn further_scalars(&self) -> impl Iterator<Item = (String, bool)> {
        self.further.scalars.iter().map(|column| {
            if column.kind.is_text() {
                (text_of(Some(column)), true)
            } else {
                (number_of(Some(column), "Float32"), false)
            }
        })
    }

    /// A text column as non-null `String`; empty where the table lacks it.
    pub(crate) fn text(&self, ours: &'static str) -> String {
        text_of(self.columns.get(ours))
    }

    /// A scalar as non-null number, NaN for NULL; NaN where the table lacks it.
    pub(crate) fn number(&self, ours: &'static str, to: &str) -> String {
        number_of(self.columns.get(ours), to)
    }

    /// A curve as `Array(Float32)`, NaN for NULL.
    pub(crate) fn curve(&self, ours: &'static str) -> String {
        let Some(column) = self.columns.get(ours) else {
            return "emptyArrayFloat32()".to_owned();
        };
        let nullable_items = column.kind.array_item().is_some_and(|item| item.nullable);
        if column.kind.full == "Array(Float32)" {
            column.quoted.clone()
        } else if nullable_items {
            format!(
                "CAST(arrayMap(x -> ifNull(toFloat32(x), nan), {}) AS Array(Float32))",
                column.quoted
            )
        } else {
            format!("CAST({} AS Array(Float32))", column.quoted)
        }
    }
}

fn text_of(column: Option<&Column>) -> String {
    match column {
        None => "''".to_owned(),
        Some(column) if column.kind.nullable => {
            format!(
                "ifNull(CAST(toString({0}) AS Nullable(String)), '')",
                column.quoted
            )
        }
        Some(column) if column.kind.full == "String" => column.quoted.clone(),
        Some(column) => format!("CAST(toString({}) AS String)", column.quoted),
    }
}

fn number_of(column: Option<&Column>, to: &str) -> String {
    match column {
        None => "nan".to_owned(),
        Some(column) if column.kind.is_text() => format!(
            "CAST(ifNull(to{to}OrNull(trimBoth(CAST({} AS Nullable(String)))), nan) AS {to})",
            column.quoted
        ),
        Some(column) if column.kind.nullable => {
            format!("CAST(ifNull(to{to}({}), nan) AS {to})", column.quoted)
        }
        Some(column) if column.kind.full == to => column.quoted.clone(),
        Some(column) => format!("to{to}({})", column.quoted),
    }
}

impl FurtherColumns {
    /// Ours and theirs.
    fn each(&self) -> impl Iterator<Item = (&str, &Column)> {
        let names = self.names.carried.iter().chain(&self.names.scalars);
        let columns = self.carried.iter().chain(&self.scalars);
        names.map(String::as_str).zip(columns)
    }
}

/// The source table as the server describes it, and what it is to be.
struct FoundTable<'a> {
    settings: &'a Settings,
    table: TableRow,
    columns: Vec<ColumnRow>,
}

impl FoundTable<'_> {
    fn into_schema(
        self,
        server: &Server,
        version: Version,
        on_by_default: &[String],
    ) -> Result<Schema, StoreError> {
        let mut faults = Vec::new();
        self.check_engine(&mut faults);
        let mut columns = BTreeMap::new();
        let mut passed_over = BTreeMap::new();
        let mut missing_results = Vec::new();
        let known = [
            INPUT_COLUMNS,
            RESULT_COLUMNS,
            TRUTH_COLUMNS,
            COMPARED_COLUMNS,
        ];
        for ours in known.into_iter().flatten().copied() {
            let theirs = self.settings.columns.name(ours);
            match self.found(theirs) {
                Some(row) => {
                    let kind = ColumnType::parse(&row.r#type);
                    if theirs == ours
                        && is_for_comparison(ours)
                        && let (false, expected) = fits(ours, &kind)
                    {
                        let why = format!("column `{ours}` is {}: expected {expected}", kind.full);
                        passed_over.insert(ours, why);
                        continue;
                    }
                    self.check_column(ours, row, &kind, &mut faults);
                    let quoted = identifier(theirs);
                    let plain = theirs.to_owned();
                    columns.insert(
                        ours,
                        Column {
                            plain,
                            quoted,
                            kind,
                        },
                    );
                }
                None if RESULT_COLUMNS.contains(&ours) => missing_results.push(ours),
                None => self.check_missing(ours, theirs, &mut faults),
            }
        }
        let further = self.further(&mut faults);
        let bare = |ours: &str| {
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
            Err(StoreError::Schema(SchemaError {
                table: schema.table,
                faults,
            }))
        }
    }

    /// Carried columns and further numbers.
    fn further(&self, faults: &mut Vec<SchemaFault>) -> FurtherColumns {
        let (mut names, mut found) = (FurtherNames::default(), FurtherColumns::default());
        let columns = &self.settings.columns;
        for (section, pairs) in [
            ("carried", columns.carried().collect::<Vec<_>>()),
            ("scalars", columns.scalars().collect()),
        ] {
            for (ours, theirs) in pairs {
                let key = format!("columns.{section}.{ours}");
                let Some(row) = self.found(theirs) else {
                    faults.push(self.no_column(key, theirs));
                    continue;
                };
                let kind = ColumnType::parse(&row.r#type);
                let (fits, expected) = match section {
                    "carried" => (
                        !kind.bare.starts_with("AggregateFunction"),
                        "values, not states of a sum",
                    ),
                    _ => (kind.is_number() || kind.is_text(), "a number, or text"),
                };
                if !fits {
                    faults.push(SchemaFault {
                        key,
                        problem: format!("column `{theirs}` is {}: expected {expected}", kind.full),
                        remedy: "map another column, or remove the line".into(),
                    });
                    continue;
                }
                let column = Column {
                    plain: theirs.to_owned(),
                    quoted: identifier(theirs),
                    kind,
                };
                let (names, columns) = match section {
                    "carried" => (&mut names.carried, &mut found.carried),
                    _ => (&mut names.scalars, &mut found.scalars),
                };
                names.push(ours.to_owned());
                columns.push(column);
            }
        }
        found.names = Arc::new(names);
        found
    }

    fn no_column(&self, key: String, theirs: &str) -> SchemaFault {
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
    fn found(&self, theirs: &str) -> Option<&ColumnRow> {
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
    fn engine_family(&self) -> &str {
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
            let found = self.found(column);
            found.is_none_or(|row| ColumnType::parse(&row.r#type).nullable)
        })
    }

    /// The column that leads the sorting key.
    fn leading(&self) -> Option<LeadingColumn> {
        let [day, time] =
            ["data_date", "ck_local_time"].map(|ours| self.settings.columns.name(ours));
        LeadingColumn::of(&self.table.sorting_key, [day, time], |column| {
            let found = self.found(column)?;
            Some(ColumnType::parse(&found.r#type))
        })
    }

    fn check_engine(&self, faults: &mut Vec<SchemaFault>) {
        let engine = self.table.engine.as_str();
        let family = self.engine_family();
        if !["MergeTree", "ReplacingMergeTree"].contains(&family) {
            let problem = match family {
                "CoalescingMergeTree" => "merges a row's verdict into later rows with its key",
                _ => "has no lightweight UPDATE",
            };
            faults.push(SchemaFault {
                key: "tables.source_table".into(),
                problem: format!("engine {engine} {problem}"),
                remedy: "name a table of the MergeTree family (for a view or Distributed table, the table below it), \
                         or copy the rows into one"
                    .into(),
            });
        }
    }

    fn check_missing(&self, ours: &'static str, theirs: &str, faults: &mut Vec<SchemaFault>) {
        let mapped = theirs != ours;
        let optional = OPTIONAL_COLUMNS.contains(&ours) || is_for_comparison(ours);
        if optional && !mapped {
            return;
        }
        faults.push(self.no_column(format!("columns.{ours}"), theirs));
    }

    fn check_column(
        &self,
        ours: &'static str,
        row: &ColumnRow,
        kind: &ColumnType,
        faults: &mut Vec<SchemaFault>,
    ) {
        let mut fault = |problem: String, remedy: String| {
            faults.push(SchemaFault {
                key: format!("columns.{ours}"),
                problem: format!("column `{}` is {}: {problem}", row.name, kind.full),
                remedy,
            });
        };
        let (fits, expected) = fits(ours, kind);
        if !fits {
            fault(
                format!("expected {expected}"),
                "map another column, or add one of that type computed from it".into(),
            );
            return;
        }
        let is_key = ["record_id", "data_date", "ck_local_time"].contains(&ours);
        if is_key && kind.nullable {
            fault(
                "a key cannot be NULL".into(),
                format!(
                    "make it non-nullable: `ALTER TABLE … MODIFY COLUMN {} {}`",
                    identifier(&row.name),
                    kind.bare
                ),
            );
        }
        if ours == "record_id" || ours == "data_date" || ours == "ck_local_time" {
            if row.default_kind == "ALIAS" {
                fault(
                    "an ALIAS column cannot identify a weld".into(),
                    "map the stored column".into(),
                );
            }
        } else if RESULT_COLUMNS.contains(&ours) {
            if !kind.nullable {
                fault(
                    "a result is NULL until, and unless, there is one".into(),
                    format!(
                        "make it nullable: `ALTER TABLE … MODIFY COLUMN {} Nullable({})`, or map `{ours}` to a new name",
                        identifier(&row.name),
                        kind.bare
                    ),
                );
            }
            if row.in_key != 0 {
                fault(
                    "it is part of the table's key, which UPDATE cannot change".into(),
                    format!("map `{ours}` to a new name; `scheduler migrate` adds the column"),
                );
            }
            if !matches!(row.default_kind.as_str(), "" | "DEFAULT") {
                fault(
                    format!("it is {}, which UPDATE cannot change", row.default_kind),
                    format!("map `{ours}` to a new name; `scheduler migrate` adds the column"),
                );
            }
        }
    }
}

/// Whether people compare verdicts with it and nobody judges by it.
fn is_for_comparison(ours: &str) -> bool {
    TRUTH_COLUMNS.contains(&ours) || COMPARED_COLUMNS.contains(&ours)
}

/// Whether a column's type will do, and what would.
fn fits(ours: &str, kind: &ColumnType) -> (bool, &'static str) {
    if let Some(column) = result_column(ours) {
        let fits = match column.kind {
            ValueKind::Word(_) | ValueKind::Text => kind.is_text(),
            ValueKind::Float => kind.bare.starts_with("Float"),
            ValueKind::Integer => kind.bare == "UInt64",
            ValueKind::Time => kind.is_time(),
        };
        return (fits, plain_type(column.kind));
    }
    match ours {
        "record_id" => (
            kind.is_unsigned() || kind.is_text(),
            "UInt64 (or a smaller unsigned integer) or String",
        ),
        "data_date" => (
            [
                "UInt32", "UInt64", "Int32", "Int64", "Date", "Date32", "String",
            ]
            .contains(&kind.bare.as_str()),
            "UInt32 as YYYYMMDD, Date, Date32 or String",
        ),
        "ck_local_time" => (
            kind.is_time() && !kind.full.starts_with("LowCardinality"),
            "DateTime or DateTime64",
        ),
        "part_no" | "spot_name" | "timer_name" => (
            kind.is_text()
                || kind.bare.starts_with("Enum")
                || kind.bare.starts_with("FixedString")
                || kind.bare == "UUID"
                || kind.is_number(),
            "String",
        ),
        "u_curve" | "i_curve" => (curve_fits(kind), "an array of numbers or of text, or text"),
        "label" | "label_defect" | "previous_result" => {
            (kind.is_text() || kind.bare.starts_with("Enum"), "String")
        }
        "umax" | "imax" => (kind.is_number() || kind.is_text(), "a number, or text"),
        _ => (kind.is_number(), "a number"),
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
