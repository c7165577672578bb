//! The commands as people type them: what they print, what they end with.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::{
    fs::{Permissions, set_permissions},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    process::Stdio,
    time::Duration,
};

use common::{Hands, SOON, day_before, lease, text};
use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use weldfleet_queue::{Settlement, State};
use weldfleet_tests::{Fleet, Service, eventually, process::without_services};
use weldfleet_weld::Status;

const TTL: Duration = Duration::from_secs(2);
/// What the answers there look like is what they are.
const COOKBOOK: &str = include_str!("../../docs/REDIS.md");

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_run_is_recorded_without_a_scheduler_and_finished_by_the_next_one() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (first, middle, last) = (day_before(4), day_before(3), day_before(2));
    for day in [&first, &middle, &last] {
        fleet.simulate(day, 300, &[]);
    }
    let days = ["--from", first.as_str(), "--to", last.as_str()];
    let dry = fleet.succeed(
        "scheduler",
        &[&["backfill", "--dry-run", "--json"][..], &days].concat(),
    );
    assert_eq!(json(&dry)["rows"], 900);
    assert_eq!(fleet.clickhouse.count("weld_runs").await, 0);

    let asked = fleet.succeed("scheduler", &[&["backfill", "--json"][..], &days].concat());
    let run = json(&asked)["run"].as_u64().unwrap();
    let hands = Hands::new(&fleet, TTL).await;
    assert_eq!(
        hands.outstanding().await,
        0,
        "only the scheduler makes work"
    );

    let _scheduler = fleet.scheduler();
    let jobs = hands.pending_rows(900).await;
    assert!(
        jobs.iter()
            .all(|job| job.priority == 1 && job.get("run") == Some(&run.to_string()))
    );
    hands.judge_all().await;
    eventually("the run is closed", SOON, async || {
        let open = fleet
            .clickhouse
            .count("weld_runs FINAL WHERE state = 'open'")
            .await;
        (open == 0).then_some(())
    })
    .await;

    let again = fleet.succeed("scheduler", &[&["backfill"][..], &days].concat());
    assert!(again.starts_with("nothing to do: "), "{again}");
    assert_eq!(
        fleet.clickhouse.count("weld_runs FINAL").await,
        1,
        "a run that has nothing to do is not recorded"
    );
}

#[tokio::test]
async fn waiting_ends_with_0_when_done_and_4_when_dead_letters_are_left() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = day_before(2);
    fleet.simulate(&day, 1500, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let _scheduler = fleet.scheduler();

    let wait = ["backfill", "--from", &day, "--to", &day, "--wait", "--json"];
    let mut command = tokio::process::Command::from(fleet.command("scheduler", &wait));
    let waiting = tokio::spawn(async move { command.output().await });
    for job in hands.pending_rows(1500).await.iter().take(1) {
        assert_eq!(job.weight, 1000);
    }
    let job = hands.claim(1).await.remove(0);
    hands
        .queue
        .settle(&lease(&job), Settlement::bury("the model file is gone"))
        .await
        .unwrap();
    hands.judge(&hands.claim(1).await.remove(0)).await;
    let (code, out, err) = text(&waiting.await.unwrap().unwrap());
    assert_eq!(code, 4, "{err}");
    assert_eq!(json(&out)["outcome"]["dead_jobs"], 1);

    // The dead letter: listed, shown, retried, judged; then everything is done.
    let listed = json(&fleet.succeed(
        "scheduler",
        &["jobs", "list", "--state", "dead", "--day", &day, "--json"],
    ));
    assert_eq!(listed["jobs"][0]["id"], job.id.as_str());
    assert_eq!(listed["jobs"][0]["error"], "the model file is gone");
    let shown = fleet.succeed("scheduler", &["jobs", "show", &job.id]);
    assert!(
        shown.contains("the model file is gone") && shown.contains("from_ticks"),
        "{shown}"
    );
    let other_day = fleet.succeed("scheduler", &["jobs", "retry", "--all", "--day", "today"]);
    assert_eq!(other_day, "0 of 0 jobs run again\n");
    let retried = fleet.succeed("scheduler", &["jobs", "retry", "--all", "--day", &day]);
    assert_eq!(retried, "1 of 1 jobs run again\n");
    assert!(COOKBOOK.contains(&retried), "{retried}");
    hands.judge_all().await;

    let mut command = tokio::process::Command::from(fleet.command(
        "scheduler",
        &[
            "backfill", "--from", &day, "--to", &day, "--wait", "--force",
        ],
    ));
    let waiting = tokio::spawn(async move { command.output().await });
    hands.pending_rows(1500).await;
    hands.judge_all_as(Status::Invalid).await;
    let (code, out, err) = text(&waiting.await.unwrap().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("is done after"), "{out}");
}

