//! The status model: what is known right now, from the stores alone. It is what `scheduler status --json` and
//! `GET /api/v1/status` answer.

use std::{collections::BTreeMap, time::Duration};

use serde::{Serialize, Serializer};
use weldfleet_queue::{Candidate, Pause, State, WorkerEntry};
use weldfleet_stores::{
    Day,
    clickhouse::{DayCounts, OutcomeCounts, RunState},
};
use weldfleet_words::Words;

/// Details that are older than this are said to be.
const OLD: Duration = Duration::from_secs(5);

/// Everything that is known; what could not be reached is `null` and in `problems`.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// When it was gathered, ms since 1970 by this machine's clock; for people.
    pub at_ms: i64,
    /// The same by ClickHouse's clock, when it was asked.
    #[serde(skip)]
    pub clickhouse_ms: Option<i64>,
    /// When the rows of runs and of older days, what is not settled and the mirror were read; more rarely than the
    /// rest.
    pub details_at_ms: Option<i64>,
    /// Why nothing moves, or what is in the way; empty while all goes as it should.
    pub causes: Vec<CauseLine>,
    /// The day that is going on in the plant.
    pub today: String,
    /// Whether each store works.
    pub stores: Stores,
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
    /// What the jobs wait for.
    pub queue: Option<QueueFacts>,
    /// Workers, silent ones last.
    pub workers: Option<Vec<WorkerEntry>>,
    /// Id of the scheduler that leads.
    pub leader: Option<String>,
    /// What it says that it waits for, `component: reason` each.
    #[serde(skip)]
    pub leader_says: Vec<String>,
    /// Schedulers that lead or wait to, and where they are reached.
    #[serde(skip)]
    pub schedulers: Vec<Candidate>,
    /// Why nothing is claimed.
    pub paused: Option<Pause>,
    /// How far MySQL is behind; `null` where it is off.
    pub mirror: Option<Vec<MirrorLine>>,
    /// Verdicts that are in patch parts still.
    pub patches: Option<PatchLine>,
    /// The disk of ClickHouse with the most room, where it writes next.
    pub disk: Option<DiskLine>,
    /// NOK rows of MySQL that stay although the source has no verdict for their weld.
    pub mirror_kept_rows: Option<u64>,
    /// NOK rows that MySQL lacks on older days, beside those in `mirror`.
    pub mirror_older: Option<OlderMirror>,
    /// Runs whose jobs are in the queue, and that `weld_runs` does not know.
    #[serde(skip)]
    pub unknown_runs: Vec<u64>,
    /// Redis lost a pause, and nobody has paused or resumed since.
    #[serde(skip)]
    pub pause_lost: bool,
    /// What could not be reached, and why.
    pub problems: Vec<String>,
    /// What a person may want to do.
    pub hints: Vec<Hint>,
    /// Settings that it is measured by.
    #[serde(skip)]
    pub thresholds: Thresholds,
}

impl Report {
    /// Workers that were heard of lately.
    pub fn living_workers(&self) -> impl Iterator<Item = &WorkerEntry> {
        let workers = self.workers.iter().flatten();
        workers.filter(|worker| worker.silent_ms <= self.thresholds.silent_ms)
    }

    /// How many those are; `None` if Redis was not read.
    pub fn living_count(&self) -> Option<usize> {
        self.workers.as_ref()?;
        Some(self.living_workers().count())
    }

    /// Rows of the live days without a verdict; `None` if they could not be counted.
    pub fn live_rows_left(&self) -> Option<u64> {
        let live = self.days.as_ref()?.iter().filter(|day| day.live);
        Some(live.map(|day| day.left).sum())
    }

    /// Notes what could not be reached. An error of a store begins with its name already.
    pub fn note_problem(&mut self, dependency: &str, why: &str) {
        self.problems.push(if why.starts_with(dependency) {
            why.to_owned()
        } else {
            format!("{dependency}: {why}")
        });
    }

