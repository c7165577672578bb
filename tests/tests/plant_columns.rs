//! Columns that only this plant has: carried ones by which people find a weld, in the table that their application
//! reads, and numbers that a model is fed with.

use std::{fs, time::Duration};

use weldfleet_tests::{
    Fleet, Process,
    agree::{Truth, text},
    audit, eventually, repository,
};

const MINUTES: Duration = Duration::from_secs(150);
const NEXT_PASS: Duration = Duration::from_secs(40);

/// The table of the application, with columns that it demands.
const TABLE: &str = "CREATE TABLE weld_confirm (nid INT AUTO_INCREMENT PRIMARY KEY, workshop_position VARCHAR(32), \
     defect_type_alg VARCHAR(64) NOT NULL, spot_tag VARCHAR(64) NOT NULL, rfid VARCHAR(64) NOT NULL, weld_time DATETIME, \
     kpi TEXT NOT NULL, rec_cause TEXT NOT NULL, atlas_info VARCHAR(64) NOT NULL, diameter DOUBLE) DEFAULT CHARSET = utf8mb4";
const OWN_ROWS: &str = "INSERT INTO weld_confirm (workshop_position, defect_type_alg, spot_tag, rfid, kpi, rec_cause, atlas_info) \
     VALUES ('A3', '焊渣', 'S1', 'B3', 'k', 'by hand', 'x'), (NULL, '', '', '', '', '', '')";
/// Its own rows, all their columns.
const OF_APPLICATION: &str = "SELECT * FROM weld_confirm WHERE ck_ticks IS NULL ORDER BY nid";
const OURS: &str = "SELECT record_id, rfid, defect_type_alg, spot_tag, kpi, rec_cause, atlas_info, diameter FROM weld_confirm \
     WHERE ck_ticks IS NOT NULL ORDER BY ck_ticks, record_id";
const CONSTANTS: &str = "{ kpi = \"\", rec_cause = \"\", atlas_info = \"line 3\" }";
const MAP: &str = "{ defect = \"defect_type_alg\", spot_name = \"spot_tag\", body_no = \"rfid\", diameter = \"diameter\" }";

/// What the application's people must see: the NOK welds of ClickHouse.
async fn wanted(fleet: &Fleet) -> Vec<Vec<String>> {
    let rows = fleet
        .clickhouse
        .rows(
            "SELECT toString(record_id) AS id, rfid, defect, spot_name, toString(assumeNotNull(diameter)) AS mm FROM spot_records \
             WHERE final_result = 'NOK' ORDER BY ck_local_time, record_id",
        )
        .await;
    let columns = ["id", "rfid", "defect", "spot_name"];
    rows.iter()
        .map(|row| {
            let mut wanted: Vec<String> = columns.map(|name| text(row, name)).into();
            wanted.extend(["", "", "line 3"].map(str::to_owned));
            wanted.push(text(row, "mm").parse::<f32>().expect("mm").to_string());
            wanted
        })
        .collect()
}

async fn there(fleet: &Fleet) -> Vec<Vec<String>> {
    let mut rows = fleet.mysql.rows(OURS).await;
    for row in &mut rows {
        let mm = row.last_mut().expect("mm");
        *mm = mm
            .parse::<f64>()
            .map_or_else(|_| mm.clone(), |number| (number as f32).to_string());
    }
    rows
}

async fn follows(fleet: &Fleet, what: &str) -> Vec<Vec<String>> {
    let wanted = wanted(fleet).await;
    eventually(what, NEXT_PASS, async || {
        (there(fleet).await == wanted).then_some(())
    })
    .await;
    wanted
}

