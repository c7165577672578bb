//! Alerts: a fault of real services, and a real Prometheus that fires for it. `tests/tests/monitoring.rs` has those
//! that a worker brings about.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use common::{Hands, SOON, configure, day_before, lease};
use weldfleet_queue::{Settlement, State};
use weldfleet_tests::{
    Fleet, Process, Service, eventually,
    prometheus::{FAULT, Prometheus},
    proxy::Proxy,
    queue::Queue,
};

const TTL: Duration = Duration::from_secs(2);
/// More than may be outstanding, and than may run out without an alert.
const JOBS: u32 = 12;

/// A fleet whose worker is made by hand, and who watches it.
struct Plant {
    fleet: Fleet,
    hands: Hands,
    scheduler: Process,
    prometheus: Prometheus,
}

impl Plant {
    async fn start() -> Self {
        let fleet = Fleet::with(&[
            ("scheduler.batch_size", "100"),
            ("scheduler.max_outstanding", &JOBS.to_string()),
            ("scheduler.hit_streaks", "{ resistance_peak = 3 }"),
        ])
        .await;
        fleet.migrate();
        let hands = Hands::new(&fleet, TTL).await;
        let scheduler = fleet.scheduler();
        scheduler.ready().await;
        let prometheus = Prometheus::start(&scheduler, fleet.folder(), &FAULT).await;
        Self {
            fleet,
            hands,
            scheduler,
            prometheus,
        }
    }

