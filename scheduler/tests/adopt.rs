//! `scheduler adopt` beside the servers of a plant.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output, time::Duration};

use weldfleet_settings::Settings;
use weldfleet_testkit::{Service, Services, repository};
use weldfleet_tests::{Process, clickhouse::ClickHouse, eventually, mysql::MySql};

const WELDS: &str = include_str!("data/plant/welds.sql");
const APPLICATION: &str = include_str!("data/plant/application.sql");
const OLD: &str = include_str!("data/plant/old.yaml");

/// Long enough for a busy machine.
const MINUTES: Duration = Duration::from_secs(180);

/// The plant: its table in ClickHouse, its application's in MySQL.
async fn plant() -> Services {
    let services = Services::start(&[Service::ClickHouse, Service::MySql]);
    let clickhouse = reqwest::Client::new();
    let statements = WELDS
        .split(";\n")
        .map(str::trim)
        .filter(|sql| !sql.is_empty());
    for sql in ["CREATE DATABASE weld"].into_iter().chain(statements) {
        let url = services.url(Service::ClickHouse);
        let answer = clickhouse
            .post(url)
            .body(sql.to_owned())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "{sql}\n{}",
            answer.text().await.unwrap()
        );
    }
    MySql::new(services.url(Service::MySql))
        .execute(APPLICATION)
        .await;
    services
}

