//! The mirror reconciler: MySQL made equal to ClickHouse by day: what an operator deleted, what a worker could not
//! write while MySQL was away.
//!
//! Workers mirror what they commit; this task makes sure. It compares a checksum per day and reconciles the days that
//! differ: live days and days of backfills often, every other day in turn, those first of which MySQL lacks rows.
//! Nothing is written into a table without its unique key, where a weld would be there twice. Records whose weld left
//! the source, or came back without a verdict, are left alone, counted and shown. So are days beyond `mysql.keep_days`:
//! what was purged there would come back without its reviews.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use weldfleet_service::metrics::{counter, gauge};
use weldfleet_stores::{
    Day, StoreError,
    clickhouse::{SourceTable, TableWatch},
    mysql::{DayBehind, Mirror, MirrorLag, MirrorTotals, NokTable, Refusals},
};

use super::{Daemon, gauges, outage::Backoff, touched::WantedDay};
use crate::clock::mirrored_from;

/// Least time between two checks of a day whose ranges are being judged: workers are writing it.
const BUSY_EVERY: Duration = Duration::from_secs(10);
/// A check may take this share of the time between two: 1/20.
const SHARE: u32 = 20;
/// Least time between two readings of the list of older days.
const LIST_EVERY: Duration = Duration::from_secs(10);
/// Least time between two counts of the NOK rows of all days, and between two looks at the table's unique key.
const COUNT_EVERY: Duration = Duration::from_secs(60);
const KEY_EVERY: Duration = Duration::from_secs(60);

/// What a standby cannot tell.
const OF_LEADER: [&str; 4] = [
    "weldfleet_mirror_up",
    "weldfleet_mirror_lag_rows",
    "weldfleet_mirror_kept_rows",
    "weldfleet_mirror_older_rows_missing",
];

/// Days that are looked after: some that are checked often, and all others since `from` in turn.
struct Wanted {
    often: Vec<WantedDay>,
    from: Option<Day>,
}

impl Wanted {
    fn now(daemon: &Daemon) -> Self {
        let from = mirrored_from(&daemon.settings);
        let mut often = daemon.touched.wanted();
        often.retain(|wanted| Some(wanted.day) >= from);
        Self { often, from }
    }

    fn is_often(&self, day: Day) -> bool {
        self.often.iter().any(|wanted| wanted.day == day)
    }

    fn is_in_turn(&self, day: Day) -> bool {
        Some(day) >= self.from && !self.is_often(day)
    }
}

/// What a day's last check found, and when the next one is due.
#[derive(Debug, Clone, Copy)]
struct Checked {
    due: Instant,
    was_busy: bool,
    failed: bool,
    /// As last compared; `None` if it never was.
    lag: Option<MirrorLag>,
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
                Ok(next) => {
                    backoff.worked();
                    wait = wait.min(next);
                    // A day that failed may not be due yet: what was told of it holds.
                    if !mirror.as_ref().is_some_and(Open::has_failed_day) {
                        let refused = mirror.as_ref().and_then(Open::refused);
                        daemon.telling.mirror(refused);
                        estimate = EstimatedLag::default();
                        if std::mem::take(&mut away) {
                            tracing::info!("the mirror is looked after again");
                        }
                    }
                }
                Err(error) => {
                    wait = wait.max(backoff.failed());
                    let reason = error.chain_and_remedy();
                    if let Some(open) = &mut mirror {
                        // It may come back as another.
                        open.key_due = Instant::now();
                    }
                    // The comparison is ClickHouse's work for the most part.
                    let table = &daemon.settings.tables.result_table;
                    let of_mysql = is_of_mysql(&error, table).then(|| reason.clone());
                    daemon.telling.mirror(of_mysql);
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
            daemon.telling.mirror(None);
            // What was compared is another leader's to know.
            mirror = None;
        }
        daemon.sleep(wait).await;
    }
}

fn is_of_mysql(error: &StoreError, table: &str) -> bool {
    match error {
        StoreError::MySql { .. } | StoreError::MySqlSilent { .. } => true,
        StoreError::Schema(error) => error.table == table,
        _ => false,
    }
}

