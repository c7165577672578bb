//! Writes that are cheaper together: ranges that are ready at nearly the same time share a statement.
//!
//! A statement's cost is mostly fixed (a part to make, an UPDATE to plan), so under load one for several ranges saves
//! most of ClickHouse's work. A range comes in by itself, waits for company and goes its own way afterwards; whether it
//! still holds its lease is asked once more when the group goes, after the wait. Nobody waits in vain: when no other
//! range is on its way here, the group goes at once.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use weldfleet_stores::{Class, StoreError};

use crate::lease::HeldLease;

/// When a group goes.
#[derive(Debug, Clone, Copy)]
pub struct GroupLimits {
    /// With so many rows, without waiting longer.
    pub rows: u64,
    /// With so many ranges.
    pub ranges: usize,
}

/// Why a range's write did not happen.
#[derive(Debug, Clone)]
pub enum Failed {
    /// Its lease was lost while it waited; nothing was written for it.
    Lost,
    /// The store's answer, for every range of the group.
    Store(Arc<StoreError>),
}

/// Ranges on their way to the grouping of `Item`; while there are any, a group may wait for them.
#[derive(Debug)]
pub struct Upstream<Item> {
    ranges: Arc<AtomicUsize>,
    leads_to: PhantomData<fn(Item)>,
}

impl<Item> Default for Upstream<Item> {
    fn default() -> Self {
        Self {
            ranges: Arc::default(),
            leads_to: PhantomData,
        }
    }
}

impl<Item> Clone for Upstream<Item> {
    fn clone(&self) -> Self {
        Self {
            ranges: self.ranges.clone(),
            leads_to: PhantomData,
        }
    }
}

impl<Item> Upstream<Item> {
    /// One more, until the guard is dropped.
    pub fn enter(&self) -> OnTheWay<Item> {
        self.ranges.fetch_add(1, Ordering::AcqRel);
        OnTheWay(self.clone())
    }

    fn is_empty(&self) -> bool {
        self.ranges.load(Ordering::Acquire) == 0
    }
}

/// A range on its way to the grouping of `Item`, and to no other.
#[derive(Debug)]
pub struct OnTheWay<Item>(Upstream<Item>);

impl<Item> Drop for OnTheWay<Item> {
    fn drop(&mut self) {
        self.0.ranges.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Pending<Item, L> {
    item: Arc<Item>,
    rows: u64,
    until: Instant,
    lease: L,
    answer: oneshot::Sender<Result<(), Failed>>,
}

impl<Item, L: HeldLease> Pending<Item, L> {
    fn answer(self, written: Result<(), Failed>) {
        self.lease.progress();
        // Nobody waits for a range that was given up meanwhile.
        let _ = self.answer.send(written);
    }
}

/// Puts items together and writes them in groups, one group at a time; ends when the last clone is dropped.
pub struct Grouping<Item, L> {
    items: mpsc::UnboundedSender<Pending<Item, L>>,
}

impl<Item: Send + Sync + 'static, L: HeldLease + Clone> Grouping<Item, L> {
    /// Starts the task that writes groups with `write`, which must be safe to repeat for some of a group.
    pub fn start<Write, Written>(
        limits: GroupLimits,
        upstream: Upstream<Item>,
        write: Write,
    ) -> Self
    where
        Write: Fn(Vec<Arc<Item>>) -> Written + Send + Sync + 'static,
        Written: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let (items, received) = mpsc::unbounded_channel();
        tokio::spawn(run(limits, upstream, received, write));
        Self { items }
    }

    /// Writes the item with whatever others are ready, after `patience` at the latest where others are still to come.
    /// `on_the_way` says that it was expected here.
    ///
    /// # Errors
    /// [`Failed`]; a failure other than an outage is this item's own.
    pub async fn write(
        &self,
        item: Item,
        rows: u64,
        patience: Duration,
        lease: &L,
        on_the_way: OnTheWay<Item>,
    ) -> Result<(), Failed> {
        let (answer, answered) = oneshot::channel();
        let pending = Pending {
            item: Arc::new(item),
            rows,
            until: Instant::now() + patience,
            lease: lease.clone(),
            answer,
        };
        // First no longer expected, then there: a group does not wait for the one that completes it.
        drop(on_the_way);
        if self.items.send(pending).is_err() {
            return Err(Failed::Lost);
        }
        answered.await.unwrap_or(Err(Failed::Lost))
    }
}

