//! The least that each of a fleet's accounts must be allowed in ClickHouse and MySQL; made of the settings alone.

use weldfleet_settings::Settings;

pub use crate::statement::Store;
use crate::{
    clickhouse::quote,
    commas,
    errors::StoreError,
    mirror_layout::MirrorLayout,
    mysql::{
        quote::{identifier, qualified},
        server::Server,
    },
};

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
        let server = Server::new(&settings.mysql)?;
        all.extend(mysql(settings, server.database()));
    }
    Ok(all)
}

fn clickhouse(settings: &Settings) -> Vec<Privilege> {
    let source = settings.tables.source_table.as_str();
    let tables = [source, "weld_results", "weld_runs", "weld_events"]
        .map(|name| quote::qualified(&settings.clickhouse.database, name));
    let [source, results, runs, events] = tables.each_ref().map(String::as_str);
    let update_settings = (
        "SELECT",
        "system.merge_tree_settings",
        "looks whether the table can be updated",
    );
    let free_disk = ["system.disks", "system.storage_policies"]
        .map(|of_disks| ("SELECT", of_disks, "shows the free disk"));
    let marks = "marks rows that nobody can judge";
    let scheduler = [
        (
            "SELECT",
            source,
            "counts a day's rows and cuts them into ranges",
        ),
        // A lightweight UPDATE asks for the whole table, whichever columns it sets.
        (
            "ALTER UPDATE",
            source,
            "marks rows that nobody can judge, applies the patches of finished days",
        ),
        ("SELECT", results, marks),
        ("INSERT", results, marks),
        ("SELECT", runs, "reads backfills"),
        ("INSERT", runs, "begins and ends backfills"),
        ("SELECT", events, "shows what was done"),
        ("INSERT", events, "keeps who did what"),
        update_settings,
        (
            "SELECT",
            "system.parts",
            "sees which days have patches to apply",
        ),
        (
            "SELECT",
            "system.mutations",
            "follows patches that are being applied",
        ),
        (
            "SELECT",
            "system.processes",
            "applies no patches beside UPDATEs, and waits for its own",
        ),
    ];
    let worker = [
        ("SELECT", source, "reads rows"),
        ("ALTER UPDATE", source, "writes verdicts"),
        ("SELECT", results, "copies an attempt's results to its rows"),
        ("INSERT", results, "stores an attempt's results"),
        update_settings,
        (
            "SELECT",
            "system.processes",
            "waits for an UPDATE as long as it is in the line",
        ),
    ];
    let console = [
        ("SELECT", source, "shows welds"),
        ("SELECT", results, "shows what attempts made of a weld"),
        ("SELECT", runs, "shows backfills"),
        ("SELECT", events, "shows what was done"),
        update_settings,
        (
            "SELECT",
            "system.parts",
            "shows which days have patches to apply",
        ),
    ];
    let all = [
        (Role::Scheduler, [&scheduler[..], &free_disk].concat()),
        (Role::Worker, worker.to_vec()),
        (Role::Console, [&console[..], &free_disk].concat()),
    ];
    let privileges = all.into_iter().flat_map(|(role, wanted)| {
        wanted.into_iter().map(move |(what, on, why)| Privilege {
            store: Store::ClickHouse,
            role,
            what: what.to_owned(),
            on: on.to_owned(),
            why,
        })
    });
    privileges.collect()
}

fn mysql(settings: &Settings, database: &str) -> Vec<Privilege> {
    let on = qualified(database, &settings.tables.result_table);
    let layout = MirrorLayout::of(settings);
    let reviewed = commas(layout.review.iter().map(|(_, name)| identifier(name)));
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
            format!("INSERT ({})", commas(layout.written())),
            "adds NOK welds",
        );
        add(
            role,
            format!("UPDATE ({})", commas(layout.held())),
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
            add(role, format!("UPDATE ({reviewed})"), "keeps a review");
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_columns_that_keep_their_names_in_an_applications_table_may_be_written_too() {
        let mut settings = Settings::default();
        for (ours, theirs) in [("ck_ticks", "t"), ("final_result", "verdict")] {
            settings.mysql.columns.insert(ours.into(), theirs.into());
        }
        let granted: Vec<String> = mysql(&settings, "weld")
            .into_iter()
            .filter(|privilege| privilege.role == Role::Worker)
            .map(|privilege| privilege.what)
            .collect();
        let columns = "(`data_date`, `t`, `ck_local_time`, `record_id`, `verdict`)";
        for statement in ["INSERT", "UPDATE"] {
            let wanted = format!("{statement} {columns}");
            assert!(granted.contains(&wanted), "{granted:?}");
        }
    }
}
