//! MySQL follows ClickHouse, whatever was done to it by hand.

use std::time::Duration;

use weldfleet_tests::{Fleet, Process, Service, agree::Truth, eventually, faults::FailPoint};

const MINUTES: Duration = Duration::from_secs(120);
/// A pass comes each 200 ms; this is generous to a slow machine.
const NEXT_PASS: Duration = Duration::from_secs(40);

const REVIEW: &str = "review_result, reviewed_by, reviewed_at, review_note";

/// Everything in the mirror, in key order.
async fn mirrored(fleet: &Fleet) -> Vec<Vec<String>> {
    fleet
        .mysql
        .rows("SELECT * FROM nok_records ORDER BY data_date, ck_ticks, record_id")
        .await
}

/// What was purged beyond `mysql.keep_days` stays away; what was deleted before that comes back.
#[tokio::test(flavor = "multi_thread")]
async fn purged_records_of_days_that_are_not_looked_after_do_not_come_back() {
    let fleet = Fleet::with(&[("mysql.keep_days", "10")]).await;
    fleet.migrate();
    let (kept, purged) = (fleet.day_before(10).await, fleet.day_before(11).await);
    for day in [&kept, &purged] {
        fleet.simulate(day, 200, &["--nok-rate", "0.3"]);
    }
    let scheduler = fleet.scheduler();
    let _worker = fleet.worker();
    fleet.backfill(&purged, &kept, &[]);
    for day in [&kept, &purged] {
        fleet.judged_on(day, MINUTES).await;
    }
    fleet.idle(MINUTES).await;
    let records = async |day: &str| {
        let of_day = format!("nok_records WHERE data_date = {day}");
        fleet.mysql.count(&of_day).await
    };
    let before = records(&kept).await;
    assert!(before > 20, "{before}");
    assert!(
        records(&purged).await > 20,
        "a backfill writes what it judges"
    );
    // More than once: all days have had their turn by then.
    for _ in 0..3 {
        fleet.mysql.execute("DELETE FROM nok_records").await;
        eventually("the kept day comes back", NEXT_PASS, async || {
            (records(&kept).await == before).then_some(())
        })
        .await;
        assert_eq!(records(&purged).await, 0);
    }
    let lag = scheduler.metric("weldfleet_mirror_lag_rows", &[]).await;
    assert_eq!(lag, 0.0);
}

/// After a restart without MySQL nobody knows what it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_never_compared_tells_no_lag() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let mut scheduler = fleet.scheduler();
    let _worker = fleet.worker();
    judge_day(&fleet, 1000).await;
    let lag = async |scheduler: &Process| {
        let gauge = "weldfleet_mirror_lag_rows";
        scheduler.metric_if_any(gauge, &[]).await
    };
    eventually("the mirror is equal", NEXT_PASS, async || {
        (lag(&scheduler).await? == 0.0).then_some(())
    })
    .await;
    scheduler.kill();
    fleet.services.kill(Service::MySql);
    let scheduler = fleet.scheduler();
    eventually("the mirror is away", MINUTES, async || {
        let up = scheduler.metric_if_any("weldfleet_mirror_up", &[]).await;
        (up? == 0.0).then_some(())
    })
    .await;
    let told = lag(&scheduler).await;
    assert!(told.is_some_and(f64::is_nan), "{told:?}");
    fleet.services.start_again(Service::MySql);
    eventually("the mirror is compared", MINUTES, async || {
        (lag(&scheduler).await? == 0.0).then_some(())
    })
    .await;
}

