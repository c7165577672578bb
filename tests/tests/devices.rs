//! Devices and layouts as a person meets them: refusals, fallbacks, what was tuned and what is remembered.
//!
//! Snapshots in `snapshots/`; after a wanted change:
//! `INSTA_UPDATE=always cargo nextest run -p weldfleet-tests --test devices`.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use serde_json::Value;
use weldfleet_testkit::{onnxruntime_gpu_library, skip};
use weldfleet_tests::{Process, process::without_services, repository};

/// `worker predict` of the checked-in weld.
fn predict() -> Command {
    let mut command = without_services("worker");
    command
        .args(["predict", "--json"])
        .arg(repository().join("tests/tests/data/weld.json"));
    command
}

/// What each provider says with this library; what it answers is left out.
fn by_provider(library: Option<&Path>) -> String {
    let mut text = String::new();
    for (provider, device) in [
        ("cpu", "0"),
        ("auto", "0"),
        ("cuda", "0"),
        ("tensorrt", "0"),
        ("cuda", "3"),
    ] {
        let mut command = predict();
        command
            .env("WELDFLEET__MODEL__PROVIDER", provider)
            .env("WELDFLEET__MODEL__DEVICE_ID", device)
            .env("NO_COLOR", "1")
            .args(["--log-format", "json"]);
        if let Some(library) = library {
            command.env("ORT_DYLIB_PATH", library);
        }
        let output = command.output().expect("worker");
        let code = output.status.code().expect("an exit code");
        let said = String::from_utf8(output.stderr).expect("utf-8");
        writeln!(text, "# {provider}, device {device}").expect("text");
        for line in said.lines() {
            writeln!(text, "{}", message(line)).expect("text");
        }
        let verdicts = String::from_utf8(output.stdout).expect("utf-8");
        let verdicts = verdicts.lines().count();
        writeln!(text, "{verdicts} verdicts, exit {code}\n").expect("text");
    }
    text
}

/// Level and text of a log line; other lines as they are.
fn message(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(event)) => {
            let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{} {}", text("level"), text("message"))
        }
        _ => line.to_owned(),
    }
}

fn has_gpu() -> bool {
    Path::new("/dev/nvidia0").exists()
}

macro_rules! snapshot {
    ($name:expr, $text:expr) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($name, $text.trim_end());
        });
    };
}

#[test]
fn a_library_without_gpus_refuses_them_and_auto_takes_the_cpu() {
    snapshot!("providers_of_the_cpu_library", by_provider(None));
}

#[test]
fn a_library_with_gpus_refuses_them_where_there_is_none_and_auto_takes_the_cpu() {
    let Some(library) = onnxruntime_gpu_library() else {
        skip(
            "onnxruntime_gpu",
            "no GPU build of ONNX Runtime; tools/parts.sh onnxruntime_gpu fetches it",
        );
        return;
    };
    if has_gpu() {
        skip("gpu", "this machine has a GPU");
        return;
    }
    snapshot!("providers_of_the_gpu_library", by_provider(Some(&library)));
}

/// What `worker check` says of the layout, and what it logs.
fn check(cache: &Path) -> (String, String) {
    let output = without_services("worker")
        .args(["check", "--json"])
        .env("WELDFLEET__MODEL__THREADS", "0")
        .env("WELDFLEET__MODEL__BATCH_ROWS", "0")
        .env("WELDFLEET__MODEL__CACHE_DIR", cache)
        .output()
        .expect("worker");
    let report: Value = serde_json::from_slice(&output.stdout).expect("json");
    let checks = report["checks"].as_array().expect("checks");
    let layout = checks.iter().find(|check| check["check"] == "layout");
    let text = layout.expect("a layout")["text"].as_str().expect("text");
    (
        text.to_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_layout_is_measured_once_and_remembered() {
    let folder = tempfile::tempdir().expect("folder");
    let cache = folder.path().join("cache");
    let (first, log) = check(&cache);
    assert!(first.ends_with("rows a batch, measured"), "{first}\n{log}");
    let (second, _) = check(&cache);
    assert_eq!(second, first.replace("measured", "remembered"));

    let kept = cache.join("layouts.json");
    let text = fs::read_to_string(&kept).expect("the file");
    fs::write(&kept, text.replace("\"model\": \"", "\"model\": \"other ")).expect("write");
    let (third, _) = check(&cache);
    assert!(
        third.ends_with("measured"),
        "another model's choice is none: {third}"
    );
}

#[test]
fn a_cache_that_cannot_be_written_costs_a_warning() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("write");
    let (layout, log) = check(&file.join("cache"));
    assert!(layout.ends_with("measured"), "{layout}");
    assert!(log.contains("the tuned layout cannot be kept"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_face_shows_device_and_layout() {
    let folder = tempfile::tempdir().expect("folder");
    let mut command = without_services("worker");
    command
        .args(["run", "--log-format", "json"])
        .env("WELDFLEET__WORKER__HTTP", "127.0.0.1:0");
    let worker = Process::start(command, folder.path());
    worker.http().await;
    let (code, body) = worker.get("/").await;
    assert_eq!(code, 200);
    let page: Value = serde_json::from_str(&body).expect("json");
    assert_eq!(page["device"], "cpu");
    let layout = serde_json::json!({
        "sessions": 1, "threads": 1, "batch_rows": 32, "origin": "configured", "rows_per_second": null,
        "openvino_gain": null,
    });
    assert_eq!(page["layout"], layout);
}
