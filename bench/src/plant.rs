//! A private plant: real services, tables, and the two programs.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use redis::AsyncCommands;
use serde_json::Value;
use tempfile::TempDir;
use weldfleet_settings::Settings;
use weldfleet_testkit::{
    Service, Services, onnxruntime_library, openvino_plugin, repository, without_configuration,
};

use crate::proc::{self, StoresCpu};

/// Services and settings; everything ends with it.
pub struct Plant {
    services: Services,
    pids: BTreeMap<Service, u32>,
    folder: TempDir,
    variables: BTreeMap<String, String>,
    http: reqwest::Client,
    redis: redis::aio::ConnectionManager,
}

impl Plant {
    /// Fresh services, tables made.
    pub async fn start() -> Result<Self> {
        let services = Services::start_all();
        let state = std::fs::read_to_string(services.directory().join("state.json"))?;
        let state: Value = serde_json::from_str(&state)?;
        let mut pids = BTreeMap::new();
        for service in Service::ALL {
            let pid = state[service.to_string()]["process"]["pid"]
                .as_u64()
                .context("pid of a service")?;
            pids.insert(service, u32::try_from(pid)?);
        }
        let redis = redis::Client::open(services.url(Service::Redis))?
            .get_connection_manager()
            .await?;
        let folder = tempfile::tempdir()?;
        let save_dir = folder.path().join("csv").display().to_string();
        let mut plant = Self {
            services,
            pids,
            folder,
            variables: BTreeMap::from([(
                "ORT_DYLIB_PATH".to_owned(),
                onnxruntime_library().display().to_string(),
            )]),
            http: reqwest::Client::new(),
            redis,
        };
        for service in Service::ALL {
            let url = plant.services.url(service).to_owned();
            plant.set(&format!("{service}.url"), &url);
        }
        for (key, value) in [
            ("scheduler.http", "127.0.0.1:0"),
            // a day is cut into jobs before anything is measured, however many they are
            ("scheduler.max_outstanding", "100000"),
            ("worker.http", "127.0.0.1:0"),
            ("worker.save_dir", &save_dir),
            ("model.provider", "auto"),
        ] {
            plant.set(key, value);
        }
        if let Some(plugin) = openvino_plugin() {
            plant.set("model.openvino_plugin", &plugin.display().to_string());
        }
        plant.run("scheduler", &["migrate"])?;
        // What was merged or replaced gives its room on the disk back at once, not after eight minutes.
        plant
            .sql("ALTER TABLE spot_records MODIFY SETTING old_parts_lifetime = 1")
            .await?;
        Ok(plant)
    }

    /// Changes a setting for programs started from now on.
    pub fn set(&mut self, key: &str, value: &str) {
        let variable = format!("WELDFLEET__{}", key.replace('.', "__").to_uppercase());
        self.set_variable(&variable, value);
    }

