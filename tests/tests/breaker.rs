//! Stop before doing harm: a wrong unit must not burn a day.

use std::time::Duration;

use serde_json::Value;
use weldfleet_tests::{Fleet, agree::Truth, eventually};

const MINUTES: Duration = Duration::from_secs(120);
const BATCH: u64 = 100;
const OVER_RANGES: u64 = 3;
const WORKERS: u64 = 2;
const IN_FLIGHT: u64 = 2;
/// By default 3 ranges of a worker hold rows, and 16 more wait for a write that they share.
const IN_FLIGHT_BY_DEFAULT: u64 = 3 + 16;

/// Each range is written back by itself.
async fn plant(rows: u32) -> Fleet {
    let mut fleet = plant_by_default(rows).await;
    fleet.set("worker.ranges_in_flight", &IN_FLIGHT.to_string());
    fleet.set("worker.commit_group", "1");
    fleet
}

async fn plant_by_default(rows: u32) -> Fleet {
    let fleet = Fleet::with(&[
        ("scheduler.batch_size", &BATCH.to_string()),
        ("breaker.over_ranges", &OVER_RANGES.to_string()),
    ])
    .await;
    fleet.migrate();
    fleet.simulate("today", rows, &["--nok-rate", "0.1"]);
    fleet
}

async fn paused(fleet: &Fleet) -> String {
    eventually("the fleet pauses", MINUTES, async || {
        fleet
            .queue
            .command::<Option<String>>(&["GET", &weldfleet_tests::queue::Queue::key("paused")])
            .await
    })
    .await
}

async fn judged_rows(fleet: &Fleet) -> u64 {
    fleet
        .clickhouse
        .count("spot_records WHERE alg_complete_time IS NOT NULL")
        .await
}

