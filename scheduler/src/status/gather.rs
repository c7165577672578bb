//! Filling the status model from the stores: each second what is cheap to know, `details` as rarely as they are dear.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use weldfleet_fleet::{Agreement, LEADER_RENEWS_EVERY, LEADER_TTL};
use weldfleet_queue::{Queue, QueueError, State, Stats, WorkerEntry, beat_of};
use weldfleet_service::{Failure, exit::causes as one_line};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day, StoreError,
    clickhouse::{DayCounts, Disk, Pace, Run, RunState, Runs, Server, SourceTable},
    mysql::{Mirror, MirrorLag, NokTable},
};

use super::{
    PACE_SECONDS,
    causes::{self, Cause},
    details::{Details, Question, Subject},
    hints::hints,
    remembered::Remembered,
    report::{
        DayLine, DiskLine, MirrorLine, PatchLine, QueueFacts, Report, RunLine, StoreLine,
        Thresholds,
    },
};
use crate::{
    clock::{now_ms, today},
    daemon::mirrored_from,
    dependencies,
};

/// Runs that are read.
const MOST_RUNS: u32 = 1000;
/// Dead jobs whose rows are counted.
const MOST_DEAD: u32 = 100;
/// Runs shown besides those that are open or held.
const RECENT_RUNS: u32 = 5;
/// A store that does not answer the smallest question for so long is away: told of within five seconds, with the second
/// for which a look is good.
const SOON: Duration = Duration::from_secs(2);
/// How long Redis is waited for, so that the rest can still be shown.
const PATIENCE: Duration = Duration::from_secs(5);
/// While rows are being judged they are counted in one part of so many of the time.
const SHARE_OF_COUNTS: u32 = 20;
/// Time between two looks at the room on ClickHouse's disks.
const DISK_EVERY: Duration = Duration::from_secs(4);
/// Time between two looks at how many patch parts the table may have.
const LIMIT_EVERY: Duration = Duration::from_secs(60);
/// How long ClickHouse may take for a look.
pub const LONGEST: Duration = Duration::from_secs(10);
/// Workers that said nothing for this long are shown as silent; where there are many, each speaks more rarely.
const SILENT: Duration = Duration::from_secs(15);
/// How long workers, or a leader, that have missed two beats are given to be heard after all: Redis may have been away.
const BEFORE_NOBODY: Duration = Duration::from_millis(1300);
/// A complete day may wait so long for being settled, beside twice `tables.settle_after`: the leader looks rarely and
/// is patient.
const SETTLING: Duration = Duration::from_secs(300);
/// ClickHouse's code for a question that ran past `max_execution_time`.
const TIMEOUT_EXCEEDED: i32 = 159;

/// Keeps its connections between looks, and what is dear to know.
pub struct Gatherer {
    settings: Arc<Settings>,
    /// What workers must have alike.
    agreement: Agreement,
    day: Option<Day>,
    queue: Queue,
    table: Option<SourceTable>,
    /// The table of NOK welds; `None` where `mysql.enabled` is off.
    nok: Option<NokTable>,
    mirror: Option<Mirror>,
    details: Option<Details>,
    /// That is being read anew.
    reading: Option<JoinHandle<Details>>,
    known: Known,
    /// NOK rows that were committed by day when the mirror was last compared.
    committed: BTreeMap<Day, u64>,
    was_idle: bool,
    /// When rows were first seen after a time without any.
    rows_since: Option<Instant>,
}

/// What was read of ClickHouse for an earlier look.
#[derive(Default)]
struct Known {
    runs: Option<Remembered<Vec<Run>>>,
    counted: Option<Remembered<Counted>>,
    disk: Option<Remembered<Option<Disk>>>,
    patch_limit: Option<Remembered<u64>>,
}

/// The rows of some days.
#[derive(Clone)]
struct Counted {
    days: Vec<Day>,
    counts: Vec<DayCounts>,
    pace: Pace,
}

