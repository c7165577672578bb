//! The ONNX models on the device that was chosen, and opening them.

use std::{thread, time::Instant};

use weldfleet_settings::{Model, Precision, Provider};
use weldfleet_weld::judge::{ModelId, ModelSet, ModelSpec};

use super::{
    bound::Bound,
    catalog::Catalog,
    files::ModelFiles,
    layout::{Layout, candidates},
    runtime::Runtime,
    session::ModelSession,
    trial,
};

/// What inference needs, where the model is on.
#[derive(Clone)]
pub struct Models {
    /// ONNX Runtime on the chosen device.
    pub runtime: Runtime,
    pub catalog: Catalog,
}

impl Models {
    /// Reads the models and settles the device. Where `auto` found a GPU, the global model is tried on it: a driver or
    /// a library that is missing shows only then.
    ///
    /// # Errors
    /// What is wrong with a model's files or the device, and the remedy.
    pub fn load(settings: &Model) -> anyhow::Result<Self> {
        let catalog = Catalog::read(settings)?;
        let runtime = Runtime::load(settings)?;
        let models = Self { runtime, catalog };
        models.with_fallback(settings)
    }

    /// The same by OpenVINO, where `auto` may choose it.
    pub fn on_openvino(&self) -> Option<Self> {
        Some(Self {
            runtime: self.runtime.on_openvino()?,
            catalog: self.catalog.clone(),
        })
    }

    /// In other numbers, by OpenVINO.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self {
            runtime: self.runtime.in_precision(precision),
            ..self
        }
    }

    /// The models as judging sees them: rows judged in other numbers than f32 say so in their `model_version`.
    pub fn set(&self) -> ModelSet {
        let set = self.catalog.set.clone();
        set.with_version_suffix(&self.runtime.precision().suffix())
    }

    fn with_fallback(self, settings: &Model) -> anyhow::Result<Self> {
        if !self.runtime.may_fall_back() {
            return Ok(self);
        }
        let layout = candidates(self.runtime.provider(), 1, settings)[0];
        let Err(error) = self.open_global(layout) else {
            return Ok(self);
        };
        tracing::warn!(
            error = format!("{error:#}"),
            device = self.runtime.device(),
            "the GPU cannot be used, using the cpu; model.provider = \"cuda\" would refuse to start"
        );
        Ok(Self {
            runtime: self.runtime.fallen_back()?,
            ..self
        })
    }

    /// Tries the model of each part, so that one that is broken is refused at the start and not at its first weld.
    ///
    /// # Errors
    /// The first that cannot be opened, or does not keep to its interface.
    pub fn try_parts(&self, layout: Layout) -> anyhow::Result<()> {
        for (id, _) in self.catalog.set.specs().skip(1) {
            weldfleet_failpoints::reach_blocking("worker::try_part");
            self.try_once(id)?;
            if self.runtime.provider() != Provider::Cpu {
                self.open(id, layout)?;
            }
        }
        Ok(())
    }

    /// A session of the global model.
    pub fn open_global(&self, layout: Layout) -> anyhow::Result<ModelSession> {
        self.open(ModelId::GLOBAL, layout)
    }

    /// A session of a model, which is tried first unless this process has done so.
    ///
    /// # Errors
    /// If it cannot be opened, or does not keep to its interface.
    pub fn open(&self, id: ModelId, layout: Layout) -> anyhow::Result<ModelSession> {
        self.try_once(id)?;
        let config = self.catalog.set.spec(id).config();
        let files = self.catalog.files(id);
        if !self.runtime.is_gpu() || !files.is_first_opened() {
            return ModelSession::open(&self.runtime, files, config, layout);
        }
        // The first time may take minutes: TensorRT builds an engine.
        let (model, device) = (files.path.display(), self.runtime.device());
        tracing::info!(%model, device, "opening a model");
        let began = Instant::now();
        let session = ModelSession::open(&self.runtime, files, config, layout)?;
        tracing::info!(%model, device, took = ?began.elapsed(), "a model is open");
        Ok(session)
    }

    pub fn ids(&self) -> impl Iterator<Item = ModelId> {
        self.catalog.set.specs().map(|(id, _)| id)
    }

    /// Bytes of all models' files.
    pub fn bytes(&self) -> u64 {
        let files = self.catalog.files.iter();
        files.map(ModelFiles::bytes).sum()
    }

    /// About what sessions of these models take: as much as the files, and on a GPU what a batch is copied to and from,
    /// both on the host and on the device.
    pub fn session_bytes(&self, ids: impl IntoIterator<Item = ModelId>, layout: Layout) -> u64 {
        let one = |id| {
            let buffers = match self.runtime.is_gpu() {
                true => Bound::bytes(self.catalog.set.spec(id).config(), layout.batch_rows),
                false => 0,
            };
            self.catalog.files(id).bytes() + buffers
        };
        ids.into_iter().map(one).sum()
    }

    /// Models that answered no made-up row with numbers.
    pub fn without_answer(&self) -> impl Iterator<Item = &ModelSpec> {
        let specs = self.catalog.set.specs();
        let silent = specs.filter(|(id, _)| self.try_once(*id).is_ok_and(|answers| !answers));
        silent.map(|(_, spec)| spec)
    }

    fn try_once(&self, id: ModelId) -> anyhow::Result<bool> {
        let files = self.catalog.files(id);
        let config = self.catalog.set.spec(id).config();
        files.tried(|| trial::run(&self.runtime, files, config))
    }
}

