//! `GET /api/v1/status`, and what `/readyz` says of the fleet: the same on every scheduler, leader or standby.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use weldfleet_service::http::Describe;

use crate::{
    console::Access,
    status::{cache::Cache, report::Report},
};

/// How long a viewer waits for a fresh look; longer than one takes while a store is away.
const PATIENCE: Duration = Duration::from_secs(8);
/// A probe must be answered at once; it is told what was seen last.
const PROBE_PATIENCE: Duration = Duration::from_millis(500);

pub fn router(cache: Cache, access: Access) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .with_state((cache, access))
}

async fn status(
    State((cache, access)): State<(Cache, Access)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let Some((report, age)) = cache.get(PATIENCE).await else {
        let body = json!({ "error": "nothing was seen yet; ask again" });
        return (StatusCode::SERVICE_UNAVAILABLE, no_store, Json(body)).into_response();
    };
    let mut body = json!(&*report);
    if !access.knows(&headers, peer.ip()) {
        make_nameless(&mut body, &report);
    }
    body["age_ms"] = json!(age.as_millis() as u64);
    (no_store, Json(body)).into_response()
}

/// What people are called and have written is for those who have signed in.
fn make_nameless(body: &mut Value, report: &Report) {
    let lines = |value: &mut Value, names: &[&str]| {
        let lines = match value {
            Value::Array(lines) => lines.iter_mut().collect(),
            one => vec![one],
        };
        for line in lines.into_iter().filter_map(Value::as_object_mut) {
            line.retain(|name, _| !names.contains(&name.as_str()));
        }
    };
    lines(&mut body["paused"], &["by", "reason"]);
    let of_runs = ["by", "note", "changed_by", "changed_why"];
    lines(&mut body["runs"], &of_runs);
    body["causes"] = nameless_causes(report);
}

fn nameless_causes(report: &Report) -> Value {
    let mut causes = json!(report.causes);
    for (line, cause) in causes
        .as_array_mut()
        .into_iter()
        .flatten()
        .zip(&report.causes)
    {
        line["what"] = json!(cause.nameless);
    }
    causes
}

/// Why nothing moves, for `/readyz`; `null` if nothing was seen yet. With users, whoever asks is told no names.
pub fn why(cache: Cache, nameless: bool) -> Describe {
    Arc::new(move || {
        let cache = cache.clone();
        Box::pin(async move {
            match cache.get(PROBE_PATIENCE).await {
                Some((report, _)) if nameless => nameless_causes(&report),
                Some((report, _)) => json!(report.causes),
                None => Value::Null,
            }
        })
    })
}
