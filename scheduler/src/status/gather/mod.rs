//! Filling the status model from the stores: each second what is cheap to know, `details` as rarely as they are dear.
//!
//! - [`redis`], [`clickhouse`]: what each is asked; [`details`]: adding what is dear, as it was last read.

mod clickhouse;
mod details;
mod redis;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use weldfleet_fleet::SettingsDigest;
use weldfleet_queue::Queue;
use weldfleet_service::Failure;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day, StoreError,
    mysql::{Mirror, NokTable},
};

use super::{
    causes::{self, Cause},
    details::Details,
    hints::hints,
    report::{Report, StoreLine, Thresholds},
};
use crate::{
    clock::{live_days, now_ms, today},
    dependencies::{self, WatchedTable},
};
use clickhouse::{Known, line_of, unanswered};

/// A store that does not answer the smallest question for so long is away: told of within five seconds, with the second
/// for which a look is good.
const SOON: Duration = Duration::from_secs(2);
/// How long ClickHouse may take for a look.
pub const LONGEST: Duration = Duration::from_secs(10);
/// Workers that said nothing for this long are shown as silent; where there are many, each speaks more rarely.
const SILENT: Duration = Duration::from_secs(15);

/// Keeps its connections between looks, and what is dear to know.
pub struct Gatherer {
    settings: Arc<Settings>,
    /// What workers must have alike.
    settings_digest: SettingsDigest,
    day: Option<Day>,
    queue: Queue,
    table: WatchedTable,
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
            settings_digest: SettingsDigest::of(&settings),
            settings,
            day,
            table: WatchedTable::default(),
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
        let live = live_days(&self.settings.scheduler, today);
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
        self.try_redis(&mut report).await;
        let mut took = began.elapsed();
        let listened = self.listen(&mut report).await;
        if let StoreLine::Away(why) = report.stores.clickhouse.clone() {
            report.note_problem("clickhouse", &why);
            // It may come back with other settings, or other tables.
            self.table.forget();
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
                self.table.forget();
                report.note_problem("clickhouse", line.why());
                report.stores.clickhouse = line;
                // It answers the next look or it does not; it is no slower for being asked.
                took = Duration::ZERO;
            }
        }
        report.hints = hints(&report, &self.settings.scheduler, &self.settings_digest);
        let zone = self.settings.scheduler.timezone.rules();
        report.causes = causes::causes(&report, zone)
            .iter()
            .map(Cause::line)
            .collect();
        Ok(Look { report, took })
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
            lookahead_days: scheduler.lookahead_days,
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
        store_line(trying).await
    }

    /// Whose the queue is; asked for until ClickHouse has answered.
    async fn learn_owner(&mut self) {
        if self.queue.options().owner.is_none()
            && let Ok(Ok(queue)) = weldfleet_fleet::owned(self.queue.clone(), &self.settings).await
        {
            self.queue = queue;
        }
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
}

/// What the newest open run wants is wanted since it was requested or resumed.
fn note_runs(report: &mut Report) {
    let runs = report.runs.iter().flatten();
    let open = runs.filter(|run| run.is_open());
    let newest = open.map(|run| run.requested_ms.max(run.since_ms)).max();
    if let (Some(since), Some(queue)) = (newest, &mut report.queue) {
        // By the clock that said since when.
        let now_ms = report.clickhouse_ms.unwrap_or(report.at_ms);
        let ms = u64::try_from(now_ms - since).unwrap_or(0);
        queue.still_ms = queue.still_ms.min(ms);
    }
}

/// How a store takes a small question.
async fn store_line(trying: impl Future<Output = Result<(), StoreError>>) -> StoreLine {
    match tokio::time::timeout(SOON, trying).await {
        Ok(Ok(())) => StoreLine::Works,
        Ok(Err(error)) if error.is_outage() => StoreLine::Away(error.chain()),
        Ok(Err(error)) => StoreLine::Refuses(error.chain_and_remedy()),
        Err(_) => StoreLine::Away(silent(SOON)),
    }
}

fn silent(patience: Duration) -> String {
    format!("no answer for {} s", patience.as_secs())
}

#[cfg(test)]
mod tests {
    use weldfleet_stores::clickhouse::RunState;

    use super::*;
    use crate::status::report::{QueueFacts, RunLine};

    #[test]
    fn a_backfill_of_an_idle_fleet_has_waited_since_it_was_requested() {
        let still_ms = |state, requested_ms, since_ms| {
            let mut report = Report {
                // This host's clock is no measure of ClickHouse's.
                at_ms: 7,
                clickhouse_ms: Some(100_000),
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
        assert_eq!(still_ms(RunState::Open, 98_000, 98_000), 2_000);
        assert_eq!(still_ms(RunState::Open, 1_000, 70_000), 30_000, "resumed");
        assert_eq!(still_ms(RunState::Held, 98_000, 98_000), 90_000);
        assert_eq!(
            still_ms(RunState::Open, 100_500, 0),
            0,
            "by a clock that is ahead"
        );
    }
}
