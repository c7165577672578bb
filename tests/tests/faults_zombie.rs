//! A worker that was stopped past its lease and comes back: it may waste work, and change nothing.

use std::collections::HashSet;

use nix::sys::signal::Signal;
use weldfleet_tests::{
    Fleet, Process, Service,
    clickhouse::Row,
    eventually,
    faults::{FailPoint, PATIENCE, assert_whole, plant_of_eight_ranges, worker_id},
};
use weldfleet_weld::columns::RESULT_COLUMN_NAMES;

const ROWS: u64 = 2000;

/// Every result column, times and tokens too.
async fn rows(fleet: &Fleet) -> Vec<Row> {
    let columns = RESULT_COLUMN_NAMES.join(", ");
    fleet
        .clickhouse
        .rows(&format!(
            "SELECT data_date, toString(ck_local_time) AS time, record_id, {columns} FROM spot_records \
             ORDER BY data_date, ck_local_time, record_id"
        ))
        .await
}

/// Starts a worker that waits at `gate`, stops it there past its lease and lets another one finish everything. Returns
/// both.
async fn stopped_and_overtaken(fleet: &Fleet, gate: &FailPoint, more: &str) -> (Process, Process) {
    let zombie = fleet.worker_with(&[("FAILPOINTS", &format!("{}{more}", gate.armed()))]);
    gate.reached().await;
    let id = worker_id(&zombie).await;
    let lost = fleet.queue.held_by(&id).await;
    assert!(!lost.is_empty(), "it holds nothing");
    zombie.signal(Signal::SIGSTOP);
    let heir = fleet.worker();
    fleet.done(PATIENCE).await;
    let heir_id = worker_id(&heir).await;
    let last = finished_by(fleet, &heir_id).await;
    assert!(
        lost.keys().any(|job| last.contains(job)),
        "the other worker finished none of {lost:?}"
    );
    (zombie, heir)
}

/// Jobs that this worker finished.
async fn finished_by(fleet: &Fleet, worker: &str) -> HashSet<String> {
    let done = fleet.queue.jobs("done").await;
    let ids = fleet.queue.ids("done").await;
    let both = ids.into_iter().zip(done);
    both.filter(|(_, job)| job["worker"] == worker)
        .map(|(id, _)| id)
        .collect()
}

async fn wakes_up_without_harm(point: &str) {
    let fleet = plant_of_eight_ranges().await;
    let _scheduler = fleet.scheduler();
    let gate = FailPoint::new(&fleet, point);
    let (zombie, _heir) = stopped_and_overtaken(&fleet, &gate, "").await;
    let before = rows(&fleet).await;
    let mirror_before = fleet
        .mysql
        .rows("SELECT * FROM nok_records ORDER BY record_id")
        .await;

    gate.open();
    zombie.signal(Signal::SIGCONT);
    eventually(
        "the late worker knows that its lease is lost",
        PATIENCE,
        async || {
            let log = zombie.log();
            (log.contains("lease lost") || log.contains("lease was lost before it was settled"))
                .then_some(())
        },
    )
    .await;
    // It is a worker like any other again.
    fleet.simulate("today", 500, &[]);
    fleet.done(PATIENCE).await;

    let after = rows(&fleet).await;
    let late: HashSet<String> = after.iter().map(key).collect();
    assert!(
        before.iter().all(|row| late.contains(&key(row))),
        "rows are gone"
    );
    let old: HashSet<String> = before.iter().map(key).collect();
    let after: Vec<Row> = after
        .into_iter()
        .filter(|row| old.contains(&key(row)))
        .collect();
    assert_eq!(before, after, "a verdict changed");
    let mirror = fleet
        .mysql
        .rows("SELECT * FROM nok_records ORDER BY record_id")
        .await;
    assert!(
        mirror_before.iter().all(|row| mirror.contains(row)),
        "a mirrored row changed"
    );
    assert_whole(&fleet, ROWS + 500).await;
}

fn key(row: &Row) -> String {
    format!("{} {} {}", row["data_date"], row["time"], row["record_id"])
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_while_judging_it_wakes_up_without_harm() {
    wakes_up_without_harm("worker::fetched").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_between_results_and_update_it_wakes_up_without_harm() {
    wakes_up_without_harm("worker::stored").await;
}

/// The worst case: it cannot learn that its lease is lost, because Redis is silent when it wakes up. So it commits, and
/// only the guard inside the UPDATE stands between it and the other's verdicts.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_update_touches_no_row_and_its_ack_answers_lost() {
    let fleet = plant_of_eight_ranges().await;
    let _scheduler = fleet.scheduler();
    let gate = FailPoint::new(&fleet, "worker::stored");
    let committed = FailPoint::new(&fleet, "worker::mirrored");
    // One range at a time, so that the first to be mirrored is the one that was stopped.
    let mut fleet = fleet;
    fleet.set("worker.ranges_in_flight", "1");
    let (zombie, _heir) =
        stopped_and_overtaken(&fleet, &gate, &format!(";{}", committed.armed())).await;
    let before = rows(&fleet).await;
    assert!(!committed.was_reached(), "it has committed already");

    fleet.services.pause(Service::Redis);
    gate.open();
    zombie.signal(Signal::SIGCONT);
    committed.reached().await;
    assert_eq!(rows(&fleet).await, before, "the late UPDATE changed a row");
    committed.open();
    zombie.logged("range judged", PATIENCE).await;
    fleet.services.cont(Service::Redis);
    zombie
        .logged("lease was lost before it was settled", PATIENCE)
        .await;

    assert_eq!(rows(&fleet).await, before, "a verdict changed");
    fleet.queue = weldfleet_tests::queue::Queue::connect(fleet.services.url(Service::Redis)).await;
    fleet.idle(PATIENCE).await;
    assert_whole(&fleet, ROWS).await;
    let lost = finished_by(&fleet, &worker_id(&zombie).await).await;
    assert!(lost.is_empty(), "its late ack was taken for {lost:?}");
}

/// Its process lives and goes on renewing: only that it gets nowhere tells that it hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_gets_nowhere_for_job_timeout_is_anothers() {
    let mut fleet = plant_of_eight_ranges().await;
    fleet.set("lease.job_timeout", "3s");
    fleet.set("worker.ranges_in_flight", "1");
    let _scheduler = fleet.scheduler();
    let gate = FailPoint::new(&fleet, "worker::fetched");
    let hung = fleet.worker_with(&[("FAILPOINTS", &gate.armed())]);
    gate.reached().await;
    let lost = fleet.queue.held_by(&worker_id(&hung).await).await;
    assert_eq!(lost.len(), 1, "{lost:?}");
    let _other = fleet.worker();
    fleet.done(PATIENCE).await;
    for id in lost.keys() {
        // By whom does not matter: its own process may take it again, in another handler.
        let job = fleet.queue.job(id).await;
        assert!(job["deaths"] == "1" && job["attempts"] == "2", "{job:?}");
    }
    assert!(hung.log().contains("no progress for job_timeout"));
    gate.open();
    hung.logged("lease lost", PATIENCE).await;
    assert_whole(&fleet, ROWS).await;
}
