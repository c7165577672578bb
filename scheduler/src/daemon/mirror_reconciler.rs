//! The mirror reconciler: MySQL made equal to ClickHouse by day: what an operator deleted, what a worker could not
//! write while MySQL was away.
//!
//! Workers mirror what they commit; this task makes sure. It compares a checksum per day and reconciles the days that
//! differ: live days and days of backfills often, every other day in turn. Records whose weld left the source, or came
//! back without a verdict, are left alone, counted and shown. So are days beyond `mysql.keep_days`: what was purged there
//! would come back without its reviews.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use weldfleet_service::metrics::{counter, gauge};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day, StoreError,
    clickhouse::SourceTable,
    mysql::{Mirror, MirrorLag, NokTable},
};

use super::{Daemon, gauges, outage::Backoff};
use crate::{clock::today, pass::Summary};

/// Least time between two checks of a day whose ranges are being judged: workers are writing it.
const BUSY_EVERY: Duration = Duration::from_secs(10);
/// A check may take this share of the time between two: 1/20.
const SHARE: u32 = 20;
/// Least time between two readings of the list of older days.
const LIST_EVERY: Duration = Duration::from_secs(10);
/// How long a backfilled day is checked like a live one after its run was done.
const AFTER_RUN: Duration = Duration::from_secs(60);

/// What a standby cannot tell.
const OF_LEADER: [&str; 3] = [
    "weldfleet_mirror_up",
    "weldfleet_mirror_lag_rows",
    "weldfleet_mirror_kept_rows",
];

/// Days that passes touched, for this task.
#[derive(Debug, Default)]
pub struct TouchedDays(Mutex<Days>);

#[derive(Debug, Default)]
struct Days {
    live: Vec<Day>,
    busy: BTreeSet<Day>,
    backfilled: HashMap<Day, Instant>,
}

impl TouchedDays {
    /// Notes what a pass saw.
    pub fn note(&self, live: Vec<Day>, summary: &Summary) {
        let mut days = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        days.live = live;
        days.busy.clone_from(&summary.busy_days);
        let now = Instant::now();
        days.backfilled
            .extend(summary.backfill_days.iter().map(|day| (*day, now)));
        days.backfilled.retain(|_, seen| seen.elapsed() < AFTER_RUN);
    }

    /// Days to check, the live ones first, and whether each is busy.
    fn wanted(&self) -> Vec<(Day, bool)> {
        let days = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut backfilled: Vec<Day> = days.backfilled.keys().copied().collect();
        backfilled.sort_unstable();
        backfilled.retain(|day| !days.live.contains(day));
        let all = days.live.iter().copied().chain(backfilled);
        all.map(|day| (day, days.busy.contains(&day))).collect()
    }
}

/// The first day whose records are looked after; `None`: there is none before it.
pub fn mirrored_from(settings: &Settings) -> Option<Day> {
    let days = i32::from(settings.mysql.keep_days);
    let today = today(&settings.scheduler.timezone).ok()?;
    today.offset(-days).filter(|_| days > 0)
}

/// Days to check that are looked after.
fn wanted(daemon: &Daemon) -> Vec<(Day, bool)> {
    let from = mirrored_from(&daemon.settings);
    let mut wanted = daemon.touched.wanted();
    wanted.retain(|(day, _)| Some(*day) >= from);
    wanted
}

/// What a day's last check found, and when the next one is due.
#[derive(Debug, Clone, Copy)]
struct Checked {
    due: Instant,
    was_busy: bool,
    lag: MirrorLag,
}

pub async fn run(daemon: Daemon) {
    if !daemon.settings.mysql.enabled {
        return;
    }
    let mut mirror: Option<Open> = None;
    let mut backoff = Backoff::default();
    let mut away = false;
    let mut estimate = EstimatedLag::default();
    while !daemon.stop.is_cancelled() {
        let mut wait = daemon.settings.scheduler.poll_interval;
        if daemon.leads.borrow().is_some() {
            match reconcile(&daemon, &mut mirror).await {
                Ok(()) => {
                    backoff.worked();
                    estimate = EstimatedLag::default();
                    if std::mem::take(&mut away) {
                        tracing::info!("the mirror is looked after again");
                    }
                }
                Err(error) => {
                    wait = wait.max(backoff.failed());
                    let reason = error.chain();
                    // Judging goes on without MySQL, so this is no reason not to be ready.
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(
                            reason,
                            "the mirror is not looked after; judging goes on and the mirror lags"
                        );
                    }
                    estimate.tell(&daemon, mirror.as_ref()).await;
                    counter!("weldfleet_mirror_failures_total").increment(1);
                }
            }
            gauge!("weldfleet_mirror_up").set(if away { 0.0 } else { 1.0 });
        } else {
            gauges::forget(&OF_LEADER);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = daemon.stop.cancelled() => {}
        }
    }
}

/// The connections, and what is known about days.
struct Open {
    table: SourceTable,
    mirror: Mirror,
    checked: BTreeMap<Day, Checked>,
    older: VecDeque<Day>,
    older_due: Instant,
    /// Rows of MySQL that stay although the source has no verdict for their weld, as last counted.
    kept: u64,
}

