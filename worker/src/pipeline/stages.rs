//! The way of one range as types: a step takes a range at one stage and gives it back at the next, so that no step can
//! be left out, be taken twice or come too early.
//!
//! ```text
//! Claimed ─fetch─► Fetched ─judge─► Judged ─write_back──────────────────────────────────────► Mirrored ─ack─► Acked
//!                                     └─audit─► Audited ─store─► Stored ─commit─► Committed ─mirror─┘
//! ```
//!
//! Each step asks whether the lease is still held before it writes, and has its fail point behind it. Verdicts leave
//! the worker by [`Stage::write_back`] alone; the steps in it are types of this file, in an order that is held the same
//! way.
//!
//! ```
//! use worker::pipeline::stages::{Acked, Claimed, Stage, Stopped};
//!
//! async fn all_the_way(range: Stage<'_, Claimed>) -> Result<Acked, Stopped> {
//!     range.fetch().await?.judge().await?.write_back().await?.ack().await
//! }
//! ```
//!
//! What is out of order does not compile. There is nothing to write yet:
//!
//! ```compile_fail,E0599
//! use worker::pipeline::stages::{Fetched, Stage};
//!
//! async fn writes_what_is_not_judged(fetched: Stage<'_, Fetched>) {
//!     let _ = fetched.write_back().await;
//! }
//! ```
//!
//! A job would be done before its verdicts are in the rows:
//!
//! ```compile_fail,E0599
//! use worker::pipeline::stages::{Judged, Stage};
//!
//! async fn acks_what_is_not_written(judged: Stage<'_, Judged>) {
//!     let _ = judged.ack().await;
//! }
//! ```
//!
//! Nor does a second turn of a step:
//!
//! ```compile_fail,E0382
//! use worker::pipeline::stages::{Judged, Stage};
//!
//! async fn writes_twice(judged: Stage<'_, Judged>) {
//!     let _ = judged.write_back().await;
//!     let _ = judged.write_back().await;
//! }
//! ```

use std::sync::Arc;

use weldfleet_failpoints::reach;
use weldfleet_queue::{Lease, Settlement, apalis::Slot};
use weldfleet_stores::{
    Range, Selection, StoreError,
    audit_csv::{self, AuditFile},
    clickhouse::{Attempt, EncodedResults, OutcomeCounts, RowBlock},
    mysql,
};
use weldfleet_weld::Verdict;

use super::{
    Pipeline,
    blame::Step,
    counts,
    grouping::{Failed, OnTheWay},
    writing::Place,
};
use crate::{
    clock::{busy, timed},
    inference::pool::PoolError,
};

/// A range on its way, `At` a stage.
pub struct Stage<'p, At> {
    under: UnderLease<'p>,
    at: At,
}

/// What every step needs.
#[derive(Clone, Copy)]
struct UnderLease<'p> {
    pipeline: &'p Pipeline,
    lease: &'p Lease,
    slot: &'p Slot,
    range: &'p Range,
}

/// Given by the queue; nothing is known of its rows.
pub struct Claimed {
    on_the_way: OnTheWay,
}

/// Its rows are here.
pub struct Fetched {
    block: Arc<RowBlock>,
    on_the_way: OnTheWay,
}

/// Every row has a verdict.
pub struct Judged {
    block: Arc<RowBlock>,
    verdicts: Vec<Verdict>,
    on_the_way: OnTheWay,
}

/// The audit file is durable; the rows are let go, their place among `ranges_in_flight` is the next range's.
struct Audited {
    results: EncodedResults,
    written: Written,
    on_the_way: OnTheWay,
}

/// The results are in `weld_results`, under the attempt's token.
struct Stored {
    overrules: bool,
    written: Written,
    on_the_way: OnTheWay,
}

/// The results are in the rows.
struct Committed {
    written: Written,
    /// None where an earlier attempt committed them.
    on_the_way: Option<OnTheWay>,
}

/// MySQL has followed, or lags without holding up anything.
pub struct Mirrored {
    written: Written,
}

