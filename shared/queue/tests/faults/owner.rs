//! The owner of the jobs, as the scheduler is: each pass reads what is outstanding, then the truth, and enqueues what
//! neither has. It remembers nothing, so a Redis that forgot something is no special case.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use weldfleet_queue::{Guard, GuardedEnqueue, NewJob, Queue, QueueError, State};

use crate::store::Store;

const GROUP: &str = "work";
/// Jobs outstanding at a time: enough to keep every member busy.
const WINDOW: usize = 400;

pub struct Owner {
    pub queue: Queue,
    pub store: Arc<Store>,
    pub jobs: usize,
    /// How long a handler works.
    pub ms: u64,
}

impl Owner {
    /// Passes until `stop`. Outages are waited out; any other error ends it.
    pub async fn run(self, stop: CancellationToken) -> Result<(), QueueError> {
        while !stop.is_cancelled() {
            match self.pass().await {
                Ok(()) => {}
                Err(error) if error.is_outage() => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn pass(&self) -> Result<(), QueueError> {
        let lead = self
            .queue
            .try_lead("owner", "", &[], Duration::from_secs(10))
            .await?;
        let Some(leader) = lead else { return Ok(()) };
        let plan = self.queue.plan(GROUP).await?;
        for job in plan.jobs.iter().filter(|job| job.state == State::Dead) {
            // its members were killed while it ran isolated: not its fault, as an operator knows
            self.queue.requeue(&job.id).await?;
        }
        // only now the truth: what left the plan meanwhile has its effect there
        let committed = self.store.committed().await;
        let room = WINDOW.saturating_sub(plan.jobs.len());
        let outstanding: std::collections::BTreeSet<&str> =
            plan.jobs.iter().map(|job| job.id.as_str()).collect();
        let missing: Vec<NewJob> = (0..self.jobs)
            .map(|n| format!("{n:06}"))
            .filter(|id| !committed.contains_key(id) && !outstanding.contains(id.as_str()))
            .take(room)
            .map(|id| {
                NewJob::new(id)
                    .group(GROUP)
                    .field("ms", self.ms.to_string())
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let guard = Guard {
            leader,
            group: GROUP.to_owned(),
            version: plan.version,
        };
        match self.queue.enqueue_guarded(&guard, &missing).await? {
            GuardedEnqueue::Enqueued { .. }
            | GuardedEnqueue::Conflict { .. }
            // Redis forgot who leads: the next pass leads anew
            | GuardedEnqueue::Deposed { .. } => Ok(()),
        }
    }
}
