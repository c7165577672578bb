//! The result table, made or completed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use mysql_async::{Conn, prelude::Queryable};
use weldfleet_settings::{
    Settings,
    columns::{MIRROR_KEY, REVIEW_COLUMNS},
};

use super::{
    quote::identifier,
    server::{Server, in_time},
};
use crate::{
    columns::{mysql_type, result_column},
    errors::{SchemaError, SchemaFault, StoreError},
    mirror_layout::{MirrorLayout, Source},
    statement::{Statement, Store, without_comments},
};

const RESULT_TABLE: &str = include_str!("../../../../config/sql/mysql/result_table.sql");
const COLUMN_LIST: &str = include_str!("../../../../config/sql/mysql/result_columns.sql");

/// Collations that compare by bytes and do not pad with blanks, newest first.
pub(super) const EXACT_COLLATIONS: &[&str] = &["utf8mb4_0900_bin", "utf8mb4_nopad_bin"];

/// What people must know before a table is changed that the fleet did not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNotice {
    /// Database and table.
    pub table: String,
    /// Whether `[mysql.columns]` says that an application's it is.
    pub is_applications: bool,
    /// `ADD COLUMN …` and its like.
    pub changes: Vec<String>,
}

impl fmt::Display for TableNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.table;
        if self.is_applications {
            writeln!(
                f,
                "{table} in MySQL is an application's, and gets what tells the fleet's rows from its own, where it is NULL:"
            )?;
        } else {
            writeln!(
                f,
                "{table} in MySQL was not made by the fleet, and is changed as if it had been. If an application reads it, map its \
                 columns in [mysql.columns] first, or let tables.result_table name another:"
            )?;
        }
        for change in &self.changes {
            writeln!(f, "  {change}")?;
        }
        write!(
            f,
            "an INSERT into it that names no columns breaks (error 1136), and so may readers of SELECT * that count columns; \
             the ALTER of a large table takes its time"
        )
    }
}

pub(crate) async fn statements(
    settings: &Settings,
) -> Result<(Vec<Statement>, Option<TableNotice>), StoreError> {
    let (mut conn, database) = Server::without_database(&settings.mysql).await?;
    let table = &settings.tables.result_table;
    let found = ExistingTable::read(&mut conn, &database, table).await?;
    let _ = conn.disconnect().await;
    let layout = MirrorLayout::of(settings);
    if layout.is_applications {
        return found.adopted(&database, table, &layout);
    }
    found.statements(&database, table, &layout)
}

/// Everything that would keep rows from being written as they are, each with its remedy.
pub(crate) async fn check_columns(
    conn: &mut Conn,
    database: &str,
    table: &str,
    layout: &MirrorLayout,
) -> Result<(), StoreError> {
    let found = ExistingTable::read(conn, database, table).await?;
    let faults = if !layout.is_applications {
        found.all_faults(layout)
    } else if found.columns.is_empty() {
        vec![no_application_table()]
    } else {
        let (_, mut faults) = found.fit(layout);
        faults.extend(found.yet_to_do(layout));
        faults
    };
    refused(table, faults)
}

/// What keeps the console from writing reviews into an application's table, each with its remedy.
pub(crate) async fn unfit_reviews(
    conn: &mut Conn,
    database: &str,
    table: &str,
    layout: &MirrorLayout,
) -> Result<Option<SchemaError>, StoreError> {
    let found = ExistingTable::read(conn, database, table).await?;
    let (table, faults) = (table.to_owned(), found.unfit_for_reviews(layout));
    Ok((!faults.is_empty()).then_some(SchemaError { table, faults }))
}

fn refused(table: &str, faults: Vec<SchemaFault>) -> Result<(), StoreError> {
    if faults.is_empty() {
        return Ok(());
    }
    let table = table.to_owned();
    Err(StoreError::Schema(SchemaError { table, faults }))
}

/// The layout as an application's table can hold it.
pub(crate) async fn fitted(
    conn: &mut Conn,
    database: &str,
    table: &str,
    layout: &MirrorLayout,
) -> Result<Arc<MirrorLayout>, StoreError> {
    let found = ExistingTable::read(conn, database, table).await?;
    let (fitted, faults) = found.fit(layout);
    refused(table, faults)?;
    Ok(Arc::new(fitted))
}

