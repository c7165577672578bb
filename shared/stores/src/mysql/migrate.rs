//! The result table, made or completed.

use std::fmt;

use mysql_async::prelude::Queryable;
use weldfleet_settings::Settings;

use super::{
    existing_table::ExistingTable,
    own_table::creation,
    quote::{identifier, qualified},
    server::{Server, in_time},
};
use crate::{
    errors::{StoreError, refuse_faults},
    mirror_layout::MirrorLayout,
    statement::{Statement, Store},
};

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
    found.statements(&database, table, &MirrorLayout::of(settings))
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
    fn statements(
        &self,
        database: &str,
        table: &str,
        layout: &MirrorLayout,
    ) -> Result<(Vec<Statement>, Option<TableNotice>), StoreError> {
        let target = qualified(database, table);
        let mut statements = Vec::new();
        let mut add = |what: String, sql: String| {
            statements.push(Statement {
                store: Store::MySql,
                what,
                sql,
            });
        };
        let (what, changes) = if layout.is_applications {
            refuse_faults(table, self.unmappable(layout))?;
            let what = format!("add the key of a weld to `{table}`");
            (what, self.lacking(layout))
        } else {
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
                let sql = creation(&target, &self.collation, layout);
                add(format!("create table `{table}`"), sql);
                return Ok((statements, None));
            }
            refuse_faults(table, self.unfit(layout))?;
            (format!("complete table `{table}`"), self.changes(layout))
        };
        if changes.is_empty() {
            return Ok((statements, None));
        }
        add(what, format!("ALTER TABLE {target} {}", changes.join(", ")));
        let is_anothers = layout.is_applications || !self.is_fleets();
        let notice = is_anothers.then(|| TableNotice {
            table: format!("{database}.{table}"),
            is_applications: layout.is_applications,
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
}