impl Counted {
    async fn read(table: &SourceTable, days: &[Day]) -> Result<Self, StoreError> {
        Ok(Self {
            days: days.to_vec(),
            counts: table.day_counts(days).await?,
            pace: table.pace(days, PACE_SECONDS).await?,
        })
    }
}

/// What a look saw, and for how long it kept the stores busy.
pub struct Look {
    pub report: Report,
    pub took: Duration,
}

impl Gatherer {
    pub fn new(settings: Arc<Settings>, day: Option<Day>) -> Result<Self, Failure> {
        Ok(Self {
            queue: dependencies::queue(&settings)?,
            nok: NokTable::new(&settings).map_err(dependencies::store_failure)?,
            agreement: Agreement::of(&settings),
            settings,
            day,
            table: None,
            mirror: None,
            details: None,
            reading: None,
            known: Known::default(),
            committed: BTreeMap::new(),
            was_idle: false,
            rows_since: None,
        })
    }

    /// Looks at what is cheap to know, and adds what is dear as it was last read. Waits at most `patience` for that
    /// where nothing is known of it, or something was changed.
    pub async fn look(&mut self, patience: Duration) -> Result<Look, Failure> {
        let began = Instant::now();
        let today = today(&self.settings.scheduler.timezone)?;
        let lookback = i32::from(self.settings.scheduler.lookback_days);
        let live: Vec<Day> = (0..=lookback)
            .filter_map(|days| today.offset(-days))
            .collect();
        let mut report = Report {
            at_ms: now_ms(),
            today: today.to_string(),
            thresholds: self.thresholds(),
            ..Report::default()
        };
        (report.stores.clickhouse, report.stores.mysql) =
            tokio::join!(self.try_clickhouse(), self.try_mysql());
        if report.stores.clickhouse == StoreLine::Works {
            self.learn_owner().await;
        }
        self.try_redis(&mut report).await?;
        let mut took = began.elapsed();
        let listened = self.listen(&mut report).await;
        if let StoreLine::Away(why) = report.stores.clickhouse.clone() {
            problem(&mut report, "clickhouse", &why);
            // It may come back with other settings, or other tables.
            (self.table, self.mirror, self.known) = (None, None, Known::default());
        } else {
            let looking = self.look_at_clickhouse(&live, &mut report);
            let looked = tokio::time::timeout(LONGEST, looking).await;
            took = began.elapsed().saturating_sub(listened);
            let failed = match looked {
                Ok(Ok(question)) => {
                    self.add_details(question, patience, &mut report).await;
                    self.note_rows(&mut report);
                    None
                }
                Ok(Err(error)) => Some(line_of(&error)),
                Err(_) => Some(StoreLine::Slow(unanswered(LONGEST))),
            };
            if let Some(line) = failed {
                // It may have changed since it was looked at.
                (self.table, self.mirror, self.known) = (None, None, Known::default());
                problem(&mut report, "clickhouse", line.why());
                report.stores.clickhouse = line;
                // It answers the next look or it does not; it is no slower for being asked.
                took = Duration::ZERO;
            }
        }
        report.hints = hints(
            &report,
            self.settings.scheduler.timezone.name(),
            &self.agreement,
        );
        let zone = self.settings.scheduler.timezone.rules();
        report.causes = causes::causes(&report, zone)
            .iter()
            .map(Cause::line)
            .collect();
        Ok(Look { report, took })
    }

    /// Rows that came a moment ago, or are wanted since, have not been waiting for as long as the fleet has been idle.
    fn note_rows(&mut self, report: &mut Report) {
        note_runs(report);
        let rows: u64 = report.days.iter().flatten().map(|day| day.left).sum();
        if rows == 0 {
            (self.was_idle, self.rows_since) = (true, None);
        } else if self.was_idle {
            let since = self.rows_since.get_or_insert_with(Instant::now).elapsed();
            if let Some(queue) = &mut report.queue {
                queue.still_ms = queue.still_ms.min(since.as_millis() as u64);
            }
        }
    }

