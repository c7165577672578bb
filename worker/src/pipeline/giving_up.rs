//! What becomes of the lease of a range that did not come through: carries out what [`blame`] decides.

use weldfleet_queue::{Lease, Settlement};
use weldfleet_service::lock;
use weldfleet_stores::{Class, StoreError};
use weldfleet_weld::judge::ModelId;

use super::{
    Pipeline,
    blame::{self, Case, Decision},
    stages::Stopped,
    step::Step,
};
use crate::{
    inference::pool::{ModelFailure, PoolError},
    needs::Needs,
};

/// Ranges of which it is remembered how often they were given back.
const MOST_EXCUSED: usize = 10_000;

/// How the lease of a range ends that did not come through: never with an ack.
pub struct GivenUp(Settlement, &'static str);

impl GivenUp {
    fn lost() -> Self {
        Self(Settlement::release("lease lost"), "lost")
    }

    fn released(reason: String) -> Self {
        Self(Settlement::release(reason), "released")
    }

    fn retried(reason: String) -> Self {
        Self(Settlement::retry(reason), "retried")
    }

    fn split(reason: String) -> Self {
        Self(Settlement::split(reason), "split")
    }

    pub(super) fn buried(reason: String) -> Self {
        Self(Settlement::bury(reason), "buried")
    }

    /// As `weldfleet_ranges_total` has it.
    pub(super) fn outcome(&self) -> &'static str {
        self.1
    }

    pub fn settlement(self) -> Settlement {
        self.0
    }
}

impl Pipeline {
    pub(super) async fn give_up(&self, lease: &Lease, stopped: Stopped) -> GivenUp {
        match stopped {
            Stopped::Lost => {
                tracing::warn!("lease lost, another worker has the range");
                GivenUp::lost()
            }
            Stopped::Compute(PoolError::Cancelled) => {
                tracing::warn!("lease lost while judging, another worker has the range");
                GivenUp::lost()
            }
            Stopped::Compute(error) => self.give_up_judging(lease, error).await,
            Stopped::Store(step, error) => self.give_up_store(lease, step, &error).await,
        }
    }

    async fn give_up_judging(&self, lease: &Lease, error: PoolError) -> GivenUp {
        let (step, reason) = (Step::Judge, error.to_string());
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
            ..self.case(lease, step, Class::Fatal)
        };
        match (blame::decide(&case), failure) {
            (Decision::Wait, Some(failure)) => {
                let ModelFailure { model, reason } = failure;
                let pool = self.pool.clone();
                self.gate
                    .close("model", step.name(), reason.clone(), move || {
                        let pool = pool.clone();
                        async move {
                            let tried = pool.try_model(model).await;
                            tried.map_err(|error| error.to_string())
                        }
                    });
                GivenUp::released(reason)
            }
            (decision, _) => own_fault(decision, step, reason),
        }
    }

    fn case(&self, lease: &Lease, step: Step, class: Class) -> Case {
        let job = lease.job();
        Case {
            step,
            class,
            works: None,
            excused: lock(&self.excused).get(&job.id).copied().unwrap_or(0),
            one_weld: job.weight <= 1,
            attempt: job.attempts,
            max_attempts: job.max_attempts,
        }
    }

    async fn give_up_store(&self, lease: &Lease, step: Step, error: &StoreError) -> GivenUp {
        let mut case = self.case(lease, step, blame::class_of(error));
        let mut decision = blame::decide(&case);
        let mut reason = error.chain();
        if decision == Decision::Ask {
            let asked = probe(&self.needs, step, bytes_of(error)).await;
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
                GivenUp::released(reason)
            }
            Decision::Unreadable => {
                let reason = weldfleet_fleet::unreadable(&error.words());
                tracing::warn!(reason, "range is split until the row stands alone");
                GivenUp::split(reason)
            }
            decision => own_fault(decision, step, reason),
        }
    }

    /// Claims nothing more once the table is another: statements may go on without an error, and read the wrong
    /// columns. If it can be worked with, `needs.changed` is cancelled; else the gate is closed until it can.
    pub async fn watch_table(&self) {
        let stop = &self.needs.changed;
        while let Some(error) = stop.run_until_cancelled(self.needs.until_another()).await {
            if !stop.is_cancelled() {
                self.wait_for(Step::Fetch, &error, &error.chain_and_remedy());
            }
        }
    }

    /// Closes the gate until what the step needs works.
    fn wait_for(&self, step: Step, error: &StoreError, reason: &str) {
        let dependency = match step.capability() {
            Some(_) => "clickhouse",
            None => "save_dir",
        };
        let (needs, bytes) = (self.needs.clone(), bytes_of(error));
        self.gate
            .close(dependency, step.name(), reason.to_owned(), move || {
                let needs = needs.clone();
                async move {
                    let probed = probe(&needs, step, bytes).await;
                    probed.map_err(|error| error.chain_and_remedy())
                }
            });
    }

    fn excuse(&self, job: &str) {
        let mut excused = lock(&self.excused);
        if excused.len() >= MOST_EXCUSED {
            excused.clear();
        }
        *excused.entry(job.to_owned()).or_default() += 1;
    }
}

/// Whether what the step needs works; where that is a file, one of so many bytes.
async fn probe(needs: &Needs, step: Step, bytes: u64) -> Result<(), StoreError> {
    match step.capability() {
        Some(capability) => needs.probe(capability).await,
        None => needs.probe_save_dir(bytes).await,
    }
}

/// Of the file that could not be written.
fn bytes_of(error: &StoreError) -> u64 {
    match error {
        StoreError::File { bytes, .. } => *bytes,
        _ => 0,
    }
}

/// Of a range that failed by its own fault.
fn own_fault(decision: Decision, step: Step, reason: String) -> GivenUp {
    let step = step.name();
    if decision == Decision::Split {
        tracing::warn!(reason, step, "range is split");
        return GivenUp::split(reason);
    }
    tracing::warn!(reason, step, "range failed, it is retried");
    GivenUp::retried(reason)
}
