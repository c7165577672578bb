//! One atomic commit per attempt, of its own results only.

use std::{collections::BTreeMap, fs, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;
use weldfleet_tests::{
    Fleet, Process,
    agree::{Counts, Truth, text},
    faults::FailPoint,
};

const MINUTES: Duration = Duration::from_secs(120);
const ROWS: u32 = 600;

/// Inserts a copy of the row that has `offset` rows before it, at the same time, with this much more on its id.
async fn copy_row(fleet: &Fleet, offset: u32, more: u64) {
    let inputs = "part_no, spot_name, timer_name, umax, imax, u_curve, i_curve";
    fleet
        .clickhouse
        .execute(&format!(
            "INSERT INTO spot_records (data_date, ck_local_time, record_id, {inputs}) \
             SELECT data_date, ck_local_time, record_id + {more}, {inputs} FROM spot_records WHERE record_id <= {ROWS} \
             ORDER BY ck_local_time, record_id LIMIT 1 OFFSET {offset}"
        ))
        .await;
}

async fn everything_agrees(fleet: &Fleet) -> Truth {
    let truth = Truth::read(&fleet.clickhouse, "spot_records").await;
    truth.counts();
    truth.assert_mirrored(&fleet.mysql).await;
    truth.assert_audited(&fleet.save_dir());
    truth
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_arrive_in_a_range_under_way_are_left_for_a_later_pass() {
    let fleet = Fleet::with(&[("worker.ranges_in_flight", "1")]).await;
    fleet.migrate();
    fleet.simulate("today", ROWS, &["--nok-rate", "0.2"]);
    let gates: Vec<FailPoint> = [
        "worker::claimed",
        "worker::fetched",
        "worker::judged",
        "worker::audited",
        "worker::stored",
        "worker::committed",
        "worker::mirrored",
    ]
    .map(|point| FailPoint::new(&fleet, point))
    .into();
    let armed: Vec<String> = gates.iter().map(FailPoint::armed).collect();
    let scheduler = fleet.scheduler();
    let worker = fleet.worker_with(&[("FAILPOINTS", &armed.join(";"))]);

    // One row between each two steps; the first of them is there before the fetch, so it belongs to the attempt.
    for (number, gate) in (1..).zip(&gates) {
        gate.reached().await;
        copy_row(&fleet, 100 * (number % 6) as u32, number * 1_000_000).await;
        if number == 1 {
            copy_row(&fleet, 50, 0).await; // Equal in the whole key to a row that will be judged: it is that weld.
        }
        if number >= 6 {
            let late = "spot_records WHERE record_id >= 2000000";
            let untouched = format!(
                "{late} AND alg_complete_time IS NULL AND alg_token IS NULL AND alg_status IS NULL"
            );
            assert_eq!(
                fleet.clickhouse.count(&untouched).await,
                number - 1,
                "a late row was touched"
            );
            assert_eq!(
                fleet
                    .clickhouse
                    .count("spot_records WHERE alg_complete_time IS NOT NULL")
                    .await,
                602
            );
        }
        gate.open();
    }
    fleet.done(MINUTES).await;

    let truth = everything_agrees(&fleet).await;
    assert_eq!((truth.rows, truth.welds.len()), (608, 607));
    let tokens = |condition: &str| {
        format!("SELECT arraySort(groupUniqArray(alg_token)) FROM spot_records WHERE {condition}")
    };
    let first = fleet.clickhouse.value(&tokens("record_id < 2000000")).await;
    let late = fleet.clickhouse.value(&tokens("record_id > 2000000")).await;
    assert!(
        !first.contains(','),
        "the range was committed by more than one attempt: {first}"
    );
    assert!(
        late > first,
        "late rows have token {late}, the range {first}"
    );
    assert_eq!(Counts::of_done_jobs(&fleet.queue).await, truth.counts());
    assert_eq!(Counts::of_metrics(&[&worker]).await, truth.counts());
    assert!(
        !scheduler.log().contains("redis forgot"),
        "a false alarm: {}",
        scheduler.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_equal_in_the_whole_key_are_one_weld() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", ROWS, &["--nok-rate", "0.3"]);
    // Every third row twice, every thirtieth three times.
    for every in [3, 30] {
        let twice = format!(
            "INSERT INTO spot_records SELECT * FROM (SELECT DISTINCT * FROM spot_records WHERE record_id % {every} = 0)"
        );
        fleet.clickhouse.execute(&twice).await;
    }
    let _scheduler = fleet.scheduler();
    let worker = fleet.worker();
    fleet.done(MINUTES).await;

    let truth = everything_agrees(&fleet).await;
    assert_eq!((truth.rows, truth.welds.len()), (600 + 200 + 20, 600));
    let counts = truth.counts();
    assert!(counts.nok > 60, "{counts:?}");
    assert_eq!(fleet.mysql.count("nok_records").await, counts.nok);
    assert_eq!(Counts::of_done_jobs(&fleet.queue).await, counts);
    assert_eq!(Counts::of_metrics(&[&worker]).await, counts);
}

/// A worker with the model in `models/` stops at `point`; its range is taken over by one with another model; then it
/// goes on.
struct TwoModels {
    fleet: Fleet,
    first: Process,
    gate: FailPoint,
    /// What each of the models says of every row.
    says: [BTreeMap<u64, Value>; 2],
    _scheduler: Process,
    _second: Option<Process>,
}

impl TwoModels {
    async fn up_to(point: &str) -> Self {
        let mut fleet = Fleet::with(&[("worker.ranges_in_flight", "1")]).await;
        fleet.migrate();
        fleet.simulate(
            "today",
            ROWS,
            &["--nok-rate", "0.2", "--invalid-share", "0.02"],
        );
        let scheduler = fleet.scheduler();
        let gate = FailPoint::new(&fleet, point);
        let first = fleet.worker_with(&[("FAILPOINTS", &gate.armed())]);
        let says_first = fleet.predict("spot_records").await;
        other_model(&mut fleet);
        let says_second = fleet.predict("spot_records").await;
        gate.reached().await;
        Self {
            fleet,
            first,
            gate,
            says: [says_first, says_second],
            _scheduler: scheduler,
            _second: None,
        }
    }

    /// The first worker freezes, the second takes over and finishes, the first thaws.
    async fn take_over(&mut self) {
        self.first.signal(Signal::SIGSTOP);
        self._second = Some(self.fleet.worker());
        self.fleet.done(MINUTES).await;
        self.gate.open();
        self.first.signal(Signal::SIGCONT);
        self.first.logged("lease lost", MINUTES).await;
    }

    /// Every row is wholly what one of the models says of it, and one token's rows are one model's; answers how many
    /// judged rows are the first's and the second's. Invalid rows are invalid to both.
    async fn rows_of_each(&self) -> [usize; 2] {
        let truth = everything_agrees(&self.fleet).await;
        let mut rows = [0, 0];
        let mut models: BTreeMap<String, usize> = BTreeMap::new();
        for (key, row) in &truth.welds {
            let id = key.2.parse::<u64>().expect("id") % 1_000_000;
            let by: Vec<usize> = (0..2)
                .filter(|model| same(row, &self.says[*model][&id]))
                .collect();
            match (text(row, "alg_status").as_str(), &by[..]) {
                ("invalid", [0, 1]) => {}
                ("ok", [model]) => {
                    rows[*model] += 1;
                    let of_token = models.entry(text(row, "alg_token")).or_insert(*model);
                    assert_eq!(of_token, model, "an attempt with two models: {row:?}");
                }
                _ => panic!("this is what {by:?} of the two models say: {row:?}"),
            }
        }
        rows
    }
}

/// Another model, with a threshold at which it calls everything NOK, so that the rules decide.
fn other_model(fleet: &mut Fleet) {
    let folder = fleet.folder().join("models/global");
    fs::create_dir_all(&folder).expect("folder");
    let near_free = weldfleet_tests::repository().join("bench/models/near-free/global");
    for file in ["model.onnx", "inference_config.json"] {
        fs::copy(near_free.join(file), folder.join(file)).expect("copy");
    }
    let models = fleet.folder().join("models").display().to_string();
    fleet.set("model.model_export_dir", &models);
    fleet.set("model.nok_threshold", "0.000001");
}

fn same(row: &weldfleet_tests::clickhouse::Row, says: &Value) -> bool {
    let texts = [
        "alg_status",
        "alg_error",
        "ml_result",
        "rule_result",
        "final_result",
        "decided_by",
        "model_version",
    ];
    let numbers = [
        "ml_nok_prob",
        "diameter",
        "indentation",
        "front_thickness",
        "stack_thickness",
    ];
    let number = |text: String| text.parse::<f32>().ok();
    texts
        .iter()
        .all(|name| text(row, name) == says[name].as_str().unwrap_or_default())
        && numbers
            .iter()
            .all(|name| number(text(row, name)) == says[name].as_f64().map(|number| number as f32))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_did_not_commit_leaves_nothing_in_the_rows() {
    for point in ["worker::judged", "worker::stored"] {
        let mut plant = TwoModels::up_to(point).await;
        plant.take_over().await;
        let [first, second] = plant.rows_of_each().await;
        assert!(first == 0 && second > 500, "{point}: {first} {second}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_committed_stands_and_the_mirror_follows_it() {
    let mut plant = TwoModels::up_to("worker::committed").await;
    let mirrored = plant.fleet.mysql.count("nok_records").await;
    assert_eq!(mirrored, 0, "the mirror comes after the commit");
    // A late row: the next attempt has something to judge with its own model.
    copy_row(&plant.fleet, 300, 1_000_000).await;
    plant.take_over().await;
    let [first, second] = plant.rows_of_each().await;
    assert!(
        first > 500 && second == 1,
        "only the late row is the second attempt's: {first} {second}"
    );
}
