//! The result table, made or completed.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::{Conn, prelude::Queryable};
use weldfleet_settings::Settings;

use super::server::{Server, identifier, in_time};
use crate::{
    columns::{mirrored, mysql_type, result_column},
    errors::{SchemaError, SchemaFault, StoreError},
    statement::{Statement, Store, without_comments},
};

const RESULT_TABLE: &str = include_str!("../../../../config/sql/mysql/result_table.sql");
const COLUMN_LIST: &str = include_str!("../../../../config/sql/mysql/result_columns.sql");
const UNIQUE_KEY: &[&str] = &["data_date", "ck_ticks", "ck_local_time", "record_id"];

/// Collations that compare by bytes and do not pad with blanks, newest first.
const EXACT_COLLATIONS: &[&str] = &["utf8mb4_0900_bin", "utf8mb4_nopad_bin"];

pub(crate) async fn statements(settings: &Settings) -> Result<Vec<Statement>, StoreError> {
    let (mut conn, database) = Server::without_database(&settings.mysql).await?;
    let table = &settings.tables.result_table;
    let found = ExistingTable::read(&mut conn, &database, table).await?;
    let _ = conn.disconnect().await;
    found.statements(&database, table)
}

/// Everything that would keep rows from being written as they are, each with its remedy.
pub(crate) async fn check_columns(
    conn: &mut Conn,
    database: &str,
    table: &str,
) -> Result<(), StoreError> {
    let found = ExistingTable::read(conn, database, table).await?;
    let faults = found.all_faults();
    if faults.is_empty() {
        return Ok(());
    }
    Err(StoreError::Schema(SchemaError {
        table: table.to_owned(),
        faults,
    }))
}

pub(crate) async fn apply(
    settings: &Settings,
    statements: &[&Statement],
) -> Result<(), StoreError> {
    let (mut conn, _) = Server::without_database(&settings.mysql).await?;
    for statement in statements {
        // Adding a key to a large table takes its time; the server says when it is done.
        conn.query_drop(&statement.sql)
            .await
            .map_err(|error| StoreError::mysql(&statement.what, error))?;
    }
    let _ = conn.disconnect().await;
    Ok(())
}

/// Name, type, the type with its size, collation, nullable, default, extra.
type ColumnRow = (
    String,
    String,
    String,
    Option<String>,
    String,
    Option<String>,
    String,
);

struct ExistingColumn {
    data_type: String,
    column_type: String,
    collation: Option<String>,
    nullable: bool,
    /// A row that says nothing of the column is refused.
    demands_value: bool,
    generated: bool,
}

/// The result table as it is, and what the server offers.
struct ExistingTable {
    collation: String,
    has_database: bool,
    columns: BTreeMap<String, ExistingColumn>,
    unique_keys: Vec<BTreeSet<String>>,
}

impl ExistingTable {
    async fn read(conn: &mut Conn, database: &str, table: &str) -> Result<Self, StoreError> {
        let found: Vec<String> = in_time(
            "read collations",
            conn.query(
                "SELECT COLLATION_NAME FROM information_schema.COLLATIONS \
                 WHERE COLLATION_NAME IN ('utf8mb4_0900_bin', 'utf8mb4_nopad_bin')",
            ),
        )
        .await?;
        let collation = EXACT_COLLATIONS
            .iter()
            .find(|name| found.iter().any(|found| found == *name))
            .ok_or_else(|| {
                StoreError::refused(
                    "the mysql server has no collation that compares by bytes without padding",
                    "use MySQL 8.0.17 or newer, or MariaDB 10.2 or newer",
                )
            })?;
        let databases: Vec<String> = in_time(
            "read databases",
            conn.exec(
                "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?",
                (database,),
            ),
        )
        .await?;
        let rows: Vec<ColumnRow> = in_time(
            "read columns",
            conn.exec(
                "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA \
                 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
                (database, table),
            ),
        )
        .await?;
        let keys: Vec<(String, String)> = in_time(
            "read keys",
            conn.exec(
                "SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
                 WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0 AND SUB_PART IS NULL",
                (database, table),
            ),
        )
        .await?;
        let mut unique: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (key, column) in keys {
            unique
                .entry(key)
                .or_default()
                .insert(column.to_ascii_lowercase());
        }
        let columns = rows
            .into_iter()
            .map(
                |(name, data_type, column_type, collation, nullable, default, extra)| {
                    let extra = extra.to_ascii_lowercase();
                    let column = ExistingColumn {
                        data_type: data_type.to_ascii_lowercase(),
                        column_type: column_type.to_ascii_lowercase(),
                        collation,
                        nullable: nullable == "YES",
                        generated: extra.contains("generated")
                            && !extra.contains("default_generated"),
                        demands_value: nullable == "NO"
                            && default.is_none()
                            && !extra.contains("auto_increment")
                            && !extra.contains("generated"),
                    };
                    (name.to_ascii_lowercase(), column)
                },
            )
            .collect();
        Ok(Self {
            collation: (*collation).to_owned(),
            has_database: !databases.is_empty(),
            columns,
            unique_keys: unique.into_values().collect(),
        })
    }

