//! Choices of earlier starts, in `model.cache_dir`.
//!
//! Several workers of a host may share the file. It is replaced as a whole, so that a reader sees one of its versions;
//! of two that write at once one is forgotten, and measures again at its next start.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use weldfleet_service::environment;
use weldfleet_settings::Model;

use super::choice::Choice;
use crate::inference::{Models, hardware};

/// File name in the cache folder.
const FILE: &str = "layouts.json";
/// Choices kept, newest last.
const MOST_ENTRIES: usize = 64;

/// All that a choice depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    model: String,
    onnxruntime: String,
    /// Provider and what it runs on.
    device: String,
    cores: usize,
    threads: u32,
    batch_rows: u32,
}

impl Key {
    /// Of these models on their device, with what is configured.
    pub fn new(models: &Models, settings: &Model, cores: usize) -> Self {
        let provider = models.runtime.provider();
        let device = hardware::name(provider, settings.device_id);
        Self {
            model: models.catalog.global().digest.to_owned(),
            onnxruntime: onnxruntime().to_owned(),
            device: format!("{} {device}", models.runtime.device()),
            cores,
            threads: settings.threads,
            batch_rows: settings.batch_rows,
        }
    }
}

/// Branch and commit; the compiler flags behind them say nothing more.
fn onnxruntime() -> &'static str {
    let build = ort::info().trim_start_matches("ORT Build Info: ");
    build.split(", build type").next().unwrap_or(build)
}

pub struct Cache {
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: Key,
    choice: Choice,
}

impl Cache {
    /// In this folder, which need not exist yet.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            path: folder.join(FILE),
        }
    }

    /// What was chosen for this key.
    pub fn find(&self, key: &Key) -> anyhow::Result<Option<Choice>> {
        let entries = self.read()?.entries.into_iter();
        let found = entries.rev().find(|entry| entry.key == *key);
        Ok(found.map(|entry| entry.choice))
    }

    /// Keeps a choice; a file that cannot be read is replaced.
    pub fn remember(&self, key: Key, choice: Choice) -> anyhow::Result<()> {
        let mut content = self.read().unwrap_or_default();
        content.entries.retain(|entry| entry.key != key);
        content.entries.push(Entry { key, choice });
        let surplus = content.entries.len().saturating_sub(MOST_ENTRIES);
        content.entries.drain(..surplus);
        self.write(&content)
            .with_context(|| format!("cannot write `{}`", self.path.display()))
    }

    fn read(&self) -> anyhow::Result<Content> {
        let shown = || format!("`{}`", self.path.display());
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(error).with_context(shown),
        };
        serde_json::from_str(&text).with_context(shown)
    }

    fn write(&self, content: &Content) -> anyhow::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        // In containers that share the folder, all have the same process id and another host name.
        let host = environment::host();
        let temporary = self
            .path
            .with_extension(format!("{host}.{}.tmp", process::id()));
        let text = serde_json::to_string_pretty(content)?;
        fs::write(&temporary, text + "\n")?;
        fs::rename(&temporary, &self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::layout::Layout;

    fn key(model: usize) -> Key {
        Key {
            model: format!("{model:064}"),
            onnxruntime: "rel-1.31.1".to_owned(),
            device: "cpu".to_owned(),
            cores: 2,
            threads: 0,
            batch_rows: 0,
        }
    }

    fn choice(batch_rows: usize) -> Choice {
        Choice {
            layout: Layout {
                sessions: 2,
                threads: 1,
                batch_rows,
            },
            rows_per_second: 9000.0,
        }
    }

    #[test]
    fn a_choice_is_found_again_by_all_it_depends_on() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::in_folder(&folder.path().join("not/yet"));
        assert_eq!(cache.find(&key(1)).unwrap(), None);
        cache.remember(key(1), choice(16)).unwrap();
        cache.remember(key(2), choice(64)).unwrap();
        cache.remember(key(1), choice(8)).unwrap();
        assert_eq!(cache.find(&key(1)).unwrap(), Some(choice(8)));
        assert_eq!(cache.find(&key(2)).unwrap(), Some(choice(64)));
        let others = [
            Key {
                onnxruntime: "rel-1.32.0".to_owned(),
                ..key(1)
            },
            Key {
                device: "cuda H100".to_owned(),
                ..key(1)
            },
            Key { cores: 4, ..key(1) },
            Key {
                threads: 2,
                ..key(1)
            },
            Key {
                batch_rows: 16,
                ..key(1)
            },
        ];
        for other in others {
            assert_eq!(cache.find(&other).unwrap(), None, "{other:?}");
        }
    }

    #[test]
    fn the_file_does_not_grow_without_end_and_a_broken_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::in_folder(folder.path());
        for model in 0..MOST_ENTRIES + 3 {
            cache.remember(key(model), choice(32)).unwrap();
        }
        assert_eq!(cache.read().unwrap().entries.len(), MOST_ENTRIES);
        assert_eq!(cache.find(&key(0)).unwrap(), None, "the oldest goes");

        fs::write(folder.path().join(FILE), "{").unwrap();
        let error = format!("{:#}", cache.find(&key(1)).unwrap_err());
        assert!(error.contains(FILE), "{error}");
        cache.remember(key(1), choice(16)).unwrap();
        assert_eq!(cache.find(&key(1)).unwrap(), Some(choice(16)));
    }
}
