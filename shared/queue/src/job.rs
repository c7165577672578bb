//! Jobs as the owner gives them and as Redis holds them.

use std::{fmt, str::FromStr, time::Duration};

/// The owner's own fields of a job, in the order given; opaque to the queue.
pub type Fields = Vec<(String, String)>;

/// Names in a job's hash that belong to the protocol; owners' fields must not use them.
pub const PROTOCOL_FIELDS: &[&str] = &[
    "state",
    "group",
    "priority",
    "attempts",
    "deaths",
    "isolated_deaths",
    "max_attempts",
    "worker",
    "token",
    "lease_until",
    "enqueued_at",
    "started_at",
    "finished_at",
    "not_before",
    "error",
    "history",
    "isolate",
    "isolated",
    "poison",
    "settled",
    "split_into",
    "parent",
];

/// Where a job is. The name is also that of the sorted set which lists it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Ready to be claimed.
    #[default]
    Pending,
    /// Held by a worker under a lease.
    Leased,
    /// Waits for its time (a retry).
    Delayed,
    /// Killed its worker while it ran isolated; its owner must split it.
    Splitting,
    /// Needs a person.
    Dead,
    /// Finished; kept for a while.
    Done,
}

impl State {
    /// In the order in which counts show them.
    pub const ALL: [State; 6] = [
        State::Pending,
        State::Leased,
        State::Delayed,
        State::Splitting,
        State::Dead,
        State::Done,
    ];

    /// The name used in keys and in the `state` field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Leased => "leased",
            State::Delayed => "delayed",
            State::Splitting => "splitting",
            State::Dead => "dead",
            State::Done => "done",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        State::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            format!("unknown state {text:?}: expected pending, leased, delayed, splitting, dead or done")
        })
    }
}

/// A job to be enqueued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewJob {
    /// Unique among outstanding jobs; filename-safe text that sorts by age. A job whose id is outstanding is not
    /// enqueued again.
    pub id: String,
    /// The plan it belongs to (any text); empty if the owner has no plans.
    pub group: String,
    /// Smaller is sooner, 0 to 99.
    pub priority: u8,
    /// How many units it could be split into. More than 1: after an isolated death it goes to `splitting`. 1: after two
    /// isolated deaths it goes to `splitting` marked `poison`. 0: nobody splits, after two isolated deaths it is dead.
    pub weight: u64,
    /// Wait this long before the first run.
    pub delay: Duration,
    /// Overrides [`Options::max_attempts`](crate::Options::max_attempts).
    pub max_attempts: Option<u32>,
    /// The owner's own fields.
    pub fields: Fields,
}

impl NewJob {
    /// A job of priority 0 that nobody splits, without fields.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// Sets the group.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Sets the priority, 0 (first) to 99.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the weight.
    #[must_use]
    pub fn weight(mut self, weight: u64) -> Self {
        self.weight = weight;
        self
    }

    /// Adds one field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}

/// A job as Redis holds it. Times are milliseconds of Redis time since 1970; 0 means "not yet".
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Job {
    /// Unique among outstanding jobs.
    pub id: String,
    /// Where it is.
    pub state: State,
    /// The plan it belongs to.
    pub group: String,
    /// Smaller is sooner.
    pub priority: u8,
    /// Units it could be split into.
    pub weight: u64,
    /// Claims so far; a release gives its one back.
    pub attempts: u32,
    /// Leases that ran out under it, isolated or not.
    pub deaths: u32,
    /// Leases that ran out while it was the only job of its worker.
    pub isolated_deaths: u32,
    /// Claims it may use up.
    pub max_attempts: u32,
    /// Who holds it, or held it last.
    pub worker: String,
    /// Token of its current or last lease, 0 if it was never claimed.
    pub token: u64,
    /// Deadline of the current lease.
    pub lease_until: u64,
    /// When it was enqueued.
    pub enqueued_at: u64,
    /// When it was claimed last.
    pub started_at: u64,
    /// When it was finished.
    pub finished_at: u64,
    /// Not before this time, for a delayed job.
    pub not_before: u64,
    /// Why it failed last; empty once it is requeued or done.
    pub error: String,
    /// What happened to it, oldest first, one line each, bounded; only failures are recorded.
    pub history: Vec<String>,
    /// It must run isolated: as the only job of its worker.
    pub isolate: bool,
    /// It cannot be split further and kills its worker.
    pub poison: bool,
    /// Job it was split from, empty if none.
    pub parent: String,
    /// What could not be read, field by field (somebody changed the record by hand); such a field has its default, and
    /// its text is among `fields`.
    pub unreadable: Vec<String>,
    /// All other fields: the owner's, and results given at ack.
    pub fields: Fields,
}

impl Job {
    /// One that nothing else is known of: for reading its record, and for tests.
    #[must_use]
    pub fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }

    /// Value of one of the owner's fields.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }
}
