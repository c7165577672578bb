//! What is said to people, in two languages.

/// A sentence in both languages, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub en: String,
    pub zh: String,
}

/// One sentence, formatted like `format!`: `words!("{n} rows", "{n} 行")`.
#[macro_export]
macro_rules! words {
    ($en:literal, $zh:literal $(,)?) => {
        $crate::words::Words {
            en: format!($en),
            zh: format!($zh),
        }
    };
}

/// In which language comments and screens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Chinese,
    Both,
}

impl Language {
    /// That of a locale's name such as `zh_CN.UTF-8`.
    pub fn of_locale(locale: &str) -> Self {
        if locale.to_ascii_lowercase().starts_with("zh") {
            Self::Chinese
        } else {
            Self::English
        }
    }
}

impl Words {
    /// The sentence, or both, Chinese first.
    pub fn lines(&self, language: Language) -> Vec<&str> {
        match language {
            Language::English => vec![&self.en],
            Language::Chinese => vec![&self.zh],
            Language::Both => vec![&self.zh, &self.en],
        }
    }

    /// This sentence and another.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self {
            en: format!("{}; {}", self.en, other.en),
            zh: format!("{}；{}", self.zh, other.zh),
        }
    }
}
