//! `scheduler migrate`

use std::io::IsTerminal;

use weldfleet_service::{Exit, Failure, errln, outln};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    StoreError,
    clickhouse::{empty_filter, repeated_keys, several_servers},
    migrate,
    mysql::{NokTable, remove_twins},
};

use crate::dependencies::store_failure;

pub async fn run(settings: &Settings, dry_run: bool, yes: bool) -> Result<Exit, Failure> {
    let plan = migrate::plan(settings).await.map_err(store_failure)?;
    if let Some(repeated) = repeated_keys(settings).await.map_err(store_failure)? {
        errln!("warning: {repeated}");
    }
    if let Some(empty) = empty_filter(settings).await.map_err(store_failure)? {
        errln!("warning: {empty}");
    }
    let records = NokTable::new(settings).map_err(store_failure)?;
    if let Some(records) = records
        && let Ok(Some(unfit)) = records.unfit_reviews().await
    {
        errln!("warning: no weld can be reviewed in the console: {unfit}");
    }
    if plan.statements.is_empty() {
        warn_of_several_servers(settings).await;
        outln!("nothing to do: every table is as it should be");
        return Ok(Exit::Done);
    }
    let asked = plan.asked();
    if dry_run {
        for (notice, _) in &asked {
            for line in notice.lines() {
                outln!("-- {line}");
            }
            outln!("");
        }
        for statement in &plan.statements {
            outln!(
                "-- {}: {}\n{};\n",
                statement.store,
                statement.what,
                statement.sql.trim_end()
            );
        }
        return Ok(Exit::Done);
    }
    for (notice, _) in &asked {
        errln!("{notice}");
    }
    if !asked.is_empty() && !yes && !agreed()? {
        let done: Vec<&str> = asked.iter().map(|(_, done)| done.as_str()).collect();
        return Err(Failure::usage(format!(
            "nothing was changed: {}; --yes adds them, --dry-run shows the SQL",
            done.join(", and ")
        )));
    }
    migrate::apply(settings, &plan)
        .await
        .map_err(|error| failure(settings, error))?;
    for statement in &plan.statements {
        outln!("{}: {}", statement.store, statement.what);
    }
    warn_of_several_servers(settings).await;
    Ok(Exit::Done)
}

/// Records that are there twice keep the unique key from being added, as after a restore without it.
fn failure(settings: &Settings, error: StoreError) -> Failure {
    let (is_twin, failure) = (error.is_twin(), store_failure(error));
    if !is_twin || !settings.mysql.columns.is_empty() {
        return failure;
    }
    let remedy = format!(
        "welds are there twice in {}; these statements leave one record of each, or those that were reviewed, among which a person \
         chooses; then `scheduler migrate` again:\n{};\n",
        settings.tables.result_table,
        remove_twins(settings).join(";\n")
    );
    Failure::new(failure.exit, failure.error.context(remedy))
}

/// Once the tables are there: which they are tells servers apart, and whether it matters.
async fn warn_of_several_servers(settings: &Settings) {
    match several_servers(settings).await {
        Ok(None) => {}
        Ok(Some(several)) => errln!("warning: {several}"),
        Err(error) => errln!("warning: {}", error.chain()),
    }
}

/// Asks whoever is at the terminal; without one nobody has agreed.
fn agreed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    errln!("add the columns? [y/N]");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
