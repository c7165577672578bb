//! What the fault tests share: stopping a program between two of its steps, and comparing how it all ended.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use weldfleet_testkit::eventually;

use crate::{
    Fleet, Process,
    agree::{Counts, Truth},
    clickhouse::{ClickHouse, Row, undisturbed_columns},
    fleet::parsed,
    queue::UNDONE,
};

/// For everything whose duration says nothing about the product: the machine may be slow.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The lease of [`Fleet::start`], in milliseconds.
pub const LEASE_MS: u64 = 2000;

/// Ranges of 250 rows, one at a time.
pub const ONE_AT_A_TIME: [(&str, &str); 2] = [
    ("scheduler.batch_size", "250"),
    ("worker.ranges_in_flight", "1"),
];

/// Two thousand welds of today in ranges of 250.
pub async fn plant_of_eight_ranges() -> Fleet {
    plant(&[("scheduler.batch_size", "250")], "today", 2000).await
}

/// A migrated plant with so many welds of a day.
pub async fn plant(settings: &[(&str, &str)], day: &str, rows: u64) -> Fleet {
    let fleet = Fleet::with(settings).await;
    fleet.migrate();
    simulate(&fleet, day, rows);
    fleet
}

/// Welds of which some are NOK and some invalid.
pub fn simulate(fleet: &Fleet, day: &str, rows: u64) {
    let rows = u32::try_from(rows).expect("few rows");
    let spoiled = ["--invalid-share", "0.01", "--nok-rate", "0.03"];
    fleet.simulate(day, rows, &spoiled);
}

/// A place in a program where it waits to be let go on.
pub struct FailPoint {
    point: String,
    path: PathBuf,
}

impl FailPoint {
    /// The fail point of this name; nothing waits there until a process is started with [`FailPoint::armed`].
    pub fn new(fleet: &Fleet, point: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            point: point.to_owned(),
            path: fleet.folder().join(format!("gate-{number}")),
        }
    }

    /// For `FAILPOINTS`: the first to pass waits.
    pub fn armed(&self) -> String {
        format!("{}=1*return(wait:{})", self.point, self.path.display())
    }

    /// For `FAILPOINTS`: the first so many wait.
    pub fn armed_for(&self, passes: u32) -> String {
        format!(
            "{}={passes}*return(wait:{})",
            self.point,
            self.path.display()
        )
    }

    /// For `FAILPOINTS`: so many pass, the next one waits.
    pub fn armed_after(&self, passes: u32) -> String {
        format!(
            "{}={passes}*off->1*return(wait:{})",
            self.point,
            self.path.display()
        )
    }

    /// Waits until somebody waits there.
    pub async fn reached(&self) {
        let reached = PathBuf::from(format!("{}.reached", self.path.display()));
        eventually(
            &format!("{} is reached", self.point),
            PATIENCE,
            async || reached.exists().then_some(()),
        )
        .await;
    }

    /// Whether somebody waits, or has waited, there.
    pub fn was_reached(&self) -> bool {
        PathBuf::from(format!("{}.reached", self.path.display())).exists()
    }

    /// Lets it go on.
    pub fn open(&self) {
        std::fs::write(&self.path, "").expect("a file in the test's folder");
    }
}

/// How a fleet left its stores: all but times, tokens and job ids.
#[derive(Debug, PartialEq)]
pub struct EndState {
    /// Rows of ClickHouse in key order.
    pub verdicts: Vec<Row>,
    /// Rows of MySQL in key order.
    pub mirror: Vec<Vec<String>>,
}

/// Of a row of the mirror, besides what the fleet writes into every place.
const OF_THE_MIRROR: [&str; 13] = [
    "data_date",
    "ck_ticks",
    "ck_local_time",
    "record_id",
    "part_no",
    "spot_name",
    "timer_name",
    "umax",
    "imax",
    "review_result",
    "reviewed_by",
    "reviewed_at",
    "review_note",
];

impl EndState {
    /// Reads it, after everything was judged.
    pub async fn read(fleet: &Fleet) -> Self {
        let mirrored = undisturbed_columns().filter(|column| column.mirrored);
        let columns: Vec<&str> = OF_THE_MIRROR
            .into_iter()
            .chain(mirrored.map(|column| column.name))
            .collect();
        let mirror = format!(
            "SELECT {} FROM nok_records ORDER BY data_date, ck_ticks, record_id",
            columns.join(", ")
        );
        Self {
            verdicts: fleet.clickhouse.verdicts("spot_records").await,
            mirror: fleet.mysql.rows(&mirror).await,
        }
    }