/// The connections, and what is known about days.
struct Open {
    table: SourceTable,
    watch: TableWatch,
    mirror: Mirror,
    checked: BTreeMap<Day, Checked>,
    older: VecDeque<Day>,
    /// By day, the rows that MySQL lacked before the day was looked at in this round.
    looked: BTreeMap<Day, u64>,
    older_due: Instant,
    /// When a day of a backfill may be checked again: however many there are, they have one share of the time.
    backfilled_due: Instant,
    /// By day, the records that MySQL refused at the last look; days without are not there.
    refused: BTreeMap<Day, Refusals>,
    key_due: Instant,
    counted_due: Instant,
    /// NOK rows of all days, as last counted, if they were.
    totals: MirrorTotals,
    is_counted: bool,
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
            watch: TableWatch::default(),
            checked: BTreeMap::new(),
            older: VecDeque::new(),
            looked: BTreeMap::new(),
            older_due: Instant::now(),
            backfilled_due: Instant::now(),
            refused: BTreeMap::new(),
            key_due: Instant::now(),
            counted_due: Instant::now(),
            totals: MirrorTotals::default(),
            is_counted: false,
        }))
    }

    /// What MySQL refuses of all days, for people.
    fn refused(&self) -> Option<String> {
        let mut all = Refusals::default();
        let of_days = self.refused.values().rev().cloned();
        of_days.for_each(|of_day| all += of_day);
        (all.rows > 0).then(|| all.to_string())
    }

    /// Whether the last check of a live day, or of one of a backfill, failed.
    fn has_failed_day(&self) -> bool {
        self.checked.values().any(|checked| checked.failed)
    }

    fn is_due(&self, wanted: &WantedDay) -> bool {
        let checked = self.checked.get(&wanted.day);
        checked.is_none_or(|checked| {
            Instant::now() >= checked.due || (checked.was_busy && !wanted.is_busy)
        })
    }
}

/// Checks what is due: the live days, one day of a backfill, one older day. Returns how long nothing else is.
async fn reconcile(daemon: &Daemon, open: &mut Option<Open>) -> Result<Duration, StoreError> {
    if let Some(known) = open
        && known.watch.sees_another(&known.table).await?
    {
        *open = None;
    }
    if open.is_none() {
        *open = Open::new(daemon).await?;
    }
    let Some(open) = open else {
        return Ok(Duration::MAX);
    };
    if Instant::now() >= open.key_due {
        open.mirror.table().check_key().await?;
        open.key_due = Instant::now() + KEY_EVERY;
    }
    let wanted = Wanted::now(daemon);
    open.checked.retain(|day, _| wanted.is_often(*day));
    let mut failed = Ok(());
    for wanted in wanted.often.iter().filter(|wanted| wanted.is_live) {
        if open.is_due(wanted) && !daemon.stop.is_cancelled() {
            let checked = check(open, wanted).await;
            failed = failed.and(of_the_day(checked)?);
        }
    }
    show_lag(open);
    let next = of_the_day(check_next_backfilled(open, &wanted.often).await)?;
    show_lag(open);
    let older = reconcile_next_older(open, &wanted).await;
    show_lag(open);
    failed.and(older).and(next)
}

/// What fails with a day alone keeps no other from being looked after.
fn of_the_day<T>(looked: Result<T, StoreError>) -> Result<Result<T, StoreError>, StoreError> {
    match looked {
        Err(error) if error.is_outage() => Err(error),
        looked => Ok(looked),
    }
}

/// Of the days of backfills that which has waited longest. Returns when it is the next one's turn.
async fn check_next_backfilled(
    open: &mut Open,
    wanted: &[WantedDay],
) -> Result<Duration, StoreError> {
    let due = wanted
        .iter()
        .filter(|wanted| !wanted.is_live && open.is_due(wanted));
    let due: Vec<&WantedDay> = due.collect();
    let waited = |wanted: &&&WantedDay| open.checked.get(&wanted.day).map(|checked| checked.due);
    let Some(first) = due.iter().min_by_key(waited) else {
        return Ok(Duration::MAX);
    };
    let began = Instant::now();
    if began >= open.backfilled_due {
        let checked = check(open, first).await;
        open.backfilled_due = Instant::now() + began.elapsed() * SHARE;
        checked?;
    }
    match due.len() {
        1 => Ok(Duration::MAX),
        _ => Ok(open
            .backfilled_due
            .saturating_duration_since(Instant::now())),
    }
}