    /// The worker is listed as alive from now on.
    fn worker_lives(&self) {
        let (queue, worker) = (self.hands.queue.clone(), self.hands.worker.clone());
        tokio::spawn(async move {
            loop {
                // Redis may be away.
                let _ = queue.register(&worker, &BTreeMap::new()).await;
                tokio::time::sleep(TTL / 4).await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_nobody_does_fires_its_alerts() {
    let fault = Instant::now();
    let plant = Plant::start().await;
    let (fleet, hands) = (&plant.fleet, &plant.hands);
    let mut standby = fleet.scheduler();
    standby.ready().await;
    plant.prometheus.fires(fault, &["WeldfleetNoWorker"]).await;
    plant.worker_lives();
    let fault = Instant::now();
    standby.kill();
    fleet.simulate(&day_before(5), 50, &[]);
    let weld = "SELECT toUInt32(formatDateTime(now('Asia/Shanghai'), '%Y%m%d')), now64(3), number, 'A', 'ok', now64(3), \
                '[{\"rule\":\"resistance_peak\",\"level\":\"warn\",\"t_ms\":200.0,\"value\":0.05,\"limit\":0.04}]' FROM numbers(3)";
    let columns =
        "data_date, ck_local_time, record_id, spot_name, alg_status, alg_complete_time, rule_hits";
    let sql = format!("INSERT INTO spot_records ({columns}) {weld}");
    fleet.clickhouse.execute(&sql).await;

    // One row kills whoever claims it.
    fleet.simulate("today", 1, &[]);
    eventually("it is given up", SOON, async || {
        hands.claim(1).await;
        let given_up = "spot_records WHERE alg_status = 'poison'";
        (fleet.clickhouse.count(given_up).await == 1).then_some(())
    })
    .await;

    // A timer's clock is years ahead.
    let ahead = "INSERT INTO spot_records (data_date, ck_local_time, record_id) VALUES (20991231, now64(3), 4000000)";
    fleet.clickhouse.execute(ahead).await;

    // Everything else fails for good.
    fleet.simulate("today", 300, &["--until", "06:00"]);
    hands.pending_rows(300).await;
    let jobs = hands.claim(10).await;
    for job in &jobs {
        hands
            .queue
            .settle(&lease(job), Settlement::bury("broken"))
            .await
            .unwrap();
    }
    plant
        .prometheus
        .fires(
            fault,
            &[
                "WeldfleetTargetDown",
                "WeldfleetHitStreaks",
                "WeldfleetOlderRows",
                "WeldfleetRowsMisdated",
                "WeldfleetRowsPoison",
                "WeldfleetDeadLetters",
                "WeldfleetOnlyDead",
            ],
        )
        .await;

    // Somebody edits one of them.
    let fault = Instant::now();
    let record = Queue::key(&format!("job:{}", jobs[0].id));
    let _: u64 = fleet
        .queue
        .command(&["HSET", &record, "from_ticks", "x"])
        .await;
    plant
        .prometheus
        .fires(fault, &["WeldfleetJobsUnreadable", "WeldfleetLeaderWaits"])
        .await;
    for job in hands.queue.list(State::Dead, 0, 10).await.unwrap().jobs {
        assert!(hands.queue.drop_job(&job.id).await.unwrap());
    }

    // More comes than the queue may hold, and nobody works.
    let fault = Instant::now();
    fleet.simulate("today", JOBS * 100, &["--since", "06:00"]);
    eventually("the queue is full", SOON, async || {
        (fleet.queue.count("pending").await == u64::from(JOBS)).then_some(())
    })
    .await;
    eventually("rows pile up", SOON, async || {
        fleet.simulate("today", 20, &[]);
        let fired = plant.prometheus.fired_since(fault).await;
        fired.contains("WeldfleetRowsPileUp").then_some(())
    })
    .await;
    fleet.succeed("scheduler", &["pause", "--reason", "tip dress"]);
    plant
        .prometheus
        .fires(
            fault,
            &[
                "WeldfleetBackPressure",
                "WeldfleetWaitsLong",
                "WeldfleetPaused",
                "WeldfleetHeldLong",
            ],
        )
        .await;
    // Redis forgets the pause.
    let _: u64 = fleet.queue.command(&["DEL", &Queue::key("paused")]).await;
    eventually("somebody is told", SOON * 2, async || {
        let fires =
            r#"ALERTS{alertname="WeldfleetAttention", code="pause_lost", alertstate="firing"}"#;
        let fires = plant.prometheus.query(fires).await;
        (!fires.is_empty()).then_some(())
    })
    .await;
    fleet.succeed("scheduler", &["resume"]);
    let fault = Instant::now();
    assert_eq!(hands.claim(JOBS).await.len(), JOBS as usize);
    plant
        .prometheus
        .fires(fault, &["WeldfleetWorkersDie"])
        .await;
}

/// The standby's network to ClickHouse is cut: everything is judged, and nobody is to be woken.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_cut_off_has_a_warning_of_its_own() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (scheduler, _worker) = (fleet.scheduler(), fleet.worker());
    scheduler.ready().await;
    eventually("it leads", SOON, async || {
        let leads = scheduler.metric("weldfleet_scheduler_leader", &[]).await;
        (leads == 1.0).then_some(())
    })
    .await;
    let port = fleet.services.port(Service::ClickHouse);
    let proxy = Proxy::to(port).await;
    let url = proxy.through(fleet.services.url(Service::ClickHouse), port);
    let standby = fleet.scheduler_with(&[("WELDFLEET__CLICKHOUSE__URL", &url)]);
    standby.ready().await;
    let prometheus = Prometheus::start(&scheduler, fleet.folder(), &FAULT).await;
    eventually("both are scraped", SOON, async || {
        (prometheus.answering("scheduler").await.len() == 2).then_some(())
    })
    .await;
    let fault = Instant::now();
    proxy.cut();
    prometheus.fires(fault, &["WeldfleetStandbyUnfit"]).await;
    let fired = prometheus.fired_since(fault).await;
    assert!(!fired.contains("WeldfleetStoreAway"), "{fired:?}");
}

/// A ClickHouse that answers, and counts no rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_takes_too_long_fires_its_alert() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (scheduler, gate) = common::waiting_at(&fleet, "scheduler::status_rows");
    scheduler.ready().await;
    let prometheus = Prometheus::start(&scheduler, fleet.folder(), &FAULT).await;
    let fault = Instant::now();
    std::fs::remove_file(&gate).unwrap();
    prometheus.fires(fault, &["WeldfleetStoreSlow"]).await;
    std::fs::write(&gate, "").unwrap();
}

/// A pass that hangs, in a leader that goes on leading.
#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_explains_fires_its_alert() {
    let fleet = Fleet::with(&[("scheduler.batch_size", "100")]).await;
    fleet.migrate();
    let hands = Hands::new(&fleet, TTL).await;
    let (scheduler, gate) = common::stopping_at(&fleet, "scheduler::before_enqueue");
    scheduler.ready().await;
    let prometheus = Prometheus::start(&scheduler, fleet.folder(), &FAULT).await;
    let plant = Plant {
        fleet,
        hands,
        scheduler,
        prometheus,
    };
    plant.worker_lives();
    let fault = Instant::now();
    plant.fleet.simulate("today", 300, &[]);
    let reached = gate.with_extension("reached");
    eventually("it hangs", SOON, async || reached.exists().then_some(())).await;
    // A slow pass over a large day explains itself for half a minute.
    eventually("nothing explains it", SOON * 3, async || {
        let (_, status) = plant.scheduler.get("/api/v1/status").await;
        status.contains("\"unexplained\"").then_some(())
    })
    .await;
    plant
        .prometheus
        .fires(fault, &["WeldfleetUnexplained"])
        .await;
    std::fs::write(&gate, "").unwrap();
    plant.hands.pending_rows(300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_and_schedulers_that_fail_fire_their_alerts() {
    let mut plant = Plant::start().await;
    plant.worker_lives();
    let (fleet, hands) = (&plant.fleet, &plant.hands);
    fleet.simulate("today", 100, &[]);
    hands.pending_rows(100).await;
    hands.judge_all().await;

    let fault = Instant::now();
    let limit: String = fleet
        .queue
        .command(&["CONFIG", "SET", "maxmemory", "1"])
        .await;
    assert_eq!(limit, "OK");
    plant
        .prometheus
        .fires(fault, &["WeldfleetStoreRefuses"])
        .await;
    let limit: String = fleet
        .queue
        .command(&["CONFIG", "SET", "maxmemory", "0"])
        .await;
    assert_eq!(limit, "OK");

    // Somebody writes over the leader's key: each scheduler believes that another one leads.
    let leader = Queue::key("leader");
    let fault = Instant::now();
    let _: () = fleet.queue.command(&["SET", &leader, "nobody"]).await;
    plant.prometheus.fires(fault, &["WeldfleetNoLeader"]).await;
    let _: () = fleet.queue.command(&["DEL", &leader]).await;

    // A server that is away, and comes back with next to no room for anything.
    let fault = Instant::now();
    fleet.services.kill(Service::ClickHouse);
    plant
        .prometheus
        .fires(fault, &["WeldfleetStoreAway", "WeldfleetDependencyDown"])
        .await;
    let fault = Instant::now();
    configure(
        fleet,
        "<merge_tree><max_uncompressed_bytes_in_patches>100</max_uncompressed_bytes_in_patches></merge_tree>\
         <storage_configuration><disks><default><keep_free_space_bytes>1000000000000000</keep_free_space_bytes></default>\
         </disks></storage_configuration>",
    );
    plant
        .prometheus
        .fires(
            fault,
            &[
                "WeldfleetDiskFull",
                "WeldfleetClickHouseFills",
                "WeldfleetPatchesMany",
            ],
        )
        .await;

    let fault = Instant::now();
    fleet.services.pause(Service::ClickHouse);
    plant
        .prometheus
        .fires(fault, &["WeldfleetStatusStale"])
        .await;
    fleet.services.cont(Service::ClickHouse);
    let fault = Instant::now();
    plant.scheduler.kill();
    plant
        .prometheus
        .fires(fault, &["WeldfleetNobodyTells"])
        .await;
}
