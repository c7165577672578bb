//! What a program needs and cannot reach: logged once when it begins and once when it ends, shown in between.

use std::time::Duration;

use metrics::gauge;

use crate::Health;

/// The names under which dependencies are told: in `/readyz`, in log lines and as
/// `weldfleet_dependency_up{dependency}`.
pub const REDIS: &str = "redis";
/// See [`REDIS`].
pub const CLICKHOUSE: &str = "clickhouse";

/// Time between two tries at a dependency that is away at start.
const AGAIN: Duration = Duration::from_millis(500);

/// Notes that a dependency does not work; logs it the first time.
pub fn begins(health: &Health, dependency: &'static str, reason: &str) {
    gauge!("weldfleet_dependency_up", "dependency" => dependency).set(0.0);
    if health.not_ready(dependency, reason) {
        tracing::warn!(dependency, reason, "waiting for a dependency");
    }
}

/// Notes that a dependency works; logs it if it did not before.
pub fn ends(health: &Health, dependency: &'static str) {
    gauge!("weldfleet_dependency_up", "dependency" => dependency).set(1.0);
    if health.ready(dependency) {
        tracing::info!(dependency, "works again");
    }
}

/// Nobody asks this dependency any more.
pub fn is_unknown(dependency: &'static str) {
    gauge!("weldfleet_dependency_up", "dependency" => dependency).set(f64::NAN);
}

/// Notes that a dependency does not work, and waits a moment before the next try.
pub async fn wait(health: &Health, dependency: &'static str, reason: &str) {
    begins(health, dependency, reason);
    tokio::time::sleep(AGAIN).await;
}
