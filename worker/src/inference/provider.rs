//! Which provider models run on: of what is configured, what ONNX Runtime was built with and the GPUs that are here.

use std::{fs, path::Path};

use anyhow::{bail, ensure};
use ort::ep::{self, ExecutionProvider};
use weldfleet_settings::{Model, Precision, Provider};

/// What this runtime was built with, and the GPUs this process sees.
pub struct HostSupport {
    cuda: bool,
    tensorrt: bool,
    devices: u32,
}

impl HostSupport {
    pub fn on_this_host() -> Self {
        Self {
            cuda: ep::CUDA::is_available().unwrap_or(false),
            tensorrt: ep::TensorRT::is_available().unwrap_or(false),
            devices: devices(Path::new("/dev")),
        }
    }
}

/// Number of GPUs; the runtime itself only tells at the first session. Their nodes are counted and not looked up by
/// number, since in a container that was given the host's GPU 3 alone, `nvidia3` is device 0.
fn devices(dev: &Path) -> u32 {
    if dev.join("dxg").exists() {
        return 1;
    }
    let Ok(entries) = fs::read_dir(dev) else {
        return 0;
    };
    let numbered = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("nvidia"));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    u32::try_from(numbered.count()).unwrap_or(u32::MAX)
}

/// The provider that models run on; what is asked for by name refuses to fall back.
pub fn choose(model: &Model, host: &HostSupport) -> anyhow::Result<Provider> {
    let device = model.device_id < host.devices;
    let available = match model.provider {
        Provider::Cpu | Provider::Openvino => return Ok(model.provider),
        Provider::Auto if host.cuda && device => {
            ensure!(
                model.precision == Precision::F32,
                "model.precision = \"bf16\", but model.provider = \"auto\" found a GPU, which computes f32; use \"openvino\" or \"f32\""
            );
            return Ok(Provider::Cuda);
        }
        Provider::Auto => {
            tracing::info!(
                "no CUDA device or provider found, using the cpu; model.provider = \"cuda\" would refuse to start"
            );
            return Ok(Provider::Cpu);
        }
        Provider::Cuda => host.cuda,
        Provider::Tensorrt => host.tensorrt,
    };
    let wanted = model.provider.name();
    if !available {
        bail!(
            "model.provider = \"{wanted}\", but this ONNX Runtime was built without it; \
             install onnxruntime-gpu and point ORT_DYLIB_PATH at it, or use \"auto\" or \"cpu\""
        );
    }
    if !device {
        bail!(
            "model.provider = \"{wanted}\", but there is no NVIDIA device {} ({} found); \
             check model.device_id and the driver, or use \"auto\" or \"cpu\"",
            model.device_id,
            host.devices
        );
    }
    Ok(model.provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(provider: Provider, device_id: u32, host: &HostSupport) -> Result<Provider, String> {
        let model = Model {
            provider,
            device_id,
            ..Model::default()
        };
        choose(&model, host).map_err(|error| error.to_string())
    }

    #[test]
    fn auto_takes_a_gpu_only_where_library_and_device_are_there() {
        let host = |cuda, devices| HostSupport {
            cuda,
            tensorrt: cuda,
            devices,
        };
        assert_eq!(
            chosen(Provider::Auto, 0, &host(true, 1)),
            Ok(Provider::Cuda)
        );
        assert_eq!(chosen(Provider::Auto, 1, &host(true, 1)), Ok(Provider::Cpu));
        assert_eq!(
            chosen(Provider::Auto, 0, &host(false, 1)),
            Ok(Provider::Cpu)
        );
        assert_eq!(
            chosen(Provider::Tensorrt, 1, &host(true, 2)),
            Ok(Provider::Tensorrt)
        );
        let refusal = chosen(Provider::Cuda, 2, &host(true, 2)).unwrap_err();
        assert!(
            refusal.contains("no NVIDIA device 2 (2 found)"),
            "{refusal}"
        );
        let refusal = chosen(Provider::Tensorrt, 0, &host(false, 2)).unwrap_err();
        assert!(refusal.contains("built without it"), "{refusal}");
    }

    #[test]
    fn gpus_are_counted_whatever_their_numbers() {
        let dev = tempfile::tempdir().unwrap();
        assert_eq!(devices(dev.path()), 0);
        for name in ["nvidia3", "nvidia12", "nvidiactl", "nvidia-uvm", "null"] {
            fs::write(dev.path().join(name), "").unwrap();
        }
        assert_eq!(devices(dev.path()), 2);
        assert_eq!(devices(&dev.path().join("nothing")), 0);
    }
}
