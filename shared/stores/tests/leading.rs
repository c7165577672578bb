//! Ranges along a table's own sorting key, where the time does not lead it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::collections::{BTreeSet, HashMap};

use common::{Plant, day, mirror_range, nok, ok, range, store, verdicts_by_id};
use weldfleet_stores::{
    Coverage, Key, KeyOrder, KeyRange, Leading, Range, RecordId, Selection,
    clickhouse::{Attempt, RowBlock, SourceTable, Split},
    mysql::{CommittedRange, MirrorChange},
};
use weldfleet_testkit::Service;

const RUN: u64 = 20_261_122_000_000_001;
const WELDS: u64 = 60;

/// Columns that lead a key, their values by a weld's number, and a value that none of these has: NULL, texts of which
/// one begins another, one that is not UTF-8; numbers on both sides of 0, which NULL counts as.
const LEADING: [(&str, &str, &str); 2] = [
    (
        "LowCardinality(Nullable(String))",
        "[NULL, '', 'S1', 'S10', '焊点', unhex('bab8b5e3')][1 + number % 6]",
        "'S2'",
    ),
    (
        "Nullable(Int16)",
        "[-1, 0, NULL, 2, 10, 300][1 + number % 6]",
        "5",
    ),
];

/// Sixty welds in a table ordered by day, spot and id, one of them sent twice.
async fn plant(spot: &str, value: &str) -> Plant {
    let plant = Plant::bare(true);
    plant.execute("CREATE DATABASE weld_test").await;
    plant
        .execute(&format!(
            "CREATE TABLE weld_test.spot_records (data_date UInt32, ck_local_time DateTime64(3), record_id UInt64, spot {spot}, \
             umax Float32, imax Float32, u_curve Array(Float32), i_curve Array(Float32)) ENGINE = ReplacingMergeTree \
             PARTITION BY data_date ORDER BY (data_date, spot, record_id) SETTINGS allow_nullable_key = 1, index_granularity = 4"
        ))
        .await;
    plant.migrate().await;
    for numbers in [format!("{WELDS}"), "7, 1".to_owned()] {
        send(&plant, value, &numbers).await;
    }
    plant
        .execute("OPTIMIZE TABLE weld_test.spot_records FINAL")
        .await;
    plant
}

/// Welds with these numbers, other ones at other places; times run against the numbers.
async fn send(plant: &Plant, value: &str, numbers: &str) {
    plant
        .execute(&format!(
            "INSERT INTO weld_test.spot_records (data_date, ck_local_time, record_id, spot, umax, imax, u_curve, i_curve) \
             SELECT 20261122, fromUnixTimestamp64Milli(1795305600000 + 10 * toInt64({WELDS} - number)), number, {value} AS place, 1, 1, \
             [number, cityHash64(ifNull(toString(place), '')) % 1000], [1, 1] FROM numbers({numbers})"
        ))
        .await;
}

async fn left(table: &SourceTable, covered: &Coverage) -> Vec<Key> {
    let order = KeyOrder::SortingKey;
    let mut stream = table
        .unprocessed_keys(RUN, day(), &Selection::New, order, covered, 1000)
        .unwrap();
    let mut keys = Vec::new();
    while let Some(block) = stream.next().await.unwrap() {
        let uncovered = block.keys().filter(|key| !covered.contains(*key));
        keys.extend(uncovered.map(|key| key.to_owned()));
    }
    keys
}

fn ids(block: &RowBlock) -> BTreeSet<String> {
    (0..block.len())
        .map(|row| block.id(row).to_string())
        .collect()
}

/// As a job carries it.
fn carried(range: &Range) -> Range {
    let fields: HashMap<&str, String> = range.encode().into_iter().collect();
    Range::decode(|name| fields.get(name).map(String::as_str)).unwrap()
}

