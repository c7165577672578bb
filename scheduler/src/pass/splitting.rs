//! Jobs that killed their worker while they ran isolated, and those that a worker handed back to be cut: halves, or a
//! row that is marked, `poison` or unreadable.

use std::time::{Duration, Instant};

use weldfleet_breaker::{RangeCounts, Tally};
use weldfleet_queue::{Job, NewJob, SplitOutcome, State};
use weldfleet_stores::{Range, clickhouse::Split};
use weldfleet_weld::Status;

use super::{Pass, Summary};
use crate::dependencies::DependencyError;

/// Jobs looked at per pass; the rest waits for the next.
const MOST: u32 = 100;

/// Jobs that cannot be split now may take so long of a pass; the others wait for the next.
const PATIENCE: Duration = Duration::from_secs(10);

/// `alg_error` of a poison row.
const POISON_REASON: &str = "poison: killed its worker twice while its job ran isolated";

impl Pass {
    pub(super) async fn split_jobs(&self, summary: &mut Summary) -> Result<(), DependencyError> {
        let page = self.deps.queue.list(State::Splitting, 0, MOST).await?;
        let mut failing = Duration::ZERO;
        for job in page.jobs {
            let began = Instant::now();
            match self.split_job(&job, summary).await {
                Err(DependencyError::Store(error)) if self.is_the_days(&error).await => {
                    let why = error.chain();
                    tracing::warn!(job = job.id, why, "cannot be split now; others are");
                    failing += began.elapsed();
                }
                other => other?,
            }
            if failing > PATIENCE {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn split_job(
        &self,
        job: &Job,
        summary: &mut Summary,
    ) -> Result<(), DependencyError> {
        let queue = &self.deps.queue;
        let range = match weldfleet_fleet::range_of(job) {
            Ok(range) => range,
            Err(error) => {
                let named = (job.id.clone(), error.to_string());
                summary.unreadable.push(named);
                return Ok(());
            }
        };
        match self.deps.table.midpoint(&range).await? {
            Split::Empty => {
                tracing::info!(job = job.id, "nothing left of a job that was to be split");
                queue
                    .resolve(&job.id, &outcome("nothing left to judge"))
                    .await?;
            }
            Split::One(row) if job.poison => {
                let marked = self
                    .mark(job, &row, Status::Poison, POISON_REASON, "poison")
                    .await?;
                summary.poisoned += marked;
            }
            Split::One(row) if is_unreadable(job) => {
                self.mark(job, &row, Status::Invalid, &job.error, "unreadable")
                    .await?;
            }
            Split::One(row) => self.replace(job, &[row], summary).await?,
            Split::Two(first, second) => self.replace(job, &[first, second], summary).await?,
        }
        Ok(())
    }

    async fn replace(
        &self,
        job: &Job,
        children: &[Range],
        summary: &mut Summary,
    ) -> Result<(), DependencyError> {
        let jobs: Vec<NewJob> = children
            .iter()
            .map(|child| {
                let child = weldfleet_fleet::job(child);
                // Rows that are equal in the whole key are one weld, which cannot be split further.
                if children.len() == 1 {
                    child.weight(1)
                } else {
                    child
                }
            })
            .collect();
        weldfleet_failpoints::reach("scheduler::before_split").await;
        if let SplitOutcome::Split(into) = self.deps.queue.split(&job.id, &jobs).await? {
            let rows: u64 = children.iter().map(|child| child.rows).sum();
            tracing::warn!(job = job.id, rows, into, why = job.error, "split");
            summary.split += 1;
        }
        Ok(())
    }

    /// Gives the row its status and reason without judging it; returns how many rows have it now.
    async fn mark(
        &self,
        job: &Job,
        row: &Range,
        status: Status,
        reason: &str,
        told: &str,
    ) -> Result<u64, DependencyError> {
        let token = self.deps.queue.next_token().await?;
        let table = &self.deps.table;
        let marked = table.mark(token, &job.id, row, status, reason).await?;
        weldfleet_failpoints::reach("scheduler::before_resolve").await;
        self.deps.queue.resolve(&job.id, &outcome(told)).await?;
        let counts = RangeCounts {
            unjudged: marked,
            ..RangeCounts::default()
        };
        let limits = weldfleet_fleet::breaker_limits(&self.deps.settings);
        Tally::new(self.deps.queue.clone())
            .add(counts, &limits, "scheduler, marking rows")
            .await;
        tracing::error!(job = job.id, record = %row.from, rows = marked, reason, "row marked; it is not judged");
        Ok(marked)
    }
}

/// Whether a worker could not read the only row of this job. A job of several rows of which one is left is tried by
/// itself first.
fn is_unreadable(job: &Job) -> bool {
    job.weight <= 1 && job.error.starts_with(weldfleet_fleet::UNREADABLE)
}

fn outcome(text: &str) -> Vec<(String, String)> {
    vec![("outcome".to_owned(), text.to_owned())]
}
