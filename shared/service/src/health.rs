//! What the process waits for, with reasons.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde::Serialize;

use crate::lock;

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
    /// The component is not ready; answers whether that is news.
    pub fn not_ready(&self, component: &'static str, reason: impl Into<String>) -> bool {
        lock(&self.reasons)
            .insert(component, reason.into())
            .is_none()
    }

    /// The component is ready; answers whether that is news.
    pub fn ready(&self, component: &'static str) -> bool {
        lock(&self.reasons).remove(component).is_some()
    }

    /// Why the process is not ready; empty when it is.
    pub fn reasons(&self) -> Vec<Reason> {
        lock(&self.reasons)
            .iter()
            .map(|(component, reason)| Reason {
                component,
                reason: reason.clone(),
            })
            .collect()
    }
}
