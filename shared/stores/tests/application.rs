//! A MySQL table that an application reads and fills: what is mapped to it arrives, and nothing of its own changes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use mysql_async::prelude::Queryable;

use common::{Plant, changed, commit, day, insert, mirror_range, nok, ok, range, verdicts_by_id};
use weldfleet_settings::Constant;
use weldfleet_stores::{
    Range, Selection,
    clickhouse::SourceTable,
    migrate,
    mysql::{NokTable, Review, Reviewed, WeldKey},
};
use weldfleet_weld::Verdict;

/// As its people made it: three-byte UTF-8, narrow columns, numbers as text, columns that demand a value.
const TABLE: &str = "CREATE TABLE weld_confirm (nid INT AUTO_INCREMENT PRIMARY KEY, workshop_position VARCHAR(32), \
     defect_type_alg VARCHAR(8) NOT NULL, spot_tag VARCHAR(64) NOT NULL, rfid VARCHAR(4) CHARACTER SET utf8mb3 NOT NULL, \
     weld_time DATETIME, kpi TEXT NOT NULL, rec_cause VARCHAR(50), atlas_info CHAR(10) NOT NULL, diameter DECIMAL(5,2), \
     confidence FLOAT, peak VARCHAR(20), created TIMESTAMP NULL, thickness DOUBLE NOT NULL, state INT NOT NULL, \
     spare VARCHAR(9) NOT NULL DEFAULT '-', doubled INT AS (nid * 2) VIRTUAL) DEFAULT CHARSET = utf8mb4";

const OWN_ROWS: &str = "INSERT INTO weld_confirm (workshop_position, defect_type_alg, spot_tag, rfid, kpi, rec_cause, atlas_info, \
     thickness, state) VALUES ('A3', '焊渣', 'S1', 'R1', 'k', 'by hand', 'x', 1.5, 2), ('A4', '', '', '', '', NULL, '', 0, 7)";

/// The application's own rows, with every column that it has.
const OF_APPLICATION: &str = "SELECT nid, workshop_position, defect_type_alg, spot_tag, rfid, weld_time, kpi, rec_cause, atlas_info, \
     diameter, confidence, peak, created, thickness, state, spare, doubled FROM weld_confirm WHERE ck_ticks IS NULL ORDER BY nid";

const MAP: &[(&str, &str)] = &[
    ("defect", "defect_type_alg"),
    ("spot_name", "Spot_Tag"),
    ("body_no", "rfid"),
    ("welded_at", "weld_time"),
    ("diameter", "diameter"),
    ("ml_nok_prob", "confidence"),
    ("umax", "peak"),
    ("alg_complete_time", "created"),
    ("final_result", "atlas_info"),
    ("stack_thickness", "thickness"),
    ("review_note", "rec_cause"),
];

