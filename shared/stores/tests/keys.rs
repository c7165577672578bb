//! Identity: rows of one key, alike or not, in tables with and without versions, whenever they come.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Plant, commit, day, insert, key, nok, ok, range, verdicts_by_id};
use weldfleet_stores::{
    KeyOrder, Range, Selection,
    clickhouse::{Attempt, RowBlock, SourceTable, repeated_keys},
};
use weldfleet_weld::Status;

const RUN: u64 = 20_261_122_000_000_001;
const REFUSED: &str = "duplicate_key: 2 rows have this key and differ";

/// The key's weld again with other curves, as a plant writes it; in a table with versions, the next one.
async fn another(plant: &Plant, id: u64) {
    again(plant, id, "arrayMap(x -> x + 100, u_curve)").await;
}

async fn again(plant: &Plant, id: u64, u_curve: &str) {
    plant
        .execute(&format!(
            "INSERT INTO weld_test.spot_records (data_date, ck_local_time, record_id, part_no, umax, imax, u_curve, i_curve) \
             SELECT data_date, ck_local_time, record_id, part_no, umax, imax, {u_curve}, i_curve \
             FROM weld_test.spot_records WHERE record_id = {id} LIMIT 1"
        ))
        .await;
}

/// Judges what was fetched: an id that ends in 0 is NOK.
async fn store(table: &SourceTable, token: u64, range: &Range, block: &RowBlock) -> Attempt {
    let mut verdicts = verdicts_by_id(block, |id| if id.ends_with('0') { nok() } else { ok() });
    block.refuse(&mut verdicts);
    common::store(table, token, range, block, &verdicts).await
}

async fn judge(table: &SourceTable, token: u64, range: &Range) -> RowBlock {
    let block = table.fetch(range).await.unwrap();
    let attempt = store(table, token, range, &block).await;
    table.commit(&[attempt]).await.unwrap();
    block
}

/// Every physical row of the id: the first value of its curve, status, reason, token.
async fn rows_of(plant: &Plant, id: u64) -> Vec<String> {
    plant
        .ask(&format!(
            "SELECT u_curve[1], ifNull(alg_status, '-'), ifNull(alg_error, '-'), ifNull(alg_token, 0) \
             FROM weld_test.spot_records WHERE record_id = {id} ORDER BY 1, _block_number"
        ))
        .await
        .lines()
        .map(|line| line.replace('\t', "|"))
        .collect()
}

fn refused(values: &[u64], token: u64) -> Vec<String> {
    values
        .iter()
        .map(|value| format!("{value}|invalid|{REFUSED}|{token}"))
        .collect()
}

fn forced(range: &Range) -> Range {
    Range {
        run: RUN,
        selection: Selection::Force,
        ..range.clone()
    }
}

#[tokio::test]
async fn two_contents_under_one_key_are_refused_whenever_the_second_comes() {
    let plant = Plant::ours(true).await;
    let table = plant.table().await;
    let mirror = plant.mirror().await;
    insert(&table, day(), 0..20).await;
    assert_eq!(repeated_keys(&plant.settings).await.unwrap(), None);
    let all = range(0, 19);

    // There before the fetch; the good one is not judged either.
    another(&plant, 10).await;
    let repeated = repeated_keys(&plant.settings).await.unwrap().unwrap();
    assert_eq!(
        repeated.to_string(),
        "1 keys of day 20261122 are in more than one row (2 rows), e.g. `2026-11-22 00:00:00.100 10`: rows with one key and \
         different content are invalid, duplicate_key; (data_date, ck_local_time, record_id) must identify a weld"
    );
    // Comes between the fetch and the commit: nothing of the other's is written to it.
    let with_two = Range {
        rows: 21,
        ..all.clone()
    };
    let block = table.fetch(&with_two).await.unwrap();
    assert_eq!((block.len(), block.overrules()), (21, false));
    let first = store(&table, 1, &with_two, &block).await;
    another(&plant, 0).await;
    table.commit(&[first]).await.unwrap();
    assert_eq!(rows_of(&plant, 10).await, refused(&[10, 110], 1));
    assert_eq!(rows_of(&plant, 0).await, ["0|ok|-|1", "100|-|-|0"]);
    mirror.mirror_day(day()).await.unwrap();
    let in_mysql = async || {
        plant
            .mysql("SELECT record_id FROM nok_records ORDER BY ck_ticks")
            .await
    };
    assert_eq!(in_mysql().await, ["0"]);

    // The next attempt sees both, in a range far wider than the one row that is left.
    let late = Range {
        rows: 1,
        ..all.clone()
    };
    let block = judge(&table, 2, &late).await;
    assert_eq!((block.len(), block.overrules()), (2, true));
    assert_eq!(rows_of(&plant, 0).await, refused(&[0, 100], 2));
    assert_eq!(rows_of(&plant, 1).await, ["1|ok|-|1"]);
    mirror.mirror_day(day()).await.unwrap();
    assert!(in_mysql().await.is_empty());

    // Comes after the commit, and the range is as short as it can be.
    another(&plant, 5).await;
    let block = judge(&table, 3, &range(5, 5)).await;
    assert_eq!((block.len(), block.overrules()), (2, true));
    assert_eq!(rows_of(&plant, 5).await, refused(&[5, 105], 3));
    // A third one, whatever the first two are.
    another(&plant, 5).await;
    judge(&table, 4, &late).await;
    let reasons = plant
        .ask("SELECT DISTINCT alg_error FROM weld_test.spot_records WHERE record_id = 5")
        .await;
    assert_eq!(reasons, "duplicate_key: 3 rows have this key and differ");
    let counts = table.day_counts(&[day()]).await.unwrap();
    assert_eq!(
        (
            counts[0].left,
            counts[0].outcomes.invalid,
            counts[0].outcomes.ok
        ),
        (0, 7, 17)
    );

    // What is judged again by its status sees the same.
    let again = Range {
        run: RUN,
        selection: Selection::Status(vec![Status::Invalid]),
        ..all.clone()
    };
    assert_eq!(judge(&table, 5, &again).await.len(), 7);
    assert_eq!(rows_of(&plant, 0).await, refused(&[0, 100], 5));
}

