//! `worker check`: everything a worker would need, one line each; judges real rows without writing.

mod batches;
mod part_names;
mod precision;
mod report;
mod rule_hits;
mod rules;
mod sample;

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Value, json};
use weldfleet_queue::{Queue, QueueError};
use weldfleet_service::{Exit, Failure, exit::chain, output};
use weldfleet_settings::{Precision, Settings, secret::without_credentials};
use weldfleet_stores::{
    clickhouse::{
        LatestDays, PartRows, RowBlock, SourceTable, empty_filter, repeated_keys, several_servers,
    },
    mysql::NokTable,
};
use weldfleet_weld::{Verdict, rules::RuleSet};

use crate::{
    inference::{Models, catalog::Catalog, pool::Pool, sessions, tuning::Tuning},
    judging::Judging,
    needs,
};
use batches::Alike;
use report::Report;
use sample::Sample;

/// Rows that are judged in both precisions.
const PRECISION_ROWS: u32 = 1000;
/// Rows of each part with a model of its own that are judged.
const ROWS_OF_A_PART: u32 = 3;
/// Parts of a day that are looked at; a body shop welds some hundred.
const MOST_PARTS: u32 = 10_000;

/// Looks at everything; non-zero if anything fails.
pub async fn run(settings: &Settings, rows: u32, json: bool) -> Result<Exit, Failure> {
    let mut report = Report::new(json);
    let judging = check_judging(settings, &mut report);
    let source = check_clickhouse(settings, &mut report).await;
    check_mysql(settings, &mut report).await;
    check_redis(settings, &mut report).await;
    check_save_dir(settings, &mut report).await;
    let mut sample = Value::Null;
    if let (Some(judging), Some(source)) = (judging, source) {
        check_parts(settings, &judging, &source, &mut report).await;
        sample = check_rows(settings, &judging, &source, rows, &mut report).await;
    }
    if json {
        output::json(&json!({
            "ok": report.exit() == Exit::Done,
            "checks": report.findings,
            "sample": sample,
        }))?;
    }
    Ok(report.exit())
}

fn check_judging(settings: &Settings, report: &mut Report) -> Option<Judging> {
    let judging = match Judging::from_settings(settings, Tuning::Thorough) {
        Ok(judging) => judging,
        Err(error) => {
            report.failed("model", chain(&error));
            return None;
        }
    };
    let opened = judging.models.as_ref().map_or(Ok(()), |models| {
        let layout = judging.layout.layout.one_session();
        models.open_global(layout).map(|_| ())?;
        models.try_parts(layout)
    });
    if let Err(error) = opened {
        report.failed("model", chain(&error));
        return None;
    }
    match judging.judge.models() {
        Some(set) => {
            let global = set.global();
            report.ok(
                "model",
                format!(
                    "{} on {}, nok_threshold {}, {} part models",
                    global.version(),
                    judging.device(),
                    global.nok_threshold(),
                    set.len() - 1
                ),
            );
            for warning in judging.warnings() {
                report.warning("model", warning);
            }
            for spec in judging.models.iter().flat_map(Models::without_answer) {
                report.warning(
                    "model",
                    format!(
                        "{} answers no number for made-up welds: rows that it judges will be in error, unless real ones differ",
                        spec.version()
                    ),
                );
            }
            report.ok("layout", judging.layout.to_string());
            check_memory(&judging, report);
        }
        None => report.warning("model", "switched off, the rules decide alone"),
    }
    match judging.judge.rules() {
        Some(rules) => {
            report.ok("rules", settings.rules.file.display().to_string());
            for warning in rules::without_effect(rules) {
                report.warning("rules", warning);
            }
        }
        None => report.warning("rules", "switched off, the model decides alone"),
    }
    Some(judging)
}

