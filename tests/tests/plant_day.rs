//! A day of a plant's own table, in each form that such tables have: a worker is killed, rows are late, others are sent
//! again. Its welds get the verdicts that they get in our own table; what is not the fleet's stays as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use weldfleet_tests::{
    Fleet, Process,
    agree::{Truth, text},
    audit,
    clickhouse::{Row, verdict_columns},
    eventually,
    faults::{FailPoint, PATIENCE, worker_id},
};

const ROWS: u32 = 1500;
/// So many are judged when the rest arrives.
const FIRST: u64 = 750;
const FILTER: &str = "prog_no NOT IN ('41', '51')";
const TIP_DRESSES: &str = "prog_no IN ('41', '51')";
/// Welds whose `umax` is a number: in our own table every one is.
const HAS_UMAX: &str = "umax NOT IN ('0', 'None', '')";

/// Ours and theirs, as `scheduler adopt` maps them.
const COLUMNS: &[(&str, &str)] = &[
    ("record_id", "id"),
    ("part_no", "part_all"),
    ("spot_name", "spot_tag"),
    ("timer_name", "serial_no"),
];

/// Columns of a verdict and of who gave it.
const WRITTEN: [&str; 9] = [
    "alg_complete_time",
    "alg_status",
    "alg_error",
    "alg_run",
    "alg_token",
    "alg_job",
    "final_result",
    "ml_nok_prob",
    "diameter",
];

/// The application's table; the second line is of nobody but this test, which looks at everything.
const APPLICATION: &str = "CREATE TABLE weld_confirm (nid INT AUTO_INCREMENT PRIMARY KEY, workshop_position VARCHAR(32), \
     defect_type_alg VARCHAR(64) NOT NULL, rfid VARCHAR(64) NOT NULL, kpi TEXT NOT NULL, rec_cause TEXT, atlas_info VARCHAR(64), \
     part_all VARCHAR(64), spot_tag VARCHAR(64), serial_no VARCHAR(64), top_u DOUBLE, top_i DOUBLE, judged DATETIME(3), ml VARCHAR(8), \
     rule VARCHAR(8), hits MEDIUMTEXT, verdict VARCHAR(8), how VARCHAR(16), prob DOUBLE, nugget DOUBLE, dent DOUBLE, front DOUBLE, \
     stack DOUBLE, version VARCHAR(64), run BIGINT UNSIGNED, token BIGINT UNSIGNED, job VARCHAR(255)) DEFAULT CHARSET = utf8mb4";
/// Ours and theirs, of that table.
const MAP: [(&str, &str); 22] = [
    ("defect", "defect_type_alg"),
    ("body_no", "rfid"),
    ("part_no", "part_all"),
    ("spot_name", "spot_tag"),
    ("timer_name", "serial_no"),
    ("umax", "top_u"),
    ("imax", "top_i"),
    ("alg_complete_time", "judged"),
    ("ml_result", "ml"),
    ("rule_result", "rule"),
    ("rule_hits", "hits"),
    ("final_result", "verdict"),
    ("decided_by", "how"),
    ("ml_nok_prob", "prob"),
    ("diameter", "nugget"),
    ("indentation", "dent"),
    ("front_thickness", "front"),
    ("stack_thickness", "stack"),
    ("model_version", "version"),
    ("alg_run", "run"),
    ("alg_token", "token"),
    ("alg_job", "job"),
];
const OWN_ROWS: &str = "SELECT nid, workshop_position, defect_type_alg, rfid, kpi, rec_cause, atlas_info, verdict FROM weld_confirm \
     WHERE nid <= 2 ORDER BY nid";
const CONFIRMED: &str = "INSERT INTO weld_confirm (workshop_position, defect_type_alg, rfid, kpi) \
     VALUES ('UB 12', '小焊核', 'BODY000001', 'a'), (NULL, '表面缺陷', 'BODY000002', '')";

