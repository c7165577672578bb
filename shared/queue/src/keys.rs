//! Names of the keys. All of a queue's keys share its hash tag, hence one slot of a Cluster.

use crate::{Options, State};

/// Key names of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    base: String,
}

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
