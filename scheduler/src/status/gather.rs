//! Filling the status model from the stores.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use weldfleet_queue::{Queue, QueueError, State, WorkerEntry};
use weldfleet_service::{Failure, exit::causes as one_line};
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day, StoreError,
    clickhouse::{Run, RunState, Runs, Server, SourceTable},
    mysql::{Mirror, NokTable},
};

use super::{
    causes::{self, Cause},
    report::{
        DayLine, DiskLine, Limits, MirrorLine, OlderDay, PatchLine, QueueFacts, Report, RunLine,
        StoreLine,
    },
};
use crate::{
    args::today,
    dependencies,
    settle::{self, Rule},
    words::Words,
};

/// Window of the rate.
const PACE_SECONDS: u32 = 60;
/// Runs shown besides those that are open or held.
const RECENT_RUNS: u32 = 5;
/// How long one service is waited for, so that the rest can still be shown.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server that does not answer the smallest question for so long is away.
const SOON: Duration = Duration::from_secs(2);
/// Workers that said nothing for this long are shown as silent; where there are many, each speaks more rarely.
pub const SILENT: Duration = Duration::from_secs(15);
/// A complete day may wait so long for being settled, beside twice `tables.settle_after`: the leader looks rarely and
/// is patient.
const SETTLING: Duration = Duration::from_secs(300);

/// Keeps its connections between looks.
pub struct Gatherer {
    settings: Arc<Settings>,
    day: Option<Day>,
    queue: Queue,
    table: Option<SourceTable>,
    mirror: Option<Mirror>,
    was_idle: bool,
    /// When rows were first seen after a time without any.
    rows_since: Option<Instant>,
}

impl Gatherer {
    pub fn new(settings: Arc<Settings>, day: Option<Day>) -> Result<Self, Failure> {
        Ok(Self {
            queue: dependencies::queue(&settings)?,
            settings,
            day,
            table: None,
            mirror: None,
            was_idle: false,
            rows_since: None,
        })
    }