/// Of rows whose `umax` is no voltage.
const REASONS: &str = "[('','invalid','missing: umax is empty'),\
     ('0','invalid','umax_out_of_range: umax is 0 V, allowed are 0.2 to 10'),\
     ('None','invalid','missing: umax is `None`, which is no number')]";

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_plants_table_is_judged_as_our_own() {
    let mut fleet = Fleet::with(&[
        ("scheduler.batch_size", "200"),
        ("curves.u_unit", "percent_of_umax"),
        ("curves.i_unit", "percent_of_imax"),
        (
            "fusion.defect_names",
            "{ ml = \"小焊核\", override = \"高置信度\", expulsion = \"表面缺陷\" }",
        ),
    ])
    .await;
    fleet.mysql.execute(APPLICATION).await;
    fleet.mysql.execute(CONFIRMED).await;
    let confirmed = fleet.mysql.rows(OWN_ROWS).await;
    fleet.migrate();
    let day = fleet.day_before(0).await;
    let expected = judged_in_our_own(&fleet, &day).await;

    for (ours, theirs) in COLUMNS {
        fleet.set(&format!("columns.{ours}"), theirs);
    }
    for (key, value) in [
        ("tables.source_table", "weld_detail"),
        ("tables.filter", FILTER),
        ("curves.imax_unit", "A"),
        ("curves.imax_scale", "10"),
        ("columns.carried", "{ body_no = \"rfid\" }"),
        ("tables.result_table", "weld_confirm"),
        ("mysql.constants", "{ kpi = \"自动\" }"),
    ] {
        fleet.set(key, value);
    }
    let toml: Vec<String> = MAP
        .iter()
        .map(|(ours, theirs)| format!("{ours} = \"{theirs}\""))
        .collect();
    fleet.set("mysql.columns", &format!("{{ {} }}", toml.join(", ")));
    for form in ["integers", "texts", "whole-text"] {
        eprintln!("curves as {form}");
        let save_dir = fleet.folder().join(form).display().to_string();
        fleet.set("worker.save_dir", &save_dir);
        // The queue is the table's of which it holds jobs.
        let _: String = fleet.queue.command(&["FLUSHALL"]).await;
        disturbed_day(&fleet, form, &day).await;
        assert_as_expected(&fleet, &expected).await;
        assert_whole(&fleet, &save_dir).await;
        // The last one: its run would judge the next table, too.
        if form == "whole-text" {
            let run = judged_again(&fleet, &day).await;
            let mut expected = expected.clone();
            for row in expected.values_mut() {
                row.insert("alg_run".to_owned(), run.clone().into());
            }
            assert_as_expected(&fleet, &expected).await;
            assert_whole(&fleet, &save_dir).await;
        }
        fleet
            .clickhouse
            .execute("DROP TABLE weld_detail SYNC")
            .await;
        assert_eq!(
            fleet.mysql.rows(OWN_ROWS).await,
            confirmed,
            "the application's rows"
        );
        fleet
            .mysql
            .execute("DELETE FROM weld_confirm WHERE nid > 2")
            .await;
    }
}

/// The application's table under our names, for whoever compares it with the truth.
async fn seen_through_the_map(fleet: &Fleet) {
    let columns: Vec<String> = MAP
        .iter()
        .map(|(ours, theirs)| format!("{theirs} AS {ours}"))
        .collect();
    let view = format!(
        "CREATE OR REPLACE VIEW nok_records AS SELECT data_date, ck_ticks, ck_local_time, record_id, kpi, {} FROM weld_confirm \
         WHERE ck_ticks IS NOT NULL",
        columns.join(", ")
    );
    fleet.mysql.execute(&view).await;
}

/// Verdicts of the same welds in `spot_records`, by number; nothing happens there.
async fn judged_in_our_own(fleet: &Fleet, day: &str) -> BTreeMap<String, Row> {
    fleet.simulate(day, ROWS, &["--counts", "--nok-rate", "0.05"]);
    let (_scheduler, _worker) = (fleet.scheduler(), fleet.worker());
    fleet.done(PATIENCE).await;
    let verdicts = by_id(fleet, "concat('W', toString(record_id))", "spot_records").await;
    let nok = verdicts
        .values()
        .filter(|row| text(row, "final_result") == "NOK")
        .count();
    assert!(nok > 40, "too few to compare: {nok}");
    fleet.mysql.execute("DROP TABLE nok_records").await;
    verdicts
}