/// All is done; the job may be acked.
pub struct Acked {
    /// What the range held.
    pub counts: OutcomeCounts,
}

/// What goes along from the audit file to the end.
struct Written {
    counts: OutcomeCounts,
    /// Among those that are written; none where nothing was.
    _place: Option<Place>,
}

/// Why a range did not come through.
#[derive(Debug)]
pub enum Stopped {
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

impl<'p> UnderLease<'p> {
    fn at<At>(self, at: At) -> Stage<'p, At> {
        Stage { under: self, at }
    }

    /// Refuses to go on without the lease.
    fn held(&self) -> Result<(), Stopped> {
        if self.lease.is_lost() {
            return Err(Stopped::Lost);
        }
        Ok(())
    }
}

impl<'p> Stage<'p, Claimed> {
    /// The only beginning.
    pub(super) fn claimed(
        pipeline: &'p Pipeline,
        lease: &'p Lease,
        slot: &'p Slot,
        range: &'p Range,
    ) -> Self {
        let on_the_way = pipeline.writing.expect();
        UnderLease {
            pipeline,
            lease,
            slot,
            range,
        }
        .at(Claimed { on_the_way })
    }

    /// Reads its rows.
    ///
    /// # Errors
    /// [`Stopped`], like those of all further steps.
    pub async fn fetch(self) -> Result<Stage<'p, Fetched>, Stopped> {
        let Self { under, at } = self;
        reach("worker::claimed").await;
        let block = timed("fetch", under.pipeline.source.fetch(under.range)).await;
        let block = Arc::new(block.map_err(Stopped::at(Step::Fetch))?);
        under.lease.progress();
        reach("worker::fetched").await;
        Ok(under.at(Fetched {
            block,
            on_the_way: at.on_the_way,
        }))
    }
}

impl<'p> Stage<'p, Fetched> {
    /// Asks model and rules.
    pub async fn judge(self) -> Result<Stage<'p, Judged>, Stopped> {
        let Self { under, at } = self;
        let lease = Arc::new(under.lease.clone());
        let judging = under.pipeline.pool.judge(at.block.clone(), Some(lease));
        let verdicts = timed("judge", judging).await.map_err(Stopped::Compute)?;
        reach("worker::judged").await;
        Ok(under.at(Judged {
            block: at.block,
            verdicts,
            on_the_way: at.on_the_way,
        }))
    }
}

impl<'p> Stage<'p, Judged> {
    /// Audit file, results, commit, mirror: the one door through which verdicts leave the worker.
    pub async fn write_back(self) -> Result<Stage<'p, Mirrored>, Stopped> {
        if self.at.block.is_empty() {
            return self.committed_earlier().await?.mirror().await;
        }
        let audited = self.audit().await?;
        audited.store().await?.commit().await?.mirror().await
    }

    /// No row is left to be judged: a retry after the commit. What is there is what an earlier attempt of this job
    /// left.
    async fn committed_earlier(self) -> Result<Stage<'p, Committed>, Stopped> {
        let Self { under, at } = self;
        // Nobody is to wait for this range at the next step.
        drop(at.on_the_way);
        let job = &under.lease.job().id;
        let counts = under.pipeline.source.counts_of_job(under.range, job).await;
        let counts = counts.map_err(Stopped::at(Step::Fetch))?;
        reach("worker::committed").await;
        Ok(under.at(Committed {
            written: Written {
                counts,
                _place: None,
            },
            on_the_way: None,
        }))
    }

    /// Durable step 1; and what is to be stored in step 2, so that the rows can be let go.
    async fn audit(self) -> Result<Stage<'p, Audited>, Stopped> {
        let Self { under, at } = self;
        let Judged {
            block,
            verdicts,
            on_the_way,
        } = at;
        let counts = counts::of(&verdicts);
        under.held()?;
        let results = under.write_audit_file(block, verdicts).await?;
        under.lease.progress();
        reach("worker::audited").await;
        let place = under.pipeline.writing.enter(under.slot).await;
        Ok(under.at(Audited {
            results,
            written: Written {
                counts,
                _place: Some(place),
            },
            on_the_way,
        }))
    }
}

