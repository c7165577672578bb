//! The scheduler killed while it takes a range apart to find the row that kills workers; and that every fail point has
//! its test.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use weldfleet_tests::{
    Fleet,
    faults::{EndState, FailPoint, PATIENCE},
    poison::{Supervisor, assert_costs_that_row, poison_rows},
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
    fleet.backfill(DAY, DAY, &[]);
    fleet
}

/// A scheduler that is killed at the fail point.
async fn scheduler_killed_at(fleet: &Fleet, workers: &mut Supervisor<'_>, point: &str) {
    let gate = FailPoint::new(fleet, point);
    let mut scheduler = fleet.scheduler_with(&[("FAILPOINTS", &gate.armed())]);
    workers
        .until(point, PATIENCE, async || gate.was_reached())
        .await;
    scheduler.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_of_taking_a_range_apart_the_next_scheduler_finishes_it() {
    let undisturbed = {
        let fleet = plant().await;
        let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
        fleet.done(PATIENCE).await;
        EndState::read(&fleet).await
    };

    let fleet = plant().await;
    let mut workers = Supervisor::start(&fleet, POISON, Vec::new());

    scheduler_killed_at(&fleet, &mut workers, "scheduler::before_split").await;
    let splitting = fleet.queue.jobs("splitting").await;
    assert_eq!(splitting.len(), 1, "{splitting:?}");
    assert_eq!(splitting[0]["rows"], "4", "it is still whole");

    scheduler_killed_at(&fleet, &mut workers, "stores::mark_before_commit").await;
    let marks = "weld_results WHERE alg_status = 'poison'";
    assert_eq!(fleet.clickhouse.count(marks).await, 1, "the mark is stored");
    let poison = poison_rows(&fleet).await;
    assert!(poison.is_empty(), "and not committed: {poison:?}");

    scheduler_killed_at(&fleet, &mut workers, "scheduler::before_resolve").await;
    assert_eq!(poison_rows(&fleet).await.len(), 1, "the row is marked");
    assert_eq!(
        fleet.queue.count("splitting").await,
        1,
        "and its job is still there"
    );

    let _scheduler = fleet.scheduler();
    workers.until_judged(PATIENCE).await;
    fleet.idle(PATIENCE).await;
    assert_eq!(fleet.queue.count("dead").await, 0, "dead letters");

    assert_costs_that_row(&fleet, POISON, ROWS, &undisturbed).await;
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
