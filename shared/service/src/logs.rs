//! Log lines on standard error.

use tracing_subscriber::{EnvFilter, fmt};

use crate::output::has_colours;

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
    installed.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
