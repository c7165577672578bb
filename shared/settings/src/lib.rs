//! Typed configuration: every key of the product in one place.
//!
//! # Layout
//! - [`sections`]: one struct per `[section]` of the file, with defaults and docs of units;
//! - [`columns`]: the plant's column names, ours to theirs;
//! - `address`: URLs of the stores and the credentials in them; `duration`: durations and their bound;
//! - [`secret`]: values that never reach a log or an error;
//! - [`load`]: the file, `environment`: `WELDFLEET__SECTION__KEY` over it, `secret_files`: `*_file`, `certificates`,
//!   all merged; `checks`: ranges, and keys that must go together; `error`: what is wrong with a key.
//!
//! What must never live here: I/O beyond reading the configuration's own files, and any behaviour
//! that depends on a value. A setting is described and checked here and obeyed elsewhere.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a library says nothing by itself"
)]

mod address;
mod certificates;
mod checks;
pub mod columns;
mod duration;
mod environment;
mod error;
pub mod load;
pub mod secret;
mod secret_files;
pub mod sections;

pub use columns::Columns;
pub use error::SettingsError;
pub use secret::Secret;
pub use sections::*;

/// Where the configuration is when neither `--config` nor [`ENV_PATH`] says so.
pub const DEFAULT_PATH: &str = "config/weldfleet.toml";
/// Environment variable that names the configuration file.
pub const ENV_PATH: &str = "WELDFLEET_CONFIG";
