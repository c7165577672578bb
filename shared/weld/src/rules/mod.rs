//! Rules on the dynamic resistance of the main pulse; two of them look at others, too.
//!
//! - `grid`: the steps of about 1 ms in which they look at a weld, so that a rate above 1 kHz does not matter;
//! - [`settings`]: what can be configured, with units and defaults; `file`: `rules.toml` and its per-part overrides;
//! - `stepped`: settings in steps; `set`: those of every part, and judging by them;
//! - `pulses`, `expulsion`, `resistance_peak`, `bands`: the rules themselves; `hit`: what they report;
//! - `streaks`: hits of a spot in a row, which no verdict depends on.
//!
//! Where a weld's `imax` is below `pulses.current_floor_ka`, R would be noise: such a weld is judged on U alone.
//! Pulses, interruptions and expulsions are then looked for in U; rules that need R or I do not apply. R means
//! something where I and U are above their floors. A stretch where they are not is left out. Where nothing is left for
//! a rule of `nok_on` to look at, a weld without other faults is an error, never an OK.

pub mod settings;

mod bands;
mod expulsion;
mod file;
mod grid;
mod hit;
mod pulses;
mod resistance_peak;
mod set;
mod stepped;
mod streaks;

pub use file::{RulesFile, RulesFileError};
pub use hit::{Hit, Level, NokOn, NokRules, Rule, RuleError, hits_json};
pub use set::{Findings, RuleScratch, RuleSet};
pub use streaks::{HitStreaks, HitStreaksError, Spot, SpotHit, Streak, streaks};

pub(crate) use pulses::{Segments, Stretch};
pub(crate) use set::Basis;
