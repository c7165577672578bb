//! What every test suite shares: real services of its own, the built binaries, and waiting for a condition.
//!
//! Layout
//! - [`services`]: private ClickHouse, Redis and MariaDB for one test, through `tools/services.sh run`
//! - [`programs`]: where the built binaries and the ONNX Runtime library are
//! - [`tls`]: certificates of a test, and TLS in front of a service that has none
//! - [`eventually()`]: awaiting a condition instead of sleeping
//!
//! A dev-dependency only; it depends on no other crate of the workspace, so that each of them can use it. Nothing
//! here knows a table, a queue key or a weld: such helpers live with the tests that need them. Failing to set up is
//! a panic with the remedy, since a test can do nothing about it.

mod eventually;
pub mod programs;
pub mod services;
pub mod tls;

pub use eventually::eventually;
pub use programs::{
    bin, browser_python, onnxruntime_gpu_library, onnxruntime_library, openvino_plugin, prometheus,
    repository, without_configuration,
};
pub use services::{Service, Services};
pub use tls::{Certificates, Shown, TlsProxy};

/// Says that a test shows nothing here, and why.
///
/// # Panics
/// In CI, unless `.ci/run` names `what` (`WELDFLEET_MAY_SKIP`).
pub fn skip(what: &str, why: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let may_skip = std::env::var("WELDFLEET_MAY_SKIP").unwrap_or_default();
    let named = may_skip.split_whitespace().any(|name| name == what);
    assert!(!in_ci || named, "CI must not skip this ({what}): {why}");
    eprintln!("skipped: {why}");
}

/// Whether there is a Chinese character in it: what tests of both languages ask.
pub fn is_chinese(text: &str) -> bool {
    text.chars()
        .any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
}