async fn by_id(fleet: &Fleet, id: &str, from: &str) -> BTreeMap<String, Row> {
    let rows = fleet
        .clickhouse
        .rows(&format!(
            "SELECT {id} AS weld, toString(ck_local_time) AS time, {} FROM {from}",
            verdict_columns()
        ))
        .await;
    rows.into_iter()
        .map(|row| (text(&row, "weld"), row))
        .collect()
}

/// A worker, after another was killed with ranges in its hands.
async fn heir_of_a_killed_worker(fleet: &Fleet) -> Process {
    let mut victim = fleet.worker();
    victim.ready().await;
    let id = worker_id(&victim).await;
    eventually("the victim holds ranges", PATIENCE, async || {
        for job in fleet.queue.ids("leased").await {
            if fleet.queue.job(&job).await.get("worker") == Some(&id) {
                return Some(());
            }
        }
        None
    })
    .await;
    victim.kill();
    fleet.worker()
}

/// A backfill judges every row anew, along the table's own sorting key; which run it is.
async fn judged_again(fleet: &Fleet, day: &str) -> String {
    let force = ["backfill", "--from", day, "--to", day, "--force"];
    fleet.succeed("scheduler", &force);
    let _scheduler = fleet.scheduler();
    let _heir = heir_of_a_killed_worker(fleet).await;
    eventually("every row is of the run", PATIENCE, async || {
        let of_live = format!("weld_detail FINAL WHERE {FILTER} AND alg_run = 0");
        (fleet.clickhouse.count(&of_live).await == 0).then_some(())
    })
    .await;
    fleet.idle(PATIENCE).await;
    let jobs = fleet.queue.ids("done").await;
    let mut led = 0;
    for job in jobs {
        led += u32::from(fleet.queue.job(&job).await.contains_key("from_leading"));
    }
    assert!(led > 5, "{led} jobs were cut along the sorting key");
    fleet
        .clickhouse
        .value("SELECT toString(max(run)) FROM weld_runs")
        .await
}

/// The plant fills its table while two workers judge it, one of which is killed with ranges in its hands.
async fn disturbed_day(fleet: &Fleet, form: &str, day: &str) {
    let rows = ROWS.to_string();
    let later = FailPoint::new(fleet, "scheduler::later_delivery");
    let mut simulate = fleet.command(
        "scheduler",
        &[
            "simulate",
            "--day",
            day,
            "--rows",
            &rows,
            "--seed",
            "7",
            "--nok-rate",
            "0.05",
            "--like",
            "plant",
            "--curves",
            form,
            "--resent",
            "0.05",
            "--late",
            "0.05",
            "--later-after",
            "0s",
        ],
    );
    simulate.env("FAILPOINTS", later.armed());
    let mut plant = Process::start(simulate, fleet.folder());
    // Tip dresses are among the first rows; the table is there as soon as they are.
    eventually("the first rows", PATIENCE, async || {
        let there = fleet
            .clickhouse
            .count("system.tables WHERE database = 'weld' AND name = 'weld_detail'")
            .await;
        (there == 1 && fleet.clickhouse.count("weld_detail").await > 0).then_some(())
    })
    .await;
    fleet.migrate();
    seen_through_the_map(fleet).await;
    let _scheduler = fleet.scheduler();
    let _heir = heir_of_a_killed_worker(fleet).await;
    let judged = "weld_detail WHERE alg_complete_time IS NOT NULL";
    eventually("half of them are judged", PATIENCE, async || {
        (fleet.clickhouse.count(judged).await >= FIRST).then_some(())
    })
    .await;
    later.open();

    assert!(plant.ended(PATIENCE).await.success(), "{}", plant.log());
    fleet
        .judged_in(
            &format!("(SELECT alg_complete_time FROM weld_detail FINAL WHERE {FILTER})"),
            PATIENCE,
        )
        .await;
    eventually("the mirror has come as far", PATIENCE, async || {
        let truth = Truth::read(&fleet.clickhouse, &fleets_rows()).await;
        truth.is_mirrored(&fleet.mysql).await.then_some(())
    })
    .await;
    fleet.idle(PATIENCE).await;
}

