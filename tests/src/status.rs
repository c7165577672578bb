//! What a scheduler tells of the fleet: `GET /api/v1/status`.

use std::time::Duration;

use serde_json::Value;
use weldfleet_testkit::eventually;

use crate::{Process, fleet::parsed};

pub async fn status(scheduler: &Process) -> Value {
    let (code, body) = scheduler.get("/api/v1/status").await;
    assert_eq!(code, 200, "{body}");
    parsed(&body)
}

/// Codes of the causes why nothing moves.
pub fn codes(report: &Value) -> Vec<&str> {
    let causes = report["causes"].as_array().expect("causes");
    causes
        .iter()
        .filter_map(|cause| cause["code"].as_str())
        .collect()
}

/// Waits until the cause is named; returns it.
pub async fn named(scheduler: &Process, code: &str, within: Duration) -> Value {
    eventually(&format!("{code} is named"), within, async || {
        let causes = status(scheduler).await["causes"].take();
        let mut causes = causes.as_array()?.iter();
        causes.find(|cause| cause["code"] == code).cloned()
    })
    .await
}
