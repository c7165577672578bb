//! Which folder of `model_export_dir` judges which part.
//!
//! Without a table, the folders in `parts/` are named after the part that each judges. A part's text may hold what no
//! folder's name can (`7H0/809`), so a table may say it instead: `parts.json`, `{"7H0/809": "parts/7H0_809"}`. The
//! table then says all of it: a folder that it does not name judges nothing.

use std::{
    fmt, fs, io,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, ensure};
use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};

use super::files::{MODEL, ReadFile};

/// The table's name within `model_export_dir`.
pub const TABLE: &str = "parts.json";

/// A part and the folder of its model.
pub type PartFolder = (String, PathBuf);

/// The parts that have a model.
pub struct Parts {
    pub folders: Vec<PartFolder>,
    /// The file that says so, where there is one.
    pub table: Option<ReadFile>,
}

impl Parts {
    /// Reads the table, else lists the folders.
    ///
    /// # Errors
    /// If neither can be read, or an entry of the table names no folder below `root`; names the entry.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let path = root.join(TABLE);
        let table = path.symlink_metadata();
        if table.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let mut folders = part_folders(root)?;
            folders.sort();
            return Ok(Self {
                folders,
                table: None,
            });
        }
        let (table, text) = ReadFile::read(path)?;
        let folders =
            entries(root, &text).with_context(|| format!("`{}`", table.path.display()))?;
        Ok(Self {
            folders,
            table: Some(table),
        })
    }

    /// Folders in `parts/` with a model in them that the table does not name; none where there is no table.
    pub fn unnamed(root: &Path, named: &[PathBuf]) -> Vec<PathBuf> {
        let folders = part_folders(root).unwrap_or_default().into_iter();
        folders
            .map(|(_, folder)| folder)
            .filter(|folder| folder.join(MODEL).is_file() && !named.contains(folder))
            .collect()
    }
}

/// The table's entries, by part.
fn entries(root: &Path, text: &[u8]) -> anyhow::Result<Vec<PartFolder>> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let mut entries = json.deserialize_map(Entries)?;
    json.end()?;
    entries.sort();
    for pair in entries.windows(2) {
        ensure!(
            pair[0].0 != pair[1].0,
            "{:?} is there twice; give each part one folder",
            pair[0].0
        );
    }
    let in_root = |(part, folder): (String, String)| {
        let path = below(root, &folder).with_context(|| format!("{part:?}: {folder:?}"))?;
        Ok((part, path))
    };
    entries.into_iter().map(in_root).collect()
}

/// A folder that is there, and that the text alone does not lead out of `root`; where a link leads is its owner's
/// business.
fn below(root: &Path, folder: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(folder);
    let inside = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    ensure!(
        inside && !folder.is_empty(),
        "is not below model.model_export_dir; give a folder in it, as parts/7H0_809"
    );
    // Component by component, so that one folder has one path.
    let found = root.join(path.components().collect::<PathBuf>());
    ensure!(
        found.is_dir(),
        "`{}` is no folder; make it, or take the entry out",
        found.display()
    );
    Ok(found)
}

/// Texts to texts, each pair kept: a map would keep the last of two entries and say nothing.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of parts and their folders, as {\"7H0/809\": \"parts/7H0_809\"}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// The folders in `parts/`, with the part that each is named after.
///
/// # Errors
/// If they cannot be listed, or a name is no text.
pub fn part_folders(root: &Path) -> anyhow::Result<Vec<PartFolder>> {
    let folder = root.join("parts");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let shown = || format!("cannot read `{}`", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(shown)? {
        let entry = entry.with_context(shown)?;
        // One that begins with a dot is being made.
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden || !entry.path().is_dir() {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `model_export_dir` with two folders of parts and this table.
    fn root(table: Option<&str>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["parts/A", "parts/7H0_809", "global"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        if let Some(text) = table {
            fs::write(root.path().join(TABLE), text).unwrap();
        }
        root
    }

    fn read(table: Option<&str>) -> Vec<(String, String)> {
        let root = root(table);
        let parts = Parts::read(root.path()).unwrap();
        assert_eq!(parts.table.is_some(), table.is_some());
        let within = |path: PathBuf| {
            let path = path.strip_prefix(root.path()).unwrap();
            path.display().to_string()
        };
        let folders = parts.folders.into_iter();
        folders.map(|(part, path)| (part, within(path))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(part, folder): &(&str, &str)| ((*part).to_owned(), (*folder).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn without_a_table_folders_are_named_after_their_part() {
        let found = pairs(&[("7H0_809", "parts/7H0_809"), ("A", "parts/A")]);
        assert_eq!(read(None), found);
    }

    #[test]
    fn a_table_gives_any_text_any_folder_and_the_others_none() {
        let table = r#"{"7H0/809": "parts/7H0_809", "..": "parts//7H0_809/", "": "global", " 左门 ": "./parts/A"}"#;
        let refused = Parts::read(root(Some(table)).path()).err().unwrap();
        assert!(format!("{refused:#}").contains(r#"" 左门 ": "./parts/A""#));
        let table = table.replace("./", "");
        let found = [
            ("", "global"),
            (" 左门 ", "parts/A"),
            ("..", "parts/7H0_809"),
            ("7H0/809", "parts/7H0_809"),
        ];
        assert_eq!(read(Some(&table)), pairs(&found));
        assert_eq!(read(Some("{}")), [], "an empty table names no folder");
    }

    #[test]
    fn what_leads_out_or_nowhere_is_refused_by_name() {
        for folder in ["..", "parts/../../other", "/etc", "", ".", "parts/./../.."] {
            let table = serde_json::json!({"7H0/809": folder}).to_string();
            let refused = Parts::read(root(Some(&table)).path()).err().unwrap();
            let refused = format!("{refused:#}");
            for said in ["parts.json", r#""7H0/809""#, "below model.model_export_dir"] {
                assert!(refused.contains(said), "{folder}: {refused}");
            }
        }
        for (table, said) in [
            (r#"{"7H0/809": "parts/B"}"#, "parts/B` is no folder"),
            (r#"{"A": "parts/A", "A": "global"}"#, "\"A\" is there twice"),
            (r#"{"A": 3}"#, "expected a string"),
            (r#"["parts/A"]"#, "an object of parts and their folders"),
            (r#"{"A": "parts/A"} x"#, "trailing characters"),
        ] {
            let refused = Parts::read(root(Some(table)).path()).err().unwrap();
            let refused = format!("{refused:#}");
            assert!(
                refused.contains("parts.json") && refused.contains(said),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_folder_with_a_model_that_no_entry_names_is_found() {
        let root = root(Some(r#"{"7H0/809": "parts/7H0_809"}"#));
        for part in ["A", "7H0_809"] {
            fs::write(root.path().join("parts").join(part).join(MODEL), "").unwrap();
        }
        let named = [root.path().join("parts/7H0_809")];
        assert_eq!(
            Parts::unnamed(root.path(), &named),
            [root.path().join("parts/A")]
        );
    }
}
