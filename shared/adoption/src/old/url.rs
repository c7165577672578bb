//! Servers' addresses as the old configuration has them, and what may hold a password.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use weldfleet_settings::Secret;

use super::Located;
use crate::AdoptError;

/// `mysql://user:password@host:port/database` and its like, taken apart.
#[derive(Debug, Default)]
pub(super) struct Url {
    pub path: String,
    pub secure: bool,
    pub http: bool,
    pub host: Option<String>,
    pub port: Option<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
}

impl Url {
    pub fn read(found: Located<String>) -> Result<Self, AdoptError> {
        let (scheme, rest) = scheme(&found.value);
        let ambiguous = || AdoptError::AmbiguousUrl {
            key: found.path.clone(),
        };
        let (credentials, address) = credentials(rest).ok_or_else(ambiguous)?;
        let address = address.split(['?', '#']).next().unwrap_or_default();
        let (host, database) = address.split_once('/').unwrap_or((address, ""));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        if host.contains("${") {
            return Err(AdoptError::Reference { key: found.path });
        }
        if !host.is_empty() && !is_host(host) {
            return Err(AdoptError::NoHostName { key: found.path });
        }
        let (name, port) = split_port(host);
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8_lossy().into_owned();
            (!text.is_empty()).then_some(text)
        };
        let database = decoded(database);
        if database.as_deref().is_some_and(|name| !is_database(name)) {
            return Err(AdoptError::NoDatabase { key: found.path });
        }
        Ok(Self {
            path: found.path,
            secure: scheme.contains("https") || scheme.ends_with("clickhouses"),
            http: scheme.contains("http"),
            host: decoded(name),
            port: decoded(port.unwrap_or_default()),
            user: decoded(user),
            password: decoded(password).map(Secret::new),
            database,
        })
    }
}

/// `scheme://rest`; what stands before a `://` further on may be a password.
fn scheme(url: &str) -> (&str, &str) {
    match url.split_once("://") {
        Some((scheme, rest))
            if scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme, rest)
        }
        _ => ("", url),
    }
}

/// `user:password` and what stands behind the last `@`, or nothing where that cannot be told.
///
/// People write passwords with `/`, `?` and `#` as they are, and the old service's library took them. So the last `@`
/// ends them, unless there is an address before it already: then it may stand in a path or a query.
fn credentials(rest: &str) -> Option<(&str, &str)> {
    let Some((credentials, address)) = rest.rsplit_once('@') else {
        return Some(("", rest));
    };
    let Some((before, _)) = credentials.split_once(['/', '?', '#']) else {
        return Some((credentials, address));
    };
    let host = before.rsplit_once('@').map_or(before, |(_, host)| host);
    let is_reference = host.contains(['$', '{']);
    (!is_host(host) && !is_reference).then_some((credentials, address))
}

/// A name or an address, with a port or without one: nothing that may hold a password.
pub(super) fn is_host(text: &str) -> bool {
    if is_ipv6(text) {
        return true;
    }
    let (name, _) = split_port(text);
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || ['.', '-', '_'].contains(&c));
    is_name || (name.starts_with('[') && is_ipv6(name))
}

/// A host, and its port if it has one.
pub(super) fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() && !is_ipv6(host) => (name, Some(port)),
        _ => (host, None),
    }
}

/// An IPv6 address, in brackets or not, with its zone or without.
fn is_ipv6(text: &str) -> bool {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare.split_once('%').map_or(bare, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

/// Whether a name can be a database's: it becomes a part of a URL.
pub(super) fn is_database(name: &str) -> bool {
    !name.contains(['/', '?', '#', '@', ':', '=', '&', '%'])
}

/// Whether a text stands for another that the old service's environment, its vault or its shell knew.
pub fn is_reference(text: &str) -> bool {
    let starts = ["$", "~/", "!vault", "ENC("];
    starts.iter().any(|start| text.starts_with(start)) || text.contains("${") || text.contains("{{")
}

/// `//user:password@host` and `password=…`, in whatever they stand.
pub(super) fn may_hold_password(text: &str) -> bool {
    let has_credentials = text
        .rsplit_once('@')
        .is_some_and(|(before, _)| before.contains(':'));
    let plain = text.to_lowercase().replace(' ', "");
    let names = ["password=", "passwd=", "pwd=", "secret=", "access_key="];
    has_credentials || names.iter().any(|name| plain.contains(name))
}

/// An IPv6 address as a URL has it.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}