    /// Column by column the same as the end state of a run in which nothing happened.
    ///
    /// # Panics
    /// When it is not, with the first row that differs.
    pub fn assert_is(&self, undisturbed: &Self) {
        for (ours, theirs) in self.verdicts.iter().zip(&undisturbed.verdicts) {
            assert_eq!(ours, theirs, "a verdict differs from the undisturbed run's");
        }
        assert_eq!(self.verdicts.len(), undisturbed.verdicts.len(), "rows");
        for (ours, theirs) in self.mirror.iter().zip(&undisturbed.mirror) {
            assert_eq!(
                ours, theirs,
                "a mirrored row differs from the undisturbed run's"
            );
        }
        assert_eq!(self.mirror.len(), undisturbed.mirror.len(), "mirrored rows");
    }
}

/// Every weld has a verdict or a reason, the mirror holds exactly the NOK ones, exactly one audit line carries each
/// row's token, and nothing is left in the queue.
pub async fn assert_whole(fleet: &Fleet, rows: u64) -> Counts {
    let truth = Truth::read(&fleet.clickhouse, "spot_records").await;
    assert_eq!((truth.rows, truth.welds.len() as u64), (rows, rows), "rows");
    let counts = truth.counts();
    // a worker that dies, or loses its lease, between its commit and its mirror leaves that to the scheduler's next
    // pass
    eventually(
        "the mirror comes as far as the truth",
        PATIENCE,
        async || truth.is_mirrored(&fleet.mysql).await.then_some(()),
    )
    .await;
    truth.assert_mirrored(&fleet.mysql).await;
    truth.assert_audited(&fleet.save_dir());
    for state in UNDONE {
        let left = fleet.queue.jobs(state).await;
        assert!(left.is_empty(), "{state} jobs are left: {left:?}");
    }
    counts
}

/// Every job that Redis knows was claimed once, and none was charged with a death.
pub async fn assert_no_attempt_spent(fleet: &Fleet) {
    let done = fleet.queue.jobs("done").await;
    assert!(!done.is_empty(), "no job is done");
    for job in &done {
        assert_eq!(
            (job["attempts"].as_str(), job["deaths"].as_str()),
            ("1", "0"),
            "an attempt was spent: {job:?}"
        );
    }
    for state in UNDONE {
        assert_eq!(fleet.queue.count(state).await, 0, "{state}");
    }
}

/// The id of a worker, as it tells it.
pub async fn worker_id(worker: &Process) -> String {
    let (_, body) = worker.get("/").await;
    parsed(&body)["worker"].as_str().expect("an id").to_owned()
}

/// Which attempts a row's verdict came from, one after the other, as far as somebody looked.
#[derive(Default)]
pub struct History {
    rows: BTreeMap<String, Vec<Commit>>,
}

/// A verdict's run and token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub run: u64,
    pub token: u64,
}

impl History {
    /// Looks at every row that has a verdict; answers how many have.
    pub async fn look(&mut self, clickhouse: &ClickHouse) -> usize {
        let rows = clickhouse
            .execute(
                "SELECT alg_run, alg_token, data_date, toString(ck_local_time), record_id FROM spot_records \
                 WHERE alg_complete_time IS NOT NULL FORMAT TSV",
            )
            .await;
        let mut judged = 0;
        for row in rows.lines() {
            let mut fields = row.splitn(3, '\t');
            let mut number = || fields.next().and_then(|field| field.parse().ok());
            let (Some(run), Some(token)) = (number(), number()) else {
                panic!("a verdict without run or token: {row}");
            };
            let key = fields.next().expect("a key").to_owned();
            let commit = Commit { run, token };
            let commits = self.rows.entry(key).or_default();
            if commits.last() != Some(&commit) {
                commits.push(commit);
            }
            judged += 1;
        }
        judged
    }

    /// Looks again and again until every row has a verdict of `run` or a later one.
    pub async fn until_judged(&mut self, fleet: &Fleet, run: u64) {
        let left = format!("spot_records WHERE alg_run IS NULL OR alg_run < {run}");
        let looking = async {
            loop {
                self.look(&fleet.clickhouse).await;
                if fleet.clickhouse.count(&left).await == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let looked = tokio::time::timeout(PATIENCE, looking).await;
        assert!(looked.is_ok(), "rows of run {run} are still not judged");
        self.look(&fleet.clickhouse).await;
    }

    /// What was seen of each row.
    pub fn rows(&self) -> &BTreeMap<String, Vec<Commit>> {
        &self.rows
    }
}
