//! What one key's type cannot tell: ranges, and keys that must go together.

use std::{collections::BTreeMap, path::Path};

use weldfleet_weld::BadValue;

use crate::{
    ClickHouse, Precision, Provider, Settings, SettingsError, address,
    columns::{DESCRIBING_COLUMNS, MIRROR_KEY, REVIEW_COLUMNS},
};

/// The most that `model.threads` and `model.batch_rows` may be: far above what helps, below what exhausts a host.
const MOST_THREADS: u32 = 1024;
const MOST_BATCH_ROWS: u32 = 65_536;

impl Settings {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        self.check_times()?;
        self.check_counts()?;
        self.check_judges()?;
        self.check_names()?;
        self.check_addresses()?;
        self.check_mirror()?;
        self.check_console()?;
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
            .map_err(|problem| in_section("validation", problem))
    }

    fn check_times(&self) -> Result<(), SettingsError> {
        let (lease, scheduler) = (&self.lease, &self.scheduler);
        for (key, time) in [
            ("scheduler.poll_interval", scheduler.poll_interval),
            ("lease.ttl", lease.ttl),
            ("lease.renew_every", lease.renew_every),
            ("lease.job_timeout", lease.job_timeout),
            ("tables.results_ttl", self.tables.results_ttl),
        ] {
            let problem = "must be longer than zero, such as \"5s\"";
            SettingsError::unless(!time.is_zero(), key, problem)?;
        }
        SettingsError::unless(
            lease.renew_every * 3 <= lease.ttl,
            "lease.renew_every",
            format_args!(
                "{:?} is more than a third of lease.ttl ({:?}); two missed renewals would lose the lease",
                lease.renew_every, lease.ttl
            ),
        )
    }

    fn check_counts(&self) -> Result<(), SettingsError> {
        let (scheduler, worker, breaker) = (&self.scheduler, &self.worker, &self.breaker);
        for (key, count) in [
            ("scheduler.batch_size", scheduler.batch_size.into()),
            (
                "scheduler.max_outstanding",
                scheduler.max_outstanding.into(),
            ),
            ("lease.max_attempts", self.lease.max_attempts.into()),
            ("worker.ranges_in_flight", worker.ranges_in_flight.into()),
            ("worker.commit_group", worker.commit_group.into()),
            ("worker.predict_max_bytes", worker.predict_max_bytes.into()),
            ("worker.predict_at_once", worker.predict_at_once.into()),
            ("worker.max_range_bytes", worker.max_range_bytes),
            ("breaker.over_ranges", breaker.over_ranges.into()),
            ("breaker.same_verdict_rows", breaker.same_verdict_rows),
        ] {
            SettingsError::unless(count > 0_u64, key, "must be at least 1")?;
        }
        SettingsError::unless(
            scheduler.lookahead_days <= 1,
            "scheduler.lookahead_days",
            format_args!(
                "{} days after today are too many: 1 where a night shift carries the next day's data_date, else 0",
                scheduler.lookahead_days
            ),
        )?;
        let share = breaker.invalid_share;
        SettingsError::unless(
            (0.0..=1.0).contains(&share),
            "breaker.invalid_share",
            format_args!("{share} is not between 0 and 1"),
        )
    }

    fn check_judges(&self) -> Result<(), SettingsError> {
        let of_fusion = Some(self.fusion.override_threshold);
        for (key, threshold) in [
            ("fusion.override_threshold", of_fusion),
            ("model.nok_threshold", self.model.nok_threshold),
        ] {
            let Some(value) = threshold else { continue };
            let problem = format_args!("{value} is not above 0 and at most 1");
            SettingsError::unless(value > 0.0 && value <= 1.0, key, problem)?;
        }
        self.check_model()?;
        SettingsError::unless(
            self.model.enabled || self.rules.enabled,
            "model.enabled",
            "model and rules are both off, so nothing could judge a weld; turn one on",
        )
    }

    fn check_names(&self) -> Result<(), SettingsError> {
        for (key, name) in [
            ("clickhouse.database", Path::new(&self.clickhouse.database)),
            ("tables.source_table", Path::new(&self.tables.source_table)),
            ("tables.result_table", Path::new(&self.tables.result_table)),
            ("redis.queue", Path::new(&self.redis.queue)),
            ("worker.save_dir", &self.worker.save_dir),
            ("model.cache_dir", &self.model.cache_dir),
        ] {
            SettingsError::unless(!name.as_os_str().is_empty(), key, "must not be empty")?;
        }
        SettingsError::unless(
            !self.redis.queue.contains(['{', '}']),
            "redis.queue",
            "holds a brace; the queue name is the hash tag of its keys",
        )
    }

    fn check_console(&self) -> Result<(), SettingsError> {
        let console = &self.console;
        let of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        SettingsError::unless(
            console.user_header.chars().all(of_a_name),
            "console.user_header",
            format_args!(
                "`{}` is not the name of a header; \"\" if the proxies only forward",
                console.user_header
            ),
        )?;
        SettingsError::unless(
            console.trusted_proxies.is_empty() || console.has_users(),
            "console.trusted_proxies",
            "needs console.users_file, which says what somebody whom the proxy names may do; `scheduler users add` writes it",
        )
    }

    fn check_addresses(&self) -> Result<(), SettingsError> {
        let ClickHouse {
            url,
            user,
            password,
            console_user,
            console_password,
            ..
        } = &self.clickhouse;
        SettingsError::unless(
            !address::has_credentials(url),
            "clickhouse.url",
            "holds user or password; give them as clickhouse.user and clickhouse.password (or password_file)",
        )?;
        // They travel in HTTP headers.
        let printable = |text: &str| text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        for (key, text) in [
            ("clickhouse.user", user.as_str()),
            ("clickhouse.password", password.expose()),
            ("clickhouse.console_user", console_user.as_str()),
            ("clickhouse.console_password", console_password.expose()),
        ] {
            let problem = "holds a character that ClickHouse's HTTP interface cannot be sent; use printable ASCII";
            SettingsError::unless(printable(text), key, problem)?;
        }
        SettingsError::unless(
            !console_user.is_empty() || console_password.expose().is_empty(),
            "clickhouse.console_password",
            "needs clickhouse.console_user, whose password it is",
        )?;
        let checked = |section: &str, url: &str, schemes: &[&str]| {
            address::check(section, url, schemes)
                .map_err(|problem| SettingsError::key(format!("{section}.url"), problem))
        };
        checked("clickhouse", url, &["http", "https"])?;
        address::check_one_server(url)
            .map_err(|problem| SettingsError::key("clickhouse.url", problem))?;
        checked(
            "redis",
            self.redis.url.expose(),
            &[
                "redis",
                "rediss",
                "redis+sentinel",
                "rediss+sentinel",
                "redis+cluster",
                "rediss+cluster",
            ],
        )?;
        if self.mysql.enabled {
            checked("mysql", self.mysql.url.expose(), &["mysql"])?;
        }
        Ok(())
    }

    /// What is wrong with the map to an application's table, as far as that can be told without the table.
    fn check_mirror(&self) -> Result<(), SettingsError> {
        let map = &self.mysql.columns;
        let mut known: Vec<&str> = MIRROR_KEY.into();
        known.extend(DESCRIBING_COLUMNS.map(|(name, _)| name));
        let results = weldfleet_weld::columns::RESULT_COLUMNS.iter();
        known.extend(
            results
                .filter(|column| column.mirrored)
                .map(|column| column.name),
        );
        known.extend(REVIEW_COLUMNS);
        known.extend(self.columns.carried().map(|(ours, _)| ours));
        let mut problems = Vec::new();
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for (ours, theirs) in map {
            if !known.contains(&ours.as_str()) {
                problems.push(format!("unknown column `{ours}`"));
            }
            if theirs.is_empty() {
                problems.push(format!("`{ours}` is mapped to an empty name"));
            } else if let Some(other) = taken.insert(theirs.to_lowercase(), ours) {
                problems.push(format!(
                    "`{other}` and `{ours}` are both mapped to `{theirs}`"
                ));
            }
        }
        SettingsError::unless(
            problems.is_empty(),
            "mysql.columns",
            format_args!(
                "{}; map to one column each of: {}",
                problems.join("; "),
                known.join(", ")
            ),
        )?;
        let has = |ours: &str| map.contains_key(ours);
        SettingsError::unless(
            has("final_result") || !REVIEW_COLUMNS.into_iter().any(has),
            "mysql.columns",
            "maps a reviewer's column and not `final_result`; a reviewed row stays when its weld is no longer NOK, and must be able \
             to say so: map `final_result` too",
        )?;
        SettingsError::unless(
            !map.is_empty() || self.mysql.constants.is_empty(),
            "mysql.constants",
            "fills columns of an application's table, and [mysql.columns] maps none; map there what its people read",
        )
    }

    fn check_model(&self) -> Result<(), SettingsError> {
        let model = &self.model;
        for (key, value, most) in [
            ("model.threads", model.threads, MOST_THREADS),
            ("model.batch_rows", model.batch_rows, MOST_BATCH_ROWS),
        ] {
            let problem = format_args!("{value} is more than {most}; 0 lets the worker choose");
            SettingsError::unless(value <= most, key, problem)?;
        }
        let provider = model.provider.name();
        SettingsError::unless(
            !model.fp16 || model.provider == Provider::Tensorrt,
            "model.fp16",
            format_args!(
                "only model.provider = \"tensorrt\" computes in half precision, and it is \"{provider}\""
            ),
        )?;
        let computes_bf16 = matches!(model.provider, Provider::Auto | Provider::Openvino);
        SettingsError::unless(
            model.precision != Precision::Bf16 || computes_bf16,
            "model.precision",
            format_args!(
                "only model.provider = \"openvino\" (or \"auto\", where it finds that) computes bf16, and it is \"{provider}\""
            ),
        )
    }
}
