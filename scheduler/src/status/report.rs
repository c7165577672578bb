//! The status model: what is known right now, from the stores alone. It is what `scheduler status --json` and
//! `GET /api/v1/status` answer.

use std::collections::BTreeMap;

use serde::Serialize;
use weldfleet_queue::{Candidate, Pause, State, WorkerEntry};
use weldfleet_stores::{Day, clickhouse::DayCounts};

use super::causes::Told;
use crate::words::{Words, in_english};

/// Everything that is known; what could not be reached is `null` and in `problems`.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// When it was gathered, ms since 1970 by this machine's clock; for people.
    pub at_ms: i64,
    /// Why nothing moves, or what is in the way; empty while all goes as it should.
    pub causes: Vec<Told>,
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
    /// What could not be reached, and why.
    pub problems: Vec<String>,
    /// What a person may want to do.
    #[serde(serialize_with = "in_english")]
    pub hints: Vec<Words>,
    /// Settings that it is measured by.
    #[serde(skip)]
    pub limits: Limits,
}

/// Whether the stores work, as this process sees it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stores {
    pub redis: StoreLine,
    pub clickhouse: StoreLine,
    /// `off` where `mysql.enabled` is false.
    pub mysql: StoreLine,
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
    Away(String),
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
    /// Pending jobs that a worker must run alone.
    pub isolated: u64,
    /// When the first delayed job is due, ms since 1970.
    pub next_delayed_ms: Option<u64>,
    /// Age of the oldest pending job of the most urgent priority, ms.
    pub oldest_pending_ms: Option<u64>,
    /// That priority.
    pub oldest_pending_priority: Option<u8>,
    /// Age of the delayed job that is due first, ms.
    pub oldest_delayed_ms: Option<u64>,
    /// Leases that ran out and are not taken back yet.
    pub expired_leases: u64,
    /// Until when they are kept, since Redis or the whole fleet was away, ms since 1970.
    pub kept_until_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct DayLine {
    pub day: String,
    /// Whether it is sliced without a backfill.
    pub live: bool,
    pub total: u64,
    pub left: u64,
    pub ok: u64,
    pub nok: u64,
    pub invalid: u64,
    pub poison: u64,
    pub error: u64,
}

impl DayLine {
    pub fn of(counts: &DayCounts, live: &[Day]) -> Self {
        Self {
            day: counts.day.to_string(),
            live: live.contains(&counts.day),
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

#[derive(Debug, Clone, Default, Serialize)]
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
    /// Its days, and those that have such rows.
    pub days: u64,
    pub days_left: Option<u64>,
    /// When it was asked for, ms since 1970 by ClickHouse's clock.
    pub requested_ms: i64,
    /// Who asked for it, and what for.
    pub by: String,
    pub note: String,
    /// Who held, cancelled or resumed it last, and why.
    pub changed_by: String,
    pub changed_why: String,
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

/// A disk.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DiskLine {
    pub name: String,
    pub free_bytes: u64,
}

/// Settings and circumstances that decide what is out of the ordinary.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    pub batch_size: u64,
    pub max_outstanding: u64,
    pub max_wait_ms: u64,
    pub poll_interval_ms: u64,
    /// A worker that said nothing for so long is taken for dead.
    pub silent_ms: u64,
    /// Only one day was asked for, so that days and runs are not all there are.
    pub one_day: bool,
}

#[cfg(test)]
mod tests {
    use weldfleet_queue::WorkerInfo;

    use super::*;

    #[test]
    fn a_gpu_is_shown_where_its_driver_tells() {
        let mut worker = WorkerEntry {
            id: WorkerInfo::new("host").id,
            silent_ms: 0,
            leases: 0,
            jobs: Vec::new(),
            fields: BTreeMap::new(),
        };
        assert_eq!(gpu(&worker), None);
        let told = [
            ("gpu_busy_percent", "71"),
            ("gpu_memory_used_bytes", "12884901888"),
            ("gpu_memory_bytes", "85899345920"),
        ];
        let fields = told.map(|(name, text)| (name.to_owned(), text.to_owned()));
        worker.fields.extend(fields);
        assert_eq!(gpu(&worker).as_deref(), Some("71 %, 12.0 / 80 GiB"));
    }
}
