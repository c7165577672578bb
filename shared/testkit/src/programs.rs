//! Paths of what tests run or load.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the checkout this was compiled in.
pub fn repository() -> &'static Path {
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR"));
    testkit
        .ancestors()
        .nth(2)
        .expect("the crate is in shared/testkit")
}

/// The binary `name` (`scheduler`, `worker`) that was built with the same profile as the running test.
///
/// Cargo builds the binaries of a test's own package only, so a suite that drives both has them built first: `make
/// test` does, by hand it is `cargo build --workspace --bins --features failpoints`.
///
/// # Panics
/// When it has not been built.
pub fn bin(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a running test knows its own path");
    // target/<profile>/deps/<test>, or target/<profile>/examples/<example>
    let profile = test
        .ancestors()
        .nth(2)
        .expect("a test is inside the target folder");
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} does not exist; build it: cargo build --workspace --bins --features failpoints",
        path.display()
    );
    path
}

/// Takes the caller's own configuration out of a command's environment.
pub fn without_configuration(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("WELDFLEET") {
            command.env_remove(name);
        }
    }
    command
}

/// The ONNX Runtime library: `$ORT_DYLIB_PATH`, else the pinned one, which is fetched if it is missing.
///
/// # Panics
/// When it cannot be fetched.
pub fn onnxruntime_library() -> PathBuf {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH") {
        return path.into();
    }
    run(Command::new(parts()).arg("onnxruntime"));
    path_of("ORT_DYLIB_PATH")
}

/// OpenVINO's plugin for it, which is fetched if it is missing; `None` where it is not published, or knows no device:
/// its CPU device is there on Intel's processors alone.
///
/// # Panics
/// When it cannot be fetched.
pub fn openvino_plugin() -> Option<PathBuf> {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !cfg!(target_arch = "x86_64") || !processor.contains("GenuineIntel") {
        return None;
    }
    run(Command::new(parts()).arg("openvino"));
    Some(path_of("OPENVINO_PLUGIN"))
}

/// The ONNX Runtime library with CUDA and TensorRT, if it was fetched before; it is too large to fetch for a test.
///
/// # Panics
/// When the list of parts cannot be read.
pub fn onnxruntime_gpu_library() -> Option<PathBuf> {
    Some(path_of("ORT_GPU_DYLIB_PATH")).filter(|path| path.is_file())
}

/// Prometheus and its `promtool`, which are fetched if they are missing.
///
/// # Panics
/// When they cannot be fetched.
pub fn prometheus() -> (PathBuf, PathBuf) {
    run(Command::new(parts()).arg("prometheus"));
    (path_of("PROMETHEUS"), path_of("PROMTOOL"))
}

/// Python with Playwright and axe, and a Chromium in `$CHROMIUM`, all of which are fetched if they are missing.
///
/// # Panics
/// When they cannot be fetched.
pub fn browser_python() -> Command {
    run(Command::new(parts()).arg("browser"));
    let mut python = Command::new(path_of("BROWSER_PYTHON"));
    python
        .env("PYTHONPATH", path_of("BROWSER_LIBRARIES"))
        .env("CHROMIUM", path_of("CHROMIUM"));
    python
}

fn parts() -> PathBuf {
    repository().join("tools/parts.sh")
}

/// Where `tools/parts.sh --paths` says a part is.
fn path_of(variable: &str) -> PathBuf {
    let paths = run(Command::new(parts()).arg("--paths"));
    let path = paths
        .lines()
        .find_map(|line| line.strip_prefix(variable)?.strip_prefix('='));
    path.unwrap_or_else(|| panic!("tools/parts.sh --paths names no {variable}: {paths}"))
        .into()
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
