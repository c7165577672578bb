//! Hits of one rule at one spot in a row: told by the leader from what is stored, once, and no verdict changes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::SOON;
use weldfleet_tests::{Fleet, Process, eventually};

const BURN: &str =
    r#"[{"rule":"resistance_peak","level":"warn","t_ms":200.0,"value":0.05,"limit":0.04}]"#;
const OTHER: &str = r#"[{"rule":"expulsion","level":"flag","t_ms":200.0,"value":0.2,"limit":0.1}]"#;

/// Welds of a spot from this minute before now on, one a second: `b` has a burn mark, `o` another hit, `-` none, `?` no
/// verdict yet, `x` could not be judged.
async fn weld(fleet: &Fleet, spot: &str, minutes: u32, welds: &str) {
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
                 cityHash64('{spot}', {minutes}, {second}), '{spot}', {status}, {complete}, '{hits}'",
                minutes * 60 - second,
            )
        })
        .collect();
    let sql = format!(
        "INSERT INTO spot_records (data_date, ck_local_time, record_id, spot_name, alg_status, alg_complete_time, rule_hits) {}",
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
    // Dry shots, of all robots.
    weld(&fleet, "", 50, "bbbb").await;
    weld(&fleet, "0", 50, "bbbb").await;
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
    // A: a weld that cannot be judged is no weld of the row. C: the one without a verdict may break it.
    shown(&scheduler, 1).await;
    let told = lines(&scheduler);
    assert_eq!(told.len(), 2, "{told:?}");
    for (spot, welds) in [("A", "\"welds\":3"), ("D", "\"welds\":4")] {
        assert!(
            told.iter()
                .any(|line| line.contains(&format!("\"spot\":\"{spot}\"")) && line.contains(welds)),
            "{told:?}"
        );
    }

    let kept = events().await;
    assert_eq!(kept.len(), 2, "{kept:?}");
    let of_a = kept
        .iter()
        .find(|event| event["why"] == "hits of resistance_peak in a row");
    let of_a = of_a.unwrap_or_else(|| panic!("{kept:?}"));
    let on_what = of_a["on_what"].as_str().unwrap();
    assert!(on_what.starts_with("spot A from weld "), "{on_what}");
    assert!(
        of_a["detail"]
            .as_str()
            .unwrap()
            .starts_with("3 welds, the last is "),
        "{of_a:?}"
    );

    // It goes on, which is no news, and another spot begins, which is.
    weld(&fleet, "A", 49, "b").await;
    weld(&fleet, "B", 49, "bbb").await;
    shown(&scheduler, 2).await;
    let told = lines(&scheduler);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[2].contains("\"spot\":\"B\"") && told[2].contains("\"welds\":5"),
        "{told:?}"
    );
    assert_eq!(events().await.len(), 3);

    // The next leader tells its log, and keeps no event twice.
    scheduler.kill();
    let scheduler = fleet.scheduler();
    shown(&scheduler, 2).await;
    assert_eq!(lines(&scheduler).len(), 3);
    assert_eq!(events().await.len(), 3);
}
