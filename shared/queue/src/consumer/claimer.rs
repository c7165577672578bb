//! Claims, and waits for something to claim.

use std::{sync::Arc, time::Duration};

use tokio::sync::{oneshot, watch};

use super::{
    claim_state::{ClaimAnswer, ClaimRequest, Control},
    shared::Shared,
};
use crate::{
    Lease, QueueError,
    timing::{JitteredBackoff, chance},
};

/// One claim. If the caller goes away, what was claimed is given back.
pub(super) async fn claim(shared: &Arc<Shared>, max: u32) -> Result<ClaimAnswer, QueueError> {
    {
        let control = shared.claiming.control.borrow();
        if control.stopped {
            return Err(QueueError::ShutDown);
        }
        if control.holds().is_some() || max == 0 {
            return Ok(ClaimAnswer {
                leases: Vec::new(),
                paused: false,
                draining: false,
                next_due: Duration::MAX,
            });
        }
    }
    let (answer, waiting) = oneshot::channel();
    shared
        .claiming
        .requests
        .send(ClaimRequest { max, answer })
        .map_err(|_| QueueError::ShutDown)?;
    let claimed = waiting.await.map_err(|_| QueueError::ShutDown)??;
    for lease in &claimed.leases {
        lease.start();
    }
    Ok(claimed)
}

/// Claims until there is something.
pub(super) async fn next(shared: &Arc<Shared>, max: u32) -> Result<Vec<Lease>, QueueError> {
    let options = shared.queue.options();
    let most = (options.ttl / 4).min(Duration::from_secs(1));
    let mut control = shared.claiming.control.subscribe();
    let mut backoff = JitteredBackoff::new(most);
    loop {
        let (held, stopped) = {
            let control = control.borrow_and_update();
            (control.holds().is_some(), control.stopped)
        };
        if stopped {
            return Err(QueueError::ShutDown);
        }
        if held {
            let _ = control.changed().await;
            continue;
        }
        let ended = shared.leases.ended.notified();
        let claimed = match claim(shared, max).await {
            Ok(claimed) => claimed,
            Err(QueueError::ShutDown) => return Err(QueueError::ShutDown),
            // the connection has said why, once
            Err(_) => {
                interruptible(&mut control, tokio::time::sleep(backoff.failed())).await;
                continue;
            }
        };
        backoff.worked();
        if !claimed.leases.is_empty() {
            return Ok(claimed.leases);
        }
        // spread over the fleet, so that not everybody looks at the same millisecond
        let due = claimed.next_due.saturating_add(
            (options.ttl / 10)
                .min(Duration::from_millis(150))
                .mul_f64(chance()),
        );
        let wait = due
            .min(shared.look_every().mul_f64(0.8 + 0.4 * chance()))
            .max(Duration::from_millis(1));
        if claimed.draining {
            // nothing is handed out until our own leases have ended
            let patience = most.min(wait);
            interruptible(&mut control, async {
                tokio::select! { () = ended => {}, () = tokio::time::sleep(patience) => {} }
            })
            .await;
        } else {
            if claimed.paused {
                interruptible(&mut control, tokio::time::sleep(Duration::from_millis(50))).await;
            }
            let _idle = Idle::new(&shared.claiming.idle);
            interruptible(&mut control, async { tokio::select! { () = shared.claiming.woken.notified() => {}, () = tokio::time::sleep(wait) => {} } }).await;
        }
    }
}

async fn interruptible(control: &mut watch::Receiver<Control>, wait: impl Future<Output = ()>) {
    tokio::select! {
        () = wait => {}
        _ = control.changed() => {}
    }
}

/// Tells the waiter that somebody waits, while it lives.
struct Idle<'a>(&'a watch::Sender<usize>);

impl<'a> Idle<'a> {
    fn new(idle: &'a watch::Sender<usize>) -> Self {
        idle.send_modify(|count| *count += 1);
        Self(idle)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
