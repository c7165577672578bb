//! What is known right now, and why nothing moves.
//!
//! - [`report`]: the status model; [`gather`]: filling it, from the stores alone, so that any scheduler can, leader or
//!   standby; [`details`]: what is dear to know; [`hints`]: what a person may want to do;
//! - [`causes`]: why nothing moves; [`cache`]: one look a second for all viewers of a process.

pub mod cache;
pub mod causes;
pub mod details;
pub mod gather;
pub mod hints;
mod remembered;
pub mod report;

#[cfg(test)]
use weldfleet_queue::{WorkerEntry, WorkerInfo};

/// Window of the rate.
pub const PACE_SECONDS: u32 = 60;

/// A worker that says this of itself.
#[cfg(test)]
pub fn worker_entry(fields: &[(&str, &str)]) -> WorkerEntry {
    let fields = fields.iter().copied();
    WorkerEntry {
        id: WorkerInfo::new("press-2").id,
        silent_ms: 0,
        leases: 0,
        jobs: Vec::new(),
        fields: fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}
