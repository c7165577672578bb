//! Two schedulers, and the one that leads ends without a word, comes back late or makes no work.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use weldfleet_tests::{
    Fleet, Process, Service,
    agree::text,
    eventually,
    faults::{FailPoint, PATIENCE, assert_no_attempt_spent, assert_whole, plant},
    fleet::parsed,
    proxy::Proxy,
    status::{codes, named, status},
};

const ROWS: u64 = 5000;
/// 250 ranges: more than are enqueued in one step.
const BATCH: [(&str, &str); 1] = [("scheduler.batch_size", "20")];

/// A scheduler that leads and stands at `gate`.
async fn leader(fleet: &Fleet, gate: &FailPoint) -> Process {
    let leader = fleet.scheduler_with(&[("FAILPOINTS", &gate.armed())]);
    gate.reached().await;
    leader
}

/// A second scheduler, which does not lead.
async fn standby(fleet: &Fleet) -> Process {
    let standby = fleet.scheduler();
    standby.ready().await;
    assert_eq!(role(&standby).await, "standby");
    standby
}

async fn role(scheduler: &Process) -> String {
    let (_, body) = scheduler.get("/").await;
    parsed(&body)["role"].as_str().expect("a role").to_owned()
}

async fn leads(scheduler: &Process) {
    eventually("the standby leads", PATIENCE, async || {
        (role(scheduler).await == "leader").then_some(())
    })
    .await;
}

type Key = (u64, i64, u64);

/// How many outstanding jobs each row is in.
async fn coverage(fleet: &Fleet) -> BTreeMap<Key, u32> {
    let rows = fleet
        .clickhouse
        .rows("SELECT data_date, reinterpretAsInt64(ck_local_time) AS ticks, record_id FROM spot_records")
        .await;
    let number = |text: String| -> i64 { text.parse().unwrap_or_else(|_| panic!("{text}")) };
    let mut coverage: BTreeMap<Key, u32> = rows
        .iter()
        .map(|row| {
            let key = ["data_date", "ticks", "record_id"].map(|name| number(text(row, name)));
            ((key[0].unsigned_abs(), key[1], key[2].unsigned_abs()), 0)
        })
        .collect();
    for state in ["pending", "leased", "delayed", "splitting"] {
        for job in fleet.queue.jobs(state).await {
            let id = |name: &str| -> u64 {
                let id = job[name].strip_prefix("n:").expect("a numeric id");
                id.parse().expect("a number")
            };
            let ticks = |name: &str| number(job[name].clone());
            let day = job["day"].parse().expect("a day");
            let from = (day, ticks("from_ticks"), id("from_id"));
            let to = (day, ticks("to_ticks"), id("to_id"));
            for (_, jobs) in coverage.range_mut(from..=to) {
                *jobs += 1;
            }
        }
    }
    coverage
}

/// Waits until every row is in a job; no row may be in two, then or before.
async fn until_covered_once(fleet: &Fleet) {
    eventually("every row is in a job", PATIENCE, async || {
        let coverage = coverage(fleet).await;
        let twice = coverage.iter().find(|(_, jobs)| **jobs > 1);
        assert!(
            twice.is_none(),
            "a row is in two outstanding jobs: {twice:?}"
        );
        coverage.values().all(|jobs| *jobs == 1).then_some(())
    })
    .await;
}

/// Two workers judge everything, each row once.
async fn judged_once(fleet: &Fleet) {
    let _workers = [fleet.worker(), fleet.worker()];
    fleet.done(PATIENCE).await;
    assert_whole(fleet, ROWS).await;
    assert_no_attempt_spent(fleet).await;
    let results = "SELECT count(), uniqExact(key_hash) FROM weld_results";
    let results = fleet.clickhouse.value(results).await;
    assert_eq!(
        results,
        format!("{ROWS}\t{ROWS}"),
        "results and welds: a row was judged twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_killed_in_the_middle_of_a_plan_the_standby_completes_it() {
    let fleet = plant(&BATCH, "today", ROWS).await;
    let gate = FailPoint::new(&fleet, "scheduler::after_enqueue");
    let mut leader = leader(&fleet, &gate).await;
    let standby = standby(&fleet).await;
    let before = coverage(&fleet).await;
    let covered = before.values().filter(|jobs| **jobs == 1).count();
    assert!(
        covered > 0 && covered < before.len(),
        "the plan is not in its middle: {covered} rows are in jobs"
    );

    leader.kill();
    leads(&standby).await;
    until_covered_once(&fleet).await;
    judged_once(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_comes_back_late_enqueues_nothing() {
    let fleet = plant(&BATCH, "today", ROWS).await;
    let gate = FailPoint::new(&fleet, "scheduler::before_enqueue");
    let late = leader(&fleet, &gate).await;
    let standby = standby(&fleet).await;
    late.signal(Signal::SIGSTOP);
    leads(&standby).await;
    until_covered_once(&fleet).await;
    let jobs = fleet.queue.count("pending").await;

    gate.open();
    late.signal(Signal::SIGCONT);
    late.logged("another scheduler leads now", PATIENCE).await;
    until_covered_once(&fleet).await;
    assert_eq!(fleet.queue.count("pending").await, jobs, "jobs were added");
    judged_once(&fleet).await;
    assert_eq!(
        (role(&late).await, role(&standby).await),
        ("standby".to_owned(), "leader".to_owned())
    );
}

/// A scheduler that reaches ClickHouse through this proxy alone.
async fn scheduler_behind(fleet: &Fleet, proxy: &Proxy) -> Process {
    let url = fleet.services.url(Service::ClickHouse);
    let url = proxy.through(url, fleet.services.port(Service::ClickHouse));
    let scheduler = fleet.scheduler_with(&[("WELDFLEET__CLICKHOUSE__URL", &url)]);
    scheduler.ready().await;
    scheduler
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_does_not_reach_clickhouse_leaves_the_lead_to_one_that_does() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let proxy = Proxy::to(fleet.services.port(Service::ClickHouse)).await;
    let blind = scheduler_behind(&fleet, &proxy).await;
    leads(&blind).await;
    let mut standby = standby(&fleet).await;
    proxy.cut();
    // Whoever sees ClickHouse says who does not.
    let cause = named(&standby, "store_away", PATIENCE).await;
    let what = cause["what"]["en"].as_str().expect("words");
    assert!(
        what.starts_with("clickhouse is away for the leader, "),
        "{what}"
    );
    fleet.simulate("today", 2500, &[]);
    leads(&standby).await;
    assert_eq!(role(&blind).await, "standby");
    // It asks ClickHouse nothing any more, so it knows nothing of it.
    eventually("its gauge is unknown", PATIENCE, async || {
        let gauge = "weldfleet_dependency_up";
        let up = blind.metric(gauge, &["\"clickhouse\""]).await;
        up.is_nan().then_some(())
    })
    .await;
    assert!(!blind.log().contains("works again"), "{}", blind.log());
    until_covered_once(&fleet).await;
    eventually("nothing is away", PATIENCE, async || {
        (!codes(&status(&standby).await).contains(&"store_away")).then_some(())
    })
    .await;

    // Where the other one dies it leads again, as blind as before, long before its minute is over; and alone it stays.
    standby.kill();
    leads(&blind).await;
    proxy.mend();
    let _worker = fleet.worker();
    fleet.judged(PATIENCE).await;
    assert_eq!(role(&blind).await, "leader");
}