#[tokio::test]
async fn rows_alike_are_one_weld_and_each_of_them_is_judged() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..10).await;
    insert(&table, day(), [3, 3]).await;
    let block = judge(&table, 1, &range(0, 9)).await;
    assert_eq!(block.len(), 10);
    assert_eq!(rows_of(&plant, 3).await, ["3|ok|-|1"; 3]);
    // A late one is that weld too, and what was written before stands.
    insert(&table, day(), [3]).await;
    let block = judge(&table, 2, &range(0, 9)).await;
    assert_eq!((block.len(), block.overrules()), (1, false));
    let rows = rows_of(&plant, 3).await;
    assert_eq!(rows, ["3|ok|-|1", "3|ok|-|1", "3|ok|-|1", "3|ok|-|2"]);
}

/// Who looked later knows more, whichever run is the newer.
#[tokio::test]
async fn an_attempt_that_looked_earlier_gives_no_verdict_back() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..10).await;
    let all = range(0, 9);
    judge(&table, 1, &all).await;

    // A forced run has fetched; then the rival comes and a live attempt sees both.
    let run = forced(&all);
    let block = table.fetch(&run).await.unwrap();
    let early = store(&table, 2, &run, &block).await;
    another(&plant, 4).await;
    let block = table.fetch(&all).await.unwrap();
    let late = store(&table, 3, &all, &block).await;
    table.commit(std::slice::from_ref(&late)).await.unwrap();
    assert_eq!(rows_of(&plant, 4).await, refused(&[4, 104], 3));
    table.commit(std::slice::from_ref(&early)).await.unwrap();
    assert_eq!(rows_of(&plant, 4).await, refused(&[4, 104], 3));
    assert_eq!(rows_of(&plant, 5).await, ["5|ok|-|2"]);
    // The other way round the result is the same, and the row keeps the newer run: it is not judged for ever.
    let block = judge(&table, 4, &run).await;
    assert_eq!(block.len(), 2);
    assert_eq!(rows_of(&plant, 4).await, refused(&[4, 104], 4));
    assert!(table.fetch(&run).await.unwrap().is_empty());
    assert!(table.fetch(&all).await.unwrap().is_empty());

    // The plant takes the wrong one away and has the other judged: no statement of the old attempts undoes that.
    plant
        .execute("DELETE FROM weld_test.spot_records WHERE record_id = 4 AND u_curve[1] = 104")
        .await;
    let newer = Range {
        run: RUN + 1,
        selection: Selection::Status(vec![Status::Invalid]),
        ..all.clone()
    };
    judge(&table, 5, &newer).await;
    table.commit(&[early, late]).await.unwrap();
    assert_eq!(rows_of(&plant, 4).await, ["4|ok|-|5"]);
}

