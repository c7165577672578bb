//! What is known right now.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use weldfleet_queue::{Pause, Queue, QueueError, State, WorkerEntry};
use weldfleet_service::Failure;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day, StoreError,
    clickhouse::{DayCounts, Run, RunState, Runs, SourceTable},
    mysql::{Mirror, NokTable},
};

use super::draw::SILENT_MS;
use crate::{args::today, dependencies};

/// Window of the rate.
const PACE_SECONDS: u32 = 60;
/// Runs shown besides the open ones.
const RECENT_RUNS: u32 = 5;
/// How long one service is waited for, so that the rest can still be shown.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything `status` shows; what could not be reached is `null` and in `problems`.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The day that is going on in the plant.
    pub today: String,
    /// Rows by day and verdict.
    pub days: Option<Vec<DayLine>>,
    /// Rows of these days that `tables.filter` does not select.
    pub not_selected: Option<u64>,
    /// Days older than the lookback that have rows left; only a backfill judges them.
    pub older_days: Option<Vec<OlderDay>>,
    /// Rows left that are dated after today.
    pub rows_later: Option<u64>,
    /// Rows left whose `data_date` is no day.
    pub rows_on_no_day: Option<u64>,
    /// Runs that are open or held and the latest that ended, newest first.
    pub runs: Option<Vec<RunLine>>,
    /// Rows judged per second in the last minute.
    pub rows_per_second: Option<f64>,
    /// Seconds until nothing is left at this pace.
    pub eta_seconds: Option<f64>,
    pub jobs: Option<BTreeMap<State, u64>>,
    /// Workers, silent ones last.
    pub workers: Option<Vec<WorkerEntry>>,
    /// Id of the scheduler that leads.
    pub leader: Option<String>,
    /// Why nothing is claimed.
    pub paused: Option<Pause>,
    /// How far MySQL is behind; `null` where it is off.
    pub mirror: Option<Vec<MirrorLine>>,
    /// Verdicts that are in patch parts still.
    pub patches: Option<PatchLine>,
    /// NOK rows of MySQL that stay although the source has no verdict for their weld.
    pub mirror_kept_rows: Option<u64>,
    /// What could not be reached, and why.
    pub problems: Vec<String>,
    /// What is missing for work to go on.
    pub hints: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DayLine {
    pub day: String,
    pub total: u64,
    pub left: u64,
    pub ok: u64,
    pub nok: u64,
    pub invalid: u64,
    pub poison: u64,
    pub error: u64,
}

impl From<&DayCounts> for DayLine {
    fn from(counts: &DayCounts) -> Self {
        Self {
            day: counts.day.to_string(),
            total: counts.total,
            left: counts.left,
            ok: counts.ok,
            nok: counts.nok,
            invalid: counts.invalid,
            poison: counts.poison,
            error: counts.error,
        }
    }
}

/// An old day with rows left.
#[derive(Debug, Clone, Serialize)]
pub struct OlderDay {
    pub day: String,
    pub left: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct RunLine {
    pub run: u64,
    pub from: String,
    pub to: String,
    pub selection: String,
    pub state: &'static str,
    /// Which day first.
    pub order: &'static str,
    /// Rows it still wants; only of runs that are open or held.
    pub left: Option<u64>,
    /// Who asked for it, and what for.
    pub by: String,
    pub note: String,
    /// Who held, cancelled or resumed it last, and why.
    pub changed_by: String,
    pub changed_why: String,
}

/// The mirror of one day.
#[derive(Debug, Clone, Serialize)]
pub struct MirrorLine {
    pub day: String,
    pub committed: u64,
    pub mirrored: u64,
    /// Rows that stay although the source has no verdict for their weld.
    pub kept: u64,
    pub equal: bool,
}

/// What is not settled.
#[derive(Debug, Clone, Serialize)]
pub struct PatchLine {
    /// Days before today that a backup or an archive would take without their verdicts.
    pub days_unsettled: Vec<String>,
    /// Bytes of patch parts, uncompressed.
    pub bytes: u64,
    /// Bytes from which the server refuses every UPDATE of the table; 0: it has no limit.
    pub limit_bytes: u64,
}

/// Keeps its connections between looks.
pub struct Gatherer {
    settings: Arc<Settings>,
    day: Option<Day>,
    queue: Queue,
    table: Option<SourceTable>,
    mirror: Option<Mirror>,
}

impl Gatherer {
    pub fn new(settings: Arc<Settings>, day: Option<Day>) -> Result<Self, Failure> {
        Ok(Self {
            queue: dependencies::queue(&settings)?,
            settings,
            day,
            table: None,
            mirror: None,
        })
    }

