//! A running binary.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::Value;
use weldfleet_testkit::eventually;

/// A command of one of the binaries that finds no service: nobody listens on port 1.
pub fn without_services(binary: &str) -> Command {
    let mut command = Command::new(weldfleet_testkit::bin(binary));
    weldfleet_testkit::without_configuration(&mut command)
        .env("WELDFLEET__CLICKHOUSE__URL", "http://127.0.0.1:1")
        .env("WELDFLEET__REDIS__URL", "redis://127.0.0.1:1/0")
        .env(
            "WELDFLEET__MYSQL__URL",
            "mysql://weld:weld@127.0.0.1:1/weld",
        )
        .env("WELDFLEET__MODEL__PROVIDER", "cpu")
        .env("WELDFLEET__MODEL__THREADS", "1")
        .env("WELDFLEET__MODEL__BATCH_ROWS", "32")
        .env("ORT_DYLIB_PATH", weldfleet_testkit::onnxruntime_library())
        .current_dir(weldfleet_testkit::repository());
    command
}

/// A child that is killed with the test; its log is kept in the test's folder and shown when the test fails.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command with its standard error in a file of its own.
    pub fn start(mut command: Command, folder: &Path) -> Self {
        command.stdout(Stdio::null());
        Self::start_as_is(command, folder)
    }

    /// [`Process::start`] that leaves standard output as the command has it.
    pub fn start_as_is(mut command: Command, folder: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = folder.join(format!("process-{number}.log"));
        let file = File::create(&log).expect("log file");
        let child = command
            .stdin(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log holds this text.
    pub async fn logged(&self, text: &str, within: Duration) {
        eventually(&format!("`{text}` in the log"), within, async || {
            self.log().contains(text).then_some(())
        })
        .await;
    }

    /// The address its status page listens on, read from its log.
    pub async fn http(&self) -> String {
        eventually(
            "the http address in the log",
            Duration::from_secs(30),
            async || {
                let log = self.log();
                let line = log.lines().find(|line| line.contains("http listening"))?;
                let line: Value = serde_json::from_str(line).ok()?;
                Some(format!("http://{}", line["address"].as_str()?))
            },
        )
        .await
    }

    /// `GET path`: status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.http().await);
        let answer = reqwest::get(&url)
            .await
            .unwrap_or_else(|error| panic!("GET {url}: {error}"));
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("body"))
    }

    /// The sum of a metric's series whose line contains every one of `labels`; there must be one.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let sum = self.metric_if_any(name, labels).await;
        sum.unwrap_or_else(|| panic!("no series of {name} with {labels:?}"))
    }

    /// [`Process::metric`] of what has a series only after it happened first.
    pub async fn metric_if_any(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let (_, text) = self.get("/metrics").await;
        text.lines()
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .reduce(|sum, value| sum + value)
    }

    /// Waits until `/readyz` answers 200.
    pub async fn ready(&self) {
        eventually("/readyz is 200", Duration::from_secs(60), async || {
            let url = format!("{}/readyz", self.http().await);
            let answer = reqwest::get(&url).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("pid"));
        signal::kill(pid, signal).unwrap_or_else(|error| panic!("kill {pid}: {error}"));
    }

    /// `kill -9`, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it is still running.
    pub fn running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// Waits for its end.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = std::time::Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "did not end within {within:?}; its log:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- last lines of {}", self.log.display());
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}