    fn thresholds(&self) -> Thresholds {
        let scheduler = &self.settings.scheduler;
        let options = self.queue.options();
        // A large fleet's idle workers speak as rarely as this.
        let rarely = options.worker_expiry() / 3 + Duration::from_secs(5);
        Thresholds {
            batch_size: u64::from(scheduler.batch_size),
            max_outstanding: u64::from(scheduler.max_outstanding),
            max_wait_ms: scheduler.max_wait.as_millis() as u64,
            poll_interval_ms: scheduler.poll_interval.as_millis() as u64,
            silent_ms: SILENT.max(rarely).as_millis() as u64,
            listed_ms: options.worker_expiry().as_millis() as u64,
            one_day: self.day.is_some(),
        }
    }

    async fn try_clickhouse(&self) -> StoreLine {
        let server = Server::new(&self.settings.clickhouse).with_patience(SOON);
        match tokio::time::timeout(SOON, server.ping()).await {
            Ok(Ok(())) => StoreLine::Works,
            Ok(Err(error)) if error.is_outage() => StoreLine::Away(error.chain()),
            Ok(Err(error)) => StoreLine::Refuses(error.chain_and_remedy()),
            Err(_) => StoreLine::Away(silent(SOON)),
        }
    }

    /// Whether MySQL lets the mirror's table be read and takes writes; what is in it is compared more rarely.
    async fn try_mysql(&self) -> StoreLine {
        let Some(nok) = &self.nok else {
            return StoreLine::Off;
        };
        let trying = async {
            nok.check().await?;
            nok.server().check_writable().await
        };
        match tokio::time::timeout(SOON, trying).await {
            Ok(Ok(())) => StoreLine::Works,
            Ok(Err(error)) if error.is_outage() => StoreLine::Away(error.chain()),
            Ok(Err(error)) => StoreLine::Refuses(error.chain_and_remedy()),
            Err(_) => StoreLine::Away(silent(SOON)),
        }
    }

    /// Whose the queue is; asked for until ClickHouse has answered.
    async fn learn_owner(&mut self) {
        if self.queue.options().owner.is_none()
            && let Ok(Some(owner)) = weldfleet_fleet::owner(&self.settings).await
            && let Ok(queue) = self.queue.owned_by(owner)
        {
            self.queue = queue;
        }
    }

    async fn try_redis(&self, report: &mut Report) -> Result<(), Failure> {
        // The smallest questions first: one that hangs is told of soon, one with much to tell may take its time.
        let small = async {
            self.queue.check_owner().await?;
            report.leader = self.queue.leader().await?.map(|leader| leader.id);
            Ok::<(), QueueError>(())
        };
        let looked = match tokio::time::timeout(SOON, small).await {
            Ok(Ok(())) => tokio::time::timeout(PATIENCE, self.look_at_redis(report))
                .await
                .map_err(|_| PATIENCE),
            Ok(refused) => Ok(refused),
            Err(_) => Err(SOON),
        };
        report.stores.redis = match looked {
            Ok(Ok(())) => StoreLine::Works,
            Ok(Err(error @ QueueError::Foreign { .. })) => {
                return Err(weldfleet_fleet::queue_failure(error));
            }
            Ok(Err(error)) => {
                let why = one_line(&error);
                problem(report, "redis", &format!("redis.url: {why}"));
                report.stores.redis_refuses_for_now = error.is_outage() && !error.is_denied();
                match error {
                    QueueError::Unavailable { .. } => StoreLine::Away(why),
                    _ => StoreLine::Refuses(why),
                }
            }
            Err(patience) => {
                problem(report, "redis", &silent(patience));
                StoreLine::Away(silent(patience))
            }
        };
        Ok(())
    }

