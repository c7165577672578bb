//! `scheduler`: turns rows without a verdict into work, and shows how it goes.
//!
//! # Layout
//! - [`args`]: the command line; [`commands`]: one module per subcommand;
//! - [`actions`]: what people do to the fleet, by a command or in the console;
//! - [`pass`]: the reconciler that slices days and runs into jobs; its documentation is the place to begin;
//! - [`daemon`]: the long-running tasks around the pass: leadership, collecting, fixing the mirror, HTTP;
//! - [`settle`]: applying the patch parts of finished days while the fleet stands still;
//! - [`status`]: what is known right now, and why nothing moves;
//! - [`console`]: the pages that people see in a browser; [`users`]: who may sign in there;
//! - [`events`]: what the rows of `weld_events` say, in both languages; [`faults`]: what stores say is wrong, in
//!   Chinese; [`messages`]: how such texts are read back; [`clock`]: what time it is;
//! - [`dependencies`]: the queue and ClickHouse, opened from the settings.
//!
//! What must never live here: judging a weld (`shared/weld`), SQL (`shared/stores`), Redis commands (`shared/queue`).

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "weldfleet_service::stdio writes: a closed pipe or a full disk must not panic"
)]

mod actions;
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "its comments are the help, where `[section]` is a section of the configuration"
)]
mod args;
mod clock;
mod commands;
mod console;
mod daemon;
mod dependencies;
mod events;
mod faults;
mod messages;
mod pass;
mod settle;
mod status;
mod users;

use std::{path::Path, process::ExitCode, sync::Arc};

use weldfleet_fleet::with_store_remedy;
use weldfleet_service::logs;
use weldfleet_service::{
    Exit, Failure, LogFormat, OrExit, environment,
    exit::{arguments, finish},
};
use weldfleet_settings::Settings;

use args::{Args, Command};

fn main() -> ExitCode {
    weldfleet_failpoints::setup();
    match arguments::<Args>() {
        Ok(args) => {
            let is_migrate = matches!(args.command, Command::Migrate { .. });
            let itself = is_migrate.then_some("`scheduler migrate");
            finish(start(args).map_err(|failure| with_store_remedy(failure, itself)))
        }
        Err(code) => code,
    }
}

fn start(args: Args) -> Result<Exit, Failure> {
    // Commands speak to the person who typed them; only the daemon tells what it does.
    let level = if matches!(args.command, Command::Run) {
        "info"
    } else {
        "warn"
    };
    logs::init(args.common.log_format == LogFormat::Json, level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(dispatch(args.common.config.as_deref(), args.command))
}

async fn dispatch(config: Option<&Path>, command: Command) -> Result<Exit, Failure> {
    let settings = || {
        if let Some(unsaid) = Settings::only_defaults(config) {
            tracing::warn!("{unsaid}");
        }
        Settings::load(config).or_exit(Exit::Usage)
    };
    match command {
        // What makes the configuration cannot need it.
        Command::Adopt(options) => commands::adopt::run(config, options).await,
        Command::Migrate { grants: true, .. } => commands::grants::run(&settings()?),
        Command::Migrate { dry_run, yes, .. } => {
            commands::migrate::run(&settings()?, dry_run, yes).await
        }
        Command::Run => {
            let settings = Arc::new(settings()?);
            let queue = dependencies::queue(&settings)?;
            dependencies::check_mirror(&settings).await?;
            daemon::run(settings, queue, &environment::host()).await?;
            Ok(Exit::Done)
        }
        Command::Backfill(options) => commands::backfill::run(settings()?.into(), options).await,
        Command::Settle(options) => commands::settle::run(settings()?.into(), options).await,
        Command::Status(options) => commands::status::run(settings()?.into(), options).await,
        Command::Jobs(what) => commands::jobs::run(settings()?.into(), what).await,
        Command::Pause { reason } => commands::pause::pause(&settings()?, &reason).await,
        Command::Resume { why } => commands::pause::resume(&settings()?, &why.reason).await,
        Command::Users(what) => commands::users::run(&settings()?, what).await,
        Command::Simulate(options) => commands::simulate::run(&settings()?, options).await,
        Command::Evaluate(options) => commands::evaluate::run(&settings()?, options).await,
        Command::Drift(options) => commands::drift::run(&settings()?, options).await,
    }
}
