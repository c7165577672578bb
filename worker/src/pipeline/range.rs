//! One range, the whole way.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tracing::Instrument;
use weldfleet_breaker::{Limits, Tally, decide};
use weldfleet_failpoints::reach;
use weldfleet_queue::{Lease, Queue, Settlement, apalis::Slot};
use weldfleet_service::metrics;
use weldfleet_stores::{
    Range, Selection, StoreError,
    audit_csv::{self, AuditFile},
    clickhouse::{Attempt, Capability, EncodedResults, RowBlock, SourceTable},
};
use weldfleet_weld::Verdict;

use super::{
    Gate, Writing,
    blame::{self, Case, Ending, Step},
    clock::{busy, timed},
    counts::Counts,
    grouping::{Failed, OnTheWay},
    writing::Place,
};
use crate::{
    inference::pool::{Pool, PoolError},
    needs::{Needs, probe_folder},
};

/// Everything a range needs on its way.
pub struct Pipeline {
    /// The truth.
    pub source: SourceTable,
    /// Steps 2 to 4.
    pub writing: Writing,
    /// The compute threads.
    pub pool: Pool,
    /// Folder of the audit files.
    pub save_dir: PathBuf,
    /// This process, in the names of temporary files.
    pub worker: String,
    /// Where a dependency that is away is reported.
    pub gate: Gate,
    /// The fleet's tally and its limits.
    pub tally: Tally,
    /// When the fleet stops itself.
    pub limits: Limits,
    /// For pausing it.
    pub queue: Queue,
    /// What a look at the table needs.
    pub needs: Needs,
    /// Ranges given back for a trouble that looked like the server's, and how often.
    pub excused: Mutex<HashMap<String, u32>>,
}

/// Ranges of which it is remembered how often they were given back.
const MOST_EXCUSED: usize = 10_000;

/// Why a range did not come through.
enum Stopped {
    /// Its lease is gone: another worker has it, or will.
    Lost,
    /// A store failed at this step.
    Store(Step, Arc<StoreError>),
    /// The compute threads failed.
    Compute(PoolError),
}

impl Stopped {
    fn at(step: Step) -> impl Fn(StoreError) -> Self {
        move |error| Self::Store(step, Arc::new(error))
    }

    fn writing(step: Step) -> impl Fn(Failed) -> Self {
        move |failed| match failed {
            Failed::Lost => Self::Lost,
            Failed::Store(error) => Self::Store(step, error),
        }
    }
}

impl Pipeline {
    /// Takes a claimed range all the way; answers how its lease ends. The slot is given to the next range as soon as this one
    /// holds no rows any more.
    pub async fn process(&self, lease: Lease, slot: Slot) -> Settlement {
        let job = lease.job();
        let span = tracing::info_span!(
            "range",
            job = job.id,
            token = lease.token(),
            attempt = job.attempts
        );
        self.settle(&lease, &slot).instrument(span).await
    }

    async fn settle(&self, lease: &Lease, slot: &Slot) -> Settlement {
        let range = match weldfleet_fleet::range_of(lease.job()) {
            Ok(range) => range,
            Err(error) => return Settlement::bury(error.to_string()),
        };
        let started = Instant::now();
        let outcome = self.walk(lease, slot, &range).await;
        let (settlement, outcome_name) = match outcome {
            Ok(counts) => {
                tracing::info!(
                    rows = counts.rows(),
                    nok = counts.nok,
                    invalid = counts.invalid,
                    error = counts.error,
                    ms = started.elapsed().as_millis() as u64,
                    "range judged"
                );
                let fields = counts.fields();
                self.gate.worked();
                self.excused().remove(&lease.job().id);
                (Settlement::Ack { fields }, "acked")
            }
            Err(stopped) => self.give_up(lease, &range, stopped).await,
        };
        metrics::counter!("weldfleet_ranges_total", "outcome" => outcome_name).increment(1);
        metrics::histogram!("weldfleet_range_seconds").record(started.elapsed());
        settlement
    }

    /// Fetch, judge, write: see the module's drawing.
    async fn walk(&self, lease: &Lease, slot: &Slot, range: &Range) -> Result<Counts, Stopped> {
        let on_the_way = self.writing.expect();
        reach("worker::claimed").await;
        let block = timed("fetch", self.source.fetch(range)).await;
        let block = block.map_err(Stopped::at(Step::Fetch))?;
        lease.progress();
        reach("worker::fetched").await;

        let block = Arc::new(block);
        let verdicts = timed("judge", self.pool.judge(block.clone(), Some(lease))).await;
        let verdicts = verdicts.map_err(Stopped::Compute)?;
        reach("worker::judged").await;

        let _place: Place;
        let (counts, on_the_way) = if block.is_empty() {
            drop(on_the_way);
            // A retry after the commit: what is there is what an earlier attempt of this job left.
            (self.earlier_attempts(lease, range).await?, None)
        } else {
            let counts = Counts::of(&verdicts);
            held(lease)?;
            let results = self.audit(lease, range, block, verdicts).await?;
            lease.progress();
            reach("worker::audited").await;
            _place = self.writing.enter(slot).await;
            let on_the_way = self
                .write(lease, range, results, counts.rows(), on_the_way)
                .await?;
            (counts, Some(on_the_way))
        };

        reach("worker::committed").await;
        held(lease)?;
        let followed = self.writing.follow(range, lease, on_the_way).await;
        followed.map_err(Stopped::writing(Step::Mirror))?;
        reach("worker::mirrored").await;
        held(lease)?;
        counts.publish();
        if !matches!(range.selection, Selection::Status(_)) {
            self.trip_breaker(&counts).await;
        }
        Ok(counts)
    }

