//! Claiming stops while something that every range needs does not work.
//!
//! What failed is probed, not the server as such: a server that answers `SELECT 1` may refuse every UPDATE. A probe is
//! of the same kind as what failed but cannot be the same in everything. So after it passed, the gate remembers how
//! often the dependency failed until a range came through, and waits longer each time.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use weldfleet_queue::Consumer;
use weldfleet_service::{Health, backoff::doubled, lock, outage};

/// Time between two looks at a dependency that does not work; doubled after each time that it seemed to and did not.
const PROBE_EVERY: Duration = Duration::from_millis(500);
const PROBE_AT_LEAST_EVERY: Duration = Duration::from_secs(15);

type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Probe = Arc<dyn Fn() -> Answer + Send + Sync>;

/// Holds the consumer while a dependency does not work, and lets it go on when it does.
#[derive(Clone)]
pub struct Gate {
    health: Health,
    consumer: Consumer,
    dependencies: Arc<Mutex<BTreeMap<&'static str, DependencyState>>>,
    stop: CancellationToken,
}

/// A dependency that does not work, or did not until lately.
#[derive(Default)]
struct DependencyState {
    /// What of it does not work; empty while the gate is open.
    failing: BTreeMap<&'static str, Probe>,
    /// Closings since a range last came through.
    closings: u32,
}

impl Gate {
    /// A gate before this consumer; it probes nothing any more when `stop` is cancelled.
    pub fn new(health: Health, consumer: Consumer, stop: CancellationToken) -> Self {
        Self {
            health,
            consumer,
            dependencies: Arc::default(),
            stop,
        }
    }

    /// Closes the gate for what `dependency` cannot do and probes that in the background until it can; a probe says why
    /// not yet. Further calls for the same only refresh the reason.
    pub fn close<Asked, Asking>(
        &self,
        dependency: &'static str,
        what: &'static str,
        reason: String,
        probe: Asked,
    ) where
        Asked: Fn() -> Asking + Send + Sync + 'static,
        Asking: Future<Output = Result<(), String>> + Send + 'static,
    {
        let probe: Probe = Arc::new(move || Box::pin(probe()));
        let pause = {
            // As one step: an `open` in between would leave the gate open and say that it is closed.
            let mut dependencies = lock(&self.dependencies);
            self.consumer
                .hold(format!("{dependency} is away: {reason}"));
            outage::begins(&self.health, dependency, &reason);
            let state = dependencies.entry(dependency).or_default();
            let watched = !state.failing.is_empty();
            if state.failing.insert(what, probe).is_none() {
                tracing::warn!(dependency, what, reason, "claiming stops until it works");
            }
            if watched {
                return;
            }
            state.closings += 1;
            doubled((PROBE_EVERY, PROBE_AT_LEAST_EVERY), state.closings - 1)
        };
        let gate = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = gate.watch(dependency, pause) => {}
                () = gate.stop.cancelled() => {}
            }
        });
    }

    async fn watch(&self, dependency: &'static str, first: Duration) {
        let mut pause = first;
        loop {
            tokio::time::sleep(pause).await;
            pause = PROBE_EVERY;
            let Some((what, probe)) = self.failing(dependency) else {
                return;
            };
            match probe().await {
                // Whoever closes it again has a watch of its own, which waits longer.
                Ok(()) if self.passed(dependency, what) => return,
                Ok(()) => {}
                Err(reason) => {
                    if self.stop.is_cancelled() {
                        return;
                    }
                    outage::begins(&self.health, dependency, &reason);
                }
            }
        }
    }

    fn failing(&self, dependency: &'static str) -> Option<(&'static str, Probe)> {
        let dependencies = lock(&self.dependencies);
        let (what, probe) = dependencies.get(dependency)?.failing.first_key_value()?;
        Some((what, probe.clone()))
    }

    /// A probe passed; whether it was the dependency's last one, which opens the gate.
    fn passed(&self, dependency: &'static str, what: &'static str) -> bool {
        let mut dependencies = lock(&self.dependencies);
        let Some(state) = dependencies.get_mut(dependency) else {
            return true;
        };
        state.failing.remove(what);
        if !state.failing.is_empty() {
            return false;
        }
        outage::ends(&self.health, dependency);
        if dependencies.values().all(|one| one.failing.is_empty()) {
            self.consumer.proceed();
        }
        true
    }

    /// A range came through: whatever seemed to work does.
    pub fn worked(&self) {
        lock(&self.dependencies).retain(|_, one| !one.failing.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use weldfleet_queue::{Options, Queue, WorkerInfo};

    use super::*;

    /// A probe that passes proves little: what failed may fail again.
    #[tokio::test(start_paused = true)]
    async fn what_only_seems_to_work_is_asked_later_each_time_until_a_range_comes_through() {
        // Nobody listens there: claiming is not what this is about.
        let queue = Queue::new(Options::new("redis://127.0.0.1:1/0", "infer")).unwrap();
        let consumer = Consumer::start(queue, WorkerInfo::new("gate")).unwrap();
        let gate = Gate::new(Health::default(), consumer, CancellationToken::new());
        let opens_after = async || {
            let closed = Instant::now();
            gate.close("clickhouse", "write", "refused".to_owned(), async || Ok(()));
            while gate.failing("clickhouse").is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            closed.elapsed().as_millis() / 100
        };
        for tenths in [5, 10, 20, 40, 80, 150, 150] {
            assert_eq!(opens_after().await, tenths);
        }
        gate.worked();
        assert_eq!(opens_after().await, 5);
    }
}