async fn judge_day(fleet: &Fleet, rows: u32) {
    fleet.migrate();
    fleet.simulate("today", rows, &["--nok-rate", "0.3"]);
    fleet.done(MINUTES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_deleted_falsified_or_made_up_by_hand_are_repaired() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    let _worker = fleet.worker();
    judge_day(&fleet, 1500).await;
    Truth::read(&fleet.clickhouse, "spot_records")
        .await
        .assert_mirrored(&fleet.mysql)
        .await;
    let before = mirrored(&fleet).await;
    assert!(before.len() > 150, "{}", before.len());

    let ids = fleet
        .mysql
        .rows("SELECT record_id FROM nok_records ORDER BY ck_ticks LIMIT 12")
        .await;
    let id = |place: usize| ids[place][0].clone();
    for damage in [
        format!(
            "DELETE FROM nok_records WHERE record_id IN ('{}', '{}', '{}')",
            id(0),
            id(1),
            id(2)
        ),
        format!(
            "UPDATE nok_records SET ml_nok_prob = 0.5 WHERE record_id = '{}'",
            id(3)
        ),
        format!(
            "UPDATE nok_records SET final_result = 'OK', rule_hits = '[]' WHERE record_id = '{}'",
            id(4)
        ),
        format!(
            "UPDATE nok_records SET part_no = NULL, diameter = NULL WHERE record_id = '{}'",
            id(5)
        ),
        format!(
            "UPDATE nok_records SET alg_token = 1, alg_complete_time = NOW(3) WHERE record_id = '{}'",
            id(6)
        ),
        "DELETE FROM nok_records".to_owned(),
    ] {
        let fixed = scheduler.log().matches("mirror reconciled").count();
        let damaged = fleet.mysql.execute(&damage).await;
        assert!(damaged > 0, "this changes nothing: {damage}");
        eventually(&format!("fixed: {damage}"), NEXT_PASS, async || {
            let says_so = scheduler.log().matches("mirror reconciled").count() > fixed;
            (says_so && mirrored(&fleet).await == before).then_some(())
        })
        .await;
    }
    let metric = scheduler
        .metric(
            "weldfleet_mirror_rows_reconciled_total",
            &["change=\"inserted\""],
        )
        .await;
    assert!(metric >= before.len() as f64, "{metric}");

    // A record of no weld of the source may be of one that left it: it stays, is told of, and is no lag.
    fleet
        .mysql
        .execute(
            "INSERT INTO nok_records (data_date, ck_ticks, ck_local_time, record_id, final_result) SELECT data_date, ck_ticks, \
             ck_local_time, '987654', 'NOK' FROM nok_records LIMIT 1",
        )
        .await;
    let kept = async |rows: usize| {
        eventually("kept rows are counted", NEXT_PASS, async || {
            let count = scheduler
                .metric_if_any("weldfleet_mirror_kept_rows", &[])
                .await;
            (count? == rows as f64).then_some(())
        })
        .await;
        let lag = scheduler.metric("weldfleet_mirror_lag_rows", &[]).await;
        assert_eq!(lag, 0.0, "what is kept is no lag");
        let status = fleet.status();
        assert_eq!(status["mirror_kept_rows"], rows, "{status}");
    };
    kept(1).await;
    // The whole day leaves the source, as retention and archives have it.
    let day = fleet
        .clickhouse
        .value("SELECT any(data_date) FROM spot_records")
        .await;
    fleet
        .clickhouse
        .execute(&format!("ALTER TABLE spot_records DROP PARTITION {day}"))
        .await;
    kept(before.len() + 1).await;
    assert_eq!(mirrored(&fleet).await.len(), before.len() + 1);
    let checks = scheduler.log().matches("nok rows stay in mysql").count();
    assert!(checks < 20, "{checks} looks at every row of a day at rest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_mysql_refuses_keeps_no_other_away_and_is_named() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    let _worker = fleet.worker();
    judge_day(&fleet, 800).await;
    let before = mirrored(&fleet).await.len();
    let first = "SELECT record_id FROM nok_records ORDER BY ck_ticks LIMIT 1";
    let id = fleet.mysql.rows(first).await[0][0].clone();
    for sql in [
        format!(
            "CREATE TRIGGER refusing BEFORE INSERT ON nok_records FOR EACH ROW IF NEW.record_id = '{id}' THEN \
             SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF"
        ),
        "DELETE FROM nok_records".to_owned(),
    ] {
        fleet.mysql.execute(&sql).await;
    }
    eventually("all others are back", NEXT_PASS, async || {
        (mirrored(&fleet).await.len() == before - 1).then_some(())
    })
    .await;
    let what = eventually("status names it", NEXT_PASS, async || {
        let status = fleet.status();
        let mut causes = status["causes"].as_array()?.iter();
        let cause = causes.find(|cause| cause["code"] == "mirror_away")?;
        Some(cause["what"].to_string())
    })
    .await;
    let named = format!("mysql refuses 1 records: weld {id} of ");
    assert!(what.contains(&named), "{what}");
    assert_eq!(scheduler.metric("weldfleet_mirror_up", &[]).await, 1.0);
}

/// A good weld and an expulsion under one key: one of them comes before the worker reads, one while it judges, one
/// afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_key_that_differ_get_no_verdict_whenever_they_come() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 900, &["--nok-rate", "0.3"]);
    let good = fleet
        .clickhouse
        .rows("SELECT toString(record_id) AS id FROM spot_records WHERE label = 'OK' ORDER BY ck_local_time LIMIT 3")
        .await;
    let good: Vec<&str> = good.iter().filter_map(|row| row["id"].as_str()).collect();
    let rival = async |id: &str| {
        let inputs = "part_no, spot_name, timer_name, umax, imax, u_curve, i_curve";
        fleet
            .clickhouse
            .execute(&format!(
                "INSERT INTO spot_records (data_date, ck_local_time, record_id, {inputs}) SELECT key.1, key.2, key.3, {inputs} FROM spot_records, \
                 (SELECT (data_date, ck_local_time, record_id) AS key FROM spot_records WHERE record_id = {id} LIMIT 1) AS k \
                 WHERE label_defect = 'expulsion' LIMIT 1"
            ))
            .await;
    };
    rival(good[0]).await;
    let judged = FailPoint::new(&fleet, "worker::judged");
    let between_looks = FailPoint::new(&fleet, "stores::between_looks");
    let armed = format!("{};{}", judged.armed(), between_looks.armed());
    let _worker = fleet.worker_with(&[("FAILPOINTS", &armed)]);
    let _scheduler = fleet.scheduler();
    judged.reached().await;
    rival(good[1]).await;
    judged.open();
    // The rival is a range of its own, and the judged row is looked for after it was read; a third comes between these
    // looks.
    between_looks.reached().await;
    rival(good[1]).await;
    between_looks.open();
    fleet.judged(MINUTES).await;
    rival(good[2]).await;
    fleet.done(MINUTES).await;

    let ids = good.join(", ");
    let refused = fleet
        .clickhouse
        .rows(&format!(
            "SELECT alg_status, splitByChar(':', assumeNotNull(alg_error))[1] AS reason, final_result, toUInt32(count()) AS rows FROM spot_records \
             WHERE record_id IN ({ids}) GROUP BY ALL"
        ))
        .await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    let one = &refused[0];
    assert_eq!(
        (&one["alg_status"], &one["reason"], &one["rows"]),
        (&"invalid".into(), &"duplicate_key".into(), &7.into())
    );
    assert!(one["final_result"].is_null());
    let others = fleet
        .clickhouse
        .count(&format!(
            "spot_records WHERE alg_status = 'ok' AND record_id NOT IN ({ids})"
        ))
        .await;
    assert_eq!(others, 897);
    let quoted = good.join("', '");
    let in_mysql = format!("SELECT record_id FROM nok_records WHERE record_id IN ('{quoted}')");
    eventually("none of them is in mysql", NEXT_PASS, async || {
        fleet.mysql.rows(&in_mysql).await.is_empty().then_some(())
    })
    .await;
    let check = fleet.run("worker", &["check"]);
    let check = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(check.contains("3 keys of day"), "{check}");
    let migrate = fleet.run("scheduler", &["migrate"]);
    let migrate = String::from_utf8_lossy(&migrate.stderr).into_owned();
    assert!(migrate.contains("3 keys of day"), "{migrate}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mirror_of_a_day_long_past_is_repaired_too() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = fleet.day_before(9).await;
    fleet.simulate(&day, 500, &["--nok-rate", "0.3"]);
    {
        let _scheduler = fleet.scheduler();
        let _worker = fleet.worker();
        fleet.backfill(&day, &day, &["--wait"]);
        fleet.idle(MINUTES).await;
    }
    let before = mirrored(&fleet).await;
    assert!(before.len() > 50);
    fleet
        .mysql
        .execute("DELETE FROM nok_records WHERE ck_ticks % 2 = 0")
        .await;
    assert_ne!(mirrored(&fleet).await, before);
    // Not live, and this scheduler knows of no backfill.
    let _scheduler = fleet.scheduler();
    eventually("the old day is fixed", NEXT_PASS, async || {
        (mirrored(&fleet).await == before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nok_that_turned_ok_leaves_the_mirror_unless_somebody_reviewed_it() {
    let mut fleet = Fleet::start().await;
    fleet.migrate();
    let _scheduler = fleet.scheduler();
    let mut worker = fleet.worker();
    judge_day(&fleet, 800).await;
    let noks = mirrored(&fleet).await.len();
    assert!(noks > 80, "{noks}");
    fleet
        .mysql
        .execute(
            "UPDATE nok_records SET review_result = 'confirmed', reviewed_by = 'Müller', reviewed_at = '2026-11-22 10:00:00', \
             review_note = '焊渣' ORDER BY ck_ticks LIMIT 3",
        )
        .await;
    fleet.mysql.execute("UPDATE nok_records SET review_note = 'look again' WHERE review_note IS NULL ORDER BY ck_ticks LIMIT 1").await;
    let reviewed = format!(
        "SELECT record_id, {REVIEW} FROM nok_records WHERE review_note IS NOT NULL ORDER BY ck_ticks"
    );
    let reviews = fleet.mysql.rows(&reviewed).await;
    assert_eq!(reviews.len(), 4);

    // Nothing is NOK any more: the mirror holds the four reviewed welds, with the verdict they have now.
    force(&mut fleet, &mut worker, true).await;
    let turned =
        "SELECT count(*), SUM(final_result = 'OK'), COUNT(DISTINCT alg_run) FROM nok_records";
    eventually("only reviewed rows are left", NEXT_PASS, async || {
        let now = fleet.mysql.rows(turned).await;
        (now == [["4", "4", "1"]]).then_some(())
    })
    .await;
    assert_eq!(
        fleet.mysql.rows(&reviewed).await,
        reviews,
        "a review was touched"
    );
    let ours = "record_id, final_result, rule_result, alg_run, alg_token";
    let of_truth = fleet
        .clickhouse
        .rows(&format!(
            "SELECT toString(record_id) AS record_id, {} FROM spot_records WHERE record_id IN ({}) ORDER BY ck_local_time",
            ours.trim_start_matches("record_id, "),
            reviews.iter().map(|row| row[0].as_str()).collect::<Vec<_>>().join(", ")
        ))
        .await;
    let of_truth: Vec<Vec<String>> = of_truth
        .iter()
        .map(|row| {
            ours.split(", ")
                .map(|name| weldfleet_tests::agree::text(row, name))
                .collect()
        })
        .collect();
    assert_eq!(
        fleet
            .mysql
            .rows(&format!("SELECT {ours} FROM nok_records ORDER BY ck_ticks"))
            .await,
        of_truth
    );

    // And back: all of them are NOK again, the reviews still there.
    force(&mut fleet, &mut worker, false).await;
    let truth = Truth::read(&fleet.clickhouse, "spot_records").await;
    assert_eq!(truth.counts().nok, noks as u64);
    eventually("all are back", NEXT_PASS, async || {
        (mirrored(&fleet).await.len() == noks).then_some(())
    })
    .await;
    truth.assert_mirrored(&fleet.mysql).await;
    assert_eq!(
        fleet.mysql.rows(&reviewed).await,
        reviews,
        "a review was touched"
    );
}

/// Judges today's rows again, by rules that call nothing NOK or as before.
async fn force(fleet: &mut Fleet, worker: &mut Process, lenient: bool) {
    worker.kill();
    fleet.lenient(lenient);
    *worker = fleet.worker();
    let day = fleet.newest_day().await;
    fleet.backfill(&day, &day, &["--force", "--wait"]);
    fleet.idle(MINUTES).await;
}
