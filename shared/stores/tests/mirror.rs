//! The mirror: inserts what is missing, removes what is no longer NOK, repairs what was changed, leaves reviews alone.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::collections::BTreeMap;

use common::{Plant, changed, commit, day, insert, mirror_range, nok, ok, range, verdicts_by_id};
use mysql_async::prelude::Queryable;
use weldfleet_stores::{
    Range, Selection,
    clickhouse::SourceTable,
    mysql::{CommittedRange, DayBehind, MirrorChange},
};
use weldfleet_weld::{Status, Verdict, columns::RESULT_COLUMNS};

/// Judges the range's rows: NOK those whose id is in the list.
async fn judge(table: &SourceTable, token: u64, range: &Range, noks: &[usize], other: &Verdict) {
    let block = table.fetch(range).await.unwrap();
    let verdicts = verdicts_by_id(&block, |id| match id.parse() {
        Ok(id) if noks.contains(&id) => nok(),
        _ => other.clone(),
    });
    commit(table, token, range, &block, &verdicts).await;
}

fn with_kept(kept: u64, changed: MirrorChange) -> MirrorChange {
    MirrorChange { kept, ..changed }
}

#[tokio::test]
async fn mysql_follows_what_is_committed() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    let mirror = plant.mirror().await;
    insert(&table, day(), 0..100).await;
    judge(&table, 1, &range(0, 99), &[3, 40, 41, 77], &ok()).await;
    assert_eq!(
        mirror_range(&mirror, &range(0, 49)).await.unwrap(),
        changed(3, 0, 0)
    );
    assert_eq!(
        mirror_range(&mirror, &range(0, 49)).await.unwrap(),
        changed(0, 0, 0)
    );
    let lag = mirror.lag(&[day()]).await.unwrap();
    assert_eq!(
        (lag[0].committed, lag[0].mirrored, lag[0].equal),
        (4, 3, false)
    );
    assert_eq!(table.nok_count(day()).await.unwrap(), 4);
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(1, 0, 0));
    assert!(mirror.lag(&[day()]).await.unwrap()[0].equal);
    let mirrored = RESULT_COLUMNS.iter().filter(|column| column.mirrored);
    let mirrored: Vec<&str> = mirrored
        .map(|column| column.name)
        .filter(|name| *name != "alg_complete_time")
        .collect();
    assert_eq!(
        plant
            .mysql(&format!(
                "SELECT data_date, ck_ticks, ck_local_time, record_id, part_no, umax, review_result, {} \
                 FROM nok_records WHERE record_id = '77'",
                mirrored.join(", ")
            ))
            .await,
        [
            "20261122|1795305600770|2026-11-22 00:00:00.770|77|P1|9.625|NULL|0.75|NOK|NOK|[]|NOK|soft_and|小焊核,飞溅\
             |5.099999904632568|0.20000000298023224|0.8999999761581421|2.200000047683716|m1|0|1|job"
        ]
    );

    // Every kind of falsification shows in the checksum and is repaired.
    for (sql, expected) in [
        (
            "DELETE FROM nok_records WHERE record_id = '40'",
            changed(1, 0, 0),
        ),
        (
            "UPDATE nok_records SET final_result = 'OK' WHERE record_id = '41'",
            changed(0, 1, 0),
        ),
        (
            "UPDATE nok_records SET umax = umax + 0.00001 WHERE record_id = '41'",
            changed(0, 1, 0),
        ),
        (
            "UPDATE nok_records SET diameter = NULL WHERE record_id = '3'",
            changed(0, 1, 0),
        ),
        (
            "UPDATE nok_records SET rule_hits = '[1]', part_no = NULL",
            changed(0, 4, 0),
        ),
        (
            "UPDATE nok_records SET alg_complete_time = alg_complete_time + INTERVAL 1 SECOND WHERE record_id = '3'",
            changed(0, 1, 0),
        ),
        (
            "UPDATE nok_records SET ck_local_time = '2026-11-22' WHERE record_id = '3'",
            changed(0, 1, 0),
        ),
        (
            "INSERT INTO nok_records (data_date, ck_ticks, ck_local_time, record_id) VALUES (20261122, 1795305600050, '2026-11-22 00:00:00.050', '5')",
            changed(0, 0, 1),
        ),
        // Nobody can tell these from records of welds that left the source.
        (
            "UPDATE nok_records SET record_id = 'x' WHERE record_id = '3'",
            with_kept(1, changed(1, 0, 0)),
        ),
        (
            "INSERT INTO nok_records (data_date, ck_ticks, ck_local_time, record_id) VALUES (20261122, 5, '1970-01-01 00:00:00.005', '5')",
            with_kept(2, changed(0, 0, 0)),
        ),
        (
            "UPDATE nok_records SET umax = 1 WHERE record_id IN ('x', '77')",
            with_kept(2, changed(0, 1, 0)),
        ),
        (
            "DELETE FROM nok_records WHERE record_id IN ('x', '5')",
            changed(0, 0, 0),
        ),
    ] {
        plant.mysql(sql).await;
        let lag = mirror.lag(&[day()]).await.unwrap();
        assert!(!lag[0].equal, "{sql}");
        assert_eq!(mirror.mirror_day(day()).await.unwrap(), expected, "{sql}");
        assert!(mirror.lag(&[day()]).await.unwrap()[0].equal, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_far_apart_are_mirrored_and_nothing_between_them() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    let mirror = plant.mirror().await;
    insert(&table, day(), 0..1000).await;
    let nok = [3, 49, 50, 500, 899, 900, 949, 950, 990];
    judge(&table, 1, &range(0, 999), &nok, &ok()).await;
    let whole = |from, to| CommittedRange {
        range: range(from, to),
        first_token: None,
    };
    let (first, last, next) = (whole(0, 49), whole(900, 949), whole(950, 989));
    assert_eq!(
        mirror.mirror_all(&[&last, &first, &next]).await.unwrap(),
        changed(5, 0, 0)
    );
    assert_eq!(
        plant
            .mysql("SELECT record_id FROM nok_records ORDER BY ck_ticks")
            .await,
        ["3", "49", "900", "949", "950"]
    );
    // what is wrong inside is repaired, what is wrong between stays for the day's check
    plant
        .mysql("UPDATE nok_records SET part_no = 'false' WHERE record_id IN ('49', '900')")
        .await;
    plant
        .mysql(
            "UPDATE nok_records SET ck_ticks = ck_ticks + 1, record_id = '4' WHERE record_id = '3'",
        )
        .await;
    let repaired = mirror.mirror_all(&[&first, &last]).await.unwrap();
    assert_eq!(repaired, with_kept(1, changed(1, 2, 0)));
    let repaired = mirror.mirror_day(day()).await.unwrap();
    assert_eq!(repaired, with_kept(1, changed(4, 0, 0)));
    assert!(mirror.lag(&[day()]).await.unwrap()[0].equal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_attempt_is_mirrored_by_its_own_results() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    let mirror = plant.mirror().await;
    insert(&table, day(), 0..100).await;
    judge(&table, 1, &range(0, 49), &[3, 49], &ok()).await;
    judge(&table, 2, &range(50, 99), &[50, 70], &ok()).await;
    let first = |from, to, token| CommittedRange {
        range: range(from, to),
        first_token: Some(token),
    };
    let (one, two) = (first(0, 49, 1), first(50, 99, 2));
    assert_eq!(mirror.mirror_all(&[&one]).await.unwrap(), changed(2, 0, 0));
    assert_eq!(
        mirror.mirror_all(&[&one, &two]).await.unwrap(),
        changed(2, 0, 0)
    );
    assert!(mirror.lag(&[day()]).await.unwrap()[0].equal);

    // a later run finds other rows NOK: what MySQL has of the range is looked at as well
    let force = |from, to| Range {
        run: 20_261_122_000_000_001,
        selection: Selection::Force,
        ..range(from, to)
    };
    judge(&table, 3, &force(0, 49), &[49, 7], &ok()).await;
    let forced = CommittedRange {
        range: force(0, 49),
        first_token: Some(3),
    };
    let done = mirror.mirror_all(&[&forced]).await.unwrap();
    assert_eq!(done, changed(1, 1, 1));
    assert!(mirror.lag(&[day()]).await.unwrap()[0].equal);
    // what another attempt committed is not among these results: it is the day's check that finds it
    plant
        .mysql("DELETE FROM nok_records WHERE record_id = '70'")
        .await;
    let other = first(50, 99, 1);
    assert_eq!(
        mirror.mirror_all(&[&other]).await.unwrap(),
        changed(0, 0, 0)
    );
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(1, 0, 0));

    // what lies between neighbours is another worker's, who mirrors it
    plant
        .mysql("UPDATE nok_records SET part_no = 'false' WHERE record_id = '7'")
        .await;
    let (before, behind) = (first(0, 5, 1), first(10, 15, 1));
    let done = mirror.mirror_all(&[&before, &behind]).await.unwrap();
    assert_eq!(done, changed(0, 0, 0));
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(0, 1, 0));
}

