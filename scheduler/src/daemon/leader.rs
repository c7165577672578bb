//! Leadership: taken, renewed on a task of its own, given up at the end.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use weldfleet_fleet::{LEADER_RENEWS_EVERY, LEADER_TTL};
use weldfleet_queue::LeaderToken;
use weldfleet_service::metrics::gauge;

use super::{
    Daemon,
    outage::{self, Backoff, REDIS},
};

/// How often a standby asks, so that it follows a leader that resigned without delay.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Keeps leadership up to date in `lead` until the daemon stops, then resigns. Others are told that this scheduler is
/// reached at `address`.
pub(super) async fn keep(
    daemon: Daemon,
    address: String,
    lead: watch::Sender<Option<LeaderToken>>,
) {
    let id = daemon.id.to_string();
    let mut backoff = Backoff::default();
    let mut last_renewed = Instant::now();
    let mut checked = false;
    // Said by this task; what a pass found out is for the next pass to take back.
    let mut down = true;
    while !daemon.stop.is_cancelled() {
        let asked = Instant::now();
        let wait = match daemon.queue.try_lead_from(&id, &address, LEADER_TTL).await {
            Ok(token) => {
                backoff.worked();
                last_renewed = asked;
                daemon.health.ready("start");
                if std::mem::take(&mut down) {
                    outage::ends(&daemon.health, REDIS);
                }
                if !checked {
                    daemon.queue.warn_of_settings().await;
                    checked = true;
                }
                show(&lead, token, "another scheduler leads now");
                if token.is_some() {
                    LEADER_RENEWS_EVERY
                } else {
                    ASK_EVERY
                }
            }
            Err(error) => {
                down = true;
                outage::begins(&daemon.health, REDIS, &outage::of_queue(&error));
                if last_renewed.elapsed() >= LEADER_TTL {
                    show(
                        &lead,
                        None,
                        "redis does not work, so leadership has run out",
                    );
                }
                backoff.failed()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = daemon.stop.cancelled() => {}
        }
    }
    if let Err(error) = daemon.queue.withdraw(&id).await {
        tracing::debug!(error = outage::of_queue(&error), "stays listed for a while");
    }
    let token = *lead.borrow();
    if let Some(token) = token {
        // Redis may be away; then leadership runs out by itself.
        match daemon.queue.resign(token).await {
            Ok(_) => tracing::info!("resigned"),
            Err(error) => tracing::warn!(
                error = outage::of_queue(&error),
                "could not resign; leadership runs out"
            ),
        }
    }
}

/// `lost`: what to say if leadership was lost.
fn show(lead: &watch::Sender<Option<LeaderToken>>, token: Option<LeaderToken>, lost: &'static str) {
    gauge!("weldfleet_scheduler_leader").set(if token.is_some() { 1.0 } else { 0.0 });
    lead.send_if_modified(|now| {
        let changed = *now != token;
        match (&now, token) {
            (_, Some(token)) if changed => tracing::info!(token = token.0, "this scheduler leads"),
            (Some(_), None) => tracing::warn!("{lost}"),
            _ => {}
        }
        *now = token;
        changed
    });
}
