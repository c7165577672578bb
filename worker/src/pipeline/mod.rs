//! The way of a range through the worker.
//!
//! ```text
//! claim ─► fetch ─► judge ─► csv.gz ─► results ─► UPDATE ─► mirror ─► ack
//!          columns   compute  1 durable  2 durable  3 commit  4 follows  5
//!                    threads
//! ```
//!
//! Every handler call takes one range the whole way, and `ranges_in_flight` calls run at once, so that one range is
//! fetched and another written while a third computes. Each durable step is idempotent under the attempt's fencing
//! token, and a fail point stands between every two; before each write the worker looks whether it still holds the
//! lease. The commit (3) is guarded in ClickHouse itself, so a worker that lost its lease without knowing can waste
//! work but not overwrite. That the steps come in this order is in the types of [`stages`]: another order does not
//! compile.
//!
//! What every range needs and does not work is not the job's failure. The range is given back without spending an
//! attempt, `gate` stops claiming until it works again, and says so in `/readyz`. `blame` tells that from what is
//! the range's own fault. MySQL is a mirror: without it judging goes on, and the scheduler's pass makes the day equal
//! again.
//!
//! # Layout
//! - [`Pipeline`]: what every range needs; `range`: one range, the whole way; `step`: the names of its steps;
//! - [`stages`]: the steps, one after the other; its child `writing`: steps 2 to 4 for several ranges at once, by
//!   `grouping`; `mirroring`: step 4, which must never hold up judging;
//! - `giving_up`: how the lease of a range ends that did not come through; `blame`: whose fault that is; `gate`:
//!   what does not work, and waiting for it;
//! - `counts`: what a finished range held.

mod blame;
pub(crate) mod counts;
mod gate;
mod giving_up;
mod grouping;
mod mirroring;
mod range;
pub mod stages;
mod step;

use std::{collections::HashMap, sync::Mutex};

use weldfleet_breaker::{Limits, Tally};
use weldfleet_queue::Queue;

use crate::{inference::pool::Pool, needs::Needs};

pub use gate::Gate;
pub use mirroring::Mirroring;
pub use stages::Storage;

/// Everything a range needs on its way.
pub struct Pipeline {
    pub storage: Storage,
    pub pool: Pool,
    /// This process, in the names of temporary files.
    pub worker: String,
    /// Where a dependency that is away is reported.
    pub gate: Gate,
    /// The fleet's tally and its limits.
    pub tally: Tally,
    /// When the fleet stops itself.
    pub limits: Limits,
    /// Where the fleet is paused.
    pub queue: Queue,
    /// What a probe of the table needs.
    pub needs: Needs,
    /// Ranges given back for what looked like the server's failure, and how often.
    pub excused: Mutex<HashMap<String, u32>>,
}
