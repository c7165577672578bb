//! A profile of the server or of the account changes no answer; what it does not let us say is named; each capability
//! is probed by what it needs.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{DAY, MIDNIGHT_MS, Plant, commit, day, insert, range, verdicts};
use weldfleet_settings::Secret;
use weldfleet_stores::{
    Class, Coverage, KeyOrder, LIVE_RUN, Selection, StoreError,
    clickhouse::{Capability, SourceTable},
};
use weldfleet_testkit::Service;

/// Two dozen settings that a plant might have in its profile for other reasons.
const ODD: &str = "
    <apply_patch_parts>0</apply_patch_parts> <apply_deleted_mask>0</apply_deleted_mask>
    <output_format_native_encode_types_in_binary_format>1</output_format_native_encode_types_in_binary_format>
    <input_format_native_decode_types_in_binary_format>1</input_format_native_decode_types_in_binary_format>
    <output_format_binary_encode_types_in_binary_format>1</output_format_binary_encode_types_in_binary_format>
    <output_format_native_write_json_as_string>1</output_format_native_write_json_as_string>
    <join_use_nulls>1</join_use_nulls> <transform_null_in>1</transform_null_in> <cast_keep_nullable>1</cast_keep_nullable>
    <aggregate_functions_null_for_empty>1</aggregate_functions_null_for_empty>
    <empty_result_for_aggregation_by_empty_set>1</empty_result_for_aggregation_by_empty_set>
    <limit>3</limit> <offset>1</offset> <final>1</final> <extremes>1</extremes> <use_query_cache>1</use_query_cache>
    <session_timezone>America/New_York</session_timezone> <date_time_output_format>iso</date_time_output_format>
    <enable_positional_arguments>0</enable_positional_arguments> <force_index_by_date>1</force_index_by_date>
    <additional_table_filters>{'weld_test.spot_records': 'record_id % 2 = 0'}</additional_table_filters>
    <async_insert>1</async_insert> <wait_for_async_insert>0</wait_for_async_insert>
    <data_type_default_nullable>1</data_type_default_nullable> <max_query_size>3000</max_query_size>
    <enable_extended_results_for_datetime_functions>1</enable_extended_results_for_datetime_functions>";

/// What is cut off at a limit, and an account that may not say otherwise.
const OTHERS: &str = "
    <cutting><max_rows_to_read>50</max_rows_to_read><read_overflow_mode>break</read_overflow_mode></cutting>
    <fixed><apply_patch_parts>0</apply_patch_parts><constraints><apply_patch_parts><const/></apply_patch_parts></constraints></fixed>
    <frozen><readonly>1</readonly></frozen>";

fn accounts(plant: &Plant) {
    let file = plant.services.directory().join("clickhouse/users.xml");
    let users = std::fs::read_to_string(&file).unwrap();
    let names = ["odd", "cutting", "fixed", "frozen"];
    let more: String = names
        .iter()
        .map(|name| {
            format!(
                "<{name}><password>{name}</password><networks><ip>::/0</ip></networks><profile>{name}</profile><quota>default</quota></{name}>"
            )
        })
        .collect();
    let users = users
        .replace(
            "<default/></profiles>",
            &format!("<default/><odd>{ODD}</odd>{OTHERS}</profiles>"),
        )
        .replace("</users>", &format!("{more}</users>"));
    plant.services.stop(Service::ClickHouse);
    std::fs::write(&file, users).unwrap();
    plant.services.start_again(Service::ClickHouse);
}

async fn table_as(plant: &Plant, name: &str) -> Result<SourceTable, StoreError> {
    let mut settings = plant.settings.clone();
    settings.clickhouse.user = name.into();
    settings.clickhouse.password = Secret::new(name);
    SourceTable::inspect(&settings).await
}

