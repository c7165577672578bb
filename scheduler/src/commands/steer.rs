//! `scheduler backfill cancel|hold|resume|order`

use std::sync::Arc;

use serde_json::json;
use weldfleet_service::{
    Exit, Failure, outln,
    output::{self, grouped},
};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::Change;

use super::{keep, operator, plain};
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
    if wanted == OfRun::Change(Change::Cancel)
        && let Some((withdrawn, event)) = runs::cancel_unknown(&deps, run, &by).await?
    {
        keep(&settings, &[event]).await;
        if json {
            output::json(&json!({
                "run": run, "run_id": run.to_string(), "state": "unknown", "order": null, "changed": true,
                "withdrawn": withdrawn,
            }))?;
        } else {
            let jobs = grouped(withdrawn.jobs());
            outln!(
                "weld_runs does not know run {run}: {jobs} jobs of it left the queue; rows keep the verdicts they have"
            );
        }
        return Ok(Exit::Done);
    }
    let steered = match wanted {
        OfRun::Change(change) => runs::steer(&deps, run, change, &by).await?,
        OfRun::Order(order) => runs::reorder(&deps, run, order, &by).await?,
    };
    keep(&settings, steered.event.as_slice()).await;
    if let Some(failure) = steered.still_queued {
        return Err(failure);
    }
    if json {
        output::json(&json!({
            "run": run, "run_id": run.to_string(), "state": steered.run.state.name(), "order": steered.run.order.name(), "changed": steered.event.is_some(),
            "withdrawn": steered.withdrawn,
        }))?;
        return Ok(Exit::Done);
    }
    outln!("{}", plain(&steered.said(wanted).en));
    Ok(Exit::Done)
}
