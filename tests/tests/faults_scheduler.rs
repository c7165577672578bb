//! The scheduler killed while it takes a range apart to find the row that kills workers; and that every fail point has
//! its test.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tokio::time::{Duration, Instant, sleep};
use weldfleet_tests::{
    Fleet, Process,
    agree::{Truth, text},
    clickhouse::Row,
    faults::{EndState, FailPoint, PATIENCE},
    repository,
};

const DAY: &str = "20261001";
const ROWS: u64 = 12;
const POISON: &str = "6";

/// Three ranges of four rows in a day of the past.
async fn plant() -> Fleet {
    let fleet = Fleet::with(&[("scheduler.batch_size", "4")]).await;
    fleet.migrate();
    fleet.simulate(DAY, 12, &["--nok-rate", "0.3"]);
    fleet.succeed("scheduler", &["backfill", "--from", DAY, "--to", DAY]);
    fleet
}

/// A worker that the poison kills, and that is started again each time.
struct Mortal<'f> {
    fleet: &'f Fleet,
    worker: Process,
}

impl<'f> Mortal<'f> {
    fn start(fleet: &'f Fleet) -> Self {
        Self {
            fleet,
            worker: Self::worker(fleet),
        }
    }

    fn worker(fleet: &Fleet) -> Process {
        fleet.worker_with(&[("WELDFLEET_POISON_RECORD", POISON)])
    }

    async fn until(&mut self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "waited in vain for: {what}");
            if !self.worker.running() {
                self.worker = Self::worker(self.fleet);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A scheduler that is killed at the fail point.
    async fn scheduler_killed_at(&mut self, point: &str) {
        let gate = FailPoint::new(self.fleet, point);
        let mut command = self
            .fleet
            .command("scheduler", &["run", "--log-format", "json"]);
        command.env("FAILPOINTS", gate.armed());
        let mut scheduler = Process::start(command, self.fleet.folder());
        self.until(point, async || gate.was_reached()).await;
        scheduler.kill();
    }
}

async fn poison_rows(fleet: &Fleet) -> Vec<Row> {
    let poison =
        "SELECT record_id, alg_error, final_result FROM spot_records WHERE alg_status = 'poison'";
    fleet.clickhouse.rows(poison).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_of_taking_a_range_apart_the_next_scheduler_finishes_it() {
    let undisturbed = {
        let fleet = plant().await;
        let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
        fleet.judged(PATIENCE).await;
        fleet.idle(PATIENCE).await;
        EndState::read(&fleet).await
    };

    let fleet = plant().await;
    let mut mortal = Mortal::start(&fleet);

    mortal.scheduler_killed_at("scheduler::before_split").await;
    let splitting = fleet.queue.jobs("splitting").await;
    assert_eq!(splitting.len(), 1, "{splitting:?}");
    assert_eq!(splitting[0]["rows"], "4", "it is still whole");

    mortal
        .scheduler_killed_at("stores::mark_before_commit")
        .await;
    let marks = "weld_results WHERE alg_status = 'poison'";
    assert_eq!(fleet.clickhouse.count(marks).await, 1, "the mark is stored");
    let poison = poison_rows(&fleet).await;
    assert!(poison.is_empty(), "and not committed: {poison:?}");

    mortal
        .scheduler_killed_at("scheduler::before_resolve")
        .await;
    assert_eq!(poison_rows(&fleet).await.len(), 1, "the row is marked");
    assert_eq!(
        fleet.queue.count("splitting").await,
        1,
        "and its job is still there"
    );

    let _scheduler = fleet.scheduler();
    mortal
        .until("every row has a verdict or a reason", async || {
            let left = "spot_records WHERE alg_complete_time IS NULL";
            fleet.clickhouse.count(left).await == 0
        })
        .await;
    fleet.idle(PATIENCE).await;
    assert_eq!(fleet.queue.count("dead").await, 0, "dead letters");

    let poison = poison_rows(&fleet).await;
    assert_eq!(poison.len(), 1, "{poison:?}");
    assert_eq!(text(&poison[0], "record_id"), POISON);
    assert_eq!(text(&poison[0], "final_result"), "");
    assert!(text(&poison[0], "alg_error").contains("killed its worker"));
    others_are_as_if_nothing_had_happened(&EndState::read(&fleet).await, &undisturbed);
    let judged = "(SELECT * FROM spot_records WHERE alg_status != 'poison')";
    let truth = Truth::read(&fleet.clickhouse, judged).await;
    assert_eq!(truth.rows, ROWS - 1);
    truth.assert_mirrored(&fleet.mysql).await;
    truth.assert_audited(&fleet.save_dir());
}

/// All but the poison row; a run is named after the moment it was asked for.
fn others_are_as_if_nothing_had_happened(disturbed: &EndState, undisturbed: &EndState) {
    let others = |state: &EndState| -> Vec<Row> {
        let others = state.verdicts.iter();
        others
            .filter(|row| text(row, "record_id") != POISON)
            .map(|row| {
                let mut row = row.clone();
                row.remove("alg_run");
                row
            })
            .collect()
    };
    assert_eq!(disturbed.verdicts.len() as u64, ROWS);
    assert_eq!(others(disturbed), others(undisturbed));
}

/// A fail point that no test arms proves nothing: the step behind it may be one that must not be interrupted.
#[test]
fn every_fail_point_is_armed_by_a_test() {
    let (mut sources, mut tests) = (Vec::new(), Vec::new());
    for root in ["scheduler", "worker", "shared", "tests"] {
        rust_files(&repository().join(root), &mut |file| {
            let of_a_test = file.components().any(|part| part.as_os_str() == "tests");
            let files = if of_a_test { &mut tests } else { &mut sources };
            files.push(fs::read_to_string(file).expect("utf-8"));
        });
    }
    // Named where they are reached, or with the step that they follow.
    let named = |mark: &'static str| {
        let after = sources
            .iter()
            .flat_map(move |source| source.split(mark).skip(1));
        after.filter_map(|rest| rest.split('"').next())
    };
    let of_steps = named("=> \"worker::").map(|step| format!("worker::{step}"));
    let points: BTreeSet<String> = named("reach(\"")
        .chain(named("reach_blocking(\""))
        .map(str::to_owned)
        .chain(of_steps)
        .collect();
    assert!(points.len() >= 12, "fail points in the source: {points:?}");
    let idle: Vec<String> = points
        .into_iter()
        .filter(|point| {
            let (named, in_a_list) = (format!("\"{point}\""), format!("{point}="));
            !tests
                .iter()
                .any(|test| test.contains(&named) || test.contains(&in_a_list))
        })
        .collect();
    assert!(idle.is_empty(), "no test arms {idle:?}");
}

fn rust_files(folder: &Path, found: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found(&path);
        }
    }
}