/// Everything that a worker and a pass see of the day.
async fn seen(table: &SourceTable) -> String {
    let mut keys = Vec::new();
    let mut stream = table
        .unprocessed_keys(
            LIVE_RUN,
            day(),
            &Selection::New,
            KeyOrder::Time,
            &Coverage::default(),
            1000,
        )
        .unwrap();
    while let Some(block) = stream.next().await.unwrap() {
        keys.extend(block.keys().map(|key| key.to_owned().ticks));
    }
    let block = table.fetch(&range(0, 299)).await.unwrap();
    let rows: Vec<String> = (0..block.len())
        .map(|row| {
            let weld = block.weld(row);
            format!(
                "{} {} {:?} {:?} {}",
                block.id(row),
                block.time_text(row),
                weld.u,
                weld.i,
                weld.umax
            )
        })
        .collect();
    let counts = table.day_counts(&[day()]).await.unwrap();
    let wanted = table
        .count_wanted(
            LIVE_RUN,
            day(),
            &Selection::New,
            &[range(0, 99).keys(), range(100, 299).keys()],
        )
        .await
        .unwrap();
    let split = table.midpoint(&range(0, 299)).await.unwrap();
    let job = table.counts_of_job(&range(0, 299), "job").await.unwrap();
    format!(
        "{keys:?}\n{rows:?}\n{counts:?}\n{wanted:?}\n{split:?}\n{job:?}\n{}",
        table.max_token(&[day()]).await.unwrap()
    )
}

async fn judge(table: &SourceTable, token: u64, from: u64, to: u64) {
    let range = range(from, to);
    let block = table.fetch(&range).await.unwrap();
    assert_eq!(block.len() as u64, to - from + 1);
    commit(table, token, &range, &block, &verdicts(&block, 7, "m1")).await;
    assert_eq!(table.committed(&range, token).await.unwrap(), to - from + 1);
}

