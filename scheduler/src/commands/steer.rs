//! `scheduler backfill cancel|hold|resume`: a run is stopped for good, for a while, or goes on.

use std::sync::Arc;

use serde_json::json;
use weldfleet_fleet::queue_failure;
use weldfleet_service::{
    Exit, Failure, outln,
    output::{self, grouped},
};
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::{Change, Run};

use super::{operator, record};
use crate::{
    args::{Steer, SteerWhat},
    dependencies::{Dependencies, store_failure},
    withdraw::{self, Withdrawn},
};

pub async fn run(settings: Arc<Settings>, steer: Steer) -> Result<Exit, Failure> {
    let (change, what) = match &steer {
        Steer::Cancel(what) => (Change::Cancel, what),
        Steer::Hold(what) => (Change::Hold, what),
        Steer::Resume(what) => (Change::Resume, what),
    };
    let deps = Dependencies::open(settings.clone()).await?;
    let before = deps.runs.get(what.run).await.map_err(store_failure)?;
    let Some(before) = before else {
        return Err(unknown(what));
    };
    let who = operator();
    let changed = deps.runs.change(what.run, change, &who, &what.reason);
    let Some(run) = changed.await.map_err(store_failure)? else {
        return Err(unknown(what));
    };
    if run.state != change.leads_to() {
        return Err(Failure::new(Exit::Failed, refusal(change, &run)));
    }
    let news = before.state != run.state;
    let withdrawn = match change {
        Change::Resume => Withdrawn::default(),
        // Also of a run that was stopped before: this may be the second try.
        Change::Cancel | Change::Hold => {
            withdraw::stop(&deps.queue, &run).await.map_err(|error| {
                let failure = queue_failure(error);
                let state = run.state.name();
                let error = failure.error.context(format!(
                    "run {} is {state}, but its jobs are on the queue still; whoever leads takes them off once redis works",
                    run.run
                ));
                Failure::new(failure.exit, error)
            })?
        }
    };
    if news {
        let name = match change {
            Change::Cancel => "backfill cancel",
            Change::Hold => "backfill hold",
            Change::Resume => "backfill resume",
        };
        let detail = in_words(withdrawn);
        let on_what = format!("run {}", run.run);
        record::record(
            &settings,
            &[record::event(name, on_what, &what.reason, detail)],
        )
        .await;
    }
    if what.json {
        output::json(&json!({
            "run": run.run, "state": run.state.name(), "changed": news,
            "withdrawn": { "waiting": withdrawn.waiting, "leased": withdrawn.leased, "dead": withdrawn.dead },
        }))?;
        return Ok(Exit::Done);
    }
    outln!("{}", said(&run, change, news, withdrawn));
    Ok(Exit::Done)
}

fn unknown(what: &SteerWhat) -> Failure {
    Failure::usage(format!(
        "there is no run {}; `scheduler status` shows those there are",
        what.run
    ))
}

fn refusal(change: Change, run: &Run) -> anyhow::Error {
    let wanted = match change {
        Change::Cancel => "only one that is open or held can be cancelled",
        Change::Hold => "only one that is open can be held",
        Change::Resume => "only one that is held can be resumed",
    };
    anyhow::anyhow!("run {} is {}: {wanted}", run.run, run.state.name())
}

fn in_words(withdrawn: Withdrawn) -> String {
    let mut text = format!("{} jobs left the queue", grouped(withdrawn.jobs()));
    if withdrawn.leased + withdrawn.dead > 0 {
        text.push_str(&format!(
            ", {} of them leased, {} dead",
            grouped(withdrawn.leased),
            grouped(withdrawn.dead)
        ));
    }
    text
}

fn said(run: &Run, change: Change, news: bool, withdrawn: Withdrawn) -> String {
    let id = run.run;
    let already = if news { "" } else { "already " };
    match change {
        Change::Cancel => format!(
            "run {id} is {already}cancelled: {}; rows keep the verdicts they have",
            in_words(withdrawn)
        ),
        Change::Hold => format!(
            "run {id} is {already}held: {}; `scheduler backfill resume {id}` lets it go on",
            in_words(withdrawn)
        ),
        Change::Resume => format!("run {id} goes on"),
    }
}
