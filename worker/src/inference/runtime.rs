//! ONNX Runtime, loaded once from a shared library, and where a model runs.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use ort::{
    device::Device,
    environment::Environment,
    ep::{self, ArenaExtendStrategy, ExecutionProviderDispatch, cuda::ConvAlgorithmSearch},
    session::builder::SessionBuilder,
};
use weldfleet_settings::{Model, Precision, Provider};

use super::{
    engines::Engines,
    openvino,
    provider::{self, HostSupport},
};
use crate::gpu::Gpu;

/// File name of the library when `ORT_DYLIB_PATH` does not say.
const LIBRARY: &str = "libonnxruntime.so";

/// ONNX Runtime with the device that was chosen.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    provider: Provider,
    device_id: u32,
    fp16: bool,
    precision: Precision,
    /// TensorRT's.
    engines: Engines,
    gpu_free_bytes: Option<u64>,
    openvino_plugin: Option<PathBuf>,
    chosen_by_auto: bool,
}

/// The batch that TensorRT builds an engine for: `input:dimxdim,…`. One shape, so that no batch makes it build another.
pub struct EngineShapes {
    pub min: String,
    /// The one to be fast with.
    pub opt: String,
    pub max: String,
}

impl Runtime {
    /// Loads the library and settles the provider: `auto` takes a GPU if the runtime has one, else the CPU, where
    /// [`Runtime::on_openvino`] may take its place; what is asked for by name refuses to fall back.
    ///
    /// # Errors
    /// If the library cannot be loaded or lacks the provider that was asked for.
    pub fn load(model: &Model) -> anyhow::Result<Self> {
        Self::with_library(&library(), model)
    }

    /// [`Runtime::load`] from this library.
    pub fn with_library(library: &Path, model: &Model) -> anyhow::Result<Self> {
        let environment = load_library(library)?;
        let provider = provider::choose(model, &HostSupport::on_this_host())?;
        let chosen_by_auto = model.provider == Provider::Auto;
        let gpu = provider
            .is_gpu()
            .then(|| Gpu::find(model.device_id)?.about())
            .flatten();
        let runtime = Self {
            environment,
            provider,
            device_id: model.device_id,
            fp16: model.fp16,
            precision: model.precision,
            engines: Engines::new(model, gpu.as_ref()),
            gpu_free_bytes: gpu.map(|gpu| gpu.free_bytes),
            openvino_plugin: openvino::find(model, library),
            chosen_by_auto,
        };
        match provider {
            Provider::Tensorrt => runtime.engines.prepare(),
            Provider::Openvino => runtime
                .register_openvino()
                .context("model.provider = \"openvino\"")?,
            Provider::Cpu if chosen_by_auto => runtime.offer_openvino()?,
            _ => {}
        }
        if model.precision == Precision::Bf16 {
            openvino::check_bf16()?;
        }
        Ok(runtime)
    }

    fn register_openvino(&self) -> anyhow::Result<()> {
        openvino::register(&self.environment, self.openvino_plugin.as_deref())
    }

    /// Lets `auto` choose OpenVINO where its plugin is there.
    fn offer_openvino(&self) -> anyhow::Result<()> {
        if let Err(error) = self.register_openvino() {
            ensure!(
                self.precision == Precision::F32,
                "model.precision = \"bf16\" needs OpenVINO: {error:#}"
            );
            let nobodys_mistake = error.is::<openvino::NoDevice>();
            let error = format!("{error:#}");
            let told = "no GPU and no OpenVINO, using ONNX Runtime's own cpu provider";
            match nobodys_mistake {
                true => tracing::info!(error, "{told}"),
                false => tracing::warn!(error, "{told}"),
            }
        }
        Ok(())
    }

    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Where models run; never `auto`.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    pub fn is_gpu(&self) -> bool {
        self.provider.is_gpu()
    }

    /// In which numbers the models compute.
    pub fn precision(&self) -> Precision {
        match self.provider {
            Provider::Openvino => self.precision,
            Provider::Tensorrt if self.fp16 => Precision::Fp16,
            _ => Precision::F32,
        }
    }

    /// Memory of the GPU in use that nobody had when this was loaded; `None` where no driver tells.
    pub fn gpu_free_bytes(&self) -> Option<u64> {
        self.gpu_free_bytes.filter(|_| self.is_gpu())
    }

    pub fn device_id(&self) -> i32 {
        i32::try_from(self.device_id).unwrap_or(i32::MAX)
    }

    /// Whether `auto` took a GPU, so that the CPU may take its place.
    pub fn may_fall_back(&self) -> bool {
        self.chosen_by_auto && self.is_gpu()
    }

    /// The same where the GPU that `auto` took does not work.
    ///
    /// # Errors
    /// If what is configured needs OpenVINO, and its plugin is not there.
    pub fn fallen_back(self) -> anyhow::Result<Self> {
        let on_cpu = self.on_cpu();
        on_cpu.offer_openvino()?;
        Ok(on_cpu)
    }

    /// The same on the CPU, by ONNX Runtime's own provider.
    pub fn on_cpu(self) -> Self {
        Self {
            provider: Provider::Cpu,
            ..self
        }
    }

