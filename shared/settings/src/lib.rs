//! Typed configuration: every key of the product in one place.
//!
//! # Layout
//! - [`sections`]: one struct per `[section]` of the file, with defaults and docs of units;
//! - [`columns`]: the plant's column names, ours to theirs;
//! - `address`: URLs of the stores and the credentials in them; `duration`: durations and their bound;
//! - [`secret`]: values that never reach a log or an error;
//! - [`load`]: file + `WELDFLEET__SECTION__KEY` + `*_file`, merged; `checks`: ranges, and keys that must go together.
//!
//! What must never live here: I/O beyond reading the configuration's own files, and any behaviour
//! that depends on a value. A setting is described and checked here and obeyed elsewhere.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a library says nothing by itself"
)]

mod address;
mod checks;
pub mod columns;
mod duration;
pub mod load;
pub mod secret;
pub mod sections;

pub use columns::Columns;
pub use load::{DEFAULT_PATH, ENV_PATH, SettingsError};
pub use secret::Secret;
pub use sections::*;