    fn statements(&self, database: &str, table: &str) -> Result<Vec<Statement>, StoreError> {
        let target = format!("{}.{}", identifier(database), identifier(table));
        let mut statements = Vec::new();
        let mut add = |what: String, sql: String| {
            statements.push(Statement {
                store: Store::MySql,
                what,
                sql,
            });
        };
        if !self.has_database {
            add(
                format!("create database `{database}`"),
                format!(
                    "CREATE DATABASE IF NOT EXISTS {} DEFAULT CHARACTER SET utf8mb4",
                    identifier(database)
                ),
            );
        }
        let wanted = columns(&self.collation);
        if self.columns.is_empty() {
            let list: Vec<String> = wanted
                .iter()
                .map(|(_, column)| format!("    {column}"))
                .collect();
            add(
                format!("create table `{table}`"),
                without_comments(RESULT_TABLE)
                    .replace("{result_table}", &target)
                    .replace("{result_columns}", &list.join(",\n"))
                    .replace("{collation}", &self.collation),
            );
            return Ok(statements);
        }
        let faults = self.unfit(&wanted);
        if !faults.is_empty() {
            return Err(StoreError::Schema(SchemaError {
                table: table.to_owned(),
                faults,
            }));
        }
        let mut changes: Vec<String> = Vec::new();
        for (name, column) in &wanted {
            match self.columns.get(*name) {
                None => changes.push(format!("ADD COLUMN {column}")),
                Some(found) if found.falls_short(name, column).is_some() => {
                    changes.push(format!("MODIFY COLUMN {column}"));
                }
                Some(_) => {}
            }
        }
        let key: BTreeSet<String> = UNIQUE_KEY.iter().map(|name| (*name).to_owned()).collect();
        if !self.unique_keys.contains(&key) {
            changes.push(format!(
                "ADD UNIQUE KEY weldfleet_weld ({})",
                UNIQUE_KEY.join(", ")
            ));
        }
        if !changes.is_empty() {
            add(
                format!("complete table `{table}`"),
                format!("ALTER TABLE {target} {}", changes.join(", ")),
            );
        }
        Ok(statements)
    }

    /// What `migrate` cannot change and what it has yet to change.
    fn all_faults(&self) -> Vec<SchemaFault> {
        let fault = |problem: String| SchemaFault {
            key: "tables.result_table".into(),
            problem,
            remedy: "run `scheduler migrate`".into(),
        };
        if self.columns.is_empty() {
            return vec![fault("there is no such table".into())];
        }
        let wanted = columns(&self.collation);
        let mut faults = self.unfit(&wanted);
        for (name, column) in &wanted {
            match self.columns.get(*name) {
                None => faults.push(fault(format!("no column `{name}`"))),
                Some(found) if !same_kind(found, column) => {}
                Some(found) => {
                    let short = found.falls_short(name, column);
                    faults.extend(short.map(|why| fault(format!("column `{name}` {why}"))));
                }
            }
        }
        let key: BTreeSet<String> = UNIQUE_KEY.iter().map(|name| (*name).to_owned()).collect();
        if !self.unique_keys.contains(&key) {
            faults.push(fault(format!(
                "no unique key over ({}), so a weld could be there twice",
                UNIQUE_KEY.join(", ")
            )));
        }
        faults
    }

