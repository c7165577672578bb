//! Tables that are exchanged, restored or lose a part, and a Redis that was emptied meanwhile, on real services.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::Duration;

use common::{Hands, SOON, day_before};
use nix::sys::signal::Signal;
use weldfleet_tests::{Fleet, eventually};

const TTL: Duration = Duration::from_secs(2);
const SWAPPED: &str = "the source table has changed, reading it anew";

fn hints(fleet: &Fleet) -> String {
    fleet.status()["hints"].to_string()
}

/// A backfill of this day, and its run.
fn backfilled(fleet: &Fleet, day: &str, more: &[&str]) -> String {
    let days = ["backfill", "--from", day, "--to", day, "--json"];
    let asked = fleet.succeed("scheduler", &[&days, more].concat());
    let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
    asked["run"].to_string()
}

/// No statement fails: the columns have the same names. Nobody would ever look again.
#[tokio::test]
async fn a_table_that_is_not_what_it_was_is_read_anew_by_everybody() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 300, &[]);
    let (scheduler, mut worker) = (fleet.scheduler(), fleet.worker());
    fleet.judged(2 * SOON).await;
    let altered = "ALTER TABLE spot_records MODIFY COLUMN timer_name String";
    fleet.clickhouse.execute(altered).await;
    scheduler.logged(SWAPPED, SOON).await;
    worker.logged(SWAPPED, SOON).await;
    fleet.simulate("today", 200, &[]);
    fleet.judged(2 * SOON).await;

    // Another one of the same name. A server without a UUID, as this one, tells nobody that it is the plant's still, so
    // a worker that joins takes the queue for another fleet's.
    worker.kill();
    for sql in [
        "CREATE TABLE other AS spot_records",
        "EXCHANGE TABLES spot_records AND other",
    ] {
        fleet.clickhouse.execute(sql).await;
    }
    eventually("the other table is seen", SOON, async || {
        (scheduler.log().matches(SWAPPED).count() == 2).then_some(())
    })
    .await;
    fleet.simulate("today", 100, &[]);
    eventually("its rows are sliced", SOON, async || {
        (fleet.queue.count("pending").await > 0).then_some(())
    })
    .await;
}

/// The partition is away for a moment. Closed meanwhile, the run would judge nothing, and nothing would tell.
#[tokio::test]
async fn a_run_that_is_to_judge_rows_again_waits_for_a_day_that_is_away() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (day, other) = (day_before(5), day_before(4));
    fleet.simulate(&day, 300, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let run = backfilled(&fleet, &day, &["--force"]);
    let partition = |verb: &str| format!("ALTER TABLE spot_records {verb} PARTITION {day}");
    fleet.clickhouse.execute(&partition("DETACH")).await;
    // Nothing is to be found on a day that was empty when it was asked for.
    fleet.simulate(&other, 10, &[]);
    backfilled(&fleet, &other, &["--force"]);
    let scheduler = fleet.scheduler();
    scheduler.logged("rows of the run are gone", SOON).await;
    hands.judge_all().await;
    let closed = "weld_runs FINAL WHERE state = 'closed'";
    eventually("the other run is closed", SOON, async || {
        hands.judge_all().await;
        (fleet.clickhouse.count(closed).await == 1).then_some(())
    })
    .await;
    let said = hints(&fleet);
    let gone = format!("300 rows of run {run} are gone");
    assert!(said.contains(&gone), "{said}");

    fleet.clickhouse.execute(&partition("ATTACH")).await;
    hands.pending_rows(300).await;
    hands.judge_all().await;
    eventually("the run is closed", SOON, async || {
        (fleet.clickhouse.count(closed).await == 2).then_some(())
    })
    .await;
    let judged = format!("spot_records WHERE alg_run = {run}");
    assert_eq!(fleet.clickhouse.count(&judged).await, 300);
}