/// What the models would take if every thread had all of them open, beside what there is.
fn check_memory(judging: &Judging, report: &mut Report) {
    let Some(models) = &judging.models else {
        return;
    };
    let layout = judging.layout.layout;
    let (files, threads) = (models.bytes(), layout.sessions as u64);
    let all = files + threads * models.session_bytes(models.ids(), layout);
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut text = format!(
        "models of {}, read once and opened by each thread ({threads}): {} in all",
        megabytes(files),
        megabytes(all)
    );
    let Some(limit) = sessions::limit(models) else {
        return report.ok("memory", text);
    };
    let _ = write!(text, "; the {} has {}", limit.of, megabytes(limit.bytes));
    if all <= limit.bytes / 2 {
        return report.ok("memory", text);
    }
    report.warning(
        "memory",
        format!(
            "{text}: more than half of it, so a thread closes models of parts that it has not used for long and opens them \
             anew, which takes time; give it more memory or fewer threads (model.threads)"
        ),
    );
}

async fn check_clickhouse(settings: &Settings, report: &mut Report) -> Option<SourceTable> {
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
    for (subject, found) in [("grant", grants), ("works", works)] {
        for (what, result) in found {
            match result {
                Ok(()) => report.ok(subject, what),
                Err(error) => {
                    report.unreachable |= error.is_outage();
                    report.failed(subject, format!("{what}: {}", error.chain_and_remedy()));
                }
            }
        }
    }
    match several_servers(settings).await {
        Ok(None) => {}
        Ok(Some(several)) => report.failed("clickhouse", several.to_string()),
        Err(error) => report.warning("clickhouse", error.chain()),
    }
    match source.row_policy().await {
        Ok(None) => {}
        Ok(Some(policy)) => report.failed("filter", policy.to_string()),
        Err(error) => report.warning("filter", error.chain()),
    }
    match repeated_keys(settings).await {
        Ok(None) => report.ok("keys", "unique on the latest days"),
        Ok(Some(repeated)) => report.warning("keys", repeated.to_string()),
        Err(error) => report.warning("keys", error.chain()),
    }
    if !settings.tables.filter.trim().is_empty() {
        match empty_filter(settings).await {
            Ok(None) => report.ok("filter", settings.tables.filter.trim()),
            Ok(Some(empty)) => report.warning("filter", empty.to_string()),
            Err(error) => report.warning("filter", error.chain()),
        }
    }
    Some(source)
}