    /// Problems that no cause tells.
    pub fn further_problems(&self) -> impl Iterator<Item = &String> {
        let told = |problem: &str| {
            let mut causes = self.causes.iter();
            causes.any(|cause| {
                let store = cause.what.en.split(' ').next().unwrap_or_default();
                cause.code.starts_with("store_") && problem.starts_with(store)
            })
        };
        let problems = self.problems.iter();
        problems.filter(move |problem| !told(problem))
    }

    pub fn outlook(&self) -> Outlook {
        let mut alarming = self.causes.iter().filter(|cause| cause.alarming).peekable();
        let needs_a_person = alarming.peek().is_some()
            || !self.problems.is_empty()
            || self.hints.iter().any(|hint| hint.needs_a_person);
        if alarming.any(|cause| cause.stops) {
            Outlook::StandsStill
        } else if needs_a_person {
            Outlook::NeedsAttention
        } else {
            Outlook::Calm
        }
    }

    /// How much older than the rest that is what is dear to know; `None` if about as old.
    pub fn details_age(&self) -> Option<Duration> {
        let age = self.at_ms - self.details_at_ms?;
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        (age > OLD).then_some(age)
    }
}

/// How it goes, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing is judged until somebody does something.
    StandsStill,
    /// It goes on, and somebody should do something.
    NeedsAttention,
    Calm,
}

/// What a person may want to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// For machines; does not change.
    pub code: &'static str,
    pub words: Words,
    /// Somebody has to: it does not end by itself.
    pub needs_a_person: bool,
}

/// For programs, which know the English sentences.
impl Serialize for Hint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.words)
    }
}

/// Whether the stores work, as this process sees it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stores {
    pub redis: StoreLine,
    pub clickhouse: StoreLine,
    /// `off` where `mysql.enabled` is false.
    pub mysql: StoreLine,
    /// What Redis refuses it may take later: it is full, or a replica for now.
    #[serde(skip)]
    pub redis_refuses_for_now: bool,
}

impl Stores {
    /// How each is, without a reason: those are for whoever may read them.
    pub fn states(&self) -> BTreeMap<&'static str, &'static str> {
        let all = [
            ("clickhouse", &self.clickhouse),
            ("mysql", &self.mysql),
            ("redis", &self.redis),
        ];
        all.map(|(store, line)| (store, line.state())).into()
    }

    /// One that judging needs could not be reached, did not answer in time, or may do later what it refuses now.
    pub fn any_away(&self) -> bool {
        let stores = [&self.redis, &self.clickhouse];
        let is_away = |store: &&StoreLine| matches!(store, StoreLine::Away(_) | StoreLine::Slow(_));
        self.redis_refuses_for_now || stores.iter().any(is_away)
    }
}

/// Whether one store works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "why", rename_all = "lowercase")]
pub enum StoreLine {
    /// It was not asked.
    #[default]
    Off,
    Works,
    /// It answers, and refuses writes.
    Refuses(String),
    /// It answers small questions, and not the others in time.
    Slow(String),
    Away(String),
}

impl StoreLine {
    fn state(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Works => "works",
            Self::Refuses(_) => "refuses",
            Self::Slow(_) => "slow",
            Self::Away(_) => "away",
        }
    }

    /// Why it does not work; empty if it does.
    pub fn why(&self) -> &str {
        match self {
            Self::Off | Self::Works => "",
            Self::Refuses(why) | Self::Slow(why) | Self::Away(why) => why,
        }
    }
}

