//! `WELDFLEET__SECTION__KEY` over the file.

use serde::Deserialize;
use toml::{Table, Value};

use crate::{Settings, SettingsError, address, secret_files::other_form};

/// Prefix of the variables that override single keys.
pub(crate) const ENV_PREFIX: &str = "WELDFLEET__";

/// Lays `WELDFLEET__SECTION__KEY` over the file; returns the keys it set, with their variable.
pub(crate) fn overlay(
    tree: &mut Table,
    environment: &[(String, String)],
) -> Result<Vec<(String, String)>, SettingsError> {
    let shape = Table::try_from(Settings::default()).unwrap_or_default();
    let mut set: Vec<(String, String)> = Vec::new();
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        let path = path.to_ascii_lowercase();
        let Some((section, key)) = path.split_once("__") else {
            return Err(SettingsError::key(
                path,
                format!("variable {name} names no key; expected {ENV_PREFIX}SECTION__KEY"),
            ));
        };
        let template = shape.get(section).and_then(|section| section.get(key));
        let value = match template {
            // A string stays a string, whatever it looks like: a password may be 0123.
            Some(Value::String(_)) | None => plain(section, key, text),
            Some(_) => parsed(text),
        };
        let entry = tree
            .entry(section.to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(table) = entry else {
            return Err(SettingsError::key(section, "must be a [section]"));
        };
        table.insert(key.to_owned(), value);
        // A secret in the environment replaces the file's, in whichever of its two forms either is.
        let mut replaced: Vec<String> = other_form(section, key).into_iter().collect();
        if ["redis", "mysql"].contains(&section) && key == "url" && address::has_credentials(text) {
            // So does a whole URL.
            replaced.extend(["user", "password", "password_file"].map(str::to_owned));
        }
        let is_set = |key: &String| {
            let name = format!("{section}.{key}");
            set.iter().any(|(known, _)| *known == name)
        };
        for key in replaced.iter().filter(|key| !is_set(key)) {
            table.remove(key);
        }
        set.push((format!("{section}.{key}"), name.clone()));
    }
    Ok(set)
}

/// Keys that have no default to take the type from: only a number may stand in `model.nok_threshold`.
fn plain(section: &str, key: &str, text: &str) -> Value {
    if (section, key) == ("model", "nok_threshold") {
        return parsed(text);
    }
    Value::String(text.to_owned())
}

fn parsed(text: &str) -> Value {
    #[derive(Deserialize)]
    struct One {
        value: Value,
    }
    toml::from_str::<One>(&format!("value = {text}"))
        .map(|one| one.value)
        .unwrap_or_else(|_| Value::String(text.to_owned()))
}
