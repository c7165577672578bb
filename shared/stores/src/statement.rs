//! A step of a migration, whichever server it is for.

use std::fmt;

/// Which server a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    ClickHouse,
    MySql,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClickHouse => "clickhouse",
            Self::MySql => "mysql",
        })
    }
}

/// One step of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The server it is for.
    pub store: Store,
    /// What it does, in a few words.
    pub what: String,
    pub sql: String,
}

/// A file's SQL without its comments.
pub(crate) fn without_comments(file: &str) -> String {
    file.lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}
