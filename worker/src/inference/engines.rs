//! Where TensorRT's engines are kept, and what becomes of those that it cannot read.
//!
//! ONNX Runtime names an engine after the names in its graph and the GPU's generation. A model that was trained again
//! shares these with its predecessor, and so do two GPUs of one generation, and numbers with and without TF32. So
//! each folder is named after all that an engine depends on and ONNX Runtime's name does not say.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use weldfleet_settings::{Model, Provider};

use super::hardware;
use crate::gpu::About;

/// Variable of NVIDIA's libraries; `0` keeps them from rounding to TF32. TensorRT has no option for it.
const TF32_OVERRIDE: &str = "NVIDIA_TF32_OVERRIDE";
/// In what ONNX Runtime says of an engine that was written by half or by another TensorRT.
const UNREADABLE: &str = "could not deserialize engine";

/// The folders of one process.
#[derive(Debug, Clone)]
pub struct Engines {
    root: PathBuf,
    /// Numbers and GPU: `f32-nvidia-h200-140gb`.
    made_for: String,
    /// To TF32, where nobody asked for less than f32.
    rounds: bool,
}

impl Engines {
    /// In `model.cache_dir`, for this GPU; where no driver tells of it, by the name that the kernel has for it.
    pub fn new(model: &Model, gpu: Option<&About>) -> Self {
        let tf32 = env::var(TF32_OVERRIDE).as_deref() != Ok("0");
        let gpu = match gpu {
            Some(gpu) => format!("{} {}GB", gpu.name, gpu.bytes >> 30),
            None => hardware::name(Provider::Tensorrt, model.device_id),
        };
        Self::made_for(model, tf32, &gpu)
    }

    fn made_for(model: &Model, tf32: bool, gpu: &str) -> Self {
        let numbers = match (model.fp16, tf32) {
            (false, false) => "f32",
            (false, true) => "tf32",
            (true, false) => "fp16",
            (true, true) => "fp16-tf32",
        };
        let made_for = format!("{numbers} {gpu}").to_ascii_lowercase();
        let words = made_for.split(|letter: char| !letter.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        Self {
            root: model.cache_dir.join("tensorrt"),
            made_for: words.join("-"),
            rounds: tf32 && !model.fp16,
        }
    }

    /// Warns where engines cannot be kept, or round without having been asked to.
    pub fn prepare(&self) {
        if let Err(error) = fs::create_dir_all(&self.root) {
            tracing::warn!(
                %error,
                folder = %self.root.display(),
                "TensorRT's engines cannot be kept, each start builds them for minutes; make model.cache_dir writable"
            );
        }
        if self.rounds {
            tracing::warn!(
                "TensorRT may round to TF32, and its results then differ from other devices' in the fourth digit; \
                 {TF32_OVERRIDE}=0 in the environment forbids it"
            );
        }
    }

    /// What all of them share: how long TensorRT's pieces took.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the model that has this digest.
    pub fn folder(&self, digest: &str) -> PathBuf {
        let digest = &digest[..digest.len().min(16)];
        self.root.join(format!("{digest}-{}", self.made_for))
    }

    pub fn make_folder(&self, digest: &str) -> PathBuf {
        let folder = self.folder(digest);
        if let Err(error) = fs::create_dir_all(&folder) {
            let folder = folder.display();
            tracing::warn!(%error, %folder, "a model's engine cannot be kept");
        }
        folder
    }

    /// Moves a model's engines away if this is the error of one that cannot be read, so that the next try builds them
    /// anew; whether it did. Those that were moved before are removed.
    pub fn set_aside(&self, digest: &str, error: &anyhow::Error) -> bool {
        let error = format!("{error:#}");
        if !error.contains(UNREADABLE) {
            return false;
        }
        let folder = self.folder(digest);
        let aside = folder.with_added_extension("unreadable");
        let _ = fs::remove_dir_all(&aside);
        let moved = fs::rename(&folder, &aside);
        let (folder, aside) = (folder.display(), aside.display());
        match &moved {
            Ok(()) => {
                tracing::warn!(%folder, %aside, error, "TensorRT cannot read a model's engine, building it anew for minutes");
            }
            // Another worker was faster.
            Err(why) if why.kind() == ErrorKind::NotFound => return true,
            Err(why) => {
                tracing::warn!(%folder, %why, error, "TensorRT cannot read a model's engine; remove its folder");
            }
        }
        moved.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "0123456789abcdef0123456789abcdef";
    const GPU: &str = "NVIDIA A100-SXM4-40GB 39GB";

    fn engines(cache_dir: &Path, fp16: bool, tf32: bool, gpu: &str) -> Engines {
        let model = Model {
            cache_dir: cache_dir.to_owned(),
            fp16,
            ..Model::default()
        };
        Engines::made_for(&model, tf32, gpu)
    }

    #[test]
    fn a_folder_says_all_that_an_engine_depends_on() {
        let name = |fp16, tf32, gpu| {
            let folder = engines(Path::new("cache"), fp16, tf32, gpu).folder(DIGEST);
            folder.display().to_string()
        };
        let plain = "cache/tensorrt/0123456789abcdef-f32-nvidia-a100-sxm4-40gb-39gb";
        assert_eq!(name(false, false, GPU), plain);
        for (numbers, fp16, tf32) in [
            ("-tf32-", false, true),
            ("-fp16-", true, false),
            ("-fp16-tf32-", true, true),
        ] {
            assert_eq!(name(fp16, tf32, GPU), plain.replace("-f32-", numbers));
        }
        let about = |gib: u64| About {
            name: "NVIDIA H200".to_owned(),
            bytes: gib << 30,
            free_bytes: 0,
        };
        let of = |gib| Engines::new(&Model::default(), Some(&about(gib))).folder(DIGEST);
        assert!(of(139).to_string_lossy().ends_with("-nvidia-h200-139gb"));
        assert_ne!(of(139), of(69));
    }

    #[test]
    fn an_engine_that_cannot_be_read_is_moved_aside_and_no_other() {
        let cache = tempfile::tempdir().unwrap();
        let engines = engines(cache.path(), false, false, GPU);
        let folder = engines.make_folder(DIGEST);
        let engine = folder.join("graph.engine");
        let unreadable = anyhow::anyhow!(
            "EP_FAIL: TensorRT EP could not deserialize engine from cache: graph.engine"
        );
        for half in ["first", "second"] {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&engine, half).unwrap();
            assert!(!engines.set_aside(DIGEST, &anyhow::anyhow!("out of memory")));
            assert!(engine.exists());
            assert!(engines.set_aside(DIGEST, &unreadable));
            assert!(!folder.exists());
            let aside = format!("{}.unreadable/graph.engine", folder.display());
            assert_eq!(
                fs::read_to_string(aside).unwrap(),
                half,
                "the latest is kept"
            );
        }
        assert!(
            engines.set_aside(DIGEST, &unreadable),
            "another worker has moved it"
        );
    }
}
