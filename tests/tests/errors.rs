//! What a person is told who got something wrong: clear, with the remedy, and with the right exit code.
//!
//! Snapshots in `snapshots/`; after a wanted change:
//! `INSTA_UPDATE=always cargo nextest run -p weldfleet-tests --test errors`.

use std::{fmt::Write as _, fs, path::Path, process::Command, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use weldfleet_tests::{Process, eventually, process::without_services, repository};

/// Everything said by commands, one after the other, as a person sees it.
struct Said {
    folder: TempDir,
    text: String,
}

impl Said {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("folder"),
            text: String::new(),
        }
    }

    /// A file in the test's folder.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(&path, content).expect("write");
        path.display().to_string()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command and notes what it said, under `title`; the folder's name is left out.
    fn run(&mut self, title: &str, binary: &str, arguments: &[&str], environment: &[(&str, &str)]) {
        let mut command = without_services(binary);
        command.args(arguments).envs(environment.iter().copied());
        self.note(title, command);
    }

    fn note(&mut self, title: &str, mut command: Command) {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let code = output
            .status
            .code()
            .map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let out = String::from_utf8(output.stdout).expect("utf-8");
        let err = String::from_utf8(output.stderr).expect("utf-8");
        let shown = format!("{out}{err}").replace(&self.path().display().to_string(), "FOLDER");
        let shown = shown.replace(&repository().display().to_string(), "REPOSITORY");
        let shown = shown.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        // How much memory there is, is the machine's.
        let shown: Vec<&str> = shown
            .lines()
            .map(|line| match line.split_once("; the ") {
                Some((models, _)) if line.starts_with("ok       memory") => models,
                _ => line,
            })
            .collect();
        let shown = shown.join("\n");
        writeln!(self.text, "# {title}\n{}\nexit {code}\n", shown.trim_end()).expect("text");
    }
}

macro_rules! snapshot {
    ($said:expr) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($said.text.trim_end());
        });
    };
}

#[test]
fn configuration() {
    let mut said = Said::new();
    let toml = |key: &str, value: &str| {
        let (section, key) = key.split_once('.').expect("section.key");
        format!("[{section}]\n{key} = {value}\n")
    };
    for (title, text) in [
        ("not TOML", "[clickhouse\nurl = \"x\"\n".to_owned()),
        ("an unknown section", toml("clickhaus.url", "\"http://x\"")),
        ("an unknown key", toml("redis.queu", "\"infer\"")),
        (
            "a value of the wrong type",
            toml("scheduler.batch_size", "\"many\""),
        ),
        ("a negative number", toml("scheduler.batch_size", "-1")),
        ("zero rows a range", toml("scheduler.batch_size", "0")),
        ("a wrong unit", toml("curves.u_unit", "\"kV\"")),
        (
            "a sampling interval of zero",
            toml("curves.sample_interval_ms", "0.0"),
        ),
        (
            "a range upside down",
            toml("validation.u_max_range", "[10.0, 0.2]"),
        ),
        ("an unknown column", toml("columns.recordid", "\"编号\"")),
        (
            "two columns in one",
            "[columns]\numax = \"峰值\"\nimax = \"峰值\"\n".to_owned(),
        ),
        ("a duration that is none", toml("lease.ttl", "\"soon\"")),
        (
            "a lease too short for its renewal",
            toml("lease.ttl", "\"12s\""),
        ),
        (
            "an unknown time zone",
            toml("scheduler.timezone", "\"Asia/Peking\""),
        ),
        ("an address without a host", toml("worker.http", "\"9101\"")),
        ("a share in percent", toml("breaker.invalid_share", "50")),
        ("a threshold above 1", toml("model.nok_threshold", "79.7")),
        (
            "nothing that could judge",
            "[model]\nenabled = false\n[rules]\nenabled = false\n".to_owned(),
        ),
        (
            "a secret's file that is not there",
            toml("clickhouse.password_file", "\"/no/such/secret\""),
        ),
        (
            "a password twice",
            "[clickhouse]\npassword = \"a\"\npassword_file = \"/dev/null\"\n".to_owned(),
        ),
    ] {
        let file = said.file("weldfleet.toml", &text);
        said.run(title, "scheduler", &["status", "--config", &file], &[]);
    }
    for (title, variable, value) in [
        (
            "an address that is no URL",
            "WELDFLEET__CLICKHOUSE__URL",
            "localhost:8123",
        ),
        (
            "Redis by another scheme",
            "WELDFLEET__REDIS__URL",
            "http://127.0.0.1:6379",
        ),
        ("a variable without a section", "WELDFLEET__BATCH_SIZE", "5"),
        (
            "a variable of an unknown key",
            "WELDFLEET__LEASE__TTTL",
            "5s",
        ),
        (
            "a variable of the wrong type",
            "WELDFLEET__SCHEDULER__BATCH_SIZE",
            "many",
        ),
        (
            "a variable out of range",
            "WELDFLEET__BREAKER__INVALID_SHARE",
            "7",
        ),
        (
            "a queue that is no hash tag",
            "WELDFLEET__REDIS__QUEUE",
            "a{b}",
        ),
        ("an unknown provider", "WELDFLEET__MODEL__PROVIDER", "gpu"),
    ] {
        said.run(title, "worker", &["check"], &[(variable, value)]);
    }
    said.run(
        "a file that is not there",
        "scheduler",
        &["--config", "/no/such/weldfleet.toml", "status"],
        &[],
    );
    said.run(
        "the same by variable",
        "worker",
        &["check"],
        &[("WELDFLEET_CONFIG", "/no/such/weldfleet.toml")],
    );
    snapshot!(said);
}

