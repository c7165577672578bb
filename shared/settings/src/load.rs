//! File, environment and secret files, merged.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::{
    DEFAULT_PATH, ENV_PATH, Settings, SettingsError, address,
    environment::{ENV_PREFIX, overlay},
    secret_files::{BOM, is_secret_file, read_secret_files},
};

/// Sections of which no error shows a value: a secret may have got into any of their keys, or into a key that is none.
const GUARDED: &[&str] = &["clickhouse", "redis", "mysql"];

impl Settings {
    /// The same for the console's pages, which may ask ClickHouse by an account of their own.
    #[must_use]
    pub fn for_console(&self) -> Self {
        let mut settings = self.clone();
        let clickhouse = &mut settings.clickhouse;
        if !clickhouse.console_user.is_empty() {
            clickhouse.user.clone_from(&clickhouse.console_user);
            clickhouse.password.clone_from(&clickhouse.console_password);
            clickhouse.is_of_console = true;
        }
        settings
    }

    /// Reads the file named by the caller, else by [`ENV_PATH`], else [`DEFAULT_PATH`] (which may be
    /// absent: defaults apply), then the process environment.
    ///
    /// # Errors
    /// [`SettingsError`], naming the file or key.
    pub fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os() {
            // What is not UTF-8 cannot be a name of ours.
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => environment.push((name, value)),
                Err(_) if name.starts_with(ENV_PREFIX) || name == ENV_PATH => {
                    return Err(SettingsError::key(
                        name,
                        "the variable's value is not UTF-8; write it in UTF-8",
                    ));
                }
                Err(_) => {}
            }
        }
        Self::load_with(path, environment)
    }

    /// What to tell whoever runs a program of [`Settings::load`]'s defaults alone, perhaps in the wrong folder. Whoever
    /// configures by the environment, as containers do, has said what is meant.
    pub fn only_defaults(path: Option<&Path>) -> Option<String> {
        let is_unsaid = path.is_none()
            && !Path::new(DEFAULT_PATH).exists()
            && !std::env::vars_os().any(|(name, value)| {
                let name = name.to_string_lossy();
                name.starts_with(ENV_PREFIX) || (name == ENV_PATH && !value.is_empty())
            });
        let folder = std::env::current_dir().ok().filter(|_| is_unsaid)?;
        Some(format!(
            "no {DEFAULT_PATH} in {}: every key has its default; name a file with --config or {ENV_PATH}",
            folder.display()
        ))
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
        let tree = match named {
            Some(path) => read(&path)?,
            None if Path::new(DEFAULT_PATH).exists() => read(Path::new(DEFAULT_PATH))?,
            None => Table::new(),
        };
        Self::from_tree(tree, &environment)
    }

    /// The settings of a file that is not written yet; secrets that it names by `*_file` may come from the environment.
    ///
    /// # Errors
    /// [`SettingsError`], naming the key.
    pub fn from_text(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        Self::from_tree(parse(Path::new("weldfleet.toml"), text)?, &environment)
    }

    /// Whether there is a section of this name, dotted, or a key in it that takes a value of this kind. What the value
    /// itself must be is not asked.
    pub fn knows(section: &str, entry: Option<(&str, &Value)>) -> bool {
        if entry.is_some_and(|(key, _)| is_secret_file(section, key)) {
            return true;
        }
        let signs = ["unknown field", "unknown column", "invalid type: map"];
        match deserialize(alone(section, entry)) {
            Err(SettingsError::Key { problem, .. }) => {
                !signs.iter().any(|sign| problem.contains(sign))
            }
            _ => true,
        }
    }

    /// Whether a key takes this value, as far as that can be told of it alone.
    ///
    /// # Errors
    /// [`SettingsError`], naming the key.
    pub fn accepts(section: &str, key: &str, value: &Value) -> Result<(), SettingsError> {
        if is_secret_file(section, key) {
            return Ok(());
        }
        Self::from_tree(alone(section, Some((key, value))), &[]).map(|_| ())
    }

    fn from_tree(mut tree: Table, environment: &[(String, String)]) -> Result<Self, SettingsError> {
        let set = overlay(&mut tree, environment)?;
        let named = |error: SettingsError| error.with_variable(&set);
        read_secret_files(&mut tree).map_err(named)?;
        let mut settings = deserialize(tree).map_err(named)?;
        settings.check().map_err(named)?;
        settings.read_certificates().map_err(named)?;
        settings.complete_urls();
        Ok(settings)
    }

    /// From here on the URLs alone say who logs in.
    fn complete_urls(&mut self) {
        let (redis, mysql) = (&mut self.redis, &mut self.mysql);
        for (url, user, password) in [
            (&mut redis.url, &mut redis.user, &mut redis.password),
            (&mut mysql.url, &mut mysql.user, &mut mysql.password),
        ] {
            let (user, password) = (user.take(), password.take());
            *url = address::with_credentials(url, user.as_deref(), password.as_ref());
        }
    }
}