#[tokio::test]
async fn a_wait_that_a_service_manager_ends_leaves_the_run_to_the_fleet() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = day_before(2);
    fleet.simulate(&day, 10, &[]);
    let wait = ["backfill", "--from", &day, "--to", &day, "--wait"];
    let mut command = tokio::process::Command::from(fleet.command("scheduler", &wait));
    let mut waiting = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(waiting.stderr.take().unwrap()).lines();
    let mut until = async |words: &str| {
        while let Some(line) = told.next_line().await.unwrap() {
            if line.contains(words) {
                return;
            }
        }
        panic!("`{words}` was not said");
    };
    until("0 of 10 rows").await;
    let pid = Pid::from_raw(i32::try_from(waiting.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    until("goes on without this process").await;
    assert_eq!(waiting.wait().await.unwrap().code(), Some(4));
}

#[tokio::test]
async fn dropped_jobs_give_their_rows_up() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 1000, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let _scheduler = fleet.scheduler();
    hands.pending_rows(1000).await;
    let job = hands.claim(1).await.remove(0);
    let (code, _, err) = text(&fleet.run("scheduler", &["jobs", "drop", &job.id]));
    assert_eq!(code, 1);
    assert!(err.contains("is leased"), "{err}");
    hands
        .queue
        .settle(&lease(&job), Settlement::bury("tired"))
        .await
        .unwrap();

    let (code, _, err) = text(&fleet.run("scheduler", &["jobs", "drop", "--all"]));
    assert_eq!(code, 2, "{err}");
    let dropped = fleet.succeed("scheduler", &["jobs", "drop", "--all", "--yes"]);
    assert_eq!(
        dropped,
        "1 of 1 jobs dropped, 1,000 rows marked invalid (dropped)\n"
    );
    assert!(COOKBOOK.contains(&dropped), "{dropped}");
    let marked = "spot_records WHERE alg_status = 'invalid' AND alg_error = 'dropped' AND final_result IS NULL";
    assert_eq!(fleet.clickhouse.count(marked).await, 1000);
    assert_eq!(hands.outstanding().await, 0);
    let (code, _, err) = text(&fleet.run("scheduler", &["jobs", "show", &job.id]));
    assert_eq!((code, err.contains("there is no job")), (2, true), "{err}");
}

/// A run that judges again and dies costs no verdict of before.
#[tokio::test]
async fn a_dropped_job_of_a_forced_run_leaves_verdicts_as_they_were() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = day_before(5);
    fleet.simulate(&day, 700, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let _scheduler = fleet.scheduler();
    let backfill = ["backfill", "--from", &day, "--to", &day];
    fleet.succeed("scheduler", &backfill);
    hands.pending_rows(700).await;
    hands.judge_all().await;
    // Else the rows that come now are this run's.
    eventually("the run is closed", SOON, async || {
        let closed = "weld_runs FINAL WHERE state = 'closed'";
        (fleet.clickhouse.count(closed).await == 1).then_some(())
    })
    .await;
    fleet.simulate(&day, 300, &["--since", "06:00"]);
    let forced = [&backfill[..], &["--force", "--json"]].concat();
    let run = json(&fleet.succeed("scheduler", &forced))["run"].to_string();
    hands.pending_rows(1000).await;
    for job in hands.claim(10).await {
        hands
            .queue
            .settle(&lease(&job), Settlement::bury("tired"))
            .await
            .unwrap();
    }
    let dropped = fleet.succeed("scheduler", &["jobs", "drop", "--all", "--yes"]);
    let told = " jobs dropped, 300 rows marked invalid (dropped), 700 keep their verdict\n";
    assert!(dropped.ends_with(told), "{dropped}");
    let rows = async |of: &str| {
        let rows = format!("spot_records WHERE data_date = {day} AND {of}");
        fleet.clickhouse.count(&rows).await
    };
    assert_eq!(rows("alg_status = 'ok'").await, 700);
    assert_eq!(rows("alg_error = 'dropped'").await, 300);
    let wanted_no_more = format!("alg_run = {run}");
    assert_eq!(rows(&wanted_no_more).await, 1000);
}

/// Somebody deletes the record of a job with redis-cli: it is named, repaired when that is asked for, and its rows are
/// sliced again.
#[tokio::test]
async fn a_job_whose_record_was_deleted_is_repaired() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 1000, &[]);
    let hands = Hands::new(&fleet, TTL).await;
    let scheduler = fleet.scheduler();
    let job = hands.pending_rows(1000).await.remove(0);
    let sound = fleet.succeed("scheduler", &["jobs", "repair"]);
    assert_eq!(sound, "nothing is damaged\n");
    drop(scheduler);

    let key = hands.queue.keys().job(&job.id);
    let _: u64 = fleet.queue.command(&["DEL", &key]).await;
    let (code, out, _) = text(&fleet.run("scheduler", &["jobs", "repair"]));
    let named = format!("{}: it is listed as pending; group", job.id);
    assert!(code == 1 && out.contains(&named), "{code} {out}");
    assert!(
        out.contains("nothing was changed; --yes repairs them"),
        "{out}"
    );
    let (code, out, _) = text(&fleet.run("scheduler", &["jobs", "repair", "--json"]));
    let found = json(&out);
    assert_eq!(
        (code, &found["jobs"][0]["id"]),
        (1, &job.id.as_str().into())
    );
    assert_eq!(
        (&found["repaired"], &found["miscounted"]["0"]),
        (&false.into(), &1.into())
    );
    let repaired = fleet.succeed("scheduler", &["jobs", "repair", "--yes"]);
    assert!(
        repaired.ends_with("1 damaged jobs repaired\n"),
        "{repaired}"
    );
    assert_eq!(fleet.succeed("scheduler", &["jobs", "repair"]), sound);

    let _scheduler = fleet.scheduler();
    hands.pending_rows(1000).await;
}