fn strings(pairs: &[(&str, &str)]) -> serde_json::Value {
    let pairs = pairs.iter();
    pairs
        .map(|(ours, theirs)| ((*ours).to_owned(), serde_json::Value::from(*theirs)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn plant() -> Plant {
    let mut plant = Plant::bare(true);
    let carried = strings(&[("body_no", "rfid"), ("welded_at", "weld_time")]);
    plant.settings.columns =
        serde_json::from_value(serde_json::json!({ "carried": carried })).unwrap();
    plant.settings.tables.result_table = "weld_confirm".into();
    let mysql = &mut plant.settings.mysql;
    mysql.columns = serde_json::from_value(strings(MAP)).unwrap();
    mysql.constants = [
        ("kpi".to_owned(), Constant::Text("自动".into())),
        ("state".to_owned(), Constant::Whole(1)),
    ]
    .into();
    plant
}

async fn judge(table: &SourceTable, token: u64, range: &Range, noks: &[usize]) {
    let block = table.fetch(range).await.unwrap();
    let verdicts = verdicts_by_id(&block, |id| match id.parse() {
        Ok(id) if noks.contains(&id) => Verdict {
            diameter: Some(id as f32 + 0.125),
            stack_thickness: (id != 7).then_some(2.2),
            ..nok()
        },
        _ => ok(),
    });
    commit(table, token, range, &block, &verdicts).await;
}

#[tokio::test]
async fn what_is_mapped_arrives_and_the_applications_rows_stay_as_they_are() {
    let plant = plant();
    plant.mysql(TABLE).await;
    plant.mysql(OWN_ROWS).await;
    let plan = migrate::plan(&plant.settings).await.unwrap();
    let last = plan.statements.last().unwrap();
    assert_eq!(last.what, "add the key of a weld to `weld_confirm`");
    let notice = plan.nok_notice.as_ref().unwrap();
    assert_eq!((notice.is_applications, notice.changes.len()), (true, 5));
    let asked = plan.asked();
    let (said, done) = &asked[asked.len() - 1];
    assert!(
        said.contains("weld_confirm in MySQL is an application's"),
        "{said}"
    );
    assert!(said.contains("ADD UNIQUE KEY weldfleet_weld"), "{said}");
    assert!(done.ends_with("weld_confirm would be changed"), "{done}");
    plant.migrate().await;
    let plan = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!((plan.statements, plan.nok_notice), (vec![], None));
    // It goes on writing rows that know nothing of the fleet.
    plant.mysql(OWN_ROWS).await;
    let own = plant.mysql(OF_APPLICATION).await;
    assert_eq!(own.len(), 4);
    let checked = NokTable::new(&plant.settings).unwrap().unwrap();
    for (what, answer) in checked.check_all().await {
        answer.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    assert_eq!(
        checked.cut_texts().await.unwrap().as_deref(),
        Some(
            "longer texts are cut: `Spot_Tag` holds 64 characters of `spot_name`, `defect_type_alg` holds 8 characters of \
             `defect`, `rfid` holds 4 characters of `body_no`"
        )
    );

    let table = plant.table().await;
    insert(&table, day(), 0..30).await;
    plant
        .execute(
            "ALTER TABLE weld_test.spot_records UPDATE rfid = if(record_id = 3, '𨭎焊4711', concat('B', toString(record_id))), \
             weld_time = multiIf(record_id = 3, '2026-11-22 06:00:01.7', record_id = 5, 'soon', '') WHERE 1 SETTINGS mutations_sync = 1",
        )
        .await;
    judge(&table, 1, &range(0, 29), &[3, 5, 7]).await;
    let mirror = plant.mirror().await;
    assert_eq!(
        mirror_range(&mirror, &range(0, 29)).await.unwrap(),
        changed(3, 0, 0)
    );
    let equal = async || {
        let lag = mirror.lag_of(day()).await.unwrap();
        assert!(lag.equal, "{lag:?}");
        assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(0, 0, 0));
        (lag.committed, lag.mirrored)
    };
    assert_eq!(equal().await, (3, 3));
    let ours = "SELECT record_id, data_date, defect_type_alg, spot_tag, rfid, weld_time, kpi, rec_cause, atlas_info, diameter, \
                ROUND(confidence, 4), peak, created IS NULL, thickness, state, spare FROM weld_confirm WHERE ck_ticks IS NOT NULL ORDER BY ck_ticks";
    assert_eq!(
        plant.mysql(ours).await,
        [
            "3|20261122|小焊核,飞溅|S1|\u{fffd}焊47|2026-11-22 06:00:01|自动|NULL|NOK|3.12|0.7500|0.375|0|2.200000047683716|1|-",
            "5|20261122|小焊核,飞溅|S1|B5|NULL|自动|NULL|NOK|5.12|0.7500|0.625|0|2.200000047683716|1|-",
            "7|20261122|小焊核,飞溅|S1|B7|NULL|自动|NULL|NOK|7.12|0.7500|0.875|0|0|1|-",
        ]
    );
    assert_eq!(table.nok_count(day()).await.unwrap(), 3);
    assert_eq!(checked.count(day()).await.unwrap(), 3);

    // What the application makes of a row of ours stays; what is the fleet's is repaired.
    plant
        .mysql("UPDATE weld_confirm SET state = 9, workshop_position = 'A5', rfid = 'gone' WHERE record_id = '5'")
        .await;
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(0, 1, 0));
    plant
        .mysql("DELETE FROM weld_confirm WHERE record_id = '7'")
        .await;
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(1, 0, 0));
    assert_eq!(equal().await, (3, 3));
    let state = "SELECT state, workshop_position, rfid FROM weld_confirm WHERE record_id = '5'";
    assert_eq!(plant.mysql(state).await, ["9|A5|B5"]);
    assert_eq!(mirror.totals().await.unwrap().kept, 0);

    // All turn OK: what nobody has looked at goes, what somebody has written into says what its weld is now.
    plant
        .mysql("UPDATE weld_confirm SET rec_cause = '假报警' WHERE record_id = '3'")
        .await;
    assert_eq!(equal().await, (3, 3));
    let force = Range {
        run: 20_261_122_000_000_001,
        selection: Selection::Force,
        ..range(0, 29)
    };
    judge(&table, 2, &force, &[]).await;
    assert_eq!(
        mirror_range(&mirror, &force).await.unwrap(),
        changed(0, 1, 2)
    );
    assert_eq!(equal().await, (0, 0));
    let left = "SELECT record_id, atlas_info, rec_cause, defect_type_alg, diameter FROM weld_confirm WHERE ck_ticks IS NOT NULL";
    assert_eq!(plant.mysql(left).await, ["3|OK|假报警||5.10"]);
    assert_eq!(plant.mysql(OF_APPLICATION).await, own);
}

#[tokio::test]
async fn a_map_that_does_not_fit_is_refused_with_everything_at_once() {
    let mut plant = plant();
    plant
        .mysql(&TABLE.replace(
            "spare VARCHAR(9)",
            "record_id INT, seen_at TIMESTAMP NULL, model ENUM('a'), hits VARCHAR(9) CHARACTER SET latin1, UNIQUE (spot_tag), due DATE NOT NULL, UNIQUE (workshop_position), \
             tiny TINYINT, few DECIMAL(4,1), plus INT UNSIGNED, short CHAR(2), word VARCHAR(9), \
             stamped TIMESTAMP DEFAULT CURRENT_TIMESTAMP, UNIQUE (stamped), serial CHAR(36) DEFAULT (UUID()), UNIQUE (serial), \
             spare VARCHAR(9)",
        ))
        .await;
    let mysql = &mut plant.settings.mysql;
    for (ours, theirs) in [
        ("front_thickness", "nowhere"),
        ("indentation", "nid"),
        ("rule_hits", "hits"),
        ("model_version", "model"),
        ("timer_name", "doubled"),
        ("welded_at", "seen_at"),
        ("ck_ticks", "workshop_position"),
        ("reviewed_by", "spare"),
        ("final_result", "short"),
        ("alg_token", "word"),
    ] {
        mysql.columns.insert(ours.into(), theirs.into());
    }
    mysql.constants = [
        ("diameter".to_owned(), Constant::Number(1.5)),
        ("state".to_owned(), Constant::Text("open".into())),
        ("shift".to_owned(), Constant::Whole(1)),
        ("tiny".to_owned(), Constant::Whole(300)),
        ("few".to_owned(), Constant::Number(123_456.7)),
        ("plus".to_owned(), Constant::Text("-1".into())),
    ]
    .into();
    let planned = migrate::plan(&plant.settings).await;
    let planned = planned.unwrap_err().to_string();
    let table = NokTable::new(&plant.settings).unwrap().unwrap();
    let checked = table.check_columns().await.unwrap_err().to_string();
    for said in [planned, checked] {
        for fault in [
            "mysql.columns.front_thickness: table `weld_confirm`: no column `nowhere`; map it to a column that is there, or remove the line",
            "mysql.columns.indentation: table `weld_confirm`: column `nid` is int",
            "which cannot take a number with fractions",
            "mysql.columns.rule_hits: table `weld_confirm`: column `hits` is of latin1_swedish_ci, which does not hold every character",
            "mysql.columns.model_version: table `weld_confirm`: column `model` is enum('a'), which cannot take a text",
            "mysql.columns.welded_at: table `weld_confirm`: column `seen_at` is timestamp, which cannot take a plant's local time",
            "mysql.columns.timer_name: table `weld_confirm`: column `doubled` is generated",
            "mysql.columns.ck_ticks: table `weld_confirm`: column `workshop_position` is not the fleet's",
            "mysql.columns.record_id: table `weld_confirm`: column `record_id` is int",
            "record_id = \"weldfleet_record_id\"",
            "mysql.columns.reviewed_by: table `weld_confirm`: column `spare` is varchar(9): it has a default, so that every row would look reviewed",
            "mysql.constants.diameter: table `weld_confirm`: `diameter` is mapped to this column; keep one of the two",
            "mysql.constants.state: table `weld_confirm`: \"open\" does not fit a column of int",
            "mysql.constants.shift: table `weld_confirm`: no such column",
            "mysql.constants.tiny: table `weld_confirm`: 300 does not fit a column of tinyint",
            "mysql.constants.few: table `weld_confirm`: 123456.7 does not fit a column of decimal(4,1)",
            "mysql.constants.plus: table `weld_confirm`: \"-1\" does not fit a column of int",
            "mysql.columns.final_result: table `weld_confirm`: column `short` is char(2), and `final_result` needs 3 characters",
            "mysql.columns.alg_token: table `weld_confirm`: column `word` is varchar(9), and `alg_token` needs 20 characters",
            "unique key `stamped` over (stamped) would let a weld change another row",
            "column `kpi` (text) takes no NULL and has no default, and nothing fills it; map one of ours to it in [mysql.columns], or give it a \
             value in [mysql.constants], such as kpi = \"\"",
            "column `due` (date) takes no NULL and has no default, and nothing fills it",
            "unique key `spot_tag` over (spot_tag) would let a weld change another row",
        ] {
            assert!(said.contains(fault), "{fault}\nnot in\n{said}");
        }
        for sound in ["`thickness`", "`serial`"] {
            assert!(!said.contains(sound), "{sound}: {said}");
        }
    }

    plant.settings.tables.result_table = "nowhere".into();
    let said = migrate::plan(&plant.settings)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("there is no such table; name the application's"),
        "{said}"
    );
}

