//! What every program of the fleet has, whatever it does: a command line, an end, log lines, a status page.
//!
//! # Layout
//! - [`CommonArgs`]: `--config` and `--log-format`, before or after the subcommand;
//! - [`lock`]: a mutex that outlives a panic;
//! - [`stdio`]: the one way to standard output and standard error; [`output`]: tables, JSON, numbers for people, colour
//!   only on a terminal;
//! - [`exit`]: exit codes, the error that carries one, an error and its causes in one line;
//! - [`environment`]: the host's name, and what libraries must find there;
//! - [`signals`]: what ends a program; [`backoff`]: how long to wait between two tries; [`outage`]: what is away, told
//!   once;
//! - [`logs`]: tracing to standard error, text or JSON, level from `RUST_LOG`;
//! - [`health`]: what the process waits for, with reasons: the source of `/readyz`;
//! - [`http`]: the status page: `GET /`, `/healthz`, `/readyz`, `/metrics`, and whatever a program adds; `server.rs`
//!   serves it so that no client can hold the process up;
//! - [`recorder`]: metrics go through the `metrics` facade, named `weldfleet_*` with base units (seconds, bytes) in the
//!   name.
//!
//! What must never live here: knowledge of welds, queues or stores.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "`stdio` writes: a closed pipe or a full disk must not panic"
)]

pub mod backoff;
pub mod environment;
pub mod exit;
pub mod health;
pub mod http;
pub mod logs;
pub mod outage;
pub mod output;
pub mod recorder;
mod server;
pub mod signals;
pub mod stdio;

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

pub use backoff::Backoff;
pub use exit::{Exit, Failure, OrExit};
pub use health::Health;
pub use metrics;

/// A program's version, and behind `+` the commit that it was built from, where the build told it.
pub fn version(package: &str, build: Option<&str>) -> String {
    match build.filter(|build| !build.is_empty()) {
        Some(build) => format!("{package}+{build}"),
        None => package.to_owned(),
    }
}

/// What the mutex holds, whoever panicked while holding it: what the programs keep behind one is whole at any time.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Arguments that every subcommand accepts.
#[derive(Debug, Clone, clap::Args)]
pub struct CommonArgs {
    /// Configuration file [default: $WELDFLEET_CONFIG, else config/weldfleet.toml, else none]
    #[arg(long, global = true, value_name = "PATH", help_heading = "Everywhere")]
    pub config: Option<PathBuf>,
    /// How log lines are written to standard error
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = LogFormat::Text,
        env = "WELDFLEET_LOG_FORMAT",
        help_heading = "Everywhere"
    )]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}