/// Makes sessions, the first alone and the others together: many would take long one after the other, and the others
/// find the engine that TensorRT builds, for minutes, for the first.
pub fn first_then_rest<T: Send>(
    count: usize,
    make: impl Fn() -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let mut all = vec![make()?];
    thread::scope(|scope| {
        let making: Vec<_> = (1..count).map(|_| scope.spawn(&make)).collect();
        for one in making {
            match one.join() {
                Ok(made) => all.push(made?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::{
            OnceLock,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use weldfleet_testkit::{
        onnxruntime_gpu_library, onnxruntime_library, openvino_plugin, repository, skip,
    };

    use super::*;

    impl Models {
        /// Those of a folder of the repository, on the CPU.
        pub fn for_test(folder: &str) -> Self {
            Self::with(&onnxruntime_library(), folder)
        }

        fn with(library: &Path, folder: &str) -> Self {
            Self::in_folder(library, &repository().join(folder))
        }

        /// Those of any folder, on the CPU.
        pub fn in_folder(library: &Path, folder: &Path) -> Self {
            let settings = Model {
                model_export_dir: folder.to_owned(),
                provider: Provider::Cpu,
                ..Model::default()
            };
            // A process has one environment.
            static LOADED: OnceLock<Runtime> = OnceLock::new();
            let runtime = LOADED.get_or_init(|| Runtime::with_library(library, &settings).unwrap());
            Self {
                runtime: runtime.clone(),
                catalog: Catalog::read(&settings).unwrap(),
            }
        }
    }

    /// Where there is a device file but no driver or library that works, only opening a model tells.
    #[test]
    fn a_gpu_that_does_not_work_is_refused_or_replaced() {
        let Some(library) = onnxruntime_gpu_library() else {
            skip(
                "onnxruntime_gpu",
                "no GPU build here; tools/parts.sh onnxruntime_gpu fetches it",
            );
            return;
        };
        if Path::new("/dev/nvidia0").exists() {
            skip("gpu", "this machine has a GPU, so none can fail to work");
            return;
        }
        let models = Models::with(&library, "models");
        let on = |provider, by_auto| Models {
            runtime: models.runtime.clone().forced(provider, by_auto),
            catalog: models.catalog.clone(),
        };
        let settings = Model::default();
        for (provider, needed) in [
            (Provider::Cuda, "CUDA 13"),
            (Provider::Tensorrt, "TensorRT 10"),
        ] {
            let models = on(provider, false);
            let layout = candidates(provider, 1, &settings)[0];
            let refusal = models.open_global(layout).err().expect("no device works");
            let refusal = format!("{refusal:#}");
            assert!(
                refusal.contains("global/model.onnx") && refusal.contains(needed),
                "{refusal}"
            );
            assert_eq!(
                models.with_fallback(&settings).unwrap().runtime.provider(),
                provider,
                "what was asked for by name is not replaced"
            );
        }
        let fallen_back = on(Provider::Cuda, true).with_fallback(&settings).unwrap();
        assert_eq!(fallen_back.runtime.device(), "cpu");
        assert!(
            fallen_back
                .open_global(candidates(Provider::Cpu, 1, &settings)[0])
                .is_ok()
        );
    }

    #[test]
    fn where_the_gpu_fails_auto_may_choose_openvino() {
        let Some(plugin) = openvino_plugin() else {
            skip("openvino", "no OpenVINO for this processor");
            return;
        };
        let models = Models::for_test("models");
        // This library has no CUDA.
        let runtime = models.runtime.clone().forced(Provider::Cuda, true);
        let on_gpu = Models {
            runtime: runtime.with_openvino_plugin(plugin),
            ..models
        };
        let fallen_back = on_gpu.with_fallback(&Model::default()).unwrap();
        assert_eq!(fallen_back.runtime.provider(), Provider::Cpu);
        let on_openvino = fallen_back.on_openvino().expect("a choice");
        assert_eq!(on_openvino.runtime.provider(), Provider::Openvino);
    }

    #[test]
    fn numbers_that_are_not_f32_are_told_by_rows_and_device() {
        let models = Models::for_test("models");
        let told = |provider, fp16| {
            let runtime = models.runtime.clone().forced(provider, false);
            let models = Models {
                runtime: runtime.with_fp16(fp16),
                catalog: models.catalog.clone(),
            };
            let version = models.set().global().version().to_string();
            (models.runtime.device(), version)
        };
        let plain = models.set().global().version().to_string();
        let half = format!("{plain}+fp16");
        for (provider, fp16, device, version) in [
            (Provider::Tensorrt, true, "tensorrt+fp16:0", &half),
            (Provider::Tensorrt, false, "tensorrt:0", &plain),
            (Provider::Cuda, true, "cuda:0", &plain),
            (Provider::Cpu, true, "cpu", &plain),
        ] {
            assert_eq!(told(provider, fp16), (device.to_owned(), version.clone()));
        }
    }

    #[test]
    fn as_many_are_made_as_wanted_and_one_failure_fails_all() {
        let made = AtomicUsize::new(0);
        let number = || Ok(made.fetch_add(1, Ordering::Relaxed));
        assert_eq!(first_then_rest(3, number).unwrap().len(), 3);
        let until_five = || match made.fetch_add(1, Ordering::Relaxed) {
            5 => anyhow::bail!("the sixth fails"),
            number => Ok(number),
        };
        let failed = first_then_rest(4, until_five).unwrap_err();
        assert_eq!(failed.to_string(), "the sixth fails");
    }
}