fn read(path: &Path) -> Result<Table, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
        path: path.into(),
        source,
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Table, SettingsError> {
    // Editors on Windows put a mark before UTF-8.
    let text = text.strip_prefix(BOM).unwrap_or(text);
    text.parse::<Table>().map_err(|error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        SettingsError::Syntax {
            path: path.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: error.message().to_owned(),
        }
    })
}

/// A configuration of nothing else. The section's name is dotted.
fn alone(section: &str, entry: Option<(&str, &Value)>) -> Table {
    let entry = entry.map(|(key, value)| (key.to_owned(), value.clone()));
    section
        .rsplit('.')
        .fold(Table::from_iter(entry), |table, name| {
            Table::from_iter([(name.to_owned(), Value::Table(table))])
        })
}

fn deserialize(tree: Table) -> Result<Settings, SettingsError> {
    let known = Table::try_from(Settings::default()).unwrap_or_default();
    for (section, value) in &tree {
        // A list would be taken for the section's values in some order.
        if known.contains_key(section) && !value.is_table() {
            return Err(SettingsError::key(section, "must be a [section]"));
        }
    }
    serde_path_to_error::deserialize(Value::Table(tree.clone())).map_err(|error| {
        let key = error.path().to_string();
        let message = error.into_inner().message().trim().to_owned();
        if GUARDED.contains(&key.split('.').next().unwrap_or_default()) {
            return SettingsError::key(key, without_value(&message));
        }
        let quoted = |value: &String| message.contains(value.trim_matches('"'));
        // What stands in a key that is not known helps nobody, and may be a secret.
        let unknown = message.starts_with("unknown field");
        let value = shown_value(&tree, &key).filter(|value| !unknown && !quoted(value));
        let message = message.replace(
            "invalid socket address syntax",
            "not an address of the form 127.0.0.1:9100 (ip:port)",
        );
        let problem = value.map_or_else(|| message.clone(), |value| format!("{value}: {message}"));
        SettingsError::key(key, problem)
    })
}

/// The deserializer's message without the value that it quotes.
fn without_value(message: &str) -> String {
    let names_keys_only =
        message.starts_with("unknown ") && !message.starts_with("unknown variant");
    if names_keys_only {
        return message.to_owned();
    }
    match message.rsplit_once(", expected ") {
        Some((_, "a string")) => "must be a string in quotes".to_owned(),
        Some((_, "a boolean")) => "must be true or false".to_owned(),
        Some((_, expected)) => format!("is not {expected}"),
        None => "has a value that cannot be used".to_owned(),
    }
}