    /// The durable steps 2 and 3.
    async fn write(
        &self,
        lease: &Lease,
        range: &Range,
        results: EncodedResults,
        rows: u64,
        on_the_way: OnTheWay,
    ) -> Result<OnTheWay, Stopped> {
        held(lease)?;
        let overrules = results.overrules();
        let stored = self.writing.store(results, rows, lease, on_the_way).await;
        let on_the_way = stored.map_err(Stopped::writing(Step::Store))?;
        reach("worker::stored").await;

        held(lease)?;
        let attempt = Attempt {
            token: lease.token(),
            range: range.clone(),
            overrules,
        };
        let committed = self.writing.commit(attempt, lease, on_the_way).await;
        committed.map_err(Stopped::writing(Step::Commit))
    }

    /// The durable step 1; and what is to be stored in step 2, so that the rows can be let go.
    async fn audit(
        &self,
        lease: &Lease,
        range: &Range,
        block: Arc<RowBlock>,
        verdicts: Vec<Verdict>,
    ) -> Result<EncodedResults, Stopped> {
        let (save_dir, worker) = (self.save_dir.clone(), self.worker.clone());
        let (job, token, run) = (lease.job().id.clone(), lease.token(), range.run);
        let written = tokio::task::spawn_blocking(move || {
            let file = AuditFile {
                save_dir: &save_dir,
                job: &job,
                token,
                run,
                worker: &worker,
            };
            busy("audit", || audit_csv::write(&file, &block, &verdicts))
                .map_err(Stopped::at(Step::Audit))?;
            busy("encode", || {
                EncodedResults::new(token, run, &job, &block, &verdicts)
            })
            .map_err(Stopped::at(Step::Store))
        });
        match written.await {
            Ok(results) => results,
            Err(panic) => {
                tracing::error!(%panic, "writing the audit file panicked");
                Err(Stopped::Compute(PoolError::Ended(
                    "writing the audit file panicked",
                )))
            }
        }
    }

    async fn earlier_attempts(&self, lease: &Lease, range: &Range) -> Result<Counts, Stopped> {
        let counts = self.source.counts_of_job(range, &lease.job().id).await;
        let counts = counts.map_err(Stopped::at(Step::Fetch))?;
        Ok(Counts {
            ok: counts.ok,
            nok: counts.nok,
            invalid: counts.invalid,
            error: counts.error,
        })
    }

    /// Law 8 of `docs/CONTRACT.md`; a tally that cannot be kept must not stop judging. A range picked for its bad rows tells nothing about the plant.
    async fn trip_breaker(&self, counts: &Counts) {
        let tallied = self
            .tally
            .record(counts.for_breaker(), self.limits.over_ranges)
            .await;
        let reason = match tallied {
            Ok(window) => decide(&self.limits, &window),
            Err(error) => {
                tracing::warn!(%error, "cannot keep the breaker's tally");
                None
            }
        };
        let Some(reason) = reason else { return };
        tracing::error!(reason, "pausing the fleet");
        if let Err(error) = self.queue.pause(&reason, &self.worker).await {
            tracing::error!(%error, "cannot pause the fleet");
        }
    }

    async fn give_up(
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

    /// Carries out what [`blame`] decides.
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
            alone: job.weight <= 1,
            attempt: job.attempts,
            max_attempts: job.max_attempts,
        };
        let mut ending = blame::decide(&case);
        let mut reason = error.chain();
        if ending == Ending::Ask {
            let asked = match step.capability() {
                Some(capability) => self.needs.probe(&self.source, capability).await,
                None => Ok(()),
            };
            case.works = Some(asked.is_ok());
            if let Err(refusal) = asked {
                // What the server says to a plain statement of the kind says more than what it said to this range.
                reason = refusal.chain_and_remedy();
            }
            ending = blame::decide(&case);
        } else if let Some(remedy) = error.remedy() {
            reason = format!("{reason}; {remedy}");
        }
        match ending {
            Ending::Wait => {
                self.wait_for(range, step, error, &reason);
                if step == Step::Fetch {
                    self.excuse(&job.id);
                }
                (Settlement::release(reason), "released")
            }
            Ending::Split => {
                tracing::warn!(reason, ?step, "range is split");
                (Settlement::split(reason), "split")
            }
            Ending::Unreadable => {
                let reason = weldfleet_fleet::unreadable(&error.words());
                tracing::warn!(reason, "range is split until the row stands alone");
                (Settlement::split(reason), "split")
            }
            Ending::Retry | Ending::Ask => {
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
            Capability::Follow => "follow",
        };
        self.gate
            .close("clickhouse", what, reason.to_owned(), move || {
                let (needs, source) = (needs.clone(), source.clone());
                async move { needs.probe(&source, capability).await }
            });
    }

    fn excused(&self) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
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

/// Refuses to go on without the lease.
fn held(lease: &Lease) -> Result<(), Stopped> {
    if lease.is_lost() {
        return Err(Stopped::Lost);
    }
    Ok(())
}
