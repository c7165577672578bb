//! Backfill runs, kept in ClickHouse so that they outlive who asked for them.
//!
//! A run's id is a number that reads as UTC time, `YYYYMMDDhhmmssSSS`, and is larger than every id
//! before it: the guard lets a later run overwrite an earlier one and never the other way round.

use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::Settings;

use super::{
    Server,
    quote::{literal, literals, qualified},
};
use crate::{
    commas,
    errors::StoreError,
    range::{Day, Selection},
};

/// The server's code for a column that a table does not have.
const UNKNOWN_IDENTIFIER: i32 = 47;

/// A run to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    pub from: Day,
    pub to: Day,
    pub selection: Selection,
    pub order: Order,
    /// What it is for.
    pub note: String,
    /// Who asks.
    pub by: String,
    /// Rows that it wants now, by day; days without any are not there.
    pub announced: Vec<(Day, u64)>,
}

/// Which day of a run comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Oldest,
    Newest,
}

impl Order {
    /// The text in `weld_runs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Newest => "newest",
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunState {
    /// Passes slice it.
    #[default]
    Open,
    /// Nobody works on it until it is resumed.
    Held,
    /// Nobody works on it any more.
    Cancelled,
    /// Nothing of it is left to do.
    Closed,
}

impl RunState {
    const ALL: [Self; 4] = [Self::Open, Self::Held, Self::Cancelled, Self::Closed];

    /// The text in `weld_runs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Held => "held",
            Self::Cancelled => "cancelled",
            Self::Closed => "closed",
        }
    }
}

/// What a person does to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Open or held, it ends unfinished.
    Cancel,
    /// Open, it waits.
    Hold,
    /// Held, it goes on.
    Resume,
}

impl Change {
    pub fn leads_to(self) -> RunState {
        match self {
            Self::Cancel => RunState::Cancelled,
            Self::Hold => RunState::Held,
            Self::Resume => RunState::Open,
        }
    }

    fn leads_from(self) -> &'static [RunState] {
        match self {
            Self::Cancel => &[RunState::Open, RunState::Held],
            Self::Hold => &[RunState::Open],
            Self::Resume => &[RunState::Held],
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub run: u64,
    pub from: Day,
    pub to: Day,
    pub selection: Selection,
    pub order: Order,
    pub state: RunState,
    /// When it was asked for, ms since 1970 by ClickHouse's clock.
    pub requested_ms: i64,
    /// When it was closed or cancelled, the same way.
    pub closed_ms: Option<i64>,
    /// What it is for.
    pub note: String,
    /// Who asked for it; empty of runs of earlier versions.
    pub by: String,
    /// Who held, cancelled, resumed or reordered it last; empty if nobody did.
    pub changed_by: String,
    pub changed_why: String,
    /// When it came into its state, ms since 1970 by ClickHouse's clock.
    pub since_ms: i64,
    /// Rows that it wanted when it was asked for, by day; empty of runs of earlier versions.
    pub announced: Vec<(Day, u64)>,
}

impl Run {
    /// Days whose rows it is to judge again, and their rows then: nothing else tells once they have left the table.
    /// What comes back to a run of new rows is without a verdict, and told as rows of older days.
    pub fn must_find(&self) -> &[(Day, u64)] {
        match self.selection {
            Selection::New => &[],
            Selection::Force | Selection::Status(_) => &self.announced,
        }
    }

    /// Its days, the first to be judged first.
    pub fn days(&self) -> Vec<Day> {
        let mut days: Vec<Day> = self.from.to(self.to).collect();
        if self.order == Order::Newest {
            days.reverse();
        }
        days
    }
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
    order: String,
    state: String,
    requested_ms: i64,
    closed_ms: Option<i64>,
    note: String,
    by: String,
    changed_by: String,
    changed_why: String,
    since_ms: i64,
    announced_days: Vec<u32>,
    announced_rows: Vec<u64>,
}

/// The state of a request that lost its id to another.
const VOID: &str = "void";
/// Columns that a new version of a run takes over from the one before.
const KEPT: &str = "run, request, `from`, `to`, force, status, requested_at, `order`, note, requested_by, announced";

const TRIES: u32 = 10;
/// Before the last of them.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a cancelled run is kept off the queue; leases and delays of its jobs end long before.
const REMEMBERED_DAYS: u32 = 7;

impl Runs {
    /// The configured server's runs.
    pub fn new(settings: &Settings) -> Self {
        Self::on(Server::new(&settings.clickhouse))
    }

