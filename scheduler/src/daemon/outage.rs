//! Outages as the daemon tells them: whose an error is, and the error in one line with what to do.

pub use weldfleet_service::{
    Backoff,
    outage::{CLICKHOUSE, REDIS, ends, is_unknown},
};
use weldfleet_service::{Health, exit::causes, outage};
use weldfleet_stores::StoreError;

use crate::dependencies::DependencyError;

/// Notes that a dependency does not work; what it says is more than that nothing was reached yet.
pub fn begins(health: &Health, dependency: &'static str, reason: &str) {
    health.ready("start");
    outage::begins(health, dependency, reason);
}

/// What is wrong with a store, and what to do.
pub fn advice(error: &StoreError) -> String {
    let mut text = error.chain_and_remedy();
    // No such table, no such database.
    let missing = matches!(
        error,
        StoreError::ClickHouse {
            code: Some(60 | 81),
            ..
        }
    );
    if missing && !text.contains("`scheduler migrate`") {
        text.push_str("; `scheduler migrate` creates and upgrades the tables");
    }
    text
}

/// Which dependency an error of a pass comes from, and the error in one line.
pub fn of_pass(error: &DependencyError) -> (&'static str, String) {
    match error {
        DependencyError::Queue(error) => (REDIS, causes(error)),
        DependencyError::Store(error) => (CLICKHOUSE, error.chain_and_remedy()),
    }
}

/// ClickHouse was not reached, or did not answer: another host may do better. Where it answers, it answers all alike.
pub fn is_out_of_reach(error: &StoreError) -> bool {
    let unanswered = matches!(
        error,
        StoreError::ClickHouseSilent { .. } | StoreError::ClickHouse { code: None, .. }
    );
    unanswered && error.is_outage()
}
