//! What is said to people, in two languages.

use std::fmt;

use serde::Serialize;

/// In which language something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Chinese,
}

impl Language {
    /// That of a locale's name such as `zh_CN.UTF-8`, or of what a browser prefers.
    pub fn of_locale(locale: &str) -> Self {
        match locale.trim_start().to_ascii_lowercase().starts_with("zh") {
            true => Self::Chinese,
            false => Self::English,
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::English => Self::Chinese,
            Self::Chinese => Self::English,
        }
    }
}

/// As HTML and addresses name it.
impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::English => "en",
            Self::Chinese => "zh",
        })
    }
}

/// A sentence in both languages, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    pub en: String,
    pub zh: String,
}

/// One sentence, formatted like `format!`: `words!("{n} rows", "{n} 行")`. What needs a name is given one behind both:
/// `words!("it is {is}", "{zh}", is = state.name(), zh = in_chinese(state))`.
#[macro_export]
macro_rules! words {
    ($en:literal, $zh:literal $(, $name:ident = $value:expr)* $(,)?) => {{
        $(let $name = $value;)*
        $crate::Words::new(format!($en), format!($zh))
    }};
}

impl Words {
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        let (en, zh) = (en.into(), zh.into());
        Self { en, zh }
    }

    pub fn of(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Chinese => &self.zh,
        }
    }

    /// The sentence in each of these languages.
    pub fn lines<'a>(&'a self, languages: &'a [Language]) -> impl Iterator<Item = &'a str> {
        languages.iter().map(|language| self.of(*language))
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

/// English, as commands and logs say it.
impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en)
    }
}
