//! Readers that go away, disks that are full, passwords of any characters: what commands do about them.

use std::{
    fs::OpenOptions,
    net::TcpListener,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use weldfleet_tests::{Fleet, Process, eventually, process::without_services, repository};

const SOON: Duration = Duration::from_secs(60);

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// A disk that is full.
fn full() -> Stdio {
    let full = OpenOptions::new().write(true).open("/dev/full");
    full.expect("/dev/full").into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ended(mut command: Command) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    run(command)
}

fn run(mut command: Command) -> Output {
    let child = command.spawn();
    let child = child.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    child.wait_with_output().expect("output")
}

/// Whatever becomes of its output, a command does its work, ends with the code that the work deserves, and never
/// panics.
fn survives(command: &dyn Fn() -> Command) {
    let named = format!("{:?}", command().get_args().collect::<Vec<_>>());
    let usual = ended(command());
    let code = usual.status.code();
    assert!(code.is_some_and(|code| code <= 4), "{named}: {usual:?}");

    let mut unread = command();
    unread.stdout(closed()).stderr(Stdio::piped());
    let unread = run(unread);
    let said = text(&unread.stderr);
    assert_eq!(unread.status.code(), code, "{named}: {said}");
    assert!(!said.contains("panicked"), "{named}: {said}");

    let mut lost = command();
    lost.stdout(full()).stderr(Stdio::piped());
    let lost = run(lost);
    let said = text(&lost.stderr);
    if !usual.stdout.is_empty() {
        let expected = if code == Some(0) {
            Some(1)
        } else {
            lost.status.code()
        };
        assert_eq!(lost.status.code(), expected, "{named}: {said}");
        let words = "error: cannot write to standard output: No space left on device";
        assert!(said.contains(words), "{named}: {said}");
    }
    assert!(!said.contains("panicked"), "{named}: {said}");

    for silent in [closed as fn() -> Stdio, full] {
        let mut silenced = command();
        silenced.stdout(Stdio::null()).stderr(silent());
        assert_eq!(run(silenced).status.code(), code, "{named}");
    }
}

#[test]
fn with_a_log_of_objects_the_last_line_is_one_too() {
    for binary in ["scheduler", "worker"] {
        let mut command = without_services(binary);
        command.args(["run", "--log-format", "json", "--config", "/no/such.toml"]);
        let ended = ended(command);
        let said = text(&ended.stderr);
        let last = said.lines().last().expect("a line");
        let last: serde_json::Value = serde_json::from_str(last).expect(last);
        assert_eq!(last["level"], "ERROR", "{said}");
        let message = last["message"].as_str().unwrap_or_default();
        assert!(message.contains("/no/such.toml"), "{said}");
        assert_eq!(ended.status.code(), Some(2), "{said}");
    }
}

#[test]
fn commands_without_services_survive_readers_that_go_and_full_disks() {
    let weld = repository().join("tests/tests/data/weld.json");
    let weld = weld.display().to_string();
    for (binary, arguments) in [
        ("scheduler", &["--help"][..]),
        ("scheduler", &["--version"]),
        ("scheduler", &["help", "jobs"]),
        ("scheduler", &["jobs", "list", "--no-such-option"]),
        ("scheduler", &["status"]),
        ("scheduler", &["status", "--json"]),
        ("worker", &["--help"]),
        ("worker", &["check"]),
        ("worker", &["check", "--json"]),
        ("worker", &["predict", &weld]),
        ("worker", &["predict", "--json", &weld]),
        ("worker", &["predict", "/dev/null"]),
    ] {
        survives(&|| {
            let mut command = without_services(binary);
            command.args(arguments);
            command
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_outlives_the_reader_of_its_log() {
    let port = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("its number")
        .port();
    let address = format!("127.0.0.1:{port}");
    let mut command = without_services("worker");
    command
        .args(["run"])
        .env("WELDFLEET__WORKER__HTTP", &address)
        .stdin(Stdio::null())
        .stdout(closed())
        .stderr(closed());
    let mut worker = command.spawn().expect("a worker");
    let waiting = eventually("it waits for its services", SOON, async || {
        let answer = reqwest::get(format!("http://{address}/readyz"))
            .await
            .ok()?;
        let body = answer.text().await.ok()?;
        body.contains("clickhouse").then_some(())
    });
    waiting.await;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(worker.id()).expect("pid"));
    nix::sys::signal::kill(pid, Signal::SIGTERM).expect("SIGTERM");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = worker.try_wait().expect("wait") {
            break status;
        }
        if began.elapsed() > SOON {
            let _ = worker.kill();
            panic!("the worker does not end");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_survive_their_readers_and_passwords_may_hold_anything() {
    let mut fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", 300, &[]);
    let scheduler = fleet.scheduler();
    eventually("a job waits", SOON, async || {
        (fleet.queue.count("pending").await > 0).then_some(())
    })
    .await;
    let listed = fleet.succeed("scheduler", &["jobs", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("json");
    let job = listed["jobs"][0]["id"].as_str().expect("an id").to_owned();
    let today = fleet.day_before(0).await;
    for (binary, arguments) in [
        ("scheduler", &["jobs", "list"][..]),
        ("scheduler", &["jobs", "list", "--json"]),
        ("scheduler", &["jobs", "show", &job]),
        ("scheduler", &["jobs", "retry", &job]),
        ("scheduler", &["status"]),
        ("scheduler", &["migrate", "--dry-run"]),
        (
            "scheduler",
            &[
                "backfill",
                "--from",
                &today,
                "--to",
                &today,
                "--force",
                "--dry-run",
            ],
        ),
        ("scheduler", &["evaluate", "--from", &today, "--to", &today]),
        ("scheduler", &["pause", "--reason", "a test"]),
        ("scheduler", &["resume"]),
        (
            "scheduler",
            &["simulate", "--day", "20200101", "--rows", "10"],
        ),
        ("worker", &["check"]),
    ] {
        survives(&|| fleet.command(binary, arguments));
    }
    // What prints for ever ends with its reader.
    let mut watch = fleet.command("scheduler", &["status", "--watch"]);
    watch.stdout(closed());
    let mut watch = Process::start_as_is(watch, fleet.folder());
    assert_eq!(watch.ended(SOON).await.code(), Some(0));
    drop(scheduler);

    // Ids that would begin at 0 again: nothing is written.
    let last = "INSERT INTO spot_records (record_id, data_date, ck_local_time, part_no, spot_name, timer_name, umax, imax, u_curve, i_curve) \
                SELECT 18446744073709551610, 20200102, ck_local_time, part_no, spot_name, timer_name, umax, imax, u_curve, i_curve FROM spot_records LIMIT 1";
    fleet.clickhouse.execute(last).await;
    let refused = fleet.run(
        "scheduler",
        &["simulate", "--day", "20200102", "--rows", "6"],
    );
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("would pass 18446744073709551615"), "{said}");
    let there = "spot_records WHERE data_date = 20200102";
    assert_eq!(fleet.clickhouse.count(there).await, 1);
    fleet.simulate("20200102", 4, &[]);
    assert_eq!(fleet.clickhouse.count(there).await, 5);

    // Passwords: Redis and the mirror with every character that means something to somebody.
    let any = "p#a/s?s@w%r:d $x\"y'z\\%41&+=焊";
    let sql = any.replace('\\', "\\\\").replace('\'', "\\'");
    let own = format!("SET PASSWORD = PASSWORD('{sql}')");
    fleet.mysql.rows(&own).await;
    let require = ["CONFIG", "SET", "requirepass", any];
    let set: String = fleet.queue.command(&require).await;
    assert_eq!(set, "OK");
    fleet.set("mysql.password", any);
    fleet.set("redis.password", "hunter2");
    let wrong = fleet.run("worker", &["check"]);
    let said = text(&wrong.stdout) + &text(&wrong.stderr);
    let failed = said
        .lines()
        .filter(|line| line.starts_with("failed"))
        .count();
    assert!(failed == 1 && said.contains("failed   redis"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("p#a"), "{said}");
    fleet.set("redis.password", any);
    let right = fleet.succeed("worker", &["check"]);
    assert!(
        !right.contains("p#a") && !right.contains("p%23a"),
        "{right}"
    );
}
