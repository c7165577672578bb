//! What ClickHouse lacks, and adding it.

use std::{collections::BTreeSet, time::Duration};

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::{
    Columns, Settings,
    columns::{INPUT_COLUMNS, TRUTH_COLUMNS},
};
use weldfleet_weld::columns::{RESULT_COLUMNS, ResultColumn, verdict_columns};

use super::{
    Schema, Server,
    quote::{about_table, identifier, literal, qualified},
    schema::{OLD_TRUTH, supported_version},
    settling,
    writers::{self, Notice},
};
use crate::{
    columns::{results_type, source_type},
    commas,
    errors::StoreError,
    statement::{Statement, Store, without_comments},
};

const SOURCE_TABLE: &str = include_str!("../../../../config/sql/clickhouse/source_table.sql");
const TRUTH_COLUMN_LIST: &str = include_str!("../../../../config/sql/clickhouse/truth_columns.sql");
const WELD_RESULTS: &str = include_str!("../../../../config/sql/clickhouse/weld_results.sql");
const WELD_RUNS: &str = include_str!("../../../../config/sql/clickhouse/weld_runs.sql");
const WELD_EVENTS: &str = include_str!("../../../../config/sql/clickhouse/weld_events.sql");

/// Columns of `weld_runs` that tables of earlier versions lack.
const STEERING_COLUMNS: [(&str, &str); 6] = [
    (
        "order",
        "LowCardinality(String) COMMENT 'which day first: oldest, or newest'",
    ),
    (
        "note",
        "String COMMENT 'what it is for, in the words of who asked'",
    ),
    ("requested_by", "String COMMENT 'user@host'"),
    (
        "changed_by",
        "String COMMENT 'who held, cancelled or resumed it last'",
    ),
    ("changed_why", "String COMMENT 'and why'"),
    (
        "announced",
        "Map(UInt32, UInt64) COMMENT 'by day, the rows that it wanted when it was asked for'",
    ),
];

/// Time that a statement may take: a column added to a large table, a setting of a busy one.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is missing, and what people must agree to before it is added.
pub(crate) async fn statements(
    settings: &Settings,
) -> Result<(Vec<Statement>, Option<Notice>), StoreError> {
    let server = Server::new(&settings.clickhouse).selecting(&settings.tables);
    supported_version(&server).await?;
    let mut steps = Steps::default();
    steps.database(&server).await?;
    let notice = steps.source_table(&server, settings).await?;
    steps.own_tables(&server, settings).await?;
    Ok((steps.0, notice))
}

/// What is to be done to the tables beside the plant's.
pub(crate) async fn of_own_tables(settings: &Settings) -> Result<Vec<String>, StoreError> {
    let mut steps = Steps::default();
    let server = Server::new(&settings.clickhouse);
    steps.own_tables(&server, settings).await?;
    Ok(steps.0.into_iter().map(|step| step.what).collect())
}

pub(crate) async fn apply(
    settings: &Settings,
    statements: &[&Statement],
) -> Result<(), StoreError> {
    let server = Server::new(&settings.clickhouse).with_patience(PATIENCE);
    for statement in statements {
        server.execute(&statement.what, &statement.sql).await?;
    }
    Ok(())
}

#[derive(Default)]
struct Steps(Vec<Statement>);

impl Steps {
    fn add(&mut self, what: String, sql: String) {
        self.0.push(Statement {
            store: Store::ClickHouse,
            what,
            sql,
        });
    }

    async fn database(&mut self, server: &Server) -> Result<(), StoreError> {
        let database = server.database();
        let sql = format!(
            "SELECT count() FROM system.databases WHERE name = {}",
            literal(database)
        );
        let databases: u64 = server.one("read system.databases", &sql).await?;
        if databases == 0 {
            self.add(
                format!("create database `{database}`"),
                format!("CREATE DATABASE IF NOT EXISTS {}", identifier(database)),
            );
        }
        Ok(())
    }

