//! What the stores lack, and adding it.
//!
//! A plan is read off the servers, so that the second plan of a migrated fleet is empty. A plant's own
//! table only ever gets columns and settings it has not; what cannot be done is refused with the remedy, and what a plan would break is
//! said in it.

use std::{fmt, time::Duration};

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::{
    Settings,
    columns::{INPUT_COLUMNS, RESULT_COLUMNS, TRUTH_COLUMNS},
};

use super::{
    Schema, Server,
    schema::{qualified, supported_version},
    settling,
    sql::{identifier, literal},
    writers::{self, Notice},
};
use crate::{errors::StoreError, mysql};

const SOURCE_TABLE: &str = include_str!("../../../../config/sql/clickhouse/source_table.sql");
const RESULT_COLUMN_LIST: &str =
    include_str!("../../../../config/sql/clickhouse/result_columns.sql");
const TRUTH_COLUMN_LIST: &str = include_str!("../../../../config/sql/clickhouse/truth_columns.sql");
const WELD_RESULTS: &str = include_str!("../../../../config/sql/clickhouse/weld_results.sql");
const WELD_RUNS: &str = include_str!("../../../../config/sql/clickhouse/weld_runs.sql");

/// Which server a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// ClickHouse.
    ClickHouse,
    /// MySQL.
    MySql,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClickHouse => "clickhouse",
            Self::MySql => "mysql",
        })
    }
}

/// One step of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The server it is for.
    pub store: Store,
    /// What it does, in a few words.
    pub what: String,
    /// The SQL.
    pub sql: String,
}

/// Everything that is missing, in the order in which it is added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps; none when all is there.
    pub statements: Vec<Statement>,
    /// What people must agree to first.
    pub notice: Option<Notice>,
}

/// Looks at both servers and says what is missing. Changes nothing.
pub async fn plan(settings: &Settings) -> Result<Plan, StoreError> {
    let server = Server::new(&settings.clickhouse);
    supported_version(&server).await?;
    let mut plan = clickhouse_plan(&server, settings).await?;
    if settings.mysql.enabled {
        let statements = mysql::migrate::statements(settings).await?;
        plan.statements.extend(statements);
    }
    Ok(plan)
}

/// Runs a plan. Safe to repeat after a failure: make a new plan and run that.
pub async fn apply(settings: &Settings, plan: &Plan) -> Result<(), StoreError> {
    let server = Server::new(&settings.clickhouse).with_patience(Duration::from_secs(600));
    let (clickhouse, mysql): (Vec<_>, Vec<_>) = plan
        .statements
        .iter()
        .partition(|statement| statement.store == Store::ClickHouse);
    for statement in clickhouse {
        server.execute(&statement.what, &statement.sql).await?;
    }
    if !mysql.is_empty() {
        mysql::migrate::apply(settings, &mysql).await?;
    }
    // What was made must be what the fleet can work with.
    super::SourceTable::inspect(settings).await.map(|_| ())
}

#[derive(Row, Deserialize)]
struct ExistingTable {
    name: String,
    create_table_query: String,
}