    /// The runs of this server.
    pub fn on(server: Server) -> Self {
        let table = qualified(server.database(), "weld_runs");
        Self { server, table }
    }

    /// Records a run and returns its id.
    pub async fn insert(&self, run: &NewRun) -> Result<u64, StoreError> {
        // Two requests at one moment may get one id. Whoever looks second sees both, so who is alone keeps it, and
        // anybody else asks again, after a while of its own.
        for tries in 1..=TRIES {
            let request = uuid::Uuid::new_v4();
            let name = request.to_string();
            let id = self.record(run, &name).await?;
            let sql = format!(
                "SELECT count() FROM {} FINAL WHERE run = {id} AND state != 'void'",
                self.table
            );
            let of_one_id: u64 = self.server.one("read a run", &sql).await?;
            if of_one_id == 1 {
                return Ok(id);
            }
            let this = format!("AND request = {}", literal(&name));
            self.write_state(id, &[RunState::Open], VOID, &this, None)
                .await?;
            let share = u32::from(request.as_bytes()[0]);
            tokio::time::sleep(LONGEST_WAIT * share * tries / (u32::from(u8::MAX) * TRIES)).await;
        }
        Err(StoreError::refused(
            "record a run: its id was taken every time",
            "try again",
        ))
    }

    async fn record(&self, run: &NewRun, request: &str) -> Result<u64, StoreError> {
        let force = u8::from(run.selection == Selection::Force);
        let selection = run.selection.to_string();
        let status = selection.strip_prefix("status:").unwrap_or_default();
        let table = &self.table;
        let (days, rows): (Vec<Day>, Vec<u64>) = run.announced.iter().copied().unzip();
        let request = literal(request);
        let sql = format!(
            "INSERT INTO {table} (run, request, `from`, `to`, force, status, state, requested_at, version, `order`, note, requested_by, announced) \
             WITH now64(3, 'UTC') AS at SELECT greatest((SELECT max(run) + 1 FROM {table}), \
             toUInt64(toYYYYMMDDhhmmss(at)) * 1000 + toUInt64(toUnixTimestamp64Milli(at) % 1000)), \
             {request}, {from}, {to}, {force}, {status}, 'open', at, toUInt64(toUnixTimestamp64Micro(now64(6))), \
             {order}, {note}, {by}, \
             mapFromArrays(CAST([{days}], 'Array(UInt32)'), CAST([{rows}], 'Array(UInt64)'))",
            from = run.from,
            to = run.to,
            status = literal(status),
            order = literal(run.order.name()),
            note = literal(&run.note),
            by = literal(&run.by),
            days = commas(days),
            rows = commas(rows),
        );
        self.server.execute("record a run", &sql).await?;
        let sql = format!("SELECT run FROM {table} WHERE request = {request} LIMIT 1");
        self.server.one("read a run", &sql).await
    }

    /// Runs that a pass must know: open ones to slice them, held and lately cancelled ones to keep them off the queue.
    /// Oldest first.
    pub async fn for_pass(&self) -> Result<Vec<Run>, StoreError> {
        self.read(&format!(
            "(state IN ('open', 'held') OR state = 'cancelled' AND closed_at > now64(3) - INTERVAL {REMEMBERED_DAYS} DAY) ORDER BY run"
        ))
        .await
    }

    /// The latest runs, newest first.
    pub async fn list(&self, limit: u32) -> Result<Vec<Run>, StoreError> {
        self.read(&format!("state != 'void' ORDER BY run DESC LIMIT {limit}"))
            .await
    }

    pub async fn get(&self, run: u64) -> Result<Option<Run>, StoreError> {
        let filter = format!("run = {run} AND state != 'void'");
        Ok(self.read(&filter).await?.into_iter().next())
    }

    /// Closes a run; closing it again changes nothing.
    pub async fn close(&self, run: u64) -> Result<(), StoreError> {
        self.write_state(run, &[RunState::Open], RunState::Closed.name(), "", None)
            .await
    }

    /// Does what a person wants with a run, if its state allows it. Returns the run after that; `None` if there is
    /// none.
    pub async fn change(
        &self,
        run: u64,
        change: Change,
        by: &str,
        why: &str,
    ) -> Result<Option<Run>, StoreError> {
        let to = change.leads_to().name();
        self.write_state(run, change.leads_from(), to, "", Some((by, why)))
            .await?;
        self.get(run).await
    }