    /// What `migrate` cannot change.
    fn unfit(&self, wanted: &[(&'static str, String)]) -> Vec<SchemaFault> {
        let mut faults = Vec::new();
        let mut fault = |problem: String, remedy: &str| {
            faults.push(SchemaFault {
                key: "tables.result_table".into(),
                problem,
                remedy: remedy.into(),
            });
        };
        for (name, found) in &self.columns {
            let ours = wanted.iter().any(|(wanted, _)| wanted == name);
            if !ours && found.demands_value {
                fault(
                    format!(
                        "column `{name}` takes no NULL and has no default, so no row can be added"
                    ),
                    "give it a default, or name another table",
                );
            }
        }
        for (name, column) in wanted {
            let Some(found) = self.columns.get(*name) else {
                continue;
            };
            if found.generated {
                fault(
                    format!("column `{name}` is generated, so nothing can be written into it"),
                    "make it an ordinary column, or name another table",
                );
            }
            if !same_kind(found, column) {
                fault(
                    format!(
                        "column `{name}` is {}, expected {}",
                        found.column_type,
                        column_type(column)
                    ),
                    "change its type, or name another table",
                );
            }
        }
        // Two unique keys would let one weld push another out.
        let key: BTreeSet<&str> = UNIQUE_KEY.iter().copied().collect();
        for unique in &self.unique_keys {
            let within = unique.iter().all(|column| key.contains(column.as_str()));
            if within && unique.len() < key.len() {
                fault(
                    format!(
                        "unique key over ({}) is narrower than a weld's key",
                        unique.iter().cloned().collect::<Vec<_>>().join(", ")
                    ),
                    "drop it: an id of one day is another weld on another day",
                );
            }
        }
        faults
    }
}

impl ExistingColumn {
    /// Why a value of ours might be refused, cut or confused with another; `None` if it is written as it is. Of a
    /// column of the right kind.
    fn falls_short(&self, name: &str, column: &str) -> Option<String> {
        let ours = column_type(column);
        if !holds(&self.column_type, ours) {
            return Some(format!(
                "is {}, narrower than {}",
                self.column_type,
                ours.to_ascii_lowercase()
            ));
        }
        if let Some(collation) = self.collation.as_deref() {
            // Keys must compare by bytes, or two welds become one row.
            if UNIQUE_KEY.contains(&name) && !EXACT_COLLATIONS.contains(&collation) {
                return Some(format!(
                    "compares by {collation}, for which different keys may be equal"
                ));
            }
            // `binary` is MariaDB's and MySQL's word for bytes of any character set.
            if !collation.starts_with("utf8mb4") && collation != "binary" {
                return Some(format!(
                    "is of {collation}, which does not hold every character"
                ));
            }
        }
        if !self.nullable && column.contains(" NULL") && !column.contains("NOT NULL") {
            return Some("takes no NULL, but not every weld has a value".into());
        }
        None
    }
}

/// Whether a column can be made into one of ours without changing what its values are.
fn same_kind(found: &ExistingColumn, column: &str) -> bool {
    family(&found.data_type) == family(&ColumnType::of(column_type(column)).name)
        && found.data_type != "decimal"
}

/// Our columns: name, and the column's SQL.
fn columns(collation: &str) -> Vec<(&'static str, String)> {
    let text = format!("CHARACTER SET utf8mb4 COLLATE {collation}");
    let mut columns = Vec::new();
    for line in COLUMN_LIST.lines().filter(|line| !line.starts_with("--")) {
        match line.split_whitespace().next() {
            Some("{mirrored_columns}") => columns.extend(mirrored_columns(&text)),
            Some(name) => columns.push((name, line.replace("{text}", &text))),
            None => {}
        }
    }
    columns
}

fn mirrored_columns(text: &str) -> impl Iterator<Item = (&'static str, String)> {
    mirrored().map(move |(name, kind)| {
        let mut column = format!("{name} {} NULL", mysql_type(kind, text));
        if let Some(result) = result_column(name) {
            column.push_str(&format!(" COMMENT '{}'", result.meaning));
        }
        (name, column)
    })
}

/// The type in a column's SQL, with its size.
fn column_type(column: &str) -> &str {
    column.split_whitespace().nth(1).unwrap_or_default()
}

/// Whether a column of the type `found` can hold, without loss, what one of the type `ours` of the same family can.
/// What does not fit would be refused row by row, or never equal what ClickHouse holds.
fn holds(found: &str, ours: &str) -> bool {
    let (found, ours) = (ColumnType::of(found), ColumnType::of(ours));
    match ours.name.as_str() {
        "bigint" => found.name == "bigint",
        "int" => matches!(found.name.as_str(), "int" | "bigint"),
        "double" => matches!(found.name.as_str(), "double" | "float"),
        // Characters; the texts without a size hold 64 kB and more.
        "varchar" => !matches!(found.name.as_str(), "varchar" | "char") || found.size >= ours.size,
        "mediumtext" => matches!(found.name.as_str(), "mediumtext" | "longtext" | "json"),
        "text" => matches!(found.name.as_str(), "text" | "mediumtext" | "longtext"),
        // Digits of a second.
        "datetime" => found.size >= ours.size,
        _ => true,
    }
}

struct ColumnType {
    name: String,
    /// `n` of `name(n)`, else 0.
    size: u32,
}

impl ColumnType {
    fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let word = text.split_whitespace().next().unwrap_or_default();
        let (name, rest) = word.split_once('(').unwrap_or((word, ""));
        let digits = rest.split([',', ')']).next().unwrap_or_default();
        Self {
            name: name.to_owned(),
            size: digits.parse().unwrap_or(0),
        }
    }
}

fn family(data_type: &str) -> &'static str {
    match data_type.to_ascii_lowercase().as_str() {
        "int" | "bigint" | "mediumint" | "smallint" => "whole number",
        "double" | "float" | "decimal" => "number",
        "datetime" | "timestamp" => "time",
        "varchar" | "char" | "text" | "mediumtext" | "longtext" | "json" => "text",
        _ => "other",
    }
}