/// A table as `migrate` leaves it, with the first ten welds in the source.
async fn adopted(changes: &str) -> (Plant, SourceTable) {
    let plant = plant();
    plant.mysql(TABLE).await;
    if !changes.is_empty() {
        let sql = format!("ALTER TABLE weld_confirm {changes}");
        plant.mysql(&sql).await;
    }
    plant.migrate().await;
    let table = plant.table().await;
    insert(&table, day(), 0..10).await;
    (plant, table)
}

#[tokio::test]
async fn a_text_that_says_no_day_is_no_time() {
    let (plant, table) = adopted("").await;
    let texts = [
        ("2026-11-22 06:00:01.7", "2026-11-22 06:00:01"),
        ("2026/11/22 06:00:01", "2026-11-22 06:00:01"),
        ("20261122060001", "2026-11-22 06:00:01"),
        ("2026-11-22T06:00:01", "2026-11-22 06:00:01"),
        ("20261122", "2026-11-22 00:00:00"),
        ("0000-00-00 00:00:00", "NULL"),
        ("08:15:00", "NULL"),
        ("5", "NULL"),
        ("2026-00-00", "NULL"),
        ("1795305600", "NULL"),
    ];
    let names = texts.map(|(text, _)| text).join("', '");
    plant
        .execute(&format!(
            "ALTER TABLE weld_test.spot_records UPDATE weld_time = ['{names}'][record_id + 1] WHERE 1 SETTINGS mutations_sync = 1"
        ))
        .await;
    let all: Vec<usize> = (0..10).collect();
    judge(&table, 1, &range(0, 9), &all).await;
    let mirror = plant.mirror().await;
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(10, 0, 0));
    let found = "SELECT weld_time FROM weld_confirm WHERE ck_ticks IS NOT NULL ORDER BY ck_ticks";
    assert_eq!(plant.mysql(found).await, texts.map(|(_, time)| time));
    assert!(mirror.lag_of(day()).await.unwrap().equal);
}

