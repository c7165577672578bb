//! A value of the column that leads a table's sorting key.

use std::fmt::Write as _;

use super::{RangeError, decode_number};

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

    /// `n:17`, `s:text`, or `x:` and hexadecimal digits where the text is not UTF-8.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::Number(number) => format!("n:{number}"),
            Self::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => format!("s:{text}"),
                Err(_) => format!("x:{}", hex(bytes)),
            },
        }
    }

    pub(super) fn decode(field: &'static str, value: &str) -> Result<Self, RangeError> {
        let text = match value.split_once(':') {
            Some(("n", number)) => return Ok(Self::Number(decode_number(field, number)?)),
            Some(("s", text)) => Some(text.as_bytes().to_vec()),
            Some(("x", digits)) => unhex(digits),
            _ => None,
        };
        text.map(Self::Text).ok_or_else(|| RangeError::Field {
            field,
            value: value.to_owned(),
            expected: "n:<number>, s:<text> or x:<hexadecimal digits>",
        })
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

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| char::from(digits.as_bytes()[at]).to_digit(16);
    (0..digits.len())
        .step_by(2)
        .map(|at| {
            let low = (at + 1 < digits.len()).then(|| digit(at + 1))??;
            u8::try_from(digit(at)? * 16 + low).ok()
        })
        .collect()
}
