//! Jobs that killed their worker while alone in it, and those that a worker handed back to be cut: halves, or poison.

use weldfleet_queue::{Job, NewJob, SplitOutcome, State};
use weldfleet_stores::{Range, clickhouse::Split};
use weldfleet_weld::Status;

use super::{Pass, PassError, Summary, slice};

/// Jobs looked at per pass; the rest waits for the next.
const MOST: u32 = 100;

/// `alg_error` of a poison row.
const POISON_REASON: &str = "poison: killed its worker twice while it was judged alone";

impl Pass {
    pub(super) async fn split_jobs(&self, summary: &mut Summary) -> Result<(), PassError> {
        let page = self.parts.queue.list(State::Splitting, 0, MOST).await?;
        for job in page.jobs {
            self.split_job(&job, summary).await?;
        }
        Ok(())
    }

    async fn split_job(&self, job: &Job, summary: &mut Summary) -> Result<(), PassError> {
        let queue = &self.parts.queue;
        let range = match weldfleet_fleet::range_of(job) {
            Ok(range) => range,
            Err(error) => {
                let named = (job.id.clone(), error.to_string());
                summary.unreadable.push(named);
                return Ok(());
            }
        };
        match self.parts.table.midpoint(&range).await? {
            Split::Empty => {
                tracing::info!(job = job.id, "nothing left of a job that was to be split");
                queue
                    .resolve(&job.id, &outcome("nothing left to judge"))
                    .await?;
            }
            Split::One(row) if job.poison => self.mark_poison(job, &row, summary).await?,
            Split::One(row) => self.replace(job, &[row], summary).await?,
            Split::Two(first, second) => self.replace(job, &[first, second], summary).await?,
        }
        Ok(())
    }

    async fn replace(
        &self,
        job: &Job,
        parts: &[Range],
        summary: &mut Summary,
    ) -> Result<(), PassError> {
        let children: Vec<NewJob> = parts
            .iter()
            .map(|part| {
                let child = slice::job(part);
                // Rows that are equal in the whole key are one weld, which cannot be split further.
                if parts.len() == 1 {
                    child.weight(1)
                } else {
                    child
                }
            })
            .collect();
        weldfleet_failpoints::reach("scheduler::before_split").await;
        if let SplitOutcome::Split(into) = self.parts.queue.split(&job.id, &children).await? {
            let rows: u64 = parts.iter().map(|part| part.rows).sum();
            tracing::warn!(job = job.id, rows, into, why = job.error, "split");
            summary.split += 1;
        }
        Ok(())
    }

    async fn mark_poison(
        &self,
        job: &Job,
        row: &Range,
        summary: &mut Summary,
    ) -> Result<(), PassError> {
        let token = self.parts.queue.next_token().await?;
        let marked = self
            .parts
            .table
            .mark(token, &job.id, row, Status::Poison, POISON_REASON)
            .await?;
        weldfleet_failpoints::reach("scheduler::before_resolve").await;
        self.parts
            .queue
            .resolve(&job.id, &outcome("poison"))
            .await?;
        tracing::error!(job = job.id, record = %row.from, rows = marked.marked, "poison row marked; it is not judged");
        summary.poisoned += marked.marked;
        Ok(())
    }
}

fn outcome(text: &str) -> Vec<(String, String)> {
    vec![("outcome".to_owned(), text.to_owned())]
}
