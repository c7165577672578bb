//! The way of one range as types: a step takes a range at one stage and gives it back at the next, so that no step can
//! be left out, be taken twice or come too early.
//!
//! ```text
//! Claimed ─fetch─┬► Rows ─judge─► Judged ─audit─► Audited ─store─► Stored ─commit─► Committed ─mirror─┬► Mirrored ─┐
//!                └► NoneLeft ─committed_earlier──────────────────────────────────────────────────────┘            │
//!                                                                                      Counted ◄─count────────────┘
//! ```
//!
//! Each step asks whether the lease is still held before it writes, and has its fail point behind it. The table is
//! private to this file, and what stores and commits to its child `writing`: no other file of the pipeline can write.
//! The ack itself is the queue's: it follows from [`Counted::settlement`], and from nothing else.
//!
//! ```
//! use worker::pipeline::stages::{
//!     Audited, Claimed, Committed, Counted, Fetched, Judged, Mirrored, Rows, Stage, Stopped, Stored,
//! };
//!
//! async fn all_the_way(range: Stage<'_, Claimed>) -> Result<Counted, Stopped> {
//!     let mirrored: Stage<'_, Mirrored> = match range.fetch().await? {
//!         Fetched::Rows(rows) => rows.judge().await?.write_back().await?,
//!         Fetched::NoneLeft(range) => range.committed_earlier().await?,
//!     };
//!     mirrored.count().await
//! }
//!
//! async fn step_by_step(rows: Stage<'_, Rows>) -> Result<Counted, Stopped> {
//!     let judged: Stage<'_, Judged> = rows.judge().await?;
//!     let audited: Stage<'_, Audited> = judged.audit().await?;
//!     let stored: Stage<'_, Stored> = audited.store().await?;
//!     let committed: Stage<'_, Committed> = stored.commit().await?;
//!     committed.mirror().await?.count().await
//! }
//! ```
//!
//! What is out of order does not compile, and for no other reason: the names are those of above. There is nothing to
//! write yet:
//!
//! ```compile_fail,E0599
//! # use worker::pipeline::stages::{Rows, Stage};
//! async fn writes_what_is_not_judged(range: Stage<'_, Rows>) {
//!     let _ = range.write_back().await;
//! }
//! ```
//!
//! Rows that are left cannot be taken for an earlier attempt's:
//!
//! ```compile_fail,E0599
//! # use worker::pipeline::stages::{Judged, Stage};
//! async fn writes_nothing(judged: Stage<'_, Judged>) {
//!     let _ = judged.committed_earlier().await;
//! }
//! ```
//!
//! Results that have no audit file:
//!
//! ```compile_fail,E0599
//! # use worker::pipeline::stages::{Judged, Stage};
//! async fn stores_what_is_not_audited(judged: Stage<'_, Judged>) {
//!     let _ = judged.store().await;
//! }
//! ```
//!
//! A commit of nothing:
//!
//! ```compile_fail,E0599
//! # use worker::pipeline::stages::{Audited, Stage};
//! async fn commits_what_is_not_stored(audited: Stage<'_, Audited>) {
//!     let _ = audited.commit().await;
//! }
//! ```
//!
//! MySQL before ClickHouse:
//!
//! ```compile_fail,E0599
//! # use worker::pipeline::stages::{Stage, Stored};
//! async fn mirrors_what_is_not_committed(stored: Stage<'_, Stored>) {
//!     let _ = stored.mirror().await;
//! }
//! ```
//!
//! A job would be done before its verdicts are in the rows:
//!
//! ```compile_fail,E0599
//! # use worker::pipeline::stages::{Judged, Stage};
//! async fn counts_what_is_not_written(judged: Stage<'_, Judged>) {
//!     let _ = judged.count().await;
//! }
//! ```
//!
//! Nor does a second turn of a step:
//!
//! ```compile_fail,E0382
//! # use worker::pipeline::stages::{Judged, Stage};
//! async fn writes_twice(judged: Stage<'_, Judged>) {
//!     let _ = judged.write_back().await;
//!     let _ = judged.write_back().await;
//! }
//! ```