async fn run<Item, L, Write, Written>(
    limits: GroupLimits,
    upstream: Upstream<Item>,
    mut received: mpsc::UnboundedReceiver<Pending<Item, L>>,
    write: Write,
) where
    L: HeldLease,
    Write: Fn(Vec<Arc<Item>>) -> Written,
    Written: Future<Output = Result<(), StoreError>>,
{
    while let Some(first) = received.recv().await {
        let group = gather(limits, &upstream, &mut received, first).await;
        let group = still_held(group);
        if group.is_empty() {
            continue;
        }
        let written = write(group.iter().map(|pending| pending.item.clone()).collect()).await;
        match written {
            // What is wrong with one range must not cost its neighbours: each by itself.
            Err(error) if group.len() > 1 && may_be_ones(&error) => {
                tracing::warn!(
                    error = error.chain(),
                    ranges = group.len(),
                    "a shared write failed, writing one by one"
                );
                for pending in group {
                    for pending in still_held(vec![pending]) {
                        let written = write(vec![pending.item.clone()]).await;
                        pending.answer(written.map_err(|error| Failed::Store(Arc::new(error))));
                    }
                }
            }
            written => {
                let written = written.map_err(|error| Failed::Store(Arc::new(error)));
                group
                    .into_iter()
                    .for_each(|pending| pending.answer(written.clone()));
            }
        }
    }
}

/// Whether it may be the fault of one range of a group.
fn may_be_ones(error: &StoreError) -> bool {
    !matches!(error.class(), Class::Outage | Class::Refused)
}

/// Those that may still be written; the others are told.
fn still_held<Item, L: HeldLease>(group: Vec<Pending<Item, L>>) -> Vec<Pending<Item, L>> {
    let (lost, held): (Vec<_>, Vec<_>) = group
        .into_iter()
        .partition(|pending| pending.lease.is_lost());
    lost.into_iter()
        .for_each(|pending| pending.answer(Err(Failed::Lost)));
    held
}