async fn judged_when_no_lease_is_held(fleet: &Fleet) -> u64 {
    eventually("no lease is held", MINUTES, async || {
        (fleet.queue.count("leased").await == 0).then_some(())
    })
    .await;
    judged_rows(fleet).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_unit_pauses_the_fleet_within_its_bounds_and_it_says_why() {
    let mut fleet = plant(3000).await;
    fleet.set("curves.u_unit", "mV");
    let scheduler = fleet.scheduler();
    let mut workers = [fleet.worker(), fleet.worker()];

    let reason = paused(&fleet).await;
    for part in [
        "100.0 % of the",
        "rows in the last 3 ranges are invalid or in error",
        "limit 50.0 %",
        "check [curves]",
        "scheduler resume",
    ] {
        assert!(reason.contains(part), "`{part}` is not in `{reason}`");
    }
    // What was claimed before the pause is finished, nothing else is begun.
    let judged = judged_when_no_lease_is_held(&fleet).await;
    let most = BATCH * (OVER_RANGES + WORKERS * IN_FLIGHT);
    assert!(
        judged >= BATCH * OVER_RANGES && judged <= most,
        "{judged} rows were judged, {most} are the most"
    );

    // Everywhere a person may look, it says why and what to do.
    let status = fleet.status();
    assert_eq!(status["paused"]["reason"], Value::String(reason.clone()));
    let shown = fleet.succeed("scheduler", &["status"]);
    for said in [
        "are invalid or in error",
        "`scheduler backfill --status invalid,error`",
    ] {
        assert!(shown.contains(said), "{shown}");
    }
    eventually("it is an event, told once", MINUTES, async || {
        let kept = "weld_events WHERE what = 'pause' AND on_what = 'fleet' AND startsWith(why, 'breaker: ')";
        (fleet.clickhouse.count(kept).await == 1).then_some(())
    })
    .await;
    for process in [&scheduler, &workers[0], &workers[1]] {
        eventually("/readyz says why", MINUTES, async || {
            let (code, body) = process.get("/readyz").await;
            (code == 503
                && body.contains("scheduler resume")
                && body.contains("invalid or in error"))
            .then_some(())
        })
        .await;
        process.logged("invalid or in error", MINUTES).await;
    }
    assert!(
        workers
            .iter()
            .any(|worker| worker.log().contains("pausing the fleet"))
    );
    let metric = eventually("the gauge shows it", MINUTES, async || {
        let paused = scheduler.metric_if_any("weldfleet_paused", &[]).await?;
        (paused > 0.0).then_some(paused)
    })
    .await;
    assert!((metric - 1.0).abs() < f64::EPSILON);

    // Mended and resumed, it goes on; the rows that were refused are judged as it said.
    workers.iter_mut().for_each(weldfleet_tests::Process::kill);
    fleet.set("curves.u_unit", "V");
    let workers = [fleet.worker(), fleet.worker()];
    eventually("the new worker sees the pause", MINUTES, async || {
        workers[0]
            .get("/readyz")
            .await
            .1
            .contains("paused")
            .then_some(())
    })
    .await;
    assert_eq!(judged_rows(&fleet).await, judged);
    fleet.succeed("scheduler", &["resume"]);
    fleet.judged(MINUTES).await;
    let day = fleet.newest_day().await;
    fleet.backfill(&day, &day, &["--status", "invalid,error", "--wait"]);
    fleet.idle(MINUTES).await;
    let truth = Truth::read(&fleet.clickhouse, "spot_records").await;
    let counts = truth.counts();
    assert_eq!(
        (counts.welds(), counts.invalid, counts.error),
        (3000, 0, 0),
        "{counts:?}"
    );
    truth.assert_mirrored(&fleet.mysql).await;
    for process in [&scheduler, &workers[0], &workers[1]] {
        process.ready().await;
    }
    assert_eq!(fleet.status()["paused"], Value::Null);
    assert!(
        fleet
            .succeed("scheduler", &["resume"])
            .contains("not paused")
    );
}

/// Ranges that wait for a shared write-back are in flight too, so the bound is theirs as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_unit_pauses_the_fleet_within_its_bounds_where_write_backs_are_shared() {
    let mut fleet = plant_by_default(5000).await;
    fleet.set("curves.u_unit", "mV");
    let _scheduler = fleet.scheduler();
    let _workers = [fleet.worker(), fleet.worker()];
    let reason = paused(&fleet).await;
    assert!(reason.contains("invalid or in error"), "{reason}");
    let judged = judged_when_no_lease_is_held(&fleet).await;
    let most = BATCH * (OVER_RANGES + WORKERS * IN_FLIGHT_BY_DEFAULT);
    assert!(
        judged >= BATCH * OVER_RANGES && judged <= most,
        "{judged} rows were judged, {most} are the most"
    );
    // One UPDATE gives all of its rows one time.
    let shared = "(SELECT alg_complete_time, uniqExact(alg_token) AS attempts FROM spot_records \
                  WHERE alg_complete_time IS NOT NULL GROUP BY alg_complete_time) WHERE attempts > 1";
    assert!(
        fleet.clickhouse.count(shared).await > 0,
        "no write-back was shared: this proves nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_and_the_same_verdict_for_too_long_pauses_the_fleet() {
    let mut fleet = plant(2000).await;
    fleet.set("breaker.same_verdict_rows", "500");
    fleet.lenient(true);
    let _scheduler = fleet.scheduler();
    let _worker = fleet.worker();
    let reason = paused(&fleet).await;
    assert!(
        reason.contains("verdicts are all OK (limit 500)") && reason.contains("nok_threshold"),
        "{reason}"
    );
    let judged = judged_when_no_lease_is_held(&fleet).await;
    assert!(
        (500..=500 + BATCH * IN_FLIGHT).contains(&judged),
        "{judged}"
    );

    // A resumed fleet starts counting anew: it is not paused for what it was paused for.
    fleet.succeed("scheduler", &["resume"]);
    eventually("it goes on", MINUTES, async || {
        (judged_rows(&fleet).await >= judged + 500).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_invalid_rows_do_not_pause_it() {
    let fleet = Fleet::with(&[
        ("scheduler.batch_size", "100"),
        ("breaker.over_ranges", "3"),
    ])
    .await;
    fleet.migrate();
    fleet.simulate("today", 2000, &["--invalid-share", "0.3"]);
    let _scheduler = fleet.scheduler();
    let _worker = fleet.worker();
    fleet.judged(MINUTES).await;
    assert_eq!(fleet.status()["paused"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_picked_for_being_bad_tell_nothing_of_the_plant() {
    let mut fleet = Fleet::with(&[
        ("scheduler.batch_size", "100"),
        ("breaker.over_ranges", "1000"),
    ])
    .await;
    fleet.migrate();
    let day = fleet.day_before(5).await;
    fleet.simulate(&day, 1000, &[]);
    fleet.set("curves.u_unit", "mV");
    let whole_day = ["backfill", "--from", &day, "--to", &day, "--wait"];
    {
        let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
        fleet.succeed("scheduler", &whole_day);
        fleet.idle(MINUTES).await;
    }
    fleet.set("breaker.over_ranges", &OVER_RANGES.to_string());
    let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
    let picked = [&whole_day[..], &["--status", "invalid"]].concat();
    fleet.succeed("scheduler", &picked);
    let last = "SELECT toString(max(run)) FROM weld_runs";
    let run = fleet.clickhouse.value(last).await;
    let again = format!("spot_records WHERE alg_status = 'invalid' AND alg_run = {run}");
    assert_eq!(fleet.clickhouse.count(&again).await, 1000);
    assert_eq!(fleet.status()["paused"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_server_cannot_read_pause_it_too() {
    let mut fleet = plant(60).await;
    fleet
        .clickhouse
        .execute(
            "ALTER TABLE spot_records ADD COLUMN broken Array(Float32) ALIAS [toFloat32(concat('x', toString(record_id)))]",
        )
        .await;
    fleet.set("columns.u_curve", "broken");
    let _scheduler = fleet.scheduler();
    let _worker = fleet.worker();
    let reason = paused(&fleet).await;
    assert!(reason.contains("breaker"), "{reason}");
    let marked = fleet
        .clickhouse
        .count("spot_records WHERE alg_error LIKE 'unreadable%'")
        .await;
    assert!((3..60).contains(&marked), "{marked}");
}
