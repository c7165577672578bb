//! OpenVINO on a CPU, through its plugin for ONNX Runtime: the same library, another executor behind it.
//!
//! The plugin reads `num_of_threads`, `num_streams` and `precision` and ignores them; what counts is `load_config`, a
//! JSON text in OpenVINO's own words. Nothing is left to its defaults: it chooses bf16 by itself where the processor
//! has it.

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
        bail!(NoDevice(plugin.to_owned()));
    }
    Ok(())
}

/// The plugin is sound and not for this machine, as on a processor of AMD.
#[derive(Debug, thiserror::Error)]
#[error("`{}` has no device for this processor", .0.display())]
pub struct NoDevice(PathBuf);

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

    use weldfleet_settings::Provider;
    use weldfleet_testkit::{openvino_plugin, skip};
    use weldfleet_weld::features::REGRESSIONS;

    use crate::inference::{Models, layout::Layout, probe::Probe};

    /// The committed models by OpenVINO; `None` where its plugin is not published.
    fn models(precision: Precision) -> Option<Models> {
        let plugin = openvino_plugin()?;
        let models = Models::for_test("models");
        register(models.runtime.environment(), Some(&plugin)).unwrap();
        Some(Models {
            runtime: models.runtime.forced(Provider::Openvino, false),
            ..models
        })
        .map(|models| models.in_precision(precision))
    }

    /// What the models say of the probe's rows in batches of this size: probability, then the regressions, of each row.
    fn outputs(models: &Models, probe: &Probe, threads: usize, batch_rows: usize) -> Vec<[f32; 5]> {
        let layout = Layout {
            sessions: 1,
            threads,
            batch_rows,
        };
        let mut session = models.open_global(layout).unwrap();
        let mut all = Vec::new();
        for first in (0..ROWS).step_by(batch_rows) {
            let rows = batch_rows.min(ROWS - first);
            let (mut nok_prob, mut regression) = (vec![0.0; rows], vec![0.0; rows * REGRESSIONS]);
            session
                .run(probe.rows_from(first, &mut nok_prob, &mut regression))
                .unwrap();
            let rows = nok_prob.iter().zip(regression.as_chunks::<REGRESSIONS>().0);
            all.extend(rows.map(|(p, [a, b, c, d])| [*p, *a, *b, *c, *d]));
        }
        all
    }

    const ROWS: usize = 2000;

    fn furthest(one: &[[f32; 5]], other: &[[f32; 5]]) -> f32 {
        let values = one.as_flattened().iter().zip(other.as_flattened());
        values.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn f32_is_what_onnx_runtime_says_whatever_the_batch_and_the_threads() {
        let Some(models) = models(Precision::F32) else {
            skip("openvino", "no OpenVINO for this processor");
            return;
        };
        let probe = Probe::new(models.catalog.set.global().config(), ROWS);
        let reference = outputs(&Models::for_test("models"), &probe, 1, 32);
        let ours = outputs(&models, &probe, 1, 32);
        let furthest = furthest(&reference, &ours);
        assert!(furthest < 1e-5, "{furthest}");
        for (threads, batch_rows) in [(1, 1), (1, 7), (1, 64), (2, 32), (2, 5)] {
            assert!(
                outputs(&models, &probe, threads, batch_rows) == ours,
                "{threads} threads, batches of {batch_rows}"
            );
        }
    }

    #[test]
    fn bf16_is_asked_for_and_said() {
        let Some(models) = models(Precision::Bf16) else {
            skip("openvino", "no OpenVINO for this processor");
            return;
        };
        assert_eq!(models.runtime.device(), "openvino+bf16");
        let version = models.set().global().version();
        assert_eq!(
            &*version,
            format!("{}+bf16", models.catalog.set.global().version())
        );
        if check_bf16().is_err() {
            skip("bf16", "this processor does not compute bf16");
            return;
        }
        let probe = Probe::new(models.catalog.set.global().config(), ROWS);
        let exact = outputs(&Models::for_test("models"), &probe, 1, 32);
        let furthest = furthest(&exact, &outputs(&models, &probe, 1, 32));
        assert!(furthest > 1e-4, "it computes in f32: {furthest}");
    }

    #[test]
    fn what_is_no_plugin_is_refused_by_name() {
        let models = Models::for_test("models");
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("plugin.so");
        fs::write(&text, "no library").unwrap();
        let other = weldfleet_testkit::onnxruntime_library();
        for (plugin, said) in [
            (folder.path().join("missing.so"), "is no file"),
            (text, "cannot load"),
            (other, "cannot load"),
        ] {
            if device(models.runtime.environment()).is_some() {
                // registered by another test of this process: nothing is asked of the path then
                return;
            }
            let refusal = register(models.runtime.environment(), Some(&plugin)).unwrap_err();
            let refusal = format!("{refusal:#}");
            assert!(
                refusal.contains(said) && refusal.contains(&plugin.display().to_string()),
                "{refusal}"
            );
        }
        let missing = register(models.runtime.environment(), None).unwrap_err();
        assert!(missing.to_string().contains("onnxruntime-ep-openvino"));
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
