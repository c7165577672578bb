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
    RuleFlag,
    RuleWarn,
    RuleWidth,
    RuleBegin,
    RuleStreak,
    Device,
    SampleIntervalMs,
    Timezone,
    LogLevel,
    Charset,
}

/// Every key that is understood, in its normal form (see [`normal`]). A further spelling is a word here, unless it
/// differs in case and `_` alone.
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
        "clickhouse_database clickhouse_db clickhouse_db_name clickhouse_database_name",
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
        "mysql_database mysql_db mysql_db_name mysql_database_name mysql_schema",
    ),
    (
        Old::MySqlEnabled,
        "mysql_enabled mysql_enable use_mysql write_mysql save_to_mysql enable_mysql",
    ),
    (
        Old::SourceTable,
        "clickhouse_table clickhouse_table_name clickhouse_source_table clickhouse_tables clickhouse_tables_source clickhouse_tables_source_table clickhouse_tables_input clickhouse_tables_weld clickhouse_tables_welds clickhouse_input_table clickhouse_source clickhouse_weld_table source_table source_table_name input_table tables_source tables_source_table tables_clickhouse table_source weld_table",
    ),
    (
        Old::ResultTable,
        "mysql_table mysql_table_name mysql_result_table mysql_tables mysql_tables_result mysql_tables_result_table mysql_tables_results mysql_tables_output mysql_tables_nok mysql_output_table mysql_nok_table result_table result_table_name output_table tables_result tables_result_table tables_mysql table_result nok_table",
    ),
    (
        Old::ColumnMap,
        "columns column_map column_mapping field_map field_mapping fields clickhouse_columns",
    ),
    (
        Old::Filter,
        "filter where where_clause where_condition source_filter filter_sql clickhouse_filter clickhouse_where",
    ),
    (
        Old::SkippedPrograms,
        "skip_programs skip_prog_no skip_prog_nos exclude_programs exclude_prog_no exclude_prog_nos ignore_programs ignore_prog_no tip_dress_programs tip_dress_prog_no dress_programs",
    ),
    (
        Old::BatchSize,
        "batch_size batch_rows fetch_batch_size fetch_size read_batch_size query_batch_size clickhouse_batch_size",
    ),
    (
        Old::LoopSeconds,
        "loop_interval loop_interval_s loop_interval_sec loop_interval_seconds loop_seconds poll_interval poll_interval_seconds interval interval_seconds poll_interval_s poll_interval_sec poll_seconds polling_interval query_interval fetch_interval cycle_seconds sleep_interval sleep_seconds sleep_s loop_sleep run_interval",
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
        "nok_threshold ml_threshold ml_nok_threshold threshold prob_threshold decision_threshold threshold_nok threshold_ml thresholds_nok thresholds_ml thresholds_nok_threshold thresholds_default threshold_default default_threshold model_threshold",
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
        "use_rule use_rules enable_rule enable_rules rule_enabled rules_enabled rule_enable rules_enable switches_rule switches_rules switch_rule switch_rules rule_switch rules_switch use_rule_model rule_use_rule rules_use_rule rule_use_rules rules_use_rules rule_model_use_rule enable_rule_model rule_model_enabled switches_use_rules",
    ),
    (
        Old::RuleFlag,
        "rule_single_height rule_flag_height rule_peak_height rule_height rule_single_height_mohm rule_flag_mohm",
    ),
    (
        Old::RuleWarn,
        "rule_multi_height rule_warn_height rule_low_height rule_multi_height_mohm rule_warn_mohm",
    ),
    (
        Old::RuleWidth,
        "rule_min_width_ms rule_width_ms rule_min_width rule_width",
    ),
    (
        Old::RuleBegin,
        "rule_min_begin_ms rule_begin_ms rule_begin_after_ms rule_min_begin rule_start_ms rule_min_start_ms",
    ),
    (
        Old::RuleStreak,
        "rule_multi_count rule_multi_welds rule_streak rule_consecutive",
    ),
    (Old::Device, "device model_device"),
    (
        Old::SampleIntervalMs,
        "sample_interval_ms sample_interval sampling_interval_ms",
    ),
    (Old::Timezone, "timezone tz"),
    (Old::LogLevel, "log_level logging_level logger_level"),
    (Old::Charset, "mysql_charset clickhouse_charset"),
];

/// Keys whose value is a mapping that belongs together.
pub(super) const WHOLE: &[Old] = &[Old::ColumnMap, Old::NormCoeffs];

