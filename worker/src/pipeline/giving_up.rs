//! What becomes of the lease of a range that did not come through: carries out what [`blame`] decides.

use std::{
    collections::HashMap,
    sync::{MutexGuard, PoisonError},
};

use weldfleet_queue::{Lease, Settlement};
use weldfleet_stores::{Range, StoreError, clickhouse::Capability};

use super::{
    Pipeline,
    blame::{self, Case, Decision, Step},
    stages::Stopped,
};
use crate::{inference::pool::PoolError, needs::probe_folder};

/// Ranges of which it is remembered how often they were given back.
const MOST_EXCUSED: usize = 10_000;

impl Pipeline {
    pub(super) async fn give_up(
        &self,
        lease: &Lease,
        range: &Range,
        stopped: Stopped,
    ) -> (Settlement, &'static str) {
        match stopped {
            Stopped::Lost => {
                tracing::warn!("lease lost, another worker has the range");
                (Settlement::release("lease lost"), "lost")
            }
            Stopped::Compute(PoolError::Cancelled) => {
                tracing::warn!("lease lost while judging, another worker has the range");
                (Settlement::release("lease lost"), "lost")
            }
            Stopped::Compute(PoolError::Ended(reason)) => {
                tracing::error!(reason, "the range is retried");
                (Settlement::retry(reason), "retried")
            }
            Stopped::Compute(PoolError::Model(reason)) => {
                tracing::error!(reason, "model failed, the range is retried");
                (Settlement::retry(reason), "retried")
            }
            Stopped::Store(step, error) => self.give_up_store(lease, range, step, &error).await,
        }
    }

    async fn give_up_store(
        &self,
        lease: &Lease,
        range: &Range,
        step: Step,
        error: &StoreError,
    ) -> (Settlement, &'static str) {
        let job = lease.job();
        let mut case = Case {
            step,
            class: blame::class_of(error),
            works: None,
            excused: self.excused().get(&job.id).copied().unwrap_or(0),
            one_weld: job.weight <= 1,
            attempt: job.attempts,
            max_attempts: job.max_attempts,
        };
        let mut decision = blame::decide(&case);
        let mut reason = error.chain();
        if decision == Decision::Ask {
            let asked = match step.capability() {
                Some(capability) => self.needs.probe(&self.source, capability).await,
                None => Ok(()),
            };
            case.works = Some(asked.is_ok());
            if let Err(refusal) = asked {
                // What the server says to a plain statement of the kind says more than what it said to this range.
                reason = refusal.chain_and_remedy();
            }
            decision = blame::decide(&case);
        } else if let Some(remedy) = error.remedy() {
            reason = format!("{reason}; {remedy}");
        }
        match decision {
            Decision::Wait => {
                self.wait_for(range, step, error, &reason);
                if step == Step::Fetch {
                    self.excuse(&job.id);
                }
                (Settlement::release(reason), "released")
            }
            Decision::Split => {
                tracing::warn!(reason, ?step, "range is split");
                (Settlement::split(reason), "split")
            }
            Decision::Unreadable => {
                let reason = weldfleet_fleet::unreadable(&error.words());
                tracing::warn!(reason, "range is split until the row stands alone");
                (Settlement::split(reason), "split")
            }
            Decision::Retry | Decision::Ask => {
                tracing::warn!(reason, ?step, "range failed, it is retried");
                (Settlement::retry(reason), "retried")
            }
        }
    }

    /// Closes the gate until what the step needs works.
    fn wait_for(&self, range: &Range, step: Step, error: &StoreError, reason: &str) {
        let Some(capability) = step.capability() else {
            let folder = self.save_dir.join(range.day.to_string());
            let bytes = match error {
                StoreError::File { bytes, .. } => *bytes,
                _ => 0,
            };
            self.gate
                .close("save_dir", "write", reason.to_owned(), move || {
                    probe_folder(folder.clone(), bytes)
                });
            return;
        };
        let (needs, source) = (self.needs.clone(), self.source.clone());
        let what = match capability {
            Capability::Read => "read",
            Capability::Store => "store",
            Capability::Commit => "commit",
            Capability::Mirror => "mirror",
        };
        self.gate
            .close("clickhouse", what, reason.to_owned(), move || {
                let (needs, source) = (needs.clone(), source.clone());
                async move { needs.probe(&source, capability).await }
            });
    }

    pub(super) fn excused(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.excused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn excuse(&self, job: &str) {
        let mut excused = self.excused();
        if excused.len() >= MOST_EXCUSED {
            excused.clear();
        }
        *excused.entry(job.to_owned()).or_default() += 1;
    }
}