/// What the jobs wait for, by Redis's clock.
#[derive(Debug, Clone, Default, Serialize)]
pub struct QueueFacts {
    /// Redis time, ms since 1970.
    pub now_ms: u64,
    /// Since something was last claimed or enqueued, ms.
    pub still_ms: u64,
    /// Outstanding jobs by priority, dead ones not counted.
    pub outstanding: BTreeMap<u8, u64>,
    /// Pending jobs that a worker must run isolated.
    pub isolated: u64,
    /// Rows of the dead jobs; counted while nothing else is in the queue.
    #[serde(skip)]
    pub dead_rows: u64,
    /// When the first delayed job is due, ms since 1970.
    pub next_delayed_ms: Option<u64>,
    /// Age of the oldest pending job of the most urgent priority, ms.
    pub oldest_pending_ms: Option<u64>,
    pub oldest_pending_priority: Option<u8>,
    /// Age of the delayed job that is due first, ms.
    pub oldest_delayed_ms: Option<u64>,
    /// Leases that ran out and are not taken back yet.
    pub expired_leases: u64,
    /// Until when they are kept, since Redis or the whole fleet was away, ms since 1970.
    pub kept_until_ms: Option<u64>,
}

impl QueueFacts {
    /// Jobs are waiting or in hand.
    pub fn has_work(&self) -> bool {
        self.outstanding.values().any(|jobs| *jobs > 0)
    }
}

/// A cause as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CauseLine {
    /// For machines; does not change.
    pub code: &'static str,
    /// Whether somebody should do something.
    pub alarming: bool,
    /// Whether nothing is judged while it lasts.
    #[serde(skip)]
    pub stops: bool,
    pub what: Words,
    /// The same for whoever asks: without what people are called and have written.
    #[serde(skip)]
    pub nameless: Words,
    pub remedy: Words,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct DayLine {
    pub day: String,
    /// Whether it is sliced without a backfill.
    pub live: bool,
    pub total: u64,
    pub left: u64,
    #[serde(flatten)]
    pub outcomes: OutcomeCounts,
}

impl DayLine {
    pub fn of(counts: &DayCounts, live: &[Day]) -> Self {
        Self {
            day: counts.day.to_string(),
            live: live.contains(&counts.day),
            total: counts.total,
            left: counts.left,
            outcomes: counts.outcomes,
        }
    }
}

/// An old day with rows left.
#[derive(Debug, Clone, Serialize)]
pub struct OlderDay {
    pub day: String,
    pub left: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct RunLine {
    pub run: u64,
    /// The same as text: readers of JSON that know no whole numbers above 2^53 round the other.
    pub run_id: String,
    pub from: String,
    pub to: String,
    pub selection: String,
    #[serde(serialize_with = "by_name")]
    pub state: RunState,
    /// Which day first.
    pub order: &'static str,
    /// Rows it still wants; only of runs that are open or held.
    pub left: Option<u64>,
    /// Its days, and those that have such rows.
    pub days: u64,
    pub days_left: Option<u64>,
    /// Rows that it is to judge again on days that have left the table; it waits for them.
    pub gone: u64,
    /// When it was asked for, ms since 1970 by ClickHouse's clock.
    pub requested_ms: i64,
    /// Since when it is in its state, the same way.
    pub since_ms: i64,
    /// Who asked for it, and what for.
    pub by: String,
    pub note: String,
    /// Who held, cancelled or resumed it last, and why.
    pub changed_by: String,
    pub changed_why: String,
}

impl RunLine {
    pub fn is_open(&self) -> bool {
        self.state == RunState::Open
    }
}

fn by_name<S: Serializer>(state: &RunState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

/// How busy a worker's GPU is, and how full; `None` where no driver tells.
pub fn gpu(worker: &WorkerEntry) -> Option<String> {
    let number = |name: &str| worker.fields.get(name)?.parse::<u64>().ok();
    let busy = number("gpu_busy_percent")?;
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let (used, all) = (
        number("gpu_memory_used_bytes")?,
        number("gpu_memory_bytes")?,
    );
    Some(format!("{busy} %, {:.1} / {:.0} GiB", gib(used), gib(all)))
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
    /// NOK rows that MySQL lacks and that were committed when it was compared before.
    #[serde(skip)]
    pub late: u64,
}

/// The mirror of days that are not looked at often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OlderMirror {
    /// NOK rows that MySQL lacks, and all that there are on these days.
    pub missing: u64,
    pub of: u64,
    /// Days that lack some.
    pub days: u64,
}

/// What is not settled.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PatchLine {
    /// Days before today that a backup or an archive would take without their verdicts.
    pub days_unsettled: Vec<String>,
    /// Those of them that nothing keeps from being settled, and that are not, for long.
    pub days_overdue: Vec<String>,
    /// Bytes of patch parts, uncompressed.
    pub bytes: u64,
    /// Bytes from which the server refuses every UPDATE of the table; 0: it has no limit.
    pub limit_bytes: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct DiskLine {
    pub name: String,
    pub free_bytes: u64,
}

/// Settings and circumstances that decide what is out of the ordinary.
#[derive(Debug, Clone, Default)]
pub struct Thresholds {
    pub batch_size: u64,
    pub max_outstanding: u64,
    pub max_wait_ms: u64,
    pub poll_interval_ms: u64,
    /// A worker that said nothing for so long is taken for dead.
    pub silent_ms: u64,
    /// After so long it is off the list.
    pub listed_ms: u64,
    /// Only one day was asked for, so that days and runs are not all there are.
    pub one_day: bool,
    /// So many days after today are live.
    pub lookahead_days: u16,
}

#[cfg(test)]
mod tests {
    use super::{
        super::{causes::Cause, worker_entry},
        *,
    };

