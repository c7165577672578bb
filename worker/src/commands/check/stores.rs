//! The stores and the folder of the audit files.

use weldfleet_fleet::{queue_failure, queue_options};
use weldfleet_queue::{Queue, QueueError};
use weldfleet_service::exit::chain;
use weldfleet_settings::{Settings, secret::without_credentials};
use weldfleet_stores::{
    StoreError,
    clickhouse::{SourceTable, empty_filter, repeated_keys, several_servers},
    mysql::NokTable,
};

use super::report::{Report, State};
use crate::needs;

pub async fn clickhouse(settings: &Settings, report: &mut Report) -> Option<SourceTable> {
    let source = match SourceTable::inspect(settings).await {
        Ok(source) => source,
        Err(error) => {
            report.unreachable |= error.is_outage();
            report.failed("clickhouse", error.chain());
            return None;
        }
    };
    let version = match source.server().version().await {
        Ok(version) => version.to_string(),
        Err(error) => error.chain(),
    };
    report.ok(
        "clickhouse",
        format!(
            "{} version {version}",
            without_credentials(&settings.clickhouse.url)
        ),
    );
    report.ok("columns", source.schema().describe());
    for why in source.schema().passed_over() {
        let text = format!("{why}; it is taken for the plant's own, `evaluate` does without");
        report.warning("columns", text);
    }
    let (grants, works) = needs::clickhouse(&source).await;
    report.tried("grant", grants, StoreError::chain_and_remedy);
    report.tried("works", works, StoreError::chain_and_remedy);
    report.objection("clickhouse", State::Failed, several_servers(settings).await);
    report.objection("filter", State::Failed, source.row_policy().await);
    if report.objection("keys", State::Warning, repeated_keys(settings).await) {
        report.ok("keys", "unique on the latest days");
    }
    let filter = settings.tables.filter.trim();
    if !filter.is_empty()
        && report.objection("filter", State::Warning, empty_filter(settings).await)
    {
        report.ok("filter", filter);
    }
    Some(source)
}

pub async fn mysql(settings: &Settings, report: &mut Report) {
    let table = match NokTable::new(settings) {
        Ok(Some(table)) => table,
        Ok(None) => {
            return report.warning(
                "mysql",
                "switched off, NOK rows are in ClickHouse and the CSV only",
            );
        }
        Err(error) => return report.failed("mysql", error.chain()),
    };
    report.tried("mysql", table.check_all().await, StoreError::chain);
    // a table that cannot be asked has had its line
    if let Ok(Some(cut)) = table.cut_texts().await {
        report.warning("mysql", cut);
    }
    if let Ok(Some(unfit)) = table.unfit_reviews().await {
        report.warning(
            "mysql",
            format!("no weld can be reviewed in the console: {unfit}"),
        );
    }
}

pub async fn redis(settings: &Settings, report: &mut Report) {
    let shown = settings.redis.url.without_credentials();
    let queue = match Queue::new(queue_options(settings)) {
        Ok(queue) => queue,
        Err(error) => return report.failed("redis", chain(&queue_failure(error).error)),
    };
    // ClickHouse has had a line of its own if it does not answer
    let owned = weldfleet_fleet::owned(queue.clone(), settings).await;
    let queue = owned.ok().and_then(Result::ok).unwrap_or(queue);
    if let Err(error @ QueueError::Foreign { .. }) = queue.check_owner().await {
        return report.failed("redis", chain(&queue_failure(error).error));
    }
    let checked = match queue.works().await {
        Ok(()) => queue.check().await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(check) => {
            report.ok(
                "redis",
                format!(
                    "{shown} is {}, queue {}",
                    check.server, settings.redis.queue
                ),
            );
            for warning in check.warnings {
                report.warning("redis", warning.text);
            }
        }
        Err(error) => {
            report.unreachable |= error.is_outage() && !error.is_denied();
            let error = chain(&error.into());
            report.failed("redis", format!("redis.url = {shown}: {error}"));
        }
    }
}

pub async fn save_dir(settings: &Settings, report: &mut Report) {
    let folder = &settings.worker.save_dir;
    match needs::save_dir(settings).await {
        Ok(()) => report.ok("save_dir", folder.display().to_string()),
        Err(error) => report.failed("save_dir", error.chain()),
    }
}