/// Whatever is wrong with it, neither program shows a value of the stores' sections.
#[test]
fn secrets() {
    const SECRET: &str = "hunter2";
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("secret");
    fs::write(&file, format!("redis://:a#{SECRET}@h:1/0\n")).expect("write");
    let file = file.display().to_string();
    let config = folder.path().join("weldfleet.toml");
    for (section, text) in [
        ("clickhouse", format!("pasword = \"{SECRET}\"")),
        ("clickhouse", format!("password = \"{SECRET}")),
        ("clickhouse", format!("password = {SECRET}")),
        ("clickhouse", format!("password = [\"{SECRET}\"]")),
        ("clickhouse", format!("password = \"{SECRET}\"")),
        ("clickhouse", format!("password = \"焊{SECRET}\"")),
        ("clickhouse", format!("password_file = \"{SECRET}\"")),
        (
            "clickhouse",
            format!("url = \"http://weld:{SECRET}@127.0.0.1:1\""),
        ),
        (
            "redis",
            format!("url = \"redis://:{SECRET}@127.0.0.1:1/0\""),
        ),
        (
            "redis",
            format!("url = \"redis://:a/{SECRET}@127.0.0.1:1/0\""),
        ),
        ("redis", format!("url = \"redis://127.0.0.1:1/{SECRET}\"")),
        ("redis", format!("url = \"redis://user:{SECRET}\"")),
        ("redis", format!("url_file = \"{file}\"")),
        ("redis", format!("password = \"{SECRET}\"")),
        ("redis", format!("passwd = \"{SECRET}\"")),
        (
            "mysql",
            format!("url = \"mysql://weld:{SECRET}@127.0.0.1:1/weld\""),
        ),
        (
            "mysql",
            format!("url = \"mysql://weld:a?{SECRET}@127.0.0.1:1/weld\""),
        ),
        (
            "mysql",
            format!("url = \"mysql://weld@127.0.0.1:1/weld?{SECRET}=1\""),
        ),
        (
            "mysql",
            format!("url = \"mysql://weld@127.0.0.1:1/weld?max_allowed_packet={SECRET}\""),
        ),
        ("mysql", format!("enabled = \"{SECRET}\"")),
    ] {
        fs::write(&config, format!("[{section}]\n{text}\n")).expect("write");
        for (binary, command) in [
            ("scheduler", "status"),
            ("scheduler", "migrate"),
            ("worker", "check"),
        ] {
            let mut command_line = without_services(binary);
            for (name, _) in [
                ("WELDFLEET__CLICKHOUSE__URL", "clickhouse"),
                ("WELDFLEET__REDIS__URL", "redis"),
                ("WELDFLEET__MYSQL__URL", "mysql"),
            ]
            .iter()
            .filter(|(_, of)| *of == section)
            {
                command_line.env_remove(name);
            }
            command_line
                .args([command, "--config", &config.display().to_string()])
                .env("RUST_LOG", "debug");
            let output = command_line.output().expect("output");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!said.contains(SECRET), "[{section}] {text}: {said}");
            assert_ne!(output.status.code(), Some(101), "{said}");
            assert_ne!(output.status.code(), Some(0), "{said}");
        }
    }
}

