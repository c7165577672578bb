//! Addresses, accounts, tables, intervals: what the old configuration says outright.

use weldfleet_settings::Secret;
use weldfleet_words::words;

use crate::{
    AdoptError, Facts, OldConfig,
    old::{Located, Old, switch},
};

use super::{Adoption, Origin, SecretFile, short};

pub(super) fn plan(
    adoption: &mut Adoption,
    old: &OldConfig,
    facts: &Facts,
    secrets: &str,
) -> Result<(), AdoptError> {
    clickhouse(adoption, old, facts, secrets)?;
    adoption.question(
        "redis",
        "url",
        "redis://127.0.0.1:6379/0",
        words!(
            "the old service had no Redis; where is the fleet's?",
            "旧服务没有 Redis；weldfleet 的 Redis 在哪里？",
        ),
    );
    mysql(adoption, old, secrets)?;
    tables(adoption, old, facts);
    scheduler(adoption, old);
    if let Some(found) = old.text(Old::SaveDir) {
        adoption.mapped("worker", "save_dir", found.value, &found.path);
    }
    if let Some(found) = old.shown(Old::LogLevel) {
        let (path, value) = (found.path, short(&found.value));
        adoption.notes.push(words!(
            "`{path}: {value}` is no setting here: give it as RUST_LOG in the environment",
            "`{path}: {value}` 不是本文件的设置：请用环境变量 RUST_LOG",
        ));
    }
    if let Some(found) = old.shown(Old::Charset) {
        let path = found.path;
        adoption.notes.push(words!(
            "`{path}` is not needed: every connection is utf8mb4",
            "不需要 `{path}`：所有连接都用 utf8mb4",
        ));
    }
    Ok(())
}

fn clickhouse(
    adoption: &mut Adoption,
    old: &OldConfig,
    facts: &Facts,
    secrets: &str,
) -> Result<(), AdoptError> {
    let address = old.clickhouse_urls()?;
    let url = facts.clickhouse_url.clone();
    let host = &address.host.path;
    // A port that answered as HTTP is one.
    let native = |number: &str| address.native && !url.ends_with(&format!(":{number}"));
    match &address.port {
        Some(port) if native(&port.value) => {
            let (path, number) = (&port.path, &port.value);
            let why = words!(
                "from `{host}`; `{path}: {number}` is the native protocol's port, the fleet speaks HTTP (8123, or 8443 with TLS)",
                "来自 `{host}`；`{path}: {number}` 是原生协议端口，weldfleet 使用 HTTP（8123，TLS 为 8443）",
            );
            adoption.guessed("clickhouse", "url", url, why);
        }
        Some(port) => {
            let path = both(host, &port.path);
            adoption.mapped("clickhouse", "url", url, &path);
        }
        None => adoption.guessed(
            "clickhouse",
            "url",
            url,
            words!(
                "from `{host}`, which names no port; the fleet speaks HTTP (8123, or 8443 with TLS)",
                "来自 `{host}`，其中没有端口；weldfleet 使用 HTTP（8123，TLS 为 8443）",
            ),
        ),
    }
    if let Some(found) = old.text(Old::ClickHouseUser) {
        adoption.mapped("clickhouse", "user", found.value, &found.path);
    }
    if let Some(found) = old.clickhouse_password() {
        let file = ("clickhouse", "clickhouse-password");
        secret(adoption, file, found, secrets);
    }
    let named = old
        .source_table()
        .and_then(|(database, table)| Some((database?, table.path)));
    match (named, old.text(Old::ClickHouseDatabase)) {
        (Some((database, path)), _) => adoption.mapped("clickhouse", "database", database, &path),
        (None, Some(found)) => adoption.mapped("clickhouse", "database", found.value, &found.path),
        (None, None) => adoption.guessed(
            "clickhouse",
            "database",
            "default",
            words!(
                "the old configuration names no database, so the server's default",
                "旧配置没有数据库名，取服务器默认库",
            ),
        ),
    }
    Ok(())
}

