//! The result table as it is: its columns, types and keys, and what the server offers.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::{Conn, prelude::Queryable};

use super::server::in_time;
use crate::errors::StoreError;

/// Collations that compare by bytes and do not pad with blanks, newest first.
pub(super) const EXACT_COLLATIONS: &[&str] = &["utf8mb4_0900_bin", "utf8mb4_nopad_bin"];

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
    pub has_database: bool,
    /// By name in lower case.
    pub columns: BTreeMap<String, ExistingColumn>,
    pub unique_keys: Vec<UniqueKey>,
}

impl ExistingTable {
    pub(super) async fn read(
        conn: &mut Conn,
        database: &str,
        table: &str,
    ) -> Result<Self, StoreError> {
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
        Ok(Self {
            collation: exact_collation(conn).await?,
            has_database: !databases.is_empty(),
            columns: rows.into_iter().map(ExistingColumn::described).collect(),
            unique_keys: unique_keys(conn, database, table).await?,
        })
    }

    /// A column by its name, whatever its case.
    pub(super) fn column(&self, name: &str) -> Option<&ExistingColumn> {
        self.columns.get(&name.to_lowercase())
    }
}

/// The best that the server has.
async fn exact_collation(conn: &mut Conn) -> Result<String, StoreError> {
    let known = EXACT_COLLATIONS.join("', '");
    let sql = format!(
        "SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE COLLATION_NAME IN ('{known}')"
    );
    let there: Vec<String> = in_time("read collations", conn.query(sql)).await?;
    let mut exact = EXACT_COLLATIONS.iter();
    let collation = exact.find(|name| there.iter().any(|there| there == *name));
    collation.map(|name| (*name).to_owned()).ok_or_else(|| {
        StoreError::refused(
            "the mysql server has no collation that compares by bytes without padding",
            "use MySQL 8.0.17 or newer, or MariaDB 10.2 or newer",
        )
    })
}

async fn unique_keys(
    conn: &mut Conn,
    database: &str,
    table: &str,
) -> Result<Vec<UniqueKey>, StoreError> {
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
    Ok(unique.into_values().collect())
}

impl ExistingColumn {
    /// Its name in lower case, and what it is.
    fn described(row: InformationRow) -> (String, Self) {
        let (name, data_type, column_type, collation, nullable, default, extra, comment) = row;
        let extra = extra.to_ascii_lowercase();
        let has_expression = extra.contains("default_generated")
            || default.as_deref().is_some_and(|text| text.contains("()"));
        let column = Self {
            words: enum_words(&column_type),
            data_type: data_type.to_ascii_lowercase(),
            column_type: column_type.to_ascii_lowercase(),
            collation,
            nullable: nullable == "YES",
            generated: extra.contains("generated") && !extra.contains("default_generated"),
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
