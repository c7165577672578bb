//! `scheduler adopt` beside the servers of a plant.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use weldfleet_settings::Settings;
use weldfleet_testkit::{Service, Services, repository};
use weldfleet_tests::mysql::MySql;

const WELDS: &str = include_str!("data/plant/welds.sql");
const APPLICATION: &str = include_str!("data/plant/application.sql");
const OLD: &str = include_str!("data/plant/old.yaml");

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

    let (code, screen, complaint) = adopt(&services, &[&old, "--out", &name, "--lang", "en"]);
    assert_eq!(code, 0, "{screen}\n{complaint}");
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
        "batch_size = 2000",
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
    assert_eq!(mode(&secrets.join("mysql-password")), 0o600);
}

#[test]
fn what_cannot_be_adopted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = |text: Option<&str>, arguments: &[&str]| {
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
            Some("clickhouse: {host: h, password: hunter2"),
            &["OLD.yaml"],
        ),
        run(Some("mysql: {host: h}"), &["OLD.yaml"]),
        run(
            Some("clickhouse: {host: h}\nfields: {u_curve: c, i_curve: c}"),
            &["OLD.yaml"],
        ),
        run(None, &["OLD.yaml", "--config", "x.toml"]),
    ];
    insta::assert_snapshot!("adopt-refused", told.concat());
}
