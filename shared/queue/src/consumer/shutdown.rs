//! Leaves the fleet in order.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{info::ShutdownReport, settler::ending, shared::Shared};
use crate::{Outcome, Settlement, queue::MOST_ENDED, timing::JitteredBackoff};

/// How long the last calls to Redis may take.
const LAST_CALLS: Duration = Duration::from_secs(3);

pub(super) async fn run(shared: &Arc<Shared>, grace: Duration) -> ShutdownReport {
    shared.claiming.stop();
    let deadline = Instant::now() + grace;
    // a claim under way ends first, so that nothing arrives after this
    drop(timeout_at(deadline + LAST_CALLS, shared.claiming.under_way.lock()).await);
    let _ = timeout_at(deadline, shared.leases.all_ended()).await;

    let mut report = ShutdownReport::default();
    let mut endings = Vec::new();
    for held in shared.leases.all() {
        // first here, so that its handler stops before its next write, then in Redis
        if held.is_held() && held.lose() {
            endings.push(ending(
                shared,
                &held,
                Settlement::release("worker shuts down"),
            ));
            shared.leases.forget(&held);
        }
    }
    let last_calls = Instant::now() + LAST_CALLS;
    for chunk in endings.chunks(MOST_ENDED) {
        let said = timeout_at(last_calls, async {
            let mut backoff = JitteredBackoff::new(Duration::from_millis(500));
            loop {
                match shared.queue.settle_all(Some(&shared.id), chunk).await {
                    Ok(outcomes) => {
                        return outcomes
                            .iter()
                            .filter(|outcome| matches!(outcome, Outcome::Settled(_)))
                            .count();
                    }
                    Err(_) => tokio::time::sleep(backoff.failed()).await,
                }
            }
        });
        match said.await {
            Ok(released) => report.released += released as u64,
            Err(_) => report.unconfirmed += chunk.len() as u64,
        }
    }
    // settlements under way
    if timeout_at(last_calls, shared.leases.all_ended())
        .await
        .is_err()
    {
        report.unconfirmed += shared.leases.len() as u64;
    }
    shared.stop.cancel();
    shared.membership.heartbeat_ended.cancelled().await;
    if let Err(error) = timeout_at(last_calls, shared.queue.deregister(&shared.id))
        .await
        .unwrap_or(Ok(()))
    {
        tracing::warn!(error = %crate::error::chain(&error), "could not deregister");
    }
    report
}
