//! What `GET /` shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use weldfleet_queue::Stats;
use weldfleet_service::http::Describe;
use weldfleet_stores::clickhouse::DayCounts;

use super::Daemon;

/// Numbers that the tasks leave for the status page.
#[derive(Debug)]
pub struct StatusNumbers {
    id: String,
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    stats: Option<Stats>,
    open_runs: u64,
    days: Vec<DayCounts>,
    mirror: Value,
}

impl StatusNumbers {
    pub fn new(id: String) -> Self {
        Self {
            id,
            latest: Mutex::default(),
        }
    }

    /// This process, for others.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue as a pass saw it.
    pub fn queue(&self, stats: Stats, open_runs: u64) {
        let mut latest = self.latest();
        latest.stats = Some(stats);
        latest.open_runs = open_runs;
    }

    /// Rows of the live days.
    pub fn days(&self, counts: Vec<DayCounts>) {
        self.latest().days = counts;
    }

    /// Another scheduler knows these now; the mirror's is taken back by who looks after it.
    pub fn forget(&self) {
        let mut latest = self.latest();
        let mirror = latest.mirror.take();
        *latest = Latest {
            mirror,
            ..Latest::default()
        };
    }

    #[cfg(test)]
    pub fn knows_the_queue(&self) -> bool {
        self.latest().stats.is_some()
    }

    /// How the mirror is.
    pub fn mirror(&self, mirror: Value) {
        self.latest().mirror = mirror;
    }
}

/// Makes the content of `GET /` anew at each call.
pub fn describe(daemon: &Daemon) -> Describe {
    let daemon = daemon.clone();
    Arc::new(move || {
        let settings = &daemon.settings;
        let leads = daemon.leads.borrow().is_some();
        let latest = daemon.shown.latest();
        let days: Vec<Value> = latest
            .days
            .iter()
            .map(|day| {
                let mut line = json!(day.outcomes);
                line["day"] = json!(day.day.to_string());
                line["total"] = json!(day.total);
                line["left"] = json!(day.left);
                line
            })
            .collect();
        json!({
            "name": "scheduler",
            "version": env!("CARGO_PKG_VERSION"),
            "id": daemon.shown.id,
            "role": if leads { "leader" } else { "standby" },
            "queue": settings.redis.queue,
            "model_version": Value::Null,
            "device": Value::Null,
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
                "days": days,
                "jobs": latest.stats.as_ref().map(|stats| &stats.states),
                "outstanding": latest.stats.as_ref().map(|stats| &stats.outstanding),
                "workers": latest.stats.as_ref().map(|stats| stats.workers),
                "open_runs": latest.open_runs,
            },
            "paused": latest.stats.as_ref().and_then(|stats| stats.paused.as_ref()),
            "mirror": latest.mirror,
        })
    })
}

/// The number as it was written: 0.9999, not 0.9998999834.
fn exact(number: f32) -> f64 {
    number
        .to_string()
        .parse()
        .unwrap_or_else(|_| f64::from(number))
}