#[tokio::test]
async fn status_shows_what_it_can_reach() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 100, &[]);
    let old = day_before(30);
    fleet.simulate(&old, 40, &[]);
    fleet.succeed("scheduler", &["pause", "--reason", "tip dress"]);

    let status = json(&fleet.succeed("scheduler", &["status", "--json"]));
    assert_eq!(status["days"][0]["left"], 100);
    assert_eq!(
        (
            &status["older_days"][0]["day"],
            &status["older_days"][0]["left"]
        ),
        (&old.clone().into(), &40.into())
    );
    assert_eq!(status["paused"]["reason"], "tip dress");
    assert_eq!(status["jobs"]["pending"], 0);
    let shown = fleet.succeed("scheduler", &["status"]);
    assert!(
        shown.contains("paused by")
            && shown.contains("tip dress")
            && shown.contains("no scheduler leads"),
        "{shown}"
    );
    fleet.succeed("scheduler", &["resume"]);
    assert_eq!(fleet.succeed("scheduler", &["resume"]), "was not paused\n");

    // What answers and refuses is no outage: to try again would not help.
    let (source, other) = ("tables.source_table", "no_such_table");
    let wrong = fleet
        .command("scheduler", &["status"])
        .env("WELDFLEET__TABLES__SOURCE_TABLE", other)
        .output();
    let (code, out, _) = text(&wrong.unwrap());
    assert!(code == 1 && out.contains(source), "{code} {out}");

    // Judging goes on without it.
    fleet.services.stop(Service::MySql);
    assert_eq!(text(&fleet.run("scheduler", &["status"])).0, 0);
    fleet.services.start_again(Service::MySql);
    fleet.services.stop(Service::Redis);
    let (code, out, _) = text(&fleet.run("scheduler", &["status"]));
    assert_eq!(code, 3);
    assert!(
        out.contains("100") && out.contains("not reached: redis"),
        "{out}"
    );
    fleet.services.start_again(Service::Redis);
    fleet.services.stop(Service::ClickHouse);
    let (code, out, _) = text(&fleet.run("scheduler", &["status", "--json"]));
    assert_eq!(code, 3);
    let status = json(&out);
    assert_eq!(
        (&status["days"], &status["jobs"]["dead"]),
        (&Value::Null, &0.into())
    );
    let (code, ..) = text(&fleet.run("scheduler", &["backfill", "--from", &old, "--to", &old]));
    assert_eq!(code, 3);
}

