//! The way of a range through the worker.
//!
//! ```text
//! claim ─► fetch ─► judge ─► csv.gz ─► results ─► UPDATE ─► mirror ─► ack
//!          columns   compute  1 durable  2 durable  3 commit  4 follows  5
//!                    threads
//! ```
//!
//! Every handler call takes one range the whole way, and `ranges_in_flight` calls run at once, so that
//! one range is fetched and another written while a third computes. Each durable step is idempotent
//! under the attempt's fencing token, and a fail point stands between every two; before each write the
//! worker looks whether it still holds the lease. The commit (3) is guarded in ClickHouse itself, so a worker
//! that lost its lease without knowing can waste work but not overwrite.
//!
//! What every range needs and does not work is not the job's failure: the range is given back without spending an attempt, [`gate`] stops
//! claiming until it works again, and says so in `/readyz`. [`blame`] tells that from what is the range's own fault. MySQL is a
//! mirror: without it judging goes on, and the scheduler's pass mends the day.
//!
//! # Layout
//! - [`blame`]: whose fault it is that a range did not come through; [`gate`]: what does not work, and waiting for it;
//! - [`mirroring`]: step 4, which must never hold up judging;
//! - [`range`]: the steps above for one range; [`writing`]: steps 2 to 4 for several at once, by [`grouping`];
//! - [`counts`]: what a finished range held; [`clock`]: what a stage costs.

pub mod blame;
pub mod clock;
pub mod counts;
pub mod gate;
pub mod grouping;
pub mod mirroring;
pub mod range;
pub mod writing;

pub use gate::Gate;
pub use mirroring::Mirroring;
pub use range::Pipeline;
pub use writing::Writing;
