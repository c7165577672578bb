//! `scheduler backfill cancel|hold|resume`

use std::sync::Arc;

use serde_json::json;
use weldfleet_service::{Exit, Failure, outln, output};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::Change;

use super::{keep, operator};
use crate::{
    actions::runs,
    args::{Steer, SteerWhat},
    dependencies::Dependencies,
};

pub async fn run(settings: Arc<Settings>, steer: Steer) -> Result<Exit, Failure> {
    let (change, SteerWhat { run, why, json }) = match steer {
        Steer::Cancel(what) => (Change::Cancel, what),
        Steer::Hold(what) => (Change::Hold, what),
        Steer::Resume(what) => (Change::Resume, what),
    };
    let deps = Dependencies::open(settings.clone()).await?;
    let steered = runs::steer(&deps, run, change, &operator(&why.reason)).await?;
    keep(&settings, steered.event.as_slice()).await;
    if json {
        let withdrawn = steered.withdrawn;
        output::json(&json!({
            "run": run, "state": steered.run.state.name(), "changed": steered.event.is_some(),
            "withdrawn": { "waiting": withdrawn.waiting, "leased": withdrawn.leased, "dead": withdrawn.dead },
        }))?;
        return Ok(Exit::Done);
    }
    outln!("{}", steered.said(change));
    Ok(Exit::Done)
}
