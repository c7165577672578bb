//! The old service's configuration: which of its keys mean what.

use std::{collections::BTreeMap, net::Ipv6Addr};

use percent_encoding::percent_decode_str;
use weldfleet_settings::Secret;

use crate::{
    AdoptError,
    yaml::{self, Node},
};

/// What a key of the old configuration means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Old {
    ClickHouseUrl,
    ClickHouseHost,
    ClickHousePort,
    ClickHouseHttpPort,
    ClickHouseSecure,
    ClickHouseUser,
    ClickHousePassword,
    ClickHouseDatabase,
    MySqlUrl,
    MySqlHost,
    MySqlPort,
    MySqlUser,
    MySqlPassword,
    MySqlDatabase,
    MySqlEnabled,
    SourceTable,
    ResultTable,
    ColumnMap,
    Filter,
    SkippedPrograms,
    BatchSize,
    LoopSeconds,
    LoopMilliseconds,
    SaveDir,
    ModelDir,
    TargetLen,
    NormCoeffs,
    NokThreshold,
    OverrideThreshold,
    ModelEnabled,
    RulesEnabled,
    Device,
    SampleIntervalMs,
    Timezone,
    LogLevel,
    Charset,
}

/// Every key that is understood, in its normal form (see [`normal`]). A further spelling is a word here.
const KEYS: &[(Old, &str)] = &[
    (
        Old::ClickHouseUrl,
        "clickhouse_url clickhouse_dsn clickhouse_uri",
    ),
    (
        Old::ClickHouseHost,
        "clickhouse_host clickhouse_hosts clickhouse_server clickhouse_hostname clickhouse_address clickhouse_ip",
    ),
    (
        Old::ClickHousePort,
        "clickhouse_port clickhouse_native_port clickhouse_tcp_port",
    ),
    (
        Old::ClickHouseHttpPort,
        "clickhouse_http_port clickhouse_https_port",
    ),
    (
        Old::ClickHouseSecure,
        "clickhouse_secure clickhouse_ssl clickhouse_tls",
    ),
    (Old::ClickHouseUser, "clickhouse_user clickhouse_username"),
    (
        Old::ClickHousePassword,
        "clickhouse_password clickhouse_passwd clickhouse_pwd clickhouse_pass",
    ),
    (
        Old::ClickHouseDatabase,
        "clickhouse_database clickhouse_db clickhouse_dbname clickhouse_db_name clickhouse_database_name",
    ),
    (Old::MySqlUrl, "mysql_url mysql_dsn mysql_uri"),
    (
        Old::MySqlHost,
        "mysql_host mysql_server mysql_hostname mysql_address mysql_ip",
    ),
    (Old::MySqlPort, "mysql_port"),
    (Old::MySqlUser, "mysql_user mysql_username"),
    (
        Old::MySqlPassword,
        "mysql_password mysql_passwd mysql_pwd mysql_pass",
    ),
    (
        Old::MySqlDatabase,
        "mysql_database mysql_db mysql_dbname mysql_db_name mysql_schema",
    ),
    (
        Old::MySqlEnabled,
        "mysql_enabled mysql_enable use_mysql write_mysql save_to_mysql enable_mysql",
    ),
    (
        Old::SourceTable,
        "clickhouse_table clickhouse_table_name clickhouse_source_table source_table input_table tables_source tables_source_table tables_clickhouse table_source weld_table",
    ),
    (
        Old::ResultTable,
        "mysql_table mysql_table_name mysql_result_table result_table output_table tables_result tables_result_table tables_mysql table_result nok_table",
    ),
    (
        Old::ColumnMap,
        "columns column_map column_mapping field_map field_mapping fields clickhouse_columns",
    ),
    (
        Old::Filter,
        "filter where where_clause source_filter sql_filter clickhouse_filter clickhouse_where",
    ),
    (
        Old::SkippedPrograms,
        "skip_programs skip_prog_no skip_prog_nos exclude_programs exclude_prog_no exclude_prog_nos ignore_programs ignore_prog_no tip_dress_programs tip_dress_prog_no dress_programs",
    ),
    (
        Old::BatchSize,
        "batch_size fetch_batch_size fetch_size read_batch_size query_batch_size clickhouse_batch_size",
    ),
    (
        Old::LoopSeconds,
        "loop_interval loop_interval_s loop_interval_sec loop_interval_seconds loop_seconds poll_interval poll_interval_seconds interval interval_seconds sleep_interval sleep_seconds loop_sleep run_interval",
    ),
    (
        Old::LoopMilliseconds,
        "loop_interval_ms poll_interval_ms interval_ms sleep_ms",
    ),
    (
        Old::SaveDir,
        "save_dir save_path csv_dir csv_save_dir output_dir result_dir",
    ),
    (
        Old::ModelDir,
        "model_export_dir export_dir model_dir models_dir model_path",
    ),
    (Old::TargetLen, "target_len target_length model_target_len"),
    (
        Old::NormCoeffs,
        "norm_coeffs norm_coefficients norm_coeff normalization norm",
    ),
    (
        Old::NokThreshold,
        "nok_threshold ml_threshold ml_nok_threshold threshold prob_threshold decision_threshold threshold_nok threshold_ml thresholds_nok thresholds_ml thresholds_nok_threshold model_threshold",
    ),
    (
        Old::OverrideThreshold,
        "override_threshold thresholds_override thresholds_override_threshold threshold_override high_confidence_threshold high_conf_threshold thresholds_high_confidence thresholds_high_conf fusion_threshold",
    ),
    (
        Old::ModelEnabled,
        "use_ml enable_ml ml_enabled ml_enable use_model model_enabled enable_model switches_ml switch_ml ml_switch switches_use_ml enable_ml_model use_ml_model",
    ),
    (
        Old::RulesEnabled,
        "use_rule use_rules enable_rule enable_rules rule_enabled rules_enabled rule_enable rules_enable switches_rule switches_rules switch_rule switch_rules rule_switch rules_switch use_rule_model enable_rule_model rule_model_enabled switches_use_rules",
    ),
    (Old::Device, "device model_device"),
    (
        Old::SampleIntervalMs,
        "sample_interval_ms sample_interval sampling_interval_ms",
    ),
    (Old::Timezone, "timezone time_zone tz"),
    (Old::LogLevel, "log_level logging_level logger_level"),
    (Old::Charset, "mysql_charset clickhouse_charset"),
];

