//! Where Redis is, as people write it.

use std::fmt;

use crate::QueueError;

/// A parsed `url`. Its `Display` shows no credentials.
pub(crate) struct Url {
    pub tls: bool,
    pub username: Option<String>,
    pub password: Option<String>,
    pub hosts: Vec<(String, u16)>,
    pub topology: Topology,
    pub database: i64,
}

pub(crate) enum Topology {
    Direct,
    Sentinel { master: String },
    Cluster,
}

/// What a url looks like, and what to do about a password that does not fit in.
const EXPECTED: &str = "write redis://[user:password@]host:port/db, special characters of a password percent-encoded (# is %23, / is %2F, @ is %40, % is %25)";

impl Url {
    /// No error repeats anything of the URL but a port: where it is broken nobody can tell which piece is the password.
    pub fn parse(url: &str) -> Result<Self, QueueError> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| refuse("no scheme, expected redis://host:port/db"))?;
        let (tls, kind) = match scheme {
            "redis" | "redis+sentinel" | "redis+cluster" => (false, scheme),
            "rediss" => (true, "redis"),
            "rediss+sentinel" => (true, "redis+sentinel"),
            "rediss+cluster" => (true, "redis+cluster"),
            _ => {
                return Err(refuse(
                    "unknown scheme, expected redis, rediss, redis+sentinel or redis+cluster",
                ));
            }
        };
        let ((username, password), rest) = credentials(rest)?;
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        if hosts.contains(['#', '?']) || path.contains(['#', '?']) {
            return Err(refuse(&format!("# and ? have no meaning here; {EXPECTED}")));
        }
        let default_port = if kind == "redis+sentinel" {
            26379
        } else {
            6379
        };
        let hosts: Vec<(String, u16)> = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(|host| address(host, default_port))
            .collect::<Result<_, _>>()?;
        if hosts.is_empty() {
            return Err(refuse("no host, expected redis://host:port/db"));
        }
        let (topology, database) = topology(kind, path)?;
        Ok(Self {
            tls,
            username,
            password,
            hosts,
            topology,
            database: i64::from(database),
        })
    }
}

fn refuse(problem: &str) -> QueueError {
    QueueError::Options(format!("url: {problem}"))
}

/// User and password.
type Credentials = (Option<String>, Option<String>);

/// Who logs in, and what stands behind that.
fn credentials(rest: &str) -> Result<(Credentials, &str), QueueError> {
    // A password may itself hold what parts a url: whatever stands before the last `@` is credentials.
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, rest),
    };
    if credentials.is_some_and(|text| text.contains(['#', '/', '?'])) {
        return Err(refuse(
            "user or password hold a character that must be percent-encoded (# is %23, / is %2F, ? is %3F)",
        ));
    }
    let (username, password) =
        match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            Some((user, password)) => (decoded(user)?, decoded(password)?),
            None => (None, None),
        };
    Ok(((username, password), rest))
}

/// What stands behind the hosts: the name of a primary where sentinels are asked for it, a database.
fn topology(kind: &str, path: &str) -> Result<(Topology, u32), QueueError> {
    let mut segments = path.split('/');
    let topology = match kind {
        "redis+sentinel" => {
            let master = segments
                .next()
                .filter(|name| !name.is_empty())
                .ok_or_else(|| {
                    refuse("no master name, expected redis+sentinel://host:port/<master>/<db>")
                })?;
            Topology::Sentinel {
                master: master.to_owned(),
            }
        }
        "redis+cluster" => Topology::Cluster,
        _ => Topology::Direct,
    };
    let database = match segments.next().unwrap_or_default() {
        "" => 0,
        number => number.parse::<u32>().map_err(|_| {
            refuse(&format!(
                "what stands behind the host is not a number of a database; {EXPECTED}"
            ))
        })?,
    };
    if segments.any(|segment| !segment.is_empty()) {
        return Err(refuse(&format!(
            "nothing may stand behind the database; {EXPECTED}"
        )));
    }
    Ok((topology, database))
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn address(text: &str, default_port: u16) -> Result<(String, u16), QueueError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return Err(refuse(&format!(
                    "more than one colon in a host; is the @ behind the password missing? {EXPECTED}"
                )));
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(refuse(
            "no host before the port, expected redis://host:port/db",
        ));
    }
    let port = match port {
        None => default_port,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            // a number says nothing of a password
            _ if !port.is_empty() && port.len() < 8 && port.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(refuse(&format!("port {port} is not one of 1 to 65535")));
            }
            _ => return Err(refuse(&format!("the port is not a number; {EXPECTED}"))),
        },
    };
    Ok((host.to_owned(), port))
}