#[test]
fn models_and_rules() {
    let mut said = Said::new();
    let record = repository()
        .join("tests/tests/data/weld.json")
        .display()
        .to_string();
    let onnx = repository().join("models/global/model.onnx");
    let config = fs::read_to_string(repository().join("models/global/inference_config.json"))
        .expect("config");
    let model = |name: &str, inference: &str, with_onnx: bool| {
        said.file(&format!("{name}/global/inference_config.json"), inference);
        let folder = said.path().join(name);
        if with_onnx {
            fs::copy(&onnx, folder.join("global/model.onnx")).expect("copy");
        }
        folder.display().to_string()
    };
    let folders = [
        ("a model without its file", model("no-onnx", &config, false)),
        (
            "a model whose config is not JSON",
            model("no-json", "{", true),
        ),
        (
            "a model with an unknown channel",
            model("channel", &config.replace("\"R\"", "\"Z\""), true),
        ),
        (
            "a model with another length than its config",
            model("length", &config.replace("1000", "900"), true),
        ),
        (
            "a model with another output than its config",
            model(
                "output",
                &config.replace("\"regression\"\n", "\"measures\"\n"),
                true,
            ),
        ),
        (
            "a folder without a model",
            said.path().join("nothing").display().to_string(),
        ),
    ];
    let broken = said.path().join("broken");
    said.file("broken/global/inference_config.json", &config);
    said.file("broken/global/model.onnx", "this is no model");
    let part = said.path().join("part");
    said.file("part/global/inference_config.json", &config);
    fs::copy(&onnx, part.join("global/model.onnx")).expect("copy");
    said.file("part/parts/7H0 809 605/inference_config.json", "[]");
    for (title, folder) in folders.into_iter().chain([
        ("a model that is none", broken.display().to_string()),
        ("a part's model that is broken", part.display().to_string()),
    ]) {
        said.run(
            title,
            "worker",
            &["predict", &record],
            &[("WELDFLEET__MODEL__MODEL_EXPORT_DIR", &folder)],
        );
    }
    said.run(
        "ONNX Runtime is not there",
        "worker",
        &["predict", &record],
        &[("ORT_DYLIB_PATH", "/no/such/libonnxruntime.so")],
    );
    for (title, rules) in [
        ("rules that are not TOML", "nok_on = ["),
        ("an unknown rule", "[expulsions]\nflag = 0.1\n"),
        ("an unknown key of a rule", "[expulsion]\nflags = 0.1\n"),
        (
            "a threshold of the wrong sign",
            "[expulsion]\nflag = -0.1\n",
        ),
        (
            "a rule that is none in nok_on",
            "nok_on = [\"explosion\"]\n",
        ),
        (
            "an unknown level in nok_on",
            "nok_on = [\"expulsion:error\"]\n",
        ),
        (
            "an unknown key of a part",
            "[parts.\"7H0 809 605\".short_pulse]\nflag_below = 3.0\n",
        ),
    ] {
        let file = said.file("rules.toml", rules);
        said.run(
            title,
            "worker",
            &["predict", &record],
            &[("WELDFLEET__RULES__FILE", &file)],
        );
    }
    said.run(
        "rules that are not there",
        "worker",
        &["predict", &record],
        &[("WELDFLEET__RULES__FILE", "/no/such/rules.toml")],
    );
    snapshot!(said);
}

