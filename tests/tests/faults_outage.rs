//! Services that go away for a while: an outage is not a failure of the job.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use weldfleet_tests::{
    Fleet, Process, Service,
    agree::Truth,
    eventually,
    faults::{
        FailPoint, LEASE_MS, ONE_AT_A_TIME, PATIENCE, assert_no_attempt_spent, assert_whole, plant,
    },
    queue::Queue,
};

const ROWS: u64 = 3000;

/// How long a service is away: three leases, or 20 s where there is time (`make test-faults`).
fn outage() -> Duration {
    if std::env::var_os("WELDFLEET_LONG_TESTS").is_some() {
        Duration::from_secs(20)
    } else {
        Duration::from_millis(3 * LEASE_MS)
    }
}

/// A plant in the middle of its day: of two workers one stands before judging its fifth range, one between the results
/// and the commit of its fifth. They go on when the gates are opened.
struct HalfWay {
    fleet: Fleet,
    scheduler: Process,
    workers: [Process; 2],
    gates: [FailPoint; 2],
}

impl HalfWay {
    async fn start() -> Self {
        let fleet = plant(&ONE_AT_A_TIME, "today", ROWS).await;
        let scheduler = fleet.scheduler();
        let gates =
            ["worker::fetched", "worker::stored"].map(|point| FailPoint::new(&fleet, point));
        let mut workers = Vec::new();
        for gate in &gates {
            workers.push(fleet.worker_with(&[("FAILPOINTS", &gate.armed_after(3))]));
            gate.reached().await;
        }
        let left = fleet
            .clickhouse
            .count("spot_records WHERE alg_complete_time IS NULL")
            .await;
        assert_eq!(left, ROWS - 6 * 250, "rows left in the middle of the day");
        Self {
            fleet,
            scheduler,
            workers: workers.try_into().unwrap_or_else(|_| unreachable!()),
            gates,
        }
    }

    fn go_on(&self) {
        for gate in &self.gates {
            gate.open();
        }
    }

    async fn until_done(&mut self) {
        // A connection of the test's own may have suffered from the outage.
        self.fleet.queue = Queue::connect(self.fleet.services.url(Service::Redis)).await;
        self.fleet.done(PATIENCE).await;
    }

    /// Both programs say in `/readyz` that they wait for `part`.
    async fn say_they_wait_for(&self, component: &str) {
        let [first, second] = &self.workers;
        for process in [first, second, &self.scheduler] {
            eventually(
                &format!("/readyz names {component}"),
                PATIENCE,
                async || {
                    let (status, body) = process.get("/readyz").await;
                    let body: Value = serde_json::from_str(&body).ok()?;
                    let reasons = body["reasons"].as_array()?;
                    let reason = reasons
                        .iter()
                        .find(|reason| reason["component"] == component)?;
                    let says_why = reason["reason"].as_str().is_some_and(|why| why.len() > 10);
                    (status == 503 && says_why).then_some(())
                },
            )
            .await;
        }
    }

