//! What ClickHouse is asked, and what need not be asked again.

use std::time::Duration;

use weldfleet_stores::{
    Day, StoreError,
    clickhouse::{DayCounts, Disk, Pace, Run, RunState, Runs, Server, SourceTable},
    mysql::Mirror,
};

use super::{Gatherer, LONGEST, SOON, store_line};
use crate::{
    clock::mirrored_from,
    status::{
        PACE_SECONDS,
        details::{Question, Subject},
        remembered::Remembered,
        report::{DayLine, DiskLine, PatchLine, QueueFacts, Report, RunLine, StoreLine},
    },
};

/// Runs that are read.
const MOST_RUNS: u32 = 1000;
/// Runs shown besides those that are open or held.
const RECENT_RUNS: u32 = 5;
/// While rows are being judged they are counted in at most one in so many of the time.
const SHARE_OF_COUNTS: u32 = 20;
/// Time between two looks at the room on ClickHouse's disks.
const DISK_EVERY: Duration = Duration::from_secs(4);
/// Time between two looks at how many patch parts the table may have.
const LIMIT_EVERY: Duration = Duration::from_secs(60);
/// A complete day may wait so long for being settled, beside twice `tables.settle_after`: the leader looks rarely and
/// is patient.
const SETTLING: Duration = Duration::from_secs(300);
/// ClickHouse's code for a question that ran past `max_execution_time`.
const TIMEOUT_EXCEEDED: i32 = 159;

/// What was read of ClickHouse for an earlier look.
#[derive(Default)]
pub struct Known {
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

impl Gatherer {
    pub(super) async fn try_clickhouse(&self) -> StoreLine {
        let server = Server::new(&self.settings.clickhouse).with_patience(SOON);
        store_line(server.ping()).await
    }

    /// What costs the same however many runs and days there are. Returns what remains to be asked.
    pub(super) async fn look_at_clickhouse(
        &mut self,
        live: &[Day],
        report: &mut Report,
    ) -> Result<Question, StoreError> {
        let (table, is_new) = self.table.get(&self.settings).await?;
        let table = table.clone();
        if is_new {
            (self.mirror, self.known) = (None, Known::default());
        }
        let looking = table.clone().for_looking(Some(LONGEST));
        let parts = looking.parts().await?;
        report.clickhouse_ms = Some(parts.now_ms);
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
        let subject = Subject {
            live: live.to_vec(),
            runs: runs.iter().map(|run| (run.run, run.state)).collect(),
            mirror: report.stores.mysql == StoreLine::Works,
        };
        Ok(self.question(table, subject, counted, runs))
    }

    /// What is dear to know.
    fn question(
        &mut self,
        table: SourceTable,
        subject: Subject,
        counted: Vec<Day>,
        runs: Vec<Run>,
    ) -> Question {
        Question {
            subject,
            mirror: self.mirror(&table),
            table: table.for_looking(Some(LONGEST)),
            queue: self.queue.clone(),
            counted,
            day: self.day,
            runs,
            mirror_from: mirrored_from(&self.settings),
            is_filtered: !self.settings.tables.filter.trim().is_empty(),
            settled_within: self.settings.tables.settle_after * 2
                + weldfleet_failpoints::settled_within().unwrap_or(SETTLING),
        }
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
        run_id: run.run.to_string(),
        from: run.from.to_string(),
        to: run.to.to_string(),
        selection: run.selection.to_string(),
        state: run.state,
        order: run.order.name(),
        days: run.days().len() as u64,
        requested_ms: run.requested_ms,
        since_ms: run.since_ms,
        by: run.by.clone(),
        note: run.note.clone(),
        changed_by: run.changed_by.clone(),
        changed_why: run.changed_why.clone(),
        ..RunLine::default()
    };
    shown.map(line).collect()
}

/// What an error of a look says of ClickHouse, which had just answered.
pub fn line_of(error: &StoreError) -> StoreLine {
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

pub fn unanswered(patience: Duration) -> String {
    format!(
        "the rows of the live days could not be counted within {} s",
        patience.as_secs()
    )
}
