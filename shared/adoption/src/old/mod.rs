//! The old service's configuration, understood as far as it can be.

mod columns;
mod keys;
mod servers;
mod url;

use weldfleet_settings::Secret;

use crate::{
    AdoptError,
    yaml::{self, Node},
};
use keys::{WHOLE, is_of_rules, understand};
use url::{Url, is_database, is_host, may_hold_password};

pub use columns::{MappedColumn, OldColumns};
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

impl Entry {
    fn located<T>(&self, value: T) -> Located<T> {
        let path = self.path.clone();
        Located { value, path }
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
            let texts = entry.value.scalars();
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

    /// The value as text; a list's first. Where it is null, empty, a mapping or not there, what the server's URL says.
    pub fn text(&self, meaning: Old) -> Option<Located<String>> {
        self.own_text(meaning).or_else(|| self.of_url(meaning))
    }

    fn own_text(&self, meaning: Old) -> Option<Located<String>> {
        let entry = self.entry(meaning)?;
        let node = match &entry.value {
            Node::List(items) => items.first()?,
            node => node,
        };
        let text = node.scalar()?.trim();
        (!text.is_empty()).then(|| entry.located(text.to_owned()))
    }

    fn of_url(&self, meaning: Old) -> Option<Located<String>> {
        let (clickhouse, mysql) = (&self.clickhouse_url, &self.mysql_url);
        let (url, part) = match meaning {
            Old::ClickHouseHost => (clickhouse, &clickhouse.host),
            Old::ClickHousePort => (clickhouse, &clickhouse.port),
            Old::ClickHouseUser => (clickhouse, &clickhouse.user),
            Old::ClickHouseDatabase => (clickhouse, &clickhouse.database),
            Old::MySqlHost => (mysql, &mysql.host),
            Old::MySqlPort => (mysql, &mysql.port),
            Old::MySqlUser => (mysql, &mysql.user),
            Old::MySqlDatabase => (mysql, &mysql.database),
            _ => return None,
        };
        Some(Located {
            value: part.clone()?,
            path: url.path.clone(),
        })
    }

    /// A list's texts, or one text with commas.
    pub fn texts(&self, meaning: Old) -> Option<Located<Vec<String>>> {
        let entry = self.entry(meaning)?;
        let texts: Vec<String> = match &entry.value {
            Node::List(items) => items
                .iter()
                .filter_map(Node::scalar)
                .map(str::to_owned)
                .collect(),
            node => node
                .scalar()?
                .split(',')
                .map(|text| text.trim().to_owned())
                .collect(),
        };
        Some(entry.located(texts))
    }

    /// A value that is told and belongs elsewhere: scalar, list or mapping, as one line.
    pub fn shown(&self, meaning: Old) -> Option<Located<String>> {
        let entry = self.entry(meaning)?;
        Some(entry.located(entry.value.to_string()))
    }

    pub fn clickhouse_password(&self) -> Option<Located<Secret>> {
        self.password(Old::ClickHousePassword, &self.clickhouse_url)
    }

    pub fn mysql_password(&self) -> Option<Located<Secret>> {
        self.password(Old::MySqlPassword, &self.mysql_url)
    }

    fn password(&self, meaning: Old, url: &Url) -> Option<Located<Secret>> {
        let own = self.entry(meaning).and_then(|entry| {
            let text = entry.value.scalar().filter(|text| !text.is_empty())?;
            Some(entry.located(Secret::new(text)))
        });
        own.or_else(|| {
            Some(Located {
                value: url.password.clone()?,
                path: url.path.clone(),
            })
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
                    .filter_map(Node::scalar)
                    .collect::<Vec<_>>()
                    .as_slice()
                && !others.is_empty()
            {
                further.push((entry.path.as_str(), *first, others.join(", ")));
            }
        }
        further
    }

    /// The database that a key of its own names, else that of the table of NOK welds.
    pub fn mysql_database(&self) -> Option<Located<String>> {
        self.text(Old::MySqlDatabase).or_else(|| {
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
        let Some((database, table)) = found.value.split_once('.') else {
            return Some((None, found));
        };
        let database = database.to_owned();
        found.value = table.to_owned();
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
            names_it(&entry.path) || entry.value.scalars().into_iter().any(names_it)
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

/// What a switch says.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "是" | "开" => Some(true),
        "false" | "no" | "off" | "0" | "n" | "否" | "关" => Some(false),
        _ => None,
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
}