async fn check(open: &mut Open, wanted: &WantedDay) -> Result<(), StoreError> {
    let began = Instant::now();
    let found = of_the_day(reconcile_day(open, wanted.day).await)?;
    let least = match wanted.is_busy {
        true => BUSY_EVERY,
        false => Duration::ZERO,
    };
    let before = open.checked.get(&wanted.day);
    let checked = Checked {
        due: Instant::now() + least.max(began.elapsed() * SHARE),
        was_busy: wanted.is_busy,
        failed: found.is_err(),
        lag: (found.as_ref().ok().copied()).or_else(|| before?.lag),
    };
    open.checked.insert(wanted.day, checked);
    found.map(|_| ())
}

/// Makes the day's mirror equal; how far it is behind after that.
async fn reconcile_day(open: &mut Open, day: Day) -> Result<MirrorLag, StoreError> {
    let lag = open.mirror.lag_of(day).await?;
    if lag.equal {
        open.refused.remove(&day);
        return Ok(lag);
    }
    let reconciled = open.mirror.mirror_day(day).await?;
    let before = match reconciled.refused.rows {
        0 => open.refused.remove(&day),
        _ => open.refused.insert(day, reconciled.refused.clone()),
    };
    if reconciled.refused.rows > 0 && before.as_ref() != Some(&reconciled.refused) {
        tracing::warn!(%day, refused = %reconciled.refused, "the mirror goes on without these records");
    }
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
    // Of a day that failed it is estimated.
    if !open.has_failed_day() {
        let lags = open.checked.values().filter_map(|checked| checked.lag);
        let behind: u64 = lags.map(|lag| lag.committed.abs_diff(lag.mirrored)).sum();
        gauge!("weldfleet_mirror_lag_rows").set(behind as f64);
    }
    // Not counted yet, they are not none: the leader before may have told some.
    if open.is_counted {
        gauge!("weldfleet_mirror_kept_rows").set(open.totals.kept as f64);
        let older = open.totals.behind.values();
        let missing: u64 = older.map(|day| day.missing).sum();
        gauge!("weldfleet_mirror_older_rows_missing").set(missing as f64);
    }
}

/// The lag while MySQL does not answer, counted again as rarely as a day is checked.
#[derive(Debug, Default)]
struct EstimatedLag {
    due: Option<Instant>,
}

impl EstimatedLag {
    /// What is committed by now, less what was mirrored when MySQL last answered; unknown where a day was never
    /// compared. Of a day that has begun since MySQL has nothing. What ClickHouse does not answer stays as it was.
    async fn tell(&mut self, daemon: &Daemon, open: Option<&Open>) {
        let began = Instant::now();
        let Some(open) = open.filter(|_| self.due.is_none_or(|due| began >= due)) else {
            return;
        };
        if let Ok(behind) = Self::count(daemon, open).await {
            gauge!("weldfleet_mirror_lag_rows").set(gauges::known(behind));
        }
        self.due = Some(Instant::now() + began.elapsed() * SHARE);
    }

    async fn count(daemon: &Daemon, open: &Open) -> Result<Option<u64>, StoreError> {
        let mirrored = |day| Some(open.checked.get(&day)?.lag?.mirrored);
        let newest = open.checked.keys().rfind(|day| mirrored(**day).is_some());
        let mut behind = 0;
        for WantedDay { day, .. } in Wanted::now(daemon).often {
            let began_since = newest.is_some_and(|newest| day > *newest);
            let Some(mirrored) = mirrored(day).or(began_since.then_some(0)) else {
                return Ok(None);
            };
            behind += open.table.nok_count(day).await?.abs_diff(mirrored);
        }
        Ok(Some(behind))
    }
}

