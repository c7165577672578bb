//! The least that each of a fleet's accounts must be allowed in ClickHouse and MySQL; made of the settings alone.

use weldfleet_settings::{
    Settings,
    columns::{DESCRIBING_COLUMNS, MIRROR_KEY, REVIEW_COLUMNS},
};
use weldfleet_weld::columns::RESULT_COLUMNS;

pub use crate::statement::Store;
use crate::{clickhouse::quote, errors::StoreError, mysql};

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Scheduler,
    Worker,
    /// People who look, and review NOK welds; and `clickhouse.console_user`.
    Console,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Scheduler, Self::Worker, Self::Console];

    /// The account's name in every store.
    pub fn account(self) -> &'static str {
        match self {
            Self::Scheduler => "weldfleet_scheduler",
            Self::Worker => "weldfleet_worker",
            Self::Console => "weldfleet_console",
        }
    }
}

/// Whose accounts write the reviewers' columns of MySQL, and nobody else's. The console is a part of the scheduler.
const REVIEWERS: [Role; 2] = [Role::Scheduler, Role::Console];

/// One thing that an account must be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privilege {
    pub store: Store,
    pub role: Role,
    /// `SELECT`, with its columns where not all are needed.
    pub what: String,
    /// The table, quoted for its store.
    pub on: String,
    /// What would not work without it.
    pub why: &'static str,
}

/// Everything that is needed, store by store.
///
/// # Errors
/// When `mysql.url` names no database.
pub fn privileges(settings: &Settings) -> Result<Vec<Privilege>, StoreError> {
    let mut all = clickhouse(settings);
    if settings.mysql.enabled {
        let server = mysql::server::Server::new(&settings.mysql)?;
        all.extend(mysql(settings, server.database()));
    }
    Ok(all)
}

fn clickhouse(settings: &Settings) -> Vec<Privilege> {
    use Role::{Console, Scheduler, Worker};
    let table = |name: &str| quote::qualified(&settings.clickhouse.database, name);
    let source = table(&settings.tables.source_table);
    let (results, runs, events) = (
        table("weld_results"),
        table("weld_runs"),
        table("weld_events"),
    );
    let system = |name: &str| format!("system.{name}");
    let wanted = [
        (
            Scheduler,
            "SELECT",
            source.clone(),
            "counts a day's rows and cuts them into ranges",
        ),
        // A lightweight UPDATE asks for the whole table, whichever columns it sets.
        (
            Scheduler,
            "ALTER UPDATE",
            source.clone(),
            "marks rows that nobody can judge, applies the patches of finished days",
        ),
        (
            Scheduler,
            "SELECT",
            results.clone(),
            "marks rows that nobody can judge",
        ),
        (
            Scheduler,
            "INSERT",
            results.clone(),
            "marks rows that nobody can judge",
        ),
        (Scheduler, "SELECT", runs.clone(), "reads backfills"),
        (
            Scheduler,
            "INSERT",
            runs.clone(),
            "begins and ends backfills",
        ),
        (Scheduler, "SELECT", events.clone(), "shows what was done"),
        (Scheduler, "INSERT", events.clone(), "keeps who did what"),
        (
            Scheduler,
            "SELECT",
            system("merge_tree_settings"),
            "looks whether the table can be updated",
        ),
        (
            Scheduler,
            "SELECT",
            system("parts"),
            "sees which days have patches to apply",
        ),
        (
            Scheduler,
            "SELECT",
            system("mutations"),
            "follows patches that are being applied",
        ),
        (
            Scheduler,
            "SELECT",
            system("processes"),
            "applies no patches beside UPDATEs, and waits for its own",
        ),
        (Scheduler, "SELECT", system("disks"), "shows the free disk"),
        (
            Scheduler,
            "SELECT",
            system("storage_policies"),
            "shows the free disk",
        ),
        (Worker, "SELECT", source.clone(), "reads rows"),
        (Worker, "ALTER UPDATE", source.clone(), "writes verdicts"),
        (
            Worker,
            "SELECT",
            results.clone(),
            "copies an attempt's results to its rows",
        ),
        (
            Worker,
            "INSERT",
            results.clone(),
            "stores an attempt's results",
        ),
        (
            Worker,
            "SELECT",
            system("merge_tree_settings"),
            "looks whether the table can be updated",
        ),
        (
            Worker,
            "SELECT",
            system("processes"),
            "waits for an UPDATE as long as it is in the line",
        ),
        (Console, "SELECT", source, "shows welds"),
        (
            Console,
            "SELECT",
            results,
            "shows what attempts made of a weld",
        ),
        (Console, "SELECT", runs, "shows backfills"),
        (Console, "SELECT", events, "shows what was done"),
        (
            Console,
            "SELECT",
            system("merge_tree_settings"),
            "looks whether the table can be updated",
        ),
        (
            Console,
            "SELECT",
            system("parts"),
            "shows which days have patches to apply",
        ),
        (Console, "SELECT", system("disks"), "shows the free disk"),
        (
            Console,
            "SELECT",
            system("storage_policies"),
            "shows the free disk",
        ),
    ];
    wanted
        .into_iter()
        .map(|(role, what, on, why)| Privilege {
            store: Store::ClickHouse,
            role,
            what: what.to_owned(),
            on,
            why,
        })
        .collect()
}