async fn ranges(table: &SourceTable, keys: &[Key]) -> Vec<Range> {
    let mut ranges = Vec::new();
    for keys in keys.chunks(7) {
        let [mut from, mut to] = [&keys[0], &keys[keys.len() - 1]].map(Key::clone);
        table.name_keys(&mut [&mut from, &mut to]).await.unwrap();
        ranges.push(carried(&Range {
            run: RUN,
            from,
            to,
            rows: keys.len() as u64,
            ..range(0, 0)
        }));
    }
    ranges
}

/// Results stored, nothing committed; NOK is what has a number that ends in this digit.
async fn attempt(
    table: &SourceTable,
    token: u64,
    range: &Range,
    digit: char,
) -> (RowBlock, Attempt) {
    let block = table.fetch(range).await.unwrap();
    let mut verdicts = verdicts_by_id(&block, |id| if id.ends_with(digit) { nok() } else { ok() });
    block.refuse(&mut verdicts);
    let attempt = store(table, token, range, &block, &verdicts).await;
    (block, attempt)
}

async fn judge(table: &SourceTable, token: u64, range: &Range, digit: char) -> RowBlock {
    let (block, attempt) = attempt(table, token, range, digit).await;
    table.commit(&[attempt]).await.unwrap();
    block
}

#[tokio::test]
async fn a_day_is_cut_read_written_and_mirrored_along_its_sorting_key() {
    for (spot, value, between) in LEADING {
        let plant = plant(spot, value).await;
        let table = plant.table().await;
        let mirror = plant.mirror().await;
        assert_eq!(table.cheapest_order(), KeyOrder::SortingKey, "{spot}");
        assert!(!table.has_repeated_keys(day()).await.unwrap(), "{spot}");
        let keys = left(&table, &Coverage::default()).await;
        assert!(keys.is_sorted(), "{spot}");
        let distinct: BTreeSet<String> = keys.iter().map(|key| key.id.to_string()).collect();
        assert_eq!((keys.len(), distinct.len()), (60, 60), "{spot}");

        let ranges = ranges(&table, &keys).await;
        let all: Vec<KeyRange> = ranges.iter().map(Range::keys).collect();
        let rows = table.count_wanted(RUN, day(), &Selection::New, &all).await;
        assert_eq!(rows.unwrap(), [7, 7, 7, 7, 7, 7, 7, 7, 4], "{spot}");
        // What some ranges cover is nobody else's; what lies between two of them is.
        let some = Coverage::new([1, 2, 5].map(|at| all[at].clone()).to_vec());
        let others = [&keys[..7], &keys[21..35], &keys[42..]].concat();
        assert_eq!(left(&table, &some).await, others, "{spot}");
        send(&plant, between, "99, 1").await;
        let gap = Coverage::new(vec![
            KeyRange {
                from: keys[0].clone(),
                to: keys[39].clone(),
            },
            KeyRange {
                from: keys[40].clone(),
                to: keys[59].clone(),
            },
        ]);
        assert_eq!(left(&table, &gap).await.len(), 1, "{spot}");
        plant
            .execute("DELETE FROM weld_test.spot_records WHERE record_id = 99")
            .await;

        let Split::Two(first, second) = table.midpoint(&ranges[3]).await.unwrap() else {
            panic!("not cut");
        };
        let halves = [first, second].map(|half| carried(&half));
        assert_eq!([halves[0].rows, halves[1].rows], [3, 4], "{spot}");
        // Counted anew, they do not show what came since they were cut.
        assert!(halves.iter().all(|half| half.repeated_keys), "{spot}");
        let mut found = BTreeSet::new();
        for half in &halves {
            found.extend(ids(&table.fetch(half).await.unwrap()));
        }
        assert_eq!(
            found,
            ids(&table.fetch(&ranges[3]).await.unwrap()),
            "{spot}"
        );

        let mut committed = Vec::new();
        for (place, (range, keys)) in ranges.iter().zip(keys.chunks(7)).enumerate() {
            let token = place as u64 + 1;
            let block = judge(&table, token, range, '0').await;
            let expected: BTreeSet<String> = keys.iter().map(|key| key.id.to_string()).collect();
            assert_eq!(ids(&block), expected, "{spot} {range:?}");
            assert_eq!(
                table.committed(range, token).await.unwrap(),
                keys.len() as u64
            );
            committed.push(CommittedRange {
                range: range.clone(),
                first_token: Some(token),
            });
        }
        assert!(
            left(&table, &Coverage::default()).await.is_empty(),
            "{spot}"
        );
        let committed: Vec<&CommittedRange> = committed.iter().collect();
        let changed = |inserted, updated, removed| MirrorChange {
            inserted,
            updated,
            removed,
            ..MirrorChange::default()
        };
        assert_eq!(
            mirror.mirror_all(&committed).await.unwrap(),
            changed(6, 0, 0)
        );
        assert_eq!(
            mirror.mirror_all(&committed).await.unwrap(),
            changed(0, 0, 0)
        );
        plant
            .mysql("UPDATE nok_records SET diameter = 9 WHERE record_id = 20")
            .await;
        assert_eq!(
            mirror.mirror_all(&committed).await.unwrap(),
            changed(0, 1, 0)
        );

        // Judged again, otherwise. What has to go is found by the look at the whole day.
        let forced: Vec<Range> = ranges
            .iter()
            .map(|range| Range {
                run: RUN + 1,
                selection: Selection::Force,
                ..range.clone()
            })
            .collect();
        let mut done = MirrorChange::default();
        for (place, range) in forced.iter().enumerate() {
            judge(&table, 100 + place as u64, range, '5').await;
            done += mirror_range(&mirror, range).await.unwrap();
        }
        assert_eq!(done, changed(6, 0, 0), "{spot}");
        assert_eq!(
            mirror.mirror_day(day()).await.unwrap(),
            changed(0, 0, 6),
            "{spot}"
        );
        assert!(mirror.lag(&[day()]).await.unwrap()[0].equal, "{spot}");
    }
}

