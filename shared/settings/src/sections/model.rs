//! The ONNX model, and what it runs on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// A GPU if there is one, else the CPU: by OpenVINO where its plugin is installed and faster, or by ONNX Runtime
    /// itself.
    #[default]
    Auto,
    /// ONNX Runtime's own CPU provider.
    Cpu,
    /// OpenVINO on the CPU, or refuse to start.
    Openvino,
    /// CUDA, or refuse to start.
    Cuda,
    /// TensorRT, or refuse to start.
    Tensorrt,
}

impl Provider {
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda | Self::Tensorrt)
    }

    /// The name used in configuration and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Openvino => "openvino",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
        }
    }
}

/// In which numbers a model computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    F32,
    /// 8 bits of mantissa; OpenVINO only. Rows judged so say it in `model_version`.
    Bf16,
    /// 11 bits of mantissa where TensorRT finds that faster, as `model.fp16` allows; said in `model_version` too.
    #[serde(skip)]
    Fp16,
}

impl Precision {
    /// The name used in configuration, on screens, and by OpenVINO.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
        }
    }

    /// What it puts behind a model's version or a device: `+bf16`; nothing for f32.
    pub fn suffix(self) -> String {
        match self {
            Self::F32 => String::new(),
            other => format!("+{}", other.name()),
        }
    }

    /// A model's own version, of one that may say in which numbers it was computed.
    pub fn without_suffix(version: &str) -> &str {
        let told = [Self::Bf16, Self::Fp16].iter();
        let mut without = told.filter_map(|precision| version.strip_suffix(&precision.suffix()));
        without.next().unwrap_or(version)
    }
}

/// The most that a thousand welds judged in bf16 may differ from f32. Labels of real welds scatter by a tenth of a
/// millimetre.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bf16Limits {
    /// Share of welds with another verdict.
    pub verdict_changes: f64,
    pub nok_prob: f32,
    /// Any regression, mm.
    pub millimetres: f32,
}

impl Default for Bf16Limits {
    fn default() -> Self {
        Self {
            verdict_changes: 0.001,
            nok_prob: 0.05,
            millimetres: 0.05,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// Whether the ONNX model judges.
    pub enabled: bool,
    /// Folder that holds `global/` and optionally `parts/<part_no>/`, or `parts.json` with a folder for any part.
    pub model_export_dir: PathBuf,
    pub provider: Provider,
    pub precision: Precision,
    /// What bf16 may change before `worker check` refuses it.
    pub bf16_limits: Bf16Limits,
    /// OpenVINO's plugin for ONNX Runtime; empty: `openvino/` beside ONNX Runtime or the program.
    pub openvino_plugin: PathBuf,
    /// GPU index among those the process sees; one process feeds one GPU.
    pub device_id: u32,
    /// Compute threads, each with a single-threaded session of its own; 0: the layout that tuning finds. On a GPU they
    /// prepare batches and feed the device, so that their number is that of the batches in flight.
    pub threads: u32,
    /// Rows of one inference; 0: tuned.
    pub batch_rows: u32,
    /// Folder of what is found out once: tuned layouts, TensorRT's engines.
    pub cache_dir: PathBuf,
    /// Whether TensorRT may compute in half precision; results then differ from those of other devices, and rows say so.
    pub fp16: bool,
    /// Overrides the model's own threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nok_threshold: Option<f32>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            enabled: true,
            model_export_dir: "models".into(),
            provider: Provider::Auto,
            precision: Precision::F32,
            bf16_limits: Bf16Limits::default(),
            openvino_plugin: PathBuf::new(),
            device_id: 0,
            threads: 0,
            batch_rows: 0,
            cache_dir: "data/cache".into(),
            fp16: false,
            nok_threshold: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_says_in_which_numbers_a_model_was_computed() {
        for (precision, version) in [
            (Precision::F32, "m-1"),
            (Precision::Bf16, "m-1+bf16"),
            (Precision::Fp16, "m-1+fp16"),
        ] {
            assert_eq!(format!("m-1{}", precision.suffix()), version);
            assert_eq!(Precision::without_suffix(version), "m-1");
        }
    }
}
