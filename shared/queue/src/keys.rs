//! Names of the keys. All of a queue's keys share its hash tag, hence one slot of a Cluster.

use crate::{Options, State};

/// Key names of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    base: String,
}

/// What a key of the queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SortedSet,
    Set,
    List,
    Hash,
    Text,
    /// A text that is a number.
    Number,
}

impl Kind {
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
pub(crate) const FIXED: &[(&str, Kind)] = &[
    ("pending", Kind::SortedSet),
    ("leased", Kind::SortedSet),
    ("delayed", Kind::SortedSet),
    ("splitting", Kind::SortedSet),
    ("dead", Kind::SortedSet),
    ("done", Kind::SortedSet),
    ("workers", Kind::SortedSet),
    ("groups", Kind::Set),
    ("wake", Kind::List),
    ("meta", Kind::Hash),
    ("counts", Kind::Hash),
    ("token", Kind::Number),
    ("born", Kind::Number),
    ("due", Kind::Number),
    ("activity", Kind::Number),
    ("hold_until", Kind::Number),
    ("finished", Kind::Text),
    ("leader", Kind::Text),
    ("paused", Kind::Text),
    ("owner", Kind::Text),
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

    /// What one worker holds, a text with one lease a line: job id, token and what an ack needs to know, parted by tabs.
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
