//! Expired leases and due jobs: collected by whoever claims next, and here, so that recovery does not wait for a claim.

use std::time::Duration;

use super::Daemon;

/// Longest time between two looks.
const LONGEST: Duration = Duration::from_millis(500);

pub async fn run(daemon: Daemon) {
    let every = (daemon.settings.lease.ttl / 4).min(LONGEST);
    while !daemon.stop.is_cancelled() {
        let mut again = false;
        // An outage is reported by the leadership task.
        if let Ok(collected) = daemon.queue.collect().await {
            again = collected.more;
            let died = collected.expired + collected.dead + collected.splitting;
            if died > 0 {
                tracing::warn!(
                    pending = collected.expired,
                    splitting = collected.splitting,
                    dead = collected.dead,
                    "leases ran out; their jobs were taken back"
                );
            }
            if collected.splitting > 0 {
                daemon.wake.notify_one();
            }
        }
        if again {
            continue;
        }
        daemon.sleep(every).await;
    }
}
