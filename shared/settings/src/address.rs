//! URLs of the stores: what may stand in them, and how credentials get in. No message repeats a part of a URL, because
//! where a URL is broken nobody can tell which part of it is the password.

use std::net::Ipv6Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Secret;

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The pieces of a URL that credentials concern.
struct UrlPieces<'a> {
    scheme: &'a str,
    /// `user:password`, if there is an `@`.
    credentials: Option<&'a str>,
    /// `host:port`, several separated by commas.
    hosts: &'a str,
    /// Path, query and fragment.
    rest: &'a str,
}

fn split(url: &str) -> Option<UrlPieces<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (Some(credentials), hosts),
        None => (None, authority),
    };
    Some(UrlPieces {
        scheme,
        credentials,
        hosts,
        rest,
    })
}

/// What is wrong with the URL of `section`, and the remedy.
pub fn check(section: &str, url: &str, schemes: &[&str]) -> Result<(), String> {
    let form = || format!("is not of the form {}://host:port", schemes.join("|"));
    let pieces = split(url).ok_or_else(form)?;
    if !schemes.contains(&pieces.scheme) || pieces.hosts.is_empty() {
        return Err(form());
    }
    let credentials = pieces.credentials.unwrap_or_default();
    if pieces.rest.contains('@') || !is_encoded(credentials) {
        return Err(format!(
            "holds a character that a URL needs for itself; in user and password write % as %25, # as %23, / as %2F, \
             ? as %3F, @ as %40, a blank as %20, or give them as {section}.user and {section}.password (or \
             password_file), which take any text"
        ));
    }
    let mut hosts = pieces.hosts.split(',').map(str::trim);
    if !hosts.all(host_is_whole) {
        return Err(format!(
            "{}: a host has no blank, and in brackets stands an IPv6 address",
            form()
        ));
    }
    let ports_are_numbers = pieces
        .hosts
        .split(',')
        .all(|host| port_is_number(host.trim()));
    if !ports_are_numbers {
        return Err(format!("{}: a port is a number from 1 to 65535", form()));
    }
    Ok(())
}

/// What is wrong with the URL of a store that is one server, spoken to at its root.
pub fn check_one_server(url: &str) -> Result<(), String> {
    let Some(pieces) = split(url) else {
        return Ok(());
    };
    if pieces.hosts.contains(',') {
        let problem =
            "names more than one host; name one, or an address that leads to one server at a time";
        return Err(problem.to_owned());
    }
    if !["", "/"].contains(&pieces.rest) {
        let problem = "goes on behind the port; end it there: the database is clickhouse.database, and a proxy that wants \
                       a path needs an address without one";
        return Err(problem.to_owned());
    }
    Ok(())
}

/// Two hexadecimal digits behind every `%`, nothing that a parser would drop or end at.
fn is_encoded(credentials: &str) -> bool {
    let whole = credentials.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    whole && !credentials.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn host_is_whole(host: &str) -> bool {
    let in_brackets = host.strip_prefix('[').map(|host| host.split_once(']'));
    match in_brackets {
        Some(Some((address, behind))) => {
            let address = address
                .split_once('%')
                .map_or(address, |(address, _)| address);
            address.parse::<Ipv6Addr>().is_ok() && (behind.is_empty() || behind.starts_with(':'))
        }
        Some(None) => false,
        None => !host.contains([' ', '\t', ']']),
    }
}

fn port_is_number(host: &str) -> bool {
    // `[::1]:6379`: what stands in brackets is the address.
    let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    match behind.split_once(':') {
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => true,
    }
}

/// The URL with this user and password in the place of its own.
pub fn with_credentials(url: &Secret, user: Option<&str>, password: Option<&Secret>) -> Secret {
    let Some(pieces) = split(url.expose()) else {
        return url.clone();
    };
    let own = pieces.credentials.unwrap_or_default();
    let (own_user, own_password) = own.split_once(':').unwrap_or((own, ""));
    let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let user = user.map_or_else(|| own_user.to_owned(), encoded);
    let password = password.map_or_else(
        || own_password.to_owned(),
        |secret| encoded(secret.expose()),
    );
    let UrlPieces {
        scheme,
        hosts,
        rest,
        ..
    } = pieces;
    Secret::new(match (user.is_empty(), password.is_empty()) {
        (true, true) => format!("{scheme}://{hosts}{rest}"),
        (false, true) => format!("{scheme}://{user}@{hosts}{rest}"),
        (_, false) => format!("{scheme}://{user}:{password}@{hosts}{rest}"),
    })
}

/// Whether a URL names a user or a password.
pub fn has_credentials(url: &str) -> bool {
    url.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_encoded_and_take_the_place_of_those_in_the_url() {
        let given = |url: &str, user: Option<&str>, password: Option<&str>| {
            let password = password.map(Secret::new);
            let url = with_credentials(&Secret::new(url), user, password.as_ref());
            url.expose().to_owned()
        };
        for (url, user, password, whole) in [
            (
                "redis://h:1/0",
                None,
                Some("a#b/c?d@e%f:g 焊"),
                "redis://:a%23b%2Fc%3Fd%40e%25f%3Ag%20%E7%84%8A@h:1/0",
            ),
            ("redis://u:old@h", None, Some("new"), "redis://u:new@h"),
            (
                "mysql://h:3306/weld",
                Some("we@ld"),
                Some("p"),
                "mysql://we%40ld:p@h:3306/weld",
            ),
            (
                "mysql://u:p@h/weld",
                Some("other"),
                None,
                "mysql://other:p@h/weld",
            ),
            (
                "redis+sentinel://a:1,b:2/main/0",
                None,
                Some("x"),
                "redis+sentinel://:x@a:1,b:2/main/0",
            ),
            ("redis://u:p@h", None, None, "redis://u:p@h"),
            ("redis://h", None, None, "redis://h"),
        ] {
            assert_eq!(given(url, user, password), whole);
        }
    }

    #[test]
    fn what_cannot_be_understood_is_told_from_what_can() {
        let schemes = ["redis", "redis+sentinel"];
        for url in [
            "redis://h",
            "redis://h:6379/0",
            "redis://:p%23w@h:6379/0",
            "redis://u:p@ss@h",
            "redis://[::1]:6379/0",
            "redis://[::1]",
            "redis+sentinel://a:1, b:2/main/0",
        ] {
            assert_eq!(check("redis", url, &schemes), Ok(()), "{url}");
        }
        for (url, says) in [
            ("redis://:p#w@h:6379/0", "%23"),
            ("redis://:p/w@h:6379/0", "redis.password"),
            ("redis://:p?w@h", "%3F"),
            ("redis://:p%w@h", "%25"),
            ("redis://:p%2@h", "%25"),
            ("redis://:p w@h", "%20"),
            ("redis://h:63790000/0", "65535"),
            ("redis://h:/0", "65535"),
            ("redis://user:password", "65535"),
            ("redis://[user:password]:6379", "IPv6"),
            ("redis://[::1", "IPv6"),
            ("redis://[::1]6379", "IPv6"),
            ("redis://my plant:6379", "blank"),
            ("redis:///0", "redis|redis+sentinel://host:port"),
            ("http://h", "redis|redis+sentinel://host:port"),
            ("h:6379", "redis|redis+sentinel://host:port"),
        ] {
            let problem = check("redis", url, &schemes).expect_err(url);
            assert!(problem.contains(says), "{url}: {problem}");
        }
    }
}
