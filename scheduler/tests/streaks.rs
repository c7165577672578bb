//! Hits of one rule at one spot in a row: told by the leader from what is stored, once, and no verdict changes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::SOON;
use weldfleet_tests::{Fleet, Process, eventually};

const BURN: &str =
    r#"[{"rule":"resistance_peak","level":"warn","t_ms":200.0,"value":0.05,"limit":0.04}]"#;
const OTHER: &str = r#"[{"rule":"expulsion","level":"flag","t_ms":200.0,"value":0.2,"limit":0.1}]"#;

async fn weld(fleet: &Fleet, spot: &str, minutes: u32, welds: &str) {
    weld_by(fleet, ["T1", "P", spot], minutes, welds).await;
}

/// Welds of a timer, part and spot from this minute before now on, one a second: `b` has a burn mark, `o` another hit,
/// `-` none, `?` no verdict yet, `x` could not be judged.
async fn weld_by(fleet: &Fleet, [timer, part, spot]: [&str; 3], minutes: u32, welds: &str) {
    let rows: Vec<String> = (0_u32..)
        .zip(welds.chars())
        .map(|(second, weld)| {
            let (status, hits) = match weld {
                'b' => ("'ok'", BURN),
                'o' => ("'ok'", OTHER),
                '-' => ("'ok'", "[]"),
                '?' => ("NULL", ""),
                _ => ("'error'", BURN),
            };
            let complete = if weld == '?' { "NULL" } else { "now64(3)" };
            format!(
                "SELECT toUInt32(formatDateTime(now('Asia/Shanghai'), '%Y%m%d')), now64(3) - INTERVAL {} SECOND, \
                 cityHash64('{timer}', '{part}', '{spot}', {minutes}, {second}), '{timer}', '{part}', '{spot}', {status}, {complete}, '{hits}'",
                minutes * 60 - second,
            )
        })
        .collect();
    let sql = format!(
        "INSERT INTO spot_records (data_date, ck_local_time, record_id, timer_name, part_no, spot_name, alg_status, alg_complete_time, rule_hits) {}",
        rows.join(" UNION ALL ")
    );
    fleet.clickhouse.execute(&sql).await;
}

#[tokio::test]
async fn the_leader_tells_each_streak_once() {
    let fleet = Fleet::with(&[(
        "scheduler.hit_streaks",
        "{ resistance_peak = 3, expulsion = 4 }",
    )])
    .await;
    fleet.migrate();
    weld(&fleet, "A", 50, "b-bbxb").await;
    weld(&fleet, "B", 50, "bb-bbobb").await;
    weld(&fleet, "C", 50, "bb?b").await;
    weld(&fleet, "D", 50, "oooboooo").await;
    // Two guns weld one spot: the sound welds of the one hide nothing of the other.
    weld_by(&fleet, ["T1", "P", "E"], 50, "bbb").await;
    weld_by(&fleet, ["T2", "P", "E"], 50, "---").await;
    // Two parts have a spot of one name: two marks and one are no three.
    weld_by(&fleet, ["T1", "P", "F"], 50, "bb").await;
    weld_by(&fleet, ["T1", "Q", "F"], 50, "b").await;
    // Nobody says which timer.
    weld_by(&fleet, ["", "P", "G"], 50, "bbb").await;
    // Dry shots, of all robots.
    weld(&fleet, "", 50, "bbbb").await;
    weld(&fleet, "0", 50, "bbbb").await;
    // Hundreds of spots with more marks than these, none of them in a row, hide nothing.
    let scattered = format!(
        "INSERT INTO spot_records (data_date, ck_local_time, record_id, timer_name, part_no, spot_name, alg_status, alg_complete_time, rule_hits) \
         SELECT toUInt32(formatDateTime(now('Asia/Shanghai'), '%Y%m%d')), now64(3) - toIntervalSecond(3600 - number % 10), 1000 + number, \
         'T1', 'P', concat('S', toString(intDiv(number, 10))), 'ok', now64(3), if(number % 2 = 0, '{BURN}', '[]') FROM numbers(3000)"
    );
    fleet.clickhouse.execute(&scattered).await;
    let mut scheduler = fleet.scheduler();
    let events = async || {
        let sql = "SELECT on_what, why, detail FROM weld_events WHERE what = 'hit streak' ORDER BY at, on_what";
        fleet.clickhouse.rows(sql).await
    };
    let lines = |scheduler: &Process| {
        let log = scheduler.log();
        log.lines()
            .filter(|line| line.contains("hits in a row at one spot"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let shown = async |scheduler: &Process, burns: u32| {
        eventually("the streaks are shown", SOON, async || {
            let (_, metrics) = scheduler.get("/metrics").await;
            let told = metrics.contains(&format!(
                "weldfleet_hit_streaks{{rule=\"resistance_peak\"}} {burns}"
            )) && metrics.contains("weldfleet_hit_streaks{rule=\"expulsion\"} 1")
                && metrics.contains("# HELP weldfleet_hit_streaks ");
            told.then_some(())
        })
        .await;
    };
    let told_at = async |scheduler: &Process| {
        let gauge = "weldfleet_hit_streak_told_timestamp_seconds";
        scheduler
            .metric_if_any(gauge, &["\"resistance_peak\""])
            .await
    };
    // A: a weld that cannot be judged is no weld of the row. C: the one without a verdict may break it.
    shown(&scheduler, 3).await;
    let told = lines(&scheduler);
    assert_eq!(told.len(), 4, "{told:?}");
    let first_told_at = told_at(&scheduler).await.unwrap();
    for (timer, spot, welds) in [("T1", "A", 3), ("T1", "D", 4), ("T1", "E", 3), ("", "G", 3)] {
        let facts = [
            format!("\"timer\":\"{timer}\""),
            "\"part\":\"P\"".to_owned(),
            format!("\"spot\":\"{spot}\""),
            format!("\"welds\":{welds}"),
        ];
        let has_all = |line: &String| facts.iter().all(|fact| line.contains(fact));
        assert!(told.iter().any(has_all), "{facts:?} in {told:?}");
    }

    let kept = events().await;
    assert_eq!(kept.len(), 4, "{kept:?}");
    let of = |spot: &str| {
        let start = format!("spot {spot}, from weld ");
        let mut events = kept.iter();
        let found = events.find(|event| event["on_what"].as_str().unwrap().starts_with(&start));
        found.unwrap_or_else(|| panic!("{start} in {kept:?}"))
    };
    let of_a = of("A of part P, timer T1");
    assert_eq!(of_a["why"], "hits of resistance_peak in a row");
    let detail = of_a["detail"].as_str().unwrap();
    assert!(detail.starts_with("3 welds, the last is "), "{of_a:?}");
    of("E of part P, timer T1");
    of("G of part P, timer -");

    // It goes on, which is no news, and another spot begins, which is.
    weld(&fleet, "A", 49, "b").await;
    weld(&fleet, "B", 49, "bbb").await;
    shown(&scheduler, 4).await;
    let told = lines(&scheduler);
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told_at(&scheduler).await.unwrap() > first_told_at);
    assert!(
        told[4].contains("\"spot\":\"B\"") && told[4].contains("\"welds\":5"),
        "{told:?}"
    );
    assert_eq!(events().await.len(), 5);

    // The next leader tells its log, keeps no event twice, and alerts nobody.
    scheduler.kill();
    let scheduler = fleet.scheduler();
    shown(&scheduler, 4).await;
    assert_eq!(lines(&scheduler).len(), 5);
    assert_eq!(events().await.len(), 5);
    assert_eq!(told_at(&scheduler).await, None);
}