    async fn look_at_redis(&self, report: &mut Report) -> Result<(), QueueError> {
        let stats = self.queue.stats().await?;
        let waiting = self.queue.waiting().await?;
        report.jobs = Some(stats.states.clone());
        report.paused.clone_from(&stats.paused);
        report.queue = Some(QueueFacts {
            now_ms: stats.now,
            // A token is the time in µs at which it was handed out, or later.
            still_ms: stats.now.saturating_sub(stats.token / 1000),
            outstanding: stats.outstanding.clone(),
            isolated: waiting.isolated,
            dead_rows: self.dead_rows(&stats).await?,
            next_delayed_ms: waiting.next_delayed,
            oldest_pending_ms: stats.oldest_pending_ms,
            oldest_pending_priority: stats.oldest_pending_priority,
            oldest_delayed_ms: waiting
                .delayed_since
                .map(|since| stats.now.saturating_sub(since)),
            expired_leases: waiting.expired,
            kept_until_ms: waiting.kept_until,
        });
        report.workers = Some(self.workers().await?);
        report.schedulers = self.queue.candidates().await?;
        // What can be read is shown; but without writes nothing goes on.
        self.queue.works().await
    }

    /// Those that were heard last first.
    async fn workers(&self) -> Result<Vec<WorkerEntry>, QueueError> {
        let mut workers = self.queue.workers().await?;
        workers.sort_by(|a, b| a.silent_ms.cmp(&b.silent_ms).then_with(|| a.id.cmp(&b.id)));
        Ok(workers)
    }

    /// That no worker at all is heard, or no leader, needs less patience than the silence of one worker. Returns how
    /// long they were waited for.
    async fn listen(&self, report: &mut Report) -> Duration {
        if report.stores.redis != StoreLine::Works {
            return Duration::ZERO;
        }
        let mut leader_is_silent = self.leader_is_silent().await;
        let mut waited = Duration::ZERO;
        if leader_is_silent || misses_beats(report) {
            tokio::time::sleep(BEFORE_NOBODY).await;
            waited = BEFORE_NOBODY;
            leader_is_silent = leader_is_silent && self.leader_is_silent().await;
            if let Ok(workers) = self.workers().await {
                report.workers = Some(workers);
            }
        }
        if leader_is_silent {
            report.leader = None;
        }
        if misses_beats(report) {
            report.thresholds.silent_ms = 0;
        }
        waited
    }

    /// Rows of the dead jobs, where these may be why nothing moves. Of many the first are counted, and the others are
    /// taken for full ranges.
    async fn dead_rows(&self, stats: &Stats) -> Result<u64, QueueError> {
        let dead = stats.count(State::Dead);
        if dead == 0 || stats.count(State::Leased) + stats.count(State::Pending) > 0 {
            return Ok(0);
        }
        let counted = self.queue.list(State::Dead, 0, MOST_DEAD).await?.jobs;
        let others = dead.saturating_sub(counted.len() as u64);
        let rows: u64 = counted.iter().map(|job| job.weight).sum();
        Ok(rows + others * u64::from(self.settings.scheduler.batch_size))
    }

    /// Somebody leads still, and has missed two renewals.
    async fn leader_is_silent(&self) -> bool {
        let silent = LEADER_RENEWS_EVERY * 2;
        let leads = self.queue.leader().await;
        leads.is_ok_and(|leads| leads.is_some_and(|leads| leads.remaining + silent < LEADER_TTL))
    }

