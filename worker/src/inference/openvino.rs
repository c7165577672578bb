//! OpenVINO on a CPU, through its plugin for ONNX Runtime: the same library, another executor behind it.
//!
//! The plugin reads `num_of_threads`, `num_streams` and `precision` and ignores them; what counts is `load_config`, a JSON
//! text in OpenVINO's own words. Nothing is left to its defaults: it chooses bf16 by itself where the processor has it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use ort::{device::Device, environment::Environment, memory::DeviceType};
use serde_json::json;
use weldfleet_settings::{Model, Precision};

/// File name of the plugin.
const PLUGIN: &str = "libonnxruntime_providers_openvino_plugin.so";
/// Folder of the plugin beside ONNX Runtime or the program.
const FOLDER: &str = "openvino";
/// Name of the execution provider. Those of the plugin's other devices (`….AUTO`, GPU, NPU) differ.
const PROVIDER: &str = "OpenVINOExecutionProvider";

/// The plugin that is configured, or else one beside ONNX Runtime or this program.
pub fn find(model: &Model, library: &Path) -> Option<PathBuf> {
    if !model.openvino_plugin.as_os_str().is_empty() {
        return Some(model.openvino_plugin.clone());
    }
    let program = env::current_exe().ok();
    let beside = [Some(library), program.as_deref()]
        .into_iter()
        .flatten()
        .filter_map(Path::parent);
    beside
        .map(|folder| folder.join(FOLDER).join(PLUGIN))
        .find(|path| path.exists())
}

/// Makes the plugin's CPU device known to ONNX Runtime. A process does so once.
///
/// # Errors
/// If the plugin is not there, cannot be loaded, or has no CPU.
pub fn register(environment: &Environment, plugin: Option<&Path>) -> anyhow::Result<()> {
    if device(environment).is_some() {
        return Ok(());
    }
    let plugin = plugin.context(
        "the plugin is not installed; install the Python package onnxruntime-ep-openvino, or only unpack it, and set \
         model.openvino_plugin to its libonnxruntime_providers_openvino_plugin.so",
    )?;
    let shown = plugin.display();
    ensure!(
        fs::metadata(plugin).is_ok_and(|found| found.is_file()),
        "model.openvino_plugin = \"{shown}\" is no file"
    );
    environment
        .register_ep_library("openvino", plugin)
        .with_context(|| {
            format!("cannot load `{shown}`; it must be of a version that this ONNX Runtime takes, with the libraries that it came with")
        })?;
    if device(environment).is_none() {
        bail!("`{shown}` has no device for this processor");
    }
    Ok(())
}

/// OpenVINO's CPU, where its plugin is registered.
pub fn device(environment: &Environment) -> Option<Device<'_>> {
    environment.devices().find(|device| {
        device.ep().is_ok_and(|name| name == PROVIDER)
            && device.hardware_device().ty() == DeviceType::CPU
    })
}

/// One stream of so many threads, in this precision and no other, on whatever core the system gives.
pub fn options(threads: usize, precision: Precision) -> Vec<(String, String)> {
    let cpu = json!({
        "INFERENCE_PRECISION_HINT": precision.name(),
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads.to_string(),
        // a container's cores are not the host's
        "ENABLE_CPU_PINNING": "NO",
        "ENABLE_HYPER_THREADING": "YES",
    });
    vec![(
        format!("{PROVIDER}.load_config"),
        json!({ "CPU": cpu }).to_string(),
    )]
}

/// Whether this processor computes bf16 itself; elsewhere OpenVINO would compute in f32 and say nothing.
///
/// # Errors
/// If it does not.
pub fn check_bf16() -> anyhow::Result<()> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    ensure!(
        has_bf16(&cpuinfo),
        "model.precision = \"bf16\", but this processor does not compute it (neither amx_bf16 nor avx512_bf16); use \"f32\""
    );
    Ok(())
}

fn has_bf16(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| {
        flags
            .split_whitespace()
            .any(|flag| flag == "amx_bf16" || flag == "avx512_bf16")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_a_flag_of_its_own() {
        assert!(has_bf16(
            "model name : x\nflags\t\t: fpu avx512f amx_bf16\n"
        ));
        assert!(!has_bf16("flags\t\t: fpu avx512f avx512_bf16_not\n"));
        assert!(!has_bf16(""));
    }

    #[test]
    fn nothing_is_left_to_openvinos_defaults() {
        let [(name, config)] = options(2, Precision::F32).try_into().unwrap();
        assert_eq!(name, "OpenVINOExecutionProvider.load_config");
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["CPU"]["INFERENCE_PRECISION_HINT"], "f32");
        assert_eq!(config["CPU"]["INFERENCE_NUM_THREADS"], "2");
        assert_eq!(config["CPU"]["ENABLE_CPU_PINNING"], "NO");
    }

    #[test]
    fn what_is_configured_is_not_looked_for_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libonnxruntime.so");
        let mut model = Model::default();
        assert_eq!(find(&model, &library), None);
        let beside = folder.path().join(FOLDER).join(PLUGIN);
        fs::create_dir(beside.parent().unwrap()).unwrap();
        fs::write(&beside, "").unwrap();
        assert_eq!(find(&model, &library), Some(beside));
        model.openvino_plugin = "/nowhere/plugin.so".into();
        assert_eq!(find(&model, &library), Some("/nowhere/plugin.so".into()));
    }
}