    pub async fn look(&mut self) -> Result<Report, Failure> {
        let today = today(&self.settings.scheduler.timezone)?;
        let lookback = i32::from(self.settings.scheduler.lookback_days);
        let live: Vec<Day> = (0..=lookback)
            .filter_map(|days| today.offset(-days))
            .collect();
        let mut report = Report {
            today: today.to_string(),
            ..Report::default()
        };
        let problem = |report: &mut Report, dependency: &str, text: String| {
            // An error of a store begins with its name already.
            let text = if text.starts_with(dependency) {
                text
            } else {
                format!("{dependency}: {text}")
            };
            report.problems.push(text);
        };
        self.learn_owner().await;
        let mut redis_works = false;
        match tokio::time::timeout(PATIENCE, self.look_at_redis(&mut report)).await {
            Ok(Ok(())) => redis_works = true,
            Ok(Err(error @ QueueError::Foreign { .. })) => {
                return Err(weldfleet_fleet::queue_failure(error));
            }
            Ok(Err(error)) => problem(
                &mut report,
                "redis",
                format!("redis.url: {}", one_line(&error)),
            ),
            Err(_) => problem(&mut report, "redis", silent()),
        }
        let mut days = Vec::new();
        match tokio::time::timeout(
            PATIENCE * 2,
            self.look_at_clickhouse(&live, &mut report, &mut days),
        )
        .await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => problem(&mut report, "clickhouse", error.chain()),
            Err(_) => problem(&mut report, "clickhouse", silent()),
        }
        if self.settings.mysql.enabled && self.table.is_some() {
            match tokio::time::timeout(PATIENCE, self.look_at_mysql(&days, &mut report)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => report
                    .hints
                    .push(format!("the mirror lags: {}", error.chain())),
                Err(_) => report
                    .hints
                    .push(format!("the mirror lags: mysql: {}", silent())),
            }
        }
        self.hint(&mut report, redis_works);
        Ok(report)
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
        report.jobs = Some(stats.states.clone());
        report.paused.clone_from(&stats.paused);
        let mut workers = self.queue.workers().await?;
        workers.sort_by(|a, b| a.silent_ms.cmp(&b.silent_ms).then_with(|| a.id.cmp(&b.id)));
        report.workers = Some(workers);
        report.leader = self.queue.leader().await?.map(|leader| leader.id);
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
        let open: Vec<&Run> = runs
            .iter()
            .filter(|run| run.state == RunState::Open)
            .collect();
        let mut days: Vec<Day> = live.to_vec();
        days.extend(open.iter().flat_map(|run| run.from.to(run.to)));
        if let Some(day) = self.day {
            days = vec![day];
        }
        days.sort_unstable();
        days.dedup();

        let counts = table.day_counts(&days).await?;
        report.days = Some(counts.iter().map(DayLine::from).collect());
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
        let mut lines = Vec::new();
        let mut ended = 0;
        let mut left_in_runs = 0;
        for run in &runs {
            if self.day.is_some_and(|day| day < run.from || day > run.to) {
                continue;
            }
            let goes_on = matches!(run.state, RunState::Open | RunState::Held);
            ended += u32::from(!goes_on);
            if !goes_on && ended > RECENT_RUNS {
                continue;
            }
            let mut left = None;
            if goes_on {
                let wanted = table
                    .wanted_rows(run.run, &run.days(), &run.selection)
                    .await?;
                let rows: u64 = wanted.iter().map(|(_, rows)| rows).sum();
                if run.state == RunState::Open {
                    left_in_runs += rows;
                }
                left = Some(rows);
            }
            lines.push(RunLine {
                run: run.run,
                from: run.from.to_string(),
                to: run.to.to_string(),
                selection: run.selection.to_string(),
                state: run.state.name(),
                order: run.order.name(),
                left,
                by: run.by.clone(),
                note: run.note.clone(),
                changed_by: run.changed_by.clone(),
                changed_why: run.changed_why.clone(),
            });
        }
        report.runs = Some(lines);

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
        *seen = counts.iter().map(|counts| counts.day).collect();

