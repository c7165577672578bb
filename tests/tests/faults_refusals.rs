//! What the server, the account or the worker's folder refuses is an outage and not the range's fault: it spends no
//! attempt, says what it is, and work goes on by itself when it is fixed. What is the range's own costs no other row.

use std::{cell::Cell, fs, path::PathBuf, time::Duration};

use serde_json::Value;
use weldfleet_tests::{
    Fleet, Process,
    clickhouse::ClickHouse,
    eventually,
    faults::{PATIENCE, assert_no_attempt_spent, assert_whole},
    fleet::all_of,
};

const ROWS: u32 = 200;

/// A fleet that is paused, broken, let go on, and fixed, again and again.
struct Plant {
    fleet: Fleet,
    worker: Process,
    _scheduler: Process,
    rows: u64,
}

impl Plant {
    async fn start() -> Self {
        let mut fleet = Fleet::start().await;
        fleet.set("clickhouse.user", "weld");
        fleet.set("clickhouse.password", "weld");
        fleet.migrate();
        let sick = fleet.folder().join("sick").display().to_string();
        let scheduler = fleet.scheduler();
        let worker = fleet.worker_with(&[("WELDFLEET_SICK_MODEL", &sick)]);
        worker.ready().await;
        Self {
            fleet,
            worker,
            _scheduler: scheduler,
            rows: 0,
        }
    }

    /// Rows are waiting, nobody claims them.
    async fn some_rows_wait(&mut self) {
        self.fleet.succeed(
            "scheduler",
            &["pause", "--reason", "the test breaks something"],
        );
        self.fleet.simulate("today", ROWS, &["--nok-rate", "0.05"]);
        self.rows += u64::from(ROWS);
        eventually("their ranges are pending", PATIENCE, async || {
            (self.fleet.queue.count("pending").await > 0).then_some(())
        })
        .await;
    }

    /// `/readyz` gives this reason for that part, nothing is leased, and no job has spent an attempt.
    async fn says(&mut self, component: &str, words: &str) {
        self.fleet.succeed("scheduler", &["resume"]);
        let reason = eventually(
            &format!("/readyz of the worker names {component} with `{words}`"),
            PATIENCE,
            async || {
                let (status, body) = self.worker.get("/readyz").await;
                let body: Value = serde_json::from_str(&body).ok()?;
                let reasons = body["reasons"].as_array()?;
                let reason = reasons
                    .iter()
                    .find(|reason| reason["component"] == component)?;
                let reason = reason["reason"].as_str()?.to_owned();
                (status == 503 && reason.contains(words)).then_some(reason)
            },
        )
        .await;
        eventually("what was held is given back", PATIENCE, async || {
            (self.fleet.queue.count("leased").await == 0).then_some(())
        })
        .await;
        for job in self.fleet.queue.jobs("pending").await {
            assert_eq!(job["attempts"], "0", "{reason}: {job:?}");
        }
        for state in ["delayed", "splitting", "dead"] {
            assert_eq!(self.fleet.queue.count(state).await, 0, "{state}: {reason}");
        }
        assert!(self.worker.running(), "the worker has ended");
    }

    /// It goes on by itself.
    async fn goes_on(&mut self) {
        self.fleet.done(PATIENCE).await;
        self.worker.ready().await;
        assert_eq!(self.fleet.queue.count("dead").await, 0);
    }

    async fn sql(&self, sql: &str) {
        self.fleet.clickhouse.execute(sql).await;
    }

    /// The server's accounts, changed.
    fn accounts(&self, from: &str, to: &str) {
        self.fleet.change_accounts(|users| users.replace(from, to));
    }

