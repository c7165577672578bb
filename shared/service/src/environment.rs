//! Where a process runs: the name of its host, and what must be in its environment before libraries look there.

use std::env;

/// Name of this machine, for ids and for people.
pub fn host() -> String {
    hostname::get().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Keeps ONNX Runtime from telling others about this host. Since 1.29 its published builds write an identifier and a
/// database of events below the home folder and send them to a collector as soon as its environment is made; its own
/// call to switch that off needs that environment. So the variable must be there before the library is loaded, and
/// first in `main`: no other thread may run yet.
pub fn silence_onnx_runtime() {
    #[expect(
        unsafe_code,
        reason = "the library reads nothing else, and starting this program anew with the variable would break loaders and debuggers"
    )]
    // SAFETY: the caller has started no thread yet, so that nobody reads or writes the environment at this moment.
    unsafe {
        env::set_var("ORT_DISABLE_TELEMETRY", "1");
    }
}
