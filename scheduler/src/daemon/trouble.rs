//! Outages: one line when one begins, one when it ends, and how long to wait in between.

use std::time::Duration;

use weldfleet_queue::QueueError;
use weldfleet_stores::StoreError;
use weldfleet_telemetry::{Health, metrics::gauge};

use crate::{parts, pass::PassError};

/// The parts that can be away.
pub const REDIS: &str = "redis";
pub const CLICKHOUSE: &str = "clickhouse";

/// Notes that a part does not work; logs it the first time.
pub fn note(health: &Health, part: &'static str, reason: &str) {
    gauge!("weldfleet_dependency_up", "dependency" => part).set(0.0);
    health.ready("start");
    if health.not_ready(part, reason) {
        tracing::warn!(part, reason, "waiting for it to work again");
    }
}

/// Notes that a part works; logs it if it did not before.
pub fn works(health: &Health, part: &'static str) {
    gauge!("weldfleet_dependency_up", "dependency" => part).set(1.0);
    if health.ready(part) {
        tracing::info!(part, "works again");
    }
}

/// Which part an error of a pass comes from, and the error in one line.
pub fn of_pass(error: &PassError) -> (&'static str, String) {
    match error {
        PassError::Queue(error) => (REDIS, of_queue(error)),
        PassError::Store(error) => (CLICKHOUSE, of_store(error)),
    }
}

/// An error of the queue in one line.
pub fn of_queue(error: &QueueError) -> String {
    parts::chain(error)
}

/// An error of a store in one line.
pub fn of_store(error: &StoreError) -> String {
    error.chain_and_remedy()
}

/// Waiting times that double from 250 ms to 5 s.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let wait = Duration::from_millis(250) * 2_u32.pow(self.failures.min(5));
        self.failures += 1;
        wait.min(Duration::from_secs(5))
    }

    /// It worked.
    pub fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_and_longer_but_never_long() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.failed().as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        backoff.worked();
        assert_eq!(backoff.failed(), Duration::from_millis(250));
    }
}
