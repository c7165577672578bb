//! A plant's own table: other names, other types, other order, and data in it.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{MIDNIGHT_MS, Plant, commit, insert_at, mirror_range, verdicts};
use weldfleet_stores::{
    Coverage, Day, Key, KeyOrder, KeyRange, LIVE_RUN, Range, RecordId, Selection,
    clickhouse::{Hours, NokFilter, SourceTable},
    migrate,
};

const TABLE: &str = "weld_test.`焊点记录`";

/// Ids differ in case and in a trailing blank, one is used on two days, one weld happens in the hour
/// that a summer time repeats, one id needs every kind of quoting. `ticks` and `left` are the plant's names.
async fn plant() -> Plant {
    let mut plant = Plant::bare(true);
    plant.settings.tables.source_table = "焊点记录".into();
    plant.map(&[
        ("data_date", "日期"),
        ("ck_local_time", "时间"),
        ("record_id", "编号"),
        ("part_no", "零件"),
        ("umax", "ticks"),
        ("imax", "left"),
        ("u_curve", "u`曲线"),
        ("diameter", "直径"),
        ("alg_run", "day"),
    ]);
    plant.execute("CREATE DATABASE weld_test").await;
    plant
        .execute(&format!(
            "CREATE TABLE {TABLE} (`操作员` String, `日期` Date, `时间` DateTime64(6, 'Europe/Berlin'), `编号` String, \
             `零件` LowCardinality(Nullable(String)), ticks Float64, left Nullable(Decimal(9, 3)), `u\\`曲线` Array(Float64), \
             i_curve Array(Nullable(Int32)), `直径` Nullable(Float64)) ENGINE = MergeTree ORDER BY `编号`"
        ))
        .await;
    plant
        .execute(&format!(
            "INSERT INTO {TABLE} SELECT '王', toDate('2026-10-25'), fromUnixTimestamp64Micro(toInt64(t * 1000000 + 7), 'Europe/Berlin'), \
             id, if(id = 'S1A', NULL, '件 7'), 2.5, if(id = 'S1a ', NULL, 9.25), [1, 2.5], [3, NULL], 4.5 \
             FROM values('t UInt32, id String', (1792888200, 'S1a'), (1792891800, 'S1a'), (1792888200, 'S1A'), \
             (1792888200, 'S1a '), (1792888300, 'it''s \\\\ `焊` ? {{x:Int}}'))"
        ))
        .await;
    plant
        .execute(&format!(
            "INSERT INTO {TABLE} SELECT * REPLACE (toDate('2026-10-26') AS `日期`) FROM {TABLE} WHERE `编号` = 'S1a' LIMIT 1"
        ))
        .await;
    plant
}

fn autumn() -> Day {
    Day::new(20_261_025).unwrap()
}

async fn keys(table: &SourceTable, day: Day, covered: &Coverage) -> Vec<Key> {
    let mut stream = table
        .unprocessed_keys(
            LIVE_RUN,
            day,
            &Selection::New,
            KeyOrder::Time,
            covered,
            1000,
        )
        .unwrap();
    let mut keys = Vec::new();
    while let Some(block) = stream.next().await.unwrap() {
        keys.extend(block.keys().map(|key| key.to_owned()));
    }
    let mut named: Vec<&mut Key> = keys.iter_mut().collect();
    table.name_keys(&mut named).await.unwrap();
    keys
}

fn whole(day: Day, keys: &[Key]) -> Range {
    let range = Range {
        run: LIVE_RUN,
        day,
        selection: Selection::New,
        from: keys[0].clone(),
        to: keys[keys.len() - 1].clone(),
        rows: keys.len() as u64,
        repeated_keys: false,
    };
    // As it comes back from a job's fields.
    let fields = range.encode();
    let get = |name: &str| {
        fields
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.as_str())
    };
    let decoded = Range::decode(get).unwrap();
    assert_eq!(decoded, range);
    assert_eq!(decoded.from.text, range.from.text);
    decoded
}