#[tokio::test]
async fn a_review_outlives_the_verdict_it_was_of() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    let mirror = plant.mirror().await;
    insert(&table, day(), 0..20).await;
    judge(&table, 1, &range(0, 19), &[1, 2, 3, 4, 5], &ok()).await;
    mirror.mirror_day(day()).await.unwrap();
    plant
        .mysql("UPDATE nok_records SET review_result = 'false alarm', reviewed_by = 'Li', reviewed_at = '2026-11-22 10:00:00', \
                review_note = 'ground down' WHERE record_id IN ('1', '2', '3')")
        .await;
    assert!(
        mirror.lag(&[day()]).await.unwrap()[0].equal,
        "a review is not a difference"
    );

    // 1 stays NOK, 2 becomes OK, 3 an error; 4 becomes OK and nobody had looked at it; 6 is new.
    let force = Range {
        run: 20_261_122_000_000_001,
        selection: Selection::Force,
        ..range(0, 19)
    };
    judge(
        &table,
        2,
        &Range {
            to: common::key(2),
            ..force.clone()
        },
        &[1],
        &ok(),
    )
    .await;
    let error = Verdict::unjudged(Status::Error, "nan: the model gave no number");
    judge(
        &table,
        3,
        &Range {
            from: common::key(3),
            to: common::key(3),
            ..force.clone()
        },
        &[],
        &error,
    )
    .await;
    judge(
        &table,
        4,
        &Range {
            from: common::key(4),
            ..force.clone()
        },
        &[5, 6],
        &ok(),
    )
    .await;
    assert!(!mirror.lag(&[day()]).await.unwrap()[0].equal);
    assert_eq!(
        mirror_range(&mirror, &force).await.unwrap(),
        changed(1, 4, 1)
    );
    assert!(mirror.lag(&[day()]).await.unwrap()[0].equal);
    let rows = plant
        .mysql("SELECT record_id, final_result, ml_nok_prob, alg_token, review_result, reviewed_by, reviewed_at IS NULL, review_note \
                FROM nok_records ORDER BY ck_ticks")
        .await;
    assert_eq!(
        rows,
        [
            "1|NOK|0.75|2|false alarm|Li|0|ground down",
            "2|OK|0.25|2|false alarm|Li|0|ground down",
            "3|NULL|NULL|3|false alarm|Li|0|ground down",
            "5|NOK|0.75|4|NULL|NULL|1|NULL",
            "6|NOK|0.75|4|NULL|NULL|1|NULL",
        ]
    );
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(0, 0, 0));

    // The weld of a reviewed row is gone from the truth, and a reviewed row that is not NOK is falsified.
    plant
        .execute("DELETE FROM weld_test.spot_records WHERE record_id = 1")
        .await;
    plant
        .mysql("UPDATE nok_records SET diameter = 1 WHERE record_id = '2'")
        .await;
    assert!(!mirror.lag(&[day()]).await.unwrap()[0].equal);
    let repaired = mirror.mirror_day(day()).await.unwrap();
    assert_eq!(repaired, with_kept(1, changed(0, 1, 0)));
    let lag = mirror.lag(&[day()]).await.unwrap();
    assert!(lag[0].equal);
    assert_eq!((lag[0].committed, lag[0].mirrored, lag[0].kept), (2, 2, 1));
    assert_eq!(
        plant
            .mysql(
                "SELECT final_result, alg_token, review_note FROM nok_records WHERE record_id = '1'"
            )
            .await,
        ["NOK|2|ground down"]
    );
}

