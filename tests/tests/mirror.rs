//! MySQL follows ClickHouse, whatever was done to it by hand.

use std::time::Duration;

use weldfleet_tests::{Fleet, Process, agree::Truth, eventually};

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

async fn judge_day(fleet: &Fleet, rows: u32) {
    fleet.migrate();
    fleet.simulate("today", rows, &["--nok-rate", "0.3"]);
    fleet.judged(MINUTES).await;
    fleet.idle(MINUTES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_deleted_falsified_or_made_up_by_hand_are_mended() {
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
        format!("DELETE FROM nok_records WHERE record_id IN ('{}', '{}', '{}')", id(0), id(1), id(2)),
        format!("UPDATE nok_records SET ml_nok_prob = 0.5 WHERE record_id = '{}'", id(3)),
        format!("UPDATE nok_records SET final_result = 'OK', rule_hits = '[]' WHERE record_id = '{}'", id(4)),
        format!("UPDATE nok_records SET part_no = NULL, diameter = NULL WHERE record_id = '{}'", id(5)),
        format!("UPDATE nok_records SET alg_token = 1, alg_complete_time = NOW(3) WHERE record_id = '{}'", id(6)),
        format!("UPDATE nok_records SET record_id = 'not a number' WHERE record_id = '{}'", id(7)),
        format!("UPDATE nok_records SET ck_ticks = ck_ticks + 1 WHERE record_id = '{}'", id(8)),
        "INSERT INTO nok_records (data_date, ck_ticks, ck_local_time, record_id, final_result) SELECT data_date, ck_ticks, \
         ck_local_time, '987654', 'NOK' FROM nok_records LIMIT 1"
            .to_owned(),
        "DELETE FROM nok_records".to_owned(),
    ] {
        let mended = scheduler.log().matches("mirror mended").count();
        let damaged = fleet.mysql.execute(&damage).await;
        assert!(damaged > 0, "this changes nothing: {damage}");
        eventually(&format!("mended: {damage}"), NEXT_PASS, async || {
            let says_so = scheduler.log().matches("mirror mended").count() > mended;
            (says_so && mirrored(&fleet).await == before).then_some(())
        })
        .await;
    }
    let metric = scheduler
        .metric(
            "weldfleet_mirror_rows_mended_total",
            &["change=\"inserted\""],
        )
        .await;
    assert!(metric >= before.len() as f64, "{metric}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mirror_of_a_day_long_past_is_mended_too() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = fleet.day_before(9).await;
    fleet.simulate(&day, 500, &["--nok-rate", "0.3"]);
    {
        let _scheduler = fleet.scheduler();
        let _worker = fleet.worker();
        fleet.succeed(
            "scheduler",
            &["backfill", "--from", &day, "--to", &day, "--wait"],
        );
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
    eventually("the old day is mended", NEXT_PASS, async || {
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
    let day = fleet
        .clickhouse
        .value("SELECT max(data_date) FROM spot_records")
        .await;
    fleet.succeed(
        "scheduler",
        &[
            "backfill", "--from", &day, "--to", &day, "--force", "--wait",
        ],
    );
    fleet.idle(MINUTES).await;
}
