//! Which keys of the old configuration mean what, however they are spelt.

use std::collections::BTreeMap;

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
pub(super) const WHOLE: &[Old] = &[Old::ColumnMap, Old::NormCoeffs];

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

/// What a path means, and how many words before it had to be left out: `service.loop.batch_size` is a `batch_size`.
pub(super) fn understand(path: &str) -> (Option<Old>, usize) {
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
}
