//! `GET /sd`: the schedulers and workers of the fleet, as Prometheus' `http_sd_configs` reads them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use weldfleet_queue::WorkerEntry;
use weldfleet_service::lock;

use crate::status::{cache::Cache, report::Report};

const PATIENCE: Duration = Duration::from_secs(8);
/// How long a worker that fell silent stays a target, so that its alert can fire: the queue forgets it sooner.
const MISSED: Duration = Duration::from_secs(600);

pub fn router(cache: Cache) -> Router {
    let missed: Arc<Mutex<Missed>> = Arc::default();
    let router = Router::new().route("/sd", get(everybody));
    router.with_state((cache, missed))
}

/// Workers that fell silent, by address, and when they were last listed. One that was stopped in order was never
/// silent.
#[derive(Debug, Default)]
struct Missed(BTreeMap<String, Instant>);

impl Missed {
    /// Takes notice of who is silent, and of who is there again.
    fn note(&mut self, report: &Report, now: Instant) {
        let thresholds = &report.thresholds;
        let silent_ms = thresholds.silent_ms.min(thresholds.listed_ms / 2);
        let workers = || report.workers.iter().flatten();
        let is_silent = |worker: &&WorkerEntry| worker.silent_ms > silent_ms;
        for address in workers().filter(is_silent).filter_map(address_of) {
            self.0.insert(address, now);
        }
        // Another process may have the place of one that died.
        for address in workers()
            .filter(|worker| !is_silent(worker))
            .filter_map(address_of)
        {
            self.0.remove(&address);
        }
        self.0.retain(|_, listed| now - *listed < MISSED);
    }
}

async fn everybody(State((cache, missed)): State<(Cache, Arc<Mutex<Missed>>)>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    let seen = cache.get(PATIENCE).await;
    let mut missed = lock(&missed);
    let groups = seen.and_then(|(report, _)| {
        missed.note(&report, Instant::now());
        targets(&report, &missed)
    });
    match groups {
        Some(groups) => (no_store, Json(groups)).into_response(),
        // Prometheus then keeps the targets that it has.
        None => {
            let body = json!({ "error": "redis does not say who is there; ask again" });
            (StatusCode::SERVICE_UNAVAILABLE, no_store, Json(body)).into_response()
        }
    }
}

/// A group for each of the two programs; `None` if nobody can tell who is there.
fn targets(report: &Report, missed: &Missed) -> Option<Value> {
    let listed = report.workers.as_ref()?.iter().filter_map(address_of);
    let mut workers: Vec<String> = listed.chain(missed.0.keys().cloned()).collect();
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

fn address_of(worker: &WorkerEntry) -> Option<String> {
    let address = worker.fields.get("address")?;
    let host = worker.fields.get("host").map_or("", String::as_str);
    Some(reached(address, host))
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
    use weldfleet_queue::Candidate;

    use super::*;
    use crate::status::{report::Thresholds, worker_entry};

    fn worker(host: &str, address: &str) -> WorkerEntry {
        worker_entry(&[("host", host), ("address", address)])
    }

    /// Workers that `/sd` lists at this moment.
    fn listed(missed: &mut Missed, workers: &[(&str, u64)], now: Instant) -> Vec<String> {
        let of = |(address, silent_ms): &(&str, u64)| WorkerEntry {
            silent_ms: *silent_ms,
            ..worker("", address)
        };
        let report = Report {
            workers: Some(workers.iter().map(of).collect()),
            thresholds: Thresholds {
                silent_ms: 35_000,
                listed_ms: 90_000,
                ..Thresholds::default()
            },
            ..Report::default()
        };
        missed.note(&report, now);
        let groups = targets(&report, missed).unwrap();
        let found = groups[1]["targets"].as_array().unwrap();
        found
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_worker_that_died_is_a_target_for_ten_minutes_and_one_that_was_stopped_is_none() {
        let mut missed = Missed::default();
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let both = [("a:1", 36_000), ("b:1", 2000)];
        assert_eq!(listed(&mut missed, &both, began), ["a:1", "b:1"]);
        assert_eq!(listed(&mut missed, &[], after(30)), ["a:1"]);
        assert_eq!(listed(&mut missed, &[], after(599)), ["a:1"]);
        assert!(listed(&mut missed, &[], after(600)).is_empty());
        // Another process at its place, that is stopped in order.
        listed(&mut missed, &both, after(700));
        let again = [("a:1", 80_000), ("a:1", 0)];
        assert_eq!(listed(&mut missed, &again, after(730)), ["a:1"]);
        assert!(listed(&mut missed, &[], after(760)).is_empty());
    }

    #[test]
    fn everybody_is_a_target_once_where_others_reach_them() {
        let scheduler = |id: &str, address: &str| Candidate {
            id: id.to_owned(),
            address: address.to_owned(),
            ..Candidate::default()
        };
        let mut report = Report {
            schedulers: vec![
                scheduler("a", "press-1:9100"),
                scheduler("b", "press-1:9100"),
                scheduler("c", "10.0.0.7:9100"),
            ],
            ..Report::default()
        };
        assert_eq!(targets(&report, &Missed::default()), None);
        report.workers = Some(vec![
            worker("press-3", "[::]:9101"),
            worker("press-2", "0.0.0.0:9101"),
            worker("press-2", "127.0.0.1:9102"),
        ]);
        let expected = json!([
            { "targets": ["10.0.0.7:9100", "press-1:9100"], "labels": { "program": "scheduler" } },
            { "targets": ["127.0.0.1:9102", "press-2:9101", "press-3:9101"], "labels": { "program": "worker" } },
        ]);
        assert_eq!(targets(&report, &Missed::default()), Some(expected));
    }
}