#[test]
fn records() {
    let mut said = Said::new();
    let good = fs::read_to_string(repository().join("tests/tests/data/weld.json")).expect("record");
    let good = good.trim();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "`{from}` is not in the record");
        good.replace(from, to)
    };
    let curve_start = "\"u_curve\":[";
    for (title, text) in [
        ("an empty file", String::new()),
        ("no JSON", "weld 42 was fine\n".to_owned()),
        ("JSON cut short", good[..good.len() - 20].to_owned()),
        ("a list", "[1, 2]\n".to_owned()),
        ("without a curve", with("u_curve", "a_curve")),
        ("without umax", with("\"umax\"", "\"vmax\"")),
        (
            "a number in words",
            with(curve_start, "\"u_curve\":[\"high\","),
        ),
        ("an unknown field", with("{", "{\"colour\":\"red\",")),
        (
            "the second of three lines",
            format!("{good}\n{{\"umax\":1}}\n{good}\n"),
        ),
        ("a mark before it", format!("\u{feff}{good}\r\n")),
        ("a list in a line", format!("{good}\n[1, 2]\n")),
        (
            "an id that is none",
            with("\"record_id\":", "\"record_id\":-"),
        ),
        (
            "one record over many lines, cut short",
            good[..good.len() - 20].replace(',', ",\n"),
        ),
        ("one record over many lines", good.replace(',', ",\n")),
    ] {
        let file = said.file("weld.json", &text);
        said.run(title, "worker", &["predict", "--json", &file], &[]);
    }
    said.run(
        "a file that is not there",
        "worker",
        &["predict", "/no/such/weld.json"],
        &[],
    );
    let folder = said.path().display().to_string();
    said.run("a folder", "worker", &["predict", &folder], &[]);
    // These are welds, and say what is wrong with them.
    for (title, text) in [
        (
            "a gap in a curve",
            with(curve_start, "\"u_curve\":[null,").replace("\"i_curve\":[", "\"i_curve\":[0.0,"),
        ),
        (
            "unequal curves",
            with(curve_start, "\"u_curve\":[0.0,0.0,0.0,"),
        ),
        (
            "empty curves",
            r#"{"record_id":1,"umax":2,"imax":8,"u_curve":[],"i_curve":[]}"#.to_owned(),
        ),
        ("a maximum out of range", with("\"umax\":", "\"umax\":1")),
        (
            "an id of letters",
            r#"{"record_id":"焊 1","umax":2,"imax":8,"u_curve":[1.0],"i_curve":[8.0]}"#.to_owned(),
        ),
    ] {
        let file = said.file("weld.json", &text);
        said.run(title, "worker", &["predict", &file], &[]);
    }
    snapshot!(said);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_over_http() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = without_services("worker");
    command
        .args(["run", "--log-format", "json"])
        .env("WELDFLEET__WORKER__HTTP", "127.0.0.1:0")
        .env("WELDFLEET__WORKER__PREDICT_MAX_BYTES", "40000");
    let worker = Process::start(command, folder.path());
    let url = format!("{}/predict", worker.http().await);
    let good = fs::read_to_string(repository().join("tests/tests/data/weld.json")).expect("record");
    let mut text = String::new();
    for (title, body) in [
        ("no JSON", "weld 42".to_owned()),
        ("nothing", String::new()),
        ("without a curve", good.replace("u_curve", "a_curve")),
        ("a bad one in a list", format!("[{good},{{}}]")),
        ("an empty list", "[]".to_owned()),
        ("an unknown key", good.replacen('{', "{\"colour\":1,", 1)),
        (
            "an id that is none",
            good.replacen("\"record_id\":", "\"record_id\":-", 1),
        ),
        ("a list for a record", "[[1, 2]]".to_owned()),
        ("too much", " ".repeat(40_001)),
    ] {
        let answer = reqwest::Client::new()
            .post(&url)
            .body(body)
            .send()
            .await
            .expect("answer");
        writeln!(
            text,
            "# {title}\n{} {}\n",
            answer.status(),
            answer.text().await.expect("body")
        )
        .expect("text");
    }
    let gzip = reqwest::Client::new()
        .post(&url)
        .header("content-encoding", "gzip")
        .body("x");
    let get = reqwest::Client::new().get(&url);
    for (title, request) in [("compressed", gzip), ("another method", get)] {
        let answer = request.send().await.expect("answer");
        let status = answer.status();
        let said = answer.text().await.expect("body");
        writeln!(text, "# {title}\n{status} {said}\n").expect("text");
    }
    // One that says its length and falls silent, or asks before it sends.
    let address = url
        .trim_start_matches("http://")
        .trim_end_matches("/predict");
    for (title, head) in [
        ("a body that stands still", "Content-Length: 100\r\n\r\n{"),
        (
            "too much, asked for first",
            "Content-Length: 99000000\r\nExpect: 100-continue\r\n\r\n",
        ),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        let request = format!("POST /predict HTTP/1.1\r\nHost: x\r\n{head}");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = vec![0; 12];
        let read = stream.read_exact(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(15), read).await;
        read.expect("in time").expect("an answer");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        writeln!(text, "# {title}\n{answer}\n").expect("text");
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(text.trim_end());
    });

    // Judging needs no service: it answers while it waits for all of them, and says so.
    let judged = reqwest::Client::new()
        .post(&url)
        .body(format!("\u{feff}{good}"))
        .send()
        .await
        .expect("answer");
    assert_eq!(judged.status(), 200);
    eventually(
        "/readyz says what is missing",
        Duration::from_secs(30),
        async || {
            let (code, body) = worker.get("/readyz").await;
            (code == 503 && body.contains("clickhouse")).then_some(())
        },
    )
    .await;
}

