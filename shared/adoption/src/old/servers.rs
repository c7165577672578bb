//! Where the old configuration says that the two servers are.

use super::{
    Located, Old, OldConfig, switch,
    url::{bracketed, split_port},
};
use crate::AdoptError;

/// Where ClickHouse may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickHouseAddress {
    pub host: Located<String>,
    /// The likeliest first.
    pub urls: Vec<String>,
    /// The old port, if one was named.
    pub port: Option<Located<String>>,
    /// Whether that is a port of the native protocol.
    pub native: bool,
}

impl OldConfig {
    /// `host[:port]` and the key that named the port, if one did.
    fn clickhouse_host(&self) -> Option<(Located<String>, Option<Located<String>>)> {
        let mut host = self.text(Old::ClickHouseHost)?;
        let port = self.text(Old::ClickHousePort);
        // `host: 10.0.0.1:9000` is written too.
        let (name, Some(number)) = split_port(&host.value) else {
            return Some((host, port));
        };
        let (name, number) = (name.to_owned(), number.to_owned());
        let port = port.unwrap_or_else(|| Located {
            value: number,
            path: host.path.clone(),
        });
        host.value = name;
        Some((host, Some(port)))
    }

    /// Where ClickHouse's HTTP interface may be, the likeliest first, and the port that the old service used.
    ///
    /// # Errors
    /// [`AdoptError::NoHost`].
    pub fn clickhouse_urls(&self) -> Result<ClickHouseAddress, AdoptError> {
        let Some((host, port)) = self.clickhouse_host() else {
            return Err(AdoptError::NoHost {
                server: "ClickHouse",
                expected: "clickhouse.host, clickhouse_host, ck.host, clickhouse.url",
            });
        };
        let url = &self.clickhouse_url;
        let secure = url.secure
            || self
                .text(Old::ClickHouseSecure)
                .is_some_and(|found| switch(&found.value) == Some(true));
        let http_port = self.text(Old::ClickHouseHttpPort);
        let name = bracketed(&host.value);
        let address = |secure: bool, port: &str| {
            let scheme = if secure { "https" } else { "http" };
            format!("{scheme}://{name}:{port}")
        };
        let number = port.as_ref().map_or("9000", |port| port.value.as_str());
        let mut urls = match (&http_port, number) {
            (Some(http), _) => vec![address(secure || http.value == "8443", &http.value)],
            (None, "9440") => vec![address(true, "8443"), address(false, "8123")],
            (None, "9000") if secure => vec![address(true, "8443"), address(false, "8123")],
            (None, "9000") => vec![address(false, "8123"), address(true, "8443")],
            (None, port @ "8443") => vec![address(true, port)],
            (None, port) => vec![address(secure, port), address(secure, "8123")],
        };
        urls.dedup();
        let old_port = match (http_port, port) {
            (Some(http), _) => Some((http, false)),
            (None, Some(port)) => {
                let native = !url.http && !["8123", "8443"].contains(&port.value.as_str());
                Some((port, native))
            }
            (None, None) => None,
        };
        Ok(ClickHouseAddress {
            host,
            urls,
            native: old_port.as_ref().is_none_or(|(_, native)| *native),
            port: old_port.map(|(port, _)| port),
        })
    }

