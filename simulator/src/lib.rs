//! Physically plausible resistance spot welds: the demo's, the tests' and the training's rows.
//!
//! # Layout
//!
//! - [`options`]: what to simulate ([`SimulationOptions`]) and what cannot be simulated ([`OptionsError`]).
//! - [`mod@plant`]: the parts, stack-ups, weld programs, spots and timers of an imaginary body shop.
//! - [`truth`]: ground truth, [`Label`] and [`Defect`].
//! - [`resistance`]: the dynamic resistance R(t) of low-carbon steel, with expulsions, as a recurrence.
//! - [`process`]: draws one weld (heat, wear, defect) and what it physically becomes (nugget, indentation).
//! - `waveform`: the weld's voltage and current samples, pulses, rise, noise.
//! - `corrupt`: turns a sound row into one that validation must refuse.
//! - [`block`]: rows by column ([`SimulatedBlock`]), conversion to a plant's own units.
//! - [`plant_table`]: the same rows as the table of a plant that counts in percents ([`PlantTableRows`]).
//! - [`simulator`]: [`Simulator`], row `i` of a day from `(seed, day, i)` alone.
//!
//! Never here: I/O, clocks, threads, a global random generator. Who inserts the rows, and how parallel, is the
//! caller's business: any split of the row range into chunks gives the same rows.

pub mod block;
mod corrupt;
mod noise;
pub mod options;
pub mod plant;
pub mod plant_table;
pub mod process;
pub mod resistance;
pub mod simulator;
pub mod truth;
mod waveform;

pub use block::SimulatedBlock;
pub use options::{CurveLength, OptionsError, SimulationOptions};
pub use plant::{Plant, plant};
pub use plant_table::{CountedBlock, Delivery, PlantTableOptions, PlantTableRows, RowKind};
pub use simulator::Simulator;
pub use truth::{Defect, Label};