#[tokio::test]
async fn a_foreign_table_is_completed_and_judged() {
    let plant = plant().await;
    let error = SourceTable::inspect(&plant.settings)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("run `scheduler migrate`"), "{error}");
    plant.migrate().await;
    let again = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!(again.statements, []);

    let table = plant.table().await;
    let keys = keys(&table, autumn(), &Coverage::default()).await;
    let texts: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "2026-10-25 02:30:00.000007 S1A",
            "2026-10-25 02:30:00.000007 S1a",
            "2026-10-25 02:30:00.000007 S1a ",
            "2026-10-25 02:31:40.000007 it's \\ `焊` ? {x:Int}",
            "2026-10-25 02:30:00.000007 S1a",
        ]
    );
    assert_eq!(keys[4].ticks - keys[0].ticks, 3_600_000_000);

    let range = whole(autumn(), &keys);
    let block = table.fetch(&range).await.unwrap();
    assert_eq!(block.len(), 5);
    assert_eq!(block.part_no(0), "");
    assert_eq!(block.part_no(1), "件 7");
    assert_eq!(block.spot_name(1), "");
    let weld = block.weld(1);
    assert_eq!((weld.umax, weld.imax, weld.u), (2.5, 9.25, &[1.0, 2.5][..]));
    assert!(weld.i[0] == 3.0 && weld.i[1].is_nan());
    assert!(block.weld(2).imax.is_nan());

    // One key at a time: nothing but exactly that weld is touched.
    for (place, key) in keys.iter().enumerate() {
        let one = whole(autumn(), std::slice::from_ref(key));
        let block = table.fetch(&one).await.unwrap();
        assert_eq!(block.len(), 1, "{}", key.text);
        let token = 100 + place as u64;
        commit(&table, token, &range, &block, &verdicts(&block, 1, "m1")).await;
        assert_eq!(table.committed(&range, token).await.unwrap(), 1);
    }
    let counts = table
        .day_counts(&[autumn(), Day::new(20_261_026).unwrap()])
        .await
        .unwrap();
    assert_eq!((counts[0].outcomes.nok, counts[0].left), (5, 0));
    assert_eq!((counts[1].outcomes.nok, counts[1].left), (0, 1));
    let first = Day::new(20_261_101).unwrap();
    assert_eq!(
        table.left_elsewhere(first, first).await.unwrap().older,
        [(Day::new(20_261_026).unwrap(), 1)]
    );
    assert_eq!(
        plant
            .ask(&format!(
                "SELECT DISTINCT `操作员`, `直径`, day FROM {TABLE} WHERE `日期` = '2026-10-25'"
            ))
            .await,
        // The plant's own value, in the plant's own type, is now ours.
        "王\t0.10000000149011612\t0"
    );

    let mirror = plant.mirror().await;
    let done = mirror_range(&mirror, &range).await.unwrap();
    assert_eq!((done.inserted, done.updated, done.removed), (5, 0, 0));
    assert_eq!(
        plant
            .mysql("SELECT record_id, ck_local_time, umax, imax, part_no, alg_token FROM nok_records ORDER BY ck_ticks, record_id")
            .await,
        [
            "S1A|2026-10-25 02:30:00.000007|2.5|9.25|NULL|100",
            "S1a|2026-10-25 02:30:00.000007|2.5|9.25|件 7|101",
            "S1a |2026-10-25 02:30:00.000007|2.5|NULL|件 7|102",
            "it's \\ `焊` ? {x:Int}|2026-10-25 02:31:40.000007|2.5|9.25|件 7|103",
            "S1a|2026-10-25 02:30:00.000007|2.5|9.25|件 7|104",
        ]
    );
    let (committed, mirrored) = mirror.checksums(autumn()).await.unwrap();
    assert_eq!(committed, mirrored);
    assert_eq!(committed.rows, 5);
    assert_eq!(table.nok_count(autumn()).await.unwrap(), committed.nok);
    assert_eq!(
        mirror.mirror_day(autumn()).await.unwrap(),
        Default::default()
    );
}