fn mysql(adoption: &mut Adoption, old: &OldConfig, secrets: &str) -> Result<(), AdoptError> {
    let switched = old.text(Old::MySqlEnabled);
    let enabled = switched.as_ref().and_then(|found| switch(&found.value));
    let speaks = old.speaks_of_mysql();
    match (&switched, enabled) {
        (Some(found), Some(enabled)) if speaks || !enabled => {
            adoption.mapped("mysql", "enabled", enabled, &found.path);
        }
        _ if !speaks && !old.may_be_mysql().is_empty() => {
            let keys = old.may_be_mysql().join("`, `");
            adoption.question(
                "mysql",
                "url",
                "mysql://host:3306/database",
                words!(
                    "`{keys}` has to do with a MySQL server, and is not understood: where is it? Its account is user and password_file; \
                     without one, write enabled = false instead",
                    "`{keys}` 与 MySQL 服务器有关，但未能识别：它在哪里？账号写入 user 和 password_file；没有 MySQL 则改写 enabled = false",
                ),
            );
        }
        _ if !speaks => adoption.guessed(
            "mysql",
            "enabled",
            false,
            words!(
                "the old configuration names no MySQL server; NOK welds are then in ClickHouse and the CSV only",
                "旧配置没有 MySQL 服务器；NOK 焊点只写入 ClickHouse 和 CSV",
            ),
        ),
        _ => {}
    }
    if !speaks {
        return Ok(());
    }
    let host = old.mysql_host()?;
    let database = old.mysql_database();
    let path = database.as_ref().map_or_else(
        || host.path.clone(),
        |database| both(&host.path, &database.path),
    );
    let name = database.map_or_else(|| "weld".to_owned(), |database| database.value);
    adoption.mapped(
        "mysql",
        "url",
        format!("mysql://{}/{name}", host.value),
        &path,
    );
    if let Some(found) = old.text(Old::MySqlUser) {
        adoption.mapped("mysql", "user", found.value, &found.path);
    }
    if let Some(found) = old.mysql_password() {
        secret(adoption, ("mysql", "mysql-password"), found, secrets);
    }
    Ok(())
}

/// Two keys, or the one that says both.
fn both(first: &str, second: &str) -> String {
    match first == second {
        true => first.to_owned(),
        false => format!("{first}`, `{second}"),
    }
}

fn secret(
    adoption: &mut Adoption,
    (section, name): (&'static str, &'static str),
    Located {
        value: secret,
        path,
    }: Located<Secret>,
    folder: &str,
) {
    let file = format!("{folder}/{name}");
    let text = secret.expose();
    // A password may begin with any of the other marks.
    if ["${", "!vault", "ENC("]
        .iter()
        .any(|start| text.starts_with(start))
    {
        adoption.question(
            section,
            "password_file",
            file,
            words!(
                "`{path}` is a reference, no password; write the password into a file with mode 600",
                "`{path}` 只是引用，不是密码；请把密码写入权限 600 的文件",
            ),
        );
        return;
    }
    let why = words!(
        "from `{path}`; the password is in this file alone, mode 600",
        "来自 `{path}`；密码只在该文件里，权限 600",
    );
    adoption.add(Origin::Mapped, section, "password_file", file, why);
    adoption.secrets.push(SecretFile {
        section,
        name,
        secret,
    });
}

