//! Named fail points between durable steps, for fault tests; nothing at all in a release image.
//!
//! # Layout
//! One function that the binaries await between every two writes, [`reach`], and one that reads
//! the `FAILPOINTS` variable at start, [`setup`]. Without the feature `failpoints` both are empty.
//!
//! Actions, in the syntax of the `fail` crate (`FAILPOINTS="worker::after_csv=1*return(abort)"`):
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

/// The record whose inference aborts the process (`WELDFLEET_POISON_RECORD`), if one is named.
pub fn poison_record() -> Option<String> {
    if cfg!(feature = "failpoints") {
        std::env::var("WELDFLEET_POISON_RECORD").ok()
    } else {
        None
    }
}

/// The file (`WELDFLEET_SICK_MODEL`) during whose existence no model judges or opens, if one is named.
pub fn sick_model() -> Option<std::path::PathBuf> {
    if cfg!(feature = "failpoints") {
        std::env::var_os("WELDFLEET_SICK_MODEL").map(Into::into)
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
async fn wait_for(path: &str) {
    if let Err(error) = std::fs::write(format!("{path}.reached"), "") {
        eprintln!("fail point: cannot write {path}.reached: {error}");
    }
    while !std::path::Path::new(path).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
