//! File, environment and secret files, merged and checked.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use toml::{Table, Value};
use weldfleet_weld::BadValue;

use crate::{Provider, Settings, secret::without_credentials};

/// Where the configuration is when neither `--config` nor [`ENV_PATH`] says so.
pub const DEFAULT_PATH: &str = "config/weldfleet.toml";
/// Environment variable that names the configuration file.
pub const ENV_PATH: &str = "WELDFLEET_CONFIG";
/// Prefix of the variables that override single keys.
const ENV_PREFIX: &str = "WELDFLEET__";
/// Keys that may be given as `<key>_file`.
const SECRETS: &[(&str, &str)] = &[
    ("clickhouse", "password"),
    ("redis", "url"),
    ("mysql", "url"),
];

/// What is wrong with the configuration; each names the key or the file, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file cannot be read.
    #[error("cannot read configuration file `{}`; give another with --config or ${ENV_PATH}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file `{}` is not valid TOML", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A key is unknown, of the wrong type or outside its range.
    #[error("configuration key `{key}`{origin}: {problem}")]
    Key {
        /// `section.key`.
        key: String,
        /// ` (from WELDFLEET__…)` when the environment set it.
        origin: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl SettingsError {
    fn key(key: impl Into<String>, problem: impl Display) -> Self {
        Self::Key {
            key: key.into(),
            origin: String::new(),
            problem: problem.to_string(),
        }
    }
}

impl Settings {
    /// Reads the file named by the caller, else by [`ENV_PATH`], else [`DEFAULT_PATH`] (which may be
    /// absent: defaults apply), then the process environment.
    ///
    /// # Errors
    /// [`SettingsError`], naming the file or key.
    pub fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        // What is not UTF-8 cannot be a key of ours.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::load_with(path, environment)
    }

    /// [`Settings::load`] with the environment injected.
    ///
    /// # Errors
    /// [`SettingsError`], naming the file or key.
    pub fn load_with(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let from_environment = environment
            .iter()
            .find(|(name, value)| name == ENV_PATH && !value.is_empty())
            .map(|(_, value)| PathBuf::from(value));
        let named = path.map(Path::to_path_buf).or(from_environment);
        let mut tree = match named {
            Some(path) => read(&path)?,
            None if Path::new(DEFAULT_PATH).exists() => read(Path::new(DEFAULT_PATH))?,
            None => Table::new(),
        };
        let overridden = overlay(&mut tree, &environment)?;
        read_secret_files(&mut tree)?;
        let settings = deserialize(tree).map_err(|error| with_origin(error, &overridden))?;
        settings
            .check()
            .map_err(|error| with_origin(error, &overridden))?;
        Ok(settings)
    }

    /// Checks that need more than one key or a range.
    fn check(&self) -> Result<(), SettingsError> {
        let positive = |key: &str, value: Duration| {
            if value.is_zero() {
                return Err(SettingsError::key(
                    key,
                    "must be longer than zero, such as \"5s\"",
                ));
            }
            Ok(())
        };
        positive("scheduler.poll_interval", self.scheduler.poll_interval)?;
        positive("lease.ttl", self.lease.ttl)?;
        positive("lease.renew_every", self.lease.renew_every)?;
        positive("lease.job_timeout", self.lease.job_timeout)?;
        positive("tables.results_ttl", self.tables.results_ttl)?;
        if self.lease.renew_every * 3 > self.lease.ttl {
            return Err(SettingsError::key(
                "lease.renew_every",
                format!(
                    "{} is more than a third of lease.ttl ({}); two missed renewals would lose the lease",
                    shown(self.lease.renew_every),
                    shown(self.lease.ttl)
                ),
            ));
        }
        let at_least_one = |key: &str, value: u64| {
            if value == 0 {
                return Err(SettingsError::key(key, "must be at least 1"));
            }
            Ok(())
        };
        at_least_one("scheduler.batch_size", self.scheduler.batch_size.into())?;
        at_least_one(
            "scheduler.max_outstanding",
            self.scheduler.max_outstanding.into(),
        )?;
        at_least_one("lease.max_attempts", self.lease.max_attempts.into())?;
        at_least_one(
            "worker.ranges_in_flight",
            self.worker.ranges_in_flight.into(),
        )?;
        at_least_one("worker.commit_group", self.worker.commit_group.into())?;
        at_least_one("breaker.over_ranges", self.breaker.over_ranges.into())?;
        at_least_one("breaker.same_verdict_rows", self.breaker.same_verdict_rows)?;
        let share = |key: &str, value: f64| {
            if !(0.0..=1.0).contains(&value) {
                return Err(SettingsError::key(
                    key,
                    format!("{value} is not between 0 and 1"),
                ));
            }
            Ok(())
        };
        share("breaker.invalid_share", self.breaker.invalid_share)?;
        let probability = |key: &str, value: f32| {
            if !(value > 0.0 && value <= 1.0) {
                return Err(SettingsError::key(
                    key,
                    format!("{value} is not above 0 and at most 1"),
                ));
            }
            Ok(())
        };
        probability("fusion.override_threshold", self.fusion.override_threshold)?;
        if let Some(threshold) = self.model.nok_threshold {
            probability("model.nok_threshold", threshold)?;
        }
        self.check_model()?;
        if !self.model.enabled && !self.rules.enabled {
            return Err(SettingsError::key(
                "model.enabled",
                "model and rules are both off, so nothing could judge a weld; turn one on",
            ));
        }
        let name_ok = |key: &str, value: &str| {
            if value.is_empty() {
                return Err(SettingsError::key(key, "must not be empty"));
            }
            Ok(())
        };
        name_ok("clickhouse.database", &self.clickhouse.database)?;
        name_ok("tables.source_table", &self.tables.source_table)?;
        name_ok("tables.result_table", &self.tables.result_table)?;
        name_ok("redis.queue", &self.redis.queue)?;
        if self.redis.queue.contains(['{', '}']) {
            return Err(SettingsError::key(
                "redis.queue",
                format!(
                    "`{}` holds a brace; the queue name is the hash tag of its keys",
                    self.redis.queue
                ),
            ));
        }
        scheme("clickhouse.url", &self.clickhouse.url, &["http", "https"])?;
        scheme(
            "redis.url",
            self.redis.url.expose(),
            &["redis", "rediss", "redis+sentinel", "redis+cluster"],
        )?;
        if self.mysql.enabled {
            scheme("mysql.url", self.mysql.url.expose(), &["mysql"])?;
        }
        let in_section = |section: &str, problem: BadValue| {
            SettingsError::key(
                format!("{section}.{}", problem.key),
                format!("is {}: {}", problem.value, problem.remedy),
            )
        };
        self.curves
            .check()
            .map_err(|problem| in_section("curves", problem))?;
        self.validation
            .check()
            .map_err(|problem| in_section("validation", problem))?;
        Ok(())
    }

    fn check_model(&self) -> Result<(), SettingsError> {
        let at_most = |key: &str, value: u32, most: u32| {
            if value > most {
                return Err(SettingsError::key(
                    key,
                    format!("{value} is more than {most}; 0 lets the worker choose"),
                ));
            }
            Ok(())
        };
        let model = &self.model;
        at_most("model.threads", model.threads, MOST_THREADS)?;
        at_most("model.batch_rows", model.batch_rows, MOST_BATCH_ROWS)?;
        if model.cache_dir.as_os_str().is_empty() {
            return Err(SettingsError::key("model.cache_dir", "must not be empty"));
        }
        if model.fp16 && model.provider != Provider::Tensorrt {
            return Err(SettingsError::key(
                "model.fp16",
                format!(
                    "only model.provider = \"tensorrt\" computes in half precision, and it is \"{}\"",
                    model.provider.name()
                ),
            ));
        }
        Ok(())
    }
}