fn tables(adoption: &mut Adoption, old: &OldConfig, facts: &Facts) {
    match old.source_table() {
        Some((_, found)) => adoption.mapped("tables", "source_table", found.value, &found.path),
        None => adoption.question(
            "tables",
            "source_table",
            "spot_records",
            words!(
                "the old configuration names no table of welds; which one is it? Better write `clickhouse.table: NAME` there and adopt it \
                 again, so that the columns are asked for",
                "旧配置没有焊点表名；是哪张表？最好在旧配置中写上 `clickhouse.table: 表名` 后重新运行，以便查询列",
            ),
        ),
    }
    let Some((database, found)) = old.result_table() else {
        return;
    };
    if let (Some(database), Some(other)) = (database, old.mysql_database())
        && database != other.value
    {
        let (path, theirs, value) = (&found.path, &other.path, &other.value);
        let why = words!(
            "`{path}` names the database `{database}`, and `{theirs}` names `{value}`: mysql.url must lead to the one that has the table",
            "`{path}` 指定数据库 `{database}`，而 `{theirs}` 指定 `{value}`：mysql.url 必须指向该表所在的数据库",
        );
        adoption.question("tables", "result_table", found.value, why);
        return;
    }
    // A table whose columns nobody saw may be the application's: without [mysql.columns] it would be taken for ours.
    if facts.mysql.as_ref().ok().is_some() {
        adoption.mapped("tables", "result_table", found.value, &found.path);
        return;
    }
    let path = &found.path;
    let why = words!(
        "from `{path}`; MySQL was not asked for its columns. If an application reads the table, [mysql.columns] must map them first: \
         without it `scheduler migrate` takes the table for the fleet's own and changes it",
        "来自 `{path}`；没有向 MySQL 查询列。如果有应用程序读取该表，必须先用 [mysql.columns] 映射其列，\
         否则 `scheduler migrate` 会把它当作 weldfleet 自己的表并加以修改",
    );
    adoption.question("tables", "result_table", found.value, why);
}

/// Rows of a range by default, below which none is asked for.
const RANGE_ROWS: u32 = 4096;

fn scheduler(adoption: &mut Adoption, old: &OldConfig) {
    if let Some(found) = old.text(Old::BatchSize) {
        let (path, text) = (&found.path, short(&found.value));
        match found.value.parse::<u32>() {
            Ok(rows) if rows >= RANGE_ROWS => {
                adoption.mapped("scheduler", "batch_size", i64::from(rows), path);
            }
            Ok(1..) => adoption.add(
                Origin::Mapped,
                "scheduler",
                "batch_size",
                i64::from(RANGE_ROWS),
                words!(
                    "from `{path}`, where it is {text}: a small range costs nearly what a large one does",
                    "来自 `{path}`，原值 {text}：小区间的开销与大区间相差无几",
                ),
            ),
            _ => adoption.question(
                "scheduler",
                "batch_size",
                i64::from(RANGE_ROWS),
                words!(
                    "`{path}: {text}` is no number of rows; how many shall a range have?",
                    "`{path}: {text}` 不是行数；一个区间应有多少行？",
                ),
            ),
        }
    }
    let interval = [(Old::LoopSeconds, 1000.0), (Old::LoopMilliseconds, 1.0)]
        .into_iter()
        .find_map(|(meaning, factor)| Some((old.text(meaning)?, factor)));
    if let Some((found, factor)) = interval {
        let (path, text) = (&found.path, short(&found.value));
        match milliseconds(&found.value, factor) {
            Some(ms) => adoption.mapped("scheduler", "poll_interval", in_words(ms), path),
            None => adoption.question(
                "scheduler",
                "poll_interval",
                "2s",
                words!(
                    "`{path}: {text}` is no time; how often shall the table be looked at?",
                    "`{path}: {text}` 不是时间；多久查看一次表？",
                ),
            ),
        }
    }
    match old.text(Old::Timezone) {
        Some(found) => adoption.mapped("scheduler", "timezone", found.value, &found.path),
        None => adoption.question(
            "scheduler",
            "timezone",
            "Asia/Shanghai",
            words!(
                "whose midnight ends a day of the plant?",
                "工厂的一天以哪个时区的午夜结束？",
            ),
        ),
    }
}

/// Milliseconds of `5`, `5s`, `500ms`, `1min`; a bare number is in units of `factor` ms.
fn milliseconds(text: &str, factor: f64) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim() {
        "" => factor,
        "ms" => 1.0,
        "s" | "sec" | "seconds" => 1000.0,
        "m" | "min" | "minutes" => 60_000.0,
        _ => return None,
    };
    let ms = number * unit;
    // A day is far above what anybody waits for the next look.
    ((1.0..=86_400_000.0).contains(&ms)).then_some(ms as u64)
}

fn in_words(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        format!("{}s", ms / 1000)
    } else {
        format!("{ms}ms")
    }
}
