//! The plant's table as it really is: our column names to theirs, and their types.

mod check;
mod description;
mod load;

use std::{collections::BTreeMap, sync::Arc};

use weldfleet_settings::{Columns, columns::INPUT_COLUMNS};

use super::{
    ColumnType, Version,
    leading::LeadingColumn,
    quote::{about_table, literal},
};
use crate::{commas, errors::StoreError};

pub(crate) use description::table_fault;
pub(crate) use load::supported_version;

/// The comment that our own CREATE TABLE gives `record_id`: what tells such a table from a plant's.
pub(crate) const OWN_RECORD_ID: &str = "id within its day and time";

/// What `label_defect` was called in such a table.
pub(crate) const OLD_TRUTH: &str = "defect";

/// How `record_id` is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    Number,
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
    pub table: String,
    /// Source table, quoted, with its database.
    pub source: String,
    /// `weld_results`, quoted, with its database.
    pub results: String,
    pub version: Version,
    /// How `record_id` is stored.
    pub id: IdType,
    /// How `data_date` is stored.
    pub day: DayType,
    /// How `ck_local_time` is stored.
    pub time: TimeType,
    /// Time zone in which `ck_local_time` is printed; `None` is the server's.
    pub time_zone: Option<String>,
    /// `scheduler.timezone`.
    pub(crate) plant_zone: String,
    /// Result columns the table lacks, in contract order.
    pub missing_results: Vec<&'static str>,
    /// Settings lightweight UPDATE needs and the table has not.
    pub missing_settings: Vec<&'static str>,
    /// Whether a table of our own making has the truth under the name that it had: `defect`.
    pub has_old_truth: bool,
    /// Its UUID: another table under its name has another, whatever its columns.
    pub(crate) table_id: String,
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

impl Schema {
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
        let columns = self
            .columns
            .iter()
            .filter(|(ours, _)| INPUT_COLUMNS.contains(ours))
            .map(|(ours, column)| (*ours, column))
            .chain(self.further.each())
            .map(|(ours, column)| {
                if ours == column.plain {
                    format!("{ours} {}", column.kind.full)
                } else {
                    format!("{ours} = `{}` {}", column.plain, column.kind.full)
                }
            });
        format!("{}: {}", self.source, commas(columns))
    }

    /// Rows of one of the server's own tables that are about this one; see [`about_table`].
    pub(crate) fn about(&self, named: &str) -> String {
        about_table(named, &self.database, &self.table)
    }

    /// Whether the table has the column.
    pub fn has(&self, ours: &str) -> bool {
        self.columns.contains_key(ours)
    }

    /// The zone by which `ck_local_time` is printed, where it has one of its own and that is not the plant's.
    pub fn other_zone(&self) -> Option<&str> {
        let zone = self.time_zone.as_deref();
        zone.filter(|zone| *zone != self.plant_zone)
    }

    /// `ck_local_time` by the plant's clock, and the zone behind a time of it, as a function's last argument. A column
    /// without a zone of its own holds what the plant's clock shows, whatever the server takes that for.
    pub(crate) fn plant_clock(&self) -> (String, String) {
        let time = self.column("ck_local_time");
        match &self.time_zone {
            Some(_) => {
                let zone = literal(&self.plant_zone);
                (format!("toTimeZone({time}, {zone})"), format!(", {zone}"))
            }
            None => (time.to_owned(), String::new()),
        }
    }

    /// Columns that are taken for the plant's own although they have a name of ours, and why.
    pub fn passed_over(&self) -> impl Iterator<Item = &str> {
        self.passed_over.values().map(String::as_str)
    }

    /// Refuses what cannot be done without this column: `purpose` is what it is for, ` to …`, or nothing.
    pub(crate) fn require(
        &self,
        ours: &str,
        purpose: &str,
        remedy: impl Into<String>,
    ) -> Result<(), StoreError> {
        if self.has(ours) {
            return Ok(());
        }
        let why = self.passed_over.get(ours);
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        let table = &self.table;
        Err(StoreError::refused(
            format!("table `{table}` has no column `{ours}`{purpose}{why}"),
            remedy,
        ))
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

    /// A curve as `Array(Float32)`; empty where the table lacks it.
    pub(crate) fn curve(&self, ours: &'static str) -> String {
        let Some(column) = self.columns.get(ours) else {
            return "emptyArrayFloat32()".to_owned();
        };
        match column.kind.full.as_str() {
            "Array(Float32)" => column.quoted.clone(),
            _ => format!("CAST({} AS Array(Float32))", column.quoted),
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