/// The fleet's rows with our names.
fn fleets_rows() -> String {
    format!(
        "(SELECT * EXCEPT (umax), id AS record_id, part_all AS part_no, ifNull(spot_tag, '') AS spot_name, serial_no AS timer_name, \
         if(umax IN ('', 'None'), 'NaN', umax) AS umax FROM weld_detail FINAL WHERE {FILTER})"
    )
}

/// Each weld has the verdict that it has in our own table; where the plant has no voltage, a reason.
async fn assert_as_expected(fleet: &Fleet, expected: &BTreeMap<String, Row>) {
    let found = by_id(
        fleet,
        "id",
        &format!("weld_detail FINAL WHERE {FILTER} AND {HAS_UMAX}"),
    )
    .await;
    assert!(found.len() > 1300, "{}", found.len());
    for (id, row) in &found {
        assert_eq!(Some(row), expected.get(id), "{id}");
    }
    let reasons = fleet
        .clickhouse
        .value(&format!(
            "SELECT arraySort(groupUniqArray((umax, alg_status, alg_error))) FROM weld_detail FINAL WHERE {FILTER} AND NOT {HAS_UMAX}"
        ))
        .await;
    assert_eq!(reasons, REASONS);
    let superseded = fleet
        .clickhouse
        .count("weld_detail WHERE ver = 2 AND alg_complete_time IS NOT NULL")
        .await;
    assert!(
        superseded > 40,
        "{superseded} versions were sent again and judged"
    );
}

/// Every row of the fleet's says one thing, in every place; a tip dress says nothing.
async fn assert_whole(fleet: &Fleet, save_dir: &str) {
    let truth = Truth::read(&fleet.clickhouse, &fleets_rows()).await;
    assert_eq!(truth.rows, truth.welds.len() as u64);
    let counts = truth.counts();
    assert!(
        counts.nok > 40 && counts.invalid > 5 && counts.error == 0,
        "{counts:?}"
    );
    truth.assert_mirrored(&fleet.mysql).await;
    let sql = "SELECT record_id, body_no, kpi FROM nok_records ORDER BY record_id";
    let bodies = fleet.mysql.rows(sql).await;
    let sql = format!(
        "SELECT id, rfid FROM weld_detail FINAL WHERE {FILTER} AND final_result = 'NOK' ORDER BY id"
    );
    let wanted = fleet.clickhouse.rows(&sql).await;
    let wanted: Vec<Vec<String>> = wanted
        .iter()
        .map(|row| vec![text(row, "id"), text(row, "rfid"), "自动".to_owned()])
        .collect();
    assert_eq!(bodies, wanted);
    let mut audited: BTreeMap<(String, String), Vec<audit::Line>> = BTreeMap::new();
    for line in audit::lines(Path::new(save_dir)) {
        let key = (line["record_id"].clone(), line["alg_token"].clone());
        audited.entry(key).or_default().push(line);
    }
    // A version that was replaced later has its line too.
    for (key, row) in &truth.welds {
        let lines = audited.get(&(key.2.clone(), text(row, "alg_token")));
        let Some([line]) = lines.map(Vec::as_slice) else {
            panic!("{key:?} has not one line in the audit files: {lines:?}");
        };
        for column in [
            "alg_status",
            "alg_error",
            "final_result",
            "rule_hits",
            "alg_job",
        ] {
            assert_eq!(line[column], text(row, column), "{key:?}: {column}");
        }
    }

    let dresses = fleet
        .clickhouse
        .count(&format!("weld_detail WHERE {TIP_DRESSES}"))
        .await;
    let written = WRITTEN
        .map(|column| format!("{column} IS NOT NULL"))
        .join(" OR ");
    let touched = fleet
        .clickhouse
        .count(&format!("weld_detail WHERE {TIP_DRESSES} AND ({written})"))
        .await;
    assert!(
        dresses > 0 && touched == 0,
        "{touched} of {dresses} tip dresses were touched"
    );
    let ids: BTreeSet<&String> = audited.keys().map(|(id, _)| id).collect();
    assert!(
        audited.len() > ids.len() + 10,
        "the first versions were not judged before the second came"
    );
    for row in fleet
        .clickhouse
        .rows(&format!("SELECT id FROM weld_detail WHERE {TIP_DRESSES}"))
        .await
    {
        assert!(!ids.contains(&text(&row, "id")), "{row:?} was judged");
    }
}
