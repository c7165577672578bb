//! Settling finished days: by the leader, by command, beside workers that write, after a crash; and what `migrate`
//! asks.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::{Duration, Instant};

use common::{Hands, SOON, day_before, lease, text};
use nix::sys::signal::Signal;
use serde_json::Value;
use weldfleet_queue::{Job, Renewal, Settlement};
use weldfleet_tests::{
    Fleet, Process, Service, eventually,
    status::{codes, named, status},
};

const TTL: Duration = Duration::from_secs(2);

/// Rows of a day that a backup would take with their verdicts.
async fn settled_rows(fleet: &Fleet, day: &str) -> u64 {
    fleet
        .clickhouse
        .count(&format!(
            "spot_records WHERE data_date = {day} AND alg_complete_time IS NOT NULL SETTINGS apply_patch_parts = 0"
        ))
        .await
}

fn unsettled(fleet: &Fleet) -> Value {
    fleet.status()["patches"]["days_unsettled"].clone()
}

#[tokio::test]
async fn the_leader_settles_what_is_complete_and_goes_on_after_a_crash() {
    let fleet = Fleet::with(&[("tables.settle_after", "1s")]).await;
    fleet.migrate();
    let (yesterday, older) = (day_before(1), day_before(3));
    fleet.simulate(&yesterday, 1500, &[]);
    fleet.simulate(&older, 100, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let mut scheduler = fleet.scheduler();
    hands.pending_rows(1500).await;
    let (first, second) = (
        hands.claim(1).await.remove(0),
        hands.claim(1).await.remove(0),
    );
    hands.judge(&first).await;
    // The verdicts of the second are written, but its lease is not ended: there is no row left, and a job outstanding.
    hands
        .table
        .mark(
            second.token,
            &second.id,
            &common::range(&second),
            weldfleet_weld::Status::Ok,
            "",
        )
        .await
        .unwrap();
    hands
        .queue
        .settle(&lease(&second), Settlement::bury("wait"))
        .await
        .unwrap();
    assert_eq!(unsettled(&fleet), serde_json::json!([yesterday]));
    let settle = ["settle", "--from", &older, "--to", "today"];
    let (code, out, err) = text(&fleet.run("scheduler", &settle));
    assert_eq!(
        (code, out),
        (
            4,
            format!("{yesterday} is not settled: {yesterday} has 1 outstanding jobs\n")
        ),
        "{err}"
    );
    assert_eq!(settled_rows(&fleet, &yesterday).await, 0);
    scheduler.signal(Signal::SIGTERM);
    assert!(scheduler.ended(SOON).await.success());

    // The first leader dies while the fleet stands still for it.
    let mut command = fleet.command("scheduler", &["run", "--log-format", "json"]);
    command.env("FAILPOINTS", "scheduler::settle_paused=return(abort)");
    let dies = Process::start(command, fleet.folder());
    hands.queue.requeue(&second.id).await.unwrap();
    hands.judge_all().await;
    eventually(
        "the leader died and left its pause behind",
        SOON,
        async || hands.queue.paused().await.unwrap(),
    )
    .await;
    drop(dies);
    assert_eq!(settled_rows(&fleet, &yesterday).await, 0);
    let mut scheduler = fleet.scheduler();
    let settled = async || {
        eventually(
            "the day is settled and the fleet goes on",
            SOON,
            async || {
                let settled = settled_rows(&fleet, &yesterday).await;
                (settled == 1500 && hands.queue.paused().await.unwrap().is_none()).then_some(())
            },
        )
        .await;
    };
    settled().await;
    assert_eq!(unsettled(&fleet), serde_json::json!([]));
    eventually("metrics say so", SOON, async || {
        let (_, metrics) = scheduler.get("/metrics").await;
        let told = metrics.contains("weldfleet_dates_unsettled 0")
            && metrics.contains("weldfleet_patch_limit_bytes 32212254720")
            && metrics.contains("weldfleet_settlements_total{outcome=\"done\"} 1")
            && metrics.contains("# HELP weldfleet_patch_bytes ");
        told.then_some(())
    })
    .await;
    let shown = fleet.succeed("scheduler", &["status"]);
    assert!(shown.contains("every finished day is settled"), "{shown}");

    // Whoever dies while the server is at it leaves the rest to the server, and the pause to the next leader.
    scheduler.signal(Signal::SIGTERM);
    assert!(scheduler.ended(SOON).await.success());
    fleet
        .clickhouse
        .execute(&format!(
            "UPDATE spot_records SET alg_error = 'by hand' WHERE data_date = {yesterday}"
        ))
        .await;
    assert_eq!(unsettled(&fleet), serde_json::json!([yesterday]));
    let settle = ["settle", "--from", &yesterday, "--to", &yesterday];
    let mut command = fleet.command("scheduler", &settle);
    command.env("FAILPOINTS", "scheduler::settle_applying=return(abort)");
    let died = command.output().unwrap();
    assert!(!died.status.success(), "{:?}", text(&died));
    assert!(hands.queue.paused().await.unwrap().is_some());
    let _scheduler = fleet.scheduler();
    settled().await;
    assert_eq!(unsettled(&fleet), serde_json::json!([]));
    fleet
        .clickhouse
        .execute(&format!(
            "ALTER TABLE spot_records DETACH PARTITION {yesterday}"
        ))
        .await;
}

#[tokio::test]
async fn nothing_is_lost_beside_workers_that_write() {
    let fleet = Fleet::with(&[
        ("scheduler.batch_size", "50"),
        ("tables.settle_after", "1h"),
    ])
    .await;
    fleet.migrate();
    let yesterday = day_before(1);
    fleet.simulate(&yesterday, 2000, &[]);
    let rows = 4000;
    fleet.simulate("today", rows, &[]);
    let _scheduler = fleet.scheduler();
    let hands = Hands::new(&fleet, TTL).await;
    let jobs = hands.pending_rows(u64::from(rows) + 2000).await.len() as u64;
    let done = async || {
        let queue = &hands.queue;
        queue
            .stats()
            .await
            .unwrap()
            .count(weldfleet_queue::State::Done)
    };
    let work = async || {
        let hands = Hands::new(&fleet, TTL).await;
        loop {
            for job in hands.claim(2).await {
                hands.judge(&job).await;
            }
            if hands.outstanding().await == 0 {
                break;
            }
        }
    };
    let settle = async || {
        let mut settled = 0;
        while hands.outstanding().await > 0 {
            let mut command = tokio::process::Command::from(fleet.command(
                "scheduler",
                &["settle", "--from", &yesterday, "--to", &yesterday],
            ));
            settled += u32::from(command.output().await.unwrap().status.success());
        }
        settled
    };
    let (settled, ..) = tokio::join!(settle(), work(), work(), work());
    assert!(settled > 0, "no day was settled meanwhile");

    // Somebody's UPDATE of another day that is under way is waited for.
    fleet
        .clickhouse
        .execute(&format!(
            "UPDATE spot_records SET label_defect = 'none' WHERE data_date = {yesterday}"
        ))
        .await;
    let day = day_before(0);
    let slow = format!(
        "UPDATE spot_records SET umax = 77 + sleepEachRow(0.006) WHERE data_date = {day} AND record_id <= 100 \
         SETTINGS function_sleep_max_microseconds_per_block = 0"
    );
    let under_way = async || {
        let updates = "system.processes WHERE query_kind = 'Update'";
        eventually("the UPDATE has begun", SOON, async || {
            (fleet.clickhouse.count(updates).await == 1).then_some(())
        })
        .await;
        let mut command = tokio::process::Command::from(fleet.command(
            "scheduler",
            &["settle", "--from", &yesterday, "--to", &yesterday],
        ));
        text(&command.output().await.unwrap())
    };
    let (_, (code, out, err)) = tokio::join!(fleet.clickhouse.execute(&slow), under_way());
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(
        fleet.clickhouse.count("spot_records WHERE umax = 77").await,
        100
    );
    fleet.succeed(
        "scheduler",
        &["settle", "--from", &yesterday, "--to", "today", "--wait"],
    );
    assert_eq!(
        fleet
            .clickhouse
            .count("spot_records WHERE alg_complete_time IS NULL")
            .await,
        0
    );
    // A write-back that was lost would have been made again.
    assert_eq!(done().await, jobs);
    assert_eq!(settled_rows(&fleet, &yesterday).await, 2000);
}

/// Yesterday is judged, and today's only job is held.
async fn judged_yesterday(fleet: &Fleet, ttl: Duration) -> (Hands, Process, Job) {
    fleet.migrate();
    let yesterday = day_before(1);
    fleet.simulate(&yesterday, 100, &[]);
    fleet.simulate("today", 100, &[]);
    let hands = Hands::new(fleet, ttl).await;
    let scheduler = fleet.scheduler();
    hands.pending_rows(200).await;
    let jobs = hands.claim(2).await;
    let is_yesterdays = |job: &Job| job.get("day") == Some(&yesterday);
    let (of_yesterday, mut held): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(is_yesterdays);
    hands.judge(&of_yesterday[0]).await;
    (hands, scheduler, held.remove(0))
}

/// The leader waits for another hour; who looks expects a day to wait for seconds.
#[tokio::test]
async fn a_complete_day_that_nobody_settles_is_named_in_time() {
    let mut fleet = Fleet::with(&[("tables.settle_after", "3600s")]).await;
    fleet.migrate();
    let yesterday = day_before(1);
    fleet.simulate(&yesterday, 100, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let leader = fleet.scheduler();
    hands.pending_rows(100).await;
    hands.judge_all().await;
    let judged = Instant::now();
    leader.logged("this scheduler leads", SOON).await;
    fleet.set("tables.settle_after", "1s");
    let mut command = fleet.command("scheduler", &["run", "--log-format", "json"]);
    command.env("WELDFLEET_SETTLED_WITHIN", "1");
    let standby = Process::start(command, fleet.folder());
    standby.ready().await;
    // Twice `tables.settle_after` besides, and 60/9 s for each part, as long as so many may stop the fleet.
    let parts = "system.parts WHERE active AND table = 'spot_records'";
    let parts = fleet.clickhouse.count(parts).await;
    let due = Duration::from_secs(3 + parts * 60 / 9);
    let early = status(&standby).await;
    if judged.elapsed() < due / 2 {
        assert!(!codes(&early).contains(&"days_unsettled"), "{early}");
    }
    let within = due.saturating_sub(judged.elapsed()) + Duration::from_secs(5);
    let cause = named(&standby, "days_unsettled", within).await;
    assert_eq!(cause["alarming"], true);
    let told = cause["what"]["en"].as_str().unwrap();
    assert!(told.contains(&yesterday), "{told}");
}

/// While a day is settled the fleet does not go on; a person's pause takes the place of the settler's and stays.
#[tokio::test]
async fn nobody_resumes_while_a_day_is_settled_and_a_persons_pause_stays() {
    let ttl = Duration::from_secs(30);
    let fleet = Fleet::with(&[
        ("tables.settle_after", "1h"),
        ("lease.ttl", "30s"),
        ("lease.renew_every", "10s"),
    ])
    .await;
    let yesterday = day_before(1);
    let (hands, _scheduler, held) = judged_yesterday(&fleet, ttl).await;
    let settle = || {
        let day = ["settle", "--from", &yesterday, "--to", &yesterday];
        let mut command = tokio::process::Command::from(fleet.command("scheduler", &day));
        tokio::spawn(async move { text(&command.output().await.unwrap()) })
    };
    let pauser = async || Some(hands.queue.paused().await.unwrap()?.by);
    let resume = || text(&fleet.run("scheduler", &["resume"]));

    // A lease is waited for.
    let settling = settle();
    eventually("the fleet stands still for it", SOON, async || {
        pauser().await.filter(|by| by.starts_with("settling, "))
    })
    .await;
    let (code, _, err) = resume();
    assert!(code == 1 && err.contains("goes on by itself, at "), "{err}");
    let told = fleet.status();
    let mut causes = told["causes"].as_array().unwrap().iter();
    let cause = causes.find(|cause| cause["code"] == "settling").unwrap();
    assert_eq!(cause["alarming"], false);
    let paused = fleet.succeed("scheduler", &["pause", "--reason", "tip dress"]);
    assert!(paused.starts_with("paused: "), "{paused}");
    hands.judge(&held).await;
    let (code, out, err) = settling.await.unwrap();
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(settled_rows(&fleet, &yesterday).await, 100);
    assert_eq!(fleet.status()["paused"]["reason"], "tip dress");

    // Patches are applied under that pause.
    for statement in [
        format!("UPDATE spot_records SET alg_error = 'by hand' WHERE data_date = {yesterday}"),
        "SYSTEM STOP MERGES spot_records".to_owned(),
    ] {
        fleet.clickhouse.execute(&statement).await;
    }
    let settling = settle();
    eventually("patches are being applied", SOON, async || {
        hands.table.applying().await.unwrap()
    })
    .await;
    let (code, _, err) = resume();
    assert!(code == 1 && err.contains("applying patches"), "{err}");
    assert_eq!(fleet.status()["paused"]["reason"], "tip dress");
    let go_on = "SYSTEM START MERGES spot_records";
    fleet.clickhouse.execute(go_on).await;
    let (code, out, err) = settling.await.unwrap();
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(
        resume(),
        (
            0,
            "resumed: workers claim again\n".to_owned(),
            String::new()
        )
    );
    assert_eq!(pauser().await, None);
}

/// Whoever settles gives the fleet back, whatever does not end: a lease renewed on and on, or the server's work.
#[tokio::test]
async fn the_fleet_stands_still_no_longer_than_it_may() {
    let fleet = Fleet::with(&[("tables.settle_after", "1h")]).await;
    let yesterday = day_before(1);
    let (hands, _scheduler, held) = judged_yesterday(&fleet, TTL).await;
    let day = ["settle", "--from", &yesterday, "--to", &yesterday];
    let settle = async || {
        let mut command = tokio::process::Command::from(fleet.command("scheduler", &day));
        text(&command.output().await.unwrap())
    };
    let paused = async || hands.queue.paused().await.unwrap().is_some();

    let renewing = async {
        loop {
            let renewed = hands.queue.renew(&hands.worker, &[lease(&held)]).await;
            assert!(matches!(renewed.unwrap().renewals[..], [Renewal::Renewed]));
            tokio::time::sleep(TTL / 4).await;
        }
    };
    let (code, out, err) = tokio::select! {
        told = settle() => told,
        () = renewing => unreachable!("it goes on for ever"),
    };
    let told = out.contains("1 ranges and 0 UPDATEs did not end within");
    assert!(code == 4 && told, "{out}{err}");
    assert!(!paused().await);
    hands.judge(&held).await;

    // The server is at it and does not come to an end.
    let merges = async |what: &str| {
        let sql = format!("SYSTEM {what} MERGES spot_records");
        fleet.clickhouse.execute(&sql).await;
    };
    merges("STOP").await;
    let mut stopped = Process::start(fleet.command("scheduler", &day), fleet.folder());
    eventually("patches are being applied", SOON, async || {
        hands.table.applying().await.unwrap()
    })
    .await;
    let (code, out, err) = settle().await;
    let told = out.contains("the server has been applying patches for");
    assert!(code == 4 && told, "{out}{err}");
    assert!(paused().await, "the first one's pause");
    stopped.signal(Signal::SIGTERM);
    assert_eq!(stopped.ended(SOON).await.code(), Some(4));
    assert!(hands.table.applying().await.unwrap().is_none());
    assert!(!paused().await);
    assert_eq!(settled_rows(&fleet, &yesterday).await, 0);
    merges("START").await;
    let (code, out, err) = settle().await;
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(settled_rows(&fleet, &yesterday).await, 100);
}

/// Beyond the table's limit no row gets a verdict: to wait for those that are left would lead nowhere.
#[tokio::test]
async fn at_the_tables_own_limit_a_day_with_rows_left_is_settled_when_asked() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let yesterday = day_before(1);
    fleet.simulate(&yesterday, 100, &[]);
    let settle = ["settle", "--from", &yesterday, "--to", &yesterday];
    for statement in [
        "UPDATE spot_records SET alg_complete_time = now64(3), alg_status = 'ok' WHERE record_id <= 50",
        "ALTER TABLE spot_records MODIFY SETTING max_uncompressed_bytes_in_patches = 1000000000",
    ] {
        fleet.clickhouse.execute(statement).await;
    }
    let judged = fleet
        .clickhouse
        .count("spot_records WHERE alg_status = 'ok'")
        .await;
    let (code, out, _) = text(&fleet.run("scheduler", &settle));
    let left = format!("{} rows without a verdict", 100 - judged);
    assert!(code == 4 && out.contains(&left), "{out}");
    fleet
        .clickhouse
        .execute("ALTER TABLE spot_records MODIFY SETTING max_uncompressed_bytes_in_patches = 1")
        .await;
    let told = fleet.status();
    assert_eq!(told["patches"]["limit_bytes"], 1);
    let mut causes = told["causes"].as_array().unwrap().iter();
    assert!(
        causes.any(|cause| cause["code"] == "patches_many"),
        "{told}"
    );
    let (code, out, err) = text(&fleet.run("scheduler", &settle));
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(settled_rows(&fleet, &yesterday).await, judged);
}

#[tokio::test]
async fn migrate_asks_before_it_breaks_inserts_and_wrong_credentials_are_named() {
    let mut fleet = Fleet::start().await;
    let create = reqwest::Client::new()
        .post(fleet.services.url(Service::ClickHouse))
        .body("CREATE DATABASE weld");
    assert!(create.send().await.unwrap().status().is_success());
    fleet
        .clickhouse
        .execute(
            "CREATE TABLE spot_records (data_date UInt32, ck_local_time DateTime64(3), record_id UInt64, umax Float32, imax Float32, \
             u_curve Array(Float32), i_curve Array(Float32)) ENGINE = MergeTree ORDER BY record_id",
        )
        .await;
    let insert = "INSERT INTO spot_records VALUES (20261122, 0, 1, 1, 1, [], [])";
    fleet.clickhouse.execute(insert).await;
    let columns = async || {
        fleet
            .clickhouse
            .value("SELECT count() FROM system.columns WHERE table = 'spot_records'")
            .await
    };
    let dry = fleet.succeed("scheduler", &["migrate", "--dry-run"]);
    assert!(
        dry.starts_with("-- weld.spot_records has rows and gets 18 columns.")
            && dry.contains("ALTER TABLE"),
        "{dry}"
    );
    let (code, out, err) = text(&fleet.run("scheduler", &["migrate"]));
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for told in [
        "RowBinary (33",
        "nothing was changed: 18 columns would be added to weld.spot_records; --yes adds them",
    ] {
        assert!(err.contains(told), "{told}\nnot in\n{err}");
    }
    assert_eq!(columns().await, "7");
    fleet.clickhouse.execute(insert).await;
    let done = fleet.succeed("scheduler", &["migrate", "--yes"]);
    assert!(done.contains("add result columns"), "{done}");
    assert_eq!(columns().await, "25");
    assert_eq!(
        fleet.succeed("scheduler", &["migrate"]),
        "nothing to do: every table is as it should be\n"
    );

    fleet.set("clickhouse.user", "weld");
    fleet.set("clickhouse.password", "not-the-one");
    let told = "clickhouse.user = `weld` and clickhouse.password";
    for (binary, command) in [
        ("scheduler", &["migrate"][..]),
        ("scheduler", &["status"]),
        ("worker", &["check"]),
    ] {
        let (code, out, err) = text(&fleet.run(binary, command));
        let all = format!("{out}{err}");
        assert!(
            code != 0 && all.contains(told),
            "{binary} {command:?}: {all}"
        );
        assert!(
            !all.contains("scheduler migrate") && !all.contains("not-the-one"),
            "{binary} {command:?}: {all}"
        );
    }
    let scheduler = fleet.scheduler();
    eventually("the daemon says so", SOON, async || {
        let (_, reasons) = scheduler.get("/readyz").await;
        (reasons.contains(told) && !reasons.contains("scheduler migrate")).then_some(())
    })
    .await;
}