#[tokio::test]
async fn columns_that_round_are_written_once_and_one_that_keeps_something_else_is_named() {
    let change = "MODIFY diameter FLOAT(6,2), MODIFY confidence DOUBLE(6,3), MODIFY thickness FLOAT(7,4) NOT NULL";
    let (plant, table) = adopted(change).await;
    judge(&table, 1, &range(0, 9), &[3, 5]).await;
    let mirror = plant.mirror().await;
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(2, 0, 0));
    assert!(mirror.lag_of(day()).await.unwrap().equal);
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(0, 0, 0));

    plant
        .mysql(
            "CREATE TRIGGER theirs BEFORE UPDATE ON weld_confirm FOR EACH ROW SET NEW.spot_tag = 'X'",
        )
        .await;
    plant
        .mysql("UPDATE weld_confirm SET state = 3 WHERE record_id = '5'")
        .await;
    for updated in [1, 0, 0] {
        let change = mirror.mirror_day(day()).await.unwrap();
        assert_eq!((change.updated, change.refused.rows), (updated, 1));
        let said = change.refused.to_string();
        assert_eq!(
            said,
            "mysql refuses 1 records: weld 5 of 20261122: column `Spot_Tag` does not keep what is written into it"
        );
    }
}

#[tokio::test]
async fn a_column_that_its_people_made_narrower_is_seen_without_a_restart() {
    let (plant, table) = adopted("").await;
    plant
        .execute("ALTER TABLE weld_test.spot_records UPDATE rfid = 'B471' WHERE 1 SETTINGS mutations_sync = 1")
        .await;
    judge(&table, 1, &range(0, 9), &[3, 5]).await;
    let mirror = plant.mirror().await;
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(2, 0, 0));
    for sql in [
        "UPDATE weld_confirm SET rfid = 'B' WHERE ck_ticks IS NOT NULL",
        "ALTER TABLE weld_confirm MODIFY rfid VARCHAR(2) CHARACTER SET utf8mb3 NOT NULL",
    ] {
        plant.mysql(sql).await;
    }
    let change = mirror.mirror_day(day()).await.unwrap();
    assert_eq!((change.updated, change.refused.rows), (0, 2), "{change:?}");
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(0, 2, 0));
    let found = "SELECT rfid FROM weld_confirm WHERE ck_ticks IS NOT NULL";
    assert_eq!(plant.mysql(found).await, ["B4", "B4"]);
}

#[tokio::test]
async fn migrate_waits_no_longer_for_a_table_than_its_readers_can() {
    let plant = plant();
    plant.mysql(TABLE).await;
    let opts = mysql_async::Opts::from_url(plant.settings.mysql.url.expose()).unwrap();
    let mut reader = mysql_async::Conn::new(opts).await.unwrap();
    for sql in ["SET autocommit = 0", "SELECT COUNT(*) FROM weld_confirm"] {
        reader.query_drop(sql).await.unwrap();
    }
    let plan = migrate::plan(&plant.settings).await.unwrap();
    let error = migrate::apply(&plant.settings, &plan).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "mysql: add the key of a weld to `weld_confirm`: a session holds the table; end it (`SHOW PROCESSLIST`; as a rule a \
         transaction that was left open) and run `scheduler migrate` again"
    );
    reader.disconnect().await.unwrap();
    plant.migrate().await;
}