    /// What costs the same however many runs and days there are. Returns what remains to be asked.
    async fn look_at_clickhouse(
        &mut self,
        live: &[Day],
        report: &mut Report,
    ) -> Result<Question, StoreError> {
        let table = match &self.table {
            Some(table) => table.clone(),
            None => {
                let table = SourceTable::inspect(&self.settings).await?;
                self.table.insert(table).clone()
            }
        };
        let looking = table.clone().for_looking(Some(LONGEST));
        let parts = looking.parts().await?;
        let runs = Runs::on(looking.server().clone());
        let known = &mut self.known;
        let runs = Remembered::or_read(
            &mut known.runs,
            parts.runs,
            |known| known.is_of(parts.runs),
            runs.list(MOST_RUNS),
        )
        .await?;
        let days = self.day.map_or_else(|| live.to_vec(), |day| vec![day]);
        weldfleet_failpoints::reach("scheduler::status_rows").await;
        // Where nothing is in hand any more, what is left decides what is told.
        let works = report.queue.as_ref().is_some_and(QueueFacts::has_work);
        let counted = Remembered::or_read(
            &mut known.counted,
            parts.source,
            |known| {
                let is_same = known.is_of(parts.source) && known.value.pace == Pace::default();
                known.value.days == days && (is_same || (works && known.is_within(SHARE_OF_COUNTS)))
            },
            Counted::read(&looking, &days),
        )
        .await?;
        let counts = &counted.counts;
        let lines = counts.iter().map(|counts| DayLine::of(counts, live));
        report.days = Some(lines.collect());
        report.rows_per_second = Some(counted.pace.rows_per_second);
        let disk = Remembered::or_read(
            &mut known.disk,
            0,
            |known| known.is_younger_than(DISK_EVERY),
            looking.roomiest_disk(),
        );
        report.disk = disk.await?.map(|disk| DiskLine {
            name: disk.name,
            free_bytes: disk.free_bytes,
        });
        let limit_bytes = Remembered::or_read(
            &mut known.patch_limit,
            0,
            |known| known.is_younger_than(LIMIT_EVERY),
            looking.patch_limit(),
        );
        report.patches = Some(PatchLine {
            bytes: parts.patch_bytes,
            limit_bytes: limit_bytes.await?,
            ..PatchLine::default()
        });
        let counted = counts.iter().map(|counts| counts.day).collect();
        let runs: Vec<Run> = runs
            .into_iter()
            .filter(|run| self.day.is_none_or(|day| run.from <= day && day <= run.to))
            .collect();
        report.runs = Some(run_lines(&runs));
        let runs: Vec<Run> = runs.into_iter().filter(goes_on).collect();
        Ok(Question {
            subject: Subject {
                live: live.to_vec(),
                runs: runs.iter().map(|run| (run.run, run.state)).collect(),
                mirror: report.stores.mysql == StoreLine::Works,
            },
            mirror: self.mirror(&table),
            table: table.for_looking(Some(LONGEST)),
            queue: self.queue.clone(),
            counted,
            day: self.day,
            runs,
            mirror_from: mirrored_from(&self.settings),
            is_filtered: !self.settings.tables.filter.trim().is_empty(),
            settled_within: self.settings.tables.settle_after * 2 + SETTLING,
        })
    }

    /// The mirror of this table. It remembers what it found to be kept.
    fn mirror(&mut self, table: &SourceTable) -> Option<Mirror> {
        let nok = self.nok.as_ref()?;
        let mirror = self.mirror.get_or_insert_with(|| {
            let table = table.clone().for_looking(Some(LONGEST));
            Mirror::new(table, nok.clone())
        });
        Some(mirror.clone())
    }

