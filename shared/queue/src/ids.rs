//! Names of fleet members.

use std::fmt;

/// Name of one worker process: `<host>-<pid>-<8 hex>`, never used twice, so a restarted worker is a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(String);

impl WorkerId {
    /// A new id for this process on `host`.
    #[must_use]
    pub fn unique(host: &str) -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let host: String = host
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        Self(format!("{host}-{}-{}", std::process::id(), &random[..8]))
    }

    /// An id as it was read from Redis or given by an operator. No id has control characters: they become `_`.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.contains(char::is_control) {
            text = text.replace(char::is_control, "_");
        }
        Self(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
