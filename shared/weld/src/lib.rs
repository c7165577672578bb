//! What is known about a weld, and how it is judged. Pure: no I/O, no clock, no threads.
//!
//! # Layout
//! - [`units`]: how a plant stores its curves; conversion factors to V, kA and ms;
//! - [`record`]: a weld as it comes in, owned ([`Record`]) or borrowed from a decoded block ([`Weld`]);
//! - [`curve_text`]: curves that are stored as text;
//! - [`validation`]: limits, and the closed set of reasons why a row is `invalid`;
//! - [`curves`]: the one pass that converts and measures a weld's curves; all later steps read its result;
//! - [`features`]: `inference_config.json`, and the rows of the `[N, 4, L]` input tensor;
//! - [`peaks`]: `find_peaks` with SciPy's semantics; [`rules`]: pulses, the six rules, `rules.toml`;
//! - [`fusion`]: Soft-AND of model and rules; [`verdict`]: what comes of one weld;
//! - [`defects`]: what said NOK, in words for people;
//! - [`columns`]: the result columns, one list for all that store and show them;
//! - [`judge`]: all of these as one pipeline, in steps that a worker can spread over threads;
//! - [`explain`]: what a person needs to see to understand one verdict.
//!
//! What must never live here: files, sockets, model runtimes, keys of rows, anything of queues or stores.
//!
//! Numbers: samples are `f32`, converted by one `f32` multiplication. Every decision is taken in `f64` on values
//! that do not depend on the order of summation, so that another implementation can agree to the last bit.

mod bad_value;
pub mod columns;
pub mod curve_text;
pub mod curves;
pub mod defects;
pub mod explain;
pub mod features;
pub mod fusion;
pub mod judge;
pub mod peaks;
pub mod record;
mod rounding;
pub mod rules;
pub mod units;
pub mod validation;
mod vectors;
pub mod verdict;

pub use bad_value::BadValue;
pub use record::{IdRef, Record, RecordId, Sample, Weld};
pub use verdict::{DecidedBy, Outcome, Status, Verdict};