/// One older day a time, in turn; the list of them is read anew after each round.
async fn reconcile_next_older(open: &mut Open, wanted: &Wanted) -> Result<(), StoreError> {
    let began = Instant::now();
    if began < open.older_due {
        return Ok(());
    }
    if !open.older.is_empty() && began >= open.counted_due {
        return count(open, wanted).await;
    }
    while let Some(day) = open.older.pop_front() {
        if wanted.is_in_turn(day) {
            let looked = reconcile_day(open, day).await;
            match &looked {
                Ok(lag) if lag.equal => _ = open.totals.behind.remove(&day),
                // A store that does not answer in time may be this day's doing.
                Err(error) if error.is_outage() && !error.is_silence() => {}
                _ => {
                    let lacked = open.totals.behind.get(&day);
                    open.looked.extend(lacked.map(|was| (day, was.missing)));
                }
            }
            open.older_due = Instant::now() + began.elapsed() * SHARE;
            return looked.map(|_| ());
        }
    }
    let days = open.table.days().await?.into_iter().rev();
    open.older = days.filter(|day| Some(*day) >= wanted.from).collect();
    open.looked.clear();
    open.older_due = Instant::now() + LIST_EVERY;
    open.refused.retain(|day, _| open.older.contains(day));
    count(open, wanted).await?;
    let least = match open.older.iter().all(|day| wanted.is_often(*day)) {
        true => LIST_EVERY,
        false => Duration::ZERO,
    };
    open.older_due = Instant::now() + least.max(began.elapsed() * SHARE);
    Ok(())
}

/// Counts the NOK rows of all days, and puts the older ones first of which MySQL lacks some. On a large table this may
/// not be done in time, and the mirror is well without it.
async fn count(open: &mut Open, wanted: &Wanted) -> Result<(), StoreError> {
    let began = Instant::now();
    open.counted_due = began + COUNT_EVERY;
    match open.mirror.totals().await {
        Ok(mut totals) => {
            if let Some(why) = &totals.uncounted {
                tracing::warn!(why, "rows that are missing in mysql are not counted");
                totals.behind = std::mem::take(&mut open.totals.behind);
            }
            (open.totals, open.is_counted) = (totals, true);
        }
        Err(error) if error.is_outage() && !matches!(error, StoreError::MySqlSilent { .. }) => {
            return Err(error);
        }
        Err(error) => tracing::warn!(
            why = error.chain(),
            "rows that stay in mysql, or are missing there, are not counted"
        ),
    }
    let behind = &mut open.totals.behind;
    behind.retain(|day, _| wanted.is_in_turn(*day));
    behind_first(&mut open.older, behind, &open.looked);
    open.counted_due = Instant::now() + COUNT_EVERY.max(began.elapsed() * SHARE);
    Ok(())
}

/// The last of `behind` comes first. A day that lacks as many rows as when it was `looked` at waits for the next round:
/// MySQL refuses them, and older days would never have their turn.
fn behind_first(
    older: &mut VecDeque<Day>,
    behind: &BTreeMap<Day, DayBehind>,
    looked: &BTreeMap<Day, u64>,
) {
    for (day, behind) in behind {
        if looked.get(day) != Some(&behind.missing) {
            older.retain(|other| other != day);
            older.push_front(*day);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days() -> [Day; 4] {
        [20_261_101, 20_261_102, 20_261_103, 20_261_104].map(|day| Day::new(day).unwrap())
    }

    fn lack<const N: usize>(days: [(Day, u64); N]) -> BTreeMap<Day, DayBehind> {
        let committed = 10;
        let behind = days.map(|(day, missing)| (day, DayBehind { missing, committed }));
        behind.into()
    }

    #[test]
    fn days_of_which_mysql_lacks_rows_come_first_the_newest_before_the_others() {
        let [first, second, third, fourth] = days();
        let mut older = VecDeque::from([fourth, third, second]);
        let behind = lack([(first, 1), (second, 1)]);
        behind_first(&mut older, &behind, &BTreeMap::new());
        assert_eq!(older, [second, first, fourth, third]);
    }

    #[test]
    fn a_day_whose_rows_are_refused_keeps_no_other_from_its_turn() {
        let [first, second, third, fourth] = days();
        let mut older = VecDeque::from([second, first]);
        let behind = lack([(first, 2), (third, 3), (fourth, 1)]);
        // Of the third more are gone since.
        let looked = BTreeMap::from([(third, 2), (fourth, 1)]);
        behind_first(&mut older, &behind, &looked);
        assert_eq!(older, [third, first, second]);
    }
}
