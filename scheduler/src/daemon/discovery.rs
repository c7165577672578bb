//! `GET /sd`: the schedulers and workers of the fleet, as Prometheus' `http_sd_configs` reads them.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::status::{cache::Cache, report::Report};

const PATIENCE: Duration = Duration::from_secs(8);

/// The route.
pub fn router(cache: Cache) -> Router {
    Router::new().route("/sd", get(everybody)).with_state(cache)
}

async fn everybody(State(cache): State<Cache>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let seen = cache.get(PATIENCE).await;
    match seen.and_then(|(report, _)| targets(&report)) {
        Some(groups) => (no_store, Json(groups)).into_response(),
        // Prometheus then keeps the targets that it has.
        None => {
            let body = json!({ "error": "redis does not say who is there; ask again" });
            (StatusCode::SERVICE_UNAVAILABLE, no_store, Json(body)).into_response()
        }
    }
}

/// A group for each of the two programs; `None` if nobody can tell who is there.
fn targets(report: &Report) -> Option<Value> {
    let mut workers: Vec<String> = report
        .workers
        .as_ref()?
        .iter()
        .filter_map(|worker| {
            let address = worker.fields.get("address")?;
            let host = worker.fields.get("host").map_or("", String::as_str);
            Some(reached(address, host))
        })
        .collect();
    let mut schedulers: Vec<String> = report
        .schedulers
        .iter()
        .map(|candidate| candidate.address.clone())
        .collect();
    let groups = [("scheduler", &mut schedulers), ("worker", &mut workers)];
    let groups = groups.map(|(program, addresses)| {
        addresses.sort();
        // One that was started anew is listed twice for a while.
        addresses.dedup();
        json!({ "targets": addresses, "labels": { "program": program } })
    });
    Some(json!(groups))
}

/// Where others reach what listens there: by the name of its host, if it listens on all addresses.
pub fn reached(address: &str, host: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(parsed) if parsed.ip().is_unspecified() => format!("{host}:{}", parsed.port()),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use weldfleet_queue::{Candidate, WorkerEntry, WorkerInfo};

    use super::*;

    #[test]
    fn everybody_is_a_target_once_where_others_reach_them() {
        let worker = |host: &str, address: &str| {
            let fields = [("host", host), ("address", address)];
            WorkerEntry {
                id: WorkerInfo::new(host).id,
                silent_ms: 0,
                leases: 0,
                jobs: Vec::new(),
                fields: fields
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            }
        };
        let scheduler = |id: &str, address: &str| Candidate {
            id: id.to_owned(),
            address: address.to_owned(),
        };
        let mut report = Report {
            schedulers: vec![
                scheduler("a", "press-1:9100"),
                scheduler("b", "press-1:9100"),
                scheduler("c", "10.0.0.7:9100"),
            ],
            ..Report::default()
        };
        assert_eq!(targets(&report), None);
        report.workers = Some(vec![
            worker("press-3", "[::]:9101"),
            worker("press-2", "0.0.0.0:9101"),
            worker("press-2", "127.0.0.1:9102"),
        ]);
        let expected = json!([
            { "targets": ["10.0.0.7:9100", "press-1:9100"], "labels": { "program": "scheduler" } },
            { "targets": ["127.0.0.1:9102", "press-2:9101", "press-3:9101"], "labels": { "program": "worker" } },
        ]);
        assert_eq!(targets(&report), Some(expected));
    }
}
