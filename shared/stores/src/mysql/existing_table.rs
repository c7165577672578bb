//! The result table as it is: its columns, types and keys, and what the server offers.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::{Conn, prelude::Queryable};

use super::server::in_time;
use crate::{
    errors::{SchemaFault, StoreError},
    mirror_layout::MirrorLayout,
};

/// Why a column is of no use.
pub(super) const GENERATED: &str = "is generated, so nothing can be written into it";

/// What brings what is lacking.
pub(super) const MIGRATE: &str = "run `scheduler migrate`";

/// A fault of no column that the settings name.
pub(super) fn table_fault(problem: impl Into<String>, remedy: impl Into<String>) -> SchemaFault {
    SchemaFault::new("tables.result_table", problem, remedy)
}

/// Collations that compare by bytes and do not pad with blanks, newest first.
const EXACT_COLLATIONS: &[&str] = &["utf8mb4_0900_bin", "utf8mb4_nopad_bin"];

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
    /// It finds one row, and no range of them.
    pub is_hash: bool,
}

/// What a table is; all empty where there is none. In lower case.
#[derive(Default)]
struct TableKind {
    /// `base table`, `view`, …
    kind: String,
    engine: String,
    row_format: String,
    /// `partitioned`, …
    options: String,
}

/// The result table as it is, and what the server offers.
pub(super) struct ExistingTable {
    pub collation: String,
    pub has_database: bool,
    /// By name in lower case.
    pub columns: BTreeMap<String, ExistingColumn>,
    pub unique_keys: Vec<UniqueKey>,
    kind: TableKind,
    /// Foreign keys of other tables that refer to this one, for people.
    pub referring: Vec<String>,
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
        let named = (database, table);
        let columns = columns(conn, named).await?.into_iter();
        Ok(Self {
            collation: exact_collation(conn).await?,
            has_database: !databases.is_empty(),
            columns: columns
                .map(|(name, column)| (name.to_lowercase(), column))
                .collect(),
            unique_keys: unique_keys(conn, named).await?,
            kind: kind(conn, named).await?,
            referring: referring(conn, named).await?,
        })
    }

    /// The unique key over a weld's key.
    fn unique_key(&self, layout: &MirrorLayout) -> Option<&UniqueKey> {
        let key = layout.key_in_lower_case();
        let mut keys = self.unique_keys.iter();
        keys.find(|unique| unique.whole && unique.columns == key)
    }

    /// What `migrate` has yet to do about a table without the unique key.
    pub(super) fn lacks_unique_key(&self, layout: &MirrorLayout) -> Option<SchemaFault> {
        if self.unique_key(layout).is_some() {
            return None;
        }
        let problem = format!(
            "no unique key over ({}), so a weld could be there twice",
            layout.key.join(", ")
        );
        Some(table_fault(problem, MIGRATE))
    }

    /// Why the table cannot get the unique key, or cannot use the one that it has.
    pub(super) fn unfit_for_key(&self, layout: &MirrorLayout) -> Option<SchemaFault> {
        let TableKind {
            kind,
            engine,
            row_format,
            options,
        } = &self.kind;
        let (problem, remedy) = if let Some(found) = self.unique_key(layout) {
            if !found.is_hash {
                return None;
            }
            let problem = format!(
                "unique key `{}` is a HASH index, which finds no rows of a day",
                found.name
            );
            (
                problem,
                "drop it, and let the table be InnoDB with ROW_FORMAT=DYNAMIC; `scheduler migrate` then adds one",
            )
        } else if kind.contains("view") {
            let problem = "is a view, which can have no unique key".to_owned();
            (problem, "name the table that it shows")
        } else if !engine.is_empty() && engine != "innodb" {
            let problem = format!("is of the engine {engine}, and a weld's key needs InnoDB");
            (
                problem,
                "ALTER TABLE … ENGINE=InnoDB, or name another table",
            )
        } else if options.contains("partitioned") {
            let problem = "is partitioned, so that a unique key over a weld's key alone is refused";
            (problem.to_owned(), "name a table without partitions")
        } else if ["compact", "redundant"].contains(&row_format.as_str()) {
            let problem = format!("has ROW_FORMAT={row_format}, in which a weld's key is too long");
            (problem, "ALTER TABLE … ROW_FORMAT=DYNAMIC")
        } else {
            return None;
        };
        Some(table_fault(problem, remedy))
    }

    /// A column by its name, whatever its case.
    pub(super) fn column(&self, name: &str) -> Option<&ExistingColumn> {
        self.columns.get(&name.to_lowercase())
    }
}