    fn refuses_to_start(&self, key: &str, value: &str, words: &str) {
        let mut command = self.fleet.command("worker", &["run"]);
        let variable = format!("WELDFLEET__{}", key.replace('.', "__").to_uppercase());
        let output = command.env(variable, value).output().expect("worker");
        let said = all_of(&output);
        assert_eq!(output.status.code(), Some(1), "{key} = {value}: {said}");
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_ranges_fault_spends_no_attempt_and_goes_on_when_repaired() {
    let mut plant = Plant::start().await;

    // A column is renamed, and back.
    plant.some_rows_wait().await;
    plant
        .sql("ALTER TABLE spot_records RENAME COLUMN u_curve TO u_old")
        .await;
    plant.says("clickhouse", "u_curve").await;
    plant
        .sql("ALTER TABLE spot_records RENAME COLUMN u_old TO u_curve")
        .await;
    plant.goes_on().await;

    // A column has another type from now on.
    plant.some_rows_wait().await;
    plant
        .sql("ALTER TABLE spot_records MODIFY COLUMN umax Float64")
        .await;
    plant.fleet.succeed("scheduler", &["resume"]);
    plant.goes_on().await;
    plant
        .worker
        .logged("the source table has changed", PATIENCE)
        .await;

    // The fleet's own table is gone: reading works, and so does `SELECT 1`.
    plant.some_rows_wait().await;
    plant.sql("RENAME TABLE weld_results TO away").await;
    plant.says("clickhouse", "weld_results").await;
    plant.sql("RENAME TABLE away TO weld_results").await;
    plant.goes_on().await;

    // The account lost a grant, then its password.
    for (right, wrong, words) in [
        (
            "<password>weld</password>",
            "<grants><query>GRANT SELECT, SHOW ON *.*</query></grants><password>weld</password>",
            "give the account its grants back",
        ),
        (
            "<password>weld</password>",
            "<password>rotated</password>",
            "compare the user and the password",
        ),
    ] {
        plant.some_rows_wait().await;
        plant.accounts(right, wrong);
        plant.says("clickhouse", words).await;
        plant.accounts(wrong, right);
        plant.goes_on().await;
    }

    // The device fails, whatever it is given.
    let sick = plant.fleet.folder().join("sick");
    plant.some_rows_wait().await;
    fs::write(&sick, "").expect("write");
    plant.says("model", "the model is sick").await;
    fs::remove_file(&sick).expect("remove");
    plant.goes_on().await;

    // The folder of the audit files is none any more; root may write anywhere, but not into a file.
    let save_dir: PathBuf = plant.fleet.save_dir();
    let aside = save_dir.with_extension("aside");
    plant.some_rows_wait().await;
    fs::rename(&save_dir, &aside).expect("rename");
    fs::write(&save_dir, "in the way").expect("write");
    plant.says("save_dir", "cannot write audit files").await;
    plant.refuses_to_start(
        "worker.save_dir",
        &save_dir.display().to_string(),
        "worker.save_dir",
    );
    plant.refuses_to_start("tables.source_table", "nowhere", "no such table");
    plant.refuses_to_start("clickhouse.password", "wrong", "clickhouse.password");
    fs::remove_file(&save_dir).expect("remove");
    fs::rename(&aside, &save_dir).expect("rename");
    plant.goes_on().await;

    assert_no_attempt_spent(&plant.fleet).await;
    assert_whole(&plant.fleet, plant.rows).await;
}

/// A table whose curves are text that the server reads; one text is broken, one weld has more samples than a range may
/// hold.
async fn texts(clickhouse: &ClickHouse) {
    clickhouse
        .execute(
            "CREATE TABLE texts (data_date UInt32, ck_local_time DateTime64(3), record_id UInt64, part_no String, spot_name String, \
             timer_name String, umax Float32, imax Float32, u_text String, u_curve Array(Float32) ALIAS CAST(u_text AS Array(Float32)), \
             i_curve Array(Float32)) ENGINE = MergeTree PARTITION BY data_date ORDER BY (ck_local_time, record_id)",
        )
        .await;
    clickhouse
        .execute(
            "INSERT INTO texts SELECT data_date, ck_local_time, record_id, part_no, spot_name, timer_name, umax, imax, \
             multiIf(record_id = 2718, '[1.0, x]', record_id = 31, toString(arrayWithConstant(5000000, 1)), toString(u_curve)), i_curve \
             FROM spot_records",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_costs_that_row() {
    let mut fleet = Fleet::with(&[
        ("scheduler.batch_size", "4096"),
        ("worker.max_range_bytes", "16000000"),
    ])
    .await;
    fleet.migrate();
    fleet.simulate("today", 4000, &["--points", "450"]);
    texts(&fleet.clickhouse).await;
    fleet.set("tables.source_table", "texts");
    fleet.migrate();

    let (_scheduler, worker) = (fleet.scheduler(), fleet.worker());
    fleet.judged_in("texts", PATIENCE).await;
    fleet.idle(PATIENCE).await;
    assert_eq!(fleet.queue.count("dead").await, 0);
    let marked = fleet
        .clickhouse
        .rows("SELECT record_id, alg_error, alg_token > 0 AND alg_job != '' AS traced FROM texts WHERE alg_status = 'invalid' AND alg_error LIKE 'unreadable%' ORDER BY record_id")
        .await;
    let said: Vec<(&str, &str)> = marked
        .iter()
        .map(|row| {
            let id = row["record_id"].as_str().unwrap_or_default();
            (id, row["alg_error"].as_str().unwrap_or_default())
        })
        .collect();
    assert!(
        matches!(said[..], [("31", long), ("2718", broken)]
            if long.starts_with("unreadable: curves of more than 16000000 bytes")
                && broken.starts_with("unreadable: Cannot read floating point value here: x]")
                && broken.ends_with("(CANNOT_PARSE_NUMBER)")),
        "{marked:?}"
    );
    let judged = fleet
        .clickhouse
        .count("texts WHERE alg_status = 'ok'")
        .await;
    assert_eq!(judged, 3998);

    // Two rows among 4,000: some twelve halvings each, an attempt for each half.
    let mut attempts = 0;
    for job in fleet.queue.jobs("done").await {
        attempts += job["attempts"].parse::<u32>().expect("a number");
    }
    assert!((13..=52).contains(&attempts), "{attempts} attempts");
    assert_eq!(worker.get("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_days_folder_that_takes_no_file_costs_that_day() {
    let fleet = Fleet::with(&[
        ("scheduler.lookback_days", "2"),
        ("lease.max_attempts", "2"),
    ])
    .await;
    fleet.migrate();
    let yesterday = fleet
        .clickhouse
        .value("SELECT toYYYYMMDD(toDate(now('Asia/Shanghai')) - 1)")
        .await;
    fleet.simulate(&yesterday, ROWS, &[]);
    let folder = fleet.save_dir().join(&yesterday);
    fs::create_dir_all(fleet.save_dir()).expect("create");
    fs::write(&folder, "in the way").expect("write");
    let (_scheduler, worker) = (fleet.scheduler(), fleet.worker());
    let job = eventually("the day's range is dead", PATIENCE, async || {
        fleet.queue.ids("dead").await.pop()
    })
    .await;
    let dead = format!("{:?}", fleet.queue.job(&job).await);
    assert!(dead.contains("a folder for audit files"), "{dead}");
    assert_eq!(worker.get("/readyz").await.0, 200);

    // Another day goes on.
    fleet.simulate("today", ROWS, &[]);
    eventually("today is judged", PATIENCE, async || {
        let judged = fleet
            .clickhouse
            .count("spot_records WHERE alg_status = 'ok'")
            .await;
        (judged == u64::from(ROWS)).then_some(())
    })
    .await;

    fs::remove_file(&folder).expect("remove");
    fleet.succeed("scheduler", &["jobs", "retry", &job]);
    fleet.done(PATIENCE).await;
    assert_whole(&fleet, 2 * u64::from(ROWS)).await;
}

/// A table whose rows of one day are refused as a server refuses, whatever works for others; their curves are computed.
async fn refusing(fleet: &Fleet, day: &str) {
    let profile = "<default><allow_custom_error_code_in_throwif>1</allow_custom_error_code_in_throwif></default>";
    fleet.change_accounts(|users| {
        users.replacen("<profiles><default/>", &format!("<profiles>{profile}"), 1)
    });
    for sql in [
        format!(
            "CREATE TABLE refusing (data_date UInt32, ck_local_time DateTime64(3), record_id UInt64, part_no String, spot_name String, \
             timer_name String, umax Float32, imax Float32, u_given Array(Float32), u_curve Array(Float32) ALIAS \
             arrayMap(u -> u + throwIf(data_date = {day}, 'refused', toInt32(48)), u_given), i_curve Array(Float32)) \
             ENGINE = MergeTree PARTITION BY data_date ORDER BY (ck_local_time, record_id)"
        ),
        format!(
            "INSERT INTO refusing SELECT data_date, ck_local_time, record_id, part_no, spot_name, timer_name, umax, imax, u_curve, \
             i_curve FROM spot_records WHERE data_date = {day}"
        ),
    ] {
        fleet.clickhouse.execute(&sql).await;
    }
}

/// Each time it is given back all wait for a moment; after some times it is asked whether others' rows can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_refused_again_and_again_holds_the_fleet_not_for_ever() {
    let mut fleet = Fleet::with(&[
        ("scheduler.lookback_days", "2"),
        ("lease.max_attempts", "2"),
    ])
    .await;
    fleet.migrate();
    let (today, yesterday) = (fleet.day_before(0).await, fleet.day_before(1).await);
    fleet.simulate(&yesterday, 1, &[]);
    fleet.simulate(&today, 10, &[]);
    refusing(&fleet, &yesterday).await;
    fleet.set("tables.source_table", "refusing");
    fleet.migrate();
    let (_scheduler, worker) = (fleet.scheduler(), fleet.worker());

    // Others come through meanwhile: what works for them is not asked ever more rarely.
    let given = "data_date, ck_local_time, record_id, part_no, spot_name, timer_name, umax, imax, u_given, i_curve";
    let id = Cell::new(0);
    let job = eventually("the range is dead", PATIENCE, async || {
        let after = id.replace(id.get() + 10);
        let sql = format!(
            "INSERT INTO refusing ({given}) SELECT data_date, now64(3), {after} + record_id, part_no, spot_name, timer_name, umax, imax, u_curve, \
             i_curve FROM spot_records WHERE data_date = {today}"
        );
        fleet.clickhouse.execute(&sql).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        fleet.queue.ids("dead").await.pop()
    })
    .await;
    let dead = fleet.queue.job(&job).await;
    assert_eq!(
        (&*dead["day"], &*dead["attempts"]),
        (&*yesterday, "2"),
        "{dead:?}"
    );
    assert!(format!("{dead:?}").contains("refused"), "{dead:?}");
    let others = format!("(SELECT * FROM refusing WHERE data_date = {today})");
    fleet.judged_in(&others, PATIENCE).await;
    worker.ready().await;
}
