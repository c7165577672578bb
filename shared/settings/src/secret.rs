//! Values that never reach a log or an error.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A secret string: `Debug` and `Serialize` print `***`; only [`Secret::expose`] reads it.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value that must not be printed.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for handing to a client library and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value as a URL without its credentials, for logs and errors:
    /// `mysql://weld:pw@host/db` becomes `mysql://host`.
    pub fn without_credentials(&self) -> String {
        without_credentials(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// Scheme and hosts of a URL: no `user:password@`, no path, no query.
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "<not a url>".to_owned();
    };
    // A password may itself hold an unescaped `/`: whatever stands before the last `@` is credentials.
    let host_start = rest.rfind('@').map_or(0, |at| at + 1);
    let tail = &rest[host_start..];
    let hosts = tail.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{hosts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_survive() {
        for (url, shown) in [
            (
                "mysql://weld:weld@127.0.0.1:3306/weld",
                "mysql://127.0.0.1:3306",
            ),
            ("redis://:p/w@h:1/0", "redis://h:1"),
            ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
            ("http://h/?password=x", "http://h"),
            ("redis://h/password", "redis://h"),
            ("weld:pw@host", "<not a url>"),
            ("localhost:8123", "<not a url>"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
        assert_eq!(format!("{:?}", Secret::new("pw")), "***");
    }
}
