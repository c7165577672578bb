//! What is wrong with a configuration.

use std::{fmt::Display, path::PathBuf};

use crate::ENV_PATH;

/// What is wrong with the configuration; each names the key or the file, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file cannot be read.
    #[error("cannot read configuration file `{}`; give another with --config or ${ENV_PATH}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file `{}` is not valid TOML: line {line}, column {column}: {problem}", path.display())]
    Syntax {
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong. The line itself is not shown: it may hold a password.
        problem: String,
    },
    /// A key is unknown, of the wrong type or outside its range.
    #[error("configuration key `{key}`{origin}: {problem}")]
    Key {
        /// `section.key`.
        key: String,
        /// ` (from WELDFLEET__…)` when the environment set it.
        origin: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl SettingsError {
    pub(crate) fn key(key: impl Into<String>, problem: impl Display) -> Self {
        Self::Key {
            key: key.into(),
            origin: String::new(),
            problem: problem.to_string(),
        }
    }

    /// Refuses what does not hold.
    pub(crate) fn unless(holds: bool, key: &str, problem: impl Display) -> Result<(), Self> {
        match holds {
            true => Ok(()),
            false => Err(Self::key(key, problem)),
        }
    }

    /// The same with the variable that set the key, where one did; `set`: keys with their variable.
    pub(crate) fn with_variable(self, set: &[(String, String)]) -> Self {
        match self {
            Self::Key { key, problem, .. } => {
                let variable = set.iter().find(|(known, _)| *known == key);
                let origin = variable
                    .map(|(_, variable)| format!(" (from {variable})"))
                    .unwrap_or_default();
                Self::Key {
                    key,
                    origin,
                    problem,
                }
            }
            other => other,
        }
    }
}