#[tokio::test]
async fn a_pause_that_nobody_saw_lost_is_told_until_somebody_resumes() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let mut scheduler = fleet.scheduler();
    scheduler.ready().await;
    fleet.succeed("scheduler", &["pause", "--reason", "tip dress"]);
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended(SOON).await;
    let _: String = fleet.queue.command(&["FLUSHALL"]).await;

    let mut scheduler = fleet.scheduler();
    let told = "the fleet was paused and redis forgot that";
    scheduler.logged(told, SOON).await;
    assert!(scheduler.log().contains("tip dress"));
    let lost = "weld_events WHERE what = 'pause lost'";
    eventually("it is kept", SOON, async || {
        (fleet.clickhouse.count(lost).await == 1).then_some(())
    })
    .await;
    let said = hints(&fleet);
    assert!(said.contains("Redis forgot that"), "{said}");
    eventually("it is counted", SOON, async || {
        let code = ["\"pause_lost\""];
        let told = scheduler.metric_if_any("weldfleet_attention", &code).await;
        (told? == 1.0).then_some(())
    })
    .await;
    // Who leads next tells it no second time.
    scheduler.signal(Signal::SIGTERM);
    scheduler.ended(SOON).await;
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    assert_eq!(fleet.clickhouse.count(lost).await, 1);

    let said = fleet.succeed("scheduler", &["resume"]);
    assert_eq!(said, "was not paused\n");
    let said = hints(&fleet);
    assert!(!said.contains("Redis forgot that"), "{said}");
}

/// Of the rows that there are, whose verdict is committed and in no mirror yet.
async fn a_tenth_is_nok(fleet: &Fleet) {
    let sql = "UPDATE spot_records SET alg_complete_time = now64(3), alg_status = 'ok', final_result = 'NOK', alg_run = 0, \
               alg_token = 5, alg_job = 'j' WHERE record_id % 10 = 0";
    fleet.clickhouse.execute(sql).await;
}

/// `weld_runs` is as it was before the run was asked for; its jobs are in Redis.
#[tokio::test]
async fn jobs_of_a_run_that_was_lost_are_told_and_can_be_taken_off() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = day_before(5);
    fleet.simulate(&day, 300, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let _scheduler = fleet.scheduler();
    let run = backfilled(&fleet, &day, &[]);
    hands.pending_rows(300).await;
    fleet.clickhouse.execute("TRUNCATE TABLE weld_runs").await;
    let said = hints(&fleet);
    let unknown = format!("jobs of run {run} are in the queue, and weld_runs does not know it");
    assert!(said.contains(&unknown), "{said}");
    let said = fleet.succeed("scheduler", &["backfill", "cancel", &run]);
    assert!(said.contains("1 jobs of it left the queue"), "{said}");
    assert_eq!(hands.outstanding().await, 0);
    assert!(!hints(&fleet).contains(&unknown));
    let (code, _, why) = common::text(&fleet.run("scheduler", &["backfill", "cancel", &run]));
    assert!(code == 2 && why.contains("there is no run"), "{why}");
}

#[tokio::test]
async fn a_mirror_without_its_unique_key_is_not_written_until_it_has_it_again() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 50, &[]);
    a_tenth_is_nok(&fleet).await;
    let lose = "ALTER TABLE nok_records DROP KEY weldfleet_weld";
    fleet.mysql.execute(lose).await;
    let scheduler = fleet.scheduler();
    scheduler
        .logged("the mirror is not looked after", SOON)
        .await;
    eventually("status says why", SOON, async || {
        let causes = fleet.status()["causes"].to_string();
        (causes.contains("no unique key over") && causes.contains("do what it says")).then_some(())
    })
    .await;
    assert_eq!(fleet.mysql.count("nok_records").await, 0);
    fleet.migrate();
    eventually("the mirror is written", SOON, async || {
        (fleet.mysql.count("nok_records").await == 5).then_some(())
    })
    .await;
}

/// Many days of which one at a time is looked at; a restore took the records of one away.
#[tokio::test]
async fn an_older_day_that_mysql_lacks_is_told() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let older = day_before(9);
    fleet.simulate(&older, 50, &[]);
    a_tenth_is_nok(&fleet).await;
    let told = fleet.succeed("scheduler", &["status"]);
    let lack = "older days: 5 of 5 NOK rows missing on 1 days";
    assert!(told.contains(lack), "{told}");
    let _scheduler = fleet.scheduler();
    eventually("they are mirrored", SOON, async || {
        (fleet.mysql.count("nok_records").await == 5).then_some(())
    })
    .await;
    let told = fleet.succeed("scheduler", &["status"]);
    assert!(!told.contains("older days:"), "{told}");
}