/// Words before a server's name that say nothing.
const EMPTY_WORDS: &[&str] = &[
    "config",
    "conf",
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
    "pipeline",
    "query",
    "sql",
    "fetch",
    "read",
    "reader",
    "poll",
    "polling",
    "engine",
    "system",
    "daemon",
    "etl",
    "param",
    "params",
    "parameters",
    "fusion",
];

/// Words of the sections of old rules, which say no more than that one word.
const RULE_SECTIONS: &[&str] = &["rule", "rules"];
const RULE_WORDS: &[&str] = &[
    "model",
    "config",
    "conf",
    "settings",
    "param",
    "params",
    "parameters",
    "threshold",
    "thresholds",
];

/// What a path means, and how many words before it had to be left out: `service.loop.batch_size` is a `batch_size`.
pub(super) fn understand(path: &str) -> (Option<Old>, usize) {
    let known: BTreeMap<String, Old> = KEYS
        .iter()
        .flat_map(|(meaning, names)| {
            names
                .split(' ')
                .map(|name| (name.replace('_', ""), *meaning))
        })
        .collect();
    let words = normal(path);
    for left_out in 0..words.len() {
        if let Some(meaning) = known.get(&words[left_out..].concat()) {
            return (Some(*meaning), left_out);
        }
        // A server's own key without the server's name would be another one's.
        if !is_neutral(&words[left_out]) {
            break;
        }
    }
    let of_rules = rule_key(&words).and_then(|(key, left_out)| Some((*known.get(&key)?, left_out)));
    of_rules.map_or((None, 0), |(meaning, left_out)| (Some(meaning), left_out))
}

fn is_neutral(word: &str) -> bool {
    SECTION_WORDS.contains(&word) || EMPTY_WORDS.contains(&word)
}

/// A key in a section of old rules as [`KEYS`] has it, and how many words are left out of it.
fn rule_key(words: &[String]) -> Option<(String, usize)> {
    let at = words.iter().position(|word| !is_neutral(word))?;
    if !RULE_SECTIONS.contains(&words[at].as_str()) {
        return None;
    }
    let said: Vec<&str> = words[at + 1..]
        .iter()
        .map(String::as_str)
        .filter(|word| !RULE_WORDS.contains(word))
        .collect();
    let left_out = words.len() - said.len();
    Some((format!("rule{}", said.concat()), left_out))
}

/// Whether a path lies in a section of old rules.
pub(super) fn is_of_rules(path: &str) -> bool {
    rule_key(&normal(path)).is_some()
}

/// The words of a path: lower case, `ck` and `ch` are `clickhouse`, what says nothing before a server's name is gone.
fn normal(path: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut before = ' ';
    let mut letters = path.chars().peekable();
    while let Some(c) = letters.next() {
        // `userName`, and `CKHost`
        let ends = before.is_uppercase() && letters.peek().is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (before.is_lowercase() || ends) {
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
            && ["connection", "conn", "config", "conf", "client"].contains(&word);
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
            ("mysql_conf.host", Old::MySqlHost),
            ("service.loop.batchSize", Old::BatchSize),
            ("thresholds.override", Old::OverrideThreshold),
            ("rule.enabled", Old::RulesEnabled),
            ("clickhouse.tables.source_table", Old::SourceTable),
            ("clickhouse.tables.source", Old::SourceTable),
            ("clickhouse.tables", Old::SourceTable),
            ("source.table", Old::SourceTable),
            ("mysql.tables.result", Old::ResultTable),
            ("clickhouse.user_name", Old::ClickHouseUser),
            ("clickhouse.UserName", Old::ClickHouseUser),
            ("mysql.DataBase", Old::MySqlDatabase),
            ("CKHost", Old::ClickHouseHost),
            ("MySQLHost", Old::MySqlHost),
            ("pipeline.clickhouse.host", Old::ClickHouseHost),
            ("fusion.override_threshold", Old::OverrideThreshold),
            ("rule.use_rule", Old::RulesEnabled),
            ("thresholds.default", Old::NokThreshold),
            ("pipeline.batch_size", Old::BatchSize),
            ("query.where", Old::Filter),
            ("sql.where", Old::Filter),
            ("poll_interval_s", Old::LoopSeconds),
            ("pipeline.poll_interval_s", Old::LoopSeconds),
            ("rule_model.single_height", Old::RuleFlag),
            ("rules.params.min_begin_ms", Old::RuleBegin),
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
                let plain = name.replace('_', "");
                assert_eq!(seen.insert(plain, *meaning), None, "{name}");
                assert_eq!(normal(name).join("_"), name, "not in normal form");
            }
        }
    }
}
