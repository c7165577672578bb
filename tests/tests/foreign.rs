//! A plant's own table: its names, its types, its units, its data, and a ClickHouse user with a password.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use weldfleet_tests::{
    Fleet,
    agree::{Counts, Truth, text},
    fleet::parsed,
};

const MINUTES: Duration = Duration::from_secs(200);
const WELDS: u32 = 1000;
/// The night in which the clock of the plant shows 02:00 to 03:00 twice.
const LONG_NIGHT: &str = "20261025";

/// Ours and theirs; what is not here has our name in their table.
const COLUMNS: &[(&str, &str)] = &[
    ("data_date", "日期"),
    ("ck_local_time", "时间"),
    ("record_id", "编号"),
    ("part_no", "零件"),
    ("spot_name", "焊点"),
    ("umax", "最大电压"),
    ("imax", "最大电流"),
    ("u_curve", "电压曲线"),
    ("i_curve", "电流曲线"),
    ("alg_status", "状态"),
    ("final_result", "结果"),
    ("diameter", "直径"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_the_plants_own_is_completed_and_judged() {
    let mut fleet = Fleet::start().await;
    let expected = base_welds(&fleet).await;
    plants_table(&fleet).await;
    foreign_settings(&mut fleet);
    let plants_own = "SELECT `日期`, toUnixTimestamp64Micro(`时间`), hex(`编号`), `零件`, `焊点`, timer_name, `最大电压`, `最大电流`, \
                      cityHash64(`电压曲线`, `电流曲线`), `班次`, `源` FROM `焊点记录` ORDER BY ALL";
    let before = fleet.clickhouse.execute(plants_own).await;

    let (code, said) = fleet.said("worker", &["check"]);
    assert!(
        code == Some(1) && said.contains("scheduler migrate"),
        "{said}"
    );
    fleet.migrate();
    assert_eq!(
        fleet
            .clickhouse
            .count("`焊点记录` WHERE alg_complete_time IS NULL")
            .await,
        2 * u64::from(WELDS)
    );
    fleet.migrate();

    let _scheduler = fleet.scheduler();
    let workers = [fleet.worker(), fleet.worker()];
    fleet.backfill(LONG_NIGHT, LONG_NIGHT, &["--wait"]);
    fleet.judged_in("`焊点记录`", MINUTES).await;
    fleet.idle(MINUTES).await;

    let truth = Truth::read(&fleet.clickhouse, &our_names()).await;
    assert_eq!((truth.rows, truth.welds.len()), (2000, 2000));
    let counts = truth.counts();
    truth.assert_mirrored(&fleet.mysql).await;
    truth.assert_audited(&fleet.save_dir());
    assert_eq!(Counts::of_done_jobs(&fleet.queue).await, counts, "redis");
    assert_eq!(
        Counts::of_metrics(&[&workers[0], &workers[1]]).await,
        counts,
        "/metrics"
    );
    assert!(
        counts.nok >= 60 && counts.invalid >= 20 && counts.error == 0,
        "{counts:?}"
    );
    every_weld_has_its_own_verdict(&truth, &fleet, &expected).await;
    similar_ids_are_told_apart(&truth, &fleet).await;

    assert_eq!(
        fleet.clickhouse.execute(plants_own).await,
        before,
        "the plant's own columns changed"
    );
    let check: Value = parsed(&fleet.succeed("worker", &["check", "--json"]));
    assert!(!check.to_string().contains("\"failed\""), "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_changes_nothing() {
    let mut fleet = Fleet::start().await;
    fleet.set("clickhouse.user", "weld");
    fleet.set("clickhouse.password", "weld");
    fleet.migrate();
    fleet.simulate("today", 10, &[]);
    fleet.set("clickhouse.password", "wrong");
    for (binary, arguments) in [
        ("scheduler", &["migrate"][..]),
        (
            "scheduler",
            &["backfill", "--from", "20261101", "--to", "20261102"],
        ),
        ("worker", &["check"]),
        ("worker", &["run"]),
    ] {
        let (code, said) = fleet.said(binary, arguments);
        assert_eq!(code, Some(1), "{binary} {arguments:?}: {said}");
        assert!(
            said.contains("AUTHENTICATION_FAILED") || said.contains("clickhouse.password"),
            "{binary} {arguments:?}: {said}"
        );
        assert!(
            !said.contains("wrong"),
            "{binary} {arguments:?} tells the password: {said}"
        );
    }
}

/// 1,000 simulated welds in `spot_records`, and what `worker predict` says of each, by record id.
async fn base_welds(fleet: &Fleet) -> BTreeMap<u64, Value> {
    fleet.migrate();
    fleet.simulate(
        "today",
        WELDS,
        &["--nok-rate", "0.1", "--invalid-share", "0.03"],
    );
    fleet.predict("spot_records").await
}

/// `焊点记录`, with the welds on two days under the same ids, four of which differ only in case or blanks; nothing of ours
/// is left.
async fn plants_table(fleet: &Fleet) {
    fleet
        .clickhouse
        .execute(
            "CREATE TABLE `焊点记录` (`班次` LowCardinality(String), `日期` Date, `时间` DateTime64(6, 'Europe/Berlin'), `编号` String, \
             `零件` LowCardinality(Nullable(String)), `焊点` String, timer_name String, `最大电压` Float64, `最大电流` Nullable(Float32), \
             `电压曲线` Array(Float64), `电流曲线` Array(Float32), `直径` Nullable(Float64), `源` UInt64 COMMENT '备注') \
             ENGINE = MergeTree PARTITION BY toYYYYMM(`日期`) ORDER BY (`班次`, `时间`)",
        )
        .await;
    // Rows 0 to 499 of the long night are welded while it is 02:xx for the first time, 500 to 999 for the second time,
    // with the same ids. The other day has the same ids, for other welds.
    for (date, first, shift) in [
        ("toDate('2026-10-25')", "1792886400", 0),
        (
            "today('Europe/Berlin')",
            "toUnixTimestamp(toStartOfDay(now('Europe/Berlin')))",
            501,
        ),
    ] {
        fleet
            .clickhouse
            .execute(&format!(
                "INSERT INTO `焊点记录` SELECT ['早', '晚'][n % 2 + 1], {}, \
                 fromUnixTimestamp64Micro(toInt64({first}) * 1000000 + intDiv(n, 4) * 28800000 + 7, 'Europe/Berlin'), \
                 concat('s', toString(intDiv(n, 4) % 125), ['a', 'A', 'a ', 'a  '][n % 4 + 1]), \
                 part_no, spot_name, timer_name, toFloat64(umax) * 1000, imax, \
                 arrayMap(x -> toFloat64(x) / umax * 100, u_curve), arrayMap(x -> x / imax * 100, i_curve), 99, record_id \
                 FROM (SELECT *, (row_number() OVER (ORDER BY record_id) + {shift}) % {WELDS} AS n FROM spot_records)",
                date.replace("today('Europe/Berlin')", "toDate(now('Europe/Berlin'))")
            ))
            .await;
    }
    for table in ["spot_records", "weld_results", "weld_runs"] {
        fleet
            .clickhouse
            .execute(&format!("DROP TABLE {table} SYNC"))
            .await;
    }
    fleet.mysql.execute("DROP TABLE nok_records").await;
}

fn foreign_settings(fleet: &mut Fleet) {
    let password = fleet.folder().join("password");
    std::fs::write(&password, "weld\n").expect("write");
    fleet.set("clickhouse.user", "weld");
    fleet.set("clickhouse.password_file", &password.display().to_string());
    fleet.set("tables.source_table", "焊点记录");
    for (ours, theirs) in COLUMNS {
        fleet.set(&format!("columns.{ours}"), theirs);
    }
    fleet.set("curves.u_unit", "percent_of_umax");
    fleet.set("curves.i_unit", "percent_of_imax");
    fleet.set("curves.umax_unit", "mV");
    fleet.set("scheduler.timezone", "Europe/Berlin");
    fleet.set("scheduler.batch_size", "300");
}

/// The plant's table under our names.
fn our_names() -> String {
    let names: Vec<String> = COLUMNS
        .iter()
        .map(|(ours, theirs)| format!("`{theirs}` AS {ours}"))
        .collect();
    format!("(SELECT *, {} FROM `焊点记录`)", names.join(", "))
}

async fn every_weld_has_its_own_verdict(
    truth: &Truth,
    fleet: &Fleet,
    expected: &BTreeMap<u64, Value>,
) {
    let sources = fleet
        .clickhouse
        .rows("SELECT toString(toYYYYMMDD(`日期`)) AS day, toUnixTimestamp64Micro(`时间`) AS ticks, `编号` AS id, `源` AS source FROM `焊点记录`")
        .await;
    assert_eq!(sources.len(), truth.welds.len());
    for source in &sources {
        let key = (
            text(source, "day"),
            text(source, "ticks").parse().expect("ticks"),
            text(source, "id"),
        );
        let row = &truth.welds[&key];
        let wanted = &expected[&text(source, "source").parse().expect("a record id")];
        let differ = || {
            format!(
                "{key:?}: {row:?}, of these very curves in V and kA `worker predict` says {wanted}"
            )
        };
        for column in [
            "alg_status",
            "ml_result",
            "rule_result",
            "final_result",
            "decided_by",
        ] {
            assert_eq!(
                text(row, column),
                wanted[column].as_str().unwrap_or_default(),
                "{}",
                differ()
            );
        }
        for column in ["ml_nok_prob", "diameter", "stack_thickness"] {
            let found = text(row, column).parse::<f64>().ok();
            let close = match (found, wanted[column].as_f64()) {
                (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-3,
                (None, None) => true,
                _ => false,
            };
            assert!(close, "{column} of {}", differ());
        }
    }
}

/// Were ids compared without case or blanks, by local time or without their day, these would be fewer.
async fn similar_ids_are_told_apart(truth: &Truth, fleet: &Fleet) {
    let mut by_id: BTreeMap<String, u64> = BTreeMap::new();
    for (key, row) in &truth.welds {
        if text(row, "final_result") == "NOK" {
            *by_id.entry(key.2.trim_end().to_lowercase()).or_default() += 1;
        }
    }
    assert!(
        by_id.values().any(|welds| *welds > 1),
        "no two NOK welds have similar ids: this proves nothing"
    );
    for (id, welds) in by_id {
        let mirrored = fleet
            .mysql
            .count(&format!(
                "nok_records WHERE LOWER(TRIM(record_id)) = '{id}'"
            ))
            .await;
        assert_eq!(mirrored, welds, "{id}");
    }
}