    async fn source_table(
        &mut self,
        server: &Server,
        settings: &Settings,
    ) -> Result<Option<Notice>, StoreError> {
        let source = &settings.tables.source_table;
        let has_patch_formats = settling::has_patch_formats(server).await?;
        let Some(schema) = Schema::load(server, settings).await? else {
            let mut create = create_source_table(settings);
            if has_patch_formats {
                create = settling::with_patch_format(&create);
            }
            self.add(format!("create table `{source}`"), create);
            return Ok(None);
        };
        if !schema.missing_settings.is_empty() {
            let missing = schema.missing_settings.iter();
            let on = commas(missing.map(|name| format!("{name} = 1")));
            self.add(
                format!("turn on lightweight UPDATE of `{source}`"),
                format!("ALTER TABLE {} MODIFY SETTING {on}", schema.source),
            );
        }
        if has_patch_formats
            && let Some(sql) =
                settling::set_patch_format(&schema.source, &schema.create_table_query)
        {
            self.add(format!("fix the format of patch parts of `{source}`"), sql);
        }
        if schema.has_old_truth {
            self.add(
                format!("rename the simulated truth of `{source}`"),
                format!(
                    "ALTER TABLE {} RENAME COLUMN {OLD_TRUTH} TO {}",
                    schema.source,
                    identifier(settings.columns.name("label_defect"))
                ),
            );
        }
        if schema.missing_results.is_empty() {
            return Ok(None);
        }
        let columns = RESULT_COLUMNS
            .iter()
            .filter(|column| schema.missing_results.contains(&column.name))
            .map(|column| format!("ADD COLUMN IF NOT EXISTS {}", in_source(column, settings)));
        self.add(
            format!("add result columns to `{source}`"),
            format!("ALTER TABLE {} {}", schema.source, commas(columns)),
        );
        writers::notice(server, &schema, schema.missing_results.len()).await
    }

    async fn own_tables(&mut self, server: &Server, settings: &Settings) -> Result<(), StoreError> {
        self.weld_results(server, settings).await?;
        self.weld_runs(server).await?;
        self.weld_events(server).await
    }

    async fn weld_results(
        &mut self,
        server: &Server,
        settings: &Settings,
    ) -> Result<(), StoreError> {
        let ttl = settings.tables.results_ttl.as_secs().max(1);
        let results = qualified(server.database(), "weld_results");
        let columns = verdict_columns().map(|(column, _)| OwnColumn {
            name: column.name,
            sql: format!("{} {}", column.name, results_type(column.kind)),
        });
        let columns: Vec<OwnColumn> = columns.collect();
        let Some(table) = OwnTable::read(server, "weld_results").await? else {
            self.add(
                "create table `weld_results`".into(),
                without_comments(WELD_RESULTS)
                    .replace("{weld_results}", &results)
                    .replace("{result_columns}", &listed(&columns))
                    .replace("{results_ttl}", &ttl.to_string()),
            );
            return Ok(());
        };
        self.missing(
            &table,
            &columns,
            &results,
            "add result columns to `weld_results`",
        );
        // Parts that are there already go without, until they are dropped.
        if !table.create_table_query.contains("INDEX day_range") {
            self.add(
                "index the days of `weld_results`".into(),
                format!("ALTER TABLE {results} ADD INDEX IF NOT EXISTS day_range day TYPE minmax"),
            );
        }
        let wanted = format!("toIntervalSecond({ttl})");
        if !table.create_table_query.contains(&wanted) {
            self.add(
                format!("keep results for {ttl} s"),
                format!("ALTER TABLE {results} MODIFY TTL created + {wanted}"),
            );
        }
        Ok(())
    }

    async fn weld_runs(&mut self, server: &Server) -> Result<(), StoreError> {
        let runs = qualified(server.database(), "weld_runs");
        let columns = STEERING_COLUMNS.map(|(name, kind)| OwnColumn {
            name,
            sql: format!("{} {kind}", identifier(name)),
        });
        match OwnTable::read(server, "weld_runs").await? {
            None => self.add(
                "create table `weld_runs`".into(),
                without_comments(WELD_RUNS)
                    .replace("{weld_runs}", &runs)
                    .replace("{steering_columns}", &listed(&columns)),
            ),
            Some(table) => self.missing(&table, &columns, &runs, "add columns to `weld_runs`"),
        }
        Ok(())
    }

