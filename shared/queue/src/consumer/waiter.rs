//! Lets Redis wake an idle worker: it blocks on the wake list over a connection of its own, only while somebody waits.
//! A lost token costs no more than `idle_poll`, since somebody of those who wait looks by himself that often.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::Value;

use super::shared::Shared;
use crate::{Queue, timing::JitteredBackoff};

pub(super) async fn run(shared: Arc<Shared>, queue: Queue) {
    let stop = shared.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = wait(shared, queue) => {}
    }
}

async fn wait(shared: Arc<Shared>, queue: Queue) {
    let key = queue.keys().named("wake");
    let mut idle = shared.claiming.idle.subscribe();
    let mut backoff = JitteredBackoff::new(Duration::from_secs(1));
    loop {
        if idle.wait_for(|waiting| *waiting > 0).await.is_err() {
            return;
        }
        let seconds = format!("{:.3}", shared.look_every().as_secs_f64());
        match queue
            .inner
            .link
            .send("wait", redis::cmd("BLPOP").arg(&key).arg(&seconds))
            .await
        {
            Ok(Value::Nil) => backoff.worked(),
            Ok(_) => {
                backoff.worked();
                shared.claiming.woken.notify_one();
                // let the woken one run before blocking again, so that it does not take a second token for nothing
                let _ = tokio::time::timeout(
                    Duration::from_millis(5),
                    idle.wait_for(|waiting| *waiting == 0),
                )
                .await;
            }
            Err(_) => {
                // whoever waits looks, and so gives back what a Redis that was away thinks we hold
                shared.leases.reconcile.store(true, Ordering::Release);
                shared.claiming.woken.notify_one();
                tokio::time::sleep(backoff.failed()).await;
            }
        }
    }
}
