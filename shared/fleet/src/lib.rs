//! What scheduler and worker must agree on, made from the settings in one place.
//!
//! # Layout
//! - [`queue_options`]: the queue both speak to; [`owner`]: whose it is, [`owned`]: for that owner;
//! - [`job`]: a range as a job, [`range_of`]: the range of a job; [`unreadable`]: what is said of rows that cannot be
//!   read;
//! - [`LEADER_TTL`], [`LEADER_RENEWS_EVERY`]: how long one scheduler leads;
//! - [`DayGroup`]: the jobs of one day of one run;
//! - [`queue_failure`], [`store_failure`]: with which exit code and words a program ends for its queue, for a store;
//! - [`breaker_limits`]: when the fleet stops itself;
//! - [`DayArg`]: a day on the command line, [`today`]: which one it is in the plant;
//! - [`SettingsDigest`]: what all processes of a fleet must have alike in their settings;
//! - [`judging`]: the judge as the settings have it.
//!
//! What must never live here: behaviour of either binary.

mod day_arg;
mod day_group;
pub mod judging;
pub mod settings_digest;

use std::time::Duration;

use weldfleet_breaker::Limits;
use weldfleet_queue::{Job, NewJob, Options, Owner, Queue, QueueError};
use weldfleet_service::{Exit, Failure, exit::chain};
use weldfleet_settings::{Settings, secret::without_credentials};
use weldfleet_stores::{KeyOrder, Range, RangeError, StoreError, clickhouse::Server};

pub use day_arg::{DayArg, plant_time, today};
pub use day_group::{DayGroup, NoDayGroup};
pub use settings_digest::SettingsDigest;

/// How long leadership lasts without renewal: what a standby waits for after a leader was killed.
pub const LEADER_TTL: Duration = Duration::from_secs(10);
/// So often that others notice soon that the leader is silent.
pub const LEADER_RENEWS_EVERY: Duration = Duration::from_secs(1);

/// The field of a job that holds its rows; the queue keeps it as the job's weight.
const ROWS: &str = "rows";

/// The queue of the configured name, its leases and retries.
pub fn queue_options(settings: &Settings) -> Options {
    let mut options = Options::new(settings.redis.url.expose(), &settings.redis.queue);
    options.tls = settings.redis.tls.clone();
    options.ttl = settings.lease.ttl;
    options.renew_every = settings.lease.renew_every;
    options.max_attempts = settings.lease.max_attempts;
    options.job_timeout = Some(settings.lease.job_timeout);
    options.weight_field = ROWS.to_owned();
    options
}

/// How long ClickHouse is waited for to say which table this is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose the configured queue is: the plant's table. `None` if there is no such table yet, or nothing makes it out.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn owner(settings: &Settings) -> Result<Option<Owner>, StoreError> {
    let server = Server::new(&settings.clickhouse).with_patience(PATIENCE);
    let table = &settings.tables.source_table;
    let marks = server.table_marks(table).await?.unwrap_or_default();
    let name = format!(
        "{}.{table} at {}",
        settings.clickhouse.database,
        without_credentials(&settings.clickhouse.url)
    );
    Ok((!marks.is_empty()).then_some(Owner { name, marks }))
}

/// The queue as [`owner`]'s; as it is if there is none. An error of the queue is one of its options.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn owned(
    queue: Queue,
    settings: &Settings,
) -> Result<Result<Queue, QueueError>, StoreError> {
    let owner = owner(settings).await?;
    Ok(owner.map_or_else(|| Ok(queue.clone()), |owner| queue.owned_by(owner)))
}

/// What to do when the queue is another fleet's.
const FOREIGN_REMEDY: &str = "two fleets with one queue would take each other's jobs: name another redis.queue for this one; if the table of that fleet is this one \
     (it was moved, or restored onto another server), stop everything that uses the queue and run `scheduler jobs take-queue`";