    /// Gives a run that is open or held another order of days. Returns the run after that; `None` if there is none.
    pub async fn reorder(
        &self,
        run: u64,
        order: Order,
        by: &str,
        why: &str,
    ) -> Result<Option<Run>, StoreError> {
        let table = &self.table;
        let order = literal(order.name());
        let [open, held] = [RunState::Open, RunState::Held].map(|state| literal(state.name()));
        // A version of now would undo a cancel of this moment, whose row this one has not seen. Who holds a run, and
        // why, is told as long as it is held.
        let sql = format!(
            "INSERT INTO {table} ({KEPT}, state, closed_at, version, changed_by, changed_why) \
             SELECT {kept}, state, closed_at, version + 1, if(state = {held}, changed_by, {by}), \
             if(state = {held}, changed_why, {why}) FROM {table} FINAL \
             WHERE run = {run} AND state IN ({open}, {held}) AND toString(`order`) != {order}",
            kept = KEPT.replace("`order`", &order),
            by = literal(by),
            why = literal(why),
        );
        self.server.execute("change a run's order", &sql).await?;
        self.get(run).await
    }

    /// `changed`: who, and why; of a change that nobody made, what was there stays.
    async fn write_state(
        &self,
        run: u64,
        from: &[RunState],
        to: &str,
        condition: &str,
        changed: Option<(&str, &str)>,
    ) -> Result<(), StoreError> {
        let table = &self.table;
        let changed = changed.map_or_else(
            || "changed_by, changed_why".to_owned(),
            |(by, why)| format!("{}, {}", literal(by), literal(why)),
        );
        let ends = to != RunState::Open.name() && to != RunState::Held.name();
        let sql = format!(
            "INSERT INTO {table} ({KEPT}, state, closed_at, version, changed_by, changed_why) \
             SELECT {KEPT}, {to}, {closed_at}, greatest(version + 1, toUInt64(toUnixTimestamp64Micro(now64(6)))), {changed} \
             FROM {table} FINAL WHERE run = {run} AND state IN ({from}) {condition}",
            to = literal(to),
            closed_at = if ends { "now64(3)" } else { "NULL" },
            from = literals(from.iter().map(|state| state.name())),
        );
        self.server.execute("change a run's state", &sql).await
    }

    async fn read(&self, filter: &str) -> Result<Vec<Run>, StoreError> {
        let known = "mapKeys(announced) AS announced_days, mapValues(announced) AS announced_rows";
        let rows = match self.rows(known, filter).await {
            // The table is of an earlier version: live days need not wait for `migrate`.
            Err(StoreError::ClickHouse {
                code: Some(UNKNOWN_IDENTIFIER),
                ..
            }) => {
                let unknown = "CAST([], 'Array(UInt32)') AS announced_days, CAST([], 'Array(UInt64)') AS announced_rows";
                self.rows(unknown, filter).await
            }
            rows => rows,
        };
        rows?.into_iter().map(Run::from_row).collect()
    }

    async fn rows(&self, announced: &str, filter: &str) -> Result<Vec<RunRow>, StoreError> {
        let sql = format!(
            "SELECT run, `from`, `to`, force, status, toString(`order`) AS `order`, toString(state) AS state, \
             toUnixTimestamp64Milli(requested_at) AS requested_ms, \
             if(closed_at IS NULL, NULL, toUnixTimestamp64Milli(assumeNotNull(closed_at))) AS closed_ms, \
             note, requested_by AS `by`, changed_by, changed_why, toInt64(intDiv(version, 1000)) AS since_ms, {announced} \
             FROM {} FINAL WHERE {filter}",
            self.table
        );
        self.server.all("read runs", &sql).await
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
        let mut states = RunState::ALL.into_iter();
        let state = states.find(|state| state.name() == row.state);
        let state = state.ok_or_else(|| wrong(format!("state `{}`", row.state)))?;
        // A run of an earlier version has none.
        let order = [Order::Oldest, Order::Newest]
            .into_iter()
            .find(|order| order.name() == row.order);
        let announced = row.announced_days.into_iter().zip(row.announced_rows);
        Ok(Self {
            announced: announced
                .filter_map(|(day, rows)| Some((Day::new(day).ok()?, rows)))
                .collect(),
            run: row.run,
            from: Day::new(row.from).map_err(|error| wrong(error.to_string()))?,
            to: Day::new(row.to).map_err(|error| wrong(error.to_string()))?,
            selection,
            order: order.unwrap_or_default(),
            state,
            requested_ms: row.requested_ms,
            closed_ms: row.closed_ms,
            note: row.note,
            by: row.by,
            changed_by: row.changed_by,
            changed_why: row.changed_why,
            since_ms: row.since_ms,
        })
    }
}
