//! A day's worth of write-backs, one after the other on one day: does anything grow?
//!
//! Each is what a worker does with a range: read its rows, store their results, one guarded UPDATE. They are small and
//! ungrouped, since what could grow grows by their number. Rows keep coming in, so that a look at the day always
//! finds the same number of them without a verdict.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use weldfleet_stores::{
    Day, Key, KeyOrder, LIVE_RUN, Range, RecordId, Selection,
    clickhouse::{Attempt, EncodedResults, SourceTable},
};
use weldfleet_testkit::Service;
use weldfleet_weld::{DecidedBy, Outcome, Status, Verdict};

use crate::{
    numbers::{Section, Series},
    plant::Plant,
    proc::{self, Meter},
    slicing::{self, LEFT},
};

/// Stretches of the course that are compared.
const TENTHS: u64 = 10;
/// Ranges on their way at once, as in a worker.
const LANES: u64 = 3;
/// Behind every id and token that the day was made with.
const FIRST: u64 = 1 << 40;

/// `writes` write-backs of `rows` rows each on the day that [`slicing`] made.
pub async fn run(
    plant: &Plant,
    day: Day,
    writes: u64,
    rows: u64,
    section: &mut Section,
) -> Result<()> {
    let table = SourceTable::inspect(&plant.settings()?).await?;
    look(plant, day, section).await?;
    let each = writes.div_ceil(TENTHS);
    for tenth in 0..TENTHS {
        let first = FIRST + tenth * each * rows;
        let ticks = insert(plant, day, first, each * rows).await?;
        let server = Meter::start(plant.pid(Service::ClickHouse))?;
        let course = Arc::new(Course {
            table: table.clone(),
            day,
            first,
            ticks,
            rows,
            writes: each,
            next: AtomicU64::new(0),
        });
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            lanes.spawn(course.clone().lane());
        }
        let mut times = Times::default();
        while let Some(lane) = lanes.join_next().await {
            times.add(lane??);
        }
        let ms = 1e3 / each as f64;
        section.push("write-backs/s", each as f64 / server.seconds());
        section.push("ClickHouse CPU, ms a write-back", server.cpu()? * ms);
        section.push("read of a range p50, ms", times.reads.quantile(0.5));
        section.push("read of a range p99, ms", times.reads.quantile(0.99));
        section.push("insert of results p50, ms", times.inserts.quantile(0.5));
        section.push("UPDATE p50, ms", times.updates.quantile(0.5));
        section.push("UPDATE p99, ms", times.updates.quantile(0.99));
        look(plant, day, section).await?;
        // The course takes many minutes; whoever waits sees how it goes, whoever stops it has seen something.
        println!(
            "  {} write-backs: read {:.1}, insert {:.1}, UPDATE {:.1} ms (p50)",
            (tenth + 1) * each,
            times.reads.quantile(0.5),
            times.inserts.quantile(0.5),
            times.updates.quantile(0.5),
        );
    }
    Ok(())
}

/// What must stay as it is.
async fn look(plant: &Plant, day: Day, section: &mut Section) -> Result<()> {
    let mut looks = Section::default();
    for _ in 0..3 {
        slicing::look(plant, crate::days::TABLE, day, KeyOrder::Time, &mut looks).await?;
    }
    let left = looks.median("rows without a verdict");
    ensure!(left == LEFT as f64, "{left} rows have no verdict");
    section.push("whole look, ms", looks.median("whole look, ms"));
    let parts = |what: &str, patches: &str| {
        format!(
            "SELECT {what} FROM system.parts WHERE active AND database = 'weld' AND table = 'spot_records' \
             AND partition LIKE '%{day}%' AND {patches} startsWith(name, 'patch-')"
        )
    };
    section.push("parts", plant.number(&parts("count()", "NOT")).await?);
    section.push("patch parts", plant.number(&parts("count()", "")).await?);
    let bytes = plant.number(&parts("sum(bytes_on_disk)", "")).await?;
    section.push("patch parts, MB", bytes / 1e6);
    let pid = plant.pid(Service::ClickHouse);
    section.push("ClickHouse memory, MB", proc::resident_mb(pid)?);
    Ok(())
}

