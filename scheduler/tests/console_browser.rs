//! The console in a real browser, a Chromium that Playwright drives: `tests/browser/console.py`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::Stdio,
};

use common::{
    Hands, SOON,
    console::{PASSWORD, Plant},
    ids, lease,
};
use weldfleet_queue::Settlement;
use weldfleet_testkit::{browser_python, repository};
use weldfleet_tests::{Fleet, eventually};

const NOK: u64 = 120;
const REVIEWED: u64 = 100;

/// Two jobs died of one cause, one of another.
async fn dead_jobs(hands: &Hands) -> (Vec<String>, Vec<String>) {
    let mut dead = hands.claim(3).await;
    let causes = [
        "no such column",
        "the model file is gone",
        "the model file is gone",
    ];
    for (job, cause) in dead.iter().zip(causes) {
        hands
            .queue
            .settle(&lease(job), Settlement::bury(cause))
            .await
            .unwrap();
    }
    let retried = dead.split_off(1);
    (ids(&retried), ids(&dead))
}

/// NOK welds of today, which MySQL has too once somebody leads.
async fn nok_welds(fleet: &Fleet) {
    fleet.simulate("today", 200, &[]);
    fleet
        .clickhouse
        .execute(&format!(
            "UPDATE spot_records SET alg_status = 'ok', final_result = 'NOK', defect = if(record_id % 3 = 0, '小焊核', '飞溅'), \
             decided_by = 'soft_and', ml_nok_prob = 0.912, ml_result = 'NOK', rule_result = 'NOK', \
             model_version = 'resnet-3', alg_complete_time = now64(3) WHERE record_id <= {NOK}"
        ))
        .await;
    eventually("the welds are mirrored", SOON, async || {
        (fleet.mysql.count("nok_records").await == NOK).then_some(())
    })
    .await;
}

async fn browse(fleet: &Fleet, base: &str, more: &[&str]) {
    let pictures = env::var_os("CONSOLE_PICTURES")
        .map_or_else(|| fleet.folder().join("pictures"), PathBuf::from);
    fs::create_dir_all(&pictures).unwrap();
    let mut browser = browser_python();
    browser
        .arg(repository().join("tests/browser/console.py"))
        .arg(base)
        .arg(&pictures)
        .args(more);
    let status = tokio::task::spawn_blocking(move || browser.status());
    assert!(
        status.await.unwrap().unwrap().success(),
        "it says why above"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_every_view_is_there_and_no_action() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let hands = Hands::new(&fleet, SOON).await;
    let day = common::day_before(2);
    fleet.simulate(&day, 3000, &[]);
    fleet.succeed("scheduler", &["backfill", "--from", &day, "--to", &day]);
    hands.pending_rows(3000).await;
    dead_jobs(&hands).await;
    nok_welds(&fleet).await;
    browse(&fleet, &scheduler.http().await, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_and_action_by_mouse_and_keyboard() {
    let plant = Plant::start(&[]).await;
    let (hands, run) = plant.backfilled().await;
    let (retried, dropped) = dead_jobs(&hands).await;
    nok_welds(&plant.fleet).await;
    browse(&plant.fleet, &plant.base, &[PASSWORD, &run]).await;

    let reviewed = "SELECT review_result, COUNT(*), COUNT(review_note) FROM nok_records WHERE reviewed_by = 'reviewer' GROUP BY 1 ORDER BY 1";
    let kept = plant.fleet.mysql.rows(reviewed).await;
    // Of 100 every third, from the first; the 51st, taken back with its note, was made anew without one.
    assert_eq!(
        kept,
        [
            ["confirmed", "34", "4"],
            ["false alarm", "34", "3"],
            ["unsure", "32", "2"]
        ]
    );
    let events = plant
        .fleet
        .clickhouse
        .count("weld_events WHERE what = 'review'")
        .await;
    assert_eq!(events, REVIEWED + 2, "one was taken back and made anew");
    for (what, ids) in [("jobs retry", &retried), ("jobs drop", &dropped)] {
        for id in ids {
            let told = format!(
                "weld_events WHERE what = '{what}' AND on_what = 'job {id}' AND why = 'a test'"
            );
            assert_eq!(plant.fleet.clickhouse.count(&told).await, 1, "{told}");
        }
    }
    let status = plant.fleet.status();
    assert_eq!(status["runs"][0]["state"], "cancelled", "{status}");
    assert_eq!(status["runs"][0]["order"], "newest", "{status}");
    assert!(status["paused"].is_null(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_standby_stays_live_when_the_leader_is_killed() {
    const WHY: &str = "after the kill";
    let fleet = Fleet::start().await;
    fleet.migrate();
    let mut leader = fleet.scheduler();
    leader.logged("this scheduler leads", SOON).await;
    let standby = fleet.scheduler();
    standby.ready().await;
    let mut browser = browser_python()
        .arg(repository().join("tests/browser/standby.py"))
        .args([&standby.http().await, WHY])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(browser.stdout.take().unwrap());
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        told.read_line(&mut line).map(|_| line)
    });
    assert_eq!(line.await.unwrap().unwrap(), "open\n", "it says why above");
    leader.kill();
    standby.logged("this scheduler leads", SOON).await;
    fleet.succeed("scheduler", &["pause", "--reason", WHY]);
    let status = tokio::task::spawn_blocking(move || browser.wait());
    assert!(
        status.await.unwrap().unwrap().success(),
        "it says why above"
    );
}
