//! Secrets in files: `password_file` in place of `password`.

use toml::{Table, Value};

use crate::SettingsError;

/// Keys that may be given as `<key>_file`.
const SECRETS: &[(&str, &str)] = &[
    ("clickhouse", "password"),
    ("clickhouse", "console_password"),
    ("redis", "url"),
    ("redis", "password"),
    ("mysql", "url"),
    ("mysql", "password"),
];

/// The mark that some editors write at the beginning of a text in UTF-8.
pub(crate) const BOM: char = '\u{feff}';

/// `password_file` for the secret `password`, and the other way round.
pub(crate) fn other_form(section: &str, key: &str) -> Option<String> {
    let is_secret = |key: &str| SECRETS.contains(&(section, key));
    match key.strip_suffix("_file") {
        Some(inline) if is_secret(inline) => Some(inline.to_owned()),
        None if is_secret(key) => Some(format!("{key}_file")),
        _ => None,
    }
}

pub(crate) fn is_secret_file(section: &str, key: &str) -> bool {
    key.ends_with("_file") && other_form(section, key).is_some()
}

/// Replaces `<key>_file` by the file's content without its last newline.
pub(crate) fn read_secret_files(tree: &mut Table) -> Result<(), SettingsError> {
    for (section, key) in SECRETS {
        let Some(Value::Table(table)) = tree.get_mut(*section) else {
            continue;
        };
        let file_key = format!("{key}_file");
        let Some(file) = table.remove(&file_key) else {
            continue;
        };
        let name = format!("{section}.{file_key}");
        let Value::String(path) = file else {
            return Err(SettingsError::key(name, "must be the path of a file"));
        };
        if table.contains_key(*key) {
            return Err(SettingsError::key(
                name,
                format!("{section}.{key} is set too; keep one of the two"),
            ));
        }
        // The path is not shown: a password may have been written in its place.
        let secret = std::fs::read_to_string(&path).map_err(|error| {
            SettingsError::key(name, format!("cannot read the file that it names: {error}"))
        })?;
        let secret = secret.strip_prefix(BOM).unwrap_or(&secret);
        let secret = secret.trim_end_matches(['\r', '\n']).to_owned();
        table.insert((*key).to_owned(), Value::String(secret));
    }
    Ok(())
}
