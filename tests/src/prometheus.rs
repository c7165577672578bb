//! A real Prometheus that watches one fleet, and its `promtool`.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use weldfleet_testkit::{eventually, prometheus, repository};

use crate::Process;

/// For what only depends on how fast the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// How fast the time of the rules passes; it scrapes every half second.
pub struct Pace {
    pub minute: Duration,
    /// What a threshold in seconds becomes.
    pub threshold: Option<&'static str>,
    /// Room for audit files from which on it is too little.
    pub save_dir_bytes: Option<u64>,
}

/// For days on which nothing may fire.
pub const DAY: Pace = Pace {
    minute: Duration::from_secs(2),
    threshold: None,
    save_dir_bytes: None,
};
/// For faults that last.
pub const FAULT: Pace = Pace {
    minute: Duration::from_millis(100),
    threshold: Some("2"),
    save_dir_bytes: None,
};

/// A running one, with the repository's rules.
pub struct Prometheus {
    /// Ends with the test.
    _process: Process,
    url: String,
}

impl Prometheus {
    /// Starts one with the configuration and the rules of `monitoring/`, which asks `scheduler` who is there.
    pub async fn start(scheduler: &Process, folder: &Path, pace: &Pace) -> Self {
        let monitoring = repository().join("monitoring");
        let read = |name| fs::read_to_string(monitoring.join(name)).expect("a file of monitoring/");
        let write = |name, text: String| fs::write(folder.join(name), text).expect("write");
        let listed = "http://scheduler:9100";
        let configuration = read("prometheus.yml");
        assert!(configuration.contains(listed), "{configuration}");
        let configuration = configuration
            .replace(listed, &scheduler.http().await)
            .replace(": 15s", ": 500ms")
            .replace(": 30s", ": 1s");
        write("prometheus.yml", configuration);
        write("alerts.yml", hurried(&read("alerts.yml"), pace));
        // Another process may take the port between the look and the start.
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            let address = free.expect("a free port").to_string();
            let mut command = Command::new(prometheus().0);
            command
                .arg(format!(
                    "--config.file={}",
                    folder.join("prometheus.yml").display()
                ))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.join("tsdb").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .current_dir(folder);
            let process = RefCell::new(Process::start(command, folder));
            let url = format!("http://{address}");
            let ready = eventually("prometheus is ready", PATIENCE, async || {
                let answer = reqwest::get(format!("{url}/-/ready")).await;
                let ready = answer.is_ok_and(|answer| answer.status().is_success());
                (ready || !process.borrow_mut().running()).then_some(ready)
            });
            if ready.await {
                return Self {
                    _process: process.into_inner(),
                    url,
                };
            }
        }
        panic!("prometheus does not start");
    }

    async fn api(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let request = reqwest::Client::new().get(&url).query(query);
        let answer = request.send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("json");
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        answer["data"].clone()
    }

    /// The series that an expression gives now.
    pub async fn query(&self, expression: &str) -> Vec<Value> {
        let mut data = self.api("query", &[("query", expression)]).await;
        match data["result"].take() {
            Value::Array(series) => series,
            other => panic!("{expression}: {other}"),
        }
    }

    /// Names of the alerts that fired at some time since `since`.
    pub async fn fired_since(&self, since: Instant) -> BTreeSet<String> {
        let seconds = since.elapsed().as_secs().max(1);
        let fired = format!(
            r#"max by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s]))"#
        );
        let series = self.query(&fired).await;
        let names = series.iter().map(|one| &one["metric"]["alertname"]);
        names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }

    /// Waits until each of these fires, or has fired since `fault`, a moment right before it was brought about.
    pub async fn fires(&self, fault: Instant, names: &[&str]) {
        for name in names {
            eventually(&format!("{name} fires"), PATIENCE, async || {
                let fired = self.fired_since(fault).await;
                fired.contains(*name).then_some(())
            })
            .await;
        }
    }

    /// The alert of this name, if it fires now, with its annotations.
    pub async fn firing(&self, name: &str) -> Option<Value> {
        let mut data = self.api("alerts", &[]).await;
        let alerts = data["alerts"].take();
        let mut alerts = alerts.as_array()?.iter();
        alerts
            .find(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing")
            .cloned()
    }

    /// Addresses that answer, of this program.
    pub async fn answering(&self, program: &str) -> Vec<String> {
        let up = format!(r#"up{{job="weldfleet", program="{program}"}} == 1"#);
        let series = self.query(&up).await;
        let addresses = series.iter().map(|one| &one["metric"]["instance"]);
        addresses
            .filter_map(|address| address.as_str().map(str::to_owned))
            .collect()
    }
}

/// The rules with their times at this pace.
fn hurried(rules: &str, pace: &Pace) -> String {
    let mut text = String::with_capacity(rules.len());
    for line in rules.lines() {
        let line = match (line.split_once("for: "), line.contains("expr: ")) {
            (Some((indent, time)), false) => {
                format!("{indent}for: {}ms", milliseconds(time, pace))
            }
            (_, true) => expression(&with_room(line, pace), pace),
            _ => line.to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn with_room(line: &str, pace: &Pace) -> String {
    let usual = "weldfleet_save_dir_free_bytes < 2e9";
    match pace.save_dir_bytes {
        Some(bytes) => line.replace(usual, &format!("weldfleet_save_dir_free_bytes < {bytes}")),
        None => line.to_owned(),
    }
}

/// A window holds a few scrapes.
fn expression(line: &str, pace: &Pace) -> String {
    let mut parts = line.split('[');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_once(']').expect("the end of a window");
        let window = milliseconds(time, pace).max(3000);
        text.push_str(&format!("[{window}ms]{rest}"));
    }
    if let Some(threshold) = pace.threshold
        && let Some((what, most)) = text.rsplit_once(" > ")
        && what.contains("_seconds")
    {
        assert!(most.parse::<u32>().is_ok(), "{line}");
        return format!("{what} > {threshold}");
    }
    text
}

/// `10m` at this pace.
fn milliseconds(time: &str, pace: &Pace) -> u128 {
    let minutes = match time.split_at(time.len() - 1) {
        (number, "m") => number.parse::<u32>().expect("minutes"),
        (number, "h") => number.parse::<u32>().expect("hours") * 60,
        other => panic!("neither minutes nor hours: {other:?}"),
    };
    (pace.minute * minutes).as_millis()
}

/// Runs `promtool` in `monitoring/` with this on standard input; panics unless it is content and has nothing to say on
/// standard error.
pub fn promtool(arguments: &[&str], input: &str) {
    let mut child = Command::new(prometheus().1)
        .args(arguments)
        .current_dir(repository().join("monitoring"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("write");
    drop(stdin);
    let output = child.wait_with_output().expect("its end");
    let (said, objections) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && objections.is_empty(),
        "promtool {arguments:?} ended with {}:\n{said}{objections}",
        output.status
    );
}
