//! Dead jobs run again, or are given up with their rows.

use weldfleet_fleet::queue_failure;
use weldfleet_queue::{Job, Queue, State};
use weldfleet_service::Failure;
use weldfleet_stores::clickhouse::Event;
use weldfleet_weld::Status;

use super::{By, refused::Refused};
use crate::dependencies::{Dependencies, store_failure};

/// `alg_error` of dropped rows.
pub const DROPPED: &str = "dropped";

/// What came of it, job by job.
#[derive(Default)]
pub struct Tried {
    /// Jobs that were retried or dropped.
    pub done: u64,
    /// Rows that were marked.
    pub rows: u64,
    /// Why others were not, one line each.
    pub refused: Vec<Refused>,
    /// What else is to be known.
    pub notes: Vec<Refused>,
    pub events: Vec<Event>,
    /// What ended it early.
    pub failure: Option<Failure>,
}

impl Tried {
    fn at(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }
}

pub async fn retry(queue: &Queue, jobs: &[Job], by: &By) -> Tried {
    let mut tried = Tried::default();
    for job in jobs {
        match queue.requeue(&job.id).await {
            Ok(true) => {
                tried.done += 1;
                let on_what = format!("job {}", job.id);
                let event = by.event("jobs retry", on_what, job.error.clone());
                tried.events.push(event);
            }
            Ok(false) => tried.refused.push(Refused::not_dead(job)),
            Err(error) => return tried.at(queue_failure(error)),
        }
    }
    tried
}

/// Marks the rows first: if this process dies in between, the job stays and can be dropped again.
pub async fn drop_jobs(deps: &Dependencies, jobs: &[Job], by: &By) -> Tried {
    let mut tried = Tried::default();
    for job in jobs {
        if matches!(job.state, State::Leased | State::Done) {
            let (job, state) = (job.id.clone(), job.state);
            tried.refused.push(Refused::NothingToDrop { job, state });
            continue;
        }
        let rows = match mark_rows(deps, job, &mut tried.notes).await {
            Ok(rows) => rows,
            Err(failure) => return tried.at(failure),
        };
        tried.rows += rows;
        match deps.queue.drop_job(&job.id).await {
            Ok(true) => {
                tried.done += 1;
                let detail = format!("{rows} rows marked invalid ({DROPPED})");
                let event = by.event("jobs drop", format!("job {}", job.id), detail);
                tried.events.push(event);
            }
            Ok(false) => {
                let job = job.id.clone();
                tried.refused.push(Refused::Overtaken { job });
            }
            Err(error) => return tried.at(queue_failure(error)),
        }
    }
    tried
}

async fn mark_rows(
    deps: &Dependencies,
    job: &Job,
    notes: &mut Vec<Refused>,
) -> Result<u64, Failure> {
    let range = match weldfleet_fleet::range_of(job) {
        Ok(range) => range,
        Err(error) => {
            let (job, why) = (job.id.clone(), error.to_string());
            notes.push(Refused::NoRows { job, why });
            return Ok(0);
        }
    };
    let token = deps.queue.next_token().await.map_err(queue_failure)?;
    let marked = deps
        .table
        .mark(token, &job.id, &range, Status::Invalid, DROPPED);
    Ok(marked.await.map_err(store_failure)?.marked)
}
