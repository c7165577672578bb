//! Patch parts: which days they are of, what they keep a plant from doing, and what applying them gives back.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::Duration;

use common::{Plant, day, insert, range};
use weldfleet_stores::{
    Day,
    clickhouse::{PatchedDay, SourceTable},
};
use weldfleet_testkit::eventually;
use weldfleet_weld::Status;

const SOON: Duration = Duration::from_secs(30);
const VERDICTS: &str = "SELECT data_date, alg_status, count(), sum(cityHash64(record_id, alg_error, alg_token)) \
                        FROM weld_test.spot_records GROUP BY 1, 2 ORDER BY 1, 2";
/// What `BACKUP` and `FREEZE` see: the parts without their patches.
const WITHOUT_PATCHES: &str = "SELECT countIf(alg_complete_time IS NOT NULL) FROM weld_test.spot_records \
                               SETTINGS apply_patch_parts = 0";

async fn mark(table: &SourceTable, token: u64, from: u64, to: u64) {
    let marked = table
        .mark(token, "job", &range(from, to), Status::Invalid, "dropped")
        .await
        .unwrap();
    assert_eq!(marked, to - from + 1);
}

async fn settle(table: &SourceTable) {
    let patches = table.patches().await.unwrap();
    let ids: Vec<String> = patches
        .partitions
        .into_iter()
        .map(|partition| partition.id)
        .collect();
    table.apply_patches(&ids).await.unwrap();
    applied(table).await;
}

async fn applied(table: &SourceTable) {
    eventually("patches are applied", SOON, async || {
        table.applying().await.unwrap().is_none().then_some(())
    })
    .await;
}

/// The partitions' days and rows left.
async fn unsettled(table: &SourceTable) -> Vec<(String, Vec<(u32, u64)>)> {
    let patches = table.patches().await.unwrap();
    let days = |days: &[PatchedDay]| {
        let days = days.iter().map(|day| (day.day.number(), day.left));
        days.collect()
    };
    patches
        .partitions
        .iter()
        .map(|partition| (partition.id.clone(), days(&partition.days)))
        .collect()
}

#[tokio::test]
async fn a_settled_day_can_be_archived_and_backed_up() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..1000).await;
    let other = Day::new(20_261_121).unwrap();
    insert(&table, other, 0..10).await;
    assert_eq!(unsettled(&table).await, []);
    assert_eq!(table.patches().await.unwrap().bytes, 0);

    mark(&table, 7, 0, 899).await;
    assert_eq!(
        unsettled(&table).await,
        [("20261122".to_owned(), vec![(20_261_122, 100)])]
    );
    mark(&table, 8, 900, 999).await;
    let patches = table.patches().await.unwrap();
    assert!(patches.bytes > 0 && patches.limit > 1 << 30, "{patches:?}");
    assert!(patches.partitions[0].quiet_seconds < 30, "{patches:?}");
    // The table's own limit is before the server's.
    for (own, bytes) in [("5000000000", 5_000_000_000), ("'6Gi'", 6 << 30)] {
        let set = "MODIFY SETTING max_uncompressed_bytes_in_patches";
        plant
            .execute(&format!("ALTER TABLE weld_test.spot_records {set} = {own}"))
            .await;
        assert_eq!(table.patch_limit().await.unwrap(), bytes, "{own}");
    }
    let before = plant.ask(VERDICTS).await;
    assert_eq!(plant.ask(WITHOUT_PATCHES).await, "0");
    let archive =
        "ALTER TABLE weld_test.spot_records MOVE PARTITION 20261122 TO TABLE weld_test.archive";
    plant
        .execute("CREATE TABLE weld_test.archive AS weld_test.spot_records")
        .await;
    let refused = table.server().execute("archive", archive).await;
    assert!(refused.unwrap_err().chain().contains("Code: 344"));

    settle(&table).await;
    assert_eq!(unsettled(&table).await, []);
    assert_eq!(plant.ask(WITHOUT_PATCHES).await, "1000");
    assert_eq!(plant.ask(VERDICTS).await, before);
    plant
        .execute("ALTER TABLE weld_test.spot_records DETACH PARTITION 20261122")
        .await;
    plant
        .execute("ALTER TABLE weld_test.spot_records ATTACH PARTITION 20261122")
        .await;
    assert_eq!(plant.ask(VERDICTS).await, before, "detached and attached");
    plant.execute(archive).await;
    assert_eq!(
        plant.ask("SELECT count(), uniqExact(alg_token), countIf(alg_status = 'invalid') FROM weld_test.archive").await,
        "1000\t2\t1000"
    );
    plant
        .execute(
            "ALTER TABLE weld_test.spot_records ATTACH PARTITION 20261122 FROM weld_test.archive",
        )
        .await;
    assert_eq!(plant.ask(VERDICTS).await, before, "brought back");

    // A day that comes back is written to like any other, and one that is dropped needs no settling.
    insert(&table, day(), 1000..1100).await;
    assert_eq!(unsettled(&table).await, [], "late rows are no patches");
    mark(&table, 9, 1000, 1099).await;
    assert_eq!(
        unsettled(&table).await,
        [("20261122".to_owned(), vec![(20_261_122, 0)])]
    );
    plant
        .execute("ALTER TABLE weld_test.spot_records DROP PARTITION 20261122")
        .await;
    assert_eq!(unsettled(&table).await, []);
}