/// Parts from before the table kept places of rows, merges and settled patches change nobody's place.
#[tokio::test]
async fn merges_between_fetch_and_commit_lose_no_result() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    for from in [0, 10, 20] {
        insert(&table, day(), from..from + 10).await;
    }
    plant
        .execute("OPTIMIZE TABLE weld_test.spot_records FINAL")
        .await;
    insert(&table, day(), 30..40).await;
    let all = range(0, 39);
    let half = range(0, 19);
    judge(&table, 1, &half).await;
    let block = table.fetch(&all).await.unwrap();
    assert_eq!(block.len(), 20);
    let attempt = store(&table, 2, &all, &block).await;
    plant
        .execute("OPTIMIZE TABLE weld_test.spot_records FINAL")
        .await;
    plant
        .execute(
            "ALTER TABLE weld_test.spot_records APPLY PATCHES IN PARTITION 20261122 SETTINGS mutations_sync = 1",
        )
        .await;
    table.commit(&[attempt]).await.unwrap();
    assert_eq!(table.committed(&half, 1).await.unwrap(), 20);
    assert_eq!(table.committed(&all, 2).await.unwrap(), 20);
}

/// Orders of a plant's table: by time as ours, and as older systems have it, where no range of times is found by its
/// key.
const ORDERS: [&str; 2] = ["ck_local_time, record_id", "part_no, record_id"];

/// Our input columns, twenty welds, in a table with versions; `engine` as in `ENGINE = …`, `order` behind the day.
async fn with_versions(engine: &str, order: &str) -> Plant {
    let plant = Plant::bare(true);
    plant.execute("CREATE DATABASE weld_test").await;
    plant
        .execute(&format!(
            "CREATE TABLE weld_test.spot_records (data_date UInt32, ck_local_time DateTime64(3), record_id UInt64, part_no String, \
             umax Float32, imax Float32, u_curve Array(Float32), i_curve Array(Float32), \
             version UInt64 DEFAULT toUnixTimestamp64Nano(now64(9)), gone UInt8 DEFAULT 0) \
             ENGINE = {engine} PARTITION BY data_date ORDER BY (data_date, {order})"
        ))
        .await;
    plant
        .execute("SYSTEM STOP MERGES weld_test.spot_records")
        .await;
    let migrated = {
        plant.migrate().await;
        plant
    };
    migrated
        .execute(
            "INSERT INTO weld_test.spot_records (data_date, ck_local_time, record_id, part_no, umax, imax, u_curve, i_curve) \
             SELECT 20261122, fromUnixTimestamp64Milli(1795305600000 + 10 * number), number, 'P1', 1, 1, [number, 1, 2], [1, 1, 1] \
             FROM numbers(20)",
        )
        .await;
    migrated
}

#[tokio::test]
async fn of_versions_the_one_that_final_returns_is_judged_and_counted() {
    let engines = ["ReplacingMergeTree(version)", "ReplacingMergeTree"];
    for (engine, order) in engines
        .iter()
        .flat_map(|engine| ORDERS.map(|order| (engine, order)))
    {
        let plant = with_versions(engine, order).await;
        let table = plant.table().await;
        let mirror = plant.mirror().await;
        let all = range(0, 19);
        another(&plant, 10).await;
        assert_eq!(repeated_keys(&plant.settings).await.unwrap(), None);
        let counts = table.day_counts(&[day()]).await.unwrap();
        assert_eq!((counts[0].total, counts[0].left), (20, 20), "{engine}");
        let mut keys = table
            .unprocessed_keys(
                0,
                day(),
                &Selection::New,
                KeyOrder::Time,
                &Default::default(),
                100,
            )
            .unwrap();
        let mut sliced = 0;
        while let Some(block) = keys.next().await.unwrap() {
            sliced += block.keys().count();
        }
        assert_eq!(sliced, 20, "{engine}");

        let block = table.fetch(&all).await.unwrap();
        assert_eq!(block.len(), 20, "{engine}");
        assert_eq!(block.weld(10).u[0], 110.0, "{engine}");
        // A newer version comes while its predecessor is judged.
        let first = store(&table, 1, &all, &block).await;
        another(&plant, 0).await;
        table.commit(&[first]).await.unwrap();
        assert_eq!(rows_of(&plant, 10).await, ["10|-|-|0", "110|ok|-|1"]);
        assert_eq!(rows_of(&plant, 0).await, ["0|ok|-|1", "100|-|-|0"]);
        let counts = table.day_counts(&[day()]).await.unwrap();
        assert_eq!((counts[0].total, counts[0].left), (20, 1), "{engine}");
        mirror.mirror_day(day()).await.unwrap();
        let in_mysql = "SELECT record_id FROM nok_records ORDER BY ck_ticks";
        assert_eq!(plant.mysql(in_mysql).await, ["10"], "{engine}");

        // It is judged by itself; so is a corrected version of a NOK weld, and MySQL follows.
        again(&plant, 10, "[7, 7, 7]").await;
        let block = table.fetch(&all).await.unwrap();
        assert_eq!((block.len(), block.overrules()), (2, false), "{engine}");
        commit(&table, 2, &all, &block, &[nok(), ok()]).await;
        mirror.mirror_day(day()).await.unwrap();
        assert_eq!(plant.mysql(in_mysql).await, ["0"], "{engine}");
        assert!(mirror.lag(&[day()]).await.unwrap()[0].equal, "{engine}");
        let counts = table.day_counts(&[day()]).await.unwrap();
        assert_eq!((counts[0].left, counts[0].outcomes.nok), (0, 1), "{engine}");
        plant
            .execute("SYSTEM START MERGES weld_test.spot_records")
            .await;
        plant
            .execute("OPTIMIZE TABLE weld_test.spot_records FINAL")
            .await;
        assert_eq!(rows_of(&plant, 0).await, ["100|ok|-|2"], "{engine}");
        assert_eq!(rows_of(&plant, 10).await, ["7|ok|-|2"], "{engine}");
    }
}

