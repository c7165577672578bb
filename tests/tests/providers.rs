//! Who computes a model on a CPU: ONNX Runtime's own provider or OpenVINO, in f32 or bf16.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use weldfleet_testkit::{openvino_plugin, skip};
use weldfleet_tests::{Fleet, agree, eventually, repository};

const MINUTES: Duration = Duration::from_secs(120);

/// Whether this processor computes bf16 itself, which OpenVINO needs for it.
fn computes_bf16() -> bool {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpuinfo.contains("amx_bf16") || cpuinfo.contains("avx512_bf16")
}

/// A day of welds, and where OpenVINO's plugin is; `None` where it is not published.
async fn fleet(rows: u32) -> Option<(Fleet, PathBuf)> {
    let Some(plugin) = openvino_plugin() else {
        skip("openvino", "no OpenVINO for this processor");
        return None;
    };
    let fleet = Fleet::start().await;
    fleet.migrate();
    fleet.simulate("today", rows, &[]);
    Some((fleet, plugin))
}

/// Files that are no plugin for this ONNX Runtime, each with what is said of it.
fn no_plugins(fleet: &Fleet) -> Vec<(PathBuf, &'static str)> {
    let text = fleet.folder().join("text.so");
    fs::write(&text, "no library").expect("write");
    let other = fleet.folder().join("other.so");
    let source = repository().join("tests/tests/data/plugins/another_version.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&other)
        .arg(source)
        .status();
    assert!(compiled.expect("cc").success());
    vec![
        (PathBuf::from("/nowhere/plugin.so"), "is no file"),
        (text, "cannot load"),
        (other, "made for API version 9999"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_does_not_load_is_a_warning_under_auto_and_refused_by_name() {
    let Some((mut fleet, _)) = fleet(120).await else {
        return;
    };
    for (plugin, told) in no_plugins(&fleet) {
        let shown = plugin.display().to_string();
        fleet.set("model.openvino_plugin", &shown);
        fleet.set("model.provider", "auto");
        let (code, text) = fleet.said("worker", &["check"]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("no OpenVINO, using ONNX Runtime"), "{text}");
        assert!(text.contains(told) && text.contains(&shown), "{text}");

        fleet.set("model.provider", "openvino");
        for command in ["check", "run"] {
            let (code, text) = fleet.said("worker", &[command]);
            assert_ne!(code, Some(0), "{text}");
            assert!(
                text.contains("model.provider = \"openvino\"") && text.contains(told),
                "{text}"
            );
        }

        fleet.set("model.provider", "auto");
        fleet.set("model.precision", "bf16");
        let (code, text) = fleet.said("worker", &["check"]);
        assert_ne!(code, Some(0), "{text}");
        assert!(text.contains("needs OpenVINO"), "{text}");
        fleet.set("model.precision", "f32");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_measures_both_and_a_fleet_of_both_is_said_to_be_mixed() {
    let Some((mut fleet, plugin)) = fleet(600).await else {
        return;
    };
    let plugin = plugin.display().to_string();
    fleet.set("model.openvino_plugin", &plugin);
    fleet.set("model.provider", "auto");
    let (code, text) = fleet.said("worker", &["check"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("times as fast as ONNX Runtime's own cpu provider"),
        "{text}"
    );

    let _scheduler = fleet.scheduler();
    let own = fleet.worker_with(&[("WELDFLEET__MODEL__PROVIDER", "cpu")]);
    let openvino = fleet.worker_with(&[("WELDFLEET__MODEL__PROVIDER", "openvino")]);
    own.ready().await;
    openvino.ready().await;
    fleet.judged(MINUTES).await;
    let hint = eventually("status says that the fleet is mixed", MINUTES, async || {
        let status = fleet.status();
        let hints = status["hints"].as_array().cloned().unwrap_or_default();
        let mut hints = hints.iter().filter_map(|hint| hint.as_str());
        hints
            .find(|hint| hint.contains("different providers"))
            .map(str::to_owned)
    })
    .await;
    assert!(hint.contains("(cpu, openvino)"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bf16_is_compared_on_real_rows_refused_above_its_limits_and_named_in_the_rows() {
    let Some((mut fleet, plugin)) = fleet(600).await else {
        return;
    };
    fleet.set("model.openvino_plugin", &plugin.display().to_string());
    fleet.set("model.provider", "openvino");
    fleet.set("model.precision", "bf16");
    if !computes_bf16() {
        let (code, text) = fleet.said("worker", &["check"]);
        assert_ne!(code, Some(0), "{text}");
        assert!(text.contains("does not compute it"), "{text}");
        return;
    }
    let (code, text) = fleet.said("worker", &["check"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(" of 600 verdicts") && text.contains("rows/s instead of"),
        "{text}"
    );

    fleet.set("model.bf16_limits", "{ nok_prob = 1e-9 }");
    let (code, text) = fleet.said("worker", &["check"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("model.bf16_limits") && text.contains("f32"),
        "{text}"
    );
    fleet.set("model.bf16_limits", "{}");

    let _scheduler = fleet.scheduler();
    let _worker = fleet.worker();
    fleet.judged(MINUTES).await;
    let versions = fleet
        .clickhouse
        .rows("SELECT DISTINCT model_version FROM spot_records WHERE final_result != ''")
        .await;
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert!(
        agree::text(&versions[0], "model_version").ends_with("+bf16"),
        "{versions:?}"
    );
}