impl Open {
    async fn new(daemon: &Daemon) -> Result<Option<Self>, StoreError> {
        let table = SourceTable::inspect(&daemon.settings).await?;
        let Some(nok) = NokTable::new(&daemon.settings)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            mirror: Mirror::new(table.clone(), nok),
            table,
            checked: BTreeMap::new(),
            older: VecDeque::new(),
            older_due: Instant::now(),
            kept: 0,
        }))
    }
}

async fn reconcile(daemon: &Daemon, open: &mut Option<Open>) -> Result<(), StoreError> {
    if open.is_none() {
        *open = Open::new(daemon).await?;
    }
    let Some(open) = open else { return Ok(()) };
    let wanted = wanted(daemon);
    open.checked
        .retain(|day, _| wanted.iter().any(|(wanted, _)| wanted == day));
    for (day, busy) in &wanted {
        let now = Instant::now();
        let due = open
            .checked
            .get(day)
            .is_none_or(|checked| now >= checked.due || (checked.was_busy && !busy));
        if !due || daemon.stop.is_cancelled() {
            continue;
        }
        let lag = reconcile_day(open, *day).await?;
        let least = if *busy { BUSY_EVERY } else { Duration::ZERO };
        let pause = least.max(now.elapsed() * SHARE);
        open.checked.insert(
            *day,
            Checked {
                due: Instant::now() + pause,
                was_busy: *busy,
                lag,
            },
        );
    }
    show_lag(open);
    reconcile_next_older(open, &wanted, mirrored_from(&daemon.settings)).await?;
    show_lag(open);
    Ok(())
}

/// Makes the day's mirror equal; how far it is behind after that.
async fn reconcile_day(open: &Open, day: Day) -> Result<MirrorLag, StoreError> {
    let lag = open.mirror.lag_of(day).await?;
    if lag.equal {
        return Ok(lag);
    }
    let reconciled = open.mirror.mirror_day(day).await?;
    if reconciled.kept > 0 {
        tracing::warn!(
            %day,
            rows = reconciled.kept,
            "nok rows stay in mysql although the source table has no row of their weld, or none with a verdict"
        );
    }
    if reconciled.inserted + reconciled.updated + reconciled.removed > 0 {
        tracing::info!(
            %day,
            inserted = reconciled.inserted,
            updated = reconciled.updated,
            removed = reconciled.removed,
            "mirror reconciled"
        );
        for (change, rows) in [
            ("inserted", reconciled.inserted),
            ("updated", reconciled.updated),
            ("removed", reconciled.removed),
        ] {
            counter!("weldfleet_mirror_rows_reconciled_total", "change" => change).increment(rows);
        }
    }
    open.mirror.lag_of(day).await
}

/// What the checks found. Nothing is read for it: a large day would be read as often as the smallest.
fn show_lag(open: &Open) {
    let lags = open.checked.values().map(|checked| checked.lag);
    let behind: u64 = lags.map(|lag| lag.committed.abs_diff(lag.mirrored)).sum();
    gauge!("weldfleet_mirror_lag_rows").set(behind as f64);
    gauge!("weldfleet_mirror_kept_rows").set(open.kept as f64);
}

/// The lag while MySQL does not answer, counted again as rarely as a day is checked.
#[derive(Debug, Default)]
struct EstimatedLag {
    due: Option<Instant>,
}

impl EstimatedLag {
    /// What is committed by now, less what was mirrored when MySQL last answered.
    async fn tell(&mut self, daemon: &Daemon, open: Option<&Open>) {
        let began = Instant::now();
        let Some(open) = open.filter(|_| self.due.is_none_or(|due| began >= due)) else {
            return;
        };
        if let Some(behind) = Self::count(daemon, open).await {
            gauge!("weldfleet_mirror_lag_rows").set(behind as f64);
        }
        self.due = Some(Instant::now() + began.elapsed() * SHARE);
    }

    async fn count(daemon: &Daemon, open: &Open) -> Option<u64> {
        let mut behind = 0;
        for (day, _) in wanted(daemon) {
            let committed = open.table.nok_count(day).await.ok()?;
            let mirrored = open
                .checked
                .get(&day)
                .map_or(0, |checked| checked.lag.mirrored);
            behind += committed.abs_diff(mirrored);
        }
        Some(behind)
    }
}

/// One older day a time, in turn; the list of them is read anew after each round.
async fn reconcile_next_older(
    open: &mut Open,
    wanted: &[(Day, bool)],
    from: Option<Day>,
) -> Result<(), StoreError> {
    let began = Instant::now();
    if began < open.older_due {
        return Ok(());
    }
    while let Some(day) = open.older.pop_front() {
        if Some(day) >= from && !wanted.iter().any(|(wanted, _)| *wanted == day) {
            reconcile_day(open, day).await?;
            open.older_due = Instant::now() + began.elapsed() * SHARE;
            return Ok(());
        }
    }
    let days = open.table.days().await?.into_iter().rev();
    open.older = days.filter(|day| Some(*day) >= from).collect();
    open.kept = open.mirror.kept_rows().await?;
    let live_only = open
        .older
        .iter()
        .all(|day| wanted.iter().any(|(wanted, _)| wanted == day));
    let least = if live_only {
        LIST_EVERY
    } else {
        Duration::ZERO
    };
    open.older_due = Instant::now() + least.max(began.elapsed() * SHARE);
    Ok(())
}