    /// `host:port`.
    ///
    /// # Errors
    /// [`AdoptError::NoHost`] where MySQL is spoken of without one.
    pub fn mysql_host(&self) -> Result<Located<String>, AdoptError> {
        let Some(mut host) = self.text(Old::MySqlHost) else {
            return Err(AdoptError::NoHost {
                server: "MySQL",
                expected: "mysql.host, mysql_host, mysql.url",
            });
        };
        if split_port(&host.value).1.is_none() {
            let port = self.text(Old::MySqlPort);
            let port = port.map_or_else(|| "3306".to_owned(), |port| port.value);
            host.value = format!("{}:{port}", bracketed(&host.value));
        }
        Ok(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_the_native_protocol_become_those_of_http() {
        for (text, urls) in [
            (
                "clickhouse: {host: h, port: 9000}",
                "http://h:8123 https://h:8443",
            ),
            ("clickhouse: {host: h}", "http://h:8123 https://h:8443"),
            (
                "clickhouse: {host: h, port: 9440}",
                "https://h:8443 http://h:8123",
            ),
            (
                "clickhouse: {host: h, port: 9000, secure: true}",
                "https://h:8443 http://h:8123",
            ),
            ("clickhouse: {host: h, port: 8123}", "http://h:8123"),
            (
                "clickhouse: {host: h, port: 9000, http_port: 18123}",
                "http://h:18123",
            ),
            (
                "clickhouse: {host: 'h:19000'}",
                "http://h:19000 http://h:8123",
            ),
            (
                "clickhouse: {host: [a, b], port: 9000}",
                "http://a:8123 https://a:8443",
            ),
            (
                "clickhouse: {url: 'clickhouse://u:p%40w@h:9000/weld'}",
                "http://h:8123 https://h:8443",
            ),
            (
                "clickhouse: {host: '::1'}",
                "http://[::1]:8123 https://[::1]:8443",
            ),
        ] {
            let old = OldConfig::read(text).unwrap();
            assert_eq!(
                old.clickhouse_urls().unwrap().urls.join(" "),
                urls,
                "{text}"
            );
        }
        let old = OldConfig::read("clickhouse: {url: 'clickhouse://u:p%40w@h:9000/weld'}").unwrap();
        assert_eq!(old.clickhouse_password().unwrap().value.expose(), "p@w");
        assert_eq!(old.text(Old::ClickHouseDatabase).unwrap().value, "weld");
    }

    #[test]
    fn a_password_ends_at_the_last_at_sign_where_that_can_be_told() {
        for (credentials, password) in [
            ("app:hun#ter", "hun#ter"),
            ("app:hun/ter?2", "hun/ter?2"),
            ("app:hun@ter", "hun@ter"),
            ("app:hun:ter", "hun:ter"),
            ("app:hun ter", "hun ter"),
            ("app:hun%ter", "hun%ter"),
            ("app:hun%23ter", "hun#ter"),
            ("app:a://b", "a://b"),
        ] {
            for scheme in ["mysql+pymysql://", ""] {
                let url = format!("{scheme}{credentials}@my:3306/quality?charset=utf8mb4");
                let old = OldConfig::read(&format!("mysql_dsn: '{url}'")).unwrap();
                assert_eq!(old.mysql_host().unwrap().value, "my:3306", "{url}");
                assert_eq!(old.text(Old::MySqlUser).unwrap().value, "app", "{url}");
                assert_eq!(old.mysql_database().unwrap().value, "quality", "{url}");
                let read = old.mysql_password().unwrap().value;
                assert_eq!(read.expose(), password, "{url}");
            }
        }
        for url in [
            // Host `app` with port 123, or a password that begins so?
            "mysql://app:123#ter@my:3306/quality",
            "mysql://app:hunter2@my:3306/quality?mail=a@b",
            "mysql://my/quality?password=hun@ter",
            "mysql://${HOST}:${PORT}/quality?password=hun@ter",
        ] {
            let refused = OldConfig::read(&format!("mysql_dsn: '{url}'")).map(|_| ());
            let key = "mysql_dsn".to_owned();
            assert_eq!(refused, Err(AdoptError::AmbiguousUrl { key }), "{url}");
        }
    }

    #[test]
    fn hosts_are_told_from_what_is_none() {
        for (host, whole) in [
            ("my", "my:3306"),
            ("my.plant:3307", "my.plant:3307"),
            ("10.20.0.12", "10.20.0.12:3306"),
            ("数据库_1", "数据库_1:3306"),
            ("::1", "[::1]:3306"),
            ("[::1]", "[::1]:3306"),
            ("[::1]:3307", "[::1]:3307"),
        ] {
            let old = OldConfig::read(&format!("mysql_host: '{host}'")).unwrap();
            assert_eq!(old.mysql_host().unwrap().value, whole);
        }
        for host in [
            "app:secret@my",
            "mysql://app:secret@my",
            "app:secret",
            "[app:secret]:3306",
            "host=my;password=secret",
            "my plant",
            "tcp(my:3306)",
        ] {
            let key = "mysql_host".to_owned();
            let refused = OldConfig::read(&format!("mysql_host: '{host}'")).map(|_| ());
            assert_eq!(refused, Err(AdoptError::NoHostName { key }), "{host}");
        }
    }
}
