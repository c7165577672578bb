//! A day of welds through one scheduler and two workers: judged once, and every place says the same.

use std::time::Duration;

use serde_json::Value;
use weldfleet_tests::{
    Fleet, Process,
    agree::{Counts, Truth, text},
};

const MINUTES: Duration = Duration::from_secs(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_20_000_rows_is_judged_once_and_every_place_agrees() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate(
        "today",
        20_000,
        &["--invalid-share", "0.01", "--nok-rate", "0.02"],
    );
    let workers = [fleet.worker(), fleet.worker()];
    for worker in &workers {
        worker.ready().await;
    }
    let _scheduler = fleet.scheduler();
    fleet.done(MINUTES).await;

    let counts = everything_agrees(&fleet, &[&workers[0], &workers[1]], 20_000).await;
    assert!(
        (140..=260).contains(&counts.invalid),
        "1 % was spoiled: {counts:?}"
    );
    assert!(
        counts.nok >= 50,
        "2 % are NOK, most of them by expulsion: {counts:?}"
    );
    assert_eq!(counts.error, 0);
    for worker in &workers {
        let judged = Counts::of_metrics(&[worker]).await.welds();
        assert!(
            judged >= 1000,
            "one of the workers had next to nothing to do: {judged}"
        );
    }
    let attempts: Vec<String> = fleet
        .queue
        .jobs("done")
        .await
        .iter()
        .map(|job| job["attempts"].clone())
        .collect();
    assert!(
        attempts.iter().all(|attempts| attempts == "1"),
        "{attempts:?}"
    );
    assert_eq!(fleet.queue.count("dead").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_in_a_range_that_is_done_are_judged() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 3000, &["--since", "06:00", "--until", "14:00"]);
    let _scheduler = fleet.scheduler();
    let worker = fleet.worker();
    fleet.done(MINUTES).await;
    let before = fleet.clickhouse.verdicts("spot_records").await;
    let token = fleet
        .clickhouse
        .value("SELECT max(alg_token) FROM spot_records")
        .await;

    // In the middle of what is done, and equal in time to rows that are.
    fleet.simulate("today", 700, &["--since", "08:00", "--until", "10:00"]);
    fleet
        .clickhouse
        .execute(
            "INSERT INTO spot_records (data_date, ck_local_time, record_id, part_no, spot_name, timer_name, umax, imax, u_curve, \
             i_curve, label, label_defect) SELECT data_date, ck_local_time, record_id + 1000000, part_no, spot_name, timer_name, umax, imax, \
             u_curve, i_curve, label, label_defect FROM spot_records WHERE alg_token IS NOT NULL ORDER BY ck_local_time LIMIT 300 OFFSET 500",
        )
        .await;
    fleet.done(MINUTES).await;

    everything_agrees(&fleet, &[&worker], 4000).await;
    let untouched = fleet
        .clickhouse
        .verdicts(&format!("spot_records WHERE alg_token <= {token}"))
        .await;
    assert_eq!(
        untouched, before,
        "rows that had a verdict were judged again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_with_a_model_of_its_own_is_judged_by_that() {
    const PART: &str = "TUNNEL";
    let mut fleet = Fleet::start().await;
    let models = fleet.folder().join("models");
    let ours = weldfleet_tests::repository();
    for (from, to) in [
        ("models/global", "global".to_owned()),
        ("bench/models/near-free/global", format!("parts/{PART}")),
    ] {
        let folder = models.join(to);
        std::fs::create_dir_all(&folder).expect("folder");
        for file in ["model.onnx", "inference_config.json"] {
            std::fs::copy(ours.join(from).join(file), folder.join(file)).expect("copy");
        }
    }
    fleet.set("model.model_export_dir", &models.display().to_string());
    fleet.migrate();
    fleet.simulate("today", 1500, &["--nok-rate", "0.1"]);
    let _scheduler = fleet.scheduler();
    let worker = fleet.worker();
    fleet.done(MINUTES).await;
    everything_agrees(&fleet, &[&worker], 1500).await;

    let (_, about) = worker.get("/").await;
    let about: Value = serde_json::from_str(&about).expect("json");
    assert_eq!(about["part_models"], 1);
    let global = about["model_version"].as_str().expect("a version");
    let rows = fleet
        .clickhouse
        .rows(
            "SELECT record_id, part_no, model_version, ml_nok_prob, diameter, final_result FROM spot_records \
             WHERE alg_status = 'ok'",
        )
        .await;
    let says = fleet.predict("spot_records").await;
    let mut judged = [0, 0];
    for row in &rows {
        let own = text(row, "part_no") == PART;
        judged[usize::from(own)] += 1;
        let model = if own { "near-free-1" } else { global };
        assert_eq!(text(row, "model_version"), model, "{row:?}");
        let says = &says[&text(row, "record_id").parse().expect("an id")];
        assert_eq!(text(row, "final_result"), says["final_result"]);
        for number in ["ml_nok_prob", "diameter"] {
            let stored: f32 = text(row, number).parse().expect("a number");
            let said = says[number].as_f64().expect("a number") as f32;
            assert_eq!(stored.to_bits(), said.to_bits(), "{number} of {row:?}");
        }
    }
    assert!(
        judged[0] > 500 && judged[1] > 50,
        "rows of each: {judged:?}"
    );
}

/// ClickHouse, MySQL, the audit files, Redis, `/metrics` and `status` tell the same about today's rows.
async fn everything_agrees(fleet: &Fleet, workers: &[&Process], rows: u64) -> Counts {
    let truth = Truth::read(&fleet.clickhouse, "spot_records").await;
    assert_eq!((truth.rows, truth.welds.len() as u64), (rows, rows));
    let counts = truth.counts();
    assert_eq!(counts.welds(), rows);
    truth.assert_mirrored(&fleet.mysql).await;
    truth.assert_audited(&fleet.save_dir());
    assert_eq!(Counts::of_done_jobs(&fleet.queue).await, counts, "redis");
    assert_eq!(Counts::of_metrics(workers).await, counts, "/metrics");

    let status = fleet.status();
    let days = status["days"].as_array().expect("days");
    let day = days
        .iter()
        .find(|day| day["total"] != 0)
        .unwrap_or_else(|| panic!("no day in {status}"));
    assert_eq!(Counts::of_json(day), counts, "status");
    assert_eq!(
        (
            day["total"].as_u64(),
            day["left"].as_u64(),
            day["poison"].as_u64()
        ),
        (Some(rows), Some(0), Some(0))
    );
    let mirror = status["mirror"].as_array().expect("mirror");
    let mirror = mirror
        .iter()
        .find(|mirror| mirror["day"] == day["day"])
        .expect("the day's mirror");
    assert_eq!(
        (mirror["mirrored"].as_u64(), &mirror["equal"]),
        (Some(counts.nok), &Value::Bool(true))
    );
    assert_eq!(
        status["workers"].as_array().map(Vec::len),
        Some(workers.len())
    );
    assert_eq!(status["problems"], Value::Array(Vec::new()));
    counts
}