/// The most that `model.threads` and `model.batch_rows` may be: far above what helps, below what exhausts a host.
const MOST_THREADS: u32 = 1024;
const MOST_BATCH_ROWS: u32 = 65_536;

fn shown(duration: Duration) -> String {
    format!("{duration:?}")
}

fn scheme(key: &str, url: &str, allowed: &[&str]) -> Result<(), SettingsError> {
    let ok = url
        .split_once("://")
        .is_some_and(|(scheme, host)| allowed.contains(&scheme) && !host.is_empty());
    if ok {
        return Ok(());
    }
    Err(SettingsError::key(
        key,
        format!(
            "`{}` is not of the form {}://host:port",
            without_credentials(url),
            allowed.join("|")
        ),
    ))
}

fn read(path: &Path) -> Result<Table, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
        path: path.into(),
        source,
    })?;
    text.parse::<Table>()
        .map_err(|source| SettingsError::Syntax {
            path: path.into(),
            source,
        })
}

/// Lays `WELDFLEET__SECTION__KEY` over the file; returns the keys it set, with their variable.
fn overlay(
    tree: &mut Table,
    environment: &[(String, String)],
) -> Result<Vec<(String, String)>, SettingsError> {
    let shape = Table::try_from(Settings::default()).unwrap_or_default();
    let mut set: Vec<(String, String)> = Vec::new();
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        let path = path.to_ascii_lowercase();
        let Some((section, key)) = path.split_once("__") else {
            return Err(SettingsError::key(
                path,
                format!("variable {name} names no key; expected {ENV_PREFIX}SECTION__KEY"),
            ));
        };
        let template = shape.get(section).and_then(|section| section.get(key));
        let value = match template {
            // A string stays a string, whatever it looks like: a password may be 0123.
            Some(Value::String(_)) | None => plain(section, key, text),
            Some(_) => parsed(text),
        };
        let entry = tree
            .entry(section.to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(table) = entry else {
            return Err(SettingsError::key(section, "must be a [section]"));
        };
        table.insert(key.to_owned(), value);
        if let Some(other) = other_form(section, key)
            && !set
                .iter()
                .any(|(key, _)| *key == format!("{section}.{other}"))
        {
            // A secret in the environment replaces the file's, in whichever of its two forms either is.
            table.remove(&other);
        }
        set.push((format!("{section}.{key}"), name.clone()));
    }
    Ok(set)
}

