//! A model's files, read once.
//!
//! Every session of a process is made of the bytes that were there at its start, and so is what it tells of the model:
//! a file that is replaced meanwhile judges nothing under the version, the threshold and the length of another one.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};
use weldfleet_weld::features::InferenceConfig;

use super::external;

/// File names within a model's folder.
pub const MODEL: &str = "model.onnx";
pub const CONFIG: &str = "inference_config.json";

/// What a model consists of, in memory.
pub struct ModelFiles {
    /// Where the graph was read from.
    pub path: PathBuf,
    pub graph: Vec<u8>,
    /// The files beside it that it names.
    pub weights: Vec<Weights>,
    /// SHA-256 of the graph with its weights, in hexadecimal; where all is in one file, of that file.
    pub digest: String,
    pub read_files: Vec<ReadFile>,
    tried: OnceLock<Result<bool, String>>,
    opened: AtomicBool,
}

/// A file of weights beside the graph.
pub struct Weights {
    /// As the graph names it.
    pub name: String,
    /// Its content; sessions keep it alive and share it.
    pub bytes: Arc<[u8]>,
}

/// A file as it was when it was read.
pub struct ReadFile {
    pub path: PathBuf,
    pub digest: [u8; 32],
    /// What the file system said of it.
    pub stamp: Stamp,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// Of the file that is there now.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self {
            inode: about.ino(),
            length: about.len(),
            modified: about.modified().ok(),
        })
    }
}

impl ReadFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read; names it.
    pub fn read(path: PathBuf) -> anyhow::Result<(Self, Vec<u8>)> {
        let shown = || format!("cannot read `{}`", path.display());
        // Before the content: a change during the reading then shows.
        let stamp = Stamp::of(&path).with_context(shown)?;
        let bytes = fs::read(&path).with_context(shown)?;
        let digest = Sha256::digest(&bytes).into();
        let file = Self {
            path,
            digest,
            stamp,
        };
        Ok((file, bytes))
    }
}

impl ModelFiles {
    /// Reads a model's folder.
    ///
    /// # Errors
    /// If a file is missing, wrong, or replaced meanwhile; names it.
    pub fn read(folder: &Path) -> anyhow::Result<(Self, InferenceConfig)> {
        let path = folder.join(MODEL);
        if !path.is_file() {
            bail!("`{}` does not exist", path.display());
        }
        let (config_file, text) = ReadFile::read(folder.join(CONFIG))?;
        let shown = || format!("`{}`", config_file.path.display());
        let text = String::from_utf8(text).with_context(shown)?;
        let config = InferenceConfig::from_json(&text).with_context(shown)?;

        let (graph_file, graph) = ReadFile::read(path.clone())?;
        let names = external::files(&graph)
            .with_context(|| format!("cannot open model `{}`", path.display()))?;
        let mut read = vec![graph_file];
        let mut weights = Vec::new();
        for name in names {
            let (file, bytes) = ReadFile::read(folder.join(&name))
                .with_context(|| format!("weights of model `{}`", path.display()))?;
            read.push(file);
            let bytes = bytes.into();
            weights.push(Weights { name, bytes });
        }
        let digest = digest(&read, &weights);
        read.push(config_file);
        for file in &read {
            ensure!(
                Stamp::of(&file.path).is_ok_and(|stamp| stamp == file.stamp),
                "`{}` was changed while the model was read; start again when its files are complete",
                file.path.display()
            );
        }
        let files = Self {
            path,
            graph,
            weights,
            digest,
            read_files: read,
            tried: OnceLock::new(),
            opened: AtomicBool::new(false),
        };
        Ok((files, config))
    }

    /// Bytes of the graph and its weights.
    pub fn bytes(&self) -> u64 {
        let weights: usize = self.weights.iter().map(|file| file.bytes.len()).sum();
        (self.graph.len() + weights) as u64
    }