    async fn are_ready(&mut self) {
        for worker in &mut self.workers {
            assert!(worker.running(), "a worker has ended");
            worker.ready().await;
        }
        assert!(self.scheduler.running(), "the scheduler has ended");
        self.scheduler.ready().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stopped_costs_no_attempt() {
    let mut plant = HalfWay::start().await;
    plant.fleet.services.stop(Service::Redis);
    let back_at = Instant::now() + outage();
    plant.go_on();
    plant.say_they_wait_for("redis").await;
    // The outage itself.
    tokio::time::sleep_until(back_at).await;
    plant.fleet.services.start_again(Service::Redis);
    plant.until_done().await;
    plant.are_ready().await;
    assert_whole(&plant.fleet, ROWS).await;
    assert_no_attempt_spent(&plant.fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_stopped_costs_no_attempt() {
    let mut plant = HalfWay::start().await;
    plant.fleet.services.stop(Service::ClickHouse);
    let back_at = Instant::now() + outage();
    plant.go_on();
    plant.say_they_wait_for("clickhouse").await;
    // What the workers held they have given back, and take nothing new.
    eventually("nothing is leased", PATIENCE, async || {
        (plant.fleet.queue.count("leased").await == 0).then_some(())
    })
    .await;
    for job in plant.fleet.queue.jobs("pending").await {
        assert_eq!(
            (job["attempts"].as_str(), job["deaths"].as_str()),
            ("0", "0"),
            "{job:?}"
        );
    }
    tokio::time::sleep_until(back_at).await;
    assert_eq!(
        plant.fleet.queue.count("leased").await,
        0,
        "claimed without ClickHouse"
    );
    plant.fleet.services.start_again(Service::ClickHouse);
    plant.until_done().await;
    plant.are_ready().await;
    assert_whole(&plant.fleet, ROWS).await;
    assert_no_attempt_spent(&plant.fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_frozen_for_two_leases_costs_no_attempt() {
    let mut plant = HalfWay::start().await;
    plant.fleet.services.pause(Service::Redis);
    let back_at = Instant::now() + Duration::from_millis(2 * LEASE_MS);
    plant.go_on();
    tokio::time::sleep_until(back_at).await;
    plant.fleet.services.cont(Service::Redis);
    plant.until_done().await;
    plant.are_ready().await;
    assert_whole(&plant.fleet, ROWS).await;
    assert_no_attempt_spent(&plant.fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_stopped_judging_goes_on_and_the_mirror_catches_up() {
    mysql_away(
        |plant| plant.services.stop(Service::MySql),
        |plant| plant.services.start_again(Service::MySql),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_frozen_judging_goes_on_and_the_mirror_catches_up() {
    mysql_away(
        |plant| plant.services.pause(Service::MySql),
        |plant| plant.services.cont(Service::MySql),
    )
    .await;
}

async fn mysql_away(goes: impl Fn(&Fleet), comes_back: impl Fn(&Fleet)) {
    let mut plant = HalfWay::start().await;
    let mirrored = plant.fleet.mysql.count("nok_records").await;
    goes(&plant.fleet);
    let back_at = Instant::now() + outage();
    plant.go_on();
    plant.until_done().await;
    assert_no_attempt_spent(&plant.fleet).await;
    plant.are_ready().await;
    let shown = plant.fleet.status();
    let causes = shown["causes"].as_array().expect("causes");
    let says_so = |cause: &Value| cause["code"] == "mirror_away";
    assert!(causes.iter().any(says_so), "the lag does not show: {shown}");
    eventually("the scheduler's metrics show it", PATIENCE, async || {
        let (_, metrics) = plant.scheduler.get("/metrics").await;
        metrics.contains("weldfleet_mirror_up 0").then_some(())
    })
    .await;
    // Neither does each range wait for it: after a failure it is left alone for a while.
    let mut skipped = 0.0;
    for worker in &plant.workers {
        let up = worker
            .metric("weldfleet_dependency_up", &["\"mysql\""])
            .await;
        assert_eq!(up, 0.0, "a worker that has met it");
        skipped += worker.metric("weldfleet_mirror_skipped_total", &[]).await;
    }
    assert!(skipped > 0.0, "each range has waited for mysql");

    // The outage itself.
    tokio::time::sleep_until(back_at).await;
    comes_back(&plant.fleet);
    let nok = Truth::read(&plant.fleet.clickhouse, "spot_records")
        .await
        .counts()
        .nok;
    assert!(
        nok > mirrored,
        "the outage left nothing to catch up with: {nok} NOK, {mirrored} were mirrored"
    );
    eventually("the mirror catches up", PATIENCE, async || {
        let status = plant.fleet.status();
        let days = status["mirror"].as_array()?;
        let sum: u64 = days.iter().filter_map(|day| day["mirrored"].as_u64()).sum();
        let equal = days.iter().all(|day| day["equal"] == true);
        (equal && sum == nok).then_some(())
    })
    .await;
    assert_whole(&plant.fleet, ROWS).await;
    // No range is left to find out that it works.
    for worker in &plant.workers {
        eventually("each worker's metrics say so", PATIENCE, async || {
            let up = worker
                .metric("weldfleet_dependency_up", &["\"mysql\""])
                .await;
            (up == 1.0).then_some(())
        })
        .await;
    }
}