/// Keys whose value is a mapping that belongs together.
const WHOLE: &[Old] = &[Old::ColumnMap, Old::NormCoeffs];

/// Words before a server's name that say nothing.
const EMPTY_WORDS: &[&str] = &[
    "config",
    "settings",
    "db",
    "databases",
    "database",
    "connection",
    "conn",
    "storage",
    "datasource",
];

/// Sections that may stand before a key without changing what it means. `rules.threshold` is no threshold of the
/// model's.
const SECTION_WORDS: &[&str] = &[
    "service",
    "app",
    "main",
    "common",
    "general",
    "base",
    "global",
    "run",
    "runtime",
    "loop",
    "task",
    "job",
    "process",
    "processing",
    "scheduler",
    "schedule",
    "worker",
    "infer",
    "inference",
    "model",
    "ml",
    "alg",
    "algorithm",
    "ai",
    "data",
    "path",
    "paths",
    "output",
    "export",
    "io",
    "table",
    "tables",
    "threshold",
    "thresholds",
    "switch",
    "switches",
    "log",
];

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
pub struct Found<T> {
    pub value: T,
    /// The old key, dotted.
    pub path: String,
}

/// The old configuration, understood as far as it can be.
#[derive(Debug)]
pub struct OldConfig {
    entries: Vec<Entry>,
    /// `mysql://user:password@host:port/database` and its like, taken apart.
    clickhouse_url: Url,
    mysql_url: Url,
}

