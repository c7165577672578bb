//! Quoting: the only place where a name or a value becomes SQL text.

use crate::commas;

/// A quoted identifier; any UTF-8 name works.
pub fn identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('`');
    for letter in name.chars() {
        if matches!(letter, '`' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('`');
    quoted
}

/// A quoted string literal.
pub fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for letter in text.chars() {
        match letter {
            '\'' | '\\' => {
                quoted.push('\\');
                quoted.push(letter);
            }
            '\0' => quoted.push_str("\\0"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ => quoted.push(letter),
        }
    }
    quoted.push('\'');
    quoted
}

/// Numbers as `[1, 2]`, one literal however many.
pub fn array(numbers: impl IntoIterator<Item = i64>) -> String {
    format!("[{}]", commas(numbers))
}

/// Texts as `'a', 'b'`.
pub(super) fn literals(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    commas(texts.into_iter().map(|text| literal(text.as_ref())))
}

/// Rows of one of the server's own tables that are about this table, whose name is in the column `named`.
pub(crate) fn about_table(named: &str, database: &str, table: &str) -> String {
    format!(
        "database = {} AND {named} = {}",
        literal(database),
        literal(table)
    )
}

/// A table's quoted name with its database.
pub(crate) fn qualified(database: &str, table: &str) -> String {
    format!("{}.{}", identifier(database), identifier(table))
}
