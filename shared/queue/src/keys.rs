//! Names of the keys. All of a queue's keys share its hash tag, hence one slot of a Cluster.

use crate::{Options, State};

/// Key names of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    base: String,
}

/// What a key of the queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyType {
    SortedSet,
    Set,
    List,
    Hash,
    Text,
    /// A text that is a number.
    Number,
}

impl KeyType {
    /// What `TYPE` says of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SortedSet => "zset",
            Self::Set => "set",
            Self::List => "list",
            Self::Hash => "hash",
            Self::Text | Self::Number => "string",
        }
    }
}

/// The keys that scripts cannot do without, and what each must hold.
pub(crate) const FIXED: &[(&str, KeyType)] = &[
    ("pending", KeyType::SortedSet),
    ("leased", KeyType::SortedSet),
    ("delayed", KeyType::SortedSet),
    ("splitting", KeyType::SortedSet),
    ("dead", KeyType::SortedSet),
    ("done", KeyType::SortedSet),
    ("workers", KeyType::SortedSet),
    ("groups", KeyType::Set),
    ("wake", KeyType::List),
    ("meta", KeyType::Hash),
    ("counts", KeyType::Hash),
    ("candidates", KeyType::Hash),
    ("token", KeyType::Number),
    ("born", KeyType::Number),
    ("due", KeyType::Number),
    ("activity", KeyType::Number),
    ("hold_until", KeyType::Number),
    ("leader", KeyType::Text),
    ("paused", KeyType::Text),
    ("owner", KeyType::Text),
];

impl Keys {
    /// Key names for `options`.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            base: format!("{}:{{{}}}:", options.prefix, options.queue),
        }
    }

    /// What every key begins with, e.g. `weldfleet:{infer}:`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The key of this queue called `name`, e.g. `paused`.
    #[must_use]
    pub fn named(&self, name: &str) -> String {
        format!("{}{name}", self.base)
    }

    /// The sorted set that lists the jobs in `state`.
    #[must_use]
    pub fn state(&self, state: State) -> String {
        self.named(state.as_str())
    }

    /// The hash of one job.
    #[must_use]
    pub fn job(&self, id: &str) -> String {
        format!("{}job:{id}", self.base)
    }

    /// The hash of one worker.
    #[must_use]
    pub fn worker(&self, id: &str) -> String {
        format!("{}worker:{id}", self.base)
    }

    /// What one worker holds, a hash: the token of each lease by job id.
    #[must_use]
    pub fn worker_leases(&self, id: &str) -> String {
        format!("{}worker:{id}:leases", self.base)
    }

    /// The version of a group's plan.
    #[must_use]
    pub fn plan(&self, group: &str) -> String {
        format!("{}plan:{group}", self.base)
    }

    /// The set of a group's outstanding jobs.
    #[must_use]
    pub fn outstanding(&self, group: &str) -> String {
        format!("{}outstanding:{group}", self.base)
    }
}