async fn check_mysql(settings: &Settings, report: &mut Report) {
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
    for (what, result) in table.check_all().await {
        match result {
            Ok(()) => report.ok("mysql", what),
            Err(error) => {
                report.unreachable |= error.is_outage();
                report.failed("mysql", format!("{what}: {}", error.chain()));
            }
        }
    }
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

async fn check_redis(settings: &Settings, report: &mut Report) {
    let shown = settings.redis.url.without_credentials();
    let queue = match Queue::new(weldfleet_fleet::queue_options(settings)) {
        Ok(queue) => queue,
        Err(error) => {
            let error = chain(&weldfleet_fleet::queue_failure(error).error);
            return report.failed("redis", error);
        }
    };
    // ClickHouse has had a line of its own if it does not answer
    let owner = weldfleet_fleet::owner(settings).await.ok().flatten();
    let queue = owner
        .and_then(|owner| queue.owned_by(owner).ok())
        .unwrap_or(queue);
    if let Err(error @ QueueError::Foreign { .. }) = queue.check_owner().await {
        let error = chain(&weldfleet_fleet::queue_failure(error).error);
        return report.failed("redis", error);
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

async fn check_save_dir(settings: &Settings, report: &mut Report) {
    let folder = &settings.worker.save_dir;
    match needs::save_dir(settings).await {
        Ok(()) => report.ok("save_dir", folder.display().to_string()),
        Err(error) => report.failed("save_dir", error.chain()),
    }
}

/// What a part may have of its own, in words for people.
struct Own<'a> {
    parts: &'a [String],
    /// "a model", "rules"
    what: &'static str,
    /// What judges a part that has none.
    instead: &'static str,
    /// How a part is named like its rows.
    remedy: String,
}

/// Compares the part numbers that models are named after, and those of the rules, with those of the latest days.
async fn check_parts(
    settings: &Settings,
    judging: &Judging,
    source: &SourceTable,
    report: &mut Report,
) {
    let catalog = judging.models.as_ref().map(|models| &models.catalog);
    for folder in catalog.iter().flat_map(|catalog| catalog.unnamed()) {
        report.warning(
            "parts",
            format!(
                "`{}` holds a model, but no entry of `{}` names it: it judges nothing",
                folder.display(),
                catalog
                    .map(Catalog::table_path)
                    .unwrap_or_default()
                    .display()
            ),
        );
    }
    let named_by_table = catalog.is_some_and(|catalog| catalog.table().is_some());
    let models = Own {
        parts: catalog.map(Catalog::parts).unwrap_or_default(),
        what: "a model",
        instead: "the global model",
        remedy: match named_by_table {
            true => "write it in parts.json as the rows do".to_owned(),
            false => "name its folder as the rows do".to_owned(),
        },
    };
    let of_rules = judging.judge.rules().map(RuleSet::parts);
    let rules = Own {
        parts: of_rules.as_deref().unwrap_or_default(),
        what: "rules",
        instead: "the rules of all parts",
        remedy: format!(
            "write it in `{}` as the rows do",
            settings.rules.file.display()
        ),
    };
    if models.parts.is_empty() && rules.parts.is_empty() {
        return;
    }
    let (days, rows) = match source.parts_of_latest_days(MOST_PARTS).await {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return report.failed("parts", error.chain()),
    };
    if rows.len() >= MOST_PARTS as usize {
        return report.warning(
            "parts",
            format!("{days} has {MOST_PARTS} part numbers or more, too many to compare with those that have a model or rules"),
        );
    }
    for own in [models, rules] {
        own.compare(&days, &rows, report);
    }
}

impl Own<'_> {
    fn compare(&self, days: &LatestDays, rows: &[PartRows], report: &mut Report) {
        let what = self.what;
        let names = part_names::compare(self.parts, rows);
        for (row, alike) in &names.near {
            // Quoted with escapes, so that blanks and what cannot be seen can.
            let alike: Vec<String> = alike.iter().map(|part| format!("{part:?}")).collect();
            report.warning(
                "parts",
                format!(
                    "{} rows of {days} name part_no {:?}, and {} has {what} of its own: they are judged by {}; {}",
                    row.rows,
                    row.part_no,
                    alike.join(" and "),
                    self.instead,
                    self.remedy
                ),
            );
        }
        for part in &names.unasked {
            report.warning(
                "parts",
                format!("part_no {part:?} has {what} of its own, and no row of {days} names it"),
            );
        }
        if !self.parts.is_empty() && names == part_names::PartNames::default() {
            report.ok(
                "parts",
                format!(
                    "{} with {what} of their own, each seen on {days}",
                    self.parts.len()
                ),
            );
        }
    }
}

/// Judges the latest rows and says what they look like.
async fn check_rows(
    settings: &Settings,
    judging: &Judging,
    source: &SourceTable,
    rows: u32,
    report: &mut Report,
) -> Value {
    match source.latest_days(rows).await {
        Ok(Some(days)) if days.left_out > 0 => report.warning(
            "rows",
            format!(
                "{} rows are dated after tomorrow or on no day, and left out here: those of a later day are judged on it, those of no day never",
                days.left_out
            ),
        ),
        // What keeps them from being read is told below.
        Ok(_) | Err(_) => {}
    }
    let block = match source.latest_rows(rows).await {
        Ok(block) => Arc::new(block),
        Err(error) => {
            report.failed("rows", error.chain());
            return Value::Null;
        }
    };
    if block.is_empty() {
        report.warning(
            "rows",
            "the source table has no row of the fleet's, nothing to judge",
        );
        return Value::Null;
    }
    let layout = judging.layout.layout.one_session();
    let pool = match Pool::start(judging.judge.clone(), judging.models.clone(), layout) {
        Ok(pool) => pool,
        Err(error) => {
            report.failed("rows", chain(&error));
            return Value::Null;
        }
    };
    let verdicts = match pool.judge(block.clone(), None).await {
        Ok(verdicts) => verdicts,
        Err(error) => {
            report.failed("rows", error.to_string());
            return Value::Null;
        }
    };
    let sample = Sample::of(&judging.judge, &block, &verdicts);
    report.add("rows", sample.state(), sample.in_words(settings));
    for warning in sample.warnings() {
        report.warning("rules", warning);
    }
    if let Some(models) = &judging.models {
        let parts = models.catalog.parts();
        check_part_rows(settings, judging, &pool, source, parts, report).await;
        check_batches(&pool, &block, &verdicts, layout.batch_rows, report).await;
        check_precision(settings, judging, source, report).await;
    }
    sample.as_json()
}

/// Judges some rows of each part that has a model: the latest rows of all may be of other parts.
async fn check_part_rows(
    settings: &Settings,
    judging: &Judging,
    pool: &Pool,
    source: &SourceTable,
    parts: &[String],
    report: &mut Report,
) {
    if parts.is_empty() {
        return;
    }
    let block = match source.latest_rows_of_parts(parts, ROWS_OF_A_PART).await {
        Ok(block) => Arc::new(block),
        Err(error) => return report.failed("rows", error.chain()),
    };
    if block.is_empty() {
        return;
    }
    match pool.judge(block.clone(), None).await {
        Ok(verdicts) => {
            let sample = Sample::of(&judging.judge, &block, &verdicts);
            let of = format!(
                "of parts with a model of their own: {}",
                sample.in_words(settings)
            );
            report.add("rows", sample.state(), of);
        }
        Err(error) => report.failed("rows", error.to_string()),
    }
}

/// A verdict must not depend on the welds beside it.
async fn check_batches(
    pool: &Pool,
    block: &Arc<RowBlock>,
    verdicts: &[Verdict],
    batch_rows: usize,
    report: &mut Report,
) {
    match batches::compare(pool, block, verdicts).await {
        Ok(Alike::Within(difference)) => report.ok(
            "batches",
            format!("each row alone and in batches of {batch_rows} alike, within {difference:.0e}"),
        ),
        Ok(Alike::No(row, output, together, alone)) => {
            let shown = |value: Option<f32>| {
                value.map_or_else(|| "none".to_owned(), |value| value.to_string())
            };
            report.failed(
                "batches",
                format!(
                    "record {}: {output} is {} in a batch of up to {batch_rows} rows and {} alone, so a weld's verdict depends on \
                     the welds beside it; a dynamically quantised model does that: quantise it statically, or leave it as it was",
                    block.id(row),
                    shown(together),
                    shown(alone)
                ),
            );
        }
        Err(error) => report.failed("batches", error.to_string()),
    }
}

/// What bf16 would change, where this worker computes it; more than its limits only where it is what is configured.
async fn check_precision(
    settings: &Settings,
    judging: &Judging,
    source: &SourceTable,
    report: &mut Report,
) {
    let Some(models) = precision::both(judging) else {
        return;
    };
    let compared = match source.latest_rows(PRECISION_ROWS).await {
        Ok(block) => precision::compare(judging, models, &Arc::new(block)).await,
        Err(error) => return report.failed("precision", error.chain()),
    };
    match (compared, settings.model.precision) {
        (Ok(found), Precision::Bf16) if !found.is_within(&settings.model.bf16_limits) => {
            report.failed(
                "precision",
                format!(
                    "{}; more than model.bf16_limits allow: use model.precision = \"f32\"",
                    found.in_words()
                ),
            );
        }
        (Ok(found), _) => report.ok("precision", found.in_words()),
        (Err(error), Precision::Bf16) => report.failed("precision", chain(&error)),
        (Err(error), Precision::F32 | Precision::Fp16) => {
            report.warning("precision", chain(&error))
        }
    }
}
