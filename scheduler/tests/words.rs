//! Every `--help` and every refusal that needs no service, word by word.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::Command;

/// Runs the scheduler without configuration in an empty folder.
fn scheduler(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_scheduler"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WELDFLEET") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(arguments)
        // Without anything that is set it would warn of the folder.
        .env("WELDFLEET__REDIS__QUEUE", "infer")
        .current_dir(folder.path())
        .output()
        .unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let of_list = lines.take_while(|line| !line.is_empty());
    let names = of_list.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn help_of_every_command() {
    let mut commands = vec![Vec::new()];
    while let Some(command) = commands.pop() {
        let asked: Vec<&str> = command.iter().map(String::as_str).collect();
        let (code, out, err) = scheduler(&[&asked[..], &["--help"]].concat());
        for sub in listed(&out) {
            commands.push([&command[..], &[sub]].concat());
        }
        assert_eq!((code, err.as_str()), (0, ""), "{command:?}");
        let name = format!(
            "help-{}",
            if command.is_empty() {
                "scheduler".to_owned()
            } else {
                command.join("-")
            }
        );
        insta::assert_snapshot!(name, out);
    }
}

#[test]
fn wrong_usage_is_refused_with_the_remedy() {
    let wrong: [&[&str]; 17] = [
        &["backfill", "--from", "2026-11-22", "--to", "20261122"],
        &["backfill", "--from", "20260230", "--to", "20261122"],
        &["backfill", "--from", "20261102", "--to", "20261101"],
        &["backfill", "--from", "20261101", "--to", "21000101"],
        &[
            "backfill", "--from", "20261101", "--to", "20261101", "--status", "bad",
        ],
        &[
            "backfill", "--from", "20261101", "--to", "20261101", "--status", "error", "--force",
        ],
        &["backfill", "--from", "20261101"],
        &["settle", "--from", "20261102", "--to", "20261101"],
        &["status", "--day", "tomorrow"],
        &["jobs", "list", "--state", "lost"],
        &["jobs", "drop", "--all"],
        &["jobs", "retry"],
        &[
            "simulate",
            "--day",
            "today",
            "--rows",
            "10",
            "--nok-rate",
            "2",
        ],
        &[
            "simulate", "--day", "today", "--rows", "10", "--points", "5",
        ],
        &[
            "simulate", "--day", "today", "--rows", "10", "--since", "25:00",
        ],
        &["drift", "--day", "20261101", "--reference", "20261101"],
        &["status", "--config", "nowhere.toml"],
    ];
    let mut told = String::new();
    for arguments in wrong {
        let (code, out, err) = scheduler(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        // Today is in one of them.
        let err = err.lines().map(|line| match line.split_once("today is ") {
            Some((before, after)) => format!("{before}today is DAY{}", &after[8..]),
            None => line.to_owned(),
        });
        told.push_str(&format!(
            "$ scheduler {}\n{}\n\n",
            arguments.join(" "),
            err.collect::<Vec<_>>().join("\n")
        ));
    }
    insta::assert_snapshot!("wrong-usage", told);
}

#[test]
fn a_folder_without_configuration_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let said = |set: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scheduler"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WELDFLEET") {
                command.env_remove(name);
            }
        }
        command.envs(set.map(|name| (name, "infer")));
        let days = ["backfill", "--from", "20261102", "--to", "20261101"];
        let output = command.args(days).current_dir(folder.path()).output();
        String::from_utf8(output.unwrap().stderr).unwrap()
    };
    let wanted = format!("no config/weldfleet.toml in {}", folder.path().display());
    assert_eq!(said(None).matches(&wanted).count(), 1, "{}", said(None));
    let configured = said(Some("WELDFLEET__REDIS__QUEUE"));
    assert!(!configured.contains("weldfleet.toml"), "{configured}");
}

#[test]
fn services_that_are_away_are_named() {
    for (command, service) in [
        (&["migrate"][..], "clickhouse"),
        (&["simulate", "--day", "today", "--rows", "1"], "clickhouse"),
        (&["jobs", "list"], "redis"),
        (&["pause"], "redis"),
        (&["resume"], "redis"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("weldfleet.toml");
        // The port of a listener that is gone again.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let text = format!(
            "[clickhouse]\nurl = \"http://127.0.0.1:{port}\"\n[redis]\nurl = \"redis://127.0.0.1:{port}/0\"\n\
             [mysql]\nurl = \"mysql://weld:weld@127.0.0.1:{port}/weld\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let config = config.display().to_string();
        let (code, _, err) = scheduler(&[&["--config", &config][..], command].concat());
        assert_eq!(code, 3, "{command:?}: {err}");
        assert!(err.contains(service), "{command:?}: {err}");
    }
}
