//! Named fail points between durable steps, for fault tests; nothing at all in a release image.
//!
//! # Layout
//! One function that the binaries await between every two writes, [`reach`] (on a thread that may block,
//! [`reach_blocking`]), and one that reads the `FAILPOINTS` variable at start, [`setup`]. Without the feature
//! `failpoints` all are empty.
//!
//! Actions, in the syntax of the `fail` crate (`FAILPOINTS="worker::audited=1*return(abort)"`):
//! - `return(abort)` ends the process at once, as `kill -9` would;
//! - `return(wait:/some/path)` creates `/some/path.reached`, then waits until `/some/path` exists;
//! - the crate's own (`sleep(ms)`, `panic`, `print`), which block the thread.
//!
//! What must never live here: behaviour. A fail point may stop or delay a program, not change it.

/// Arms the fail points named in `FAILPOINTS` for the life of the process.
pub fn setup() {
    #[cfg(feature = "failpoints")]
    std::mem::forget(fail::FailScenario::setup());
}

/// Passes the fail point `name`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub async fn reach(_name: &'static str) {}

/// Passes the fail point `name`, doing what `FAILPOINTS` says of it.
#[cfg(feature = "failpoints")]
pub async fn reach(name: &'static str) {
    let Some(action) = armed(name) else { return };
    match action.split_once(':') {
        Some(("wait", path)) => wait_for(path).await,
        _ if action == "abort" => std::process::abort(),
        _ => eprintln!("fail point {name}: unknown action `{action}`"),
    }
}

/// [`reach`] for a thread that may block.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reach_blocking(_name: &'static str) {}

/// [`reach`] for a thread that may block; it only waits.
#[cfg(feature = "failpoints")]
pub fn reach_blocking(name: &'static str) {
    let action = armed(name);
    if let Some(path) = action
        .as_ref()
        .and_then(|action| action.strip_prefix("wait:"))
    {
        say_reached(path);
        while !std::path::Path::new(path).exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// The record whose inference aborts the process (`WELDFLEET_POISON_RECORD`), if one is named.
pub fn poison_record() -> Option<String> {
    told("WELDFLEET_POISON_RECORD")
}

/// The file (`WELDFLEET_SICK_MODEL`) during whose existence no model judges or opens, if one is named.
pub fn sick_model() -> Option<std::path::PathBuf> {
    told("WELDFLEET_SICK_MODEL").map(Into::into)
}

/// How long a complete day may wait for being settled (`WELDFLEET_SETTLED_WITHIN`, s), if a test says so.
pub fn settled_within() -> Option<std::time::Duration> {
    let seconds = told("WELDFLEET_SETTLED_WITHIN")?.parse().ok()?;
    Some(std::time::Duration::from_secs(seconds))
}

fn told(variable: &str) -> Option<String> {
    if cfg!(feature = "failpoints") {
        std::env::var(variable).ok()
    } else {
        None
    }
}

#[cfg(feature = "failpoints")]
fn armed(name: &str) -> Option<String> {
    fail::fail_point!(name, |argument: Option<String>| argument);
    None
}

#[cfg(feature = "failpoints")]
fn say_reached(path: &str) {
    if let Err(error) = std::fs::write(format!("{path}.reached"), "") {
        eprintln!("fail point: cannot write {path}.reached: {error}");
    }
}

#[cfg(feature = "failpoints")]
async fn wait_for(path: &str) {
    say_reached(path);
    while !std::path::Path::new(path).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