/// The old service's configuration with the ports of this test.
fn old_configuration(services: &Services, folder: &Path) -> String {
    let text = OLD
        .replace(
            "{clickhouse_port}",
            &services.port(Service::ClickHouse).to_string(),
        )
        .replace("{mysql_port}", &services.port(Service::MySql).to_string())
        .replace("{save_dir}", &folder.join("csv").display().to_string())
        .replace(
            "{model_dir}",
            &repository().join("models").display().to_string(),
        );
    let path = folder.join("OLD.yaml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn adopt(services: &Services, arguments: &[&str]) -> (i32, String, String) {
    let mut command = services.command("scheduler");
    // `worker check` shall read the new file alone.
    for section in ["CLICKHOUSE", "MYSQL", "REDIS"] {
        command.env_remove(format!("WELDFLEET__{section}__URL"));
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command.arg("adopt").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_plants_own_table_is_adopted() {
    let services = plant().await;
    // A timer's clock is years ahead: its day must not be all that is looked at.
    let ahead = "INSERT INTO weld.weld_detail (id, data_date, ck_local_time, umax, imax) VALUES ('Y', '20991231', now64(3), '0', '0')";
    let insert = reqwest::Client::new().post(services.url(Service::ClickHouse));
    let answer = insert.body(ahead).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let folder = tempfile::tempdir().unwrap();
    let old = old_configuration(&services, folder.path());
    let out = folder.path().join("new/weldfleet.toml");
    let name = out.display().to_string();

    let (code, shown, _) = adopt(
        &services,
        &[&old, "--out", &name, "--dry-run", "--lang", "both"],
    );
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("焊点数据所在") && shown.contains("where the welds are"),
        "{shown}"
    );
    assert!(
        !folder.path().join("new").exists(),
        "a dry run writes nothing"
    );

    // Where the old file names no programs, those of the newest day are shown.
    let unnamed = fs::read_to_string(&old).unwrap();
    let unnamed = unnamed.replace("tip_dress_programs", "unknown_programs");
    let path = folder.path().join("unnamed.yaml").display().to_string();
    fs::write(&path, unnamed).unwrap();
    let (code, _, screen) = adopt(&services, &[&path, "--dry-run", "--lang", "en"]);
    assert_eq!(code, 0, "{screen}");
    let counted = "which nobody may judge? `prog_no` of the newest days: '12' ×";
    assert!(screen.contains(counted), "{screen}");

    let (code, screen, complaint) = adopt(&services, &[&old, "--out", &name, "--lang", "en"]);
    assert_eq!(code, 0, "{screen}\n{complaint}");
    let told = "1201 rows of `weld_detail` are dated after tomorrow or on no day";
    assert!(complaint.contains(told), "{complaint}");
    let written = fs::read_to_string(&out).unwrap();
    let port = services.port(Service::ClickHouse);
    for line in [
        &format!("url = \"http://127.0.0.1:{port}\""),
        "source_table = \"weld_detail\"",
        "result_table = \"weld_confirm\"",
        "record_id = \"id\"",
        "part_no = \"part_all\"",
        "spot_name = \"spot_tag\"",
        "timer_name = \"serial_no\"",
        "umax_unit = \"V\"",
        "u_unit = \"percent_of_umax\"",
        "i_unit = \"percent_of_imax\"",
        "sample_interval_ms = 1.0",
        "batch_size = 4096",
        "poll_interval = \"30s\"",
        "nok_threshold = 0.797",
    ] {
        assert!(
            written.lines().any(|found| found == line),
            "{line}\n{written}"
        );
    }
    // Commented or not, as this build knows the key or does not.
    for line in [
        "filter = \"prog_no NOT IN ('41', '51')\"",
        "imax_unit = \"A\"",
        "imax_scale = 10.0",
        "body_no = \"rfid\"",
        "program = \"prog_no\"",
        "defect = \"defect_type_alg\"",
        "kpi = \"\"",
    ] {
        let found = written
            .lines()
            .any(|found| found.trim_start_matches("# ") == line);
        assert!(found, "{line}\n{written}");
    }
    assert!(
        written.contains("smtp.password") && screen.contains("smtp.password"),
        "{screen}"
    );
    assert!(screen.contains("weldfleet.toml check"), "{screen}");
    assert!(
        screen.contains("worker check ends with"),
        "no Redis, no result columns: {screen}"
    );
    for text in [&written, &screen, &complaint] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!text.contains("password = "), "{text}");
    }
    let secrets = folder.path().join("new/secrets");
    for (file, secret) in [("clickhouse-password", "weld"), ("mysql-password", "root")] {
        let path = secrets.join(file);
        assert_eq!(
            (mode(&path), fs::read_to_string(&path).unwrap().as_str()),
            (0o600, secret)
        );
    }
    assert_eq!((mode(&out), mode(&secrets)), (0o644, 0o700));
    let settings = Settings::load_with(Some(&out), []).unwrap();
    assert_eq!(settings.clickhouse.password.expose(), "weld");
    assert!(
        settings
            .mysql
            .url
            .expose()
            .starts_with("mysql://root:root@127.0.0.1:")
    );

    let (code, _, complaint) = adopt(&services, &[&old, "--out", &name]);
    assert_eq!(code, 2);
    assert!(
        complaint.contains("there already") && complaint.contains("--force"),
        "{complaint}"
    );
    assert_eq!(fs::read_to_string(&out).unwrap(), written);

    // A server that is away keeps nobody from the rest.
    services.kill(Service::ClickHouse);
    services.kill(Service::MySql);
    fs::set_permissions(
        secrets.join("mysql-password"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let (code, screen, _) = adopt(
        &services,
        &[&old, "--out", &name, "--force", "--lang", "zh"],
    );
    assert_eq!(code, 3, "{screen}");
    assert!(
        screen.contains("无法向 ClickHouse 查询列") && screen.contains("无法向 MySQL 查询列"),
        "{screen}"
    );
    let settings = Settings::load_with(Some(&out), []).unwrap();
    assert_eq!(settings.tables.source_table, "weld_detail");
    let before = fs::read_to_string(format!("{name}.before")).unwrap();
    assert_eq!(before, written, "a person's answers are still there");
    let (code, screen, _) = adopt(
        &services,
        &[&old, "--out", &name, "--force", "--lang", "en"],
    );
    assert_eq!(code, 3, "{screen}");
    assert!(screen.contains("weldfleet.toml.before.2 now"), "{screen}");
    let before = fs::read_to_string(format!("{name}.before")).unwrap();
    assert_eq!(before, written, "and still are");
    assert_eq!(
        fs::read_dir(&secrets).unwrap().count(),
        2,
        "no secret is kept"
    );
    assert_eq!(mode(&secrets.join("mysql-password")), 0o600);
}

/// docs/ADOPT.md from its first command to the first verdicts, with an application's table in MySQL.
#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_plant_is_judged_and_its_application_sees_it() {
    let services = Services::start_all();
    let folder = tempfile::tempdir().unwrap();
    let clickhouse = ClickHouse::new(services.url(Service::ClickHouse));
    let mysql = MySql::new(services.url(Service::MySql));
    let simulate = [
        "simulate",
        "--like",
        "plant",
        "--curves",
        "whole-text",
        "--day",
        "today",
        "--rows",
        "600",
    ];
    let simulated = services
        .command("scheduler")
        .env("WELDFLEET__TABLES__SOURCE_TABLE", "weld_detail")
        .args([&simulate[..], &["--nok-rate", "0.2"]].concat())
        .output()
        .unwrap();
    assert!(simulated.status.success(), "{simulated:?}");
    mysql.execute(APPLICATION).await;
    let confirmed = "INSERT INTO weld_confirm (workshop_section, area, defect_type_alg, spot_tag, rfid, kpi, rec_cause, atlas_info) \
         VALUES ('UB', 'L2', '小焊核', 'S1', 'BODY1', 'k', 'r', 'a')";
    mysql.execute(confirmed).await;
    let own = "SELECT nid, workshop_section, defect_type_alg, spot_tag, rfid, kpi FROM weld_confirm WHERE nid = 1";
    let before = mysql.rows(own).await;

    let old = old_configuration(&services, folder.path());
    let out = folder.path().join("weldfleet.toml");
    let name = out.display().to_string();
    let (code, screen, complaint) = adopt(&services, &[&old, "--out", &name, "--lang", "en"]);
    assert_eq!(code, 0, "{screen}\n{complaint}");
    // What a person answers: where Redis is, whose midnight ends a day.
    let written = fs::read_to_string(&out).unwrap();
    let redis = format!("url = \"{}\"", services.url(Service::Redis));
    let answered: Vec<String> = written
        .lines()
        .map(|line| match line {
            line if line.starts_with("# url = \"redis:") => redis.clone(),
            line if line.starts_with("# timezone = ") => line.replacen("# ", "", 1),
            line => line.to_owned(),
        })
        .collect();
    fs::write(&out, answered.join("\n")).unwrap();
    let command = |binary: &str, arguments: &[&str]| {
        let mut command = services.command(binary);
        for section in ["CLICKHOUSE", "MYSQL", "REDIS"] {
            command.env_remove(format!("WELDFLEET__{section}__URL"));
        }
        command
            .env("WELDFLEET_CONFIG", &out)
            .env("WELDFLEET__SCHEDULER__HTTP", "127.0.0.1:0")
            .env("WELDFLEET__WORKER__HTTP", "127.0.0.1:0")
            .args(arguments);
        command
    };
    let said = |binary: &str, arguments: &[&str]| {
        let output = command(binary, arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };

    let (code, text) = said("scheduler", &["migrate"]);
    assert_eq!(code, Some(2), "nobody has agreed: {text}");
    assert!(
        text.contains("weld_confirm in MySQL is an application's"),
        "{text}"
    );
    assert!(
        text.contains("weld.weld_confirm would be changed; --yes adds them"),
        "{text}"
    );
    let (code, text) = said("scheduler", &["migrate", "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    // Adopted once more, the application's table is still the application's.
    let again = folder.path().join("again.toml");
    let arguments = [
        &old,
        "--out",
        &again.display().to_string(),
        "--force",
        "--lang",
        "en",
    ];
    let (code, screen, complaint) = adopt(&services, &arguments);
    assert_eq!(code, 0, "{screen}\n{complaint}");
    let anew = fs::read_to_string(&again).unwrap();
    assert_eq!(
        anew, written,
        "the tables' columns of both are what they were"
    );
    let (code, text) = said("worker", &["check"]);
    assert_eq!(code, Some(0), "{text}");
    let _scheduler = Process::start(command("scheduler", &["run"]), folder.path());
    let _worker = Process::start(command("worker", &["run"]), folder.path());
    eventually(
        "every weld is judged, NOK ones are in MySQL",
        MINUTES,
        async || {
            let ours = "weld_detail FINAL WHERE prog_no NOT IN ('41', '51')";
            let left = clickhouse
                .count(&format!("{ours} AND alg_complete_time IS NULL"))
                .await;
            let nok = clickhouse
                .count(&format!("{ours} AND final_result = 'NOK'"))
                .await;
            let there = mysql
                .count("weld_confirm WHERE record_id IS NOT NULL")
                .await;
            (left == 0 && nok > 0 && nok == there).then_some(())
        },
    )
    .await;
    let dresses = "weld_detail WHERE prog_no IN ('41', '51') AND alg_complete_time IS NOT NULL";
    assert_eq!(clickhouse.count(dresses).await, 0);
    assert_eq!(mysql.rows(own).await, before, "the application's own row");
    // In the words that its people know, and by body.
    let words = "weld_confirm WHERE record_id IS NOT NULL AND defect_type_alg IN ('小焊核', '高置信度', '表面缺陷', '小焊核,表面缺陷')";
    let all = mysql
        .count("weld_confirm WHERE record_id IS NOT NULL")
        .await;
    assert_eq!(mysql.count(words).await, all);
    let body = &mysql
        .rows("SELECT rfid FROM weld_confirm WHERE record_id IS NOT NULL LIMIT 1")
        .await[0][0];
    let (code, text) = said("worker", &["explain", "--body", body]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.starts_with(&format!("body {body}: ")) && text.contains("NOK"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_adopted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = |text: Option<&[u8]>, arguments: &[&str]| {
        let old = folder.path().join("OLD.yaml");
        if let Some(text) = text {
            fs::write(&old, text).unwrap();
        }
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_scheduler"))
            .current_dir(folder.path())
            .arg("adopt")
            .args(arguments)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(!folder.path().join("weldfleet.toml").exists());
        error
    };
    let told = [
        run(None, &["nowhere.yaml"]),
        run(
            Some(b"clickhouse: {host: h, password: hunter2"),
            &["OLD.yaml"],
        ),
        run(Some(b"mysql: {host: h}"), &["OLD.yaml"]),
        run(
            Some(b"clickhouse:\n  host: ${CK_HOST:-10.0.0.1}"),
            &["OLD.yaml"],
        ),
        run(
            Some(b"# \xba\xb8\xb5\xe3\nclickhouse: {host: h}"),
            &["OLD.yaml"],
        ),
        run(
            Some(b"clickhouse: {host: h}\nfields: {u_curve: c, i_curve: c}"),
            &["OLD.yaml"],
        ),
        run(None, &["OLD.yaml", "--config", "x.toml"]),
    ];
    insta::assert_snapshot!("adopt-refused", told.concat());
}