#[tokio::test]
async fn a_merge_settles_and_a_statement_that_does_not_end_can_be_stopped() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    for first in [0, 100, 200] {
        insert(&table, day(), first..first + 100).await;
    }
    mark(&table, 7, 50, 249).await;
    plant
        .execute("OPTIMIZE TABLE weld_test.spot_records FINAL")
        .await;
    assert_eq!(unsettled(&table).await, []);
    assert_eq!(plant.ask(WITHOUT_PATCHES).await, "200");

    mark(&table, 8, 0, 49).await;
    mark(&table, 9, 250, 299).await;
    plant
        .execute("SYSTEM STOP MERGES weld_test.spot_records")
        .await;
    table.apply_patches(&["20261122".to_owned()]).await.unwrap();
    let applying = table.applying().await.unwrap().unwrap();
    assert!(applying.parts_left >= 1, "{applying:?}");
    table.stop_applying().await.unwrap();
    assert_eq!(table.applying().await.unwrap(), None);
    assert_eq!(unsettled(&table).await.len(), 1);
    plant
        .execute("SYSTEM START MERGES weld_test.spot_records")
        .await;
    settle(&table).await;
    assert_eq!(unsettled(&table).await, []);
    assert_eq!(plant.ask(WITHOUT_PATCHES).await, "300");
}

#[tokio::test]
async fn days_are_found_whatever_the_table_is_parted_by() {
    for (partition, day_type, first, second, shared) in [
        (
            "toYYYYMM(data_date)",
            "Date",
            "'2026-11-22'",
            "'2026-11-21'",
            true,
        ),
        ("tuple()", "String", "'20261122'", "'2026-11-21'", true),
        (
            "(data_date, record_id % 2)",
            "UInt32",
            "20261122",
            "20261121",
            false,
        ),
    ] {
        let plant = Plant::bare(false);
        plant.execute("CREATE DATABASE weld_test").await;
        plant
            .execute(&format!(
                "CREATE TABLE weld_test.spot_records (data_date {day_type}, ck_local_time DateTime64(3), record_id UInt64, \
                 umax Float32, imax Float32, u_curve Array(Float32), i_curve Array(Float32)) ENGINE = MergeTree \
                 PARTITION BY {partition} ORDER BY (data_date, ck_local_time)"
            ))
            .await;
        plant.migrate().await;
        let table = plant.table().await;
        for date in [first, second] {
            plant
                .execute(&format!(
                    "INSERT INTO weld_test.spot_records (data_date, ck_local_time, record_id) SELECT {date}, \
                     toDateTime64('2026-11-22 00:00:00', 3, 'UTC') + toIntervalMillisecond(10 * number), number FROM numbers(100)"
                ))
                .await;
        }
        mark(&table, 7, 0, 89).await;
        // A day that was never judged has nothing to lose, so it is not waited for.
        let found = unsettled(&table).await;
        let left: u64 = found
            .iter()
            .flat_map(|(_, days)| days)
            .map(|(_, left)| left)
            .sum();
        assert_eq!(left, 10, "{partition}: {found:?}");
        assert_eq!(
            found.len(),
            if shared { 1 } else { 2 },
            "{partition}: {found:?}"
        );
        let days = table.patches().await.unwrap().days();
        assert_eq!(days, [day()], "{partition}");
        settle(&table).await;
        assert_eq!(unsettled(&table).await, [], "{partition}");
        assert_eq!(plant.ask(WITHOUT_PATCHES).await, "90", "{partition}");
    }
}