#[tokio::test]
async fn a_weld_is_found_at_the_time_of_its_last_version_alone() {
    let plant = with_versions("ReplacingMergeTree(version)", ORDERS[1]).await;
    let table = plant.table().await;
    plant
        .execute(
            "INSERT INTO weld_test.spot_records (data_date, ck_local_time, record_id, part_no, umax, imax, u_curve, i_curve) \
             SELECT data_date, fromUnixTimestamp64Milli(1795305600150), record_id, part_no, umax, imax, u_curve, i_curve \
             FROM weld_test.spot_records WHERE record_id = 3",
        )
        .await;
    let ids = |block: &RowBlock| -> Vec<String> {
        (0..block.len())
            .map(|row| block.id(row).to_string())
            .collect()
    };
    let before = table.fetch(&range(0, 9)).await.unwrap();
    assert_eq!(ids(&before), ["0", "1", "2", "4", "5", "6", "7", "8", "9"]);
    let found = table.find("3", Some(day()), None).await.unwrap().unwrap();
    assert_eq!(found.block.key(found.row).ticks, key(15).ticks);
    judge(&table, 1, &range(0, 9)).await;
    let range_of_its_own = range(10, 19);
    let block = judge(&table, 2, &range_of_its_own).await;
    assert_eq!(block.len(), 11);
    let mirror = plant.mirror().await;
    mirror.mirror_day(day()).await.unwrap();
    assert!(mirror.lag(&[day()]).await.unwrap()[0].equal);
}

#[tokio::test]
async fn a_deleted_version_is_nobodys_work_and_a_longer_sorting_key_hides_no_rival() {
    let plant = with_versions("ReplacingMergeTree(version, gone)", ORDERS[1]).await;
    let table = plant.table().await;
    plant
        .execute(
            "INSERT INTO weld_test.spot_records (data_date, ck_local_time, record_id, part_no, gone) \
             SELECT data_date, ck_local_time, record_id, part_no, 1 FROM weld_test.spot_records WHERE record_id = 3",
        )
        .await;
    assert_eq!(table.fetch(&range(0, 19)).await.unwrap().len(), 19);
    assert_eq!(table.day_counts(&[day()]).await.unwrap()[0].total, 19);

    let mut plant = Plant::bare(false);
    plant.settings.tables.source_table = "by_spot".into();
    plant.execute("CREATE DATABASE weld_test").await;
    plant
        .execute(
            "CREATE TABLE weld_test.by_spot (data_date UInt32, ck_local_time DateTime64(3), record_id UInt64, spot_name String, \
             umax Float32, imax Float32, u_curve Array(Float32), i_curve Array(Float32)) \
             ENGINE = ReplacingMergeTree PARTITION BY data_date ORDER BY (data_date, spot_name, ck_local_time, record_id)",
        )
        .await;
    plant.migrate().await;
    for spot in ["S1", "S2", "S2"] {
        plant
            .execute(&format!(
                "INSERT INTO weld_test.by_spot (data_date, ck_local_time, record_id, spot_name, umax, imax, u_curve, i_curve) \
                 VALUES (20261122, fromUnixTimestamp64Milli(1795305600070), 7, '{spot}', 1, 1, [1], [1])"
            ))
            .await;
    }
    let table = plant.table().await;
    let block = table.fetch(&range(0, 19)).await.unwrap();
    let mut verdicts = vec![ok(); block.len()];
    block.refuse(&mut verdicts);
    let reasons: Vec<_> = verdicts.iter().map(|v| v.alg_error.as_deref()).collect();
    assert_eq!(reasons, [Some(REFUSED); 2]);
    assert_eq!(block.key(0), key(7).as_ref());
}
