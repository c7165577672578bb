//! What one key's type cannot tell: ranges, and keys that must go together.

use std::collections::BTreeMap;

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
            if time.is_zero() {
                let problem = "must be longer than zero, such as \"5s\"";
                return Err(SettingsError::key(key, problem));
            }
        }
        if lease.renew_every * 3 > lease.ttl {
            return Err(SettingsError::key(
                "lease.renew_every",
                format!(
                    "{:?} is more than a third of lease.ttl ({:?}); two missed renewals would lose the lease",
                    lease.renew_every, lease.ttl
                ),
            ));
        }
        Ok(())
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
            if count == 0_u64 {
                return Err(SettingsError::key(key, "must be at least 1"));
            }
        }
        if scheduler.lookahead_days > 1 {
            let problem = format!(
                "{} days after today are too many: 1 where a night shift carries the next day's data_date, else 0",
                scheduler.lookahead_days
            );
            return Err(SettingsError::key("scheduler.lookahead_days", problem));
        }
        let share = breaker.invalid_share;
        if !(0.0..=1.0).contains(&share) {
            let problem = format!("{share} is not between 0 and 1");
            return Err(SettingsError::key("breaker.invalid_share", problem));
        }
        Ok(())
    }

    fn check_judges(&self) -> Result<(), SettingsError> {
        let of_model = self.model.nok_threshold;
        for (key, threshold) in [
            (
                "fusion.override_threshold",
                Some(self.fusion.override_threshold),
            ),
            ("model.nok_threshold", of_model),
        ] {
            if let Some(value) = threshold
                && !(value > 0.0 && value <= 1.0)
            {
                let problem = format!("{value} is not above 0 and at most 1");
                return Err(SettingsError::key(key, problem));
            }
        }
        self.check_model()?;
        if !self.model.enabled && !self.rules.enabled {
            return Err(SettingsError::key(
                "model.enabled",
                "model and rules are both off, so nothing could judge a weld; turn one on",
            ));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), SettingsError> {
        for (key, name) in [
            ("clickhouse.database", &self.clickhouse.database),
            ("tables.source_table", &self.tables.source_table),
            ("tables.result_table", &self.tables.result_table),
            ("redis.queue", &self.redis.queue),
        ] {
            if name.is_empty() {
                return Err(SettingsError::key(key, "must not be empty"));
            }
        }
        for (key, path) in [
            ("worker.save_dir", &self.worker.save_dir),
            ("model.cache_dir", &self.model.cache_dir),
        ] {
            if path.as_os_str().is_empty() {
                return Err(SettingsError::key(key, "must not be empty"));
            }
        }
        if self.redis.queue.contains(['{', '}']) {
            return Err(SettingsError::key(
                "redis.queue",
                "holds a brace; the queue name is the hash tag of its keys",
            ));
        }
        Ok(())
    }

    fn check_console(&self) -> Result<(), SettingsError> {
        let console = &self.console;
        let of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if !console.user_header.chars().all(of_a_name) {
            return Err(SettingsError::key(
                "console.user_header",
                format!(
                    "`{}` is not the name of a header; \"\" if the proxies only forward",
                    console.user_header
                ),
            ));
        }
        if !console.trusted_proxies.is_empty() && !console.has_users() {
            return Err(SettingsError::key(
                "console.trusted_proxies",
                "needs console.users_file, which says what somebody whom the proxy names may do; `scheduler users add` writes it",
            ));
        }
        Ok(())
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
        if address::has_credentials(url) {
            return Err(SettingsError::key(
                "clickhouse.url",
                "holds user or password; give them as clickhouse.user and clickhouse.password (or password_file)",
            ));
        }
        // They travel in HTTP headers.
        let printable = |text: &str| text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        for (key, text) in [
            ("clickhouse.user", user.as_str()),
            ("clickhouse.password", password.expose()),
            ("clickhouse.console_user", console_user.as_str()),
            ("clickhouse.console_password", console_password.expose()),
        ] {
            if !printable(text) {
                return Err(SettingsError::key(
                    key,
                    "holds a character that ClickHouse's HTTP interface cannot be sent; use printable ASCII",
                ));
            }
        }
        if console_user.is_empty() && !console_password.expose().is_empty() {
            return Err(SettingsError::key(
                "clickhouse.console_password",
                "needs clickhouse.console_user, whose password it is",
            ));
        }
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
        if !problems.is_empty() {
            let known = known.join(", ");
            return Err(SettingsError::key(
                "mysql.columns",
                format!(
                    "{}; map to one column each of: {known}",
                    problems.join("; ")
                ),
            ));
        }
        let has = |ours: &str| map.contains_key(ours);
        if REVIEW_COLUMNS.into_iter().any(has) && !has("final_result") {
            return Err(SettingsError::key(
                "mysql.columns",
                "maps a reviewer's column and not `final_result`; a reviewed row stays when its weld is no longer NOK, and must be able \
                 to say so: map `final_result` too",
            ));
        }
        if map.is_empty() && !self.mysql.constants.is_empty() {
            return Err(SettingsError::key(
                "mysql.constants",
                "fills columns of an application's table, and [mysql.columns] maps none; map there what its people read",
            ));
        }
        Ok(())
    }

    fn check_model(&self) -> Result<(), SettingsError> {
        let model = &self.model;
        for (key, value, most) in [
            ("model.threads", model.threads, MOST_THREADS),
            ("model.batch_rows", model.batch_rows, MOST_BATCH_ROWS),
        ] {
            if value > most {
                let problem = format!("{value} is more than {most}; 0 lets the worker choose");
                return Err(SettingsError::key(key, problem));
            }
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
        let computes_bf16 = matches!(model.provider, Provider::Auto | Provider::Openvino);
        if model.precision == Precision::Bf16 && !computes_bf16 {
            return Err(SettingsError::key(
                "model.precision",
                format!(
                    "only model.provider = \"openvino\" (or \"auto\", where it finds that) computes bf16, and it is \"{}\"",
                    model.provider.name()
                ),
            ));
        }
        Ok(())
    }
}