        let patches = table.patches().await?;
        let over = |day: &Day| live.first().is_none_or(|today| day < today);
        report.patches = Some(PatchLine {
            days_unsettled: patches
                .days()
                .into_iter()
                .filter(over)
                .map(|day| day.to_string())
                .collect(),
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

    fn hint(&self, report: &mut Report, redis_works: bool) {
        if redis_works && report.leader.is_none() {
            report
                .hints
                .push("no scheduler leads; `scheduler run` starts one".to_owned());
        }
        if redis_works && report.workers.as_ref().is_some_and(Vec::is_empty) {
            report
                .hints
                .push("no worker is running; `worker run` starts one".to_owned());
        }
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
            report.hints.push(format!(
                "{dead} dead letters; `scheduler jobs list --state dead` shows them"
            ));
        }
        if let Some(older) = &report.older_days
            && let (Some(first), Some(last)) = (older.first(), older.last())
        {
            report.hints.push(format!(
                "older days have rows left; `scheduler backfill --from {} --to {}` judges them",
                first.day, last.day
            ));
        }
        if let Some(rows) = report.rows_on_no_day.filter(|rows| *rows > 0) {
            report.hints.push(format!(
                "{rows} rows have a data_date that is no day, so nothing judges them; fix it in ClickHouse"
            ));
        }
        if let Some(rows) = report.rows_later.filter(|rows| *rows > 0) {
            report.hints.push(format!(
                "{rows} rows are dated after today and wait for their day; scheduler.timezone = \"{}\"",
                self.settings.scheduler.timezone.name()
            ));
        }
        if let Some(patches) = &report.patches
            && patches.limit_bytes > 0
            && patches.bytes >= patches.limit_bytes / 2
        {
            report.hints.push(
                "patch parts take more than half of what the server allows before it refuses every UPDATE; \
                 `scheduler settle --from D --to D --wait` applies those of finished days"
                    .to_owned(),
            );
        }
        let in_error: Vec<&DayLine> = report
            .days
            .iter()
            .flatten()
            .filter(|day| day.error > 0)
            .collect();
        if let (Some(first), Some(last)) = (in_error.first(), in_error.last()) {
            let rows: u64 = in_error.iter().map(|day| day.error).sum();
            report.hints.push(format!(
                "{rows} rows are in error, with the reason in alg_error; \
                 `scheduler backfill --from {} --to {} --status error` judges them again",
                first.day, last.day
            ));
        }
    }
}

/// What to say where one weld could get another verdict from another worker: providers agree to 1e-5, precisions do not, and
/// models may differ in anything.
fn mixed<'a>(workers: impl Iterator<Item = &'a WorkerEntry>) -> Option<String> {
    let living: Vec<_> = workers
        .filter(|worker| worker.silent_ms <= SILENT_MS)
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
        return Some(format!(
            "workers judge by different models ({}), so that a weld's verdict depends on who judges it",
            listed(models)
        ));
    }
    (devices.len() > 1).then(|| {
        format!(
            "workers compute on different providers ({}), whose probabilities agree to 1e-5; model.provider names one for all",
            listed(devices)
        )
    })
}

fn one_line(error: &QueueError) -> String {
    weldfleet_service::exit::causes(error)
}

fn silent() -> String {
    format!("no answer for {} s", PATIENCE.as_secs())
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
            worker("openvino", "m-2", SILENT_MS + 1),
        ];
        assert_eq!(mixed(gone.iter()), None);
        let providers = [worker("cpu", "m-1", 0), worker("openvino", "m-1", 0)];
        let said = mixed(providers.iter()).unwrap();
        assert!(
            said.contains("(cpu, openvino)") && said.contains("1e-5"),
            "{said}"
        );
        let precisions = [
            worker("openvino", "m-1", 0),
            worker("openvino+bf16", "m-1+bf16", 0),
        ];
        let said = mixed(precisions.iter()).unwrap();
        assert!(said.contains("different models (m-1, m-1+bf16)"), "{said}");
    }
}
