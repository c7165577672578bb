//! Migration: from nothing, over a plant's data, as a user with a password, twice, and refused.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Plant, day, insert};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use weldfleet_settings::Secret;
use weldfleet_stores::{
    Class, StoreError,
    clickhouse::{Runs, Server, SourceTable, several_servers},
    migrate,
    mysql::{NokTable, remove_twins},
};
use weldfleet_testkit::Service;

/// An address at which the servers behind these ports answer in turn.
async fn in_turn(ports: [u16; 2]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for port in ports.into_iter().cycle() {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    format!("http://{address}")
}

/// What one of them is given, the other does not have. (The engine under test has no UUID of its own as a server; the
/// table of results has one on each.)
#[tokio::test]
async fn servers_that_answer_in_turn_are_told_from_one() {
    let (mut plant, other) = (Plant::ours(false).await, Plant::ours(false).await);
    let ports = [&plant, &other].map(|plant| plant.services.port(Service::ClickHouse));
    let several = |plant: &Plant| {
        let settings = plant.settings.clone();
        async move { several_servers(&settings).await.unwrap() }
    };
    assert_eq!(several(&plant).await, None);
    plant.settings.clickhouse.url = in_turn([ports[0]; 2]).await;
    assert_eq!(several(&plant).await, None);
    plant.settings.clickhouse.url = in_turn(ports).await;
    let found = several(&plant).await.unwrap();
    assert_eq!(found.servers, 2);
    assert!(found.to_string().contains("clickhouse.url"), "{found}");
}

fn whats(plan: &migrate::Migration) -> Vec<&str> {
    plan.statements
        .iter()
        .map(|step| step.what.as_str())
        .collect()
}

#[tokio::test]
async fn two_migrations_of_one_moment_both_end_well_and_no_strangers_table_is_taken() {
    let mut plant = Plant::bare(true);
    let plan = migrate::plan(&plant.settings).await.unwrap();
    for _ in 0..2 {
        migrate::apply(&plant.settings, &plan).await.unwrap();
    }
    assert_eq!(migrate::plan(&plant.settings).await.unwrap().statements, []);

    plant.settings.clickhouse.database = "weld_other".into();
    let plan = migrate::plan(&plant.settings).await.unwrap();
    for sql in [
        "CREATE DATABASE weld_other",
        "CREATE TABLE weld_other.spot_records (a UInt8) ENGINE = MergeTree ORDER BY a",
    ] {
        plant.server.execute("stranger", sql).await.unwrap();
    }
    let error = migrate::apply(&plant.settings, &plan).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{}", error.chain());
}

#[tokio::test]
async fn from_nothing_as_users_with_passwords_and_twice() {
    let mut plant = Plant::bare(true);
    plant.settings.clickhouse.user = "weld".into();
    plant.settings.clickhouse.password = Secret::new("weld");
    let plan = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!(
        whats(&plan),
        [
            "create database `weld_test`",
            "create table `spot_records`",
            "create table `weld_results`",
            "create table `weld_runs`",
            "create table `weld_events`",
            "create table `nok_records`",
        ]
    );
    assert!(
        plan.statements
            .iter()
            .all(|step| !step.sql.contains(['{', '}']))
    );
    migrate::apply(&plant.settings, &plan).await.unwrap();
    assert_eq!(migrate::plan(&plant.settings).await.unwrap().statements, []);
    NokTable::new(&plant.settings)
        .unwrap()
        .unwrap()
        .check()
        .await
        .unwrap();

    // Only the setting changed: only that is planned.
    plant.settings.tables.results_ttl = std::time::Duration::from_secs(3600);
    let plan = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!(whats(&plan), ["keep results for 3600 s"]);
    migrate::apply(&plant.settings, &plan).await.unwrap();
    assert_eq!(migrate::plan(&plant.settings).await.unwrap().statements, []);

    let mut wrong = plant.settings.clone();
    wrong.clickhouse.password = Secret::new("not it");
    let error = migrate::plan(&wrong).await.unwrap_err();
    assert_eq!(error.class(), Class::Refused);
    assert!(!error.chain().contains("not it"), "{}", error.chain());
    let mut reader = plant.settings.clone();
    reader.clickhouse.user = "reader".into();
    reader.clickhouse.password = Secret::new("reader");
    reader.clickhouse.database = "weld_other".into();
    let plan = migrate::plan(&reader).await.unwrap();
    let error = migrate::apply(&reader, &plan).await.unwrap_err();
    assert!(
        error.to_string().contains("create database `weld_other`"),
        "{error}"
    );
    assert!(
        matches!(
            error,
            StoreError::ClickHouse {
                code: Some(497),
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_table_with_data_only_gets_what_it_lacks() {
    let plant = Plant::bare(true);
    plant.execute("CREATE DATABASE weld_test").await;
    plant
        .execute(
            "CREATE TABLE weld_test.spot_records (data_date UInt32, ck_local_time DateTime64(3), record_id UInt64, part_no String, \
             spot_name String, timer_name String, umax Float32, imax Float32, u_curve Array(Float32), i_curve Array(Float32), \
             shift UInt8 DEFAULT 3, alg_error Nullable(String) DEFAULT NULL) ENGINE = ReplacingMergeTree ORDER BY (data_date, record_id)",
        )
        .await;
    plant
        .execute(
            "INSERT INTO weld_test.spot_records (data_date, ck_local_time, record_id) \
             SELECT 20261122, toDateTime64('2026-11-22 00:00:00', 3, 'UTC') + number, number FROM numbers(1000)",
        )
        .await;
    plant
        .mysql(
            "CREATE TABLE nok_records (id INT AUTO_INCREMENT PRIMARY KEY, data_date INT UNSIGNED NOT NULL, \
             record_id VARCHAR(64) NOT NULL, part_no VARCHAR(20), ck_ticks INT NOT NULL DEFAULT 0, alg_complete_time DATETIME, rule_hits TEXT, \
             review_result VARCHAR(64), shift INT DEFAULT 3) DEFAULT CHARSET utf8mb4",
        )
        .await;
    plant
        .mysql("INSERT INTO nok_records (data_date, record_id, review_result) VALUES (20251122, 'old', 'ok')")
        .await;
    let plan = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!(
        whats(&plan),
        [
            "turn on lightweight UPDATE of `spot_records`",
            "add result columns to `spot_records`",
            "create table `weld_results`",
            "create table `weld_runs`",
            "create table `weld_events`",
            "complete table `nok_records`",
        ]
    );
    let columns = &plan.statements[1].sql;
    assert!(
        columns.contains("`alg_status`") && !columns.contains("`alg_error`"),
        "{columns}"
    );
    migrate::apply(&plant.settings, &plan).await.unwrap();
    assert_eq!(migrate::plan(&plant.settings).await.unwrap().statements, []);
    assert_eq!(
        plant
            .ask("SELECT count(), sum(shift) FROM weld_test.spot_records")
            .await,
        "1000\t3000"
    );

    assert_eq!(
        plant
            .mysql(
                "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, DATETIME_PRECISION FROM information_schema.COLUMNS \
                 WHERE TABLE_NAME = 'nok_records' AND COLUMN_NAME IN ('part_no', 'ck_ticks', 'alg_complete_time', 'rule_hits') \
                 ORDER BY COLUMN_NAME",
            )
            .await,
        [
            "alg_complete_time|datetime|NULL|3",
            "ck_ticks|bigint|NULL|NULL",
            "part_no|varchar|255|NULL",
            "rule_hits|mediumtext|16777215|NULL"
        ],
        "columns too small for what is written into them were widened"
    );

    // Rows that were there before the columns can be updated.
    let table = plant.table().await;
    let marked = table
        .mark(
            1,
            "job",
            &common::range(0, 99),
            weldfleet_weld::Status::Invalid,
            "dropped",
        )
        .await
        .unwrap();
    assert_eq!(marked, 1, "one row in the first second");
    let mirror = plant.mirror().await;
    mirror.mirror_day(day()).await.unwrap();
    assert_eq!(
        plant
            .mysql("SELECT record_id, review_result, shift FROM nok_records")
            .await,
        ["old|ok|3"]
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_the_remedy() {
    let mut plant = Plant::bare(false);
    plant.execute("CREATE DATABASE weld_test").await;
    let error = SourceTable::inspect(&plant.settings)
        .await
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        error,
        "tables.source_table: table `spot_records`: no such table in database `weld_test`; \
         name the plant's table, run `scheduler migrate` to make one, or GRANT SELECT on it: an account sees only what it may read"
    );

    plant
        .execute(
            "CREATE TABLE weld_test.spot_records (data_date DateTime, ck_local_time Nullable(DateTime), record_id UUID, \
             umax UUID, imax Float32, u_curve Map(UInt8, Float32), i_curve Array(UUID), alg_complete_time DateTime DEFAULT now(), \
             diameter Float32, alg_token Nullable(String), final_result LowCardinality(Nullable(String))) \
             ENGINE = MergeTree ORDER BY (record_id, final_result) SETTINGS allow_nullable_key = 1",
        )
        .await;
    plant.map(&[("part_no", "零件")]);
    let StoreError::Schema(error) = migrate::plan(&plant.settings).await.unwrap_err() else {
        panic!("not a schema error");
    };
    let keys: Vec<&str> = error
        .faults
        .iter()
        .map(|fault| fault.key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "columns.record_id",
            "columns.data_date",
            "columns.ck_local_time",
            "columns.part_no",
            "columns.umax",
            "columns.u_curve",
            "columns.i_curve",
            "columns.alg_complete_time",
            "columns.final_result",
            "columns.diameter",
            "columns.alg_token",
        ]
    );
    let text = error.to_string();
    for line in [
        "columns.record_id: table `spot_records`: column `record_id` is UUID: expected UInt64 (or a smaller unsigned integer) or String; \
         map another column, or add one of that type computed from it",
        "columns.part_no: table `spot_records`: no column `零件`; map it to the plant's name; the table has: alg_complete_time, alg_token,",
        "columns.ck_local_time: table `spot_records`: column `ck_local_time` is Nullable(DateTime): a key cannot be NULL; \
         make it non-nullable: `ALTER TABLE … MODIFY COLUMN `ck_local_time` DateTime`",
        "column `alg_complete_time` is DateTime: a result is NULL until, and unless, there is one; make it nullable:",
        "column `final_result` is LowCardinality(Nullable(String)): it is part of the table's key, which UPDATE cannot change;",
    ] {
        assert!(text.contains(line), "{line}\nnot in\n{text}");
    }

    plant.map(&[]);
    plant
        .execute("CREATE VIEW weld_test.v AS SELECT * FROM weld_test.spot_records")
        .await;
    plant.settings.tables.source_table = "v".into();
    let error = migrate::plan(&plant.settings)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(
            "engine View has no lightweight UPDATE; name a MergeTree or ReplacingMergeTree table"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_result_table_that_would_lose_welds_is_refused_or_repaired() {
    let plant = Plant::bare(true);
    plant
        .mysql("CREATE TABLE nok_records (record_id VARCHAR(64) PRIMARY KEY, data_date DATE, part VARCHAR(9) NOT NULL)")
        .await;
    let error = migrate::plan(&plant.settings)
        .await
        .unwrap_err()
        .to_string();
    for line in [
        "tables.result_table: table `nok_records`: column `part` takes no NULL and has no default, so no row can be added; give it a default, map one of ours to it in [mysql.columns], give it a value in [mysql.constants], or name another table",
        "column `data_date` is date, expected INT",
        "unique key over (record_id) is narrower than a weld's key; drop it: an id of one day is another weld on another day",
    ] {
        assert!(error.contains(line), "{line}\nnot in\n{error}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_an_outage() {
    let mut plant = Plant::ours(true).await;
    insert(&plant.table().await, day(), 0..1).await;
    let mirror = plant.mirror().await;
    mirror.table().server().ping().await.unwrap();
    plant.services.kill(Service::MySql);
    let error = mirror.mirror_day(day()).await.unwrap_err();
    assert!(error.is_outage(), "{}", error.chain());
    plant.services.start_again(Service::MySql);
    mirror.mirror_day(day()).await.unwrap();

    plant.settings.clickhouse.url = "http://127.0.0.1:1".into();
    let error = Server::new(&plant.settings.clickhouse)
        .ping()
        .await
        .unwrap_err();
    assert!(error.is_outage(), "{}", error.chain());
}

#[tokio::test]
async fn added_columns_are_announced_with_the_inserts_that_they_break() {
    let plant = Plant::bare(false);
    plant.execute("CREATE DATABASE weld_test").await;
    let columns = "data_date UInt32, ck_local_time DateTime64(3), record_id UInt64, umax Float32, imax Float32, \
                   u_curve Array(Float32), i_curve Array(Float32)";
    for table in ["spot_records", "archive"] {
        plant
            .execute(&format!(
                "CREATE TABLE weld_test.{table} ({columns}) ENGINE = MergeTree ORDER BY record_id"
            ))
            .await;
    }
    let notice = async || migrate::plan(&plant.settings).await.unwrap().notice;
    assert_eq!(notice().await, None, "an empty table");
    plant
        .execute("INSERT INTO weld_test.spot_records VALUES (20261122, 0, 1, 1, 1, [], [])")
        .await;
    let found = notice().await.unwrap();
    assert_eq!(
        (found.table.as_str(), found.columns, found.alike.as_slice()),
        (
            "weld_test.spot_records",
            18,
            &["weld_test.archive".to_owned()][..]
        )
    );
    assert!(
        found
            .to_string()
            .contains("is not known: the server keeps no system.query_log"),
        "{found}"
    );

    // The test server keeps no log of its own: one with the columns that are read.
    plant
        .execute(
            "CREATE TABLE system.query_log (event_date Date, event_time DateTime, type Enum8('QueryStart' = 1, 'QueryFinish' = 2), \
             query String, query_kind String, normalized_query_hash UInt64, user String) ENGINE = MergeTree ORDER BY event_time",
        )
        .await;
    for (ago, kind, hash, query, user) in [
        (
            1,
            "Insert",
            1,
            "INSERT INTO weld_test.spot_records VALUES (1)",
            "line3",
        ),
        (
            0,
            "Insert",
            1,
            "INSERT INTO weld_test.spot_records VALUES (2)",
            "line3",
        ),
        (
            0,
            "Insert",
            2,
            "INSERT INTO spot_records FORMAT RowBinary",
            "etl",
        ),
        (
            0,
            "Insert",
            3,
            "INSERT INTO weld_test.spot_records (record_id) VALUES (1)",
            "good",
        ),
        (
            0,
            "Insert",
            4,
            "INSERT INTO weld_test.archive SELECT * FROM weld_test.spot_records",
            "archiver",
        ),
        (
            30,
            "Insert",
            5,
            "INSERT INTO weld_test.spot_records VALUES (3)",
            "long ago",
        ),
        (
            0,
            "Select",
            6,
            "SELECT * FROM weld_test.spot_records",
            "reader",
        ),
    ] {
        plant
            .execute(&format!(
                "INSERT INTO system.query_log SELECT today() - {ago}, now() - {ago} * 86400, 'QueryFinish', '{query}', '{kind}', {hash}, '{user}'"
            ))
            .await;
    }
    let text = notice().await.unwrap().to_string();
    for told in [
        "2 times by line3, last ",
        "INSERT INTO weld_test.spot_records VALUES",
        "1 times by etl, last ",
        "FORMAT rowbinary",
    ] {
        assert!(text.contains(told), "{told}\nnot in\n{text}");
    }
    for other in ["good", "archiver", "long ago", "reader"] {
        assert!(!text.contains(other), "{other}\nin\n{text}");
    }
    plant.migrate().await;
    let again = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!((again.notice, again.statements.len()), (None, 0));

    // A table of our own making, with rows, that lacks a column of a newer version.
    let ours = Plant::ours(false).await;
    insert(&ours.table().await, day(), 0..1).await;
    ours.execute("ALTER TABLE weld_test.spot_records DROP COLUMN alg_job")
        .await;
    let plan = migrate::plan(&ours.settings).await.unwrap();
    assert_eq!(whats(&plan), ["add result columns to `spot_records`"]);
    assert_eq!(plan.notice, None);
}

#[tokio::test]
async fn a_fleet_of_an_earlier_version_gets_the_new_column_and_keeps_its_truth() {
    let plant = Plant::ours(true).await;
    insert(&plant.table().await, day(), 0..100).await;
    for sql in [
        "ALTER TABLE weld_test.spot_records DROP COLUMN defect",
        "ALTER TABLE weld_test.spot_records RENAME COLUMN label_defect TO defect",
        "ALTER TABLE weld_test.weld_results DROP COLUMN defect",
        "ALTER TABLE weld_test.weld_results DROP INDEX day_range",
        "UPDATE weld_test.spot_records SET alg_status = 'ok', alg_complete_time = now64(3), alg_run = 0 WHERE record_id < 50",
    ] {
        plant.execute(sql).await;
    }
    plant
        .mysql("ALTER TABLE nok_records DROP COLUMN defect")
        .await;
    let error = SourceTable::inspect(&plant.settings).await.err().unwrap();
    assert!(
        error
            .to_string()
            .ends_with("result columns are missing: defect; run `scheduler migrate`"),
        "{error}"
    );
    let plan = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!(
        whats(&plan),
        [
            "rename the simulated truth of `spot_records`",
            "add result columns to `spot_records`",
            "add result columns to `weld_results`",
            "index the days of `weld_results`",
            "complete table `nok_records`",
        ]
    );
    migrate::apply(&plant.settings, &plan).await.unwrap();
    assert_eq!(migrate::plan(&plant.settings).await.unwrap().statements, []);

    let (table, range) = (plant.table().await, common::range(50, 99));
    let block = table.fetch(&range).await.unwrap();
    let verdicts = vec![common::nok(); block.len()];
    common::commit(&table, 7, &range, &block, &verdicts).await;
    assert_eq!(
        plant
            .ask(
                "SELECT countIf(label_defect = 'none'), countIf(alg_status = 'ok'), countIf(defect = '小焊核,飞溅'), \
                 countIf(defect IS NULL) FROM weld_test.spot_records"
            )
            .await,
        "100\t100\t50\t50"
    );
}

#[tokio::test]
async fn a_result_table_that_takes_less_than_is_written_is_named_by_check() {
    let plant = Plant::ours(true).await;
    let columns = async || {
        let table = NokTable::new(&plant.settings).unwrap().unwrap();
        let answers = table.check_all().await;
        let (_, answer) = answers
            .into_iter()
            .find(|(what, _)| what.starts_with("columns of "))
            .unwrap();
        answer.map_err(|error| error.to_string())
    };
    columns().await.unwrap();
    plant
        .mysql(
            "ALTER TABLE nok_records DROP KEY weldfleet_weld, MODIFY record_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL, \
             MODIFY part_no VARCHAR(20), MODIFY spot_name VARCHAR(255) CHARACTER SET latin1, MODIFY umax DOUBLE NOT NULL, \
             MODIFY imax DECIMAL(5,2), MODIFY alg_run INT UNSIGNED, MODIFY alg_complete_time DATETIME, MODIFY rule_hits TEXT, \
             MODIFY data_date SMALLINT UNSIGNED NOT NULL, MODIFY diameter VARCHAR(20), DROP COLUMN review_note, \
             ADD COLUMN shift INT NOT NULL",
        )
        .await;
    // MariaDB tells how wide an integer is shown, MySQL does not.
    let told = columns().await.unwrap_err();
    let told = told.replace("int(10)", "int").replace("int(5)", "int");
    for fault in [
        "column `shift` takes no NULL and has no default",
        "column `imax` is decimal(5,2), expected DOUBLE; change its type, or name another table",
        "column `diameter` is varchar(20), expected DOUBLE",
        "column `record_id` is varchar(64), narrower than varchar(512); run `scheduler migrate`",
        "column `part_no` is varchar(20), narrower than varchar(255)",
        "column `spot_name` is of latin1_swedish_ci, which does not hold every character",
        "column `umax` takes no NULL, but not every weld has a value",
        "column `alg_run` is int unsigned, narrower than bigint",
        "column `alg_complete_time` is datetime, narrower than datetime(3)",
        "column `rule_hits` is text, narrower than mediumtext",
        "column `data_date` is smallint unsigned, narrower than int",
        "no column `review_note`",
        "no unique key over (data_date, ck_ticks, ck_local_time, record_id), so a weld could be there twice",
    ] {
        assert!(told.contains(fault), "{fault}\nnot in\n{told}");
    }
    assert_eq!(told.lines().count(), 13, "{told}");

    // What migrate cannot repair, by hand; the rest by migrate.
    plant
        .mysql(
            "ALTER TABLE nok_records DROP COLUMN shift, MODIFY imax DOUBLE, MODIFY diameter DOUBLE",
        )
        .await;
    plant.migrate().await;
    columns().await.unwrap();
}

#[tokio::test]
async fn runs_of_an_earlier_version_go_on() {
    let plant = Plant::ours(false).await;
    plant.execute("DROP TABLE weld_test.weld_events").await;
    for column in [
        "`order`",
        "note",
        "requested_by",
        "changed_by",
        "changed_why",
        "announced",
    ] {
        let drop = format!("ALTER TABLE weld_test.weld_runs DROP COLUMN {column}");
        plant.execute(&drop).await;
    }
    plant
        .execute("INSERT INTO weld_test.weld_runs (run, request, `from`, `to`, state, version) VALUES (20261122000000000, 'old', 20261120, 20261122, 'open', 1)")
        .await;
    let plan = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!(
        whats(&plan),
        ["add columns to `weld_runs`", "create table `weld_events`"]
    );
    migrate::apply(&plant.settings, &plan).await.unwrap();
    assert_eq!(migrate::plan(&plant.settings).await.unwrap().statements, []);
    let runs = Runs::new(&plant.settings).for_pass().await.unwrap();
    let days: Vec<u32> = runs[0].days().iter().map(|day| day.number()).collect();
    assert_eq!(
        (runs.len(), days, runs[0].by.as_str()),
        (1, vec![20_261_120, 20_261_121, 20_261_122], "")
    );
}

/// As after a restore from a dump that left it out.
#[tokio::test]
async fn a_unique_key_that_was_lost_comes_back_once_its_twins_are_removed() {
    let plant = Plant::ours(true).await;
    let table = NokTable::new(&plant.settings).unwrap().unwrap();
    table.check_key().await.unwrap();
    plant
        .mysql("ALTER TABLE nok_records DROP KEY weldfleet_weld")
        .await;
    let lost = table.check_key().await.unwrap_err().to_string();
    assert!(lost.contains("no unique key over (data_date") && lost.contains("`scheduler migrate`"));
    for (id, result, note) in [
        ("1", "NULL", "NULL"),
        ("1", "NULL", "NULL"),
        ("2", "NULL", "NULL"),
        ("2", "'ok'", "NULL"),
        ("3", "NULL", "NULL"),
        ("4", "NULL", "NULL"),
        ("4", "NULL", "'seen'"),
    ] {
        plant
            .mysql(&format!(
                "INSERT INTO nok_records (data_date, ck_ticks, ck_local_time, record_id, review_result, review_note) \
                 VALUES (20261122, 1, 't', '{id}', {result}, {note})"
            ))
            .await;
    }
    let plan = migrate::plan(&plant.settings).await.unwrap();
    let refused = migrate::apply(&plant.settings, &plan).await.unwrap_err();
    assert!(refused.is_twin(), "{refused:?}");
    for statement in remove_twins(&plant.settings) {
        plant.mysql(&statement).await;
    }
    let left = "SELECT record_id, review_result, review_note FROM nok_records ORDER BY record_id";
    assert_eq!(
        plant.mysql(left).await,
        ["1|NULL|NULL", "2|ok|NULL", "3|NULL|NULL", "4|NULL|seen"]
    );
    plant.migrate().await;
    table.check_key().await.unwrap();
}