    pub async fn look(&mut self) -> Result<Report, Failure> {
        let today = today(&self.settings.scheduler.timezone)?;
        let lookback = i32::from(self.settings.scheduler.lookback_days);
        let live: Vec<Day> = (0..=lookback)
            .filter_map(|days| today.offset(-days))
            .collect();
        let mut report = Report {
            at_ms: now_ms(),
            today: today.to_string(),
            limits: self.limits(),
            ..Report::default()
        };
        report.stores.clickhouse = self.try_clickhouse().await;
        if report.stores.clickhouse == StoreLine::Works {
            self.learn_owner().await;
        }
        match tokio::time::timeout(PATIENCE, self.look_at_redis(&mut report)).await {
            Ok(Ok(())) => report.stores.redis = StoreLine::Works,
            Ok(Err(error @ QueueError::Foreign { .. })) => {
                return Err(weldfleet_fleet::queue_failure(error));
            }
            Ok(Err(error)) => {
                let why = one_line(&error);
                problem(&mut report, "redis", &format!("redis.url: {why}"));
                report.stores.redis = match error {
                    QueueError::Unavailable { .. } => StoreLine::Away(why),
                    _ => StoreLine::Refuses(why),
                };
            }
            Err(_) => {
                problem(&mut report, "redis", &silent(PATIENCE));
                report.stores.redis = StoreLine::Away(silent(PATIENCE));
            }
        }
        let mut days = Vec::new();
        if let StoreLine::Away(why) = report.stores.clickhouse.clone() {
            problem(&mut report, "clickhouse", &why);
        } else {
            let looking = self.look_at_clickhouse(&live, &mut report, &mut days);
            match tokio::time::timeout(PATIENCE * 2, looking).await {
                Ok(Ok(())) => self.note_rows(&mut report),
                Ok(Err(error)) => {
                    // It may have changed since it was looked at.
                    (self.table, self.mirror) = (None, None);
                    let why = error.chain_and_remedy();
                    problem(&mut report, "clickhouse", &why);
                    report.stores.clickhouse = StoreLine::Refuses(why);
                }
                Err(_) => problem(&mut report, "clickhouse", &silent(PATIENCE * 2)),
            }
        }
        // The mirror is compared with ClickHouse.
        if self.settings.mysql.enabled
            && self.table.is_some()
            && report.stores.clickhouse == StoreLine::Works
        {
            let looking = self.look_at_mysql(&days, &mut report);
            let why = match tokio::time::timeout(PATIENCE, looking).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.chain()),
                Err(_) => Some(silent(PATIENCE)),
            };
            report.stores.mysql = why.map_or(StoreLine::Works, StoreLine::Away);
        }
        self.hint(&mut report);
        let zone = self.settings.scheduler.timezone.rules();
        report.causes = causes::causes(&report, zone)
            .iter()
            .map(Cause::told)
            .collect();
        Ok(report)
    }

    /// Rows that came a moment ago have not been waiting for as long as the fleet has been idle.
    fn note_rows(&mut self, report: &mut Report) {
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

    fn limits(&self) -> Limits {
        let scheduler = &self.settings.scheduler;
        let options = self.queue.options();
        // A large fleet's idle workers speak as rarely as this.
        let rarely = options.worker_expiry() / 3 + Duration::from_secs(5);
        Limits {
            batch_size: u64::from(scheduler.batch_size),
            max_outstanding: u64::from(scheduler.max_outstanding),
            max_wait_ms: scheduler.max_wait.as_millis() as u64,
            poll_interval_ms: scheduler.poll_interval.as_millis() as u64,
            silent_ms: SILENT.max(rarely).as_millis() as u64,
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

    /// Whose the queue is; asked for until ClickHouse has answered.
    async fn learn_owner(&mut self) {
        if self.queue.options().owner.is_none()
            && let Ok(Some(owner)) = weldfleet_fleet::owner(&self.settings).await
            && let Ok(queue) = self.queue.owned_by(owner)
        {
            self.queue = queue;
        }
    }

    async fn look_at_redis(&self, report: &mut Report) -> Result<(), QueueError> {
        self.queue.check_owner().await?;
        let stats = self.queue.stats().await?;
        let waiting = self.queue.waiting().await?;
        report.jobs = Some(stats.states.clone());
        report.paused.clone_from(&stats.paused);
        report.queue = Some(QueueFacts {
            now_ms: stats.now,
            // A token is the time in µs at which it was handed out, or later.
            still_ms: stats.now.saturating_sub(stats.token / 1000),
            outstanding: stats.outstanding,
            isolated: waiting.isolated,
            next_delayed_ms: waiting.next_delayed,
            oldest_pending_ms: stats.oldest_pending_ms,
            oldest_pending_priority: stats.oldest_pending_priority,
            oldest_delayed_ms: waiting
                .delayed_since
                .map(|since| stats.now.saturating_sub(since)),
            expired_leases: waiting.expired,
            kept_until_ms: waiting.kept_until,
        });
        let mut workers = self.queue.workers().await?;
        workers.sort_by(|a, b| a.silent_ms.cmp(&b.silent_ms).then_with(|| a.id.cmp(&b.id)));
        report.workers = Some(workers);
        report.leader = self.queue.leader().await?.map(|leader| leader.id);
        report.schedulers = self.queue.candidates().await?;
        // What can be read is shown; but without writes nothing goes on.
        self.queue.works().await
    }

    async fn look_at_clickhouse(
        &mut self,
        live: &[Day],
        report: &mut Report,
        seen: &mut Vec<Day>,
    ) -> Result<(), StoreError> {
        let table = match &self.table {
            Some(table) => table.clone(),
            None => {
                let table = SourceTable::inspect(&self.settings).await?;
                self.table.insert(table).clone()
            }
        };
        let runs = Runs::new(&self.settings).list(1000).await?;
        let goes_on = |run: &&Run| matches!(run.state, RunState::Open | RunState::Held);
        let mut days: Vec<Day> = live.to_vec();
        days.extend(
            runs.iter()
                .filter(goes_on)
                .flat_map(|run| run.from.to(run.to)),
        );
        if let Some(day) = self.day {
            days = vec![day];
        }
        days.sort_unstable();
        days.dedup();

        let counts = table.day_counts(&days).await?;
        report.days = Some(
            counts
                .iter()
                .map(|counts| DayLine::of(counts, live))
                .collect(),
        );
        *seen = counts.iter().map(|counts| counts.day).collect();
        if !self.settings.tables.filter.trim().is_empty() {
            report.not_selected = Some(table.not_selected(&days).await?);
        }
        if self.day.is_none()
            && let (Some(today), Some(oldest)) = (live.first(), live.last())
        {
            let elsewhere = table.left_elsewhere(*oldest, *today).await?;
            report.rows_later = Some(elsewhere.later);
            report.rows_on_no_day = Some(elsewhere.on_no_day);
            let older = elsewhere.older.into_iter();
            let older = older.filter(|(day, _)| !days.contains(day));
            report.older_days = Some(
                older
                    .map(|(day, left)| OlderDay {
                        day: day.to_string(),
                        left,
                    })
                    .collect(),
            );
        }
        let left_in_runs = self.look_at_runs(&table, &runs, report).await?;

        let pace = table.pace(&days, PACE_SECONDS).await?;
        report.rows_per_second = Some(pace.rows_per_second);
        let live_left: u64 = counts
            .iter()
            .filter(|counts| live.contains(&counts.day))
            .map(|counts| counts.left)
            .sum();
        let left = live_left + left_in_runs;
        if left > 0 && pace.rows_per_second > 0.0 {
            report.eta_seconds = Some(left as f64 / pace.rows_per_second);
        }
        report.disk = table.roomiest_disk().await?.map(|disk| DiskLine {
            name: disk.name,
            free_bytes: disk.free_bytes,
        });
        self.look_at_patches(&table, live, report).await
    }

    /// Rows that open runs still want.
    async fn look_at_runs(
        &self,
        table: &SourceTable,
        runs: &[Run],
        report: &mut Report,
    ) -> Result<u64, StoreError> {
        let mut lines = Vec::new();
        let mut ended = 0;
        let mut left_in_runs = 0;
        for run in runs {
            if self.day.is_some_and(|day| day < run.from || day > run.to) {
                continue;
            }
            let goes_on = matches!(run.state, RunState::Open | RunState::Held);
            ended += u32::from(!goes_on);
            if !goes_on && ended > RECENT_RUNS {
                continue;
            }
            let days = run.days();
            let (mut left, mut days_left) = (None, None);
            if goes_on {
                let wanted = table.wanted_rows(run.run, &days, &run.selection).await?;
                let rows: u64 = wanted.iter().map(|(_, rows)| rows).sum();
                if run.state == RunState::Open {
                    left_in_runs += rows;
                }
                left = Some(rows);
                days_left = Some(wanted.len() as u64);
            }
            lines.push(RunLine {
                run: run.run,
                from: run.from.to_string(),
                to: run.to.to_string(),
                selection: run.selection.to_string(),
                state: run.state.name(),
                order: run.order.name(),
                left,
                days: days.len() as u64,
                days_left,
                requested_ms: run.requested_ms,
                by: run.by.clone(),
                note: run.note.clone(),
                changed_by: run.changed_by.clone(),
                changed_why: run.changed_why.clone(),
            });
        }
        report.runs = Some(lines);
        Ok(left_in_runs)
    }

    async fn look_at_patches(
        &self,
        table: &SourceTable,
        live: &[Day],
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let jobs = settle::jobs_by_day(&self.queue).await.ok();
        // Without Redis nobody knows whether a day has jobs left.
        let knows_jobs = jobs.is_some();
        let seen = settle::Seen {
            patches: table.patches().await?,
            jobs: jobs.unwrap_or_default(),
        };
        let patches = &seen.patches;
        let over = |day: &Day| live.first().is_none_or(|today| day < today);
        let rule = Rule {
            not_over: live.first().copied(),
            quiet: self.settings.tables.settle_after * 2 + SETTLING,
        };
        let overdue: BTreeSet<Day> = patches
            .partitions
            .iter()
            .filter(|partition| knows_jobs && settle::obstacle(partition, &seen, rule).is_none())
            .flat_map(|partition| partition.days.iter().map(|day| day.day))
            .collect();
        report.patches = Some(PatchLine {
            days_unsettled: patches
                .days()
                .iter()
                .filter(|day| over(day))
                .map(Day::to_string)
                .collect(),
            days_overdue: overdue.iter().map(Day::to_string).collect(),
            bytes: patches.bytes,
            limit_bytes: patches.limit,
        });
        Ok(())
    }

    async fn look_at_mysql(&mut self, days: &[Day], report: &mut Report) -> Result<(), StoreError> {
        let mirror = match (&self.mirror, &self.table) {
            (Some(mirror), _) => mirror,
            (None, Some(table)) => {
                let Some(nok) = NokTable::new(&self.settings)? else {
                    return Ok(());
                };
                self.mirror.insert(Mirror::new(table.clone(), nok))
            }
            (None, None) => return Ok(()),
        };
        let mut lag = mirror.lag(days).await?;
        for lag in lag.iter_mut().filter(|lag| !lag.equal) {
            // What is kept is no lag; this process has not looked yet.
            mirror.survey_day(lag.day).await?;
            *lag = mirror.lag_of(lag.day).await?;
        }
        report.mirror_kept_rows = match self.day {
            Some(_) => Some(lag.iter().map(|lag| lag.kept).sum()),
            None => Some(mirror.kept_rows().await?),
        };
        report.mirror = Some(
            lag.iter()
                .map(|lag| MirrorLine {
                    day: lag.day.to_string(),
                    committed: lag.committed,
                    mirrored: lag.mirrored,
                    kept: lag.kept,
                    equal: lag.equal,
                })
                .collect(),
        );
        Ok(())
    }

    /// What is in nobody's way, and a person may want to do something about.
    fn hint(&self, report: &mut Report) {
        if let Some(mixed) = mixed(report.workers.iter().flatten()) {
            report.hints.push(mixed);
        }
        let count = |state| {
            report
                .jobs
                .as_ref()
                .and_then(|jobs| jobs.get(&state))
                .copied()
                .unwrap_or(0)
        };
        let dead = count(State::Dead);
        if dead > 0 {
            report.hints.push(Words::new(
                format!("{dead} dead letters; `scheduler jobs list --state dead` shows them"),
                format!("{dead} 个死信作业；用 `scheduler jobs list --state dead` 查看"),
            ));
        }
        if let Some(older) = &report.older_days
            && let (Some(first), Some(last)) = (older.first(), older.last())
        {
            let days = format!("--from {} --to {}", first.day, last.day);
            report.hints.push(Words::new(
                format!("older days have rows left; `scheduler backfill {days}` judges them"),
                format!("更早的日期还有未判定的数据；用 `scheduler backfill {days}` 补跑"),
            ));
        }
        if let Some(rows) = report.rows_on_no_day.filter(|rows| *rows > 0) {
            report.hints.push(Words::new(
                format!("{rows} rows have a data_date that is no day, so nothing judges them; fix it in ClickHouse"),
                format!("{rows} 行数据的 data_date 不是日期，不会被判定；请在 ClickHouse 中修正"),
            ));
        }
        if let Some(rows) = report.rows_later.filter(|rows| *rows > 0) {
            let zone = self.settings.scheduler.timezone.name();
            report.hints.push(Words::new(
                format!("{rows} rows are dated after today and wait for their day; scheduler.timezone = \"{zone}\""),
                format!("{rows} 行数据的日期晚于今天，等待到期；scheduler.timezone = \"{zone}\""),
            ));
        }
        let in_error: Vec<&DayLine> = report
            .days
            .iter()
            .flatten()
            .filter(|day| day.error > 0)
            .collect();
        if let (Some(first), Some(last)) = (in_error.first(), in_error.last()) {
            let rows: u64 = in_error.iter().map(|day| day.error).sum();
            let command = format!(
                "scheduler backfill --from {} --to {} --status error",
                first.day, last.day
            );
            report.hints.push(Words::new(
                format!("{rows} rows are in error, with the reason in alg_error; `{command}` judges them again"),
                format!("{rows} 行数据判定出错，原因见 alg_error；用 `{command}` 重新判定"),
            ));
        }
    }
}

/// For people, who compare it with their own clock.
#[expect(clippy::disallowed_methods, reason = "shown, and decides nothing")]
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
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

/// What to say where one weld could get another verdict from another worker: providers agree to 1e-5, precisions do
/// not, and models may differ in anything.
fn mixed<'a>(workers: impl Iterator<Item = &'a WorkerEntry>) -> Option<Words> {
    let living: Vec<_> = workers
        .filter(|worker| worker.silent_ms <= SILENT.as_millis() as u64)
        .collect();
    let kinds = |field: &str| -> BTreeSet<String> {
        let told = living.iter().filter_map(|worker| worker.fields.get(field));
        // which GPU of its host a worker has says nothing of its numbers
        told.map(|told| told.split(':').next().unwrap_or(told).to_owned())
            .collect()
    };
    let listed = |kinds: BTreeSet<String>| kinds.into_iter().collect::<Vec<_>>().join(", ");
    let (models, devices) = (kinds("model_version"), kinds("device"));
    if models.len() > 1 {
        let models = listed(models);
        return Some(Words::new(
            format!(
                "workers judge by different models ({models}), so that a weld's verdict depends on who judges it"
            ),
            format!("工作进程使用不同的模型（{models}），同一焊点的判定取决于由谁处理"),
        ));
    }
    (devices.len() > 1).then(|| {
        let devices = listed(devices);
        Words::new(
            format!("workers compute on different providers ({devices}), whose probabilities agree to 1e-5; model.provider names one for all"),
            format!("工作进程使用不同的计算后端（{devices}），概率相差不超过 1e-5；用 model.provider 统一指定"),
        )
    })
}

fn silent(patience: Duration) -> String {
    format!("no answer for {} s", patience.as_secs())
}

#[cfg(test)]
mod tests {
    use weldfleet_queue::WorkerInfo;

    use super::*;

    fn worker(device: &str, model_version: &str, silent_ms: u64) -> WorkerEntry {
        let fields = [("device", device), ("model_version", model_version)];
        WorkerEntry {
            id: WorkerInfo::new("host").id,
            silent_ms,
            leases: 0,
            jobs: Vec::new(),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    #[test]
    fn a_fleet_whose_verdicts_may_differ_is_said_to_be_mixed() {
        let alike = [worker("cuda:0", "m-1", 0), worker("cuda:3", "m-1", 0)];
        assert_eq!(mixed(alike.iter()), None);
        let gone = [
            worker("cpu", "m-1", 0),
            worker("openvino", "m-2", SILENT.as_millis() as u64 + 1),
        ];
        assert_eq!(mixed(gone.iter()), None);
        let providers = [worker("cpu", "m-1", 0), worker("openvino", "m-1", 0)];
        let said = mixed(providers.iter()).unwrap().en;
        assert!(
            said.contains("(cpu, openvino)") && said.contains("1e-5"),
            "{said}"
        );
        let precisions = [
            worker("openvino", "m-1", 0),
            worker("openvino+bf16", "m-1+bf16", 0),
        ];
        let said = mixed(precisions.iter()).unwrap().en;
        assert!(said.contains("different models (m-1, m-1+bf16)"), "{said}");
    }
}
