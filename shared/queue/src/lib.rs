//! A leased job queue on Redis: at-least-once work with fencing, for fleets whose members may die at any moment.
//!
//! # Layout
//!
//! - [`Options`], [`RetryPolicy`]: everything that can be chosen, in one place (`options.rs`, `retry.rs`).
//! - [`Queue`] (`queue/`): one method per operation of the protocol, each one atomic Lua script (`scripts/*.lua`); for
//!   owners, operators and schedulers. It holds no state but its connection.
//! - [`Consumer`] (`consumer/`): one member of the fleet: claims, renews on a thread of its own, settles through
//!   outages, deregisters. It hands out [`Lease`]s.
//! - [`apalis`]: a thin [`apalis_core`] backend over a [`Consumer`], so that tower layers and apalis workers run the
//!   handlers.
//! - [`invariants`]: what must be true at every moment, as plain functions without dependencies; used by repairs, the
//!   tests and the model.
//!
//! What must never live here: what a job means (its fields are opaque text), a wall clock in the protocol (time is
//! Redis `TIME` inside the scripts), and any script whose work is not bounded.

#![warn(missing_docs)]

pub mod apalis;
mod check;
mod conn;
mod consumer;
mod endpoint;
mod error;
mod health;
mod ids;
pub mod invariants;
mod job;
mod keys;
mod lease;
mod options;
mod queue;
mod reply;
mod retry;
mod scripts;
mod server_error;
mod timing;
mod url;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use check::{ServerCheck, Warning};
pub use consumer::{Consumer, ConsumerStatus, ShutdownReport, WorkerInfo};
pub use error::QueueError;
pub use health::RedisHealth;
pub use ids::WorkerId;
pub use job::{Fields, Job, NewJob, State};
pub use keys::Keys;
pub use lease::Lease;
pub use options::{Options, Owner};
pub use queue::{
    Candidate, Claim, Collected, Ending, Enqueued, Group, GroupPlan, Guard, GuardedEnqueue,
    LeaderInfo, LeaderToken, LeaseRef, Outcome, Page, Pause, Queue, Renewal, Renewals, Repair,
    Repairs, Settled, Settlement, SplitOutcome, Stats, Taken, Turn, Waiting, WorkerEntry, beat_of,
};
pub use retry::RetryPolicy;
pub use server_error::ServerError;

/// What the mutex holds; a panic elsewhere does not make it wrong.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
