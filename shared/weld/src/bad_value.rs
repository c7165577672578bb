//! The error of every range check of this crate's configuration types.

use std::fmt::Display;

/// A configuration value outside its range. Reads `` `key` is value: remedy ``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is {value}: {remedy}")]
pub struct BadValue {
    /// The key inside its section or file, dotted.
    pub key: String,
    pub value: String,
    pub remedy: String,
}

impl BadValue {
    /// Refuses a value that does not fit.
    pub(crate) fn unless(
        fits: bool,
        key: &str,
        value: impl Display,
        remedy: impl Display,
    ) -> Result<(), Self> {
        if fits {
            return Ok(());
        }
        Err(Self {
            key: key.to_owned(),
            value: value.to_string(),
            remedy: remedy.to_string(),
        })
    }

    /// The same problem with `prefix.` before its key.
    pub(crate) fn within(mut self, prefix: &str) -> Self {
        self.key = format!("{prefix}.{}", self.key);
        self
    }
}