#[derive(Debug, Default)]
struct Url {
    path: String,
    secure: bool,
    http: bool,
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
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
        old.clickhouse_url = old.url(Old::ClickHouseUrl)?;
        old.mysql_url = old.url(Old::MySqlUrl)?;
        Ok(old)
    }

    /// What is written into the new file, or shown, is looked through for a password before anything is made of it.
    fn refuse_secrets(&self) -> Result<(), AdoptError> {
        for entry in &self.entries {
            let key = || entry.path.clone();
            let texts = scalars(&entry.value);
            let any = |is: fn(&str) -> bool| texts.iter().any(|text| is(text.trim()));
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
    pub fn text(&self, meaning: Old) -> Option<Found<String>> {
        let entry = self.entry(meaning)?;
        let scalar = match &entry.value {
            Node::List(items) => items.first()?,
            node => node,
        };
        match scalar {
            Node::Scalar(Some(text)) if !text.trim().is_empty() => Some(Found {
                value: text.trim().to_owned(),
                path: entry.path.clone(),
            }),
            _ => None,
        }
    }

    /// A list's texts, or one text with commas.
    pub fn texts(&self, meaning: Old) -> Option<Found<Vec<String>>> {
        let entry = self.entry(meaning)?;
        let texts: Vec<String> = match &entry.value {
            Node::List(items) => items.iter().filter_map(scalar).map(str::to_owned).collect(),
            node => scalar(node)?
                .split(',')
                .map(|text| text.trim().to_owned())
                .collect(),
        };
        Some(Found {
            value: texts,
            path: entry.path.clone(),
        })
    }

    /// A mapping's names to names, for people as one line.
    pub fn map(&self, meaning: Old) -> Option<Found<Vec<(String, String)>>> {
        let entry = self.entry(meaning)?;
        let Node::Map(pairs) = &entry.value else {
            return None;
        };
        let pairs = pairs.iter().filter_map(|(key, node)| {
            let text = match node {
                Node::List(items) => {
                    let items: Vec<&str> = items.iter().filter_map(scalar).collect();
                    format!("[{}]", items.join(", "))
                }
                node => scalar(node)?.to_owned(),
            };
            Some((key.clone(), text))
        });
        Some(Found {
            value: pairs.collect(),
            path: entry.path.clone(),
        })
    }

    /// A value that is told and belongs elsewhere: scalar, list or mapping, as one line.
    pub fn shown(&self, meaning: Old) -> Option<Found<String>> {
        let entry = self.entry(meaning)?;
        Some(Found {
            value: shown(&entry.value),
            path: entry.path.clone(),
        })
    }

    pub fn clickhouse_password(&self) -> Option<Found<Secret>> {
        self.password(Old::ClickHousePassword, &self.clickhouse_url)
    }

    pub fn mysql_password(&self) -> Option<Found<Secret>> {
        self.password(Old::MySqlPassword, &self.mysql_url)
    }

    fn password(&self, meaning: Old, url: &Url) -> Option<Found<Secret>> {
        let own = self.entry(meaning).and_then(|entry| {
            let text = scalar(&entry.value).filter(|text| !text.is_empty())?;
            Some(Found {
                value: Secret::new(text),
                path: entry.path.clone(),
            })
        });
        own.or_else(|| {
            Some(Found {
                value: url.password.clone()?,
                path: url.path.clone(),
            })
        })
    }

    fn or_url(&self, meaning: Old, url: &Url, part: &Option<String>) -> Option<Found<String>> {
        self.text(meaning).or_else(|| {
            Some(Found {
                value: part.clone()?,
                path: url.path.clone(),
            })
        })
    }

    pub fn clickhouse_user(&self) -> Option<Found<String>> {
        self.or_url(
            Old::ClickHouseUser,
            &self.clickhouse_url,
            &self.clickhouse_url.user,
        )
    }

    pub fn clickhouse_database(&self) -> Option<Found<String>> {
        self.or_url(
            Old::ClickHouseDatabase,
            &self.clickhouse_url,
            &self.clickhouse_url.database,
        )
    }

    /// `host[:port]` and the key that named the port, if one did.
    fn clickhouse_host(&self) -> Option<(Found<String>, Option<Found<String>>)> {
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
                Some(Found {
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

    /// Keys that list several hosts, of which the first is taken: the key, that host, the others.
    pub fn further_hosts(&self) -> Vec<(&str, &str, String)> {
        let entries = [Old::ClickHouseHost, Old::MySqlHost]
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
    pub fn mysql_host(&self) -> Result<Found<String>, AdoptError> {
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

    pub fn mysql_user(&self) -> Option<Found<String>> {
        self.or_url(Old::MySqlUser, &self.mysql_url, &self.mysql_url.user)
    }

    pub fn mysql_database(&self) -> Option<Found<String>> {
        self.or_url(
            Old::MySqlDatabase,
            &self.mysql_url,
            &self.mysql_url.database,
        )
    }

    /// The table of NOK welds.
    pub fn result_table(&self) -> Option<Found<String>> {
        self.text(Old::ResultTable)
    }

    /// The source table's name; the database of `database.table`, if it is written so.
    pub fn source_table(&self) -> Option<(Option<String>, Found<String>)> {
        let mut found = self.text(Old::SourceTable)?;
        let Some((database, table)) = found.value.clone().split_once('.').map(owned) else {
            return Some((None, found));
        };
        found.value = table;
        Some((Some(database), found))
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

    fn url(&self, meaning: Old) -> Result<Url, AdoptError> {
        let Some(found) = self.text(meaning) else {
            return Ok(Url::default());
        };
        let (scheme, rest) = scheme(&found.value);
        let ambiguous = || AdoptError::AmbiguousUrl {
            key: found.path.clone(),
        };
        let (credentials, address) = credentials(rest).ok_or_else(ambiguous)?;
        let address = address.split(['?', '#']).next().unwrap_or_default();
        let (host, database) = address.split_once('/').unwrap_or((address, ""));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        if !host.is_empty() && !is_host(host) {
            return Err(AdoptError::NoHostName { key: found.path });
        }
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() && !is_ipv6(host) => (name, port),
            _ => (host, ""),
        };
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8_lossy().into_owned();
            (!text.is_empty()).then_some(text)
        };
        let database = decoded(database);
        if database.as_deref().is_some_and(|name| !is_database(name)) {
            return Err(AdoptError::NoDatabase { key: found.path });
        }
        Ok(Url {
            path: found.path,
            secure: scheme.contains("https") || scheme.ends_with("clickhouses"),
            http: scheme.contains("http"),
            host: decoded(name),
            port: decoded(port),
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
fn is_host(text: &str) -> bool {
    let name = match text.rsplit_once(':') {
        _ if is_ipv6(text) => return true,
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => text,
    };
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || ['.', '-', '_'].contains(&c));
    is_name || (name.starts_with('[') && is_ipv6(name))
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
fn is_database(name: &str) -> bool {
    !name.contains(['/', '?', '#', '@', ':', '=', '&', '%'])
}

/// `//user:password@host` and `password=…`, in whatever they stand.
fn may_hold_password(text: &str) -> bool {
    let has_credentials = text
        .rsplit_once('@')
        .is_some_and(|(before, _)| before.contains(':'));
    let plain = text.to_lowercase().replace(' ', "");
    let names = ["password=", "passwd=", "pwd=", "secret=", "access_key="];
    has_credentials || names.iter().any(|name| plain.contains(name))
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
    pub host: Found<String>,
    /// The likeliest first.
    pub urls: Vec<String>,
    /// The old port, if one was named.
    pub port: Option<Found<String>>,
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

/// An IPv6 address as a URL has it.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
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

/// What a path means, and how many words before it had to be left out: `service.loop.batch_size` is a `batch_size`.
fn understand(path: &str) -> (Option<Old>, usize) {
    let known: BTreeMap<&str, Old> = KEYS
        .iter()
        .flat_map(|(meaning, names)| names.split(' ').map(|name| (name, *meaning)))
        .collect();
    let words = normal(path);
    // A server's own key without the server's name would be another one's.
    let of_server = words
        .iter()
        .any(|word| ["clickhouse", "mysql"].contains(&word.as_str()));
    for left_out in 0..words.len() {
        if let Some(meaning) = known.get(words[left_out..].join("_").as_str()) {
            return (Some(*meaning), left_out);
        }
        let word = words[left_out].as_str();
        let neutral = SECTION_WORDS.contains(&word) || EMPTY_WORDS.contains(&word);
        if !neutral || of_server {
            break;
        }
    }
    (None, 0)
}

/// The words of a path: lower case, `ck` and `ch` are `clickhouse`, what says nothing before a server's name is gone.
fn normal(path: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut before = ' ';
    for c in path.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            spaced.push('_');
        }
        spaced.extend(c.to_lowercase());
        before = c;
    }
    let spaced = spaced
        .replace(['.', '-', ' '], "_")
        .replace("click_house", "clickhouse")
        .replace("my_sql", "mysql");
    let mut words: Vec<String> = Vec::new();
    for word in spaced.split('_').filter(|word| !word.is_empty()) {
        let word = match word {
            "ck" | "ch" => "clickhouse",
            "mariadb" => "mysql",
            other => other,
        };
        let is_server = ["clickhouse", "mysql"].contains(&word);
        if is_server
            && words
                .iter()
                .all(|word| EMPTY_WORDS.contains(&word.as_str()))
        {
            words.clear();
        }
        // `clickhouse.clickhouse_host`, `clickhouse.connection.host`
        let again = is_server && words.last().is_some_and(|last| last == word);
        let says_nothing = words.len() == 1
            && ["clickhouse", "mysql"].contains(&words[0].as_str())
            && ["connection", "conn", "config", "client"].contains(&word);
        if !again && !says_nothing {
            words.push(word.to_owned());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_understood_however_they_are_spelt() {
        for (path, meaning) in [
            ("clickhouse.host", Old::ClickHouseHost),
            ("ck_host", Old::ClickHouseHost),
            ("db.ClickHouse.host", Old::ClickHouseHost),
            ("clickhouse.connection.password", Old::ClickHousePassword),
            ("databases.mysql.dbName", Old::MySqlDatabase),
            ("mysql-table", Old::ResultTable),
            ("service.loop.batchSize", Old::BatchSize),
            ("thresholds.override", Old::OverrideThreshold),
            ("rule.enabled", Old::RulesEnabled),
        ] {
            assert_eq!(understand(path).0, Some(meaning), "{path}");
        }
        for path in [
            "email.host",
            "kafka.password",
            "clickhouse.email.host",
            "mysql.pool.size",
            "enabled",
            "rules.threshold",
            "email.interval",
        ] {
            assert_eq!(understand(path).0, None, "{path}");
        }
    }

    #[test]
    fn no_spelling_means_two_things() {
        let mut seen = BTreeMap::new();
        for (meaning, names) in KEYS {
            for name in names.split(' ') {
                assert_eq!(seen.insert(name, *meaning), None, "{name}");
                assert_eq!(normal(name).join("_"), name, "not in normal form");
            }
        }
    }

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
