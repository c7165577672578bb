//! Which server answers.

use std::{fmt, str::FromStr};

/// A server's version; compares as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `26` of 26.7.2.1.
    pub major: u32,
    /// `7` of 26.7.2.1.
    pub minor: u32,
}

impl Version {
    /// The oldest server that has lightweight UPDATE.
    pub const LIGHTWEIGHT_UPDATE: Self = Self {
        major: 25,
        minor: 7,
    };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split('.').map(|number| number.parse().map_err(|_| ()));
        Ok(Self {
            major: numbers.next().ok_or(())??,
            minor: numbers.next().ok_or(())??,
        })
    }
}
