//! What the process waits for, with reasons.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde::Serialize;

/// Reasons why a process is not ready, by the component that gives them; ready when there are none.
#[derive(Debug, Clone, Default)]
pub struct Health {
    reasons: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

/// One reason, as `/readyz` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The component: `redis`, `clickhouse`, `paused`, …
    pub component: &'static str,
    /// What it waits for.
    pub reason: String,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        // A reader that panicked left the map whole: every change is one insert or remove.
        self.reasons
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The component is not ready; answers whether that is news.
    pub fn not_ready(&self, component: &'static str, reason: impl Into<String>) -> bool {
        self.lock().insert(component, reason.into()).is_none()
    }

    /// The component is ready; answers whether that is news.
    pub fn ready(&self, component: &'static str) -> bool {
        self.lock().remove(component).is_some()
    }

    /// Why the process is not ready; empty when it is.
    pub fn reasons(&self) -> Vec<Reason> {
        self.lock()
            .iter()
            .map(|(component, reason)| Reason {
                component,
                reason: reason.clone(),
            })
            .collect()
    }
}