    #[test]
    fn a_fleet_that_goes_on_may_need_somebody() {
        let with = |cause: Option<Cause>, change: &dyn Fn(&mut Report)| {
            let mut report = Report {
                causes: cause.iter().map(Cause::line).collect(),
                ..Report::default()
            };
            change(&mut report);
            report.outlook()
        };
        let nothing = |_: &mut Report| {};
        assert_eq!(with(None, &nothing), Outlook::Calm);
        assert_eq!(with(Some(Cause::NothingToDo), &nothing), Outlook::Calm);
        assert_eq!(with(Some(Cause::NoLeader), &nothing), Outlook::StandsStill);
        let dead = Cause::OnlyDead { jobs: 1 };
        assert_eq!(with(Some(dead), &nothing), Outlook::NeedsAttention);
        let why = || "refused".to_owned();
        let away = Cause::MirrorAway { why: why() };
        assert_eq!(with(Some(away), &nothing), Outlook::NeedsAttention);
        let slow = |report: &mut Report| report.problems.push(why());
        assert_eq!(with(None, &slow), Outlook::NeedsAttention);
        let hinted = |needs_a_person| {
            with(None, &move |report| {
                let words = Words::new("w", "w");
                report.hints = vec![Hint {
                    code: "w",
                    words,
                    needs_a_person,
                }];
            })
        };
        assert_eq!(hinted(true), Outlook::NeedsAttention);
        assert_eq!(hinted(false), Outlook::Calm);
    }

    #[test]
    fn a_problem_that_a_cause_tells_is_told_once() {
        let store = "clickhouse";
        let cause = Cause::StoreSlow {
            store,
            why: "10 s".to_owned(),
        };
        let report = Report {
            causes: vec![cause.line()],
            problems: vec!["clickhouse: 10 s".to_owned(), "mysql: slow".to_owned()],
            ..Report::default()
        };
        let further: Vec<&String> = report.further_problems().collect();
        assert_eq!(further, ["mysql: slow"]);
    }

    #[test]
    fn a_gpu_is_shown_where_its_driver_tells() {
        assert_eq!(gpu(&worker_entry(&[])), None);
        let worker = worker_entry(&[
            ("gpu_busy_percent", "71"),
            ("gpu_memory_used_bytes", "12884901888"),
            ("gpu_memory_bytes", "85899345920"),
        ]);
        assert_eq!(gpu(&worker).as_deref(), Some("71 %, 12.0 / 80 GiB"));
    }
}