impl UnderLease<'_> {
    async fn write_audit_file(
        self,
        block: Arc<RowBlock>,
        verdicts: Vec<Verdict>,
    ) -> Result<EncodedResults, Stopped> {
        let Pipeline {
            save_dir, worker, ..
        } = self.pipeline;
        let (save_dir, worker) = (save_dir.clone(), worker.clone());
        let (job, token) = (self.lease.job().id.clone(), self.lease.token());
        let run = self.range.run;
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
        written.await.unwrap_or_else(|panic| {
            const PANICKED: &str = "writing the audit file panicked";
            tracing::error!(%panic, PANICKED);
            Err(Stopped::Compute(PoolError::Ended(PANICKED)))
        })
    }
}

impl<'p> Stage<'p, Audited> {
    /// Durable step 2, together with whatever other ranges are ready.
    async fn store(self) -> Result<Stage<'p, Stored>, Stopped> {
        let Self { under, at } = self;
        let Audited {
            results,
            written,
            on_the_way,
        } = at;
        under.held()?;
        let overrules = results.overrules();
        let writing = &under.pipeline.writing;
        let stored = writing
            .store(results, under.range, under.lease, on_the_way)
            .await;
        let on_the_way = stored.map_err(Stopped::writing(Step::Store))?;
        reach("worker::stored").await;
        Ok(under.at(Stored {
            overrules,
            written,
            on_the_way,
        }))
    }
}

impl<'p> Stage<'p, Stored> {
    /// Durable step 3: the guarded UPDATE, together with others'.
    async fn commit(self) -> Result<Stage<'p, Committed>, Stopped> {
        let Self { under, at } = self;
        under.held()?;
        let attempt = Attempt {
            token: under.lease.token(),
            range: under.range.clone(),
            overrules: at.overrules,
        };
        let writing = &under.pipeline.writing;
        let committed = writing.commit(attempt, under.lease, at.on_the_way).await;
        let on_the_way = committed.map_err(Stopped::writing(Step::Commit))?;
        reach("worker::committed").await;
        Ok(under.at(Committed {
            written: at.written,
            on_the_way: Some(on_the_way),
        }))
    }
}

impl<'p> Stage<'p, Committed> {
    /// Durable step 4, which MySQL cannot hold up.
    async fn mirror(self) -> Result<Stage<'p, Mirrored>, Stopped> {
        let Self { under, at } = self;
        under.held()?;
        // An attempt before this one may have committed NOK rows and died. One that was given back is not counted: if
        // rows came since its commit, what it found is the day's check to repair.
        let is_first = at.on_the_way.is_some() && under.lease.job().attempts == 1;
        let committed = mysql::CommittedRange {
            range: under.range.clone(),
            first_token: is_first.then(|| under.lease.token()),
        };
        let writing = &under.pipeline.writing;
        let mirrored = writing.mirror(committed, under.lease, at.on_the_way).await;
        mirrored.map_err(Stopped::writing(Step::Mirror))?;
        reach("worker::mirrored").await;
        Ok(under.at(Mirrored {
            written: at.written,
        }))
    }
}

impl Stage<'_, Mirrored> {
    /// Counts the rows, for the metrics and for the breaker. A range picked for its bad rows tells nothing about the
    /// plant.
    pub async fn ack(self) -> Result<Acked, Stopped> {
        let Self { under, at } = self;
        under.held()?;
        let counts = at.written.counts;
        counts::publish(&counts);
        if !matches!(under.range.selection, Selection::Status(_)) {
            under.pipeline.trip_breaker(&counts).await;
        }
        Ok(Acked { counts })
    }
}

impl Acked {
    /// How the lease ends; nothing else ends one like that.
    pub fn settlement(&self) -> Settlement {
        Settlement::Ack {
            fields: counts::fields(&self.counts),
        }
    }
}