    /// The same by OpenVINO, where `auto` came to the CPU and the plugin is there.
    pub fn on_openvino(&self) -> Option<Self> {
        let may = self.chosen_by_auto && self.provider == Provider::Cpu;
        (may && openvino::device(&self.environment).is_some()).then(|| Self {
            provider: Provider::Openvino,
            ..self.clone()
        })
    }

    /// In other numbers, by OpenVINO.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The device as people name it: `cpu`, `openvino`, `openvino+bf16`, `cuda:0`, `tensorrt+fp16:0`.
    pub fn device(&self) -> String {
        let mut device = format!("{}{}", self.provider.name(), self.precision().suffix());
        if self.is_gpu() {
            device.push_str(&format!(":{}", self.device_id));
        }
        device
    }

    /// Makes room for a new engine of the model with this digest, if this is the error of one that cannot be read;
    /// whether it did.
    pub fn set_engines_aside(&self, digest: &str, error: &anyhow::Error) -> bool {
        self.provider == Provider::Tensorrt && self.engines.set_aside(digest, error)
    }

    /// What a session registers, best first; each refuses rather than falls back silently.
    /// `digest` is the model's.
    pub fn execution_providers(
        &self,
        shapes: &EngineShapes,
        digest: &str,
    ) -> Vec<ExecutionProviderDispatch> {
        match self.provider {
            Provider::Tensorrt => vec![self.tensorrt(shapes, digest), self.cuda()],
            Provider::Cuda => vec![self.cuda()],
            Provider::Cpu | Provider::Auto | Provider::Openvino => Vec::new(),
        }
    }

    /// Names the device of a session that is being built, where it is a processor. Left to itself, `ort` asks ONNX
    /// Runtime for the most efficient device: once OpenVINO is registered, that is OpenVINO, in bf16.
    ///
    /// # Errors
    /// If the device is gone or refuses its options.
    pub fn with_processor(
        &self,
        builder: SessionBuilder,
        threads: usize,
    ) -> anyhow::Result<SessionBuilder> {
        let (device, options) = match self.provider {
            Provider::Cuda | Provider::Tensorrt => return Ok(builder),
            Provider::Openvino => (
                openvino::device(&self.environment).context("OpenVINO is not registered")?,
                openvino::options(threads, self.precision),
            ),
            Provider::Cpu | Provider::Auto => (
                processor(&self.environment).context("ONNX Runtime names no CPU device")?,
                Vec::new(),
            ),
        };
        builder
            .with_devices([device], Some(&options))
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn cuda(&self) -> ExecutionProviderDispatch {
        ep::CUDA::default()
            .with_device_id(self.device_id())
            // ONNX Runtime's default rounds products to 10 bits; verdicts must not depend on the device.
            .with_tf32(false)
            // The exhaustive search times every algorithm at start, and may choose another one each time.
            .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
            // Shapes do not change, so that doubling would only waste memory that other sessions need.
            .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
            .build()
            .error_on_failure()
    }

    fn tensorrt(&self, shapes: &EngineShapes, digest: &str) -> ExecutionProviderDispatch {
        ep::TensorRT::default()
            .with_device_id(self.device_id())
            .with_fp16(self.fp16)
            .with_engine_cache(true)
            .with_engine_cache_path(self.engines.make_folder(digest).display())
            .with_timing_cache(true)
            .with_timing_cache_path(self.engines.root().display())
            .with_profile_min_shapes(&shapes.min)
            .with_profile_opt_shapes(&shapes.opt)
            .with_profile_max_shapes(&shapes.max)
            .build()
            .error_on_failure()
    }
}

/// ONNX Runtime's own provider for processors.
fn processor(environment: &Environment) -> Option<Device<'_>> {
    let mut devices = environment.devices();
    devices.find(|device| device.ep().is_ok_and(|name| name == "CPUExecutionProvider"))
}

fn load_library(library: &Path) -> anyhow::Result<Environment> {
    ort::init_from(library)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .and_then(|builder| {
            let builder = builder.with_name("weldfleet").with_telemetry(false);
            builder.build().map_err(Into::into)
        })
        .with_context(|| {
            format!(
                "cannot load ONNX Runtime from `{}`; set ORT_DYLIB_PATH to libonnxruntime.so of version 1.31",
                library.display()
            )
        })
}

fn library() -> PathBuf {
    if let Some(path) = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return path.into();
    }
    let beside_binary = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(|folder| folder.join(LIBRARY)))
        .filter(|path| path.exists());
    beside_binary.unwrap_or_else(|| LIBRARY.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Runtime {
        /// As if this device had been found.
        pub fn forced(self, provider: Provider, chosen_by_auto: bool) -> Self {
            Self {
                provider,
                chosen_by_auto,
                ..self
            }
        }

        pub fn with_openvino_plugin(self, plugin: PathBuf) -> Self {
            Self {
                openvino_plugin: Some(plugin),
                ..self
            }
        }

        pub fn with_gpu_free_bytes(self, bytes: u64) -> Self {
            Self {
                gpu_free_bytes: Some(bytes),
                ..self
            }
        }

        pub fn with_fp16(self, fp16: bool) -> Self {
            Self { fp16, ..self }
        }
    }
}
