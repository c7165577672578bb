//! Claiming stops while a dependency is away.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use weldfleet_queue::Consumer;
use weldfleet_stores::StoreError;
use weldfleet_telemetry::{Health, metrics};

/// Time between two looks at a dependency that is away.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// Holds the consumer while a dependency is away, and lets it go on when it answers.
#[derive(Clone)]
pub struct Gate {
    health: Health,
    consumer: Consumer,
    away: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Gate {
    /// A gate before this consumer.
    pub fn new(health: Health, consumer: Consumer) -> Self {
        Self {
            health,
            consumer,
            away: Arc::default(),
        }
    }

    fn away(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        // A panic elsewhere leaves the set whole: every change is one insert or remove.
        self.away
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Closes the gate for `part` and probes it in the background until it answers. Further calls for
    /// the same part only refresh the reason.
    pub fn close<Probe, Answer>(&self, part: &'static str, reason: String, probe: Probe)
    where
        Probe: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        {
            // As one step: an `open` in between would leave the gate open and say that it is closed.
            let mut away = self.away();
            self.consumer.hold(format!("{part} is away: {reason}"));
            self.health.not_ready(part, reason.clone());
            if !away.insert(part) {
                return;
            }
        }
        tracing::warn!(
            part,
            reason,
            "dependency is away, claiming stops until it answers"
        );
        metrics::gauge!("weldfleet_dependency_up", "dependency" => part).set(0.0);
        let gate = self.clone();
        let probe = Arc::new(probe);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PROBE_EVERY).await;
                match probe().await {
                    Ok(()) => break,
                    Err(error) => {
                        gate.health.not_ready(part, error.chain());
                    }
                }
            }
            tracing::info!(part, "dependency answers again, claiming goes on");
            metrics::gauge!("weldfleet_dependency_up", "dependency" => part).set(1.0);
            gate.open(part);
        });
    }

    fn open(&self, part: &'static str) {
        let mut away = self.away();
        self.health.ready(part);
        away.remove(part);
        if away.is_empty() {
            self.consumer.proceed();
        }
    }
}
