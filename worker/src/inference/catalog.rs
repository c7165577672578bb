//! The models of `model_export_dir`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use weldfleet_settings::Model;
use weldfleet_weld::{
    features::InferenceConfig,
    judge::{ModelId, ModelSet},
};

use super::files::{CONFIG, MODEL, ModelFiles};

/// Every model found: `global/` and `parts/<part_no>/`, read as a whole. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    set: ModelSet,
    folder: PathBuf,
    /// By index of the set.
    files: Arc<[ModelFiles]>,
    /// Part numbers, by index of the set less one.
    parts: Arc<[String]>,
}

impl Catalog {
    /// Reads the folder; opens no model yet.
    ///
    /// # Errors
    /// If there is no global model, or a file is missing or wrong; names it.
    pub fn read(settings: &Model) -> anyhow::Result<Self> {
        let root = &settings.model_export_dir;
        let (global_files, global) = ModelFiles::read(&root.join("global")).with_context(|| {
            format!(
                "model.model_export_dir = \"{}\": no usable global model; it needs global/{MODEL} and global/{CONFIG}",
                root.display()
            )
        })?;
        let mut files = vec![global_files];
        let mut parts = Vec::new();
        let mut configs = Vec::new();
        for (part, (of_part, config)) in read_parts(root)? {
            files.push(of_part);
            parts.push(part.clone());
            configs.push((part, config));
        }
        let set = ModelSet::new(global, configs, settings.nok_threshold)
            .with_context(|| format!("models of `{}`", root.display()))?;
        Ok(Self {
            set,
            folder: root.clone(),
            files: files.into(),
            parts: parts.into(),
        })
    }

    /// The models as judging sees them.
    pub fn set(&self) -> &ModelSet {
        &self.set
    }

    /// `model_export_dir`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a model consists of.
    pub fn files(&self, id: ModelId) -> &ModelFiles {
        &self.files[id.index()]
    }

    pub fn global(&self) -> &ModelFiles {
        &self.files[0]
    }

    pub fn all_files(&self) -> &[ModelFiles] {
        &self.files
    }

    /// Parts that have a model of their own, in order.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }
}

type Parts = BTreeMap<String, (ModelFiles, InferenceConfig)>;

fn read_parts(root: &Path) -> anyhow::Result<Parts> {
    let mut parts = BTreeMap::new();
    for (part, folder) in part_folders(root)? {
        let model =
            ModelFiles::read(&folder).with_context(|| format!("model of part_no `{part}`"))?;
        parts.insert(part, model);
    }
    Ok(parts)
}

/// The folders in `parts/`, with the part that each is named after.
///
/// # Errors
/// If they cannot be listed, or a name is no text.
pub fn part_folders(root: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let folder = root.join("parts");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let shown = || format!("cannot read `{}`", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(shown)? {
        let entry = entry.with_context(shown)?;
        if !entry.path().is_dir() {
            continue;
        }
        let part = entry.file_name().into_string().map_err(|name| {
            anyhow::anyhow!(
                "folder {name:?} in `{}` is not UTF-8, so it names no part_no",
                folder.display()
            )
        })?;
        found.push((part, entry.path()));
    }
    Ok(found)
}