#[tokio::test]
async fn a_table_that_can_have_no_key_is_refused_before_anything_is_changed() {
    let mut plant = plant();
    for (kind, problem) in [
        (
            "ENGINE = MyISAM",
            "is of the engine myisam, and a weld's key needs InnoDB; ALTER TABLE … ENGINE=InnoDB",
        ),
        (
            "ROW_FORMAT = COMPACT",
            "has ROW_FORMAT=compact, in which a weld's key is too long; ALTER TABLE … ROW_FORMAT=DYNAMIC",
        ),
        (
            "PARTITION BY HASH (nid) PARTITIONS 2",
            "is partitioned, so that a unique key over a weld's key alone is refused",
        ),
        ("", ""),
        (
            "view",
            "is a view, which can have no unique key; name the table that it shows",
        ),
    ] {
        if kind == "view" {
            plant
                .mysql("CREATE VIEW shown AS SELECT * FROM weld_confirm")
                .await;
            plant.settings.tables.result_table = "shown".into();
        } else {
            plant.mysql("DROP TABLE IF EXISTS weld_confirm").await;
            plant.mysql(&format!("{TABLE} {kind}")).await;
        }
        let said = migrate::plan(&plant.settings).await.err();
        let said = said.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(said.is_empty(), problem.is_empty(), "{kind}: {said}");
        assert!(said.contains(problem), "{kind}: {said}");
    }
}

#[tokio::test]
async fn what_goes_with_a_record_is_said_before_the_table_is_changed() {
    let mut plant = plant();
    plant.mysql(TABLE).await;
    plant
        .mysql(
            "CREATE TABLE repairs (nid INT, CONSTRAINT of_weld FOREIGN KEY (nid) REFERENCES weld_confirm (nid) ON DELETE CASCADE)",
        )
        .await;
    let said = async |plant: &Plant| {
        let plan = migrate::plan(&plant.settings).await.unwrap();
        plan.nok_notice.unwrap().to_string()
    };
    let written = "is removed once its weld is judged OK, with whatever people wrote into it";
    let referring = "other tables refer to it: `of_weld` of `repairs` (ON DELETE CASCADE)";
    let mapped = said(&plant).await;
    assert!(
        mapped.contains(referring) && !mapped.contains(written),
        "{mapped}"
    );
    plant.settings.mysql.columns.remove("review_note");
    let unmapped = said(&plant).await;
    assert!(
        unmapped.contains(referring) && unmapped.contains(written),
        "{unmapped}"
    );
}

#[tokio::test]
async fn a_table_that_the_fleet_did_not_make_is_asked_about() {
    let mut plant = Plant::bare(true);
    plant.settings.tables.result_table = "weld_confirm".into();
    let new = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!(new.nok_notice, None, "nothing is there yet");
    plant
        .mysql(
            "CREATE TABLE weld_confirm (nid INT AUTO_INCREMENT PRIMARY KEY, part_no VARCHAR(20)) DEFAULT CHARSET = utf8mb4",
        )
        .await;
    let plan = migrate::plan(&plant.settings).await.unwrap();
    let notice = plan.nok_notice.unwrap();
    assert!(!notice.is_applications);
    let said = notice.to_string();
    assert!(said.contains("was not made by the fleet"), "{said}");
    assert!(said.contains("MODIFY COLUMN `part_no`"), "{said}");
    // Nor one that was adopted once: its key is NULL in the application's rows.
    let columns = &mut plant.settings.mysql.columns;
    columns.insert("part_no".into(), "part_no".into());
    plant.migrate().await;
    plant.settings.mysql.columns.clear();
    let plan = migrate::plan(&plant.settings).await.unwrap();
    assert!(
        plan.nok_notice
            .is_some_and(|notice| !notice.is_applications)
    );
}