#[tokio::test]
async fn simulated_rows_fit_a_foreign_table_and_are_added_to() {
    let fleet = Fleet::with(&[
        ("tables.source_table", "焊点记录"),
        ("columns.record_id", "记录号"),
        ("columns.u_curve", "电压"),
        ("curves.u_unit", "percent_of_umax"),
        ("curves.imax_unit", "A"),
    ])
    .await;
    let create_database = reqwest::Client::new()
        .post(fleet.services.url(Service::ClickHouse))
        .body("CREATE DATABASE weld");
    assert!(create_database.send().await.unwrap().status().is_success());
    fleet
        .clickhouse
        .execute(
            "CREATE TABLE `焊点记录` (data_date Date, ck_local_time DateTime('Asia/Shanghai'), `记录号` String, umax Float64, \
             imax Float32, `电压` Array(Float64), i_curve Array(Float32)) ENGINE = MergeTree ORDER BY (data_date, ck_local_time)",
        )
        .await;
    fleet.migrate();
    let day = day_before(3);
    let simulate = ["simulate", "--day", &day, "--rows", "100", "--seed", "7"];
    fleet.succeed("scheduler", &simulate);
    let (code, said) = fleet.said("scheduler", &simulate);
    assert_eq!(code, Some(2), "{said}");
    let refused = "`焊点记录` has 100 rows and was not made by weldfleet";
    assert!(said.contains(refused) && said.contains("--yes"), "{said}");
    fleet.simulate(&day, 50, &["--invalid-share", "0.5"]);
    let row = fleet
        .clickhouse
        .rows(
            "SELECT count() AS n, uniqExact(`记录号`) AS ids, uniqExact(data_date) AS days, \
             countIf(toDate(ck_local_time) != data_date) AS elsewhere, \
             round(quantile(0.5)(arrayMax(`电压`))) AS percent, quantile(0.5)(imax) > 1000 AS ampere FROM `焊点记录`",
        )
        .await
        .remove(0);
    let shown = serde_json::json!(row);
    let wanted = serde_json::json!({
        "n": "150", "ids": "150", "days": "1", "elsewhere": "0", "percent": 100, "ampere": 1,
    });
    assert_eq!(shown, wanted);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_rows() {
    const ROWS: &str = "20000";
    let day = day_before(3);
    let mut fleet = Fleet::start().await;
    let mut inputs = Vec::new();
    for (database, seed) in [("weld", "11"), ("weld_again", "11"), ("weld_other", "12")] {
        fleet.set("clickhouse.database", database);
        fleet.migrate();
        let spoiled = ["--nok-rate", "0.05", "--invalid-share", "0.02"];
        let simulate = ["simulate", "--day", &day, "--rows", ROWS, "--seed", seed];
        fleet.succeed("scheduler", &[&simulate[..], &spoiled].concat());
        // As text: the hash of a row with a NULL in it would be NULL.
        let every_column = format!(
            "SELECT count(), uniqExact(record_id), groupBitXor(cityHash64(toString(tuple(*)))) FROM {database}.spot_records"
        );
        inputs.push(fleet.clickhouse.value(&every_column).await);
    }
    assert!(inputs[0].starts_with("20000\t20000\t"), "{}", inputs[0]);
    assert_eq!(inputs[0], inputs[1], "the same seed");
    assert_ne!(inputs[0], inputs[2], "another seed");
}

#[tokio::test]
async fn quality_and_drift_are_counted() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (then, now) = (day_before(2), day_before(1));
    fleet.simulate(&then, 2000, &["--nok-rate", "0.1"]);
    fleet.simulate(&now, 2000, &["--nok-rate", "0.1"]);
    // A judge that finds three of four, and never blames a good one.
    fleet
        .clickhouse
        .execute(
            "UPDATE spot_records SET alg_complete_time = now64(3), alg_status = 'ok', \
             final_result = if(label = 'NOK' AND record_id % 4 != 0, 'NOK', 'OK'), \
             ml_nok_prob = if(label = 'NOK' AND record_id % 4 != 0, 0.9, 0.1), diameter = measured_diameter + 0.5 WHERE 1",
        )
        .await;
    let report = json(&fleet.succeed(
        "scheduler",
        &["evaluate", "--from", &then, "--to", &now, "--json"],
    ));
    let found = &report["days"][0];
    assert_eq!(found["fused"]["precision"], 1.0);
    let recall = found["fused"]["recall"].as_f64().unwrap();
    assert!((0.6..0.9).contains(&recall), "{recall}");
    assert_eq!(found["model"]["true_positive"], 0, "ml_result is not set");
    let error = found["mean_absolute_error_mm"]["diameter"]
        .as_f64()
        .unwrap();
    assert!((error - 0.5).abs() < 1e-4, "{error}");
    assert!(found["auc_pr"].as_f64().unwrap() > recall);
    let evaluate = ["evaluate", "--from", &then, "--to", &now];
    let said = fleet.succeed("scheduler", &evaluate);
    assert!(!said.contains("not counted"), "{said}");

    // A model that fails on one in five, which figures over the rest do not tell; of the first day alone another one.
    let spoil = format!(
        "UPDATE spot_records SET model_version = if(data_date = {now}, 'global-1', 'global-0'), \
         alg_status = multiIf(record_id % 5 = 0, 'error', record_id % 5 = 1, 'invalid', alg_status), \
         alg_complete_time = if(record_id % 10 = 1, NULL, alg_complete_time), \
         final_result = if(record_id % 5 < 2, NULL, final_result) WHERE 1"
    );
    fleet.clickhouse.execute(&spoil).await;
    let waits = "UPDATE spot_records SET alg_status = NULL WHERE alg_complete_time IS NULL";
    fleet.clickhouse.execute(waits).await;
    let count = async |condition: String| {
        let rows = format!("spot_records WHERE data_date = {now} AND {condition}");
        fleet.clickhouse.count(&rows).await
    };
    let report = json(&fleet.succeed("scheduler", &[&evaluate[..], &["--json"]].concat()));
    let left_out = &report["left_out"][1];
    assert_eq!(left_out["day"], now);
    for (name, condition) in [
        ("rows", "record_id % 5 < 2"),
        ("labelled_nok", "record_id % 5 < 2 AND label = 'NOK'"),
        ("error", "record_id % 5 = 0"),
        ("invalid", "record_id % 10 = 6"),
        ("waiting", "record_id % 10 = 1"),
    ] {
        let rows = count(condition.to_owned()).await;
        assert!(rows > 0);
        assert_eq!(left_out[name], rows, "{name}: {left_out}");
    }
    let models = &report["models"];
    assert_eq!(models.as_array().map(Vec::len), Some(2), "{models}");
    assert!(
        report["classification"]["threshold"].is_null(),
        "of two models: {report}"
    );
    let said = fleet.succeed("scheduler", &evaluate);
    for part in [
        "figures mix 2 models: global-",
        "not counted: labelled welds without a verdict",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let one = ["evaluate", "--from", &now, "--to", &now, "--json"];
    let report = json(&fleet.succeed("scheduler", &one));
    let threshold = report["classification"]["threshold"].as_f64();
    assert!(threshold.is_some(), "of the one that is here: {report}");

    let column = |report: &Value, name: &str| -> Value {
        let columns = report["columns"].as_array().unwrap();
        columns
            .iter()
            .find(|column| column["column"] == name)
            .unwrap()
            .clone()
    };
    let drift = [
        "drift",
        "--reference",
        then.as_str(),
        "--day",
        now.as_str(),
        "--json",
    ];
    let before = json(&fleet.succeed("scheduler", &drift));
    let command = format!("scheduler backfill --from {then} --to {then} --force");
    assert_eq!(before["judge_anew"], command, "{before}");
    assert_eq!(before["models"]["day"][0]["model_version"], "global-1");
    let said = fleet.succeed("scheduler", &drift[..5]);
    let first = said.lines().next().unwrap_or_default();
    assert!(
        first.starts_with(&format!("{then} was judged by global-0 (")) && first.contains(&command),
        "{said}"
    );
    fleet
        .clickhouse
        .execute("UPDATE spot_records SET model_version = 'global-1' WHERE 1")
        .await;
    let same = json(&fleet.succeed("scheduler", &drift));
    assert!(same["judge_anew"].is_null(), "{same}");
    let before = column(&before, "umax");
    assert!(before["psi"].as_f64().unwrap() < 0.1, "{before}");
    fleet
        .clickhouse
        .execute(&format!(
            "UPDATE spot_records SET umax = umax * 1.5 WHERE data_date = {now}"
        ))
        .await;
    let after = column(&json(&fleet.succeed("scheduler", &drift)), "umax");
    assert!(
        after["psi"].as_f64().unwrap() > 0.25 && after["ks"].as_f64().unwrap() > 0.5,
        "{after}"
    );
    fleet
        .clickhouse
        .execute(&format!(
            "UPDATE spot_records SET umax = nan WHERE data_date = {now} AND record_id % 20 != 0"
        ))
        .await;
    let few = column(&json(&fleet.succeed("scheduler", &drift)), "umax");
    assert!(few["psi"].is_null() && few["ks"].is_number(), "{few}");
    let said = fleet.succeed("scheduler", &drift[..5]);
    assert!(said.contains("too few values: fewer than 200"), "{said}");
}

#[tokio::test]
async fn labels_and_maxima_are_read_as_plants_write_them() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let (then, now) = (day_before(2), day_before(1));
    fleet.simulate(&then, 500, &["--nok-rate", "0.2"]);
    fleet.simulate(&now, 500, &["--nok-rate", "0.2"]);
    let execute = async |sql: &str| fleet.clickhouse.execute(sql).await;
    execute(
        "UPDATE spot_records SET alg_complete_time = now64(3), alg_status = 'ok', final_result = label, ml_result = label, \
         ml_nok_prob = if(label = 'NOK', 0.9, 0.1), diameter = measured_diameter + if(record_id % 50 = 0, 1.5, 0.5), \
         measured_diameter = if(record_id % 10 = 1, nan, measured_diameter), \
         label = multiIf(record_id % 50 = 0, '返工', label = 'NOK', ' NG', '合格') WHERE 1",
    )
    .await;
    let labelled = format!("spot_records WHERE data_date = {now} AND record_id % 50 != 0");
    let labelled = fleet.clickhouse.count(&labelled).await;
    let nok = format!("spot_records WHERE data_date = {now} AND label = ' NG'");
    let nok = fleet.clickhouse.count(&nok).await;
    assert!(nok > 50, "{nok}");
    let evaluate = ["evaluate", "--from", &now, "--to", &now];
    let found = json(&fleet.succeed("scheduler", &[&evaluate[..], &["--json"]].concat()));
    let day = &found["days"][0];
    assert_eq!(day["rows"], labelled, "{found}");
    assert_eq!(day["labelled_nok"], nok, "{found}");
    assert_eq!(day["fused"]["true_positive"], nok, "{found}");
    assert_eq!(found["classification"]["n_eval"], labelled, "{found}");
    assert_eq!(found["classification"]["auc"], 1.0, "{found}");
    assert_eq!(found["unreadable"][0]["value"], "返工", "{found}");
    assert_eq!(found["unreadable"][0]["rows"], 500 - labelled, "{found}");
    // Of rows that no label can be read of, too.
    let error = |found: &Value| found["days"][0]["mean_absolute_error_mm"]["diameter"].as_f64();
    let whole = found["regression"]["diameter"]["mae"].as_f64().unwrap();
    assert!(
        whole > 0.505 && (error(&found).unwrap() - whole).abs() < 1e-4,
        "{found}"
    );
    let said = fleet.succeed("scheduler", &evaluate);
    assert!(
        said.contains("rows have label `返工`, which is neither OK nor NOK"),
        "{said}"
    );

    execute("UPDATE spot_records SET label = '' WHERE 1").await;
    let found = json(&fleet.succeed("scheduler", &[&evaluate[..], &["--json"]].concat()));
    assert_eq!(found["days"][0]["rows"], 0, "{found}");
    assert!((error(&found).unwrap() - whole).abs() < 1e-4, "{found}");
    let said = fleet.succeed("scheduler", &evaluate);
    for part in [
        "has both a verdict and a label",
        "mean absolute error, mm, labelled or not",
    ] {
        assert!(said.contains(part), "{said}");
    }

    // A label of the plant's own, and maxima as text.
    for sql in [
        "ALTER TABLE spot_records DROP COLUMN label",
        "ALTER TABLE spot_records ADD COLUMN label UInt8",
        "ALTER TABLE spot_records MODIFY COLUMN umax String SETTINGS mutations_sync = 2",
        &format!(
            "UPDATE spot_records SET umax = 'None' WHERE record_id % 10 = 2 AND data_date = {now}"
        ),
    ] {
        execute(sql).await;
    }
    let drift = ["drift", "--reference", &then, "--day", &now, "--json"];
    let found = json(&fleet.succeed("scheduler", &drift));
    let values = &found["columns"][0];
    assert_eq!(values["column"], "umax");
    assert_eq!(
        (&values["reference"]["values"], &values["day"]["values"]),
        (&Value::from(500), &Value::from(450)),
        "{found}"
    );
    let (_, _, refused) = text(&fleet.run("scheduler", &evaluate));
    assert!(
        refused.contains("has no column `label` to compare verdicts with (column `label` is UInt8: expected String)"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_not_the_fleets_is_left_out_everywhere() {
    let mut fleet = Fleet::start().await;
    fleet.migrate();
    let (then, now) = (day_before(2), day_before(1));
    fleet.simulate(&then, 1000, &["--nok-rate", "0.2"]);
    fleet.simulate(&now, 1000, &["--nok-rate", "0.2"]);
    // All is judged, and what is not the fleet's is wrong and far off.
    for sql in [
        "ALTER TABLE spot_records ADD COLUMN old_result String DEFAULT 'OK'",
        "UPDATE spot_records SET alg_complete_time = now64(3), alg_status = 'ok', alg_run = 0, alg_token = 7, alg_job = 'j', \
         decided_by = 'ml', ml_nok_prob = if(label = 'NOK', 0.9, 0.1), \
         final_result = if(record_id % 4 = 0, 'NOK', label) WHERE 1",
        &format!(
            "UPDATE spot_records SET umax = umax * 3 WHERE record_id % 4 = 0 AND data_date = {now}"
        ),
    ] {
        fleet.clickhouse.execute(sql).await;
    }
    fleet.set("columns.previous_result", "old_result");
    let count = async |condition: &str| {
        fleet
            .clickhouse
            .count(&format!("spot_records WHERE {condition}"))
            .await
    };
    let foreign = count(&format!("record_id % 4 = 0 AND data_date = {now}")).await;
    let ours = count(&format!("record_id % 4 != 0 AND data_date = {now}")).await;
    let nok = count(&format!(
        "record_id % 4 != 0 AND data_date = {now} AND label = 'NOK'"
    ))
    .await;
    assert!(foreign > 200 && nok > 50, "{foreign} {nok}");
    fleet.set("tables.filter", "record_id % 4 != 0");

    let evaluate = ["evaluate", "--from", &now, "--to", &now, "--json"];
    let found = json(&fleet.succeed("scheduler", &evaluate));
    let fused = &found["days"][0]["fused"];
    let of = |name: &str| fused[name].as_u64().unwrap();
    assert_eq!(
        (of("true_positive"), of("false_positive")),
        (nok, 0),
        "{found}"
    );
    assert_eq!(
        of("true_negative") + of("false_negative"),
        ours - nok,
        "{found}"
    );
    let against = [&evaluate[..], &["--against", "previous_result"]].concat();
    let found = json(&fleet.succeed("scheduler", &against));
    assert_eq!(found["total"]["compared"].as_u64(), Some(ours), "{found}");
    assert_eq!(
        found["total"]["nok_ours_alone"].as_u64(),
        Some(nok),
        "{found}"
    );
    let drift = ["drift", "--reference", &then, "--day", &now, "--json"];
    let found = json(&fleet.succeed("scheduler", &drift));
    let columns = found["columns"].as_array().unwrap();
    let umax = columns
        .iter()
        .find(|column| column["column"] == "umax")
        .unwrap();
    assert!(umax["psi"].as_f64().unwrap() < 0.1, "{umax}");

    let status = fleet.succeed("scheduler", &["status"]);
    let told = format!("{foreign} more rows of these days are not the fleet's (tables.filter)");
    assert!(status.contains(&told), "{status}");
    let scheduler = fleet.scheduler();
    eventually("the mirror has the fleet's NOK welds", SOON, async || {
        let there = fleet
            .mysql
            .count(&format!("nok_records WHERE data_date = {now}"))
            .await;
        (there == nok).then_some(())
    })
    .await;
    let strangers = fleet
        .mysql
        .count("nok_records WHERE record_id % 4 = 0")
        .await;
    assert_eq!(strangers, 0);
    drop(scheduler);

    fleet.set("tables.filter", "part_no = 'none'");
    let scheduler = fleet.scheduler();
    eventually("it is said at the start", SOON, async || {
        let said = scheduler
            .log()
            .contains("tables.filter = `part_no = 'none'` selects none of the table's 2000 rows");
        said.then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_service_before_is_compared_with() {
    let mut fleet = Fleet::start().await;
    fleet.migrate();
    let (then, now) = (day_before(2), day_before(1));
    fleet.simulate(&then, 1500, &["--nok-rate", "0.1"]);
    fleet.simulate(&now, 1500, &["--nok-rate", "0.1"]);
    let days = ["evaluate", "--from", then.as_str(), "--to", now.as_str()];
    let against = [&days[..], &["--against", "previous_result"]].concat();
    let refused = text(&fleet.run("scheduler", &against));
    assert_eq!(refused.0, 1);
    assert!(
        refused.2.contains("columns.previous_result"),
        "{}",
        refused.2
    );

    let old_result = "ADD COLUMN old_result String DEFAULT multiIf(record_id % 7 = 0, ' ng ', record_id % 7 = 1, '?', 'OK')";
    for sql in [
        &format!("ALTER TABLE spot_records {old_result}"),
        "UPDATE spot_records SET alg_complete_time = now64(3), alg_status = if(record_id % 5 = 0, 'error', 'ok'), \
         ml_result = if(label = 'NOK' AND record_id % 4 != 0, 'NOK', 'OK'), \
         final_result = if(record_id % 5 = 0, NULL, if(record_id % 3 = 0, 'NOK', 'OK')), \
         ml_nok_prob = if(label = 'NOK' AND record_id % 4 != 0, 0.9, 0.1), diameter = measured_diameter + 0.5 WHERE 1",
    ] {
        fleet.clickhouse.execute(sql).await;
    }
    fleet.set("columns.previous_result", "old_result");
    let found = json(&fleet.succeed("scheduler", &[&against[..], &["--json"]].concat()));
    let both = "WITH record_id % 3 = 0 AS ours, record_id % 7 = 0 AS previous, \
         record_id % 5 = 0 AS missing, record_id % 7 = 1 AS unreadable SELECT";
    let expected = fleet
        .clickhouse
        .rows(&format!(
            "{both} toFloat64(countIf(NOT missing)) AS compared, toFloat64(countIf(NOT missing AND NOT ours AND NOT previous)) AS both_ok, \
             toFloat64(countIf(NOT missing AND ours AND previous)) AS both_nok, \
             toFloat64(countIf(NOT missing AND ours AND NOT previous)) AS nok_ours_alone, \
             toFloat64(countIf(NOT missing AND NOT ours AND previous)) AS nok_previous_alone, \
             toFloat64(countIf(missing)) AS ours_missing FROM spot_records WHERE NOT unreadable"
        ))
        .await
        .remove(0);
    for (name, value) in &expected {
        assert_eq!(
            found["total"][name].as_f64(),
            value.as_f64(),
            "{name}: {found}"
        );
    }
    let of = |name: &str| expected[name].as_f64().unwrap();
    let agreement = (of("both_ok") + of("both_nok")) / of("compared");
    assert!((found["total"]["agreement"].as_f64().unwrap() - agreement).abs() < 1e-9);
    let sum = |list: &str| -> f64 {
        let lines = found[list].as_array().unwrap();
        lines
            .iter()
            .map(|line| line["compared"].as_f64().unwrap())
            .sum()
    };
    assert_eq!(
        (sum("days"), sum("parts")),
        (of("compared"), of("compared"))
    );
    assert_eq!(found["days"].as_array().unwrap().len(), 2);
    assert!(found["parts"].as_array().unwrap().len() > 1, "{found}");
    assert_eq!(found["unreadable"][0]["value"], "?");
    let examples = found["examples"].as_array().unwrap();
    let nok = examples.iter().filter(|weld| weld["ours"] == "NOK").count();
    assert_eq!((examples.len(), nok), (10, 5));
    let explain = examples[0]["explain"].as_str().unwrap();
    assert!(
        explain.starts_with("worker explain --record-id ") && explain.ends_with(&now),
        "{explain}"
    );
    let screen = fleet.succeed("scheduler", &against);
    assert!(
        screen.contains("NOK ours alone") && screen.contains(explain),
        "{screen}"
    );
    assert!(!screen.contains("tables.filter"), "{screen}");
    fleet.set("tables.filter", "record_id % 10 != 0");
    let outside = fleet
        .clickhouse
        .count("spot_records WHERE record_id % 10 = 0")
        .await;
    let found = json(&fleet.succeed("scheduler", &[&against[..], &["--json"]].concat()));
    assert_eq!(found["not_selected"], outside);
    let screen = fleet.succeed("scheduler", &against);
    let said =
        format!("{outside} rows of these days are outside tables.filter and are not compared");
    assert!(screen.contains(&said), "{screen}");
    fleet.set("tables.filter", "");

    let found = json(&fleet.succeed("scheduler", &[&days[..], &["--json"]].concat()));
    let facts = fleet
        .clickhouse
        .rows(
            "SELECT toFloat64(count()) AS n, toFloat64(countIf(label = 'NOK')) AS positive, \
             toFloat64(countIf(ml_result = 'NOK')) AS said, toFloat64(countIf(measured_diameter IS NOT NULL)) AS measured, \
             toFloat64(varPop(measured_diameter)) AS variance FROM spot_records \
             WHERE alg_status = 'ok' AND label IN ('OK', 'NOK')",
        )
        .await
        .remove(0);
    let of = |name: &str| facts[name].as_f64().unwrap();
    let close = |found: &Value, name: &str, wanted: f64| {
        let value = found[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {found}"));
        assert!(
            (value - wanted).abs() < 1e-4,
            "{name}: {value}, not {wanted}"
        );
    };
    let scores = &found["classification"];
    let recall = of("said") / of("positive");
    close(scores, "n_eval", of("n"));
    close(scores, "precision", 1.0);
    close(scores, "recall", recall);
    close(scores, "f1", 2.0 * recall / (1.0 + recall));
    close(
        scores,
        "accuracy",
        1.0 - (of("positive") - of("said")) / of("n"),
    );
    // A missed NOK ties with every OK.
    close(scores, "auc", recall + (1.0 - recall) / 2.0);
    close(scores, "pos_rate_true", of("positive") / of("n"));
    close(scores, "pos_rate_pred", of("said") / of("n"));
    assert!(scores["threshold"].is_null(), "no model is told: {scores}");
    let diameter = &found["regression"]["diameter"];
    close(diameter, "n_eval", of("measured"));
    close(diameter, "mae", 0.5);
    close(diameter, "mse", 0.25);
    close(diameter, "rmse", 0.5);
    close(diameter, "r2", 1.0 - 0.25 / of("variance"));
    assert_eq!(found["regression"]["indentation"]["n_eval"], 0);
    assert!(found["regression"]["indentation"]["mae"].is_null());
}

#[tokio::test]
async fn pausing_is_told_to_everybody() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let scheduler = fleet.scheduler();
    scheduler.ready().await;
    let standby = fleet.scheduler();
    standby.ready().await;
    fleet.succeed(
        "scheduler",
        &["pause", "--reason", "electrodes are changed"],
    );
    for (process, role) in [(&scheduler, "leader"), (&standby, "standby")] {
        eventually("GET / says so", SOON, async || {
            let page = json(&process.get("/").await.1);
            assert_eq!(page["role"], role);
            (page["paused"]["reason"] == "electrodes are changed" && page["counts"]["workers"] == 0)
                .then_some(())
        })
        .await;
    }
    let again = fleet.succeed("scheduler", &["pause"]);
    assert!(
        again.contains("already paused by") && again.contains("electrodes are changed"),
        "{again}"
    );
    // No terminal obeys what somebody else has written.
    fleet.succeed("scheduler", &["resume"]);
    let cleared = "electrodes are changed\u{1b}[2J";
    fleet.succeed("scheduler", &["pause", "--reason", cleared]);
    let again = fleet.succeed("scheduler", &["pause"]);
    assert!(
        again.contains("electrodes are changed [2J") && !again.contains('\u{1b}'),
        "{again:?}"
    );
    eventually("/readyz says so", SOON, async || {
        let (status, body) = scheduler.get("/readyz").await;
        (status == 503
            && body.contains("electrodes are changed")
            && body.contains("scheduler resume"))
        .then_some(())
    })
    .await;
    let hands = Hands::new(&fleet, TTL).await;
    fleet.simulate("today", 1000, &[]);
    hands.pending_rows(1000).await;
    assert!(hands.claim(1).await.is_empty());
    fleet.succeed("scheduler", &["resume"]);
    scheduler.ready().await;
    assert_eq!(hands.claim(1).await.len(), 1);
    assert_eq!(hands.queue.stats().await.unwrap().count(State::Leased), 1);
}

#[tokio::test]
async fn a_run_that_is_steered_while_redis_is_away_has_its_events() {
    let fleet = Fleet::start().await;
    fleet.migrate();
    let day = day_before(2);
    fleet.simulate(&day, 100, &[]);
    let asked = ["backfill", "--from", &day, "--to", &day, "--json"];
    let run = json(&fleet.succeed("scheduler", &asked))["run"].to_string();
    fleet.services.stop(Service::Redis);
    for (what, more) in [
        ("order", &["newest"][..]),
        ("hold", &[]),
        // Nothing is changed by it, so that there is nothing to keep.
        ("hold", &[]),
        ("cancel", &[]),
    ] {
        let mut args = vec!["backfill", what, &run];
        args.extend(more);
        args.extend(["--reason", "a test"]);
        let (code, said) = fleet.said("scheduler", &args);
        assert!(
            code != Some(0) && said.contains("on the queue still"),
            "{said}"
        );
    }
    let kept = "weld_events WHERE startsWith(what, 'backfill ') AND why = 'a test' \
                AND endsWith(detail, 'its jobs are on the queue still')";
    assert_eq!(fleet.clickhouse.count(kept).await, 3);
}

/// A container has no `USER`.
#[tokio::test]
async fn who_and_why_are_kept_of_every_command() {
    let mut fleet = Fleet::start().await;
    let users = fleet.folder().join("users.toml");
    fleet.set("console.users_file", users.to_str().unwrap());
    fleet.migrate();
    let yesterday = day_before(1);
    fleet.simulate(&yesterday, 100, &[]);
    let judged = "UPDATE spot_records SET alg_status = 'ok', alg_complete_time = now64(3) WHERE 1";
    fleet.clickhouse.execute(judged).await;
    let settle = ["settle", "--from", &yesterday, "--to", &yesterday];
    for (what, args) in [
        (
            "users add",
            &["users", "add", "li", "--role", "viewer", "--no-password"][..],
        ),
        ("users role", &["users", "role", "li", "operator"]),
        (
            "users password",
            &["users", "password", "li", "--no-password"],
        ),
        ("users remove", &["users", "remove", "li"]),
        ("jobs take-queue", &["jobs", "take-queue"]),
        ("settle", &settle),
    ] {
        let mut command = fleet.command("scheduler", args);
        command.args(["--reason", "a test"]).env_remove("USER");
        command.env("WELDFLEET_OPERATOR", "ana");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{what}: {output:?}");
        let kept = format!(
            "weld_events WHERE what = '{what}' AND startsWith(who, 'ana@') AND why = 'a test'"
        );
        assert_eq!(fleet.clickhouse.count(&kept).await, 1, "{kept}");
    }
}

#[tokio::test]
async fn users_that_are_added_at_once_are_all_there() {
    let mut fleet = Fleet::start().await;
    let file = fleet.folder().join("users.toml");
    fleet.set("console.users_file", file.to_str().unwrap());
    let names = ["ana", "ben", "li", "mei", "tom", "wang"];
    let adding = names.map(|name| {
        let args = ["users", "add", name, "--role", "viewer", "--no-password"];
        let mut command = fleet.command("scheduler", &args);
        command.stdout(Stdio::null()).spawn().unwrap()
    });
    for mut child in adding {
        assert!(child.wait().unwrap().success());
    }
    let listed = fleet.succeed("scheduler", &["users", "list"]);
    for name in names {
        assert!(listed.contains(name), "{name}: {listed}");
    }
}

/// It would be another's file, which a scheduler cannot read any more.
#[test]
fn who_may_not_give_the_file_of_users_back_leaves_it_as_it_is() {
    let nobody = 65534;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.toml");
    let add = |name: &str| {
        let mut command = without_services("scheduler");
        command.args(["users", "add", name, "--role", "viewer", "--no-password"]);
        command.env("WELDFLEET__CONSOLE__USERS_FILE", &file);
        command
    };
    assert!(add("li").output().unwrap().status.success());
    // Only root can make a file another's.
    if chown(&file, Some(0), Some(nobody)).is_err() {
        weldfleet_testkit::skip("root", "not root");
        return;
    }
    set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    std::fs::remove_file(folder.path().join("users.toml.lock")).unwrap();
    let before = std::fs::read(&file).unwrap();
    let said = add("ben").uid(nobody).gid(nobody).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("sudo -u '#0' -g '#65534'"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing that its owner could not open");
}
