//! What the servers said about their tables; data alone.

use weldfleet_words::{Words, words};

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    Told(T),
    /// In the words of whoever asked; no secret is in them.
    Unknown(String),
}

impl<T> Answer<T> {
    pub fn told(&self) -> Option<&T> {
        match self {
            Self::Told(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// Everything that is known besides the old configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which of the possible addresses of ClickHouse answered; the first where none did.
    pub clickhouse_url: String,
    pub source: Answer<SourceTable>,
    pub mysql: Answer<MySqlTable>,
}

/// The plant's table of welds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceTable {
    pub columns: Vec<SourceColumn>,
    /// The latest rows as text, each with a value for every column.
    pub rows: Vec<Vec<Option<String>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    pub name: String,
    /// As ClickHouse writes it.
    pub kind: String,
}

impl SourceColumn {
    /// The type without `Nullable` and `LowCardinality`.
    pub fn bare(&self) -> &str {
        let mut bare = self.kind.as_str();
        for wrapper in ["LowCardinality(", "Nullable("] {
            if let Some(inner) = bare.strip_prefix(wrapper) {
                bare = inner.strip_suffix(')').unwrap_or(inner);
            }
        }
        bare
    }

    pub fn is_nullable(&self) -> bool {
        self.kind.contains("Nullable(") && !self.kind.starts_with("Array")
    }
}

impl SourceTable {
    pub fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column's values in the latest rows; none where the table has no such column.
    pub fn values(&self, name: &str) -> Vec<Option<&str>> {
        let Some(at) = self.columns.iter().position(|column| column.name == name) else {
            return Vec::new();
        };
        self.rows
            .iter()
            .map(|row| row.get(at).and_then(Option::as_deref))
            .collect()
    }
}

/// The MySQL table that the old service writes; without columns where it does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MySqlTable {
    pub columns: Vec<MySqlColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MySqlColumn {
    pub name: String,
    /// Lower case, without its length: `varchar`, `datetime`.
    pub kind: String,
    /// An INSERT that does not name it is refused.
    pub demanded: bool,
}

/// What could not be asked, for people; MySQL only where it was `wanted`.
pub(crate) fn unasked(facts: &Facts, wants_mysql: bool) -> Vec<Words> {
    let mut told = Vec::new();
    if let Answer::Unknown(reason) = &facts.source {
        told.push(words!(
            "ClickHouse could not be asked for its columns: {reason}; run `scheduler adopt --force` again once it answers",
            "无法向 ClickHouse 查询列：{reason}；恢复后请再运行 `scheduler adopt --force`",
        ));
    }
    if let Answer::Unknown(reason) = &facts.mysql
        && wants_mysql
    {
        told.push(words!(
            "MySQL could not be asked for its columns: {reason}; run `scheduler adopt --force` again once it answers",
            "无法向 MySQL 查询列：{reason}；恢复后请再运行 `scheduler adopt --force`",
        ));
    }
    told
}
