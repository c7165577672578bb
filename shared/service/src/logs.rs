//! Log lines on standard error.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::{EnvFilter, fmt};

use crate::output::has_colours;

/// Whether every line is an object.
static JSON: AtomicBool = AtomicBool::new(false);

/// Says on standard error why the program ends, in the form of the log.
pub fn last_words(error: &str) {
    if JSON.load(Ordering::Relaxed) && tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{error}");
    } else {
        crate::errln!("error: {error}");
    }
}

/// A panic is a line of the log as well.
fn log_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !tracing::enabled!(tracing::Level::ERROR) {
            return usual(panic);
        }
        let at = panic.location().map(ToString::to_string);
        let why = panic.payload_as_str().unwrap_or("no text");
        let trace = std::backtrace::Backtrace::capture();
        tracing::error!(at, %trace, "panic: {why}");
    }));
}

/// Starts logging; `json` writes one object a line. The level is `RUST_LOG`, else `default`.
///
/// # Errors
/// If a subscriber is already installed.
pub fn init(json: bool, default: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(default))?;
    let logs = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // The default is `eprintln!`, which panics where standard error itself is what failed.
        .log_internal_errors(false);
    let installed = if json {
        logs.json().flatten_event(true).try_init()
    } else {
        logs.with_ansi(has_colours(&std::io::stderr()))
            .with_target(false)
            .try_init()
    };
    installed.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))?;
    if json {
        JSON.store(true, Ordering::Relaxed);
        log_panics();
    }
    Ok(())
}