/// A scalar of the tree, for an error.
fn shown_value(tree: &Table, key: &str) -> Option<String> {
    let (section, name) = key.split_once('.')?;
    match tree.get(section)?.get(name)? {
        Value::Table(_) | Value::Array(_) => None,
        scalar => Some(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn a_plants_further_columns_and_its_applications_table() {
        let text = "[columns]\nrecord_id = \"id\"\n[columns.scalars]\nwear_percent = \"wear\"\n\
                    [mysql.columns]\ndefect = \"defect_type_alg\"\nbody_no = \"atlas_info\"\n[mysql.constants]\nkpi = \"\"\nstate = 3\n";
        let carried = (
            "WELDFLEET__COLUMNS__CARRIED",
            "{ body_no = \"rfid\", \"工段\" = \"workshop_section\" }",
        );
        let settings = load(text, &[carried]).expect("valid");
        let columns = &settings.columns;
        assert_eq!(columns.name("record_id"), "id");
        assert_eq!(
            columns.carried().collect::<Vec<_>>(),
            [("body_no", "rfid"), ("工段", "workshop_section")]
        );
        assert_eq!(
            columns.scalars().collect::<Vec<_>>(),
            [("wear_percent", "wear")]
        );
        assert_eq!(settings.mysql.constants["state"], crate::Constant::Whole(3));
        let written = Value::try_from(columns).expect("a table");
        assert_eq!(
            written.try_into::<crate::Columns>().expect("valid"),
            *columns
        );
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
            ("[scheduler]\nlookahead_days = 2\n", &[]),
            ("[scheduler]\nhttp = \"9100\"\n", &[]),
            ("[console]\ntrusted_proxies = [\"proxy\"]\n", &[]),
            ("[console]\ntrusted_proxies = [\"10.0.0.5\"]\n", &[]),
            ("[console]\nuser_header = \"X User\"\n", &[]),
            ("[model]\nenabled = false\n[rules]\nenabled = false\n", &[]),
            ("[model]\nprovider = \"gpu\"\n", &[]),
            ("[model]\nbatch_rows = 100000\n", &[]),
            ("[model]\nthreads = 1025\n", &[]),
            ("[model]\ncache_dir = \"\"\n", &[]),
            ("[model]\nprovider = \"cuda\"\nfp16 = true\n", &[]),
            ("[model]\nprovider = \"cpu\"\nprecision = \"bf16\"\n", &[]),
            ("[breaker]\ninvalid_share = 50\n", &[]),
            ("[fusion]\noverride_threshold = 0.0\n", &[]),
            ("[curves]\nsample_interval_ms = 0.0\n", &[]),
            ("[validation]\nmin_points = 0\n", &[]),
            ("[clickhouse]\nurl = \"localhost:8123\"\n", &[]),
            ("[clickhouse]\nurl = \"http://a:8123,b:8123\"\n", &[]),
            ("[clickhouse]\nurl = \"http://a:8123/weld\"\n", &[]),
            ("[clickhouse]\nurl = \"http://a:8123?database=weld\"\n", &[]),
            ("[mysql]\nurl_file = \"/no/such/file\"\n", &[]),
            ("[mysql]\ntls_ca_file = \"/no/such/ca.pem\"\n", &[]),
            ("[redis]\ntls_ca_file = \"ca.pem\"\n", &[]),
            (
                "[clickhouse]\nurl = \"https://h\"\ntls_ca_file = \"Cargo.toml\"\n",
                &[],
            ),
            (
                "[redis]\nurl = \"rediss://h\"\n",
                &[("WELDFLEET__REDIS__TLS_CERT_FILE", "Cargo.toml")],
            ),
            ("", &[("WELDFLEET__SCHEDULER__BATCH_SIZE", "many")]),
            ("", &[("WELDFLEET__BATCH_SIZE", "1")]),
            ("[fusion]\ndefect_names = { mll = \"小焊核\" }\n", &[]),
            ("[fusion.defect_names]\nexpulsion = \"a,b\"\n", &[]),
            ("", &[("WELDFLEET__FUSION__DEFECT_NAMES", "{ ml = \"\" }")]),
            ("[scheduler]\nhit_streaks = { burn = 3 }\n", &[]),
            (
                "",
                &[(
                    "WELDFLEET__SCHEDULER__HIT_STREAKS",
                    "{ resistance_peak = 1 }",
                )],
            ),
            (
                "[columns.carried]\ndiameter = \"a\"\nBody = \"b\"\n\"a b\" = \"c\"\n[columns.scalars]\nbody = \"d\"\nUMAX = \"e\"\nk = \"\"\n",
                &[],
            ),
            ("[columns.scalars]\nforce_kn = 3\n", &[]),
            (
                "[mysql.columns]\ndefekt = \"x\"\ndefect = \"kpi\"\ndiameter = \"KPI\"\numax = \"\"\n",
                &[],
            ),
            ("[mysql.columns]\nreview_note = \"rec_cause\"\n", &[]),
            ("[mysql.constants]\nkpi = 1\n", &[]),
            ("[mysql.columns]\ndefect = 7\n", &[]),
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

    /// What any configuration says, of a broken one the error.
    fn said(text: &str, environment: &[(&str, &str)]) -> String {
        match load(text, environment) {
            Ok(settings) => format!("{settings:?} {}", Table::try_from(&settings).unwrap()),
            Err(error) => error,
        }
    }

    #[test]
    fn no_value_of_a_store_is_ever_shown() {
        const SECRET: &str = "hunter2";
        let mut texts = vec![
            format!("clickhouse = \"{SECRET}\"\n"),
            format!("redis = [\"{SECRET}\", \"{SECRET}\"]\n"),
            format!("[[mysql]]\nurl = \"{SECRET}\"\n"),
            format!("[clikhouse]\npassword = \"{SECRET}\"\n"),
            format!("[clickhouse]\npassword = \"{SECRET}\n"),
            format!("[clickhouse]\npassword = {SECRET}\n"),
            format!("[clickhouse]\npassword {SECRET}\n"),
            format!("[clickhouse]\npassword = \"{SECRET}\" x\n"),
            format!("[clickhouse]\npassword = \"\\q{SECRET}\"\n"),
            format!("[clickhouse]\npassword = \"{SECRET}\"\npassword = \"{SECRET}\"\n"),
            format!("[clickhouse]\npassword = \"{SECRET}\"\npassword_file = \"{SECRET}\"\n"),
            format!("password = \"{SECRET}\"\n"),
            format!("[worker]\npassword = \"{SECRET}\"\n"),
        ];
        let keys = [
            "url",
            "url_file",
            "user",
            "password",
            "password_file",
            "pasword",
            "queue",
            "enabled",
            "database",
            "x",
        ];
        for section in GUARDED {
            for key in keys {
                for value in [
                    format!("\"{SECRET}\""),
                    format!("\"{SECRET}://{SECRET}\""),
                    format!("\"redis://:a#{SECRET}@h\""),
                    format!("\"mysql://u:a/{SECRET}@h:1/weld\""),
                    format!("\"mysql://u:{SECRET}\""),
                    format!("\"http://u:{SECRET}@h\""),
                    format!("\"redis://h/{SECRET}\""),
                    format!("\"{SECRET}{{}}\""),
                    format!("\"{SECRET}\\n焊\""),
                    format!("[\"{SECRET}\"]"),
                    format!("{{ {SECRET} = \"{SECRET}\" }}"),
                ] {
                    texts.push(format!("[{section}]\n{key} = {value}\n"));
                }
                let variable = format!(
                    "WELDFLEET__{}__{}",
                    section.to_uppercase(),
                    key.to_uppercase()
                );
                let told = said("", &[(&variable, SECRET)]);
                let own = ["user", "queue", "database"].contains(&key);
                assert!(own || !told.contains(SECRET), "{variable}: {told}");
            }
        }
        for text in texts {
            let told = match load(&text, &[]) {
                Ok(_) => continue,
                Err(error) => error,
            };
            // A key's name may be shown: it is not a value.
            let told = told.replace(&format!(".{SECRET}"), "");
            assert!(!told.contains(SECRET), "{text}: {told}");
        }
    }

    #[test]
    fn a_password_of_any_characters_gets_through() {
        let any = "a#b/c?d@e%f:g h&i=j+k\"l'm\\n焊";
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("password");
        std::fs::write(&file, format!("\u{feff}{any}\r\n")).expect("write");
        let file = file.display().to_string();
        let by_value = [
            ("WELDFLEET__REDIS__PASSWORD", any),
            ("WELDFLEET__MYSQL__URL", "mysql://h:3306/weld"),
            ("WELDFLEET__MYSQL__USER", "we@ld"),
            ("WELDFLEET__MYSQL__PASSWORD", any),
        ];
        let by_file = [
            ("WELDFLEET__REDIS__PASSWORD_FILE", file.as_str()),
            ("WELDFLEET__MYSQL__URL", "mysql://we%40ld@h:3306/weld"),
            ("WELDFLEET__MYSQL__PASSWORD_FILE", file.as_str()),
        ];
        for environment in [&by_value[..], &by_file[..]] {
            let settings = load("", environment).expect("valid");
            let encoded = "a%23b%2Fc%3Fd%40e%25f%3Ag%20h%26i%3Dj%2Bk%22l%27m%5Cn%E7%84%8A";
            assert_eq!(
                settings.redis.url.expose(),
                format!("redis://:{encoded}@127.0.0.1:6379/0")
            );
            assert_eq!(
                settings.mysql.url.expose(),
                format!("mysql://we%40ld:{encoded}@h:3306/weld")
            );
            assert!(settings.redis.password.is_none() && settings.mysql.user.is_none());
        }
        // A whole URL in the environment is not mixed with a password of the file; one without credentials is.
        let text = "[redis]\npassword = \"old\"\n";
        for (url, whole) in [
            ("redis://:new@h", "redis://:new@h"),
            ("redis://h", "redis://:old@h"),
        ] {
            let settings = load(text, &[("WELDFLEET__REDIS__URL", url)]).expect("valid");
            assert_eq!(settings.redis.url.expose(), whole);
        }
    }

    #[test]
    fn every_duration_has_a_bound() {
        let defaults = Table::try_from(Settings::default()).expect("a table");
        let mut durations = 0;
        for (section, keys) in &defaults {
            for (key, value) in keys.as_table().expect("a section") {
                let is_duration = |value: &Value| {
                    let text = value.as_str().unwrap_or_default();
                    text.starts_with(|c: char| c.is_ascii_digit())
                        && text.ends_with(|c: char| c.is_ascii_lowercase())
                };
                if !is_duration(value) {
                    continue;
                }
                durations += 1;
                for years in ["11", "300000000000", "999999999999999999999"] {
                    let text = format!("[{section}]\n{key} = \"{years}years\"\n");
                    let error = load(&text, &[]).expect_err(&text);
                    let named = format!("`{section}.{key}`");
                    assert!(error.contains(&named) && error.contains(years), "{error}");
                }
            }
        }
        assert!(durations >= 7, "{durations}");
    }

    #[test]
    fn a_byte_order_mark_before_the_file_is_nothing() {
        let settings = load("\u{feff}[redis]\nqueue = \"a\"\n", &[]).expect("valid");
        assert_eq!(settings.redis.queue, "a");
    }

    #[test]
    fn compose_hands_any_password_through() {
        let compose = include_str!("../../../docker-compose.yml");
        let any = "p#a/s?s@w%r:d $x\"y'z\\%41";
        let mut environment = Vec::new();
        let mut passwords = 0;
        for line in compose.lines().map(str::trim) {
            let (name, value) = line.split_once(": ").unwrap_or_default();
            if value.contains("_PASSWORD:-") {
                passwords += 1;
                let alone = value.starts_with("${") && value.find('}') == Some(value.len() - 1);
                let in_list = value.contains(", \"${REDIS_PASSWORD:-weld}\", ");
                assert!(
                    alone || in_list,
                    "a password inside of another text: {line}"
                );
            }
            if name.starts_with(ENV_PREFIX) {
                // `${NAME:-usual}`: what stands there where nobody says otherwise.
                let usual = value.split_once(":-").map(|(_, usual)| usual);
                let usual = usual.and_then(|usual| usual.strip_suffix('}'));
                let value = match value.contains("_PASSWORD:-") {
                    true => any,
                    false => usual.unwrap_or(value),
                };
                environment.push((name, value));
            }
        }
        assert_eq!(passwords, 9);
        let settings = load("", &environment).expect("valid");
        let encoded = "p%23a%2Fs%3Fs%40w%25r%3Ad%20%24x%22y%27z%5C%2541";
        assert_eq!(settings.clickhouse.password.expose(), any);
        assert_eq!(
            settings.redis.url.expose(),
            format!("redis://:{encoded}@redis:6379/0")
        );
        assert_eq!(
            settings.mysql.url.expose(),
            format!("mysql://weld:{encoded}@mysql:3306/weld")
        );
    }
}