#[tokio::test]
async fn a_profile_changes_no_answer() {
    let plant = Plant::ours(false).await;
    let usual = plant.table().await;
    insert(&usual, day(), 0..300).await;
    plant
        .execute("DELETE FROM weld_test.spot_records WHERE record_id = 150")
        .await;
    judge(&usual, 11, 0, 49).await;
    accounts(&plant);

    let odd = table_as(&plant, "odd").await.unwrap();
    assert_eq!(odd.schema(), usual.schema());
    assert_eq!(seen(&odd).await, seen(&usual).await);
    // And what it writes is what the other one sees, as soon as it is written.
    judge(&odd, 12, 50, 99).await;
    assert_eq!(seen(&odd).await, seen(&usual).await);
    let counts = usual.day_counts(&[day()]).await.unwrap();
    assert_eq!((counts[0].total, counts[0].left), (299, 199));

    // A profile that cuts answers off makes errors of them, not days that look done.
    let cutting = table_as(&plant, "cutting").await.unwrap();
    let error = cutting.fetch(&range(0, 299)).await.unwrap_err();
    assert_eq!(error.class(), Class::Size, "{}", error.chain());

    for (name, setting) in [("fixed", "apply_patch_parts"), ("frozen", "readonly")] {
        let error = table_as(&plant, name).await.err().unwrap();
        let text = error.chain();
        assert!(
            text.contains(setting)
                && text.contains(&format!("`{name}`"))
                && text.contains("profile"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn each_capability_is_probed_by_what_it_needs() {
    let plant = Plant::ours(false).await;
    let table = plant.table().await;
    insert(&table, day(), 0..20).await;
    let before = plant
        .ask("SELECT cityHash64(groupArray(tuple(*))) FROM (SELECT * FROM weld_test.spot_records ORDER BY record_id)")
        .await;
    let failing = async || {
        let mut failing = Vec::new();
        for capability in Capability::ALL {
            if let Err(error) = table.probe(capability).await {
                assert_eq!(error.class(), Class::Refused, "{}", error.chain());
                failing.push(capability);
            }
        }
        failing
    };
    assert_eq!(failing().await, []);

    for (breaks, repairs, fails) in [
        (
            "ALTER TABLE weld_test.spot_records RENAME COLUMN u_curve TO x",
            "ALTER TABLE weld_test.spot_records RENAME COLUMN x TO u_curve",
            &[Capability::Read][..],
        ),
        (
            "ALTER TABLE weld_test.weld_results RENAME COLUMN decided_by TO x",
            "ALTER TABLE weld_test.weld_results RENAME COLUMN x TO decided_by",
            &[Capability::Store, Capability::Commit],
        ),
        (
            "ALTER TABLE weld_test.spot_records RENAME COLUMN decided_by TO x",
            "ALTER TABLE weld_test.spot_records RENAME COLUMN x TO decided_by",
            &[Capability::Commit, Capability::Mirror],
        ),
    ] {
        plant.execute(breaks).await;
        let failing = failing().await;
        // Reading for nothing is part of storing's probe.
        let failing: Vec<_> = match fails {
            [Capability::Read] => failing
                .into_iter()
                .filter(|capability| *capability != Capability::Store)
                .collect(),
            _ => failing,
        };
        assert_eq!(failing, fails, "{breaks}");
        plant.execute(repairs).await;
    }
    assert_eq!(failing().await, []);
    let after = plant
        .ask("SELECT cityHash64(groupArray(tuple(*))) FROM (SELECT * FROM weld_test.spot_records ORDER BY record_id)")
        .await;
    assert_eq!(after, before, "a probe changed a row");
    assert_eq!(
        plant
            .ask("SELECT count() FROM weld_test.weld_results")
            .await,
        "0"
    );
}

#[tokio::test]
async fn reading_is_probed_on_the_newest_day() {
    let mut plant = Plant::bare(false);
    plant.execute("CREATE DATABASE weld_test").await;
    for (day, days) in [
        ("UInt32", &["20200101", "20261122"][..]),
        ("Date", &["2020-01-01", "2026-11-22"]),
        ("String", &["2020-01-01", "None", "2026-11-22"]),
    ] {
        let table = format!("of_{}", day.to_lowercase());
        plant
            .execute(&format!(
                "CREATE TABLE weld_test.{table} (data_date {day}, ck_local_time DateTime64(3), record_id UInt64, part_no String, \
                 spot_name String, timer_name String, umax Float32, imax Float32, u_stored Array(Float32), i_curve Array(Float32), \
                 u_curve Array(Float32) ALIAS if(throwIf(record_id = 1) = 0, u_stored, i_curve)) \
                 ENGINE = MergeTree PARTITION BY data_date ORDER BY (ck_local_time, record_id)"
            ))
            .await;
        plant.settings.tables.source_table.clone_from(&table);
        plant.migrate().await;
        // A weld with id 1 cannot be read; only the last day has none.
        for (place, value) in days.iter().enumerate() {
            let id = u8::from(place + 1 < days.len());
            plant
                .execute(&format!(
                    "INSERT INTO weld_test.{table} (data_date, record_id) VALUES ('{value}', {id})"
                ))
                .await;
        }
        let probed = plant.table().await.probe(Capability::Read).await;
        assert!(probed.is_ok(), "{day}: {}", probed.unwrap_err().chain());
    }
}

#[tokio::test]
async fn packing_an_answer_costs_the_server_little() {
    let plant = Plant::ours(false).await;
    // Noise that differs from row to row: nothing to be saved by packing, as with real curves.
    let curve =
        "arrayMap(x -> toFloat32(1 + sin(x / 200) + randCanonical(x + number) / 100), range(600))";
    plant
        .execute(&format!(
            "INSERT INTO weld_test.spot_records (data_date, ck_local_time, record_id, u_curve, i_curve) \
             SELECT {DAY}, fromUnixTimestamp64Milli({MIDNIGHT_MS} + 10 * number), number, {curve}, {curve} FROM numbers(4000)"
        ))
        .await;
    // The same server by an address that does not look like this machine's.
    let mut far = plant.settings.clone();
    far.clickhouse.url = far.clickhouse.url.replace("127.0.0.1", "0.0.0.0");
    let tables = [
        plant.table().await,
        SourceTable::inspect(&far).await.unwrap(),
    ];
    let mut cost = Vec::new();
    for table in &tables {
        let before = cpu(&plant).await;
        assert_eq!(table.fetch(&range(0, 3999)).await.unwrap().len(), 4000);
        cost.push(cpu(&plant).await - before);
    }
    // LZ4 at the server's own default level is twenty times as much.
    println!("{cost:?} µs of cpu");
    assert!(cost[1] < 5 * cost[0], "{cost:?}");
}

/// Microseconds of CPU that the server's statements took.
async fn cpu(plant: &Plant) -> u64 {
    let sql = "SELECT value FROM system.events WHERE event = 'OSCPUVirtualTimeMicroseconds'";
    plant.ask(sql).await.parse().unwrap()
}
