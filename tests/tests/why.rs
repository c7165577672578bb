//! Why nothing moves, as an undisturbed fleet and its workers tell it.

use std::{cell::Cell, fs, time::Duration};

use serde_json::Value;
use weldfleet_tests::{
    Fleet, Process, Service, eventually,
    faults::{FailPoint, PATIENCE},
    status::{codes, named, status},
};

/// How soon a cause is named.
const WITHIN: Duration = Duration::from_secs(5);

/// Rows left on the live days.
fn left(report: &Value) -> u64 {
    sum(report, "left")
}

/// All rows of them.
fn total(report: &Value) -> u64 {
    sum(report, "total")
}

fn sum(report: &Value, what: &str) -> u64 {
    let days = report["days"].as_array().expect("days").iter();
    days.filter_map(|day| day[what].as_u64()).sum()
}

/// A fleet with nothing to do: its scheduler and its worker.
async fn at_rest(fleet: &Fleet) -> (Process, Process) {
    let worker = || fleet.worker();
    at_rest_with(fleet, worker).await
}

async fn at_rest_with(fleet: &Fleet, worker: impl Fn() -> Process) -> (Process, Process) {
    fleet.migrate();
    let (scheduler, worker) = (fleet.scheduler(), worker());
    worker.ready().await;
    scheduler.ready().await;
    named(&scheduler, "nothing_to_do", PATIENCE).await;
    (scheduler, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undisturbed_day_names_no_cause_and_its_end_says_that_there_is_nothing_to_do() {
    let fleet = Fleet::start().await;
    // The first ranges are held until two looks have seen them.
    let judging = FailPoint::new(&fleet, "worker::fetched");
    let armed = judging.armed_for(1000);
    let held = || fleet.worker_with(&[("FAILPOINTS", &armed)]);
    let (scheduler, worker) = at_rest_with(&fleet, held).await;
    let looks = Cell::new(0);
    for (rows, since, until) in [(8000, "06:00", "10:00"), (16_000, "10:00", "14:00")] {
        fleet.simulate("today", 8000, &["--since", since, "--until", until]);
        eventually("they are judged", PATIENCE, async || {
            let report = status(&scheduler).await;
            if left(&report) == 0 {
                // A look is good for a second: it may not have seen them yet.
                return (total(&report) == rows).then_some(());
            }
            assert!(codes(&report).is_empty(), "{report}");
            looks.set(looks.get() + 1);
            if looks.get() == 2 {
                judging.open();
            }
            None
        })
        .await;
    }
    let end = named(&scheduler, "nothing_to_do", PATIENCE).await;
    assert_eq!(end["alarming"], false);
    assert_eq!(codes(&status(&scheduler).await), ["nothing_to_do"]);

    // What the worker tells of itself.
    let told = eventually("the worker tells its pace", PATIENCE, async || {
        let report = status(&scheduler).await;
        let fields = report["workers"][0]["fields"].clone();
        fields["rows_per_second"].is_string().then_some(fields)
    })
    .await;
    for (name, value) in [("provider", "cpu"), ("precision", "f32"), ("waits_for", "")] {
        assert_eq!(told[name], value, "{told}");
    }
    let address = told["address"].as_str().expect("an address");
    assert_eq!(format!("http://{address}"), worker.http().await);
    let free = told["save_dir_free_bytes"].as_str().expect("its disk");
    assert!(free.parse::<u64>().is_ok_and(|bytes| bytes > 0), "{told}");
}

/// With the leases of a plant: an entry in the list of workers outlives its worker by half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn that_the_last_worker_died_is_named() {
    let leases = [("lease.ttl", "30s"), ("lease.renew_every", "10s")];
    let fleet = Fleet::with(&leases).await;
    let (scheduler, mut worker) = at_rest(&fleet).await;
    worker.kill();
    let cause = named(&scheduler, "no_worker", WITHIN).await;
    assert_eq!(cause["alarming"], true);
    assert_eq!(
        codes(&fleet.status()),
        ["no_worker"],
        "the command says it, too"
    );
    // Redis stood still for longer than a worker may be silent: nobody died.
    let worker = fleet.worker();
    worker.ready().await;
    named(&scheduler, "nothing_to_do", PATIENCE).await;
    for _ in 0..2 {
        fleet.services.pause(Service::Redis);
        named(&scheduler, "store_away", WITHIN).await;
        fleet.services.cont(Service::Redis);
        eventually("redis is back", PATIENCE, async || {
            let report = status(&scheduler).await;
            let codes = codes(&report);
            assert!(!codes.contains(&"no_worker"), "{report}");
            (!codes.contains(&"store_away")).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_worker_waits_for_is_named() {
    // As shipped: rows wait for more rows, and for the leader's look.
    let shipped = [
        ("scheduler.poll_interval", "2s"),
        ("scheduler.max_wait", "1300ms"),
    ];
    let fleet = Fleet::with(&shipped).await;
    let (scheduler, _worker) = at_rest(&fleet).await;

    // The folder of the audit files is none any more.
    fs::create_dir_all(fleet.save_dir()).expect("folder");
    fs::remove_dir_all(fleet.save_dir()).expect("remove");
    fs::write(fleet.save_dir(), "in the way").expect("write");
    fleet.simulate("today", 200, &[]);
    let cause = named(&scheduler, "workers_wait", WITHIN).await;
    let what = cause["what"]["en"].as_str().expect("words");
    assert!(what.contains("save_dir: "), "{what}");
    fs::remove_file(fleet.save_dir()).expect("remove");
    fleet.judged(PATIENCE).await;
    named(&scheduler, "nothing_to_do", PATIENCE).await;

    // ClickHouse answers, and refuses what a worker needs.
    fleet
        .clickhouse
        .execute("RENAME TABLE weld_results TO away")
        .await;
    fleet.simulate("today", 200, &[]);
    let cause = named(&scheduler, "store_refuses", WITHIN).await;
    let what = cause["what"]["en"].as_str().expect("words");
    assert!(
        what.starts_with("clickhouse") && what.contains("weld_results"),
        "{what}"
    );
    fleet
        .clickhouse
        .execute("RENAME TABLE away TO weld_results")
        .await;
    fleet.judged(PATIENCE).await;
    named(&scheduler, "nothing_to_do", PATIENCE).await;
}