    async fn add_details(&mut self, question: Question, patience: Duration, report: &mut Report) {
        let live = question.subject.live.clone();
        let covered: Vec<(Day, Day)> = question.runs.iter().map(|run| (run.from, run.to)).collect();
        let known = self.details.as_ref();
        let is_wanted = known.is_none_or(|known| known.is_of_other(&question.subject));
        let mut patience = Some(patience).filter(|_| is_wanted).unwrap_or_default();
        if self.reading.is_none() && known.is_none_or(|known| known.is_due(&question.subject)) {
            self.reading = Some(tokio::spawn(question.ask()));
        } else {
            // Whoever began it has waited.
            patience = Duration::ZERO;
        }
        if let Some(reading) = &mut self.reading
            && let Ok(read) = tokio::time::timeout(patience, reading).await
        {
            self.reading = None;
            if let Some(before) = self.details.take() {
                let before = before.mirror.unwrap_or_default();
                self.committed = before.iter().map(|lag| (lag.day, lag.committed)).collect();
            }
            // One that panicked has said so on standard error.
            self.details = read.ok();
        }
        let Some(details) = &self.details else {
            problem(
                report,
                "clickhouse",
                "the rows of backfills and older days are being counted still",
            );
            return;
        };
        self.show(details, &live, &covered, report);
    }

    fn show(&self, details: &Details, live: &[Day], covered: &[(Day, Day)], report: &mut Report) {
        report.details_at_ms = Some(details.at_ms);
        let others = details
            .days
            .iter()
            .filter(|counts| !live.contains(&counts.day));
        let days = report.days.get_or_insert_default();
        let live_left: u64 = days.iter().filter(|day| day.live).map(|day| day.left).sum();
        days.extend(others.map(|counts| DayLine::of(counts, live)));
        days.sort_by(|a, b| a.day.cmp(&b.day));
        report.not_selected = details.not_selected;
        report.older_days = details.older_days(covered);
        if let Some(elsewhere) = &details.elsewhere {
            report.rows_later = Some(elsewhere.later);
            report.rows_on_no_day = Some(elsewhere.on_no_day);
        }
        let mut left = live_left;
        for line in report.runs.iter_mut().flatten() {
            let wanted = details.wanted.get(&line.run);
            let Some(wanted) = wanted.filter(|_| matches!(line.state, "open" | "held")) else {
                continue;
            };
            (line.left, line.days_left) = (Some(wanted.rows), Some(wanted.days));
            left += if line.state == "open" { wanted.rows } else { 0 };
        }
        let is_recent = details.is_recent();
        let of_days = (is_recent || details.days.is_empty()).then_some(details.pace);
        report.rows_per_second = pace(report.rows_per_second, of_days);
        // Rows of runs are as old as their pace.
        let open = report.runs.iter().flatten().any(|run| run.state == "open");
        report.eta_seconds = match report.rows_per_second {
            Some(pace)
                if left > 0 && pace > 0.0 && (is_recent || !open) && report.paused.is_none() =>
            {
                Some(left as f64 / pace)
            }
            _ => None,
        };
        if let (Some(patches), Some(settling)) = (&mut report.patches, &details.settling) {
            let named = |days: &BTreeSet<Day>| days.iter().map(Day::to_string).collect();
            patches.days_unsettled = named(&settling.unsettled);
            patches.days_overdue = named(&settling.overdue);
        }
        report.mirror_kept_rows = details.mirror_kept;
        let line = |lag: &MirrorLag| MirrorLine {
            day: lag.day.to_string(),
            committed: lag.committed,
            mirrored: lag.mirrored,
            kept: lag.kept,
            equal: lag.equal,
            late: self
                .committed
                .get(&lag.day)
                .map_or(0, |committed| committed.saturating_sub(lag.mirrored)),
        };
        let lags = details.mirror.as_ref();
        report.mirror = lags.map(|lags| lags.iter().map(line).collect());
        if let (StoreLine::Works, Some(why)) = (&report.stores.mysql, &details.mirror_away) {
            report.stores.mysql = StoreLine::Away(why.clone());
        }
        report.problems.extend(details.problems.iter().cloned());
        if let Some(why) = &details.refused {
            problem(report, "clickhouse", why);
            report.stores.clickhouse = StoreLine::Refuses(why.clone());
        }
    }
}

