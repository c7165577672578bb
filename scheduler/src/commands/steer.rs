//! `scheduler backfill cancel|hold|resume|order`

use std::sync::Arc;

use serde_json::json;
use weldfleet_service::{Exit, Failure, outln, output};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::Change;

use super::{keep, operator};
use crate::{
    actions::{refused::OfRun, runs},
    args::{Steer, SteerWhat},
    dependencies::Dependencies,
};

pub async fn run(settings: Arc<Settings>, steer: Steer) -> Result<Exit, Failure> {
    let (wanted, SteerWhat { run, why, json }) = match steer {
        Steer::Cancel(what) => (OfRun::Change(Change::Cancel), what),
        Steer::Hold(what) => (OfRun::Change(Change::Hold), what),
        Steer::Resume(what) => (OfRun::Change(Change::Resume), what),
        Steer::Order { what, order } => (OfRun::Order(order.into()), what),
    };
    let deps = Dependencies::open(settings.clone()).await?;
    let by = operator(&why.reason);
    let steered = match wanted {
        OfRun::Change(change) => runs::steer(&deps, run, change, &by).await?,
        OfRun::Order(order) => runs::reorder(&deps, run, order, &by).await?,
    };
    keep(&settings, steered.event.as_slice()).await;
    if json {
        let withdrawn = steered.withdrawn;
        output::json(&json!({
            "run": run, "state": steered.run.state.name(), "order": steered.run.order.name(), "changed": steered.event.is_some(),
            "withdrawn": { "waiting": withdrawn.waiting, "leased": withdrawn.leased, "dead": withdrawn.dead },
        }))?;
        return Ok(Exit::Done);
    }
    outln!("{}", steered.said(wanted));
    Ok(Exit::Done)
}