/// A server in another time zone prints the same ticks in other words.
#[tokio::test]
async fn another_time_zone_doubles_no_record_and_loses_no_review() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    insert(&table, day(), 0..300).await;
    let noks: Vec<usize> = (0..250).collect();
    judge(&table, 1, &range(0, 299), &noks, &ok()).await;
    let mirror = plant.mirror().await;
    mirror.mirror_day(day()).await.unwrap();
    let everything = async || {
        plant
            .mysql("SELECT * FROM nok_records ORDER BY ck_ticks, ck_local_time")
            .await
    };
    plant
        .mysql("UPDATE nok_records SET review_result = 'confirmed', reviewed_by = 'Li' WHERE record_id IN ('1', '2')")
        .await;
    let before = everything().await;
    let elsewhere = "UPDATE nok_records SET ck_local_time = CONCAT('2026-11-21 16', SUBSTRING(ck_local_time, 14))";
    plant.mysql(elsewhere).await;
    // As a worker mirrors its range, by keys and by their span, and as the leader goes through the day.
    assert_eq!(
        mirror_range(&mirror, &range(0, 9)).await.unwrap(),
        changed(0, 10, 0)
    );
    let first = CommittedRange {
        range: range(10, 19),
        first_token: Some(1),
    };
    let done = mirror.mirror_all(&[&first]).await.unwrap();
    assert_eq!(done, changed(0, 10, 0));
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(0, 230, 0));
    assert!(mirror.lag_of(day()).await.unwrap().equal);
    assert_eq!(everything().await, before);

    // Of twins, as an older release made them, the one with the review stays.
    plant
        .mysql(&format!("{elsewhere} WHERE record_id IN ('1', '3')"))
        .await;
    let columns = "data_date, ck_ticks, record_id, final_result, alg_token";
    plant
        .mysql(&format!(
            "INSERT INTO nok_records (ck_local_time, {columns}) \
             SELECT CONCAT('2026-11-22 00', SUBSTRING(ck_local_time, 14)), {columns} FROM nok_records WHERE record_id IN ('1', '3')"
        ))
        .await;
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(0, 2, 2));
    assert_eq!(everything().await, before);
    assert!(mirror.lag_of(day()).await.unwrap().equal);
}

