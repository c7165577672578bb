//! Everything about a queue that can be chosen.

use std::time::Duration;

use weldfleet_tls::Tls;

use crate::{QueueError, RetryPolicy};

/// Whose a queue is. Stamped on the queue at its first use; whoever comes with another one is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// For people.
    pub name: String,
    /// What makes it out: one mark in common is the same owner.
    pub marks: Vec<String>,
}

impl Owner {
    /// A line for the name and one for each mark.
    pub(crate) fn text(&self) -> String {
        let lines = std::iter::once(&self.name).chain(&self.marks);
        let lines: Vec<String> = lines
            .map(|line| line.replace(char::is_control, " "))
            .collect();
        lines.join("\n")
    }
}

/// Settings of one queue. All processes of a fleet should use the same `prefix`, `queue`, `ttl` and retention.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where Redis is: `redis://` or `rediss://` with `[user:password@]host:port/db`; several comma-separated
    /// `host:port` are tried in turn. `redis+sentinel://host:port,host:port/<master>[/<db>]` asks Sentinel for the
    /// primary, with the same user and password if it wants some; `redis+cluster://host:port,host:port` finds the node
    /// that serves the queue's slot.
    pub url: String,
    /// Whom to trust and who we are, where `url` begins with `rediss`. Default: this machine's authorities.
    pub tls: Option<Tls>,
    /// First part of every key. Default `weldfleet`.
    pub prefix: String,
    /// Queue name; it is the hash tag, so a queue lives in one slot of a Cluster.
    pub queue: String,
    /// Whose the queue is. Default: nobody asks.
    pub owner: Option<Owner>,
    /// How long a lease lasts without renewal. Default 30 s, at least 100 ms.
    pub ttl: Duration,
    /// How often leases are renewed; at most `ttl / 3`. Default 10 s.
    pub renew_every: Duration,
    /// Claims after which a failing job is dead, for jobs that do not say otherwise. Default 5.
    pub max_attempts: u32,
    /// A handler that makes no [`progress`](crate::Lease::progress) for this long loses its lease. Default 10 min;
    /// `None` never.
    pub job_timeout: Option<Duration>,
    /// Delay before a failed job may run again.
    pub retry: RetryPolicy,
    /// Finished jobs kept for people to look at, by count. Default 10,000.
    pub retain_done: u64,
    /// Finished jobs kept for people to look at, by age. Default 24 h.
    pub retain_done_for: Duration,
    /// Name of the hash field that holds a job's [`weight`](crate::NewJob::weight). Default `weight`.
    pub weight_field: String,
    /// How often idle workers look although nobody woke them: each of a few, a large fleet together. Default 5 s. Due
    /// jobs and expired leases wake it earlier.
    pub idle_poll: Duration,
    /// How long a worker that says nothing stays listed. Default three times `ttl`, at least 10 s.
    pub worker_expiry: Option<Duration>,
    /// Time allowed for connecting. Default 2 s.
    pub connect_timeout: Duration,
    /// Time allowed for one reply. Default 2 s.
    pub response_timeout: Duration,
}

impl Options {
    /// Default settings for `queue` on the Redis at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>, queue: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tls: None,
            prefix: "weldfleet".to_owned(),
            queue: queue.into(),
            owner: None,
            ttl: Duration::from_secs(30),
            renew_every: Duration::from_secs(10),
            max_attempts: 5,
            job_timeout: Some(Duration::from_secs(600)),
            retry: RetryPolicy::default(),
            retain_done: 10_000,
            retain_done_for: Duration::from_secs(24 * 3600),
            weight_field: "weight".to_owned(),
            idle_poll: Duration::from_secs(5),
            worker_expiry: None,
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
        }
    }

    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// [`QueueError::Options`] naming the option, its value and what it should be.
    pub fn validate(&self) -> Result<(), QueueError> {
        let refuse = |text: String| Err(QueueError::Options(text));
        if self.queue.is_empty() || self.queue.contains(['{', '}']) {
            return refuse(format!(
                "queue = {:?}: must not be empty or contain braces",
                self.queue
            ));
        }
        if self.prefix.is_empty() || self.prefix.contains(['{', '}']) {
            return refuse(format!(
                "prefix = {:?}: must not be empty or contain braces",
                self.prefix
            ));
        }
        if let Some(owner) = &self.owner
            && (owner.marks.is_empty() || owner.marks.iter().any(String::is_empty))
        {
            return refuse(format!(
                "owner = {:?}: must have marks, none of them empty",
                owner.name
            ));
        }
        if self.ttl < Duration::from_millis(100) {
            return refuse(format!("ttl = {:?}: must be at least 100ms", self.ttl));
        }
        if self.renew_every.is_zero() || self.renew_every * 3 > self.ttl {
            return refuse(format!(
                "renew_every = {:?}: must be above 0 and at most a third of ttl = {:?}",
                self.renew_every, self.ttl
            ));
        }
        if self.max_attempts == 0 {
            return refuse("max_attempts = 0: must be at least 1".to_owned());
        }
        if crate::job::PROTOCOL_FIELDS.contains(&self.weight_field.as_str()) {
            return refuse(format!(
                "weight_field = {:?}: is a field of the protocol, choose another name",
                self.weight_field
            ));
        }
        self.retry.validate()
    }

    /// How long a silent worker stays listed.
    #[must_use]
    pub fn worker_expiry(&self) -> Duration {
        self.worker_expiry
            .unwrap_or_else(|| (self.ttl * 3).max(Duration::from_secs(10)))
    }
}
