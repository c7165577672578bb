//! A backfill is stopped for good, for a while, or goes on.

use weldfleet_fleet::queue_failure;
use weldfleet_service::{Exit, Failure, output::grouped};
use weldfleet_stores::clickhouse::{Change, Event, Run};

use super::{
    By,
    withdraw::{self, Withdrawn},
};
use crate::dependencies::{Dependencies, store_failure};

/// A run that is as it was asked to be.
pub struct Steered {
    pub run: Run,
    pub withdrawn: Withdrawn,
    /// `None` if it was so before.
    pub event: Option<Event>,
}

pub async fn steer(
    deps: &Dependencies,
    number: u64,
    change: Change,
    by: &By,
) -> Result<Steered, Failure> {
    let before = deps.runs.get(number).await.map_err(store_failure)?;
    let before = before.ok_or_else(|| unknown(number))?;
    let changed = deps.runs.change(number, change, &by.who, &by.why).await;
    let run = changed
        .map_err(store_failure)?
        .ok_or_else(|| unknown(number))?;
    if run.state != change.leads_to() {
        return Err(Failure::new(Exit::Failed, refusal(change, &run)));
    }
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
    let name = match change {
        Change::Cancel => "backfill cancel",
        Change::Hold => "backfill hold",
        Change::Resume => "backfill resume",
    };
    let event = (before.state != run.state)
        .then(|| by.event(name, format!("run {}", run.run), in_words(withdrawn)));
    Ok(Steered {
        run,
        withdrawn,
        event,
    })
}

impl Steered {
    /// What was done, for people.
    pub fn said(&self, change: Change) -> String {
        let id = self.run.run;
        let already = if self.event.is_some() { "" } else { "already " };
        let left = in_words(self.withdrawn);
        match change {
            Change::Cancel => {
                format!("run {id} is {already}cancelled: {left}; rows keep the verdicts they have")
            }
            Change::Hold => format!(
                "run {id} is {already}held: {left}; `scheduler backfill resume {id}` lets it go on"
            ),
            Change::Resume => format!("run {id} goes on"),
        }
    }
}

fn unknown(run: u64) -> Failure {
    Failure::usage(format!(
        "there is no run {run}; `scheduler status` shows those there are"
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
