//! `FLUSHALL`: Redis is only the work, and the next pass makes it again.

use weldfleet_tests::{
    Fleet, Process,
    faults::{Commit, FailPoint, History, ONE_AT_A_TIME, PATIENCE, assert_whole, plant},
};

const ROWS: u64 = 3000;

/// Starts a worker that stops in the middle of the fifth range, with its results stored and not committed.
async fn half_way(fleet: &Fleet, gate: &FailPoint) -> Process {
    let worker = fleet.worker_with(&[("FAILPOINTS", &gate.armed_after(4))]);
    gate.reached().await;
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_in_the_middle_of_the_day_nothing_is_lost_and_no_verdict_changes() {
    let fleet = plant(&ONE_AT_A_TIME, "today", ROWS).await;
    let _scheduler = fleet.scheduler();
    let gate = FailPoint::new(&fleet, "worker::stored");
    let _worker = half_way(&fleet, &gate).await;
    let mut history = History::default();
    assert_eq!(
        history.look(&fleet.clickhouse).await,
        1000,
        "rows judged before"
    );
    let token = fleet.queue.token().await;

    fleet.queue.command::<()>(&["FLUSHALL"]).await;
    gate.open();
    let _second = fleet.worker();
    history.until_judged(&fleet, 0).await;
    fleet.idle(PATIENCE).await;
    history.look(&fleet.clickhouse).await;

    assert_eq!(history.rows().len() as u64, ROWS);
    for (row, commits) in history.rows() {
        assert_eq!(
            commits.len(),
            1,
            "{row} was judged more than once: {commits:?}"
        );
    }
    assert_whole(&fleet, ROWS).await;
    tokens_grew(&fleet, token).await;
}

/// The counter and every claim since are above what was there before the flush.
async fn tokens_grew(fleet: &Fleet, before: u64) {
    assert!(fleet.queue.token().await > before, "the counter fell");
    let done = fleet.queue.jobs("done").await;
    assert!(!done.is_empty());
    for job in done {
        let token: u64 = job["token"].parse().expect("a token");
        assert!(token > before, "{token} is not above {before}: {job:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_in_the_middle_of_a_forced_run_it_ends_with_each_row_judged_once() {
    const DAY: &str = "20261001";
    let fleet = plant(&ONE_AT_A_TIME, DAY, ROWS).await;
    let _scheduler = fleet.scheduler();
    let first = fleet.worker();
    fleet.backfill(DAY, DAY, &["--wait"]);
    drop(first);
    let mut history = History::default();
    assert_eq!(history.look(&fleet.clickhouse).await as u64, ROWS);
    let first_run = newest_run(&fleet).await;

    fleet.backfill(DAY, DAY, &["--force"]);
    let run = newest_run(&fleet).await;
    assert!(run > first_run, "{run} is not a new run");
    let gate = FailPoint::new(&fleet, "worker::stored");
    let _worker = half_way(&fleet, &gate).await;
    history.look(&fleet.clickhouse).await;
    let judged_again = history.rows().values().filter(|commits| commits.len() == 2);
    assert_eq!(judged_again.count(), 1000, "rows judged again before");
    let token = fleet.queue.token().await;

    fleet.queue.command::<()>(&["FLUSHALL"]).await;
    gate.open();
    let _second = fleet.worker();
    history.until_judged(&fleet, run).await;
    weldfleet_tests::eventually("the run is closed", PATIENCE, async || {
        let open = "(SELECT * FROM weld_runs FINAL) WHERE state = 'open'";
        (fleet.clickhouse.count(open).await == 0).then_some(())
    })
    .await;
    fleet.idle(PATIENCE).await;
    history.look(&fleet.clickhouse).await;

    assert_eq!(history.rows().len() as u64, ROWS);
    for (row, commits) in history.rows() {
        let runs: Vec<u64> = commits.iter().map(|commit: &Commit| commit.run).collect();
        assert_eq!(
            runs,
            [first_run, run],
            "{row} was not judged once a run: {commits:?}"
        );
        assert!(commits[1].token > commits[0].token, "{row}: {commits:?}");
    }
    assert_whole(&fleet, ROWS).await;
    tokens_grew(&fleet, token).await;
}

async fn newest_run(fleet: &Fleet) -> u64 {
    let run = fleet
        .clickhouse
        .value("SELECT max(run) FROM weld_runs")
        .await;
    run.parse().expect("a run")
}