/// `BACKUP` in one session: what is kept in memory belongs to it.
async fn in_session(plant: &Plant, sql: &str) -> String {
    let url = format!("{}/?session_id=backup", plant.settings.clickhouse.url);
    let output = tokio::process::Command::new("curl")
        .args(["-sS", "--fail-with-body", &url, "--data-binary", sql])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{sql}\n{text}");
    text
}

/// A projection outlives its source: a backup has no patch parts, so what it brings back has no verdicts.
#[tokio::test]
async fn a_restored_backup_and_a_day_that_left_empty_nothing() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    insert(&table, day(), 0..200).await;
    let noks: Vec<usize> = (0..110).collect();
    judge(&table, 1, &range(0, 199), &noks, &ok()).await;
    let mirror = plant.mirror().await;
    mirror.mirror_day(day()).await.unwrap();
    plant
        .mysql("UPDATE nok_records SET review_result = 'confirmed', reviewed_by = 'Li' WHERE ck_ticks % 100 = 0")
        .await;
    let everything = async || {
        plant
            .mysql("SELECT * FROM nok_records ORDER BY ck_ticks")
            .await
    };
    let before = everything().await;
    assert_eq!(before.len(), 110);
    let equal_with = async |mirror: &weldfleet_stores::mysql::Mirror| {
        let lag = mirror.lag_of(day()).await.unwrap();
        (lag.equal, lag.committed, lag.mirrored, lag.kept)
    };

    in_session(&plant, "BACKUP DATABASE weld_test TO Memory('b')").await;
    plant.execute("DROP DATABASE weld_test SYNC").await;
    in_session(&plant, "RESTORE DATABASE weld_test FROM Memory('b')").await;
    let verdicts = plant
        .ask("SELECT count(), countIf(alg_complete_time IS NOT NULL) FROM weld_test.spot_records")
        .await;
    assert_eq!(
        verdicts, "200\t0",
        "a backup that knows patches proves nothing"
    );

    // A mirror that knows nothing, as after a restart, and one that remembers what it had found equal.
    for mirror in [plant.mirror().await, mirror] {
        let kept = with_kept(110, changed(0, 0, 0));
        assert_eq!(mirror_range(&mirror, &range(0, 199)).await.unwrap(), kept);
        assert_eq!(mirror.survey_day(day()).await.unwrap(), kept);
        assert_eq!(mirror.mirror_day(day()).await.unwrap(), kept);
        assert_eq!(equal_with(&mirror).await, (true, 0, 0, 110));
        assert_eq!(mirror.totals().await.unwrap().kept, 110);
        assert_eq!(everything().await, before);
    }

    // Half of it is judged again, differently, and one row is refused: that half follows, the other stays as it was.
    let mirror = plant.mirror().await;
    mirror.mirror_day(day()).await.unwrap();
    judge(&table, 2, &range(0, 49), &[0, 1], &ok()).await;
    let refused = Verdict::unjudged(Status::Invalid, "too_short: 3 points");
    judge(&table, 3, &range(50, 59), &[], &refused).await;
    assert!(!mirror.lag_of(day()).await.unwrap().equal);
    // 0 and 1 are NOK as before; reviewed are 0, 10, … 50 of these, and they say what their weld is now.
    let repaired = mirror.mirror_day(day()).await.unwrap();
    assert_eq!(repaired, with_kept(50, changed(0, 7, 53)));
    assert_eq!(equal_with(&mirror).await, (true, 2, 2, 50));
    assert_eq!(everything().await[7..], before[60..]);

    // OK verdicts change no checksum of NOK rows, and are seen all the same.
    judge(&table, 4, &range(60, 109), &[], &ok()).await;
    assert!(!mirror.lag_of(day()).await.unwrap().equal);
    mirror.mirror_day(day()).await.unwrap();
    assert_eq!(equal_with(&mirror).await, (true, 2, 2, 0));
    let left = everything().await;
    assert_eq!(left.len(), 12, "0, 1, and what is reviewed");

    // The day leaves: by half, then wholly.
    plant
        .execute("DELETE FROM weld_test.spot_records WHERE record_id < 1")
        .await;
    let kept = with_kept(1, changed(0, 0, 0));
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), kept);
    assert_eq!(equal_with(&mirror).await, (true, 1, 1, 1));
    plant
        .execute("ALTER TABLE weld_test.spot_records DROP PARTITION 20261122")
        .await;
    mirror.mirror_day(day()).await.unwrap();
    let lag = mirror.lag_of(day()).await.unwrap();
    assert!(lag.equal);
    assert_eq!((lag.committed, lag.mirrored, lag.kept), (0, 0, 2));
    assert_eq!(mirror.totals().await.unwrap().kept, 2);
    assert_eq!(plant.mirror().await.totals().await.unwrap().kept, 2);
    assert_eq!(everything().await, left);
}