mod writing;

use std::{path::PathBuf, sync::Arc};

use weldfleet_failpoints::reach;
use weldfleet_queue::{Lease, Settlement, apalis::Slot};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Range, Selection, StoreError,
    audit_csv::{self, AuditFile},
    clickhouse::{EncodedResults, OutcomeCounts, RowBlock, SourceTable},
};
use weldfleet_weld::Verdict;

use super::{
    Mirroring, Pipeline, counts,
    grouping::{Failed, OnTheWay},
    step::Step,
};
use crate::{
    clock::{busy, timed},
    inference::pool::PoolError,
};
use writing::{CommittedResults, Place, StoredResults, Writing};

/// Where ranges are read and written: by the steps of this file alone.
pub struct Storage {
    source: SourceTable,
    /// Folder of the audit files.
    save_dir: PathBuf,
    writing: Writing,
}

impl Storage {
    /// `mirror` is `None` where MySQL is switched off.
    pub fn new(settings: &Settings, source: SourceTable, mirror: Option<Mirroring>) -> Self {
        Self {
            writing: Writing::new(settings, &source, mirror),
            source,
            save_dir: settings.worker.save_dir.clone(),
        }
    }
}

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
    on_the_way: OnTheWay<EncodedResults>,
}

/// What a range turned out to hold.
pub enum Fetched<'p> {
    Rows(Stage<'p, Rows>),
    NoneLeft(Stage<'p, NoneLeft>),
}

/// Its rows are here.
pub struct Rows {
    block: Arc<RowBlock>,
    on_the_way: OnTheWay<EncodedResults>,
}

/// No row is left to be judged: an earlier attempt has committed them.
pub struct NoneLeft(());

/// Every row has a verdict.
pub struct Judged {
    block: Arc<RowBlock>,
    verdicts: Vec<Verdict>,
    on_the_way: OnTheWay<EncodedResults>,
}

/// The audit file is durable; the rows are let go, their place among `ranges_in_flight` is the next range's.
pub struct Audited {
    results: EncodedResults,
    written: Written,
    on_the_way: OnTheWay<EncodedResults>,
}

/// The results are in `weld_results`, under the attempt's token.
pub struct Stored {
    results: StoredResults,
    written: Written,
}

/// The results are in the rows.
pub struct Committed {
    results: CommittedResults,
    written: Written,
}

/// MySQL has followed, or lags without holding up anything.
pub struct Mirrored {
    written: Written,
}

/// All is done and counted.
pub struct Counted {
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
        let on_the_way = pipeline.storage.writing.expect();
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
    pub async fn fetch(self) -> Result<Fetched<'p>, Stopped> {
        let Self { under, at } = self;
        reach("worker::claimed").await;
        let fetching = under.pipeline.storage.source.fetch(under.range);
        let block = timed(Step::Fetch.name(), fetching).await;
        let block = Arc::new(block.map_err(Stopped::at(Step::Fetch))?);
        under.lease.progress();
        reach(Step::Fetch.fail_point()).await;
        if block.is_empty() {
            return Ok(Fetched::NoneLeft(under.at(NoneLeft(()))));
        }
        Ok(Fetched::Rows(under.at(Rows {
            block,
            on_the_way: at.on_the_way,
        })))
    }
}

impl<'p> Stage<'p, Rows> {
    /// Asks model and rules.
    pub async fn judge(self) -> Result<Stage<'p, Judged>, Stopped> {
        let Self { under, at } = self;
        let lease = Arc::new(under.lease.clone());
        let judging = under.pipeline.pool.judge(at.block.clone(), Some(lease));
        let verdicts = timed(Step::Judge.name(), judging).await;
        let verdicts = verdicts.map_err(Stopped::Compute)?;
        reach(Step::Judge.fail_point()).await;
        Ok(under.at(Judged {
            block: at.block,
            verdicts,
            on_the_way: at.on_the_way,
        }))
    }
}