    /// Changes a variable in the environment of programs started from now on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The settings as this process reads them.
    pub fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::load(Some(&repository().join("config/weldfleet.toml")))?;
        settings.clickhouse.url = self.services.url(Service::ClickHouse).to_owned();
        Ok(settings)
    }

    /// Process id of a service.
    pub fn pid(&self, service: Service) -> u32 {
        self.pids[&service]
    }

    /// CPU time of the stores so far.
    pub fn stores_cpu(&self) -> Result<StoresCpu> {
        Ok(StoresCpu {
            clickhouse: proc::cpu(self.pid(Service::ClickHouse))?,
            redis: proc::cpu(self.pid(Service::Redis))?,
            mysql: proc::cpu(self.pid(Service::MySql))?,
        })
    }

    /// Where audit files go.
    pub fn save_dir(&self) -> PathBuf {
        self.folder.path().join("csv")
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Result<Command> {
        let own = std::env::current_exe()?;
        let path = own.parent().unwrap_or(Path::new(".")).join(program);
        ensure!(
            path.is_file(),
            "{} does not exist; `make bench` builds it",
            path.display()
        );
        let mut command = Command::new(path);
        without_configuration(&mut command)
            .envs(&self.variables)
            .current_dir(repository())
            .args(arguments)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a program to its end; it must succeed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program, arguments)?.output()?;
        if !output.status.success() {
            bail!(
                "{program} {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a program that runs until it is dropped.
    pub fn spawn(&self, program: &str, arguments: &[&str]) -> Result<Program> {
        let mut command = self.command(program, arguments)?;
        let number = std::fs::read_dir(self.folder.path())?.count();
        let log = self.folder.path().join(format!("{program}-{number}.log"));
        let child = command
            .args(["--log-format", "json"])
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Program {
            child,
            log,
            http: self.http.clone(),
        })
    }

    /// Runs a statement in ClickHouse and returns its answer.
    pub async fn sql(&self, sql: &str) -> Result<String> {
        let answer = self
            .http
            .post(self.services.url(Service::ClickHouse))
            .query(&[("database", "weld"), ("max_execution_time", "3600")])
            .body(sql.to_owned())
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{sql}\n{text}");
        Ok(text.trim_end().to_owned())
    }

    /// One number from ClickHouse.
    pub async fn number(&self, sql: &str) -> Result<f64> {
        let text = self.sql(sql).await?;
        text.parse()
            .with_context(|| format!("{sql}: `{text}` is no number"))
    }

    /// A stream of an answer's bytes, thrown away; how many there were.
    pub async fn discard(&self, sql: &str) -> Result<u64> {
        let mut answer = self
            .http
            .post(self.services.url(Service::ClickHouse))
            .query(&[("database", "weld"), ("max_threads", "1")])
            .body(sql.to_owned())
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{sql}: {}", answer.status());
        let mut bytes = 0;
        while let Some(chunk) = answer.chunk().await? {
            bytes += chunk.len() as u64;
        }
        Ok(bytes)
    }

    pub async fn jobs(&self, state: &str) -> Result<u64> {
        Ok(self
            .redis
            .clone()
            .zcard(format!("weldfleet:{{infer}}:{state}"))
            .await?)
    }

    /// When the first finished job was started and the last one ended, ms of Redis time.
    pub async fn span_of_done(&self) -> Result<(f64, f64)> {
        let done = self.done().await?;
        let first = done.iter().map(|job| job.started_at);
        let last = done.iter().map(|job| job.finished_at);
        Ok((
            first.fold(f64::INFINITY, f64::min),
            last.fold(0.0, f64::max),
        ))
    }

    /// Every finished job, by the moment it ended.
    pub async fn done(&self) -> Result<Vec<Done>> {
        let mut redis = self.redis.clone();
        let ids: Vec<String> = redis.zrange("weldfleet:{infer}:done", 0, -1).await?;
        let mut done = Vec::with_capacity(ids.len());
        for ids in ids.chunks(100) {
            let mut pipe = redis::pipe();
            for id in ids {
                pipe.hmget(
                    format!("weldfleet:{{infer}}:job:{id}"),
                    &["started_at", "finished_at", "rows"],
                );
            }
            let jobs: Vec<(f64, f64, u64)> = pipe.query_async(&mut redis).await?;
            done.extend(
                jobs.into_iter()
                    .map(|(started_at, finished_at, rows)| Done {
                        started_at,
                        finished_at,
                        rows,
                    }),
            );
        }
        done.sort_by(|one, other| one.finished_at.total_cmp(&other.finished_at));
        Ok(done)
    }

    /// Redis's clock, ms.
    pub async fn redis_time(&self) -> Result<f64> {
        let (seconds, micros): (f64, f64) = redis::cmd("TIME")
            .query_async(&mut self.redis.clone())
            .await?;
        Ok(seconds * 1e3 + micros / 1e3)
    }

    pub async fn redis_version(&self) -> Result<String> {
        let info: redis::InfoDict = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut self.redis.clone())
            .await?;
        info.get("redis_version").context("redis_version")
    }

    pub async fn flush(&self) -> Result<()> {
        redis::cmd("FLUSHALL")
            .exec_async(&mut self.redis.clone())
            .await?;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// When its last attempt began, ms of Redis time.
    pub started_at: f64,
    /// When it was acknowledged.
    pub finished_at: f64,
    /// Rows of its range.
    pub rows: u64,
}

/// A running program; killed when dropped.
pub struct Program {
    child: Child,
    log: PathBuf,
    http: reqwest::Client,
}

impl Program {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until a worker has seen that the fleet is paused.
    pub async fn sees_the_pause(&self) -> Result<()> {
        until(
            "the worker sees the pause",
            Duration::from_secs(60),
            Duration::from_millis(20),
            async || Ok(self.log().contains("fleet is paused")),
        )
        .await
        .with_context(|| self.log())
    }

    /// `/metrics`, read.
    pub async fn metrics(&self) -> Result<Metrics> {
        let log = self.log();
        let line = log
            .lines()
            .find(|line| line.contains("http listening"))
            .context("no http address in the log")?;
        let line: Value = serde_json::from_str(line)?;
        let address = line["address"].as_str().context("address")?;
        let text = self
            .http
            .get(format!("http://{address}/metrics"))
            .send()
            .await?
            .text()
            .await?;
        Ok(Metrics(text))
    }

    /// Stops it in order and waits for its end.
    pub async fn stop(mut self) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let deadline = Instant::now() + Duration::from_secs(70);
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "a program did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Metrics in Prometheus's text format.
pub struct Metrics(String);

impl Metrics {
    /// Sum of the series of this name whose line holds the label.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        self.0
            .lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
                    && line.contains(label)
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// Waits until a condition holds.
pub async fn until<Look, Answer>(
    what: &str,
    within: Duration,
    every: Duration,
    mut look: Look,
) -> Result<()>
where
    Look: FnMut() -> Answer,
    Answer: Future<Output = Result<bool>>,
{
    let deadline = Instant::now() + within;
    while !look().await? {
        ensure!(
            Instant::now() < deadline,
            "waited {within:?} in vain for: {what}"
        );
        tokio::time::sleep(every).await;
    }
    Ok(())
}