#[tokio::test]
async fn a_large_day_is_mirrored_in_steps() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    let mirror = plant.mirror().await;
    insert(&table, day(), 0..25_000).await;
    plant
        .execute("ALTER TABLE weld_test.spot_records UPDATE final_result = 'NOK', alg_status = 'ok', alg_complete_time = now64(3), alg_run = 0, alg_token = 1 WHERE 1 SETTINGS mutations_sync = 1")
        .await;
    // Rows on both sides of a step's end that are not there any more. (Not by a series of the server's: MySQL has no
    // sequence tables, and both stop a recursion after 1,000.)
    let gone: Vec<String> = (1..=15_000_u64)
        .map(|seq| format!("(20261122, {}, 'x', {seq})", 1_795_305_600_000 + seq))
        .collect();
    plant
        .mysql(&format!(
            "INSERT INTO nok_records (data_date, ck_ticks, ck_local_time, record_id) VALUES {}",
            gone.join(", ")
        ))
        .await;
    assert_eq!(
        mirror.mirror_day(day()).await.unwrap(),
        with_kept(15_000, changed(25_000, 0, 0))
    );
    assert!(mirror.lag(&[day()]).await.unwrap()[0].equal);
    plant.execute("TRUNCATE TABLE weld_test.spot_records").await;
    let kept = with_kept(40_000, changed(0, 0, 0));
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), kept);
    assert!(mirror.lag(&[day()]).await.unwrap()[0].equal);
}