/// `password_file` for the secret `password`, and the other way round.
fn other_form(section: &str, key: &str) -> Option<String> {
    let is_secret = |key: &str| SECRETS.contains(&(section, key));
    match key.strip_suffix("_file") {
        Some(inline) if is_secret(inline) => Some(inline.to_owned()),
        None if is_secret(key) => Some(format!("{key}_file")),
        _ => None,
    }
}

/// Keys that have no default to take the type from: only a number may stand in `model.nok_threshold`.
fn plain(section: &str, key: &str, text: &str) -> Value {
    if (section, key) == ("model", "nok_threshold") {
        return parsed(text);
    }
    Value::String(text.to_owned())
}

fn parsed(text: &str) -> Value {
    #[derive(Deserialize)]
    struct One {
        value: Value,
    }
    toml::from_str::<One>(&format!("value = {text}"))
        .map(|one| one.value)
        .unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Replaces `<key>_file` by the file's content without its last newline.
fn read_secret_files(tree: &mut Table) -> Result<(), SettingsError> {
    for (section, key) in SECRETS {
        let Some(Value::Table(table)) = tree.get_mut(*section) else {
            continue;
        };
        let file_key = format!("{key}_file");
        let Some(file) = table.remove(&file_key) else {
            continue;
        };
        let name = format!("{section}.{file_key}");
        let Value::String(path) = file else {
            return Err(SettingsError::key(name, "must be the path of a file"));
        };
        if table.contains_key(*key) {
            return Err(SettingsError::key(
                name,
                format!("{section}.{key} is set too; keep one of the two"),
            ));
        }
        let secret = std::fs::read_to_string(&path)
            .map_err(|error| SettingsError::key(name, format!("cannot read `{path}`: {error}")))?;
        let secret = secret.trim_end_matches(['\r', '\n']).to_owned();
        table.insert((*key).to_owned(), Value::String(secret));
    }
    Ok(())
}

fn deserialize(tree: Table) -> Result<Settings, SettingsError> {
    serde_path_to_error::deserialize(Value::Table(tree.clone())).map_err(|error| {
        let key = error.path().to_string();
        if is_secret(&key) {
            // The deserializer would quote the value.
            return SettingsError::key(key, "must be a string in quotes");
        }
        let message = error.into_inner().message().trim().to_owned();
        let quoted = |value: &String| message.contains(value.trim_matches('"'));
        let value = shown_value(&tree, &key).filter(|value| !quoted(value));
        let message = message.replace(
            "invalid socket address syntax",
            "not an address of the form 127.0.0.1:9100 (ip:port)",
        );
        let problem = value.map_or_else(|| message.clone(), |value| format!("{value}: {message}"));
        SettingsError::key(key, problem)
    })
}

fn is_secret(key: &str) -> bool {
    key.split_once('.')
        .is_some_and(|path| SECRETS.contains(&path))
}

/// A scalar of the tree, for an error.
fn shown_value(tree: &Table, key: &str) -> Option<String> {
    let (section, name) = key.split_once('.')?;
    match tree.get(section)?.get(name)? {
        Value::Table(_) | Value::Array(_) => None,
        scalar => Some(scalar.to_string()),
    }
}

fn with_origin(error: SettingsError, overridden: &[(String, String)]) -> SettingsError {
    match error {
        SettingsError::Key { key, problem, .. } => {
            let origin = overridden
                .iter()
                .find(|(set, _)| *set == key)
                .map(|(_, variable)| format!(" (from {variable})"))
                .unwrap_or_default();
            SettingsError::Key {
                key,
                origin,
                problem,
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("weldfleet.toml");
        std::fs::write(&path, text).expect("write");
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Settings::load_with(Some(&path), environment).map_err(|error| error.to_string())
    }

    #[test]
    fn environment_overrides_the_file_and_keeps_strings() {
        let settings = load(
            "[clickhouse]\nuser = \"a\"\n",
            &[
                ("WELDFLEET__CLICKHOUSE__PASSWORD", "0123"),
                ("WELDFLEET__SCHEDULER__BATCH_SIZE", "512"),
                ("WELDFLEET__LEASE__TTL", "2s"),
                ("WELDFLEET__LEASE__RENEW_EVERY", "500ms"),
                ("WELDFLEET__COLUMNS__RECORD_ID", "记录号"),
                ("WELDFLEET__MODEL__NOK_THRESHOLD", "0.25"),
            ],
        )
        .expect("valid");
        assert_eq!(settings.clickhouse.user, "a");
        assert_eq!(settings.clickhouse.password.expose(), "0123");
        assert_eq!(settings.scheduler.batch_size, 512);
        assert_eq!(settings.lease.ttl, Duration::from_secs(2));
        assert_eq!(settings.columns.name("record_id"), "记录号");
        assert_eq!(settings.columns.name("umax"), "umax");
        assert_eq!(settings.model.nok_threshold, Some(0.25));
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pw");
        std::fs::write(&path, "s3cret\n").expect("write");
        let text = format!(
            "[clickhouse]\npassword_file = {:?}\n",
            path.display().to_string()
        );
        let settings = load(&text, &[]).expect("valid");
        assert_eq!(settings.clickhouse.password.expose(), "s3cret");
        assert!(!format!("{settings:?}").contains("s3cret"));

        let file = path.display().to_string();
        let in_environment = ("WELDFLEET__CLICKHOUSE__PASSWORD_FILE", file.as_str());
        let settings = load("[clickhouse]\npassword = \"\"\n", &[in_environment]).expect("valid");
        assert_eq!(settings.clickhouse.password.expose(), "s3cret");
        let inline = ("WELDFLEET__CLICKHOUSE__PASSWORD", "other");
        let settings = load(&text, &[inline]).expect("valid");
        assert_eq!(settings.clickhouse.password.expose(), "other");
        let error = load("", &[in_environment, inline]).expect_err("two passwords");
        assert!(error.contains("keep one of the two"), "{error}");
    }

    #[test]
    fn each_mistake_names_its_key_and_the_remedy() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("[redis]\nurl = 3\n", &[]),
            ("[redis]\nqueu = \"a\"\n", &[]),
            ("[nonsense]\na = 1\n", &[]),
            ("[curves]\nu_unit = \"kV\"\n", &[]),
            ("[columns]\nrecordid = \"x\"\n", &[]),
            ("[columns]\numax = \"x\"\nimax = \"x\"\n", &[]),
            ("[lease]\nttl = \"2s\"\n", &[]),
            ("[lease]\nttl = \"soon\"\n", &[]),
            ("[scheduler]\ntimezone = \"Asia/Peking\"\n", &[]),
            ("[scheduler]\nhttp = \"9100\"\n", &[]),
            ("[model]\nenabled = false\n[rules]\nenabled = false\n", &[]),
            ("[model]\nprovider = \"gpu\"\n", &[]),
            ("[model]\nbatch_rows = 100000\n", &[]),
            ("[model]\nthreads = 1025\n", &[]),
            ("[model]\ncache_dir = \"\"\n", &[]),
            ("[model]\nprovider = \"cuda\"\nfp16 = true\n", &[]),
            ("[breaker]\ninvalid_share = 50\n", &[]),
            ("[fusion]\noverride_threshold = 0.0\n", &[]),
            ("[curves]\nsample_interval_ms = 0.0\n", &[]),
            ("[validation]\nmin_points = 0\n", &[]),
            ("[clickhouse]\nurl = \"localhost:8123\"\n", &[]),
            ("[mysql]\nurl_file = \"/no/such/file\"\n", &[]),
            ("", &[("WELDFLEET__SCHEDULER__BATCH_SIZE", "many")]),
            ("", &[("WELDFLEET__BATCH_SIZE", "1")]),
        ];
        let errors: Vec<String> = cases
            .iter()
            .map(|(text, environment)| match load(text, environment) {
                Err(error) => error,
                Ok(_) => format!("accepted: {text}"),
            })
            .collect();
        insta::assert_snapshot!(errors.join("\n"));
    }
}
