//! The old service's configuration, understood as far as it can be.

mod keys;
mod url;

use weldfleet_settings::Secret;

use crate::{
    AdoptError,
    yaml::{self, Node},
};
use keys::{WHOLE, is_of_rules, understand};
use url::{Url, bracketed, is_database, is_host, may_hold_password};

pub use keys::Old;
pub use url::is_reference;

/// A key of the old file and its value.
#[derive(Debug, Clone)]
struct Entry {
    /// As it was written, dotted.
    path: String,
    value: Node,
    meaning: Option<Old>,
    /// Words of the path that had to be left out to understand it.
    left_out: usize,
}

/// A value, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    pub value: T,
    /// The old key, dotted.
    pub path: String,
}

/// A map of columns, whatever its form.
#[derive(Debug)]
pub struct OldColumns {
    pub path: String,
    /// The whole path, its last key, the column's name.
    pub pairs: Vec<(String, String, String)>,
    /// Paths of what names no column.
    pub unused: Vec<String>,
}

impl OldColumns {
    /// Under which keys an entry with more to say has the column's name.
    const NAMES: [&str; 3] = ["name", "column", "field"];

    fn read(&mut self, above: &str, pairs: &[(String, Node)]) {
        for (key, node) in pairs {
            let path = format!("{above}.{key}");
            let name = match node {
                Node::Scalar(Some(name)) => Some(name),
                Node::List(items) => match items.as_slice() {
                    [Node::Scalar(Some(name))] => Some(name),
                    _ => None,
                },
                Node::Map(inner) => {
                    let named = Self::NAMES.iter().find_map(|name| {
                        inner.iter().find_map(|(key, node)| match node {
                            Node::Scalar(Some(text)) if key == name => Some(text),
                            _ => None,
                        })
                    });
                    if named.is_none() {
                        // A group of columns.
                        self.read(&path, inner);
                        continue;
                    }
                    named
                }
                Node::Scalar(None) => None,
            };
            match name.filter(|name| !name.trim().is_empty()) {
                Some(name) => self.pairs.push((path, key.clone(), name.trim().to_owned())),
                None => self.drop(&path),
            }
        }
    }

    fn drop(&mut self, path: &str) {
        if !self.unused.iter().any(|known| known == path) {
            self.unused.push(path.to_owned());
        }
    }
}

/// The old configuration, understood as far as it can be.
#[derive(Debug)]
pub struct OldConfig {
    entries: Vec<Entry>,
    clickhouse_url: Url,
    mysql_url: Url,
}

impl OldConfig {
    /// # Errors
    /// [`AdoptError`]: no YAML, or none with keys.
    pub fn read(text: &str) -> Result<Self, AdoptError> {
        let Node::Map(root) = yaml::read(text)? else {
            return Err(AdoptError::NoKeys);
        };
        let mut entries = Vec::new();
        flatten("", root, &mut entries);
        if entries.is_empty() {
            return Err(AdoptError::NoKeys);
        }
        let mut old = Self {
            entries,
            clickhouse_url: Url::default(),
            mysql_url: Url::default(),
        };
        old.refuse_secrets()?;
        if let Some(url) = old.text(Old::ClickHouseUrl) {
            old.clickhouse_url = Url::read(url)?;
        }
        if let Some(url) = old.text(Old::MySqlUrl) {
            old.mysql_url = Url::read(url)?;
        }
        Ok(old)
    }

    /// What is written into the new file, or shown, is looked through for a password before anything is made of it.
    fn refuse_secrets(&self) -> Result<(), AdoptError> {
        for entry in &self.entries {
            let key = || entry.path.clone();
            let texts = scalars(&entry.value);
            let any = |is: fn(&str) -> bool| texts.iter().any(|text| is(text.trim()));
            let is_of_address = matches!(
                entry.meaning,
                Some(
                    Old::ClickHouseHost
                        | Old::ClickHousePort
                        | Old::ClickHouseHttpPort
                        | Old::ClickHouseDatabase
                        | Old::MySqlHost
                        | Old::MySqlPort
                        | Old::MySqlDatabase
                )
            );
            if is_of_address && any(|text| text.contains("${")) {
                return Err(AdoptError::Reference { key: key() });
            }
            match entry.meaning {
                // Unknown keys are named without their values.
                None
                | Some(
                    Old::ClickHouseUrl
                    | Old::MySqlUrl
                    | Old::ClickHousePassword
                    | Old::MySqlPassword,
                ) => {}
                Some(Old::ClickHouseHost | Old::MySqlHost) => {
                    if any(|text| !text.is_empty() && !is_host(text)) {
                        return Err(AdoptError::NoHostName { key: key() });
                    }
                }
                Some(Old::ClickHouseDatabase | Old::MySqlDatabase) => {
                    if any(|text| !is_database(text)) {
                        return Err(AdoptError::NoDatabase { key: key() });
                    }
                }
                Some(_) => {
                    if any(may_hold_password) {
                        return Err(AdoptError::MayHoldPassword { key: key() });
                    }
                }
            }
        }
        Ok(())
    }