#[tokio::test]
async fn a_result_never_goes_beside_the_column_that_was_made_for_it() {
    let mut plant = plant().await;
    plant.migrate().await;
    plant.table().await;
    plant
        .execute(&format!(
            "ALTER TABLE {TABLE} ADD COLUMN weldfleet_final_result Nullable(String)"
        ))
        .await;
    let inspected = SourceTable::inspect(&plant.settings).await.err();
    let planned = migrate::plan(&plant.settings).await.err();
    for error in [inspected, planned] {
        let error = error.unwrap().to_string();
        for says in [
            "columns.final_result",
            "column `final_result`",
            "map final_result = \"weldfleet_final_result\"",
        ] {
            assert!(error.contains(says), "{error}");
        }
    }
    plant.map(&[
        ("data_date", "日期"),
        ("ck_local_time", "时间"),
        ("record_id", "编号"),
        ("umax", "ticks"),
        ("imax", "left"),
        ("u_curve", "u`曲线"),
        ("diameter", "直径"),
        ("alg_run", "day"),
        ("final_result", "weldfleet_final_result"),
    ]);
    plant.table().await;
}

#[tokio::test]
async fn every_pair_of_key_types_goes_round() {
    let mut plant = Plant::bare(false);
    plant.execute("CREATE DATABASE weld_test").await;
    let cases = [
        ("UInt32", "DateTime64(3, 'Asia/Shanghai')", "UInt64"),
        ("Date", "DateTime", "String"),
        ("Date32", "DateTime('Asia/Tokyo')", "UInt32"),
        ("String", "DateTime64(9, 'UTC')", "LowCardinality(String)"),
        ("LowCardinality(String)", "DateTime64(0)", "UInt64"),
        ("Int64", "DateTime64(1, 'America/New_York')", "String"),
    ];
    for (number, (date, time, id)) in cases.into_iter().enumerate() {
        let name = format!("t{number}");
        plant.settings.tables.source_table = name.clone();
        plant
            .execute(&format!(
                "CREATE TABLE weld_test.{name} (data_date {date}, ck_local_time {time}, record_id {id}, part_no String, \
                 umax Float32, imax Float32, u_curve Array(Float32), i_curve Array(Float32)) \
                 ENGINE = MergeTree ORDER BY (data_date, ck_local_time, record_id) \
                 SETTINGS allow_suspicious_low_cardinality_types = 1"
            ))
            .await;
        plant.migrate().await;
        let table = plant.table().await;
        let day = common::day();
        let ids: Vec<u64> = (0..40).collect();
        // Several welds a second, one second before 1970 for those types that can say so.
        let mut times: Vec<i64> = ids
            .iter()
            .map(|id| MIDNIGHT_MS + 250 * *id as i64)
            .collect();
        if time.starts_with("DateTime64") {
            times[0] = -1500;
        }
        insert_at(&table, day, &ids, &times).await;
        if date.contains("String") {
            plant
                .execute(&format!(
                    "INSERT INTO weld_test.{name} SELECT * REPLACE ('2026-11-22' AS data_date) FROM weld_test.{name} LIMIT 20"
                ))
                .await;
        }
        let all = keys(&table, day, &Coverage::default()).await;
        let mut welds = all.clone();
        welds.dedup();
        assert_eq!(welds.len(), 40, "{date} {time} {id}");
        assert!(welds.is_sorted(), "{date} {time} {id}");
        assert!(matches!(
            (&welds[0].id, id.contains("String")),
            (RecordId::Text(_), true) | (RecordId::Number(_), false)
        ));

        let covered = Coverage::new(vec![
            KeyRange {
                from: welds[3].clone(),
                to: welds[12].clone(),
            },
            KeyRange {
                from: welds[13].clone(),
                to: welds[13].clone(),
            },
            KeyRange {
                from: welds[15].clone(),
                to: welds[31].clone(),
            },
        ]);
        let mut left = keys(&table, day, &covered).await;
        left.dedup();
        left.retain(|key| !covered.contains(key.as_ref()));
        let expected: Vec<Key> = [&welds[..3], &welds[14..15], &welds[32..]].concat();
        assert_eq!(left, expected, "{date} {time} {id}");

        let range = whole(day, &welds[5..=30]);
        let block = table.fetch(&range).await.unwrap();
        assert_eq!(block.len(), 26, "{date} {time} {id}");
        commit(&table, 50, &range, &block, &verdicts(&block, 4, "m1")).await;
        let rows = all
            .iter()
            .filter(|key| range.keys().contains(key.as_ref()))
            .count();
        assert_eq!(
            table.committed(&range, 50).await.unwrap(),
            rows as u64,
            "{date} {time} {id}"
        );
        let counts = table.day_counts(&[day]).await.unwrap();
        assert_eq!(counts[0].total, all.len() as u64);
        plant.execute("TRUNCATE TABLE weld_test.weld_results").await;
    }
}

