//! What is known right now, and why nothing moves.
//!
//! - [`report`]: the status model; [`gather`]: filling it, from the stores alone, so that any scheduler can, leader or
//!   standby; [`details`]: what is dear to know; [`hints`]: what a person may want to do;
//! - [`causes`]: why nothing moves, pure; [`cache`]: one look a second for all viewers of a process.

pub mod cache;
pub mod causes;
pub mod details;
pub mod gather;
pub mod hints;
pub mod report;

use jiff::Timestamp;

/// Window of the rate.
pub const PACE_SECONDS: u32 = 60;

/// For people, who compare it with their own clock.
#[expect(clippy::disallowed_methods, reason = "shown, and decides nothing")]
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
