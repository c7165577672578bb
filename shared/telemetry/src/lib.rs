//! How a running binary is seen from outside.
//!
//! # Layout
//! - [`logs`]: tracing to standard error, text or JSON, level from `RUST_LOG`;
//! - [`health`]: what the process waits for, with reasons: the source of `/readyz`;
//! - [`http`]: the face: `GET /`, `/healthz`, `/readyz`, `/metrics`, and whatever a binary adds;
//! - [`server`]: serves the face so that no client can hold the process up;
//! - metrics go through the `metrics` facade, named `weldfleet_*` with units in the name.
//!
//! What must never live here: knowledge of welds, queues or stores.

pub mod health;
pub mod http;
pub mod logs;
pub mod server;

pub use health::Health;
pub use metrics;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the histograms of durations, in seconds.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Installs the process-wide metrics recorder; the handle renders `/metrics`.
///
/// # Errors
/// If a recorder is already installed.
pub fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .install_recorder()?)
}