/// Rows that arrive at the day's end, a millisecond apart; the time of the first, as the column counts.
async fn insert(plant: &Plant, day: Day, first: u64, rows: u64) -> Result<i64> {
    let start = format!(
        "toDateTime64('2026-02-02 00:00:00', 3, 'UTC') + toIntervalMillisecond({})",
        first - FIRST
    );
    plant
        .sql(&format!(
            "INSERT INTO spot_records (data_date, ck_local_time, record_id, part_no, spot_name, timer_name, umax, imax) \
             SELECT {day}, {start} + toIntervalMillisecond(number), {first} + number, 'P1', 'S1', 'T1', 1.5, 9 \
             FROM numbers({rows})"
        ))
        .await?;
    let ticks = plant
        .sql(&format!("SELECT toUnixTimestamp64Milli({start})"))
        .await?;
    Ok(ticks.parse()?)
}

/// Ranges of one tenth, taken by several lanes.
struct Course {
    table: SourceTable,
    day: Day,
    first: u64,
    ticks: i64,
    rows: u64,
    writes: u64,
    next: AtomicU64,
}

#[derive(Default)]
struct Times {
    reads: Series,
    inserts: Series,
    updates: Series,
}

impl Times {
    fn add(&mut self, other: Self) {
        self.reads.extend(&other.reads);
        self.inserts.extend(&other.inserts);
        self.updates.extend(&other.updates);
    }
}

impl Course {
    async fn lane(self: Arc<Self>) -> Result<Times> {
        let mut times = Times::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.writes {
                return Ok(times);
            }
            self.write_back(number, &mut times).await?;
        }
    }

    async fn write_back(&self, number: u64, times: &mut Times) -> Result<()> {
        let token = self.first + number;
        let range = self.range(number)?;
        let began = Instant::now();
        let block = self.table.fetch(&range).await?;
        times.reads.push(ms(began.elapsed()));
        ensure!(
            block.len() as u64 == self.rows,
            "{} rows where {} were inserted",
            block.len(),
            self.rows
        );
        let verdicts = vec![verdict(); block.len()];
        let results = EncodedResults::new(token, LIVE_RUN, &token.to_string(), &block, &verdicts)?;
        let began = Instant::now();
        self.table.insert_results(&[&results]).await?;
        times.inserts.push(ms(began.elapsed()));
        let began = Instant::now();
        let attempt = Attempt {
            token,
            range,
            overrules: false,
        };
        self.table.commit(&[attempt]).await?;
        times.updates.push(ms(began.elapsed()));
        Ok(())
    }

    fn range(&self, number: u64) -> Result<Range> {
        let key = |row: u64| -> Result<Key> {
            Ok(Key {
                leading: None,
                ticks: self.ticks + i64::try_from(row)?,
                id: RecordId::Number(self.first + row),
                text: String::new(),
            })
        };
        Ok(Range {
            run: LIVE_RUN,
            day: self.day,
            selection: Selection::New,
            from: key(number * self.rows)?,
            to: key((number + 1) * self.rows - 1)?,
            rows: self.rows,
            repeated_keys: false,
        })
    }
}

/// As long as most are.
fn verdict() -> Verdict {
    Verdict {
        alg_error: None,
        ml_nok_prob: Some(0.01),
        ml_result: Some(Outcome::Ok),
        rule_result: Some(Outcome::Ok),
        final_result: Some(Outcome::Ok),
        decided_by: Some(DecidedBy::SoftAnd),
        diameter: Some(5.5),
        indentation: Some(0.1),
        front_thickness: Some(0.9),
        stack_thickness: Some(1.9),
        model_version: Some("m-1".into()),
        ..Verdict::unjudged(Status::Ok, "")
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