/// Rows of one key and two spots are in two ranges. None keeps a verdict, whether both were there when the day was cut,
/// one came before its range was read, or after all was judged.
#[tokio::test]
async fn rows_of_one_key_at_two_places_of_the_sorting_key_are_refused_whenever_they_come() {
    let (spot, value, new_place) = LEADING[0];
    let plant = plant(spot, value).await;
    let table = plant.table().await;
    send(&plant, new_place, "6, 1").await;
    assert!(table.has_repeated_keys(day()).await.unwrap());
    let keys = left(&table, &Coverage::default()).await;
    let cut: Vec<Range> = ranges(&table, &keys)
        .await
        .into_iter()
        .map(|range| {
            carried(&Range {
                repeated_keys: true,
                ..range
            })
        })
        .collect();
    // Between the ends of one of the ranges, after it was cut.
    let unique = ranges(&table, &keys).await;
    let late = |range: &&Range| range.from.leading < range.to.leading;
    let grows = unique.iter().find(late).unwrap();
    let inside = match &grows.from.leading {
        Some(Leading::Text(text)) => format!("'{}\\0'", String::from_utf8_lossy(text)),
        other => panic!("{other:?}"),
    };
    let refused = |ids: &str| {
        let sql = format!(
            "SELECT record_id, count() FROM weld_test.spot_records WHERE record_id IN ({ids}) AND alg_status = 'invalid' \
             AND startsWith(alg_error, 'duplicate_key: 2 rows') GROUP BY record_id ORDER BY record_id FORMAT CSV"
        );
        let plant = &plant;
        async move { plant.ask(&sql).await }
    };
    let elsewhere = keys
        .iter()
        .find(|key| !grows.keys().contains(key.as_ref()) && key.id != RecordId::Number(6))
        .unwrap();
    let late_id = elsewhere.id.to_string();
    send(&plant, &inside, &format!("{late_id}, 1")).await;
    // Its rival has no spot, and no verdict yet.
    let spot = Some(Leading::Text(b"S2".to_vec()));
    let between = |range: &&Range| range.from.leading <= spot && spot <= range.to.leading;
    let block = table
        .fetch(cut.iter().find(between).unwrap())
        .await
        .unwrap();
    assert!(block.overrules());
    for (place, range) in cut.iter().enumerate() {
        let range = match range.keys() == grows.keys() {
            true => grows,
            false => range,
        };
        judge(&table, place as u64 + 1, range, '0').await;
    }
    assert_eq!(refused("6").await, "6,2");
    assert_eq!(refused(&late_id).await, format!("{late_id},2"));
    assert_eq!(table.day_counts(&[day()]).await.unwrap()[0].left, 0);

    // A backfill of its own finds one that came when all was judged.
    let judged = keys.iter().map(|key| key.id.to_string());
    let third = judged
        .into_iter()
        .find(|id| *id != late_id && id != "6")
        .unwrap();
    send(&plant, new_place, &format!("{third}, 1")).await;
    let keys = left(&table, &Coverage::default()).await;
    assert_eq!(keys.len(), 1);
    let new = Range {
        run: RUN + 1,
        repeated_keys: table.has_repeated_keys(day()).await.unwrap(),
        ..ranges(&table, &keys).await[0].clone()
    };
    judge(&table, 100, &new, '0').await;
    assert_eq!(refused(&third).await, format!("{third},2"));
}