fn no_application_table() -> SchemaFault {
    SchemaFault {
        key: "tables.result_table".into(),
        problem: "there is no such table".into(),
        remedy:
            "name the application's, or remove [mysql.columns]: `scheduler migrate` then makes one"
                .into(),
    }
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

/// Name, type, the type with its size, collation, nullable, default, extra, comment.
type InformationRow = (
    String,
    String,
    String,
    Option<String>,
    String,
    Option<String>,
    String,
    String,
);

pub(super) struct ExistingColumn {
    pub data_type: String,
    pub column_type: String,
    /// Values of an ENUM, as they are written.
    pub words: Vec<String>,
    pub collation: Option<String>,
    pub nullable: bool,
    /// A row that says nothing of the column is refused.
    pub demands_value: bool,
    pub generated: bool,
    /// Each row has another value without anybody's doing.
    pub fills_itself: bool,
    /// It changes whenever another column does.
    pub changes_itself: bool,
    pub default: Option<String>,
    pub comment: String,
}

#[derive(Default)]
pub(super) struct UniqueKey {
    pub name: String,
    /// Lower case.
    pub columns: BTreeSet<String>,
    /// Whether each column counts to its end.
    pub whole: bool,
}

/// The result table as it is, and what the server offers.
pub(super) struct ExistingTable {
    pub collation: String,
    has_database: bool,
    /// By name in lower case.
    pub columns: BTreeMap<String, ExistingColumn>,
    pub unique_keys: Vec<UniqueKey>,
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
        let rows: Vec<InformationRow> = in_time(
            "read columns",
            conn.exec(
                "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLUMN_COMMENT \
                 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
                (database, table),
            ),
        )
        .await?;
        // An expression is a column without a name.
        let keys: Vec<(String, String, bool)> = in_time(
            "read keys",
            conn.exec(
                "SELECT INDEX_NAME, IFNULL(COLUMN_NAME, ''), SUB_PART IS NULL FROM information_schema.STATISTICS \
                 WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0",
                (database, table),
            ),
        )
        .await?;
        let mut unique: BTreeMap<String, UniqueKey> = BTreeMap::new();
        for (name, column, whole) in keys {
            let key = unique.entry(name.clone()).or_insert_with(|| UniqueKey {
                name,
                whole: true,
                ..UniqueKey::default()
            });
            key.columns.insert(column.to_lowercase());
            key.whole &= whole;
        }
        let columns = rows
            .into_iter()
            .map(
                |(name, data_type, column_type, collation, nullable, default, extra, comment)| {
                    let extra = extra.to_ascii_lowercase();
                    let has_expression = extra.contains("default_generated")
                        || default.as_deref().is_some_and(|text| text.contains("()"));
                    let column = ExistingColumn {
                        words: enum_words(&column_type),
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
                        changes_itself: extra.contains("on update"),
                        fills_itself: extra.contains("auto_increment") || has_expression,
                        default,
                        comment,
                    };
                    (name.to_lowercase(), column)
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

    /// A column by its name, whatever its case.
    pub(super) fn column(&self, name: &str) -> Option<&ExistingColumn> {
        self.columns.get(&name.to_lowercase())
    }

    /// What an application's table gets.
    fn adopted(
        &self,
        database: &str,
        table: &str,
        layout: &MirrorLayout,
    ) -> Result<(Vec<Statement>, Option<TableNotice>), StoreError> {
        let faults = if self.columns.is_empty() {
            vec![no_application_table()]
        } else {
            self.fit(layout).1
        };
        refused(table, faults)?;
        let changes = self.lacking(layout);
        if changes.is_empty() {
            return Ok((Vec::new(), None));
        }
        let target = format!("{}.{}", identifier(database), identifier(table));
        let statement = Statement {
            store: Store::MySql,
            what: format!("add the key of a weld to `{table}`"),
            sql: format!("ALTER TABLE {target} {}", changes.join(", ")),
        };
        let notice = TableNotice {
            table: format!("{database}.{table}"),
            is_applications: true,
            changes,
        };
        Ok((vec![statement], Some(notice)))
    }

    fn statements(
        &self,
        database: &str,
        table: &str,
        layout: &MirrorLayout,
    ) -> Result<(Vec<Statement>, Option<TableNotice>), StoreError> {
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
        let wanted = columns(&self.collation, layout);
        let carried = |name: &str| carried_columns(layout).any(|carried| carried == name);
        if self.columns.is_empty() {
            let mut list: Vec<String> = wanted
                .iter()
                .map(|(_, column)| format!("    {column}"))
                .collect();
            let keys =
                carried_columns(layout).map(|name| format!("    KEY ({})", identifier(name)));
            list.extend(keys);
            add(
                format!("create table `{table}`"),
                without_comments(RESULT_TABLE)
                    .replace("{result_table}", &target)
                    .replace("{result_columns}", &list.join(",\n"))
                    .replace("{collation}", &self.collation),
            );
            return Ok((statements, None));
        }
        let faults = self.unfit(&wanted);
        refused(table, faults)?;
        let mut changes: Vec<String> = Vec::new();
        for (name, column) in &wanted {
            match self.column(name) {
                None => {
                    changes.push(format!("ADD COLUMN {column}"));
                    // People look a weld up by it.
                    if carried(name) {
                        changes.push(format!("ADD KEY ({})", identifier(name)));
                    }
                }
                Some(found) if found.falls_short(name, column).is_some() => {
                    changes.push(format!("MODIFY COLUMN {column}"));
                }
                Some(_) => {}
            }
        }
        if !self.has_own_key() {
            changes.push(format!(
                "ADD UNIQUE KEY weldfleet_weld ({})",
                MIRROR_KEY.join(", ")
            ));
        }
        if changes.is_empty() {
            return Ok((statements, None));
        }
        add(
            format!("complete table `{table}`"),
            format!("ALTER TABLE {target} {}", changes.join(", ")),
        );
        // Every table that the fleet ever made has it, and no other.
        let is_ours = self.column("ck_ticks").is_some();
        let notice = (!is_ours).then(|| TableNotice {
            table: format!("{database}.{table}"),
            is_applications: false,
            changes,
        });
        Ok((statements, notice))
    }

    fn has_own_key(&self) -> bool {
        let key: BTreeSet<String> = MIRROR_KEY.map(str::to_owned).into();
        let mut keys = self.unique_keys.iter();
        keys.any(|unique| unique.whole && unique.columns == key)
    }

    /// What `migrate` cannot change and what it has yet to change.
    fn all_faults(&self, layout: &MirrorLayout) -> Vec<SchemaFault> {
        let fault = |problem: String| SchemaFault {
            key: "tables.result_table".into(),
            problem,
            remedy: "run `scheduler migrate`".into(),
        };
        if self.columns.is_empty() {
            return vec![fault("there is no such table".into())];
        }
        let wanted = columns(&self.collation, layout);
        let mut faults = self.unfit(&wanted);
        for (name, column) in &wanted {
            match self.column(name) {
                None => faults.push(fault(format!("no column `{name}`"))),
                Some(found) if !same_kind(found, column) => {}
                Some(found) => {
                    let short = found.falls_short(name, column);
                    faults.extend(short.map(|why| fault(format!("column `{name}` {why}"))));
                }
            }
        }
        if !self.has_own_key() {
            faults.push(fault(format!(
                "no unique key over ({}), so a weld could be there twice",
                MIRROR_KEY.join(", ")
            )));
        }
        faults
    }

    /// What `migrate` cannot change.
    fn unfit(&self, wanted: &[(String, String)]) -> Vec<SchemaFault> {
        let mut faults = Vec::new();
        let mut fault = |problem: String, remedy: &str| {
            faults.push(SchemaFault {
                key: "tables.result_table".into(),
                problem,
                remedy: remedy.into(),
            });
        };
        for (name, found) in &self.columns {
            let ours = wanted
                .iter()
                .any(|(wanted, _)| wanted.to_lowercase() == *name);
            if !ours && found.demands_value {
                fault(
                    format!(
                        "column `{name}` takes no NULL and has no default, so no row can be added"
                    ),
                    "give it a default, map one of ours to it in [mysql.columns], give it a value in [mysql.constants], or name another table",
                );
            }
        }
        for (name, column) in wanted {
            let Some(found) = self.column(name) else {
                continue;
            };
            let is_review = REVIEW_COLUMNS.contains(&name.as_str());
            if let Some(problem) = found.looks_reviewed().filter(|_| is_review) {
                fault(
                    format!("column `{name}` {problem}"),
                    "let it stay NULL until somebody reviews the row",
                );
            }
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
        let key: BTreeSet<&str> = MIRROR_KEY.iter().copied().collect();
        for UniqueKey {
            columns: unique, ..
        } in &self.unique_keys
        {
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
            if MIRROR_KEY.contains(&name) && !EXACT_COLLATIONS.contains(&collation) {
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

/// `'a'` and `'b'` of `enum('a','b')`; a quote in a word is written twice.
fn enum_words(column_type: &str) -> Vec<String> {
    let Some(list) = column_type
        .get(..5)
        .filter(|name| name.eq_ignore_ascii_case("enum("))
        .and_then(|_| column_type[5..].strip_suffix(')'))
    else {
        return Vec::new();
    };
    let words = list.trim_matches('\'').split("','");
    words.map(|word| word.replace("''", "'")).collect()
}

/// Whether a column can be made into one of ours without changing what its values are.
fn same_kind(found: &ExistingColumn, column: &str) -> bool {
    family(&found.data_type) == family(&MySqlType::of(column_type(column)).name)
        && found.data_type != "decimal"
}

/// Our columns: name, and the column's SQL.
fn columns(collation: &str, layout: &MirrorLayout) -> Vec<(String, String)> {
    let text = character_set(collation);
    let mut columns = Vec::new();
    for line in COLUMN_LIST.lines().filter(|line| !line.starts_with("--")) {
        match line.split_whitespace().next() {
            Some("{mirrored_columns}") => columns.extend(mirrored_columns(layout, &text)),
            Some(name) => columns.push((name.to_owned(), line.replace("{text}", &text))),
            None => {}
        }
    }
    columns
}

fn character_set(collation: &str) -> String {
    format!("CHARACTER SET utf8mb4 COLLATE {collation}")
}

/// Those of [`columns`] that make up the key, in its order.
pub(super) fn key_columns(collation: &str) -> [(&'static str, String); 4] {
    MIRROR_KEY.map(|name| {
        let mut lines = COLUMN_LIST.lines();
        let line = lines.find(|line| line.split_whitespace().next() == Some(name));
        let column = line.unwrap_or_default();
        (name, column.replace("{text}", &character_set(collation)))
    })
}

fn mirrored_columns(layout: &MirrorLayout, text: &str) -> impl Iterator<Item = (String, String)> {
    layout.columns.iter().map(move |column| {
        let name = column.ours();
        let mut sql = format!("{} {} NULL", column.quoted(), mysql_type(column.kind, text));
        if let Some(result) = result_column(name) {
            sql.push_str(&format!(" COMMENT '{}'", result.meaning));
        }
        (name.to_owned(), sql)
    })
}

fn carried_columns(layout: &MirrorLayout) -> impl Iterator<Item = &str> {
    let columns = layout.columns.iter();
    columns.filter_map(|column| match &column.source {
        Source::Carried(name) => Some(name.as_str()),
        Source::Known(_) => None,
    })
}

/// The type in a column's SQL, with its size.
fn column_type(column: &str) -> &str {
    column.split_whitespace().nth(1).unwrap_or_default()
}

/// Whether a column of the type `found` can hold, without loss, what one of the type `ours` of the same family can.
/// What does not fit would be refused row by row, or never equal what ClickHouse holds.
pub(super) fn holds(found: &str, ours: &str) -> bool {
    let (found, ours) = (MySqlType::of(found), MySqlType::of(ours));
    match ours.name.as_str() {
        "bigint" => found.name == "bigint",
        "int" => matches!(found.name.as_str(), "int" | "bigint"),
        "double" => matches!(found.name.as_str(), "double" | "float"),
        // Characters; the texts without a size hold 64 kB and more.
        "varchar" => match found.name.as_str() {
            "varchar" | "char" => found.size >= ours.size,
            name => name != "tinytext",
        },
        "mediumtext" => matches!(found.name.as_str(), "mediumtext" | "longtext"),
        "text" => matches!(found.name.as_str(), "text" | "mediumtext" | "longtext"),
        // Digits of a second.
        "datetime" => found.size >= ours.size,
        _ => true,
    }
}

pub(super) struct MySqlType {
    pub name: String,
    /// `n` of `name(n)`, else 0.
    pub size: u32,
}

impl MySqlType {
    pub(super) fn of(text: &str) -> Self {
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

pub(super) fn family(data_type: &str) -> &'static str {
    match data_type.to_ascii_lowercase().as_str() {
        "int" | "bigint" | "mediumint" | "smallint" | "tinyint" => "whole number",
        "double" | "float" | "decimal" => "number",
        "datetime" | "timestamp" => "time",
        "varchar" | "char" | "tinytext" | "text" | "mediumtext" | "longtext" | "json" => "text",
        _ => "other",
    }
}
