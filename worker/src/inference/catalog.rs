//! The models of `model_export_dir`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use weldfleet_settings::Model;
use weldfleet_weld::judge::{ModelId, ModelSet};

use super::{
    files::{CONFIG, MODEL, ModelFiles, ReadFile},
    parts::{Parts, TABLE},
};

/// Every model found: `global/` and those of parts, read as a whole. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    /// As judging sees them.
    pub set: ModelSet,
    pub folder: PathBuf,
    /// What the models consist of, by index of the set.
    pub files: Arc<[ModelFiles]>,
    /// Those that a folder or the table names, in order.
    pub parts: Arc<[String]>,
    table: Option<Arc<ReadFile>>,
}

impl Catalog {
    /// Reads the folder; opens no model yet. A folder that several parts name is one model.
    ///
    /// # Errors
    /// If there is no global model, or a file is missing or wrong; names it.
    pub fn read(settings: &Model) -> anyhow::Result<Self> {
        let root = &settings.model_export_dir;
        let global_folder = root.join("global");
        let (global_files, global) = ModelFiles::read(&global_folder).with_context(|| {
            format!(
                "model.model_export_dir = \"{}\": no usable global model; it needs global/{MODEL} and global/{CONFIG}",
                root.display()
            )
        })?;
        let found = Parts::read(root)?;
        let mut files = vec![global_files];
        let mut configs = Vec::new();
        let mut first_of = BTreeMap::from([(global_folder, None)]);
        let mut same = Vec::new();
        for (part, folder) in &found.folders {
            if let Some(first) = first_of.get(folder) {
                same.push((part.clone(), first.clone()));
                continue;
            }
            let (of_part, config) =
                ModelFiles::read(folder).with_context(|| format!("model of part_no `{part}`"))?;
            files.push(of_part);
            configs.push((part.clone(), config));
            first_of.insert(folder.clone(), Some(part.clone()));
        }
        let models = || format!("models of `{}`", root.display());
        let mut set =
            ModelSet::new(global, configs, settings.nok_threshold).with_context(models)?;
        for (part, first) in same {
            let id = first.map_or(ModelId::GLOBAL, |first| set.for_part(&first));
            set = set.with_part(part, id).with_context(models)?;
        }
        Ok(Self {
            set,
            folder: root.clone(),
            files: files.into(),
            parts: found.folders.into_iter().map(|(part, _)| part).collect(),
            table: found.table.map(Arc::new),
        })
    }

    /// What a model consists of.
    pub fn files(&self, id: ModelId) -> &ModelFiles {
        &self.files[id.index()]
    }

    pub fn global(&self) -> &ModelFiles {
        &self.files[0]
    }

    /// The table of parts, where there is one.
    pub fn table(&self) -> Option<&ReadFile> {
        self.table.as_deref()
    }

    /// What tells these models from others, whatever folder they lie in.
    pub fn content(&self) -> impl std::fmt::Debug + use<> {
        let digests = |files: &ModelFiles| {
            let read = files.read_files.iter();
            read.map(|file| file.digest).collect::<Vec<_>>()
        };
        let of_part = |part: &String| {
            let files = self.files(self.set.for_part(part));
            (part.clone(), digests(files))
        };
        let of_parts: Vec<_> = self.parts.iter().map(of_part).collect();
        (digests(self.global()), of_parts)
    }

    /// Folders in `parts/` with a model that judges nothing, since the table does not name them.
    pub fn unnamed(&self) -> Vec<PathBuf> {
        let named = self.files.iter().filter_map(|files| files.path.parent());
        let named: Vec<PathBuf> = named.map(Path::to_owned).collect();
        match self.table {
            Some(_) => Parts::unnamed(&self.folder, &named),
            None => Vec::new(),
        }
    }

    /// Where a table of parts is, or would be.
    pub fn table_path(&self) -> PathBuf {
        self.folder.join(TABLE)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use weldfleet_testkit::repository;

    use super::*;

    fn copy(from: &str, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for file in [MODEL, CONFIG] {
            fs::copy(repository().join(from).join(file), to.join(file)).unwrap();
        }
    }

    #[test]
    fn parts_of_one_folder_share_its_model_and_a_part_without_an_entry_has_the_global_one() {
        let folder = tempfile::tempdir().unwrap();
        copy("models/global", &folder.path().join("global"));
        for (model, to) in [("near-free", "parts/7H0_809"), ("near-free-b", "parts/B")] {
            copy(
                &format!("bench/models/{model}/global"),
                &folder.path().join(to),
            );
        }
        let table = r#"{"7H0/809": "parts/7H0_809", "7H0/810": "parts/7H0_809", "": "global"}"#;
        fs::write(folder.path().join(TABLE), table).unwrap();
        let settings = Model {
            model_export_dir: folder.path().to_owned(),
            ..Model::default()
        };
        let catalog = Catalog::read(&settings).unwrap();
        let set = &catalog.set;
        assert_eq!((set.len(), catalog.files.len()), (2, 2));
        let model = |part: &str| catalog.files(set.for_part(part)).path.clone();
        let of_part = folder.path().join("parts/7H0_809").join(MODEL);
        for (part, path) in [
            ("7H0/809", &of_part),
            ("7H0/810", &of_part),
            ("", &folder.path().join("global").join(MODEL)),
            ("7H0_809", &folder.path().join("global").join(MODEL)),
            ("B", &folder.path().join("global").join(MODEL)),
        ] {
            assert_eq!(model(part), *path, "{part:?}");
        }
        assert_eq!(*catalog.parts, ["", "7H0/809", "7H0/810"]);
        assert_eq!(catalog.unnamed(), [folder.path().join("parts/B")]);
        fs::remove_file(folder.path().join("parts/7H0_809").join(CONFIG)).unwrap();
        let refused = format!("{:#}", Catalog::read(&settings).err().unwrap());
        assert!(
            refused.contains("part_no `7H0/809`") && refused.contains(CONFIG),
            "{refused}"
        );
    }
}
