//! What becomes of the lease of a range that did not come through: carries out what [`blame`] decides.

use std::{
    collections::HashMap,
    sync::{MutexGuard, PoisonError},
};

use weldfleet_queue::{Lease, Settlement};
use weldfleet_stores::{Class, StoreError, clickhouse::Capability};
use weldfleet_weld::judge::ModelId;

use super::{
    Pipeline,
    blame::{self, Case, Decision, Step},
    stages::Stopped,
};
use crate::{
    inference::pool::{ModelFailure, PoolError},
    needs::probe_folder,
};

/// Ranges of which it is remembered how often they were given back.
const MOST_EXCUSED: usize = 10_000;

impl Pipeline {
    pub(super) async fn give_up(
        &self,
        lease: &Lease,
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
            Stopped::Compute(error) => self.give_up_judging(lease, error).await,
            Stopped::Store(step, error) => self.give_up_store(lease, step, &error).await,
        }
    }

    async fn give_up_judging(&self, lease: &Lease, error: PoolError) -> (Settlement, &'static str) {
        let reason = error.to_string();
        let failure = match error {
            // It judged no made-up weld either.
            PoolError::Model(failure) => Some(failure),
            _ => match self.pool.try_model(ModelId::GLOBAL).await {
                Ok(()) => None,
                Err(PoolError::Model(failure)) => Some(failure),
                Err(error) => Some(ModelFailure {
                    model: ModelId::GLOBAL,
                    reason: format!("{error}; start the worker again"),
                }),
            },
        };
        let case = Case {
            works: Some(failure.is_none()),
            ..self.case(lease, Step::Judge, Class::Fatal)
        };
        match (blame::decide(&case), failure) {
            (Decision::Wait, Some(failure)) => {
                let ModelFailure { model, reason } = failure;
                let pool = self.pool.clone();
                self.gate.close("model", "judge", reason.clone(), move || {
                    let pool = pool.clone();
                    async move {
                        let tried = pool.try_model(model).await;
                        tried.map_err(|error| error.to_string())
                    }
                });
                (Settlement::release(reason), "released")
            }
            (decision, _) => settled(decision, Step::Judge, reason),
        }
    }

    fn case(&self, lease: &Lease, step: Step, class: Class) -> Case {
        let job = lease.job();
        Case {
            step,
            class,
            works: None,
            excused: self.excused().get(&job.id).copied().unwrap_or(0),
            one_weld: job.weight <= 1,
            attempt: job.attempts,
            max_attempts: job.max_attempts,
        }
    }

    async fn give_up_store(
        &self,
        lease: &Lease,
        step: Step,
        error: &StoreError,
    ) -> (Settlement, &'static str) {
        let mut case = self.case(lease, step, blame::class_of(error));
        let mut decision = blame::decide(&case);
        let mut reason = error.chain();
        if decision == Decision::Ask {
            let asked = match step.capability() {
                Some(capability) => self.needs.probe(&self.source, capability).await,
                None => probe_folder(self.save_dir.clone(), bytes_of(error)).await,
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
                self.wait_for(step, error, &reason);
                if step == Step::Fetch {
                    self.excuse(&lease.job().id);
                }
                (Settlement::release(reason), "released")
            }
            Decision::Unreadable => {
                let reason = weldfleet_fleet::unreadable(&error.words());
                tracing::warn!(reason, "range is split until the row stands alone");
                (Settlement::split(reason), "split")
            }
            decision => settled(decision, step, reason),
        }
    }

    /// Closes the gate until what the step needs works.
    fn wait_for(&self, step: Step, error: &StoreError, reason: &str) {
        let Some(capability) = step.capability() else {
            let (folder, bytes) = (self.save_dir.clone(), bytes_of(error));
            self.gate
                .close("save_dir", "write", reason.to_owned(), move || {
                    let probed = probe_folder(folder.clone(), bytes);
                    async move { probed.await.map_err(|error| error.chain_and_remedy()) }
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
                async move {
                    let probed = needs.probe(&source, capability).await;
                    probed.map_err(|error| error.chain_and_remedy())
                }
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

/// Of the file that could not be written.
fn bytes_of(error: &StoreError) -> u64 {
    match error {
        StoreError::File { bytes, .. } => *bytes,
        _ => 0,
    }
}

/// How a lease ends whose range failed by its own fault.
fn settled(decision: Decision, step: Step, reason: String) -> (Settlement, &'static str) {
    if decision == Decision::Split {
        tracing::warn!(reason, ?step, "range is split");
        return (Settlement::split(reason), "split");
    }
    tracing::warn!(reason, ?step, "range failed, it is retried");
    (Settlement::retry(reason), "retried")
}
