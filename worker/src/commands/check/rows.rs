//! The latest rows, judged without writing.

use std::sync::Arc;

use serde_json::Value;
use weldfleet_service::exit::chain;
use weldfleet_settings::{Precision, Settings};
use weldfleet_stores::clickhouse::{RowBlock, SourceTable};
use weldfleet_weld::Verdict;

use super::{
    batches::{self, Alike},
    precision,
    report::Report,
    sample::Sample,
};
use crate::{inference::pool::Pool, judging::Judging};

/// Rows that are judged in both precisions.
const PRECISION_ROWS: u32 = 1000;
/// Rows of each part with a model of its own that are judged.
const ROWS_OF_A_PART: u32 = 3;

/// Judges the latest rows and says what they look like.
pub async fn check(
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
        let parts = &models.catalog.parts;
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
