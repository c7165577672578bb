//! One private plant.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use weldfleet_testkit::{Service, Services};

use crate::{Process, clickhouse::ClickHouse, mysql::MySql, queue::Queue};

/// Services, configuration and a folder of one test; everything ends with it.
pub struct Fleet {
    pub services: Services,
    /// ClickHouse, seen from outside.
    pub clickhouse: ClickHouse,
    /// The mirror, seen from outside.
    pub mysql: MySql,
    /// The queue, seen from outside.
    pub queue: Queue,
    folder: TempDir,
    settings: BTreeMap<String, String>,
}

impl Fleet {
    /// Fresh services and settings that make tests quick: a lease of 2 s, passes each 200 ms, ranges of 1,000 rows.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// [`Fleet::start`] with settings of its own, as `("section.key", "value")`.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::on(Services::start_all(), settings).await
    }

    /// [`Fleet::with`] on services that are there.
    pub async fn on(services: Services, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let clickhouse = ClickHouse::new(services.url(Service::ClickHouse));
        let mysql = MySql::new(services.url(Service::MySql));
        let queue = Queue::connect(services.url(Service::Redis)).await;
        let mut fleet = Self {
            services,
            clickhouse,
            mysql,
            queue,
            folder,
            settings: BTreeMap::new(),
        };
        let save_dir = fleet.save_dir().display().to_string();
        for (key, value) in [
            ("scheduler.batch_size", "1000"),
            ("scheduler.poll_interval", "200ms"),
            ("scheduler.max_wait", "500ms"),
            ("scheduler.http", "127.0.0.1:0"),
            ("lease.ttl", "2s"),
            ("lease.renew_every", "500ms"),
            ("worker.http", "127.0.0.1:0"),
            ("worker.save_dir", &save_dir),
            ("worker.shutdown_grace", "20s"),
            ("model.provider", "cpu"),
            ("model.threads", "1"),
            ("model.batch_rows", "32"),
        ] {
            fleet.set(key, value);
        }
        for (key, value) in settings {
            fleet.set(key, value);
        }
        fleet
    }

    /// Changes a setting for processes started from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    /// Lets rules judge that call nothing NOK, alone; `false` goes back to the model and the usual rules.
    pub fn lenient(&mut self, on: bool) {
        let usual = weldfleet_testkit::repository().join("config/rules.toml");
        let file = self.folder().join("lenient.toml");
        let rules = std::fs::read_to_string(&usual).expect("the rules");
        let lenient: String = rules
            .lines()
            .map(|line| {
                if line.starts_with("nok_on") {
                    "nok_on = []"
                } else {
                    line
                }
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        std::fs::write(&file, lenient).expect("write");
        let file = if on { &file } else { &usual };
        self.set("rules.file", &file.display().to_string());
        self.set("model.enabled", if on { "false" } else { "true" });
    }

    /// Where workers leave the audit files.
    pub fn save_dir(&self) -> PathBuf {
        self.folder.path().join("csv")
    }

    /// The test's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command of one of the binaries with this plant's settings.
    pub fn command(&self, binary: &str, arguments: &[&str]) -> Command {
        let mut command = self.services.command(binary);
        for (key, value) in &self.settings {
            let variable = format!("WELDFLEET__{}", key.replace('.', "__").to_uppercase());
            command.env(variable, value);
        }
        command.args(arguments);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, binary: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(binary, arguments);
        command
            .output()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
    }

    /// Exit code of a command, and all that it said.
    pub fn said(&self, binary: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(binary, arguments);
        (output.status.code(), all_of(&output))
    }

    /// Runs a command that must succeed; returns its standard output.
    pub fn succeed(&self, binary: &str, arguments: &[&str]) -> String {
        let output = self.run(binary, arguments);
        assert!(
            output.status.success(),
            "{binary} {arguments:?} ended with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `scheduler migrate`, agreed to.
    pub fn migrate(&self) {
        self.succeed("scheduler", &["migrate", "--yes"]);
    }

    /// `scheduler simulate`, deterministic.
    pub fn simulate(&self, day: &str, rows: u32, more: &[&str]) {
        let rows = rows.to_string();
        let mut arguments = vec!["simulate", "--day", day, "--rows", &rows, "--seed", "7"];
        arguments.extend(more);
        self.succeed("scheduler", &arguments);
    }

    /// What `worker predict` says with this plant's settings, by record id; of our own table, or a part of it.
    pub async fn predict(&self, from: &str) -> BTreeMap<u64, Value> {
        let sql = format!(
            "SELECT record_id, part_no, umax, imax, u_curve, i_curve FROM {from} ORDER BY record_id FORMAT JSONEachRow \
             SETTINGS output_format_json_quote_denormals = 0, output_format_json_quote_64bit_integers = 0"
        );
        let file = self.folder().join("welds.jsonl");
        std::fs::write(&file, self.clickhouse.execute(&sql).await).expect("write");
        let answers = self.succeed(
            "worker",
            &["predict", "--json", &file.display().to_string()],
        );
        let answers = answers.lines().map(parsed);
        answers
            .map(|answer| (answer["record_id"].as_u64().expect("id"), answer))
            .collect()
    }

    /// `scheduler backfill`, which must succeed; returns its standard output.
    pub fn backfill(&self, from: &str, to: &str, more: &[&str]) -> String {
        let arguments = [&["backfill", "--from", from, "--to", to], more].concat();
        self.succeed("scheduler", &arguments)
    }

    pub fn status(&self) -> Value {
        parsed(&self.succeed("scheduler", &["status", "--json"]))
    }

    /// The day so many days before today, in the time zone of the plant, YYYYMMDD.
    pub async fn day_before(&self, days: u32) -> String {
        let sql = format!("SELECT toYYYYMMDD(now('Asia/Shanghai') - INTERVAL {days} DAY)");
        self.clickhouse.value(&sql).await
    }

    /// The newest day of the source table.
    pub async fn newest_day(&self) -> String {
        self.clickhouse
            .value("SELECT max(data_date) FROM spot_records")
            .await
    }

    pub fn scheduler(&self) -> Process {
        self.scheduler_with(&[])
    }

    /// Starts `scheduler run` with environment variables of its own (fail points).
    pub fn scheduler_with(&self, environment: &[(&str, &str)]) -> Process {
        self.running("scheduler", environment)
    }

    pub fn worker(&self) -> Process {
        self.worker_with(&[])
    }

    /// Starts `worker run` with environment variables of its own (fail points).
    pub fn worker_with(&self, environment: &[(&str, &str)]) -> Process {
        self.running("worker", environment)
    }

    fn running(&self, binary: &str, environment: &[(&str, &str)]) -> Process {
        let mut command = self.command(binary, &["run", "--log-format", "json"]);
        command.envs(environment.iter().copied());
        Process::start(command, self.folder())
    }

    /// Changes the accounts of ClickHouse, which reads them when it starts.
    pub fn change_accounts(&self, change: impl FnOnce(&str) -> String) {
        let file = self.services.directory().join("clickhouse/users.xml");
        let before = std::fs::read_to_string(&file).expect("users.xml");
        let after = change(&before);
        assert_ne!(before, after, "nothing was changed in {before}");
        self.services.stop(Service::ClickHouse);
        std::fs::write(&file, after).expect("users.xml");
        self.services.start_again(Service::ClickHouse);
    }

    /// Waits until every row has a verdict or reason and nothing is outstanding in the queue.
    pub async fn done(&self, within: Duration) {
        self.judged(within).await;
        self.idle(within).await;
    }

    /// Waits until no row of the source table lacks a verdict or reason.
    pub async fn judged(&self, within: Duration) {
        self.judged_in("spot_records", within).await;
    }

    /// The same for a table of another name.
    pub async fn judged_in(&self, table: &str, within: Duration) {
        self.none_left(&format!("{table} WHERE"), within).await;
    }

    /// The same for one day.
    pub async fn judged_on(&self, day: &str, within: Duration) {
        self.none_left(&format!("spot_records WHERE data_date = {day} AND"), within)
            .await;
    }

    async fn none_left(&self, of: &str, within: Duration) {
        weldfleet_testkit::eventually("every row has a verdict or a reason", within, async || {
            let left = self
                .clickhouse
                .count(&format!("{of} alg_complete_time IS NULL"))
                .await;
            (left == 0).then_some(())
        })
        .await;
    }

    /// Waits until nothing is outstanding in the queue.
    pub async fn idle(&self, within: Duration) {
        weldfleet_testkit::eventually("the queue is empty", within, async || {
            for state in ["pending", "leased", "delayed", "splitting"] {
                if self.queue.count(state).await > 0 {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
}

/// What a program said in JSON.
pub fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Standard output and standard error.
pub fn all_of(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &output.stderr].concat()).into_owned()
}
