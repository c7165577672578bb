//! What Redis said, as people should read it.

use std::fmt;

use redis::{ErrorKind, RedisError};

/// An error of Redis or of the connection to it. Its `Display` is Redis's own words without what only the authors of a
/// script can use (its hash, its line), and the remedy where there is one.
#[derive(Clone)]
pub struct ServerError {
    error: RedisError,
    /// What else is known of it, for people.
    advice: Option<String>,
}

/// How a server without a code for it says that its `maxclients` are connected.
const NO_CONNECTION_LEFT: &str = "max number of clients";

/// What an error means for whoever called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Waiting cures it: nobody there, no answer, a server that is loading, has been deposed or runs somebody's long
    /// script, or a slot on its way.
    Outage,
    /// It answers, but takes no writes now.
    RefusesWrites,
    /// It does not know us, or does not let us do this.
    Denied,
    /// Our own script: the queue is somebody else's.
    Foreign,
    /// Anything else.
    Other,
}

impl ServerError {
    /// The error's code, such as `OOM`; empty if the server did not say it.
    pub(crate) fn code(&self) -> String {
        if self.error.kind() == ErrorKind::AuthenticationFailed {
            return "WRONGPASS".to_owned();
        }
        match self.error.code() {
            // an older server wraps what a script's command said
            Some("ERR") => {
                let detail = without_script(self.error.detail().unwrap_or_default());
                match detail.split_once(' ') {
                    // what the user may not do outside a script has a code, inside it has none
                    _ if detail.starts_with("The user executing the script")
                        || detail.starts_with("ACL failure in script") =>
                    {
                        "NOPERM".to_owned()
                    }
                    Some((code, _)) if is_code(code) => code.trim_start_matches('-').to_owned(),
                    _ => "ERR".to_owned(),
                }
            }
            Some(code) => code.to_owned(),
            None => String::new(),
        }
    }

    /// What the server said after the code.
    pub(crate) fn detail(&self) -> String {
        let detail = without_script(self.error.detail().unwrap_or_default());
        match detail.split_once(' ') {
            Some((code, rest)) if self.error.code() == Some("ERR") && is_code(code) => {
                rest.to_owned()
            }
            _ => detail.to_owned(),
        }
    }

    pub(crate) fn meaning(&self) -> Meaning {
        match &*self.code() {
            "OOM" | "MISCONF" | "NOREPLICAS" | "READONLY" => return Meaning::RefusesWrites,
            "NOAUTH" | "WRONGPASS" | "NOPERM" => return Meaning::Denied,
            "FOREIGN" => return Meaning::Foreign,
            "LOADING" | "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "BUSY"
            | "UNBLOCKED" => return Meaning::Outage,
            "ERR" if self.detail().starts_with(NO_CONNECTION_LEFT) => return Meaning::Outage,
            _ => {}
        }
        match self.error.kind() {
            ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::NoValidReplicasFoundBySentinel => Meaning::Outage,
            _ => Meaning::Other,
        }
    }

    pub(crate) fn error(&self) -> &RedisError {
        &self.error
    }

    /// The same error with a word more for people.
    pub(crate) fn advised(mut self, advice: Option<String>) -> Self {
        self.advice = advice;
        self
    }

    fn remedy(&self) -> Option<&'static str> {
        Some(match &*self.code() {
            "OOM" => "raise its maxmemory, or free what else it holds",
            "MISCONF" => "it cannot write its disk: its log says why",
            "NOREPLICAS" => "fewer replicas are connected than its min-replicas-to-write",
            "READONLY" => "it is a replica: name the primary, or go through redis+sentinel://",
            "NOAUTH" => "it wants a password: redis://user:password@host:port/db",
            "WRONGPASS" => {
                "check the user and the password; special characters of a password are percent-encoded (# is %23, % is %25)"
            }
            "BUSY" => {
                "a script of another user of this redis runs and runs: `redis-cli SCRIPT KILL`"
            }
            "NOPERM" => "allow the user every command on the queue's keys",
            _ => return None,
        })
    }
}

impl From<RedisError> for ServerError {
    fn from(error: RedisError) -> Self {
        Self {
            error,
            advice: None,
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(advice) = &self.advice {
            write!(f, "{advice}: ")?;
        }
        if self.error.kind() == ErrorKind::Parse {
            return f.write_str("what answers there does not speak the protocol of redis; is it the port of something else?");
        }
        let (code, detail) = (self.code(), self.detail());
        match (&*code, &*detail) {
            ("", _) => write!(f, "{}", self.error)?,
            ("ERR", _) => f.write_str(&detail)?,
            (_, "") => f.write_str(&code)?,
            _ => write!(f, "{code} {detail}")?,
        }
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for ServerError {}

/// `-OOM`, `WRONGTYPE`: how a server begins what a script's command said.
fn is_code(word: &str) -> bool {
    let word = word.trim_start_matches('-');
    word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The text without what servers add of the script: `Error running script (call to f_<sha>): ` and `@user_script:12: `
/// before it, ` script: <sha>, on @user_script:12.` behind it.
fn without_script(text: &str) -> &str {
    let mut text = match text.find(" script: ") {
        Some(at) if text[at..].contains("on @user_script") => &text[..at],
        _ => text,
    };
    loop {
        let trimmed = text.trim_start();
        let rest = if trimmed.starts_with("Error running script (call to ") {
            trimmed.split_once("): ").map(|(_, rest)| rest)
        } else if trimmed.trim_start_matches('@').starts_with("user_script:") {
            let line = &trimmed[trimmed.find(':').unwrap_or(0) + 1..];
            line.split_once(": ").map(|(_, rest)| rest)
        } else {
            None
        };
        match rest {
            Some(rest) => text = rest,
            None => return trimmed.trim_end().trim_end_matches('.'),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::ErrorKind;

    use super::*;

    #[test]
    fn what_servers_add_of_the_script_is_left_out() {
        const SHA: &str = "8e9cd1fbd0cc0f1d8ed1a9a9fb1cf3a3d2a1e9c3";
        for (text, wanted) in [
            (
                format!(
                    "command not allowed when used memory > 'maxmemory'. script: {SHA}, on @user_script:12."
                ),
                "command not allowed when used memory > 'maxmemory'",
            ),
            (
                format!(
                    "Operation against a key holding the wrong kind of value script: {SHA}, on @user_script:3."
                ),
                "Operation against a key holding the wrong kind of value",
            ),
            (
                format!(
                    "Error running script (call to f_{SHA}): @user_script:12: WRONGTYPE Operation against a key holding the wrong kind of value"
                ),
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                format!(
                    "Error running script (call to f_{SHA}): @user_script:3: @user_script: 3: -OOM command not allowed when used memory > 'maxmemory'."
                ),
                "-OOM command not allowed when used memory > 'maxmemory'",
            ),
            (
                format!(
                    "user_script:40: attempt to perform arithmetic on a nil value script: {SHA}, on @user_script:40."
                ),
                "attempt to perform arithmetic on a nil value",
            ),
            ("no script: here".to_owned(), "no script: here"),
            (String::new(), ""),
        ] {
            assert_eq!(without_script(&text), wanted);
        }
        assert!(is_code("-OOM") && is_code("WRONGTYPE") && !is_code("Operation"));
    }

    #[test]
    fn a_port_of_something_else_is_named_as_that() {
        let parse = ServerError::from(RedisError::from((ErrorKind::Parse, "unexpected byte")));
        assert_eq!(parse.meaning(), Meaning::Outage);
        assert!(parse.to_string().contains("port of something else"));
    }
}