    /// The entry that says it: the one of the plainest path, of two alike the first.
    fn entry(&self, meaning: Old) -> Option<&Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.meaning == Some(meaning))
            .min_by_key(|entry| entry.left_out)
    }

    pub fn has(&self, meaning: Old) -> bool {
        self.entry(meaning).is_some()
    }

    /// The value as text; a list's first. Nothing where it is null, empty or a mapping.
    pub fn text(&self, meaning: Old) -> Option<Located<String>> {
        let entry = self.entry(meaning)?;
        let scalar = match &entry.value {
            Node::List(items) => items.first()?,
            node => node,
        };
        match scalar {
            Node::Scalar(Some(text)) if !text.trim().is_empty() => Some(Located {
                value: text.trim().to_owned(),
                path: entry.path.clone(),
            }),
            _ => None,
        }
    }

    /// A list's texts, or one text with commas.
    pub fn texts(&self, meaning: Old) -> Option<Located<Vec<String>>> {
        let entry = self.entry(meaning)?;
        let texts: Vec<String> = match &entry.value {
            Node::List(items) => items.iter().filter_map(scalar).map(str::to_owned).collect(),
            node => scalar(node)?
                .split(',')
                .map(|text| text.trim().to_owned())
                .collect(),
        };
        Some(Located {
            value: texts,
            path: entry.path.clone(),
        })
    }

    /// Whose column is whose.
    pub fn column_map(&self) -> Option<OldColumns> {
        let entry = self.entry(Old::ColumnMap)?;
        let mut columns = OldColumns {
            path: entry.path.clone(),
            pairs: Vec::new(),
            unused: Vec::new(),
        };
        match &entry.value {
            Node::Map(pairs) => columns.read(&entry.path, pairs),
            Node::List(items) => {
                for item in items {
                    match item {
                        Node::Map(pairs) if pairs.len() == 1 => columns.read(&entry.path, pairs),
                        _ => columns.drop(&entry.path),
                    }
                }
            }
            Node::Scalar(_) => columns.drop(&entry.path),
        }
        Some(columns)
    }

    /// A value that is told and belongs elsewhere: scalar, list or mapping, as one line.
    pub fn shown(&self, meaning: Old) -> Option<Located<String>> {
        let entry = self.entry(meaning)?;
        Some(Located {
            value: shown(&entry.value),
            path: entry.path.clone(),
        })
    }

    pub fn clickhouse_password(&self) -> Option<Located<Secret>> {
        self.password(Old::ClickHousePassword, &self.clickhouse_url)
    }

    pub fn mysql_password(&self) -> Option<Located<Secret>> {
        self.password(Old::MySqlPassword, &self.mysql_url)
    }

    fn password(&self, meaning: Old, url: &Url) -> Option<Located<Secret>> {
        let own = self.entry(meaning).and_then(|entry| {
            let text = scalar(&entry.value).filter(|text| !text.is_empty())?;
            Some(Located {
                value: Secret::new(text),
                path: entry.path.clone(),
            })
        });
        own.or_else(|| {
            Some(Located {
                value: url.password.clone()?,
                path: url.path.clone(),
            })
        })
    }

    fn or_url(&self, meaning: Old, url: &Url, of_url: &Option<String>) -> Option<Located<String>> {
        self.text(meaning).or_else(|| {
            Some(Located {
                value: of_url.clone()?,
                path: url.path.clone(),
            })
        })
    }

    pub fn clickhouse_user(&self) -> Option<Located<String>> {
        self.or_url(
            Old::ClickHouseUser,
            &self.clickhouse_url,
            &self.clickhouse_url.user,
        )
    }

    pub fn clickhouse_database(&self) -> Option<Located<String>> {
        self.or_url(
            Old::ClickHouseDatabase,
            &self.clickhouse_url,
            &self.clickhouse_url.database,
        )
    }

    /// `host[:port]` and the key that named the port, if one did.
    fn clickhouse_host(&self) -> Option<(Located<String>, Option<Located<String>>)> {
        let url = &self.clickhouse_url;
        let mut host = self.or_url(Old::ClickHouseHost, url, &url.host)?;
        let mut port = self.or_url(Old::ClickHousePort, url, &url.port);
        // `host: 10.0.0.1:9000` is written too.
        if let Some((name, number)) = host.value.clone().rsplit_once(':')
            && (!name.contains(':') || name.ends_with(']'))
            && number.parse::<u16>().is_ok()
        {
            host.value = name.to_owned();
            port = port.or_else(|| {
                Some(Located {
                    value: number.to_owned(),
                    path: host.path.clone(),
                })
            });
        }
        Some((host, port))
    }

    /// Where ClickHouse's HTTP interface may be, the likeliest first, and the port that the old service used.
    ///
    /// # Errors
    /// [`AdoptError::NoHost`].
    pub fn clickhouse_urls(&self) -> Result<ClickHouseAddress, AdoptError> {
        let Some((host, port)) = self.clickhouse_host() else {
            return Err(AdoptError::NoHost {
                server: "ClickHouse",
                expected: "clickhouse.host, clickhouse_host, ck.host, clickhouse.url".to_owned(),
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

    /// Whether the old configuration speaks of MySQL at all.
    pub fn speaks_of_mysql(&self) -> bool {
        use Old::{MySqlDatabase, MySqlHost, MySqlPassword, MySqlPort, MySqlUrl, MySqlUser};
        [
            MySqlUrl,
            MySqlHost,
            MySqlPort,
            MySqlUser,
            MySqlPassword,
            MySqlDatabase,
        ]
        .into_iter()
        .any(|meaning| self.has(meaning))
    }

    /// Whether NOK welds went to MySQL.
    pub fn wants_mysql(&self) -> bool {
        let off = self
            .text(Old::MySqlEnabled)
            .is_some_and(|found| switch(&found.value) == Some(false));
        self.speaks_of_mysql() && !off
    }

    /// Keys that list several hosts or tables, of which the first is taken: the key, that one, the others.
    pub fn further(&self) -> Vec<(&str, &str, String)> {
        let meanings = [
            Old::ClickHouseHost,
            Old::MySqlHost,
            Old::SourceTable,
            Old::ResultTable,
        ];
        let entries = meanings
            .into_iter()
            .filter_map(|meaning| self.entry(meaning));
        let mut further = Vec::new();
        for entry in entries {
            if let Node::List(items) = &entry.value
                && let [first, others @ ..] = items
                    .iter()
                    .filter_map(scalar)
                    .collect::<Vec<_>>()
                    .as_slice()
                && !others.is_empty()
            {
                further.push((entry.path.as_str(), *first, others.join(", ")));
            }
        }
        further
    }

    /// `host:port`.
    ///
    /// # Errors
    /// [`AdoptError::NoHost`] where MySQL is spoken of without one.
    pub fn mysql_host(&self) -> Result<Located<String>, AdoptError> {
        let url = &self.mysql_url;
        let Some(mut host) = self.or_url(Old::MySqlHost, url, &url.host) else {
            return Err(AdoptError::NoHost {
                server: "MySQL",
                expected: "mysql.host, mysql_host, mysql.url".to_owned(),
            });
        };
        let has_port = host.value.rsplit_once(':').is_some_and(|(name, port)| {
            (!name.contains(':') || name.ends_with(']')) && port.parse::<u16>().is_ok()
        });
        if !has_port {
            let port = self.or_url(Old::MySqlPort, url, &url.port);
            let port = port.map_or_else(|| "3306".to_owned(), |port| port.value);
            host.value = format!("{}:{port}", bracketed(&host.value));
        }
        Ok(host)
    }

    pub fn mysql_user(&self) -> Option<Located<String>> {
        self.or_url(Old::MySqlUser, &self.mysql_url, &self.mysql_url.user)
    }

    /// The database that a key of its own names, else that of the table of NOK welds.
    pub fn mysql_database(&self) -> Option<Located<String>> {
        let named = self.or_url(
            Old::MySqlDatabase,
            &self.mysql_url,
            &self.mysql_url.database,
        );
        named.or_else(|| {
            let (database, table) = self.result_table()?;
            let (value, path) = (database?, table.path);
            Some(Located { value, path })
        })
    }

    /// The table of NOK welds; its database, if it is written so.
    pub fn result_table(&self) -> Option<(Option<String>, Located<String>)> {
        self.table(Old::ResultTable)
    }

    /// The source table's name; the database of `database.table`, if it is written so.
    pub fn source_table(&self) -> Option<(Option<String>, Located<String>)> {
        self.table(Old::SourceTable)
    }

    fn table(&self, meaning: Old) -> Option<(Option<String>, Located<String>)> {
        let mut found = self.text(meaning)?;
        let Some((database, table)) = found.value.clone().split_once('.').map(owned) else {
            return Some((None, found));
        };
        found.value = table;
        Some((Some(database), found))
    }

    /// Keys that nobody here knows and that have to do with a MySQL server.
    pub fn may_be_mysql(&self) -> Vec<&str> {
        let names_it = |text: &str| {
            let text = text.to_lowercase();
            text.contains("mysql") || text.contains("mariadb")
        };
        let unknown = self.entries.iter().filter(|entry| entry.meaning.is_none());
        let named = unknown.filter(|entry| {
            names_it(&entry.path) || scalars(&entry.value).into_iter().any(names_it)
        });
        named.map(|entry| entry.path.as_str()).collect()
    }

    /// Keys that nobody here knows and that may name a table.
    pub fn may_be_table(&self) -> Vec<&str> {
        let mut unknown = self.unknown();
        unknown.retain(|path| path.to_lowercase().contains("table") || path.contains('表'));
        unknown
    }

    /// Keys of the old rules that nobody here knows.
    pub fn unknown_rules(&self) -> Vec<&str> {
        let mut unknown = self.unknown();
        unknown.retain(|path| is_of_rules(path));
        unknown
    }

    /// Keys that nobody here knows, as they were written, without their values: one may be a secret.
    pub fn unknown(&self) -> Vec<&str> {
        let unknown = self.entries.iter().filter(|entry| entry.meaning.is_none());
        unknown.map(|entry| entry.path.as_str()).collect()
    }

    /// Keys that say what another one says too, and are not used: `(unused, used)`.
    pub fn repeated(&self) -> Vec<(&str, &str)> {
        let mut repeated = Vec::new();
        for entry in &self.entries {
            let used = entry.meaning.and_then(|meaning| self.entry(meaning));
            if let Some(used) = used
                && used.path != entry.path
                && used.value != entry.value
            {
                repeated.push((entry.path.as_str(), used.path.as_str()));
            }
        }
        repeated
    }
}

/// Every text of a value.
fn scalars(node: &Node) -> Vec<&str> {
    match node {
        Node::Scalar(text) => text.as_deref().into_iter().collect(),
        Node::List(items) => items.iter().flat_map(scalars).collect(),
        Node::Map(pairs) => pairs.iter().flat_map(|(_, node)| scalars(node)).collect(),
    }
}

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

/// What a switch says.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "是" | "开" => Some(true),
        "false" | "no" | "off" | "0" | "n" | "否" | "关" => Some(false),
        _ => None,
    }
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

fn scalar(node: &Node) -> Option<&str> {
    match node {
        Node::Scalar(text) => text.as_deref(),
        _ => None,
    }
}

fn shown(node: &Node) -> String {
    match node {
        Node::Scalar(text) => text.clone().unwrap_or_else(|| "null".to_owned()),
        Node::List(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Node::Map(pairs) => {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, node)| format!("{key}: {}", shown(node)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

fn flatten(above: &str, pairs: Vec<(String, Node)>, entries: &mut Vec<Entry>) {
    for (key, value) in pairs {
        let path = if above.is_empty() {
            key
        } else {
            format!("{above}.{key}")
        };
        let (meaning, left_out) = understand(&path);
        match value {
            Node::Map(pairs) if !meaning.is_some_and(|meaning| WHOLE.contains(&meaning)) => {
                flatten(&path, pairs, entries);
            }
            value => entries.push(Entry {
                path,
                value,
                meaning,
                left_out,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_stays_text() {
        let old = OldConfig::read(
            "clickhouse: {host: h, password: 0123}\nmysql: {host: h, password: yes}\n",
        )
        .unwrap();
        assert_eq!(old.clickhouse_password().unwrap().value.expose(), "0123");
        assert_eq!(old.mysql_password().unwrap().value.expose(), "yes");
    }

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
        assert_eq!(old.clickhouse_database().unwrap().value, "weld");
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
                assert_eq!(old.mysql_user().unwrap().value, "app", "{url}");
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
