//! What people are told, in both languages.

use std::fmt;

use serde::Serialize;

/// One sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    pub en: String,
    pub zh: String,
}

impl Words {
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        let (en, zh) = (en.into(), zh.into());
        Self { en, zh }
    }

    /// In the language of this name.
    pub fn of(&self, lang: &str) -> &str {
        match lang {
            "zh" => &self.zh,
            _ => &self.en,
        }
    }
}

/// English, as commands and logs say it.
impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en)
    }
}

/// Whether there is a Chinese character in it.
#[cfg(test)]
pub fn is_chinese(text: &str) -> bool {
    text.chars()
        .any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
}