/// Names and columns of a table, `named` with its database, in their order; none where there is no such table.
pub(super) async fn columns(
    conn: &mut Conn,
    named: (&str, &str),
) -> Result<Vec<(String, ExistingColumn)>, StoreError> {
    let rows: Vec<InformationRow> = in_time(
        "read columns",
        conn.exec(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLUMN_COMMENT \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            named,
        ),
    )
    .await?;
    Ok(rows.into_iter().map(ExistingColumn::described).collect())
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

async fn kind(conn: &mut Conn, named: (&str, &str)) -> Result<TableKind, StoreError> {
    let found: Option<(String, String, String, String)> = in_time(
        "read the table's kind",
        conn.exec_first(
            "SELECT TABLE_TYPE, IFNULL(ENGINE, ''), IFNULL(ROW_FORMAT, ''), IFNULL(CREATE_OPTIONS, '') \
             FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
            named,
        ),
    )
    .await?;
    let (kind, engine, row_format, options) = found.unwrap_or_default();
    Ok(TableKind {
        kind: kind.to_lowercase(),
        engine: engine.to_lowercase(),
        row_format: row_format.to_lowercase(),
        options: options.to_lowercase(),
    })
}

async fn referring(conn: &mut Conn, named: (&str, &str)) -> Result<Vec<String>, StoreError> {
    let found: Vec<(String, String, String)> = in_time(
        "read foreign keys",
        conn.exec(
            "SELECT TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS \
             WHERE UNIQUE_CONSTRAINT_SCHEMA = ? AND REFERENCED_TABLE_NAME = ? ORDER BY 1, 2",
            named,
        ),
    )
    .await?;
    let found = found.into_iter();
    let found = found.map(|(table, key, rule)| format!("`{key}` of `{table}` (ON DELETE {rule})"));
    Ok(found.collect())
}

async fn unique_keys(conn: &mut Conn, named: (&str, &str)) -> Result<Vec<UniqueKey>, StoreError> {
    // An expression is a column without a name.
    let keys: Vec<(String, String, bool, String)> = in_time(
        "read keys",
        conn.exec(
            "SELECT INDEX_NAME, IFNULL(COLUMN_NAME, ''), SUB_PART IS NULL, INDEX_TYPE FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0",
            named,
        ),
    )
    .await?;
    let mut unique: BTreeMap<String, UniqueKey> = BTreeMap::new();
    for (name, column, whole, kind) in keys {
        let key = unique.entry(name.clone()).or_insert_with(|| UniqueKey {
            name,
            whole: true,
            ..UniqueKey::default()
        });
        key.columns.insert(column.to_lowercase());
        key.whole &= whole;
        key.is_hash |= kind.eq_ignore_ascii_case("hash");
    }
    Ok(unique.into_values().collect())
}

impl ExistingColumn {
    /// Its name, and what it is.
    fn described(row: InformationRow) -> (String, Self) {
        let (name, data_type, column_type, collation, nullable, default, extra, comment) = row;
        let extra = extra.to_ascii_lowercase();
        let is_unique = default.as_deref().is_some_and(|text| {
            ["uuid()", "uuid_short()"].contains(&text.to_ascii_lowercase().as_str())
        });
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
            fills_itself: extra.contains("auto_increment") || is_unique,
            default,
            comment,
        };
        (name, column)
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

impl ExistingColumn {
    /// Whether a row that says nothing of the column has a value in it.
    pub(super) fn has_value_by_itself(&self) -> bool {
        self.fills_itself
            || self
                .default
                .as_deref()
                .is_some_and(|text| !["NULL", "", "''"].contains(&text))
    }

    /// Why a row that nobody reviewed would look reviewed, or could not be made to look as before.
    pub(super) fn looks_reviewed(&self) -> Option<&'static str> {
        if self.has_value_by_itself() {
            Some("has a default, so that every row would look reviewed")
        } else if self.changes_itself {
            Some("changes by itself (ON UPDATE), so that a corrected row would look reviewed")
        } else if self.demands_value {
            Some("takes no NULL and has no default, so that no row can be without a review")
        } else {
            None
        }
    }

    /// Why it cannot be a column of the key: keys must compare by bytes, or two welds become one row.
    pub(super) fn confuses_keys(&self) -> Option<String> {
        let collation = self.collation.as_deref()?;
        let is_exact = EXACT_COLLATIONS.contains(&collation);
        (!is_exact)
            .then(|| format!("compares by {collation}, for which different keys may be equal"))
    }
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