/// Whatever the table has against a record: all others are mirrored, and that one is named.
#[tokio::test]
async fn a_record_that_mysql_refuses_is_named_and_keeps_no_other_away() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    insert(&table, day(), 0..60).await;
    let noks: Vec<usize> = (0..30).collect();
    judge(&table, 1, &range(0, 59), &noks, &ok()).await;
    let refusing = |at: &str, name: &str, id: u32| {
        format!(
            "CREATE TRIGGER on_{name} BEFORE {name} ON nok_records FOR EACH ROW IF {at}.record_id = '{id}' THEN \
             SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF"
        )
    };
    plant.mysql(&refusing("NEW", "INSERT", 9)).await;
    plant
        .mysql("ALTER TABLE nok_records ADD CONSTRAINT no_seven CHECK (record_id <> '7')")
        .await;
    let mirror = plant.mirror().await;
    let ids = "SELECT COUNT(*), SUM(record_id IN ('7', '9')) FROM nok_records";
    for inserted in [28, 0] {
        let change = mirror.mirror_day(day()).await.unwrap();
        assert_eq!((change.inserted, change.refused.rows), (inserted, 2));
        let said = change.refused.to_string();
        for part in [
            "mysql refuses 2 records: weld 7 of 20261122: ",
            "no_seven",
            "weld 9 of 20261122: not this one (1644)",
        ] {
            assert!(said.contains(part), "{part}\nnot in\n{said}");
        }
        assert_eq!(plant.mysql(ids).await, ["28|0"]);
        let lag = mirror.lag_of(day()).await.unwrap();
        assert_eq!((lag.committed, lag.mirrored, lag.equal), (30, 28, false));
    }

    // A row that somebody holds is no outage.
    plant
        .mysql("UPDATE nok_records SET ml_nok_prob = 0.5 WHERE record_id IN ('3', '5')")
        .await;
    let opts = mysql_async::Opts::from_url(plant.settings.mysql.url.expose()).unwrap();
    let mut holder = mysql_async::Conn::new(opts).await.unwrap();
    for sql in [
        "BEGIN",
        "SELECT 1 FROM nok_records WHERE record_id = '3' AND data_date = 20261122 AND ck_ticks = \
         (SELECT t FROM (SELECT ck_ticks AS t FROM nok_records WHERE record_id = '3') AS held) FOR UPDATE",
    ] {
        holder.query_drop(sql).await.unwrap();
    }
    let change = mirror.mirror_day(day()).await.unwrap();
    assert_eq!((change.updated, change.refused.rows), (1, 3), "{change:?}");
    holder.disconnect().await.unwrap();

    // One that is not let go is no record whose weld has no verdict.
    plant.mysql(&refusing("OLD", "DELETE", 5)).await;
    let force = Range {
        run: 20_261_122_000_000_001,
        selection: Selection::Force,
        ..range(0, 59)
    };
    judge(&table, 2, &force, &[], &ok()).await;
    let change = mirror.mirror_day(day()).await.unwrap();
    assert_eq!((change.removed, change.kept), (27, 0), "{change:?}");
    assert_eq!(plant.mysql(ids).await, ["1|0"]);
    assert_eq!(mirror.totals().await.unwrap().kept, 0);
    // What is in its way goes.
    plant.mysql("DROP TRIGGER on_DELETE").await;
    let later = plant.mirror().await;
    assert_eq!(later.mirror_day(day()).await.unwrap(), changed(0, 0, 1));
    assert!(later.lag_of(day()).await.unwrap().equal);
}

/// Of a day that nobody compares row by row this is all that tells.
#[tokio::test]
async fn what_mysql_lacks_of_any_day_is_counted() {
    let plant = Plant::ours(true).await;
    let (table, mirror) = (plant.table().await, plant.mirror().await);
    insert(&table, day(), 0..100).await;
    judge(&table, 1, &range(0, 99), &[3, 40, 41, 77], &ok()).await;
    let behind = async || mirror.totals().await.unwrap().behind;
    let lacks = |missing| {
        let committed = 4;
        BTreeMap::from([(day(), DayBehind { missing, committed })])
    };
    assert_eq!(behind().await, lacks(4), "an empty table lacks all");
    mirror.mirror_day(day()).await.unwrap();
    assert_eq!(behind().await, BTreeMap::new());
    plant
        .mysql("DELETE FROM nok_records WHERE record_id IN ('3', '77')")
        .await;
    assert_eq!(behind().await, lacks(2));
}
