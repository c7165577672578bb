//! A worker made by hand: claims like one, judges by marking every row `ok`, dies on request.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each suite uses its part; in a test a panic is the report"
)]

pub mod console;

use std::{path::PathBuf, process::Output, time::Duration};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use weldfleet_queue::{Job, LeaseRef, Options, Outcome, Queue, Settlement, State, WorkerId};
use weldfleet_settings::Settings;
use weldfleet_stores::{Range, clickhouse::SourceTable};
use weldfleet_tests::{Fleet, Process, Service, eventually};
use weldfleet_weld::Status;

/// Long enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// The day so many days before today, where the scheduler is.
#[expect(
    clippy::disallowed_methods,
    reason = "which day it is, the plant's calendar says"
)]
pub fn day_before(days: i64) -> String {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let day = Timestamp::now().to_zoned(zone).date() - days.days();
    day.strftime("%Y%m%d").to_string()
}

/// A scheduler that stops the first time it reaches the fail point, and the file that lets it go on.
pub fn stopping_at(fleet: &Fleet, point: &str) -> (Process, PathBuf) {
    let gate = fleet.folder().join("gate");
    let mut command = fleet.command("scheduler", &["run", "--log-format", "json"]);
    let armed = format!("{point}=1*return(wait:{})", gate.display());
    command.env("FAILPOINTS", armed);
    (Process::start(command, fleet.folder()), gate)
}

/// A scheduler that waits at the fail point whenever the file is not there; at first it is.
pub fn waiting_at(fleet: &Fleet, point: &str) -> (Process, PathBuf) {
    let gate = fleet.folder().join("gate");
    std::fs::write(&gate, "").unwrap();
    let mut command = fleet.command("scheduler", &["run", "--log-format", "json"]);
    let armed = format!("{point}=return(wait:{})", gate.display());
    command.env("FAILPOINTS", armed);
    (Process::start(command, fleet.folder()), gate)
}

/// Starts ClickHouse again with this in its configuration.
pub fn configure(fleet: &Fleet, xml: &str) {
    fleet.services.stop(Service::ClickHouse);
    let folder = fleet.services.directory().join("clickhouse/config.d");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("test.xml"),
        format!("<clickhouse>{xml}</clickhouse>"),
    )
    .unwrap();
    fleet.services.start_again(Service::ClickHouse);
}

/// Claims and judges without a model.
pub struct Hands {
    pub queue: Queue,
    pub table: SourceTable,
    pub worker: WorkerId,
}

impl Hands {
    /// For the fleet's services; its tables must exist. `ttl` must be the fleet's.
    pub async fn new(fleet: &Fleet, ttl: Duration) -> Self {
        let mut options = Options::new(fleet.services.url(Service::Redis), "infer");
        options.ttl = ttl;
        options.renew_every = ttl / 4;
        options.weight_field = "rows".to_owned();
        let url = fleet.services.url(Service::ClickHouse).to_owned();
        let settings =
            Settings::load_with(None, [("WELDFLEET__CLICKHOUSE__URL".to_owned(), url)]).unwrap();
        Self {
            queue: Queue::new(options).unwrap(),
            table: SourceTable::inspect(&settings).await.unwrap(),
            worker: WorkerId::unique("hands"),
        }
    }

    pub async fn claim(&self, most: u32) -> Vec<Job> {
        self.queue.claim(&self.worker, most).await.unwrap().jobs
    }

    /// Judges one job: all rows it wants are `ok`.
    pub async fn judge(&self, job: &Job) -> Outcome {
        self.judge_as(job, Status::Ok).await
    }

    async fn judge_as(&self, job: &Job, status: Status) -> Outcome {
        let range = range(job);
        self.table
            .mark(job.token, &job.id, &range, status, "")
            .await
            .unwrap();
        self.queue
            .settle(&lease(job), Settlement::ack())
            .await
            .unwrap()
    }

    /// Judges whatever comes until nothing is outstanding.
    pub async fn judge_all(&self) {
        self.judge_all_as(Status::Ok).await;
    }

    /// The same with a status that needs no verdict, so that the rows are counted as judged.
    pub async fn judge_all_as(&self, status: Status) {
        eventually("everything is judged", SOON, async || {
            for job in self.claim(10).await {
                self.judge_as(&job, status).await;
            }
            (self.outstanding().await == 0).then_some(())
        })
        .await;
    }

    pub async fn outstanding(&self) -> u64 {
        let stats = self.queue.stats().await.unwrap();
        let open = [
            State::Pending,
            State::Leased,
            State::Delayed,
            State::Splitting,
            State::Dead,
        ];
        open.into_iter().map(|state| stats.count(state)).sum()
    }

    /// All pending jobs, once they hold `rows` rows together.
    pub async fn pending_rows(&self, rows: u64) -> Vec<Job> {
        eventually(&format!("{rows} rows are pending"), SOON, async || {
            let jobs = self.queue.list(State::Pending, 0, 1000).await.unwrap().jobs;
            (jobs.iter().map(|job| job.weight).sum::<u64>() == rows).then_some(jobs)
        })
        .await
    }
}

pub fn lease(job: &Job) -> LeaseRef {
    LeaseRef {
        id: job.id.clone(),
        token: job.token,
    }
}

pub fn range(job: &Job) -> Range {
    weldfleet_fleet::range_of(job).unwrap()
}

pub fn ids(jobs: &[Job]) -> Vec<String> {
    let mut ids: Vec<String> = jobs.iter().map(|job| job.id.clone()).collect();
    ids.sort();
    ids
}

/// Exit code, standard output, standard error.
pub fn text(output: &Output) -> (i32, String, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