/// Exit code 2 when the queue is another fleet's or an option is wrong, 3 when Redis is away or refuses writes, else 1.
pub fn queue_failure(error: QueueError) -> Failure {
    match error {
        QueueError::Options(problem) if problem.starts_with("url") => {
            Failure::usage(format!("redis.{problem}"))
        }
        QueueError::Options(_) => Failure::usage(error),
        QueueError::Foreign { .. } => {
            Failure::usage(format!("redis.queue: {error}; {FOREIGN_REMEDY}"))
        }
        error => {
            let exit = match error.is_outage() && !error.is_denied() {
                true => Exit::Unreachable,
                false => Exit::Failed,
            };
            Failure::new(exit, anyhow::Error::new(error).context("redis.url"))
        }
    }
}

/// Exit code 3 when the store is away, else 1.
pub fn store_failure(error: StoreError) -> Failure {
    let exit = match error.is_outage() {
        true => Exit::Unreachable,
        false => Exit::Failed,
    };
    Failure::new(exit, error)
}

/// The failure as a program ends with it: a store's says what a person can do about it, if that is not to call the
/// program again in the same way (`itself`).
#[must_use]
pub fn with_store_remedy(mut failure: Failure, itself: Option<&str>) -> Failure {
    let store = failure.error.downcast_ref::<StoreError>();
    if let Some(remedy) = store.and_then(StoreError::remedy) {
        let said = chain(&failure.error);
        if !said.contains(remedy) && itself.is_none_or(|itself| !remedy.contains(itself)) {
            failure.error = anyhow::anyhow!("{said}; {remedy}");
        }
    }
    failure
}

/// Why a job names no rows.
#[derive(Debug)]
pub enum BadJob {
    /// Its record cannot be read.
    Unreadable(String),
    /// A field is missing or wrong: it was not made by this product's scheduler.
    Range(RangeError),
}

impl std::fmt::Display for BadJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(what) => write!(f, "its record was changed: {what}"),
            Self::Range(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BadJob {}

/// A range as a job, which is named so that it sorts by day, run and place: the time of its first weld, or, along a
/// sorting key, when it was cut. [`range_of`] reads it back.
pub fn job(range: &Range) -> NewJob {
    let place = match range.keys().order() {
        KeyOrder::Time => {
            let random = uuid::Uuid::new_v4().simple().to_string();
            format!("{}-{}", range.from.ticks, &random[..8])
        }
        KeyOrder::SortingKey => uuid::Uuid::now_v7().simple().to_string(),
    };
    let id = format!("{}-{}-{place}", range.day, range.run);
    let mut job = NewJob::new(id).weight(range.rows);
    for (name, value) in range.encode() {
        if name != ROWS {
            job = job.field(name, value);
        }
    }
    job
}

/// The rows a job names.
///
/// # Errors
/// If a field is missing or wrong.
pub fn range_of(job: &Job) -> Result<Range, BadJob> {
    if !job.unreadable.is_empty() {
        return Err(BadJob::Unreadable(job.unreadable.join(", ")));
    }
    let rows = job.weight.to_string();
    Range::decode(|name| match name {
        ROWS => Some(rows.as_str()),
        _ => job.get(name),
    })
    .map_err(BadJob::Range)
}

/// How the error of a job begins, and later the reason of its row, when a row of it cannot be read.
pub const UNREADABLE: &str = "unreadable: ";

/// The error of a job that is to be split until the row stands alone that cannot be read; then that row's reason.
pub fn unreadable(words: &str) -> String {
    format!("{UNREADABLE}{words}")
}

/// When the fleet stops itself.
pub fn breaker_limits(settings: &Settings) -> Limits {
    Limits {
        invalid_share: settings.breaker.invalid_share,
        over_ranges: settings.breaker.over_ranges,
        over_rows: weldfleet_breaker::least_rows(
            settings.breaker.over_ranges,
            settings.scheduler.batch_size,
        ),
        same_verdict_rows: settings.breaker.same_verdict_rows,
    }
}
