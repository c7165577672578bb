//! What a consumer is told of its worker, and what it tells at the end.

use std::collections::BTreeMap;

use crate::WorkerId;

/// Who this worker is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Unique per process.
    pub id: WorkerId,
    /// Free fields: host, device, model version, …
    pub fields: BTreeMap<String, String>,
}

impl WorkerInfo {
    /// A unique id on `host`, and the field `host`.
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self {
            id: WorkerId::unique(host),
            fields: BTreeMap::from([("host".to_owned(), host.to_owned())]),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShutdownReport {
    /// Leases that were released because their handlers did not end in time.
    pub released: u64,
    /// Leases whose release Redis did not confirm; they run out by themselves.
    pub unconfirmed: u64,
}
