//! The worker: claims ranges of welds, judges them, writes the verdicts back.
//!
//! # Layout
//! - `args`: the command line; `commands`: one file a subcommand;
//! - `judging`: models, rules and fusion as configured, the same for every command;
//! - `inference`: ONNX Runtime, sessions, compute threads; `lease`: what it and the pipeline ask of a lease;
//! - `needs`: what a worker needs, `memory`: how much of it there is, the same for `run` and `check`;
//! - [`pipeline`]: the way of a range, from claim to ack; `clock`: what a stage costs; `described`: what its metrics
//!   mean; `entry`: what it tells the fleet of itself;
//! - `records`: records as somebody sends them, and what is wrong with one;
//! - `http`: what it shows and `POST /predict`.
//!
//! What must never live here: the lease protocol (`shared/queue`), SQL (`shared/stores`), rules (`shared/weld`).

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "weldfleet_service::stdio writes: a closed pipe or a full disk must not panic"
)]

mod args;
mod clock;
mod commands;
mod described;
mod entry;
mod gpu;
mod http;
mod inference;
mod judging;
mod lease;
mod memory;
mod needs;
pub mod pipeline;
mod records;

use std::process::ExitCode;

use weldfleet_fleet::with_store_remedy;
use weldfleet_service::{
    Exit, Failure, LogFormat, OrExit,
    exit::{arguments, finish},
};
use weldfleet_settings::Settings;

use args::{Args, Command};

pub fn main() -> ExitCode {
    weldfleet_service::environment::silence_onnx_runtime();
    weldfleet_failpoints::setup();
    match arguments::<Args>() {
        Ok(args) => finish(run(args).map_err(|failure| with_store_remedy(failure, None))),
        Err(code) => code,
    }
}

fn run(args: Args) -> Result<Exit, Failure> {
    let daemon = matches!(args.command, Command::Run);
    let level = if daemon {
        "info,ort=warn"
    } else {
        "warn,ort=error"
    };
    weldfleet_service::logs::init(args.common.log_format == LogFormat::Json, level)?;
    let config = args.common.config.as_deref();
    if let Some(unsaid) = Settings::only_defaults(config) {
        tracing::warn!("{unsaid}");
    }
    let settings = Settings::load(config).or_exit(Exit::Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()?;
    match args.command {
        Command::Run => runtime.block_on(commands::run::run(&settings)),
        Command::Check { rows, json } => {
            runtime.block_on(commands::check::run(&settings, rows, json))
        }
        Command::Predict { file, json } => commands::predict::run(&settings, &file, json),
        Command::Explain { which, day, png } => runtime.block_on(commands::explain::run(
            &settings,
            &which,
            day,
            png.as_deref(),
        )),
    }
}
