//! Names as MySQL's SQL text.

/// In backquotes.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