async fn clickhouse_plan(server: &Server, settings: &Settings) -> Result<Plan, StoreError> {
    let mut statements = Vec::new();
    let mut notice = None;
    let mut add = |what: String, sql: String| {
        statements.push(Statement {
            store: Store::ClickHouse,
            what,
            sql,
        });
    };
    let database = server.database();
    let databases: u64 = server
        .one(
            "read system.databases",
            &format!(
                "SELECT count() FROM system.databases WHERE name = {}",
                literal(database)
            ),
        )
        .await?;
    if databases == 0 {
        add(
            format!("create database `{database}`"),
            format!("CREATE DATABASE IF NOT EXISTS {}", identifier(database)),
        );
    }
    let existing: Vec<ExistingTable> = server
        .all(
            "read system.tables",
            &format!(
                "SELECT name, create_table_query FROM system.tables WHERE database = {} \
                 AND name IN ('weld_results', 'weld_runs')",
                literal(database)
            ),
        )
        .await?;
    let find = |name: &str| existing.iter().find(|table| table.name == name);

    let source = &settings.tables.source_table;
    let has_patch_formats = settling::has_patch_formats(server).await?;
    match Schema::load(server, settings).await? {
        None => {
            let mut create = create_source_table(settings);
            if has_patch_formats {
                create = settling::with_patch_format(&create);
            }
            add(format!("create table `{source}`"), create);
        }
        Some(schema) => {
            if !schema.missing_settings.is_empty() {
                let on: Vec<String> = schema
                    .missing_settings
                    .iter()
                    .map(|name| format!("{name} = 1"))
                    .collect();
                add(
                    format!("turn on lightweight UPDATE of `{source}`"),
                    format!(
                        "ALTER TABLE {} MODIFY SETTING {}",
                        schema.source,
                        on.join(", ")
                    ),
                );
            }
            if has_patch_formats
                && let Some(sql) =
                    settling::set_patch_format(&schema.source, &schema.create_table_query)
            {
                add(format!("fix the format of patch parts of `{source}`"), sql);
            }
            if !schema.missing_results.is_empty() {
                notice = writers::notice(server, &schema, schema.missing_results.len()).await?;
                let columns: Vec<String> =
                    column_list(RESULT_COLUMN_LIST, RESULT_COLUMNS, settings)
                        .into_iter()
                        .filter(|(ours, _)| schema.missing_results.contains(ours))
                        .map(|(_, column)| format!("ADD COLUMN IF NOT EXISTS {column}"))
                        .collect();
                add(
                    format!("add result columns to `{source}`"),
                    format!("ALTER TABLE {} {}", schema.source, columns.join(", ")),
                );
            }
        }
    }

    let ttl = settings.tables.results_ttl.as_secs().max(1);
    let results = qualified(database, "weld_results");
    match find("weld_results") {
        None => add(
            "create table `weld_results`".into(),
            statement_text(WELD_RESULTS)
                .replace("{weld_results}", &results)
                .replace("{results_ttl}", &ttl.to_string()),
        ),
        Some(table) => {
            let wanted = format!("toIntervalSecond({ttl})");
            if !table.create_table_query.contains(&wanted) {
                add(
                    format!("keep results for {ttl} s"),
                    format!("ALTER TABLE {results} MODIFY TTL created + {wanted}"),
                );
            }
        }
    }
    if find("weld_runs").is_none() {
        add(
            "create table `weld_runs`".into(),
            statement_text(WELD_RUNS).replace("{weld_runs}", &qualified(database, "weld_runs")),
        );
    }
    Ok(Plan { statements, notice })
}

fn create_source_table(settings: &Settings) -> String {
    let list = |text, names| {
        column_list(text, names, settings)
            .into_iter()
            .map(|(_, column)| column)
            .collect::<Vec<_>>()
            .join(",\n    ")
    };
    let table = qualified(&settings.clickhouse.database, &settings.tables.source_table);
    let sql = statement_text(SOURCE_TABLE)
        .replace("{source_table}", &table)
        .replace("{record_id_type}", "UInt64")
        .replace(
            "{result_columns}",
            &list(RESULT_COLUMN_LIST, RESULT_COLUMNS),
        )
        .replace("{truth_columns}", &list(TRUTH_COLUMN_LIST, TRUTH_COLUMNS));
    with_names(&sql, INPUT_COLUMNS, settings)
}

/// The columns of a list file: our name, and `their name and type` as SQL.
fn column_list(
    text: &str,
    names: &'static [&'static str],
    settings: &Settings,
) -> Vec<(&'static str, String)> {
    statement_text(text)
        .lines()
        .filter_map(|line| {
            let ours = names
                .iter()
                .find(|name| line.starts_with(&format!("{{{name}}} ")))?;
            Some((*ours, with_names(line.trim(), &[ours], settings)))
        })
        .collect()
}

/// Puts the plant's column names where the file has `{ours}`.
fn with_names(sql: &str, names: &[&str], settings: &Settings) -> String {
    names.iter().fold(sql.to_owned(), |sql, ours| {
        sql.replace(
            &format!("{{{ours}}}"),
            &identifier(settings.columns.name(ours)),
        )
    })
}

/// A file's SQL without its comments.
pub(crate) fn statement_text(file: &str) -> String {
    file.lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}