/// A user or password as it stands in a url; `None` if it is empty.
fn decoded(text: &str) -> Result<Option<String>, QueueError> {
    let wrong = || {
        let problem = "in the user or the password, a % is not followed by two hexadecimal digits, or stands for what is no text";
        refuse(&format!("{problem}; {EXPECTED}"))
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let (digits, behind) = rest.split_at_checked(2).ok_or_else(wrong)?;
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            match host.contains(':') {
                true => write!(f, "{comma}[{host}]:{port}")?,
                false => write!(f, "{comma}{host}:{port}")?,
            }
        }
        if let Topology::Sentinel { master } = &self.topology {
            write!(f, "/{master}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_understood_and_credentials_hidden() {
        assert_eq!(
            Url::parse("redis://u:s3cret@h:1/2").unwrap().to_string(),
            "h:1"
        );
        assert_eq!(
            Url::parse("redis+sentinel://a,b:7/main/0")
                .unwrap()
                .to_string(),
            "a:26379,b:7/main"
        );
        assert_eq!(
            Url::parse("redis+cluster://a:1,b:2").unwrap().hosts.len(),
            2
        );
    }

    #[test]
    fn a_password_may_hold_what_parts_a_url() {
        for (url, password) in [
            ("redis://:pa%23ss@h:1/0", "pa#ss"),
            ("redis://u:a@b:c@h:1/0", "a@b:c"),
            ("redis://:%40%25%2F@h:1", "@%/"),
            ("redis://:p\u{e4}ss@h:1", "p\u{e4}ss"),
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(parsed.password.as_deref(), Some(password), "{url}");
            assert_eq!(parsed.to_string(), "h:1", "{url}");
        }
        assert_eq!(
            Url::parse("redis://u:p@h").unwrap().username.as_deref(),
            Some("u")
        );
        assert_eq!(
            Url::parse("redis://[::1]:7/3").unwrap().to_string(),
            "[::1]:7"
        );
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (url, told) in [
            ("localhost", "scheme"),
            ("http://h", "unknown scheme"),
            ("redis:///", "no host"),
            ("redis://:6379/0", "no host before the port"),
            ("redis://h:99999", "port 99999"),
            ("redis://h:0", "port 0"),
            ("redis://h:abc", "port is not a number"),
            ("redis://h:/0", "port is not a number"),
            ("redis+sentinel://h", "master"),
            ("redis://h/x", "not a number"),
            ("redis://:hunter2#@h:1/0", "percent-encoded"),
            ("redis://:a/hunter2@h:1/0", "percent-encoded"),
            ("redis://:a?hunter2@h:1/0", "percent-encoded"),
            ("redis://h/hunter2", "not a number"),
            ("hunter2://h", "unknown scheme"),
            ("redis://h/0/1", "behind the database"),
            ("redis://h/0?db=1", "percent-encoded"),
        ] {
            let error = Url::parse(url).err().unwrap().to_string();
            assert!(error.contains(told), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn no_error_quotes_a_piece_of_a_password() {
        for url in [
            "s3cret",
            "s3cret://h",
            "s3:cret://h",
            "redis://:s3cret",
            "redis://u:s3cret:6379/0",
            "redis://:s3cret/0@h/1/2",
            "redis://:s3cret%@h:1",
            "redis://:s3cret%zz@h:1",
            "redis://:s3cret%ff@h:1",
            "redis://:s3cret@h:1/x",
            "redis://:s3cret@h:1x",
            "redis://u:s3cret#h:1",
            "redis://h/s3cret",
        ] {
            let error = Url::parse(url).err().unwrap_or_else(|| panic!("{url}"));
            let text = format!("{error} {error:?}");
            assert!(!text.contains("cret"), "{url}: {text}");
        }
    }
}