/// Judges today's rows again, by rules that call nothing NOK or as before.
async fn force(fleet: &mut Fleet, worker: &mut Process, lenient: bool) {
    worker.kill();
    fleet.lenient(lenient);
    *worker = fleet.worker();
    let day = fleet.newest_day().await;
    let day = day.as_str();
    fleet.backfill(day, day, &["--force", "--wait"]);
    fleet.idle(MINUTES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nok_welds_reach_an_applications_table_and_are_found_by_their_body() {
    let mut fleet = Fleet::with(&[
        ("columns.carried", "{ body_no = \"rfid\" }"),
        ("tables.result_table", "weld_confirm"),
        (
            "fusion.defect_names",
            "{ ml = \"小焊核\", expulsion = \"飞溅\" }",
        ),
    ])
    .await;
    fleet.mysql.execute(TABLE).await;
    fleet.mysql.execute(OWN_ROWS).await;

    // A map that does not fit is refused by whoever would write through it, with everything at once.
    fleet.set(
        "mysql.columns",
        "{ defect = \"fault\", diameter = \"nid\" }",
    );
    for (binary, arguments) in [
        ("scheduler", &["migrate", "--yes"][..]),
        ("scheduler", &["run"]),
        ("worker", &["check"]),
    ] {
        let (code, told) = fleet.said(binary, arguments);
        assert_eq!(code, Some(1), "{binary} {arguments:?}: {told}");
        for fault in [
            "`fault`",
            "`nid`",
            "`kpi`",
            "`rec_cause`",
            "`atlas_info`",
            "`rfid`",
        ] {
            let named =
                told.contains(fault) || arguments == ["check"] && told.contains("clickhouse");
            assert!(
                named,
                "{binary} {arguments:?} does not name {fault}: {told}"
            );
        }
    }
    fleet.set("mysql.columns", MAP);
    fleet.set("mysql.constants", CONSTANTS);
    fleet.migrate();
    fleet.set(
        "mysql.columns",
        "{ defect = \"fault\", diameter = \"nid\" }",
    );
    let (code, told) = fleet.said("worker", &["run"]);
    assert!(
        code == Some(1) && told.contains("`fault`") && told.contains("`nid`"),
        "{told}"
    );
    fleet.set("mysql.columns", MAP);
    fleet.mysql.execute(OWN_ROWS).await;
    let own = fleet.mysql.rows(OF_APPLICATION).await;
    assert_eq!(own.len(), 4);
    fleet.simulate("today", 1200, &["--nok-rate", "0.2"]);
    fleet
        .clickhouse
        .execute(
            "ALTER TABLE spot_records UPDATE rfid = concat('B', toString(record_id % 7)) WHERE 1 SETTINGS mutations_sync = 1",
        )
        .await;
    let check = fleet.succeed("worker", &["check"]);
    assert!(check.contains("body_no = `rfid` String"), "{check}");
    assert!(
        check.contains("`spot_tag` holds 64 characters of `spot_name`"),
        "{check}"
    );

    let scheduler = fleet.scheduler();
    let mut worker = fleet.worker();
    fleet.done(MINUTES).await;
    let nok = follows(&fleet, "the application's table has the NOK welds").await;
    assert!(nok.len() > 100, "{}", nok.len());
    let defects = |row: &Vec<String>| row[2].contains("小焊核") || row[2].contains("飞溅");
    assert!(nok.iter().any(defects), "{nok:?}");
    assert_eq!(fleet.mysql.rows(OF_APPLICATION).await, own);
    eventually("the mirror is equal", NEXT_PASS, async || {
        let lag = scheduler
            .metric_if_any("weldfleet_mirror_lag_rows", &[])
            .await;
        (lag? == 0.0).then_some(())
    })
    .await;

    // By body: in MySQL above, in the audit files, and where one asks for it.
    let in_csv = audit::lines(&fleet.save_dir());
    let of_b3 = in_csv.iter().filter(|line| line["body_no"] == "B3");
    let nok_of_b3 = of_b3.clone().filter(|line| line["final_result"] == "NOK");
    let (all, noks) = (of_b3.count(), nok_of_b3.count());
    assert_eq!(noks, nok.iter().filter(|row| row[1] == "B3").count());
    let folder = fleet.folder().join("pictures").display().to_string();
    let (code, told) = fleet.said("worker", &["explain", "--body", "B3", "--png", &folder]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains(&format!("body B3: {all} welds, {noks} NOK\n")),
        "{told}"
    );
    assert!(
        told.contains("   spot ") && told.contains("body_no B3\n"),
        "{told}"
    );
    let pictures = fs::read_dir(&folder).expect("the pictures").count();
    assert_eq!(pictures, noks.min(50), "{told}");
    let (code, told) = fleet.said(
        "worker",
        &["explain", "--body", "B3", "--png", "/tmp/one.png"],
    );
    assert!(
        code == Some(2) && told.contains("give a folder, or --record-id"),
        "{told}"
    );
    let (code, told) = fleet.said("worker", &["explain", "--body", "B9"]);
    assert!(
        code == Some(2) && told.contains("no weld with body_no `B9` on any day"),
        "{told}"
    );

    // What was falsified is repaired, what the application added to a row of ours is not touched.
    fleet
        .mysql
        .execute("UPDATE weld_confirm SET rfid = 'X', workshop_position = 'A9' WHERE ck_ticks IS NOT NULL ORDER BY nid LIMIT 5")
        .await;
    follows(&fleet, "falsified rows are repaired").await;
    assert_eq!(
        fleet
            .mysql
            .count("weld_confirm WHERE workshop_position = 'A9'")
            .await,
        5
    );
    assert_eq!(fleet.mysql.rows(OF_APPLICATION).await, own);

    force(&mut fleet, &mut worker, true).await;
    assert_eq!(follows(&fleet, "none is NOK any more").await.len(), 0);
    assert_eq!(fleet.mysql.rows(OF_APPLICATION).await, own);
    force(&mut fleet, &mut worker, false).await;
    assert_eq!(follows(&fleet, "all are back").await, nok);
    assert_eq!(fleet.mysql.rows(OF_APPLICATION).await, own);
    Truth::read(&fleet.clickhouse, "spot_records")
        .await
        .counts();

    fleet.set("columns.carried", "{ body = \"rfid\" }");
    fleet.set("mysql.columns", "{ body = \"rfid\" }");
    let (code, told) = fleet.said("worker", &["explain", "--body", "B3"]);
    assert!(
        code == Some(2) && told.contains("none of that name is configured"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_fed_with_the_numbers_of_its_weld() {
    let models = repository().join("tests/tests/data/models/scalars");
    let scalars = "{ tip_dress_count = \"tipdresscounter\", force_kn = \"kraft\" }";
    let mut fleet = Fleet::with(&[
        ("model.model_export_dir", &models.display().to_string()),
        ("columns.scalars", scalars),
        ("curves.umax_unit", "mV"),
        ("curves.u_unit", "mV"),
    ])
    .await;
    fleet.migrate();
    // A count as text, a force as decimal.
    fleet
        .clickhouse
        .execute("ALTER TABLE spot_records DROP COLUMN tipdresscounter, DROP COLUMN kraft, ADD COLUMN tipdresscounter String, ADD COLUMN kraft Decimal(9, 2)")
        .await;
    fleet.simulate("today", 500, &[]);
    fleet
        .clickhouse
        .execute(
            "ALTER TABLE spot_records UPDATE tipdresscounter = multiIf(record_id % 10 = 0, 'None', record_id % 10 = 1, '', \
             toString(record_id % 60)), kraft = 3.25 WHERE 1 SETTINGS mutations_sync = 1",
        )
        .await;
    // Missing: 50, as its inference_config.json says.
    let wanted = "ifNull(0.1 + 0.01 * toFloat64OrNull(tipdresscounter), 0.6)";
    {
        let _scheduler = fleet.scheduler();
        let _worker = fleet.worker();
        fleet.done(MINUTES).await;
    }
    let ok = fleet
        .clickhouse
        .count("spot_records WHERE alg_status = 'ok'")
        .await;
    assert!(ok > 480, "{ok}");
    let follows =
        format!("spot_records WHERE alg_status = 'ok' AND abs(ml_nok_prob - {wanted}) < 1e-5");
    assert_eq!(fleet.clickhouse.count(&follows).await, ok);
    let different = "SELECT uniqExact(ml_nok_prob) FROM spot_records WHERE alg_status = 'ok'";
    let different: u64 = fleet
        .clickhouse
        .value(different)
        .await
        .parse()
        .expect("a count");
    assert!(different > 30, "{different} probabilities");
    // umax came in millivolts, and is fed in volts: the mean of the voltage is less than that.
    let volts = "spot_records WHERE alg_status = 'ok' AND NOT (diameter > umax / 1000 AND diameter < 2 * umax / 1000)";
    assert_eq!(fleet.clickhouse.count(volts).await, 0);

    for line in audit::lines(&fleet.save_dir()) {
        assert_eq!(line["force_kn"], "3.25");
        let dressed = line["tip_dress_count"].parse::<f32>().ok();
        let probability = line["ml_nok_prob"].parse::<f32>();
        if let Ok(probability) = probability {
            let wanted = 0.1 + 0.01 * dressed.unwrap_or(50.0);
            assert!((probability - wanted).abs() < 1e-5, "{line:?}");
        }
    }

    // The same records by themselves, and one that lacks the number.
    let of_table = "(SELECT * REPLACE (toFloat64OrNull(tipdresscounter) AS tipdresscounter) FROM spot_records)";
    let sql = format!(
        "SELECT record_id, umax, imax, u_curve, i_curve, tipdresscounter AS tip_dress_count, toString(ml_nok_prob) AS label FROM {of_table} \
         WHERE alg_status = 'ok' LIMIT 40 FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0"
    );
    let records = fleet.clickhouse.execute(&sql).await;
    let file = fleet.folder().join("welds.jsonl");
    fs::write(&file, &records).expect("write");
    let file = file.display().to_string();
    let answers = fleet.succeed("worker", &["predict", "--json", &file]);
    let parsed = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("json");
    for (record, answer) in records.lines().map(parsed).zip(answers.lines().map(parsed)) {
        let judged: f64 = record["label"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        let now = answer["ml_nok_prob"].as_f64().expect("a probability");
        assert!((now - judged).abs() < 1e-6, "{record} {answer}");
    }
    let id = parsed(records.lines().next().expect("a record"))["record_id"].to_string();
    let png = fleet.folder().join("one.png").display().to_string();
    let told = fleet.succeed("worker", &["explain", "--record-id", &id, "--png", &png]);
    assert!(
        told.contains("   force_kn 3.25   tip_dress_count "),
        "{told}"
    );

    // Nobody has said which column that is.
    fleet.set("columns.scalars", "{ force_kn = \"kraft\" }");
    for command in ["check", "run"] {
        let (code, told) = fleet.said("worker", &[command]);
        assert_ne!(code, Some(0), "{told}");
        for part in [
            "model `scalars` asks for `tip_dress_count` in `scalars` of its inference_config.json",
            "[columns.scalars]",
            "there are: umax, imax, force_kn",
        ] {
            assert!(told.contains(part), "{command}: `{part}` is not in\n{told}");
        }
    }
}
