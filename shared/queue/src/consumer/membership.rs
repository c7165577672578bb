//! This process as a member of the fleet: what people read of it, how often it says that it lives, and how large the
//! fleet is.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::queue::rarer;

pub(super) struct Membership {
    /// Free fields, for people.
    pub fields: Mutex<BTreeMap<String, String>>,
    pub registered: AtomicBool,
    /// What the server's settings put at risk was said, once.
    pub checked: AtomicBool,
    /// Registered workers, as the last renewal counted them.
    pub workers: AtomicU64,
    /// Since nothing is held, and others are heard.
    pub renews_rarely: AtomicBool,
    /// The heartbeat has something to say before its time.
    pub renew_now: Notify,
    pub heartbeat_ended: CancellationToken,
}

impl Membership {
    pub fn new(fields: BTreeMap<String, String>) -> Self {
        Self {
            fields: Mutex::new(fields),
            registered: AtomicBool::new(false),
            checked: AtomicBool::new(false),
            workers: AtomicU64::new(1),
            renews_rarely: AtomicBool::new(false),
            renew_now: Notify::new(),
            heartbeat_ended: CancellationToken::new(),
        }
    }

    /// There is something to renew.
    pub fn wake_up(&self) {
        if self.renews_rarely.swap(false, Ordering::SeqCst) {
            self.renew_now.notify_one();
        }
    }

    /// The more workers there are, the less often each must do what one of them must do every `interval`; at most
    /// `most` times less.
    pub fn share(&self, interval: Duration, most: u32) -> Duration {
        interval * rarer(self.workers.load(Ordering::Relaxed)).min(most)
    }
}