/// The attempt that looks for rivals may have the smaller token and be the last to commit.
#[tokio::test]
async fn a_verdict_of_an_attempt_that_did_not_look_does_not_stand_against_one_that_did() {
    let (spot, value, new_place) = LEADING[0];
    let plant = plant(spot, value).await;
    let table = plant.table().await;
    let keys = left(&table, &Coverage::default()).await;
    let cut = ranges(&table, &keys).await;
    let place = Some(Leading::Text(b"S2".to_vec()));
    let grows = |range: &&Range| range.from.leading <= place && place <= range.to.leading;
    let grows = cut.iter().find(grows).unwrap();
    let other = cut.iter().find(|range| *range != grows).unwrap();
    let id = &other.from.id;
    send(&plant, new_place, &format!("{id}, 1")).await;
    let (block, looked) = attempt(&table, 1, grows, '0').await;
    assert!(block.overrules());
    judge(&table, 2, other, '0').await;
    table.commit(&[looked]).await.unwrap();
    let refused = format!(
        "SELECT count() FROM weld_test.spot_records WHERE record_id = {id} AND startsWith(alg_error, 'duplicate_key: 2 rows')"
    );
    assert_eq!(plant.ask(&refused).await, "2");
}

/// A range reads the granules that its rows are in, not the day.
#[tokio::test]
async fn a_range_along_the_sorting_key_reads_little_more_than_its_rows() {
    let (spot, value, _) = LEADING[0];
    let mut plant = plant(spot, value).await;
    let table = plant.table().await;
    let keys = left(&table, &Coverage::default()).await;
    let ranges = ranges(&table, &keys).await;
    // Ids are found first, then rows are read: by time that is each of the sixty twice, which this account may not.
    let file = plant.services.directory().join("clickhouse/users.xml");
    let profile = "<default/><bounded><max_rows_to_read>60</max_rows_to_read></bounded></profiles>";
    let account = "<bounded><password/><networks><ip>::/0</ip></networks><profile>bounded</profile><quota>default</quota></bounded></users>";
    let users = std::fs::read_to_string(&file).unwrap();
    let users = users.replace("<default/></profiles>", profile);
    plant.services.stop(Service::ClickHouse);
    std::fs::write(&file, users.replace("</users>", account)).unwrap();
    plant.services.start_again(Service::ClickHouse);
    plant.settings.clickhouse.user = "bounded".into();
    let bounded = plant.table().await;
    for (token, range) in [(1, &ranges[0]), (2, &ranges[4]), (3, &ranges[8])] {
        judge(&bounded, token, range, '0').await;
        assert_eq!(bounded.committed(range, token).await.unwrap(), range.rows);
    }
    let error = bounded.fetch(&common::range(0, 60)).await.unwrap_err();
    assert!(
        error.chain().contains("Limit for rows"),
        "{}",
        error.chain()
    );
}