/// What keeps the mirror from a row, too: who has reviewed it cannot be told.
const OF_MIRROR: [&str; 4] = [
    "takes no NULL",
    "has a default",
    "is generated",
    "changes by itself",
];
/// The reviewer's columns of a table, what is said of each, and whether that is a fault.
const REVIEWS: [(&str, &str, Option<&str>); 23] = [
    (
        "review_result",
        "ENUM('ok', 'confirmed')",
        Some("is enum('ok','confirmed'): it lacks `false alarm`, `unsure`"),
    ),
    (
        "review_result",
        "ENUM('Confirmed', 'false alarm', 'unsure')",
        Some("it lacks `confirmed`"),
    ),
    (
        "review_result",
        "ENUM('unsure', 'false alarm', 'it''s', 'confirmed')",
        None,
    ),
    (
        "review_result",
        "ENUM('confirmed', 'false alarm', 'unsure') NOT NULL",
        Some("takes no NULL and has no default"),
    ),
    ("review_result", "INT", Some("is int(11): that is no text")),
    (
        "review_result",
        "VARCHAR(10)",
        Some("is varchar(10): it holds 10 characters, not 11"),
    ),
    ("review_result", "CHAR(11) CHARACTER SET latin1", None),
    (
        "review_result",
        "VARCHAR(20) DEFAULT 'unsure'",
        Some("has a default"),
    ),
    (
        "review_result",
        "VARCHAR(20) AS ('unsure') VIRTUAL",
        Some("is generated"),
    ),
    (
        "review_result",
        "VARCHAR(20) COLLATE utf8mb4_general_ci NOT NULL DEFAULT ''",
        None,
    ),
    (
        "reviewed_by",
        "VARCHAR(64) CHARACTER SET latin1",
        Some("is varchar(64): latin1_swedish_ci holds no Chinese"),
    ),
    (
        "reviewed_by",
        "VARCHAR(63)",
        Some("it holds 63 characters, not 64"),
    ),
    ("reviewed_by", "VARCHAR(64) CHARACTER SET utf8mb3", None),
    ("reviewed_by", "VARBINARY(500)", Some("that is no text")),
    ("reviewed_at", "DATE", Some("is date: that is no text")),
    (
        "reviewed_at",
        "TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP",
        Some("changes by itself (ON UPDATE)"),
    ),
    ("reviewed_at", "DATETIME(3)", None),
    ("reviewed_at", "VARCHAR(19) CHARACTER SET latin1", None),
    (
        "review_note",
        "TINYTEXT",
        Some("it holds 63 characters, not 255"),
    ),
    (
        "review_note",
        "TEXT CHARACTER SET big5",
        Some("is text: big5_chinese_ci holds no Chinese"),
    ),
    (
        "review_note",
        "VARCHAR(255) NOT NULL",
        Some("takes no NULL and has no default"),
    ),
    ("review_note", "VARCHAR(255) CHARACTER SET gbk", None),
    ("review_note", "VARCHAR(255) CHARACTER SET gb2312", None),
];