#[test]
fn arguments() {
    let mut said = Said::new();
    for (binary, arguments) in [
        ("scheduler", &[][..]),
        ("scheduler", &["migrat"]),
        ("scheduler", &["backfill", "--from", "20261101"]),
        (
            "scheduler",
            &["backfill", "--from", "2026-11-01", "--to", "20261102"],
        ),
        (
            "scheduler",
            &["backfill", "--from", "20261131", "--to", "20261201"],
        ),
        (
            "scheduler",
            &["backfill", "--from", "20251102", "--to", "20251101"],
        ),
        (
            "scheduler",
            &["backfill", "--from", "20251102", "--to", "29991101"],
        ),
        (
            "scheduler",
            &["backfill", "--from", "20100101", "--to", "20251101"],
        ),
        (
            "scheduler",
            &[
                "backfill", "--from", "20251101", "--to", "20251102", "--force", "--status",
                "invalid",
            ],
        ),
        (
            "scheduler",
            &[
                "backfill", "--from", "20251101", "--to", "20251102", "--status", "bad",
            ],
        ),
        (
            "scheduler",
            &[
                "backfill",
                "--from",
                "20251101",
                "--to",
                "20251102",
                "--dry-run",
                "--wait",
            ],
        ),
        ("scheduler", &["status", "--day", "tomorrow"]),
        ("scheduler", &["jobs", "list", "--state", "lost"]),
        ("scheduler", &["jobs", "retry"]),
        ("scheduler", &["jobs", "drop", "--all"]),
        (
            "scheduler",
            &["jobs", "drop", "--all", "--yes", "20251101-0-1-a"],
        ),
        ("scheduler", &["simulate", "--day", "20251101"]),
        (
            "scheduler",
            &["simulate", "--day", "20251101", "--rows", "many"],
        ),
        (
            "scheduler",
            &[
                "simulate",
                "--day",
                "20251101",
                "--rows",
                "5",
                "--nok-rate",
                "7",
            ],
        ),
        (
            "scheduler",
            &[
                "simulate", "--day", "20251101", "--rows", "5", "--since", "25:00",
            ],
        ),
        (
            "scheduler",
            &[
                "simulate", "--day", "20251101", "--rows", "5", "--since", "12:00", "--until",
                "11:00",
            ],
        ),
        (
            "scheduler",
            &[
                "simulate", "--day", "20251101", "--rows", "5", "--points", "few",
            ],
        ),
        (
            "scheduler",
            &["evaluate", "--from", "20251102", "--to", "20251101"],
        ),
        ("scheduler", &["drift", "--day", "today"]),
        ("scheduler", &["run", "--log-format", "xml"]),
        ("worker", &[]),
        ("worker", &["walk"]),
        ("worker", &["predict"]),
        ("worker", &["check", "--rows", "many"]),
        (
            "worker",
            &[
                "explain",
                "--record-id",
                "7",
                "--day",
                "yesterdays",
                "--png",
                "/tmp/x.png",
            ],
        ),
    ] {
        said.run(
            &format!("{binary} {}", arguments.join(" ")),
            binary,
            arguments,
            &[],
        );
    }
    snapshot!(said);
}

