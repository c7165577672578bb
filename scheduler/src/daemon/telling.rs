//! What the leader tells the fleet of itself beside its address, so that everybody who says why nothing moves knows
//! what the leader knows: why it is not ready, whether it can look after the mirror, and which rows come back without a
//! verdict.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use weldfleet_service::{Health, lock};

use super::outage::{CLICKHOUSE, REDIS};
use crate::status::causes::{AGAIN, MIRROR, UNREACHED};

/// Letters of a reason that are told; all of it is in `/readyz`.
const MOST: usize = 1000;
/// Not told: a pause is known to everybody without the leader, and its start is over once it leads.
const UNTOLD: [&str; 2] = ["paused", "start"];

/// What the tasks found out that [`Health`] has no place for.
#[derive(Debug, Default)]
pub struct Telling {
    /// Since when passes have not reached ClickHouse.
    unreached: Mutex<Option<Instant>>,
    /// Whether a day alone keeps the leader from being ready.
    day_fails: AtomicBool,
    /// Why the mirror is not looked after.
    mirror: Mutex<Option<String>>,
    /// Day and key of a row that comes back without a verdict.
    again: Mutex<Option<String>>,
}

impl Telling {
    /// Whether a pass has reached ClickHouse.
    pub fn reached(&self, reached: bool) {
        let mut unreached = lock(&self.unreached);
        match reached {
            true => *unreached = None,
            false => _ = unreached.get_or_insert_with(Instant::now),
        }
    }

    /// Whether the last pass failed at a day alone.
    pub fn day_fails(&self, fails: bool) {
        self.day_fails.store(fails, Ordering::Relaxed);
    }

    pub fn unreached_for(&self) -> Option<Duration> {
        lock(&self.unreached).map(|since| since.elapsed())
    }

    /// Why MySQL does not take the mirror; `None`: it does, or somebody else looks after it.
    pub fn mirror(&self, why: Option<String>) {
        *lock(&self.mirror) = why;
    }

    /// See [`crate::pass::Summary`]; answers whether that is news.
    pub fn again(&self, row: Option<String>) -> bool {
        let mut again = lock(&self.again);
        let is_news = row.is_some() && again.is_none();
        *again = row;
        is_news
    }

    /// `component: reason`, a line each. What was wrong with Redis is over where it can be told, if `redis_is_back`.
    pub fn lines(&self, health: &Health, redis_is_back: bool) -> Vec<String> {
        let is_unreached = lock(&self.unreached).is_some();
        let day_fails = self.day_fails.load(Ordering::Relaxed);
        let reasons = health.reasons().into_iter().filter(|reason| {
            !(UNTOLD.contains(&reason.component) || redis_is_back && reason.component == REDIS)
        });
        let own = reasons.map(|reason| match reason.component {
            CLICKHOUSE if is_unreached => (UNREACHED, reason.reason),
            CLICKHOUSE if day_fails => ("day", reason.reason),
            component => (component, reason.reason),
        });
        let mirror = lock(&self.mirror).clone().map(|why| (MIRROR, why));
        let again = lock(&self.again).clone().map(|row| (AGAIN, row));
        own.chain(mirror)
            .chain(again)
            .map(|(component, why)| {
                let why: String = why.chars().take(MOST).collect();
                format!("{component}: {why}")
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_leader_waits_for_is_told_and_neither_a_pause_nor_its_start() {
        let (telling, health) = (Telling::default(), Health::default());
        assert!(telling.lines(&health, false).is_empty());
        for component in ["paused", "start", "jobs", REDIS, CLICKHOUSE] {
            health.not_ready(component, "X");
        }
        assert_eq!(
            telling.lines(&health, false),
            ["clickhouse: X", "jobs: X", "redis: X"]
        );
        telling.reached(false);
        telling.mirror(Some("焊".repeat(MOST + 1)));
        let told = telling.lines(&health, true);
        assert_eq!(told[..2], ["clickhouse unreached: X", "jobs: X"]);
        assert_eq!(told[2], format!("mysql: {}", "焊".repeat(MOST)));
        telling.reached(true);
        telling.mirror(None);
        assert_eq!(telling.lines(&health, true), ["clickhouse: X", "jobs: X"]);
        telling.day_fails(true);
        assert_eq!(telling.lines(&health, true), ["day: X", "jobs: X"]);
        let row = || Some("20261122 t 7".to_owned());
        assert!(telling.again(row()) && !telling.again(row()), "told once");
        let told = telling.lines(&health, true);
        assert_eq!(told[2], "rows again: 20261122 t 7");
    }

    #[test]
    fn clickhouse_is_unreached_from_the_first_such_pass_to_one_that_reaches_it() {
        let telling = Telling::default();
        assert_eq!(telling.unreached_for(), None);
        telling.reached(false);
        let before = telling.unreached_for();
        telling.reached(false);
        assert!(before.is_some() && telling.unreached_for() >= before);
        telling.reached(true);
        assert_eq!(telling.unreached_for(), None);
    }
}