#[tokio::test]
async fn a_column_that_cannot_hold_a_review_keeps_reviews_away_with_what_it_must_hold_and_nothing_else()
 {
    let mut plant = plant();
    plant.mysql(TABLE).await;
    let columns = &mut plant.settings.mysql.columns;
    for ours in ["review_result", "reviewed_by", "reviewed_at", "review_note"] {
        columns.insert(ours.into(), ours.into());
    }
    let good = [
        ("review_result", "VARCHAR(11)"),
        ("reviewed_by", "VARCHAR(64)"),
        ("reviewed_at", "DATETIME"),
        ("review_note", "VARCHAR(255)"),
    ];
    for (ours, kind) in good {
        let add = format!("ALTER TABLE weld_confirm ADD COLUMN {ours} {kind}");
        plant.mysql(&add).await;
    }
    let table = NokTable::new(&plant.settings).unwrap().unwrap();
    let refused = async || {
        migrate::plan(&plant.settings)
            .await
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(refused().await, None);
    plant.migrate().await;
    let change = async |ours: &str, kind: &str| {
        let sql = format!("ALTER TABLE weld_confirm DROP COLUMN {ours}, ADD COLUMN {ours} {kind}");
        plant.mysql(&sql).await;
    };
    let unfit = async || {
        // What was found to fit is remembered.
        let table = NokTable::new(&plant.settings).unwrap().unwrap();
        table.unfit_reviews().await.unwrap()
    };
    for (ours, kind, fault) in REVIEWS {
        change(ours, kind).await;
        let refused = refused().await;
        let started = table
            .check_columns()
            .await
            .err()
            .map(|error| error.to_string());
        assert_eq!(refused, started, "{ours} {kind}");
        let of_mirror = fault.is_some_and(|fault| OF_MIRROR.iter().any(|of| fault.contains(of)));
        assert_eq!(refused.is_some(), of_mirror, "{ours} {kind}: {refused:?}");
        match (fault, refused.or(unfit().await)) {
            (None, None) => {}
            (Some(fault), Some(said)) => {
                let named = format!("mysql.columns.{ours}: table `weld_confirm`: column `{ours}` ");
                assert!(
                    said.starts_with(&named) && said.contains(fault),
                    "{ours} {kind}: {said}"
                );
                assert_eq!(said.lines().count(), 1, "{said}");
            }
            (fault, said) => panic!("{ours} {kind}: {fault:?}, {said:?}"),
        }
        let (_, usual) = good.into_iter().find(|(name, _)| *name == ours).unwrap();
        change(ours, usual).await;
    }

    // All at once, each with what it must hold.
    for (ours, kind) in [
        ("review_result", "ENUM('yes', 'no')"),
        ("reviewed_by", "INT"),
        ("reviewed_at", "DATE"),
        ("review_note", "VARCHAR(10)"),
    ] {
        change(ours, kind).await;
    }
    assert_eq!(refused().await, None);
    let said = unfit().await.unwrap();
    for part in [
        "`confirmed`, `false alarm`, `unsure` as text or as ENUM, spelt so",
        "a name of up to 64 characters, Chinese ones too",
        "a date with its time (DATETIME, or a text of 19 characters)",
        "a note of up to 255 characters, Chinese ones too",
    ] {
        assert!(said.contains(part), "{part}\nnot in\n{said}");
    }
    assert_eq!(said.lines().count(), 4, "{said}");

    // What only an application writes may be of any kind.
    plant.settings.mysql.columns.remove("review_result");
    let alone = NokTable::new(&plant.settings).unwrap().unwrap();
    alone.check_columns().await.unwrap();
    assert_eq!(alone.unfit_reviews().await.unwrap(), None);
}

/// Compares without case and without trailing blanks, as applications' tables do.
const BLIND: &str = "COLLATE utf8mb4_general_ci";

#[tokio::test]
async fn a_review_is_compared_byte_by_byte_whatever_the_column_takes_for_equal() {
    let mut plant = plant();
    plant.mysql(TABLE).await;
    for (ours, kind) in [
        (
            "review_result",
            "ENUM('confirmed', 'false alarm', 'unsure')".to_owned(),
        ),
        (
            "reviewed_by",
            format!("VARCHAR(64) {BLIND} NOT NULL DEFAULT ''"),
        ),
        ("reviewed_at", "VARCHAR(30) CHARACTER SET latin1".to_owned()),
        ("review_note", format!("CHAR(255) {BLIND}")),
    ] {
        plant
            .settings
            .mysql
            .columns
            .insert(ours.into(), ours.into());
        let add = format!("ALTER TABLE weld_confirm ADD COLUMN {ours} {kind}");
        plant.mysql(&add).await;
    }
    plant.migrate().await;
    let source = plant.table().await;
    insert(&source, day(), 0..10).await;
    let block = source.fetch(&range(3, 3)).await.unwrap();
    let key = WeldKey {
        day: day(),
        ticks: block.key(0).ticks,
        time: block.time_text(0).to_string(),
        record_id: "3".to_owned(),
    };
    judge(&source, 1, &range(0, 9), &[3]).await;
    let mirror = plant.mirror().await;
    assert_eq!(
        mirror_range(&mirror, &range(0, 9)).await.unwrap(),
        changed(1, 0, 0)
    );

    let table = NokTable::new(&plant.settings).unwrap().unwrap();
    let none = table.review(&key).await.unwrap().unwrap();
    assert!(none.is_none(), "{none:?}");
    let said = |note: &str| Review {
        result: "false alarm".to_owned(),
        by: "李 娜".to_owned(),
        at: "2026-11-22 10:00:00".to_owned(),
        note: note.to_owned(),
    };
    let kept = Reviewed::Kept {
        now: said("Repaired 焊"),
        changed: true,
    };
    let first = table.set_review(&key, &none, &said("Repaired 焊")).await;
    assert_eq!(first.unwrap(), kept);
    // Who saw other letters is slower, though the column takes them for equal.
    for seen in ["repaired 焊", "Répaired 焊", ""] {
        let slower = table.set_review(&key, &said(seen), &said("mine")).await;
        assert_eq!(
            slower.unwrap(),
            Reviewed::Otherwise(said("Repaired 焊")),
            "{seen}"
        );
    }
    let other_case = table
        .set_review(&key, &said("Repaired 焊"), &said("REPAIRED 焊"))
        .await;
    let kept = Reviewed::Kept {
        now: said("REPAIRED 焊"),
        changed: true,
    };
    assert_eq!(other_case.unwrap(), kept);
    let back = table.set_review(&key, &said("REPAIRED 焊"), &none).await;
    let kept = Reviewed::Kept {
        now: none.clone(),
        changed: true,
    };
    assert_eq!(back.unwrap(), kept);
    let empty = "SELECT review_result IS NULL, reviewed_by = '', reviewed_at IS NULL, review_note IS NULL FROM weld_confirm";
    assert_eq!(plant.mysql(empty).await, ["1|1|1|1"]);
}

#[tokio::test]
async fn a_table_of_our_own_gets_the_carried_columns() {
    let mut plant = Plant::ours(true).await;
    plant.execute("ALTER TABLE weld_test.spot_records ADD COLUMN rfid LowCardinality(Nullable(String)), ADD COLUMN areas Array(UInt8)").await;
    let carried = strings(&[("body_no", "rfid"), ("区域", "areas")]);
    let scalars = strings(&[("force_kn", "umax"), ("wear", "alg_error")]);
    plant.settings.columns =
        serde_json::from_value(serde_json::json!({ "carried": carried, "scalars": scalars }))
            .unwrap();
    let plan = migrate::plan(&plant.settings).await.unwrap();
    assert_eq!(plan.statements.len(), 1, "{plan:?}");
    plant.migrate().await;
    assert_eq!(migrate::plan(&plant.settings).await.unwrap().statements, []);
    let indexed = "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_NAME = 'nok_records' AND COLUMN_NAME IN ('body_no', '区域')";
    assert_eq!(plant.mysql(indexed).await, ["2"]);

    let table = plant.table().await;
    insert(&table, day(), 0..10).await;
    plant
        .execute(
            "ALTER TABLE weld_test.spot_records UPDATE rfid = if(record_id = 4, NULL, toString(record_id)), areas = [1, 2], \
             alg_error = if(record_id = 4, 'None', ' 12.5') WHERE 1 SETTINGS mutations_sync = 1",
        )
        .await;
    let block = table.fetch(&range(0, 9)).await.unwrap();
    assert_eq!(block.further().carried, ["body_no", "区域"]);
    assert_eq!((block.carried(3, 0), block.carried(3, 1)), ("3", "[1,2]"));
    assert_eq!(block.carried(4, 0), "");
    assert_eq!(block.scalars(3), [3.0 / 8.0, 12.5]);
    assert_eq!(block.weld(3).scalars, block.scalars(3));
    assert!(block.scalars(4)[1].is_nan());
    judge(&table, 1, &range(0, 9), &[3, 4]).await;
    let mirror = plant.mirror().await;
    assert_eq!(mirror.mirror_day(day()).await.unwrap(), changed(2, 0, 0));
    let found = "SELECT record_id, body_no, `区域`, defect FROM nok_records ORDER BY ck_ticks";
    assert_eq!(
        plant.mysql(found).await,
        ["3|3|[1,2]|小焊核,飞溅", "4|NULL|[1,2]|小焊核,飞溅"]
    );
    assert!(mirror.lag_of(day()).await.unwrap().equal);

    let welds = table.find_carried("body_no", "3", None, 10).await.unwrap();
    assert_eq!((welds.counts.welds, welds.counts.nok), (1, 1));
    let (block, row) = table.weld_at(&welds.welds[0]).await.unwrap().unwrap();
    assert_eq!((block.id(row).to_string().as_str(), block.len()), ("3", 1));

    let missing = strings(&[("a", "not_there"), ("b", "nor_this")]);
    plant.settings.columns =
        serde_json::from_value(serde_json::json!({ "carried": missing })).unwrap();
    let said = SourceTable::inspect(&plant.settings).await.err().unwrap();
    let said = said.to_string();
    for fault in [
        "columns.carried.a: table `spot_records`: no column `not_there`; map it to the plant's name; the table has: ",
        "columns.carried.b: table `spot_records`: no column `nor_this`",
    ] {
        assert!(said.contains(fault), "{fault}\nnot in\n{said}");
    }
}

#[tokio::test]
async fn shares_by_line_are_of_the_fleets_columns_whatever_the_plant_calls_its_own() {
    let mut plant = Plant::ours(true).await;
    plant
        .execute("ALTER TABLE weld_test.spot_records ADD COLUMN line String, ADD COLUMN nok UInt8, ADD COLUMN judged UInt8")
        .await;
    let table = plant.table().await;
    insert(&table, day(), 0..40).await;
    // The plant's own `nok` and `judged` say the contrary of what the fleet's columns say.
    plant
        .execute(
            "ALTER TABLE weld_test.spot_records UPDATE line = if(record_id % 2 = 0, 'A', 'B'), nok = record_id >= 10, judged = 0, \
             final_result = multiIf(record_id >= 30, NULL, record_id < 10, 'NOK', 'OK'), \
             alg_complete_time = now64(3) WHERE 1 SETTINGS mutations_sync = 1",
        )
        .await;
    let carried = serde_json::json!({ "carried": { "line": "line" } });
    plant.settings.columns = serde_json::from_value(carried).unwrap();
    let shares = async |plant: &Plant| {
        let table = plant.table().await;
        let since = jiff::civil::date(2026, 11, 22).at(0, 0, 0, 0);
        let now = jiff::civil::date(2026, 11, 23).at(0, 0, 0, 0);
        let lines = table.nok_shares(&[day()], since, now).await.unwrap();
        let told = lines.into_iter();
        told.map(|line| {
            (
                line.line,
                line.judged,
                line.nok,
                line.judged_before,
                line.nok_before,
            )
        })
        .collect::<Vec<_>>()
    };
    let whole = |line: &str| (line.to_owned(), 15, 5, 0, 0);
    assert_eq!(shares(&plant).await, [whole("A"), whole("B")]);

    // The same where another of their columns says the line, and where none does.
    let carried = serde_json::json!({ "carried": { "line": "nok" } });
    plant.settings.columns = serde_json::from_value(carried).unwrap();
    let mut by_nok = shares(&plant).await;
    by_nok.sort();
    assert_eq!(
        by_nok,
        [
            ("0".to_owned(), 10, 10, 0, 0),
            ("1".to_owned(), 20, 0, 0, 0)
        ]
    );
    plant.settings.columns = Default::default();
    assert_eq!(shares(&plant).await, [(String::new(), 30, 10, 0, 0)]);
}