    /// Whether this process opens a session of it for the first time: true once.
    pub fn is_first_opened(&self) -> bool {
        !self.opened.swap(true, Ordering::AcqRel)
    }

    /// What the first trial of this model found; later ones are answered the same.
    pub fn tried(&self, trial: impl FnOnce() -> anyhow::Result<bool>) -> anyhow::Result<bool> {
        let tried = self
            .tried
            .get_or_init(|| trial().map_err(|error| format!("{error:#}")));
        tried.clone().map_err(anyhow::Error::msg)
    }
}

fn digest(read: &[ReadFile], weights: &[Weights]) -> String {
    let whole = match read {
        [graph] => graph.digest,
        files => {
            let mut whole = Sha256::new();
            let names = std::iter::once(MODEL).chain(weights.iter().map(|one| one.name.as_str()));
            for (name, file) in names.zip(files) {
                whole.update(name);
                whole.update([0]);
                whole.update(file.digest);
            }
            whole.finalize().into()
        }
    };
    whole.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use weldfleet_testkit::{onnxruntime_library, repository};
    use weldfleet_weld::features::REGRESSIONS;

    use super::*;
    use crate::inference::{Models, layout::Layout, probe::Probe};

    fn copy(from: &str, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for file in fs::read_dir(repository().join(from).join("global")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }

    /// Regressions of a made-up row.
    fn answer(models: &Models, part: &str) -> Vec<f32> {
        let layout = Layout {
            sessions: 1,
            threads: 1,
            batch_rows: 1,
        };
        let id = models.catalog.set.for_part(part);
        let mut session = models.open(id, layout).unwrap();
        let probe = Probe::new(models.catalog.set.spec(id).config(), 1);
        let mut regression = vec![f32::NAN; REGRESSIONS];
        session
            .run(probe.rows(&mut [f32::NAN], &mut regression))
            .unwrap();
        regression
    }

    #[test]
    fn what_is_replaced_after_the_start_judges_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (global, part) = (folder.path().join("global"), folder.path().join("parts/A"));
        copy("tests/tests/data/models/good", &global);
        copy("bench/models/near-free", &part);
        let read = || Models::in_folder(&onnxruntime_library(), folder.path());
        let before = read();
        let (as_read, digest) = (answer(&before, "A"), &before.catalog.files[1].digest);
        copy("bench/models/near-free-b", &part);
        // No session of the part is open any more: the next one is made of what was read.
        assert_eq!(answer(&before, "A"), as_read);
        fs::remove_dir_all(&part).unwrap();
        assert_eq!(answer(&before, "A"), as_read);
        copy("bench/models/near-free-b", &part);
        let after = read();
        assert_ne!(answer(&after, "A"), as_read);
        assert_ne!(&after.catalog.files[1].digest, digest);
    }

    #[test]
    fn weights_in_a_file_of_their_own_are_read_with_the_graph() {
        let folder = tempfile::tempdir().unwrap();
        let global = folder.path().join("global");
        copy("tests/tests/data/models/external", &global);
        let read = || Models::in_folder(&onnxruntime_library(), folder.path());
        let before = read();
        let as_read = answer(&before, "");
        assert!(as_read.iter().all(|value| value.is_finite()), "{as_read:?}");
        let weights = global.join("model.onnx.data");
        let mut bytes = fs::read(&weights).unwrap();
        // A sign.
        *bytes.last_mut().unwrap() ^= 0x80;
        fs::write(&weights, bytes).unwrap();
        assert_eq!(answer(&before, ""), as_read);
        let after = read();
        assert_ne!(answer(&after, ""), as_read);
        assert_ne!(
            after.catalog.global().digest,
            before.catalog.global().digest
        );

        fs::remove_file(&weights).unwrap();
        let missing = format!("{:#}", ModelFiles::read(&global).err().unwrap());
        assert!(missing.contains("model.onnx.data"), "{missing}");
    }
}
