//! The queue as the whole product sees it: whose it is, and a Redis that answers but refuses.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::process::Output;

use common::{Hands, SOON, day_before};
use weldfleet_queue::NewJob;
use weldfleet_tests::{Fleet, eventually};

fn told(output: &Output) -> (i32, String) {
    let text =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (output.status.code().unwrap_or(-1), text.concat())
}

#[tokio::test]
async fn a_queue_belongs_to_one_table() {
    let mut fleet = Fleet::start().await;
    fleet.lenient(true);
    fleet.migrate();
    fleet.simulate("today", 1000, &[]);
    let mut scheduler = fleet.scheduler();
    scheduler.ready().await;
    let stamp: String = fleet
        .queue
        .command(&["GET", "weldfleet:{infer}:owner"])
        .await;
    assert!(
        stamp.starts_with("weld.spot_records at http://127.0.0.1:"),
        "{stamp}"
    );

    // Another table's fleet with the same queue: nothing of it starts, everything names the key and the owner.
    fleet.set("tables.source_table", "other_records");
    fleet.migrate();
    for (binary, arguments) in [
        ("scheduler", &["run"][..]),
        ("worker", &["run"]),
        ("scheduler", &["jobs", "list"]),
        ("scheduler", &["jobs", "drop", "x"]),
    ] {
        let (code, text) = told(&fleet.run(binary, arguments));
        assert_eq!(code, 2, "{arguments:?}: {text}");
        for part in ["redis.queue", "weld.spot_records at", "take-queue"] {
            assert!(text.contains(part), "{arguments:?}: {text}");
        }
    }
    let (code, text) = told(&fleet.run("worker", &["check"]));
    assert!(
        code != 0 && text.contains("redis.queue") && text.contains("weld.spot_records at"),
        "{text}"
    );
    let (code, text) = told(&fleet.run("scheduler", &["jobs", "take-queue"]));
    assert!(
        code == 1 && text.contains("in use by 0 workers and scheduler"),
        "{text}"
    );
    // After a restore onto another server this is what is needed first.
    for (arguments, done) in [
        (&["pause"][..], "paused: nothing new is claimed"),
        (&["resume"], "resumed: workers claim again"),
        (&["status"], "leader"),
    ] {
        let (code, text) = told(&fleet.run("scheduler", arguments));
        assert_eq!(code, i32::from(arguments == ["status"]), "{text}");
        for part in [done, "weld.spot_records at", "take-queue"] {
            assert!(text.contains(part), "{arguments:?}: {text}");
        }
    }

    // A queue of its own is all it needs.
    fleet.set("redis.queue", "other");
    let (code, text) = told(&fleet.run("scheduler", &["jobs", "list"]));
    assert_eq!(code, 0, "{text}");
    fleet.set("redis.queue", "infer");

    // Nobody works on it any more: it can be taken, and its jobs are made anew for whoever has it.
    eventually("the jobs of the first", SOON, async || {
        (fleet.queue.count("pending").await == 1).then_some(())
    })
    .await;
    scheduler.signal(nix::sys::signal::Signal::SIGTERM);
    scheduler.ended(SOON).await;
    let taken = fleet.succeed("scheduler", &["jobs", "take-queue"]);
    assert!(
        taken.contains("belongs to weld.other_records at") && taken.contains("1 outstanding"),
        "{taken}"
    );
    assert_eq!(fleet.queue.count("pending").await, 0);
    fleet.scheduler().ready().await;

    // The same table, renamed, is the same owner.
    fleet
        .clickhouse
        .execute("RENAME TABLE weld.other_records TO weld.renamed")
        .await;
    fleet.set("tables.source_table", "renamed");
    let (code, text) = told(&fleet.run("scheduler", &["pause"]));
    assert_eq!(code, 0, "{text}");
}

#[tokio::test]
async fn a_redis_that_refuses_writes_is_said_to_by_everybody_in_its_own_words() {
    let mut fleet = Fleet::start().await;
    fleet.lenient(true);
    fleet.migrate();
    fleet.simulate(&day_before(0), 1000, &[]);
    let (scheduler, worker) = (fleet.scheduler(), fleet.worker());
    scheduler.ready().await;
    worker.ready().await;
    fleet.judged(SOON).await;

    fleet
        .queue
        .command::<()>(&["CONFIG", "SET", "maxmemory", "1"])
        .await;
    for process in [&scheduler, &worker] {
        eventually("/readyz says why", SOON, async || {
            let (status, body) = process.get("/readyz").await;
            (status == 503 && body.contains("OOM command not allowed")).then_some(())
        })
        .await;
        let up = process
            .metric("weldfleet_dependency_up", &["\"redis\""])
            .await;
        assert_eq!(up, 0.0);
    }
    let (code, text) = told(&fleet.run("scheduler", &["status"]));
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("refuses writes: OOM command not allowed") && text.contains("maxmemory"),
        "{text}"
    );
    assert!(
        !text.contains("scheduler run"),
        "a running one is not to be started: {text}"
    );
    let (code, text) = told(&fleet.run("worker", &["check"]));
    assert!(code == 3 && text.contains("refuses writes: OOM"), "{text}");

    fleet
        .queue
        .command::<()>(&["CONFIG", "SET", "maxmemory", "0"])
        .await;
    scheduler.ready().await;
    worker.ready().await;
    fleet.simulate(&day_before(0), 1000, &[]);
    fleet.judged(SOON).await;
    assert_eq!(told(&fleet.run("scheduler", &["status"])).0, 0);
    let attempts: Vec<_> = fleet
        .queue
        .jobs("done")
        .await
        .into_iter()
        .map(|job| job["attempts"].clone())
        .collect();
    assert!(
        attempts.iter().all(|attempts| attempts == "1"),
        "{attempts:?}"
    );
}

/// Somebody has put it into Redis by hand: a part of a path would be made of its id.
#[tokio::test]
async fn a_job_whose_id_leads_out_of_the_folder_is_buried() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let hands = Hands::new(&fleet, SOON).await;
    let job = NewJob::new("../../outside").weight(1);
    hands.queue.enqueue(&[job]).await.unwrap();
    let _worker = fleet.worker();
    let dead = eventually("it is buried", 2 * SOON, async || {
        let dead = fleet.queue.jobs("dead").await;
        (!dead.is_empty()).then_some(dead)
    })
    .await;
    let why = format!("{dead:?}");
    assert!(why.contains("no part of an audit file"), "{why}");
}
