//! `GET /api/v1/status`, and what `/readyz` says of the fleet: the same on every scheduler, leader or standby.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use weldfleet_service::http::Describe;

use crate::status::cache::Cache;

/// How long a viewer waits for a fresh look; longer than one takes while a store is away.
const PATIENCE: Duration = Duration::from_secs(8);
/// A probe must be answered at once; it is told what was seen last.
const PROBE_PATIENCE: Duration = Duration::from_millis(500);

pub fn router(cache: Cache) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .with_state(cache)
}

async fn status(State(cache): State<Cache>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let Some((report, age)) = cache.get(PATIENCE).await else {
        let body = json!({ "error": "nothing was seen yet; ask again" });
        return (StatusCode::SERVICE_UNAVAILABLE, no_store, Json(body)).into_response();
    };
    let mut body = json!(&*report);
    body["age_ms"] = json!(age.as_millis() as u64);
    (no_store, Json(body)).into_response()
}

/// Why nothing moves, for `/readyz`; `null` if nothing was seen yet.
pub fn why(cache: Cache) -> Describe {
    Arc::new(move || {
        let cache = cache.clone();
        Box::pin(async move {
            let seen = cache.get(PROBE_PATIENCE).await;
            seen.map_or(Value::Null, |(report, _)| json!(report.causes))
        })
    })
}
