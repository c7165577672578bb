//! Leaves the fleet in order.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    ShutdownReport,
    settler::ending,
    shared::{Backoff, Shared},
};
use crate::{Outcome, Settlement, conn::lock, lease::Held, queue::MOST_ENDED};

/// How long the last words to Redis may take.
const FAREWELL: Duration = Duration::from_secs(3);

pub(super) async fn run(shared: &Arc<Shared>, grace: Duration) -> ShutdownReport {
    shared.control.send_modify(|control| control.stopped = true);
    let deadline = Instant::now() + grace;
    // a claim under way ends first, so that nothing arrives after this
    drop(timeout_at(deadline + FAREWELL, shared.claiming.lock()).await);
    let _ = timeout_at(deadline, all_ended(shared)).await;

    let mut report = ShutdownReport::default();
    let left: Vec<Arc<Held>> = lock(&shared.held).values().cloned().collect();
    let mut endings = Vec::new();
    for held in left {
        // first here, so that its handler stops before its next write, then in Redis
        if held.is_held() && held.lose() {
            endings.push(ending(
                shared,
                &held,
                Settlement::release("worker shuts down"),
            ));
            shared.forget(&held);
        }
    }
    let farewell = Instant::now() + FAREWELL;
    for chunk in endings.chunks(MOST_ENDED) {
        let said = timeout_at(farewell, async {
            let mut backoff = Backoff::new(Duration::from_millis(500));
            loop {
                match shared.queue.settle(chunk).await {
                    Ok(outcomes) => {
                        return outcomes
                            .iter()
                            .filter(|outcome| matches!(outcome, Outcome::Settled(_)))
                            .count();
                    }
                    Err(_) => tokio::time::sleep(backoff.delay()).await,
                }
            }
        });
        match said.await {
            Ok(released) => report.released += released as u64,
            Err(_) => report.unconfirmed += chunk.len() as u64,
        }
    }
    // settlements under way
    if timeout_at(farewell, all_ended(shared)).await.is_err() {
        report.unconfirmed += lock(&shared.held).len() as u64;
    }
    shared.stop.cancel();
    shared.heartbeat_ended.cancelled().await;
    if let Err(error) = timeout_at(farewell, shared.queue.deregister(&shared.id))
        .await
        .unwrap_or(Ok(()))
    {
        tracing::warn!(error = %crate::error::chain(&error), "could not deregister");
    }
    report
}

async fn all_ended(shared: &Shared) {
    loop {
        let ended = shared.ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        if lock(&shared.held).is_empty() {
            return;
        }
        ended.await;
    }
}
