//! An old service's configuration and a plant's tables in, a commented `weldfleet.toml` out.
//!
//! # Layout
//! - [`yaml`]: YAML whose scalars stay the text that was written;
//! - [`old`]: the old configuration: which of its keys mean what (one table);
//! - [`facts`]: what the two servers said about their tables;
//! - [`plan`]: old configuration and facts to settings, each with its reason; a module for each thing that is told
//!   apart;
//! - [`document`]: the plan as TOML with comments, and what is told on the screen.
//!
//! What must never live here: I/O. Servers are asked and files written by `scheduler adopt`, so that every case can be
//! tested from text alone.

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a library says nothing by itself"
)]

pub mod document;
pub mod facts;
pub mod old;
pub mod plan;
pub mod yaml;

pub use facts::{Answer, Facts};
pub use old::OldConfig;
pub use plan::Adoption;

/// Why nothing can be adopted; each names the thing and the remedy, none shows a value that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// The line itself is not shown: it may hold a password.
    #[error("not valid YAML: line {line}, column {column}: {problem}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        problem: String,
    },
    #[error(
        "holds no keys; give the old service's configuration, a YAML mapping such as `clickhouse: {{host: …}}`"
    )]
    NoKeys,
    #[error("names no host of {server}; expected one of: {expected}")]
    NoHost {
        server: &'static str,
        expected: &'static str,
    },
    #[error(
        "`{key}` is no host: expected a name or an address, with a port or without; a URL belongs under a key such as mysql.url, a user \
         and a password under keys of their own (the value is not shown, it may hold a password)"
    )]
    NoHostName { key: String },
    #[error(
        "`{key}` is a reference (`${{…}}`), which only the old service's environment fills; write the value itself (it is not shown, it \
         may hold a password)"
    )]
    Reference { key: String },
    #[error(
        "`{key}`: a `/`, `?` or `#` stands before the last `@`, so that the password cannot be told from the address; write / as %2F, \
         ? as %3F, # as %23 and @ as %40, or give host, user and password as keys of their own (the value is not shown)"
    )]
    AmbiguousUrl { key: String },
    #[error(
        "`{key}` is no name of a database: expected one without `/ ? # @ : = & %` (the value is not shown, it may hold a password)"
    )]
    NoDatabase { key: String },
    #[error(
        "`{key}` may hold a password (`user:…@`, `password=…`), which nothing else than a password file may; take it out of the value \
         (which is not shown)"
    )]
    MayHoldPassword { key: String },
    #[error(
        "`{key}`: the columns `{first}` and `{second}` are both mapped to `{theirs}`; each needs a column of its own"
    )]
    ColumnTwice {
        key: String,
        first: String,
        second: String,
        theirs: String,
    },
    #[error(
        "`{key}`: the column `{ours}` is mapped to `{first}` and to `{second}`; keep one of the two"
    )]
    MappedTwice {
        key: String,
        ours: String,
        first: String,
        second: String,
    },
}
