//! `scheduler migrate`

use weldfleet_cli::{Exit, Failure, outln};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::migrate;

use crate::parts::store_failure;

pub async fn run(settings: &Settings, dry_run: bool) -> Result<Exit, Failure> {
    let plan = migrate::plan(settings).await.map_err(store_failure)?;
    if plan.statements.is_empty() {
        outln!("nothing to do: every table is as it should be");
        return Ok(Exit::Done);
    }
    if dry_run {
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
    migrate::apply(settings, &plan)
        .await
        .map_err(store_failure)?;
    for statement in &plan.statements {
        outln!("{}: {}", statement.store, statement.what);
    }
    Ok(Exit::Done)
}