/// Welds of every half hour of 24, from 08:00 in Shanghai. A column without a zone holds what the plant's clock shows.
#[tokio::test]
async fn shifts_go_by_the_plants_clock_whatever_the_zone_of_the_column() {
    let mut plant = Plant::bare(false);
    plant.execute("CREATE DATABASE weld_test").await;
    for (number, time) in [
        "DateTime64(3, 'UTC')",
        "DateTime('Asia/Shanghai')",
        "DateTime",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("t{number}");
        plant.settings.tables.source_table = name.clone();
        plant
            .execute(&format!(
                "CREATE TABLE weld_test.{name} (data_date UInt32, ck_local_time {time}, record_id UInt64, part_no String, \
                 umax Float32, imax Float32, u_curve Array(Float32), i_curve Array(Float32)) \
                 ENGINE = MergeTree ORDER BY (data_date, ck_local_time, record_id)"
            ))
            .await;
        plant.migrate().await;
        let table = plant.table().await;
        let ids: Vec<u64> = (0..48).collect();
        let half_hour = |id: &u64| MIDNIGHT_MS + 1_800_000 * *id as i64;
        let times: Vec<i64> = ids.iter().map(half_hour).collect();
        insert_at(&table, common::day(), &ids, &times).await;
        // A weld of an old day whose clock is ahead.
        let old = Day::new(20_261_101).unwrap();
        insert_at(&table, old, &[100], &[times[16]]).await;
        plant
            .execute(&format!(
                "ALTER TABLE weld_test.{name} UPDATE final_result = 'NOK', alg_complete_time = now64(3) WHERE 1 \
                 SETTINGS mutations_sync = 1"
            ))
            .await;
        let zone = match number {
            2 => plant.ask("SELECT timezone()").await,
            _ => "Asia/Shanghai".to_owned(),
        };
        assert_eq!(table.schema().other_zone(), (number == 0).then_some("UTC"));
        let known = async |condition: &str| {
            let clock = format!("toTimeZone(ck_local_time, '{zone}')");
            let sql = format!(
                "SELECT record_id FROM weld_test.{name} WHERE data_date = 20261122 AND {} ORDER BY record_id DESC",
                condition.replace("clock", &clock)
            );
            let told = plant.ask(&sql).await;
            told.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        // The last begins after midnight, when the day before is the `data_date` still.
        let next = common::day().offset(1).unwrap();
        for (day, from, to, began, ended) in [
            (common::day(), 6, 14, "22 06", "22 14"),
            (common::day(), 22, 6, "22 22", "23 06"),
            (next, 2, 7, "23 02", "23 07"),
        ] {
            let condition = format!(
                "clock >= toDateTime('2026-11-{began}:00:00', '{zone}') AND clock < toDateTime('2026-11-{ended}:00:00', '{zone}')"
            );
            let [from, to] = [from, to].map(|hour| jiff::civil::time(hour, 0, 0, 0));
            let filter = NokFilter {
                day,
                hours: Some(Hours { from, to }),
                part_no: String::new(),
                spot_name: String::new(),
                timer_name: String::new(),
                body_no: String::new(),
                defect: String::new(),
            };
            let welds = table.nok_welds(&filter, None, 100).await.unwrap();
            let ids: Vec<String> = welds.into_iter().map(|weld| weld.record_id).collect();
            let known = known(&condition).await;
            // Where the server's zone is UTC these welds end before midnight.
            let may_be_none = number == 2 && day == next;
            assert!(
                (may_be_none || !known.is_empty()) && ids == known,
                "{time} {from}: {ids:?}, not {known:?}"
            );
        }
        let since = jiff::civil::date(2026, 11, 22).at(14, 0, 0, 0);
        let now = jiff::civil::date(2026, 11, 22).at(20, 0, 0, 0);
        let days = [common::day(), old];
        let shares = table.nok_shares(&days, since, now).await.unwrap();
        let known = known(&format!(
            "clock >= toDateTime('2026-11-22 14:00:00', '{zone}') AND clock < toDateTime('2026-11-22 21:00:00', '{zone}')"
        ))
        .await;
        assert_eq!(shares[0].judged, known.len() as u64, "{time}");
    }
}
