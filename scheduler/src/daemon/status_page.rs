//! What `GET /` shows: this process, and of the fleet what [`api`](super::api) tells in full.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Value, json};
use weldfleet_service::{http::Describe, output::exact};

use super::Daemon;
use crate::{
    args::VERSION,
    status::{cache::Cache, report::Report},
};

/// How long a visitor waits for a fresh look.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes the content of `GET /` anew at each call, alike on the leader and on a standby.
pub fn describe(daemon: &Daemon, cache: Cache) -> Describe {
    let daemon = daemon.clone();
    Arc::new(move || {
        let (daemon, cache) = (daemon.clone(), cache.clone());
        Box::pin(async move {
            let seen = cache.get(PATIENCE).await;
            page(&daemon, seen.as_ref().map(|(report, _)| report.as_ref()))
        })
    })
}

/// `seen` is `None` if nothing of the fleet was seen yet.
fn page(daemon: &Daemon, seen: Option<&Report>) -> Value {
    let settings = &daemon.settings;
    let leads = daemon.leads.borrow().is_some();
    let queue = seen.and_then(|report| report.queue.as_ref());
    let open_runs = seen.and_then(|report| report.runs.as_ref()).map(|runs| {
        let open = runs.iter().filter(|run| run.is_open());
        open.count()
    });
    let mirror = match settings.mysql.enabled {
        true => seen.map_or(Value::Null, mirror),
        false => json!("off"),
    };
    let paused = seen.and_then(|report| report.paused.as_ref());
    let paused = paused.map(|pause| match settings.console.has_users() {
        // What people are called and have written is for those who have signed in.
        true => json!({ "since": pause.since }),
        false => json!(pause),
    });
    json!({
        "name": "scheduler",
        "version": VERSION.as_str(),
        "id": *daemon.id,
        "role": if leads { "leader" } else { "standby" },
        "queue": settings.redis.queue,
        "model_version": of_workers(seen, "model_version"),
        "device": of_workers(seen, "device"),
        "ml": settings.model.enabled,
        "rules": settings.rules.enabled,
        "thresholds": {
            "nok_threshold": settings.model.nok_threshold.map(exact),
            "override_threshold": exact(settings.fusion.override_threshold),
            "invalid_share": settings.breaker.invalid_share,
            "same_verdict_rows": settings.breaker.same_verdict_rows,
            "batch_size": settings.scheduler.batch_size,
            "max_outstanding": settings.scheduler.max_outstanding,
        },
        "counts": {
            "days": seen.and_then(|report| report.days.as_deref()),
            "jobs": seen.and_then(|report| report.jobs.as_ref()),
            "outstanding": queue.map(|queue| &queue.outstanding),
            "workers": seen.and_then(Report::living_count),
            "open_runs": open_runs,
        },
        "paused": paused,
        // What is of a store that does not work is not known: null.
        "stores": seen.map(|report| report.stores.states()),
        "mirror": mirror,
    })
}

fn mirror(report: &Report) -> Value {
    let why = report.stores.mysql.why();
    if !why.is_empty() {
        return json!({ "away": why });
    }
    let days = report.mirror.as_deref();
    let lag = days.map(|days| {
        let lag = days.iter().map(|day| day.committed.abs_diff(day.mirrored));
        lag.sum::<u64>()
    });
    json!({
        "lag_rows": lag,
        "kept_rows": report.mirror_kept_rows,
        "days": days,
    })
}

/// What the living workers have, each once; `None` if nobody lives.
fn of_workers(seen: Option<&Report>, field: &str) -> Option<String> {
    let told = seen?
        .living_workers()
        .filter_map(|worker| worker.fields.get(field));
    let told: BTreeSet<&str> = told.map(String::as_str).collect();
    let told: Vec<&str> = told.into_iter().collect();
    (!told.is_empty()).then(|| told.join(", "))
}
