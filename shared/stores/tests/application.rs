//! A MySQL table that an application reads and fills: what is mapped to it arrives, and nothing of its own changes.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{Plant, day, insert, nok, ok, range};
use weldfleet_settings::Constant;
use weldfleet_stores::{
    Range, Selection,
    clickhouse::{Attempt, SourceTable},
    migrate,
    mysql::{Mirrored, NokTable},
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
    let verdicts: Vec<Verdict> = (0..block.len())
        .map(|row| {
            let id: usize = block.id(row).to_string().parse().unwrap();
            match noks.contains(&id) {
                true => Verdict {
                    diameter: Some(id as f32 + 0.125),
                    stack_thickness: (id != 7).then_some(2.2),
                    ..nok()
                },
                false => ok(),
            }
        })
        .collect();
    table
        .store_results(token, range.run, "job", &block, &verdicts)
        .await
        .unwrap();
    let attempt = Attempt {
        token,
        range: range.clone(),
        overrules: block.overrules(),
    };
    table.commit(&[attempt]).await.unwrap();
}

fn changed(inserted: u64, updated: u64, removed: u64) -> Mirrored {
    Mirrored {
        inserted,
        updated,
        removed,
        kept: 0,
    }
}

#[tokio::test]
async fn what_is_mapped_arrives_and_the_applications_rows_stay_as_they_are() {
    let plant = plant();
    plant.mysql(TABLE).await;
    plant.mysql(OWN_ROWS).await;
    let plan = migrate::plan(&plant.settings).await.unwrap();
    let last = plan.statements.last().unwrap();
    assert_eq!(last.what, "add the key of a weld to `weld_confirm`");
    plant.migrate().await;
    assert_eq!(migrate::plan(&plant.settings).await.unwrap().statements, []);
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
        mirror.mirror(&range(0, 29)).await.unwrap(),
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

    // What the application makes of a row of ours stays; what is the fleet's is mended.
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
    assert_eq!(mirror.kept_rows().await.unwrap(), 0);

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
    assert_eq!(mirror.mirror(&force).await.unwrap(), changed(0, 1, 2));
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
            "record_id INT, model ENUM('a'), hits VARCHAR(9) CHARACTER SET latin1, UNIQUE (spot_tag), due DATE NOT NULL, UNIQUE (workshop_position), \
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
        ("ck_ticks", "workshop_position"),
        ("reviewed_by", "spare"),
    ] {
        mysql.columns.insert(ours.into(), theirs.into());
    }
    mysql.constants = [
        ("diameter".to_owned(), Constant::Number(1.5)),
        ("state".to_owned(), Constant::Text("open".into())),
        ("shift".to_owned(), Constant::Whole(1)),
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
            "mysql.columns.timer_name: table `weld_confirm`: column `doubled` is generated",
            "mysql.columns.ck_ticks: table `weld_confirm`: column `workshop_position` is not the fleet's",
            "mysql.columns.record_id: table `weld_confirm`: column `record_id` is int",
            "record_id = \"weldfleet_record_id\"",
            "column `spare` has a default, so that every row would look reviewed",
            "mysql.constants.diameter: table `weld_confirm`: `diameter` is mapped to this column; keep one of the two",
            "mysql.constants.state: table `weld_confirm`: \"open\" does not fit a column of int",
            "mysql.constants.shift: table `weld_confirm`: no such column",
            "column `kpi` (text) takes no NULL and has no default, and nothing fills it; map one of ours to it in [mysql.columns], or give it a \
             value in [mysql.constants], such as kpi = \"\"",
            "column `due` (date) takes no NULL and has no default, and nothing fills it",
            "unique key `spot_tag` over (spot_tag) would let a weld change another row",
        ] {
            assert!(said.contains(fault), "{fault}\nnot in\n{said}");
        }
        assert!(!said.contains("`thickness`"), "{said}");
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
