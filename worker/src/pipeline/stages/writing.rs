//! Steps 2 to 4, results, commit and mirror, for several ranges at once.
//!
//! A range that is judged and has its audit file needs little more than its results, some hundred bytes a row. It gives
//! its place among `ranges_in_flight` to the next one and waits here, beside at most `commit_group` others, for
//! company.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weldfleet_queue::{Lease, apalis::Slot};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    LIVE_RUN, Range,
    clickhouse::{Attempt, EncodedResults, SourceTable},
    mysql::CommittedRange,
};

use super::NoneLeft;
use crate::{
    clock::timed,
    pipeline::{
        grouping::{Failed, GroupLimits, Grouping, OnTheWay, Upstream},
        mirroring::Mirroring,
        step::Step,
    },
};

/// Longest wait of live rows for company.
const LIVE_PATIENCE: Duration = Duration::from_secs(1);
/// Of others, which nobody is waiting for: in that time a CNN on two cores judges the ranges of a whole group.
const RUN_PATIENCE: Duration = Duration::from_secs(8);
/// Ranges that were stored together arrive together at the next step, save for a task switch.
const STEP_PATIENCE: Duration = Duration::from_millis(20);
/// Rows of a group that nobody needs to wait for more of.
const ROWS: u64 = 65_536;

/// Where ranges meet for their writes.
pub struct Writing {
    places: Option<Arc<Semaphore>>,
    judging: Upstream<EncodedResults>,
    storing: Upstream<Attempt>,
    committing: Upstream<CommittedRange>,
    results: Grouping<EncodedResults, Lease>,
    commits: Grouping<Attempt, Lease>,
    mirror: Option<Grouping<CommittedRange, Lease>>,
}

/// A range's place among those that are written; the next comes in when it is dropped.
pub struct Place(#[expect(dead_code, reason = "held, never read")] Option<OwnedSemaphorePermit>);

/// An attempt whose results are in `weld_results`: only [`Writing::store`] makes one.
pub struct StoredResults {
    attempt: Attempt,
    on_the_way: OnTheWay<Attempt>,
}

/// A range whose results are in its rows: only [`Writing::commit`] and [`Writing::committed_earlier`] make one.
pub struct CommittedResults {
    range: CommittedRange,
    on_the_way: OnTheWay<CommittedRange>,
}

impl Writing {
    /// Writes to this table, in groups as the settings say; `mirror` is `None` where MySQL is switched off.
    pub fn new(settings: &Settings, source: &SourceTable, mirror: Option<Mirroring>) -> Self {
        let group = settings.worker.commit_group as usize;
        // A worker that is to take one range at a time takes one, and with a group of one there is nobody to wait for.
        let one_by_one = settings.worker.ranges_in_flight == 1 || group == 1;
        let limits = GroupLimits {
            rows: ROWS,
            ranges: group,
        };
        let (judging, storing, committing) = (
            Upstream::default(),
            Upstream::default(),
            Upstream::default(),
        );
        let table = source.clone();
        let results = Grouping::start(
            limits,
            judging.clone(),
            move |group: Vec<Arc<EncodedResults>>| {
                let table = table.clone();
                async move {
                    let group: Vec<&EncodedResults> = group.iter().map(Arc::as_ref).collect();
                    timed(Step::Store.name(), table.insert_results(&group)).await
                }
            },
        );
        let table = source.clone();
        let commits = Grouping::start(limits, storing.clone(), move |group: Vec<Arc<Attempt>>| {
            let table = table.clone();
            async move {
                let group: Vec<Attempt> = group
                    .iter()
                    .map(|attempt| attempt.as_ref().clone())
                    .collect();
                timed(Step::Commit.name(), table.commit(&group)).await
            }
        });
        let mirror = mirror.map(|mirror| {
            let mirror = Arc::new(mirror);
            Grouping::start(
                limits,
                committing.clone(),
                move |group: Vec<Arc<CommittedRange>>| {
                    let mirror = mirror.clone();
                    async move {
                        let group: Vec<&CommittedRange> = group.iter().map(Arc::as_ref).collect();
                        timed(Step::Mirror.name(), mirror.mirror(&group)).await
                    }
                },
            )
        });
        Self {
            places: (!one_by_one).then(|| Arc::new(Semaphore::new(group))),
            judging,
            storing,
            committing,
            results,
            commits,
            mirror,
        }
    }

    /// A range is on its way to step 2.
    pub fn expect(&self) -> OnTheWay<EncodedResults> {
        self.judging.enter()
    }

    /// Waits for a place among those that are written, then lets the next range be claimed.
    pub async fn enter(&self, slot: &Slot) -> Place {
        let Some(places) = &self.places else {
            return Place(None);
        };
        let place = places.clone().acquire_owned().await.ok();
        slot.free();
        Place(place)
    }

    /// Step 2; its fencing token is the lease's.
    pub async fn store(
        &self,
        results: EncodedResults,
        range: &Range,
        lease: &Lease,
        on_the_way: OnTheWay<EncodedResults>,
    ) -> Result<StoredResults, Failed> {
        let stored = StoredResults {
            attempt: Attempt {
                token: lease.token(),
                range: range.clone(),
                overrules: results.overrules(),
            },
            on_the_way: self.storing.enter(),
        };
        let patience = match range.run {
            LIVE_RUN => LIVE_PATIENCE,
            _ => RUN_PATIENCE,
        };
        self.results
            .write(results, range.rows, patience, lease, on_the_way)
            .await?;
        Ok(stored)
    }

    /// Step 3: a range whose results are not stored has nothing to give here.
    pub async fn commit(
        &self,
        stored: StoredResults,
        lease: &Lease,
    ) -> Result<CommittedResults, Failed> {
        let StoredResults {
            attempt,
            on_the_way,
        } = stored;
        // An attempt before this one may have committed NOK rows and died. One that was given back is not counted: if
        // rows came since its commit, what it found is the day's check to repair.
        let is_first = lease.job().attempts == 1;
        let committed = CommittedResults {
            range: CommittedRange {
                range: attempt.range.clone(),
                first_token: is_first.then_some(attempt.token),
            },
            on_the_way: self.committing.enter(),
        };
        let rows = attempt.range.rows;
        self.commits
            .write(attempt, rows, STEP_PATIENCE, lease, on_the_way)
            .await?;
        Ok(committed)
    }

    /// In place of steps 2 and 3, where an earlier attempt has taken them.
    pub fn committed_earlier(&self, range: &Range, _: NoneLeft) -> CommittedResults {
        CommittedResults {
            range: CommittedRange {
                range: range.clone(),
                first_token: None,
            },
            on_the_way: self.committing.enter(),
        }
    }

    /// Step 4, which does nothing where MySQL is switched off.
    pub async fn mirror(&self, committed: CommittedResults, lease: &Lease) -> Result<(), Failed> {
        let Some(mirror) = &self.mirror else {
            return Ok(());
        };
        let CommittedResults { range, on_the_way } = committed;
        let rows = range.range.rows;
        mirror
            .write(range, rows, STEP_PATIENCE, lease, on_the_way)
            .await
    }
}