    /// Adds the columns that a table lacks; `target` is its name in SQL.
    fn missing(&mut self, table: &OwnTable, columns: &[OwnColumn], target: &str, what: &str) {
        let missing = columns
            .iter()
            .filter(|column| !table.columns.iter().any(|found| found == column.name));
        let missing =
            commas(missing.map(|column| format!("ADD COLUMN IF NOT EXISTS {}", column.sql)));
        if !missing.is_empty() {
            self.add(what.to_owned(), format!("ALTER TABLE {target} {missing}"));
        }
    }

    async fn weld_events(&mut self, server: &Server) -> Result<(), StoreError> {
        if OwnTable::read(server, "weld_events").await?.is_none() {
            let events = qualified(server.database(), "weld_events");
            self.add(
                "create table `weld_events`".into(),
                without_comments(WELD_EVENTS).replace("{weld_events}", &events),
            );
        }
        Ok(())
    }
}

/// A column of such a table: its name, and the whole of it as SQL.
struct OwnColumn {
    name: &'static str,
    sql: String,
}

fn listed(columns: &[OwnColumn]) -> String {
    let columns: Vec<&str> = columns.iter().map(|column| column.sql.as_str()).collect();
    columns.join(",\n    ")
}

/// A table beside the plant's, as it is.
#[derive(Row, Deserialize)]
struct OwnTable {
    create_table_query: String,
    columns: Vec<String>,
}

impl OwnTable {
    async fn read(server: &Server, name: &str) -> Result<Option<Self>, StoreError> {
        let sql = format!(
            "SELECT create_table_query, (SELECT groupArray(name) FROM system.columns WHERE {}) AS columns \
             FROM system.tables WHERE {}",
            about_table("table", server.database(), name),
            about_table("name", server.database(), name),
        );
        server.first("read system.tables", &sql).await
    }
}

/// A result column of the source table: the plant's name of it and its type.
fn in_source(column: &ResultColumn, settings: &Settings) -> String {
    format!(
        "{} {}",
        identifier(settings.columns.name(column.name)),
        source_type(column.kind)
    )
}

fn create_source_table(settings: &Settings) -> String {
    let results: Vec<String> = RESULT_COLUMNS
        .iter()
        .map(|column| in_source(column, settings))
        .collect();
    let mut others = without_comments(TRUTH_COLUMN_LIST).replace('\n', ",\n    ");
    for further in further_columns(settings) {
        others.push_str(",\n    ");
        others.push_str(&further);
    }
    let table = qualified(&settings.clickhouse.database, &settings.tables.source_table);
    let sql = without_comments(SOURCE_TABLE)
        .replace("{source_table}", &table)
        .replace("{record_id_type}", "UInt64")
        .replace("{result_columns}", &results.join(",\n    "))
        .replace("{truth_columns}", &others);
    with_names(sql, settings)
}

/// Carried columns and further numbers, each of theirs once.
fn further_columns(settings: &Settings) -> Vec<String> {
    let carried = settings.columns.carried();
    let carried = carried.map(|(_, theirs)| (theirs, "String"));
    let scalars = settings.columns.scalars();
    let scalars = scalars.map(|(_, theirs)| (theirs, "Nullable(Float64)"));
    let known = Columns::known().map(|ours| settings.columns.name(ours));
    let mut taken: BTreeSet<&str> = known.collect();
    carried
        .chain(scalars)
        .filter(|(theirs, _)| taken.insert(theirs))
        .map(|(theirs, kind)| format!("{} {kind}", identifier(theirs)))
        .collect()
}

/// Puts the plant's column names where the file has `{ours}`.
fn with_names(sql: String, settings: &Settings) -> String {
    let names = INPUT_COLUMNS.iter().chain(TRUTH_COLUMNS);
    names.fold(sql, |sql, ours| {
        let theirs = identifier(settings.columns.name(ours));
        sql.replace(&format!("{{{ours}}}"), &theirs)
    })
}
