//! A value of the column that leads a table's sorting key.

use std::fmt::Write as _;

/// A value of the leading column, in the order in which the server sorts it: numbers by value, texts by bytes, which
/// need not be UTF-8. NULL counts as 0, or as the empty text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leading {
    Number(i128),
    Text(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeadingRef<'a> {
    Number(i128),
    Text(&'a [u8]),
}

impl Leading {
    pub fn as_ref(&self) -> LeadingRef<'_> {
        match self {
            Self::Number(number) => LeadingRef::Number(*number),
            Self::Text(text) => LeadingRef::Text(text),
        }
    }
}

impl LeadingRef<'_> {
    pub fn to_owned(self) -> Leading {
        match self {
            Self::Number(number) => Leading::Number(number),
            Self::Text(text) => Leading::Text(text.to_vec()),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
