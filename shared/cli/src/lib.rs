//! What the command lines of both binaries have in common.
//!
//! # Layout
//! - [`door`]: the one way to standard output and standard error;
//! - [`environment`]: what libraries must find there;
//! - [`exit`]: exit codes and the error that carries one;
//! - [`output`]: tables, JSON, numbers for people, colour only on a terminal;
//! - [`CommonArgs`]: `--config` and `--log-format`, before or after the subcommand.
//!
//! What must never live here: anything about welds, queues or stores.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "`door` is the way out"
)]

pub mod door;
pub mod environment;
pub mod exit;
pub mod output;

use std::path::PathBuf;

pub use exit::{Exit, Failure, OrExit};

/// Arguments that every subcommand accepts.
#[derive(Debug, Clone, clap::Args)]
pub struct CommonArgs {
    /// Configuration file [default: $WELDFLEET_CONFIG, else config/weldfleet.toml]
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

/// Log line formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}