/// What the newest open run wants is wanted since it was requested or resumed.
fn note_runs(report: &mut Report) {
    let runs = report.runs.iter().flatten();
    let open = runs.filter(|run| run.state == "open");
    let newest = open.map(|run| run.requested_ms.max(run.since_ms)).max();
    if let (Some(since), Some(queue)) = (newest, &mut report.queue) {
        let ms = u64::try_from(report.at_ms - since).unwrap_or(0);
        queue.still_ms = queue.still_ms.min(ms);
    }
}

/// There are workers that lived lately, and each has missed two beats.
fn misses_beats(report: &Report) -> bool {
    let living: Vec<&WorkerEntry> = report.living_workers().collect();
    let silent_ms = living.iter().map(|worker| worker.silent_ms).min();
    silent_ms
        .zip(beat_of(&living))
        .is_some_and(|(silent_ms, beat)| silent_ms > (beat * 2).as_millis() as u64)
}

/// Of the live days and of others together; `None` if either is not known.
fn pace(live: Option<f64>, others: Option<f64>) -> Option<f64> {
    Some(live? + others?)
}

fn goes_on(run: &Run) -> bool {
    matches!(run.state, RunState::Open | RunState::Held)
}

/// Those that go on, and the latest that ended. What they want is not known here.
fn run_lines(runs: &[Run]) -> Vec<RunLine> {
    let mut ended = 0;
    let shown = runs.iter().filter(|run| {
        ended += u32::from(!goes_on(run));
        goes_on(run) || ended <= RECENT_RUNS
    });
    let line = |run: &Run| RunLine {
        run: run.run,
        from: run.from.to_string(),
        to: run.to.to_string(),
        selection: run.selection.to_string(),
        state: run.state.name(),
        order: run.order.name(),
        left: None,
        days: run.days().len() as u64,
        days_left: None,
        requested_ms: run.requested_ms,
        since_ms: run.since_ms,
        by: run.by.clone(),
        note: run.note.clone(),
        changed_by: run.changed_by.clone(),
        changed_why: run.changed_why.clone(),
    };
    shown.map(line).collect()
}

/// Notes what could not be reached. An error of a store begins with its name already.
fn problem(report: &mut Report, dependency: &str, why: &str) {
    let text = if why.starts_with(dependency) {
        why.to_owned()
    } else {
        format!("{dependency}: {why}")
    };
    report.problems.push(text);
}

/// What an error of a look says of ClickHouse, which had just answered.
fn line_of(error: &StoreError) -> StoreLine {
    match error {
        StoreError::ClickHouseSilent { .. } => StoreLine::Slow(error.chain()),
        StoreError::ClickHouse {
            code: Some(TIMEOUT_EXCEEDED),
            ..
        } => StoreLine::Slow(error.chain()),
        _ if error.is_outage() => StoreLine::Away(error.chain()),
        _ => StoreLine::Refuses(error.chain_and_remedy()),
    }
}

fn unanswered(patience: Duration) -> String {
    format!(
        "the rows of the live days could not be counted within {} s",
        patience.as_secs()
    )
}

fn silent(patience: Duration) -> String {
    format!("no answer for {} s", patience.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backfill_of_an_idle_fleet_has_waited_since_it_was_requested() {
        let still_ms = |state, requested_ms, since_ms| {
            let mut report = Report {
                at_ms: 100_000,
                queue: Some(QueueFacts {
                    still_ms: 90_000,
                    ..QueueFacts::default()
                }),
                runs: Some(vec![RunLine {
                    state,
                    requested_ms,
                    since_ms,
                    ..RunLine::default()
                }]),
                ..Report::default()
            };
            note_runs(&mut report);
            report.queue.unwrap().still_ms
        };
        assert_eq!(still_ms("open", 98_000, 98_000), 2_000);
        assert_eq!(still_ms("open", 1_000, 70_000), 30_000, "resumed");
        assert_eq!(still_ms("held", 98_000, 98_000), 90_000);
        assert_eq!(still_ms("open", 100_500, 0), 0, "by a clock that is ahead");
    }
}
