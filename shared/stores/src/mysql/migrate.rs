//! The result table, made or completed.

use std::{collections::BTreeSet, fmt, sync::Arc};

use mysql_async::{Conn, prelude::Queryable};
use weldfleet_settings::{
    Settings,
    columns::{MIRROR_KEY, REVIEW_COLUMNS},
};

use super::{
    existing_table::{
        EXACT_COLLATIONS, ExistingColumn, ExistingTable, MySqlType, UniqueKey, family, holds,
    },
    own_columns::{carried_columns, columns},
    quote::identifier,
    server::{Server, in_time},
};
use crate::{
    errors::{SchemaError, SchemaFault, StoreError},
    mirror_layout::MirrorLayout,
    statement::{Statement, Store, without_comments},
};

const RESULT_TABLE: &str = include_str!("../../../../config/sql/mysql/result_table.sql");

/// What people must know before a table is changed that the fleet did not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNotice {
    /// Database and table.
    pub table: String,
    /// Whether `[mysql.columns]` says that an application's it is.
    pub is_applications: bool,
    /// `ADD COLUMN …` and its like.
    pub changes: Vec<String>,
    /// What may go with a record whose weld is no longer NOK; each in a sentence.
    pub losses: Vec<String>,
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
        for loss in &self.losses {
            writeln!(f, "{loss}")?;
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
    // Whoever comes after a waiting ALTER waits too: an application would stand still.
    let patience = "SET SESSION lock_wait_timeout = 10";
    in_time("set a time limit", conn.query_drop(patience)).await?;
    for statement in statements {
        // Adding a key to a large table takes its time; the server says when it is done.
        let done = conn.query_drop(&statement.sql).await;
        let done = done.map_err(|error| StoreError::mysql(&statement.what, error));
        done.map_err(|error| match error.is_locked() {
            true => StoreError::refused(
                format!("mysql: {}: a session holds the table", statement.what),
                "end it (`SHOW PROCESSLIST`; as a rule a transaction that was left open) and run `scheduler migrate` again",
            ),
            false => error,
        })?;
    }
    let _ = conn.disconnect().await;
    Ok(())
}

impl ExistingTable {
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
            losses: self.losses(layout),
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
        if self.columns.is_empty() {
            add(
                format!("create table `{table}`"),
                self.creation(&target, layout),
            );
            return Ok((statements, None));
        }
        let wanted = columns(&self.collation, layout);
        refused(table, self.unfit(&wanted))?;
        let changes = self.changes(&wanted, layout);
        if changes.is_empty() {
            return Ok((statements, None));
        }
        add(
            format!("complete table `{table}`"),
            format!("ALTER TABLE {target} {}", changes.join(", ")),
        );
        let notice = (!self.is_fleets()).then(|| TableNotice {
            table: format!("{database}.{table}"),
            is_applications: false,
            changes,
            losses: self.losses(layout),
        });
        Ok((statements, notice))
    }

    fn losses(&self, layout: &MirrorLayout) -> Vec<String> {
        let mut losses = Vec::new();
        if layout.review.is_empty() {
            losses.push(
                "a record of the fleet's is removed once its weld is judged OK, with whatever people wrote into it: map a \
                 column that they fill as review_note, or another review column, and it stays"
                    .to_owned(),
            );
        }
        if !self.referring.is_empty() {
            losses.push(format!(
                "other tables refer to it: {}; with a record that is removed CASCADE removes their rows, RESTRICT keeps it",
                self.referring.join(", ")
            ));
        }
        losses
    }

    /// Whether the fleet made the table: in an application's, the key columns are NULL that `migrate` added.
    fn is_fleets(&self) -> bool {
        let mut key = MIRROR_KEY.into_iter();
        key.all(|name| self.column(name).is_some_and(|column| !column.nullable))
    }

    fn creation(&self, target: &str, layout: &MirrorLayout) -> String {
        let columns = columns(&self.collation, layout);
        let columns = columns.iter().map(|(_, column)| format!("    {column}"));
        let keys = carried_columns(layout).map(|name| format!("    KEY ({})", identifier(name)));
        let list: Vec<String> = columns.chain(keys).collect();
        without_comments(RESULT_TABLE)
            .replace("{result_table}", target)
            .replace("{result_columns}", &list.join(",\n"))
            .replace("{collation}", &self.collation)
    }

    fn changes(&self, wanted: &[(String, String)], layout: &MirrorLayout) -> Vec<String> {
        let mut changes: Vec<String> = Vec::new();
        for (name, column) in wanted {
            match self.column(name) {
                None => {
                    changes.push(format!("ADD COLUMN {column}"));
                    // People look a weld up by it.
                    if carried_columns(layout).any(|carried| carried == name) {
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
            let key = MIRROR_KEY.join(", ");
            changes.push(format!("ADD UNIQUE KEY weldfleet_weld ({key})"));
        }
        changes
    }

    pub(super) fn has_own_key(&self) -> bool {
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
        let own: BTreeSet<String> = MIRROR_KEY.map(str::to_owned).into();
        if let Some((problem, remedy)) = self.unfit_for_key(&own) {
            fault(problem, remedy);
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

/// Whether a column can be made into one of ours without changing what its values are.
fn same_kind(found: &ExistingColumn, column: &str) -> bool {
    family(&found.data_type) == family(&MySqlType::of(column_type(column)).name)
        && found.data_type != "decimal"
}

/// The type in a column's SQL, with its size.
fn column_type(column: &str) -> &str {
    column.split_whitespace().nth(1).unwrap_or_default()
}