#[test]
fn services_out_of_reach() {
    let mut said = Said::new();
    for (binary, arguments) in [
        ("scheduler", &["migrate"][..]),
        ("scheduler", &["migrate", "--dry-run"]),
        (
            "scheduler",
            &["backfill", "--from", "20251101", "--to", "20251102"],
        ),
        ("scheduler", &["status"]),
        ("scheduler", &["jobs", "list"]),
        ("scheduler", &["jobs", "show", "20251101-0-1-a"]),
        ("scheduler", &["jobs", "retry", "20251101-0-1-a"]),
        ("scheduler", &["jobs", "drop", "20251101-0-1-a"]),
        ("scheduler", &["pause"]),
        ("scheduler", &["resume"]),
        (
            "scheduler",
            &["evaluate", "--from", "20251101", "--to", "20251102"],
        ),
        (
            "scheduler",
            &["drift", "--reference", "20251101", "--day", "20251102"],
        ),
        (
            "scheduler",
            &["simulate", "--day", "20251101", "--rows", "5"],
        ),
        ("worker", &["check"]),
        (
            "worker",
            &["explain", "--record-id", "7", "--png", "/tmp/x.png"],
        ),
    ] {
        let save_dir = said.path().join("csv").display().to_string();
        said.run(
            &format!("{binary} {}", arguments.join(" ")),
            binary,
            arguments,
            &[("WELDFLEET__WORKER__SAVE_DIR", &save_dir)],
        );
    }
    let not_three: Vec<&str> = said
        .text
        .lines()
        .filter(|line| line.starts_with("exit ") && *line != "exit 3")
        .collect();
    assert!(not_three.is_empty(), "{not_three:?} in\n{}", said.text);
    snapshot!(said);
}

#[test]
fn help_of_the_worker() {
    let mut said = Said::new();
    for command in ["", "run", "check", "predict", "explain"] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let title = format!("worker {}", arguments.join(" "));
        said.run(&title, "worker", &arguments, &[]);
    }
    said.run("worker --version", "worker", &["--version"], &[]);
    assert!(!said.text.contains("exit 2"), "{}", said.text);
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("help_worker", said.text.trim_end());
    });
}
