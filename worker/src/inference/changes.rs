//! Files of models that are no longer what this process has read.
//!
//! It goes on with what it read: a graph, its weights and its configuration belong together, and half of a fleet under
//! another model than the other half would be found out by nobody. So that a person who has replaced a file knows, the
//! files are looked at now and then.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Serialize;
use sha2::{Digest, Sha256};
use weldfleet_service::{lock, metrics};

use super::{
    catalog::Catalog,
    files::{MODEL, ReadFile, Stamp},
    parts::part_folders,
};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It holds something else.
    Replaced,
    /// It is not there, or cannot be read.
    Gone,
    /// A part has a model now that had none, or there is a table of parts where there was none.
    Added,
}

/// Changes by file, for whoever wants to show them. Cheap to clone.
#[derive(Clone, Default)]
pub struct FileChanges(Arc<Mutex<BTreeMap<PathBuf, Change>>>);

impl FileChanges {
    pub fn all(&self) -> BTreeMap<PathBuf, Change> {
        lock(&self.0).clone()
    }

    /// Says what is new, and keeps it.
    fn replace(&self, now: BTreeMap<PathBuf, Change>) {
        let before = self.all();
        for (file, change) in &now {
            if before.get(file) != Some(change) {
                tracing::warn!(
                    file = %file.display(),
                    ?change,
                    "a model's file is not what this worker has read; it judges on with what it read, restart it to use the new one"
                );
            }
        }
        for file in before.keys().filter(|file| !now.contains_key(*file)) {
            tracing::info!(file = %file.display(), "a model's file is again what this worker has read");
        }
        metrics::gauge!("weldfleet_model_files_changed").set(now.len() as f64);
        *lock(&self.0) = now;
    }
}

/// Looks at the files as long as the process runs.
pub fn watch(catalog: Catalog) -> FileChanges {
    let changes = FileChanges::default();
    let told = changes.clone();
    tokio::spawn(async move {
        let mut watcher = Watcher::new(catalog);
        loop {
            let look = tokio::task::spawn_blocking(move || {
                let now = watcher.look();
                (watcher, now)
            });
            // A look that panicked would do so again.
            let Ok((back, now)) = look.await else { return };
            watcher = back;
            told.replace(now);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    changes
}

/// Compares what is there with what was read.
struct Watcher {
    catalog: Catalog,
    /// Of files that were read again, what the file system said then and what was found.
    again: BTreeMap<PathBuf, (Stamp, Option<Change>)>,
}

impl Watcher {
    fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            again: BTreeMap::new(),
        }
    }

    fn look(&mut self) -> BTreeMap<PathBuf, Change> {
        let mut changes = BTreeMap::new();
        let catalog = self.catalog.clone();
        let of_models = catalog.files.iter().flat_map(|one| &one.read_files);
        for file in of_models.chain(catalog.table()) {
            if let Some(change) = self.change(file) {
                changes.insert(file.path.clone(), change);
            }
        }
        changes.extend(added(&catalog));
        changes
    }

    /// A file is read again only where the file system says that it is another one.
    fn change(&mut self, file: &ReadFile) -> Option<Change> {
        let Ok(stamp) = Stamp::of(&file.path) else {
            return Some(Change::Gone);
        };
        if stamp == file.stamp {
            return None;
        }
        if let Some((known, change)) = self.again.get(&file.path)
            && *known == stamp
        {
            return *change;
        }
        let change = match digest(&file.path) {
            Ok(digest) if digest == file.digest => None,
            Ok(_) => Some(Change::Replaced),
            Err(_) => return Some(Change::Gone),
        };
        self.again.insert(file.path.clone(), (stamp, change));
        change
    }
}

fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut whole = Sha256::new();
    io::copy(&mut fs::File::open(path)?, &mut whole)?;
    Ok(whole.finalize().into())
}

/// Models of parts that had none, which a table would name. A folder that cannot be listed now shows by its files.
fn added(catalog: &Catalog) -> BTreeMap<PathBuf, Change> {
    if catalog.table().is_some() {
        return BTreeMap::new();
    }
    let folders = part_folders(&catalog.folder).unwrap_or_default();
    folders
        .into_iter()
        .filter(|(part, _)| !catalog.parts.contains(part))
        .map(|(_, folder)| folder.join(MODEL))
        .chain([catalog.table_path()])
        .filter(|file| file.is_file())
        .map(|file| (file, Change::Added))
        .collect()
}

#[cfg(test)]
mod tests {
    use weldfleet_settings::Model;
    use weldfleet_testkit::repository;

    use super::*;
    use crate::inference::parts::TABLE;

    fn copy(from: &str, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for file in ["model.onnx", "inference_config.json"] {
            fs::copy(repository().join(from).join(file), to.join(file)).unwrap();
        }
    }

    #[test]
    fn a_changed_file_is_named_and_an_equal_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let global = folder.path().join("global");
        let part = folder.path().join("parts/A");
        copy("models/global", &global);
        copy("bench/models/near-free/global", &part);
        let settings = Model {
            model_export_dir: folder.path().to_owned(),
            ..Model::default()
        };
        let mut watcher = Watcher::new(Catalog::read(&settings).unwrap());
        let mut look = || -> Vec<(String, Change)> {
            let found = watcher.look().into_iter();
            let name = |path: PathBuf| {
                let within = path.strip_prefix(folder.path()).unwrap();
                within.display().to_string()
            };
            found.map(|(path, change)| (name(path), change)).collect()
        };
        let named = |file: &str, change| (file.to_owned(), change);
        assert_eq!(look(), []);

        // The same content under another inode, as a deployment that copies everything leaves it.
        fs::remove_file(part.join(MODEL)).unwrap();
        copy("bench/models/near-free/global", &part);
        assert_eq!(look(), []);

        copy("bench/models/near-free-b/global", &part);
        let replaced = ["inference_config.json", "model.onnx"]
            .map(|file| named(&format!("parts/A/{file}"), Change::Replaced));
        assert_eq!(look(), replaced);
        assert_eq!(look(), replaced, "it stays so");

        copy("bench/models/near-free/global", &part);
        copy(
            "bench/models/near-free/global",
            &folder.path().join("parts/B"),
        );
        fs::remove_file(global.join("inference_config.json")).unwrap();
        assert_eq!(
            look(),
            [
                named("global/inference_config.json", Change::Gone),
                named("parts/B/model.onnx", Change::Added)
            ]
        );
        fs::write(folder.path().join(TABLE), "{}").unwrap();
        assert!(look().contains(&named(TABLE, Change::Added)));
    }

    #[test]
    fn a_table_that_changes_is_named_and_folders_beside_it_are_not() {
        let folder = tempfile::tempdir().unwrap();
        copy("models/global", &folder.path().join("global"));
        let table = folder.path().join(TABLE);
        fs::write(&table, "{}").unwrap();
        let settings = Model {
            model_export_dir: folder.path().to_owned(),
            ..Model::default()
        };
        let mut watcher = Watcher::new(Catalog::read(&settings).unwrap());
        copy("models/global", &folder.path().join("parts/A"));
        assert_eq!(watcher.look(), BTreeMap::new());
        fs::write(&table, r#"{"A": "parts/A"}"#).unwrap();
        let replaced = BTreeMap::from([(table.clone(), Change::Replaced)]);
        assert_eq!(watcher.look(), replaced);
        fs::remove_file(&table).unwrap();
        assert_eq!(watcher.look(), BTreeMap::from([(table, Change::Gone)]));
    }
}