impl<'p> Stage<'p, NoneLeft> {
    /// What is there is what an earlier attempt of this job left; the mirror may still have to follow.
    pub async fn committed_earlier(self) -> Result<Stage<'p, Mirrored>, Stopped> {
        let Self { under, at } = self;
        let Storage {
            source, writing, ..
        } = &under.pipeline.storage;
        let counts = source
            .counts_of_job(under.range, &under.lease.job().id)
            .await;
        let counts = counts.map_err(Stopped::at(Step::Fetch))?;
        reach(Step::Commit.fail_point()).await;
        let committed = under.at(Committed {
            results: writing.committed_earlier(under.range, at),
            written: Written {
                counts,
                _place: None,
            },
        });
        committed.mirror().await
    }
}

impl<'p> Stage<'p, Judged> {
    /// Audit file, results, commit, mirror.
    pub async fn write_back(self) -> Result<Stage<'p, Mirrored>, Stopped> {
        let stored = self.audit().await?.store().await?;
        stored.commit().await?.mirror().await
    }

    /// Durable step 1; and what is to be stored in step 2, so that the rows can be let go.
    pub async fn audit(self) -> Result<Stage<'p, Audited>, Stopped> {
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
        reach(Step::Audit.fail_point()).await;
        let place = under.pipeline.storage.writing.enter(under.slot).await;
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
            storage, worker, ..
        } = self.pipeline;
        let (save_dir, worker) = (storage.save_dir.clone(), worker.clone());
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
            busy(Step::Audit.name(), || {
                audit_csv::write(&file, &block, &verdicts)
            })
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
    pub async fn store(self) -> Result<Stage<'p, Stored>, Stopped> {
        let Self { under, at } = self;
        let Audited {
            results,
            written,
            on_the_way,
        } = at;
        under.held()?;
        let writing = &under.pipeline.storage.writing;
        let stored = writing
            .store(results, under.range, under.lease, on_the_way)
            .await;
        let results = stored.map_err(Stopped::writing(Step::Store))?;
        reach(Step::Store.fail_point()).await;
        Ok(under.at(Stored { results, written }))
    }
}

impl<'p> Stage<'p, Stored> {
    /// Durable step 3: the guarded UPDATE, together with others'.
    pub async fn commit(self) -> Result<Stage<'p, Committed>, Stopped> {
        let Self { under, at } = self;
        let Stored { results, written } = at;
        under.held()?;
        let writing = &under.pipeline.storage.writing;
        let committed = writing.commit(results, under.lease).await;
        let results = committed.map_err(Stopped::writing(Step::Commit))?;
        reach(Step::Commit.fail_point()).await;
        Ok(under.at(Committed { results, written }))
    }
}

impl<'p> Stage<'p, Committed> {
    /// Durable step 4, which MySQL cannot hold up.
    pub async fn mirror(self) -> Result<Stage<'p, Mirrored>, Stopped> {
        let Self { under, at } = self;
        let Committed { results, written } = at;
        under.held()?;
        let writing = &under.pipeline.storage.writing;
        let mirrored = writing.mirror(results, under.lease).await;
        mirrored.map_err(Stopped::writing(Step::Mirror))?;
        reach(Step::Mirror.fail_point()).await;
        Ok(under.at(Mirrored { written }))
    }
}

impl Stage<'_, Mirrored> {
    /// Counts the rows, for the metrics and for the breaker. A range picked for its bad rows tells nothing about the
    /// plant.
    pub async fn count(self) -> Result<Counted, Stopped> {
        let Self { under, at } = self;
        under.held()?;
        let counts = at.written.counts;
        counts::publish(&counts);
        if !matches!(under.range.selection, Selection::Status(_)) {
            let Pipeline {
                tally,
                limits,
                worker,
                ..
            } = under.pipeline;
            tally
                .add(counts::for_breaker(&counts), limits, worker)
                .await;
        }
        Ok(Counted { counts })
    }
}

impl Counted {
    /// The ack of the job.
    pub fn settlement(&self) -> Settlement {
        Settlement::Ack {
            fields: counts::fields(&self.counts),
        }
    }
}