async fn gather<Item, L>(
    limits: GroupLimits,
    upstream: &Upstream<Item>,
    received: &mut mpsc::UnboundedReceiver<Pending<Item, L>>,
    first: Pending<Item, L>,
) -> Vec<Pending<Item, L>> {
    let mut until = first.until;
    let mut rows = first.rows;
    let mut group = vec![first];
    while group.len() < limits.ranges && rows < limits.rows {
        let next = match received.try_recv() {
            Ok(next) => next,
            Err(_) if upstream.is_empty() => break,
            Err(_) => match timeout_at(until, received.recv()).await {
                Ok(Some(next)) => next,
                Ok(None) | Err(_) => break,
            },
        };
        rows += next.rows;
        until = until.min(next.until);
        group.push(next);
    }
    group
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<AtomicBool>, Arc<AtomicU64>);

    impl HeldLease for Paper {
        fn is_lost(&self) -> bool {
            self.0.load(Ordering::Acquire)
        }

        fn progress(&self) {
            self.1.fetch_add(1, Ordering::AcqRel);
        }
    }

    type Groups = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Writes down every group; one that holds 13 fails.
    fn grouping(ranges: usize, upstream: &Upstream<u32>) -> (Arc<Grouping<u32, Paper>>, Groups) {
        let groups = Groups::default();
        let log = groups.clone();
        let limits = GroupLimits {
            rows: u64::MAX,
            ranges,
        };
        let grouping = Grouping::start(limits, upstream.clone(), move |group: Vec<Arc<u32>>| {
            let group: Vec<u32> = group.iter().map(|item| **item).collect();
            let unlucky = group.contains(&13);
            weldfleet_service::lock(&log).push(group);
            async move {
                if unlucky {
                    Err(StoreError::HashCollision {
                        key_hash: 13,
                        first: String::new(),
                        second: String::new(),
                    })
                } else {
                    Ok(())
                }
            }
        });
        (Arc::new(grouping), groups)
    }

    /// 1 waits for half a second, others for a minute.
    fn patience(item: u32) -> Duration {
        match item {
            1 => Duration::from_millis(500),
            _ => Duration::from_secs(60),
        }
    }

    async fn write_all(
        grouping: &Arc<Grouping<u32, Paper>>,
        upstream: &Upstream<u32>,
        items: &[(u32, Paper)],
    ) -> Vec<bool> {
        let ways: Vec<OnTheWay<u32>> = items.iter().map(|_| upstream.enter()).collect();
        let writes = items.iter().zip(ways).map(|((item, claim), way)| {
            let (grouping, item, claim) = (grouping.clone(), *item, claim.clone());
            tokio::spawn(async move {
                grouping
                    .write(item, 1, patience(item), &claim, way)
                    .await
                    .is_ok()
            })
        });
        let mut written = Vec::new();
        for write in writes.collect::<Vec<_>>() {
            written.push(write.await.expect("task"));
        }
        written
    }

    fn seen(groups: &Groups) -> Vec<Vec<u32>> {
        let mut groups = groups.lock().expect("log").clone();
        groups.iter_mut().for_each(|group| group.sort_unstable());
        groups
    }

    #[tokio::test]
    async fn what_is_ready_together_is_written_together_up_to_the_limit() {
        let upstream = Upstream::default();
        let (grouping, groups) = grouping(3, &upstream);
        let items: Vec<_> = (0..4).map(|item| (item, Paper::default())).collect();
        assert_eq!(write_all(&grouping, &upstream, &items).await, [true; 4]);
        let progress = items
            .iter()
            .map(|(_, claim)| claim.1.load(Ordering::Acquire));
        assert_eq!(
            progress.collect::<Vec<_>>(),
            [1; 4],
            "a write is progress of its lease"
        );
        let sizes: Vec<usize> = seen(&groups).iter().map(Vec::len).collect();
        assert_eq!(
            sizes,
            [3, 1],
            "the last one finds nobody else on the way and does not wait for the window"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_patient_of_a_group_decides_when_it_goes() {
        for items in [vec![1], vec![2, 1]] {
            let upstream = Upstream::default();
            let (grouping, groups) = grouping(3, &upstream);
            let _never_comes = upstream.enter();
            let began = Instant::now();
            let came: Vec<_> = items.iter().map(|item| (*item, Paper::default())).collect();
            let written = write_all(&grouping, &upstream, &came).await;
            assert!(written.into_iter().all(|written| written));
            assert!(
                began.elapsed() >= Duration::from_millis(500)
                    && began.elapsed() < Duration::from_secs(1)
            );
            assert_eq!(seen(&groups).concat().len(), items.len());
            assert_eq!(seen(&groups).len(), 1);
        }
    }

    #[tokio::test]
    async fn a_lost_claim_is_left_out_and_told() {
        let upstream = Upstream::default();
        let (grouping, groups) = grouping(2, &upstream);
        let lost = Paper::default();
        lost.0.store(true, Ordering::Release);
        assert_eq!(
            write_all(&grouping, &upstream, &[(1, Paper::default()), (2, lost)]).await,
            [true, false]
        );
        assert_eq!(seen(&groups), [vec![1]]);
    }

    #[tokio::test]
    async fn ones_failure_is_not_its_neighbours() {
        let upstream = Upstream::default();
        let (grouping, groups) = grouping(3, &upstream);
        let items = [12, 13, 14].map(|item| (item, Paper::default()));
        assert_eq!(
            write_all(&grouping, &upstream, &items).await,
            [true, false, true]
        );
        let mut alone = seen(&groups);
        assert_eq!(alone.remove(0), [12, 13, 14]);
        alone.sort();
        assert_eq!(alone, [[12], [13], [14]]);
    }
}
