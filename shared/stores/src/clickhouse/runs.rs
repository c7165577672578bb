//! Backfill runs, kept in ClickHouse so that they outlive who asked for them.
//!
//! A run's id is a number that reads as UTC time, `YYYYMMDDhhmmssSSS`, and is larger than every id
//! before it: the guard lets a later run overwrite an earlier one and never the other way round.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::Settings;

use super::{
    Server,
    quote::{list, literal, qualified},
};
use crate::{
    errors::StoreError,
    range::{Day, Selection},
};

/// A run to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    pub from: Day,
    pub to: Day,
    /// Which rows.
    pub selection: Selection,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Passes slice it.
    Open,
    /// Nothing of it is left to do.
    Closed,
}

impl RunState {
    /// The text in `weld_runs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub run: u64,
    pub from: Day,
    pub to: Day,
    /// Which rows.
    pub selection: Selection,
    /// Where it stands.
    pub state: RunState,
    /// When it was asked for, ms since 1970 by ClickHouse's clock.
    pub requested_ms: i64,
    /// When it was closed, the same way.
    pub closed_ms: Option<i64>,
}

/// The table of runs. Cheap to clone.
#[derive(Clone)]
pub struct Runs {
    server: Server,
    table: String,
}

#[derive(Row, Deserialize)]
struct RunRow {
    run: u64,
    from: u32,
    to: u32,
    force: u8,
    status: String,
    state: String,
    requested_ms: i64,
    closed_ms: Option<i64>,
}

const TRIES: usize = 10;

impl Runs {
    /// The configured server's runs.
    pub fn new(settings: &Settings) -> Self {
        let server = Server::new(&settings.clickhouse);
        let table = qualified(server.database(), "weld_runs");
        Self { server, table }
    }

    /// Records a run and returns its id.
    pub async fn insert(&self, run: &NewRun) -> Result<u64, StoreError> {
        // Two requests at one moment may get one id: the smaller request keeps it, the other asks again.
        for _ in 0..TRIES {
            let request = uuid::Uuid::new_v4().to_string();
            let id = self.record(run, &request).await?;
            let smallest: String = self
                .server
                .one(
                    "read a run",
                    &format!(
                        "SELECT min(request) FROM {} FINAL WHERE run = {id} AND state != 'void'",
                        self.table
                    ),
                )
                .await?;
            if smallest == request {
                return Ok(id);
            }
            self.set_state(id, Some(&request), "void").await?;
        }
        Err(StoreError::refused(
            "record a run: its id was taken every time",
            "try again",
        ))
    }

    async fn record(&self, run: &NewRun, request: &str) -> Result<u64, StoreError> {
        let (force, status) = match &run.selection {
            Selection::New => (0, String::new()),
            Selection::Force => (1, String::new()),
            Selection::Status(statuses) => (
                0,
                statuses
                    .iter()
                    .map(|status| status.as_str())
                    .collect::<Vec<_>>()
                    .join(","),
            ),
        };
        let table = &self.table;
        self.server
            .execute(
                "record a run",
                &format!(
                    "INSERT INTO {table} (run, request, `from`, `to`, force, status, state, requested_at, version) \
                     WITH now64(3, 'UTC') AS at SELECT greatest((SELECT max(run) + 1 FROM {table}), \
                     toUInt64(toYYYYMMDDhhmmss(at)) * 1000 + toUInt64(toUnixTimestamp64Milli(at) % 1000)), \
                     {request}, {from}, {to}, {force}, {status}, 'open', at, toUInt64(toUnixTimestamp64Micro(now64(6)))",
                    request = literal(request),
                    from = run.from,
                    to = run.to,
                    status = literal(&status),
                ),
            )
            .await?;
        self.server
            .one(
                "read a run",
                &format!(
                    "SELECT run FROM {table} WHERE request = {} LIMIT 1",
                    literal(request)
                ),
            )
            .await
    }

    /// Runs that passes have to slice, oldest first.
    pub async fn open(&self) -> Result<Vec<Run>, StoreError> {
        self.read("state = 'open' ORDER BY run").await
    }

    /// The latest runs, newest first.
    pub async fn list(&self, limit: u32) -> Result<Vec<Run>, StoreError> {
        self.read(&format!("state != 'void' ORDER BY run DESC LIMIT {limit}"))
            .await
    }

    pub async fn get(&self, run: u64) -> Result<Option<Run>, StoreError> {
        Ok(self
            .read(&format!("run = {run} AND state != 'void'"))
            .await?
            .into_iter()
            .next())
    }

    /// Closes a run; closing it again changes nothing.
    pub async fn close(&self, run: u64) -> Result<(), StoreError> {
        self.set_state(run, None, "closed").await
    }

    async fn set_state(
        &self,
        run: u64,
        request: Option<&str>,
        state: &str,
    ) -> Result<(), StoreError> {
        let table = &self.table;
        let who = request.map_or(String::new(), |request| {
            format!("AND request = {}", literal(request))
        });
        self.server
            .execute(
                "change a run's state",
                &format!(
                    "INSERT INTO {table} (run, request, `from`, `to`, force, status, state, requested_at, closed_at, version) \
                     SELECT run, request, `from`, `to`, force, status, {}, requested_at, now64(3), \
                     greatest(version + 1, toUInt64(toUnixTimestamp64Micro(now64(6)))) \
                     FROM {table} FINAL WHERE run IN ({}) AND state = 'open' {who}",
                    literal(state),
                    list([run]),
                ),
            )
            .await
    }

    async fn read(&self, filter: &str) -> Result<Vec<Run>, StoreError> {
        let rows: Vec<RunRow> = self
            .server
            .all(
                "read runs",
                &format!(
                    "SELECT run, `from`, `to`, force, status, toString(state) AS state, \
                     toUnixTimestamp64Milli(requested_at) AS requested_ms, \
                     if(closed_at IS NULL, NULL, toUnixTimestamp64Milli(assumeNotNull(closed_at))) AS closed_ms \
                     FROM {} FINAL WHERE {filter}",
                    self.table
                ),
            )
            .await?;
        rows.into_iter().map(Run::from_row).collect()
    }
}

impl Run {
    fn from_row(row: RunRow) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::answer(format!("run {}", row.run), why);
        let selection = match (row.force, row.status.as_str()) {
            (0, "") => Selection::New,
            (0, status) => format!("status:{status}")
                .parse()
                .map_err(|error: crate::RangeError| wrong(error.to_string()))?,
            _ => Selection::Force,
        };
        let state = match row.state.as_str() {
            "open" => RunState::Open,
            "closed" => RunState::Closed,
            other => return Err(wrong(format!("state `{other}`"))),
        };
        Ok(Self {
            run: row.run,
            from: Day::new(row.from).map_err(|error| wrong(error.to_string()))?,
            to: Day::new(row.to).map_err(|error| wrong(error.to_string()))?,
            selection,
            state,
            requested_ms: row.requested_ms,
            closed_ms: row.closed_ms,
        })
    }
}