fn mysql(settings: &Settings, database: &str) -> Vec<Privilege> {
    let on = format!(
        "{}.{}",
        mysql::quote::identifier(database),
        mysql::quote::identifier(&settings.tables.result_table)
    );
    let columns = |names: &[String]| -> String {
        let quoted: Vec<String> = names
            .iter()
            .map(|name| mysql::quote::identifier(name))
            .collect();
        quoted.join(", ")
    };
    let (written, reviewed) = mysql_columns(settings);
    let constants: Vec<String> = settings.mysql.constants.keys().cloned().collect();
    let inserted = [written.clone(), constants].concat();
    let mut all = Vec::new();
    let mut add = |role, what: String, why| {
        all.push(Privilege {
            store: Store::MySql,
            role,
            what,
            on: on.clone(),
            why,
        });
    };
    for role in [Role::Scheduler, Role::Worker] {
        add(
            role,
            "SELECT".to_owned(),
            "compares the table with the verdicts",
        );
        add(
            role,
            format!("INSERT ({})", columns(&inserted)),
            "adds NOK welds",
        );
        add(
            role,
            format!("UPDATE ({})", columns(&written)),
            "changes a weld that was judged again",
        );
        add(
            role,
            "DELETE".to_owned(),
            "removes a weld that is no longer NOK and that nobody reviewed",
        );
    }
    add(Role::Console, "SELECT".to_owned(), "shows reviews");
    if !reviewed.is_empty() {
        for role in REVIEWERS {
            add(
                role,
                format!("UPDATE ({})", columns(&reviewed)),
                "keeps a review",
            );
        }
    }
    all
}

/// The columns that the fleet writes, and those that people do, by their names in the table.
fn mysql_columns(settings: &Settings) -> (Vec<String>, Vec<String>) {
    let map = &settings.mysql.columns;
    let theirs = |ours: &str| match map.is_empty() {
        true => Some(ours.to_owned()),
        false => map.get(ours).cloned(),
    };
    let mirrored = RESULT_COLUMNS.iter().filter(|column| column.mirrored);
    let written = MIRROR_KEY
        .into_iter()
        .chain(DESCRIBING_COLUMNS.map(|(name, _)| name))
        .chain(mirrored.map(|column| column.name))
        .chain(settings.columns.carried().map(|(ours, _)| ours));
    (
        written.filter_map(theirs).collect(),
        REVIEW_COLUMNS.into_iter().filter_map(theirs).collect(),
    )
}
