//! How good the verdicts are; all counting is the server's.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::columns::TRUTH_COLUMNS;
use weldfleet_weld::columns::MEASURE_NAMES;

use super::{Schema, SourceTable, verdict_words::VerdictWords};
use crate::{errors::StoreError, range::Day};

impl Schema {
    /// The column of the truth that a measure is compared with, if the table has it.
    pub(super) fn measured(&self, measure: &str) -> Option<&str> {
        let mut columns = TRUTH_COLUMNS.iter().copied();
        let of_measure = |column: &&str| column.strip_prefix("measured_") == Some(measure);
        let column = columns.find(of_measure);
        column
            .filter(|column| self.has(column))
            .map(|column| self.column(column))
    }
}

/// One judge against the labels; NOK is positive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confusion {
    /// NOK and labelled so.
    pub true_positive: u64,
    /// NOK but labelled OK.
    pub false_positive: u64,
    /// OK but labelled NOK.
    pub false_negative: u64,
    /// OK and labelled so.
    pub true_negative: u64,
}

impl From<[u64; 4]> for Confusion {
    fn from(counts: [u64; 4]) -> Self {
        let [true_positive, false_positive, false_negative, true_negative] = counts;
        Self {
            true_positive,
            false_positive,
            false_negative,
            true_negative,
        }
    }
}

impl Confusion {
    /// Share of its NOKs that are labelled so; `None` if it said none.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positive, self.true_positive + self.false_positive)
    }

    /// Share of the labelled NOKs it found; `None` if there is none.
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positive, self.true_positive + self.false_negative)
    }
}

pub(super) fn share(some: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| some as f64 / all as f64)
}

/// The verdicts of one day against its labels and measured values.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    pub day: Day,
    /// Rows that are judged and labelled.
    pub rows: u64,
    /// Those labelled NOK.
    pub labelled_nok: u64,
    pub fused: Confusion,
    /// The model alone; all 0 where it was off.
    pub model: Confusion,
    /// The rules alone; all 0 where they were off.
    pub rules: Confusion,
    /// Area under the precision-recall curve of `ml_nok_prob`; `None` without a NOK or without the model.
    pub auc_pr: Option<f64>,
    /// Mean absolute errors in the order of [`MEASURE_NAMES`], mm, of every judged row that was measured, labelled or
    /// not; `None` where nothing was measured.
    pub mean_absolute_error: [Option<f64>; 4],
}

/// Labelled rows of one day that have no verdict, and so no part in its [`Quality`].
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct LeftOut {
    /// YYYYMMDD.
    pub day: u32,
    pub rows: u64,
    pub labelled_nok: u64,
    pub invalid: u64,
    pub error: u64,
    pub poison: u64,
}

impl LeftOut {
    /// Those that nobody has looked at yet.
    pub fn waiting(&self) -> u64 {
        self.rows - self.invalid - self.error - self.poison
    }
}

/// Judged rows by the model that judged them.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct ModelRows {
    /// Empty where the model was off.
    pub model_version: String,
    pub rows: u64,
}

/// What is done, in errors.
const COMPARE: &str = "compare verdicts with labels";

#[derive(Row, Deserialize)]
struct QualityRow {
    day: u32,
    rows: u64,
    labelled_nok: u64,
    counts: Vec<u64>,
    auc_pr: f64,
    errors: Vec<f64>,
}

impl QualityRow {
    fn read(self) -> Result<Quality, StoreError> {
        let wrong = |why: &str| StoreError::answer(COMPARE, why);
        let (counts, []) = self.counts.as_chunks::<4>() else {
            return Err(wrong("not four counts a judge"));
        };
        let [fused, model, rules] = counts else {
            return Err(wrong("not three judges"));
        };
        let errors = self.errors.try_into();
        let errors: [f64; 4] = errors.map_err(|_| wrong("not four errors"))?;
        Ok(Quality {
            day: Day::new(self.day).map_err(|error| wrong(&error.to_string()))?,
            rows: self.rows,
            labelled_nok: self.labelled_nok,
            fused: Confusion::from(*fused),
            model: Confusion::from(*model),
            rules: Confusion::from(*rules),
            auc_pr: number(self.auc_pr),
            mean_absolute_error: errors.map(number),
        })
    }
}

impl SourceTable {
    /// Verdicts against labels and measured values, by day; days on which no judged row has either are left out.
    pub async fn quality(&self, days: &[Day]) -> Result<Vec<Quality>, StoreError> {
        let schema = &self.schema;
        schema.require(
            "label",
            " to compare verdicts with",
            "map one with columns.label (a text: OK or NOK; other rows are not counted)",
        )?;
        let words = VerdictWords::of(schema, "label");
        let is_nok = &words.is_nok;
        let counts = ["final_result", "ml_result", "rule_result"]
            .map(|judge| words.confusion_counts(schema.column(judge)));
        let mut comparable = vec![words.is_either()];
        let errors: Vec<String> = MEASURE_NAMES
            .iter()
            .map(|measure| {
                let Some(measured) = schema.measured(measure) else {
                    return "nan".to_owned();
                };
                let distance = format!(
                    "abs(toFloat64({}) - toFloat64({measured}))",
                    schema.column(measure)
                );
                // NULL or NaN where one of the two is missing. An average of nothing is NULL.
                let is_known = format!("ifNull(isFinite({distance}), 0)");
                let error = format!("ifNull(avgIf(toNullable({distance}), {is_known}), nan)");
                comparable.push(is_known);
                error
            })
            .collect();
        let probability = schema.column("ml_nok_prob");
        let either = words.is_either();
        let is_counted = format!("{either} AND {probability} IS NOT NULL");
        let sql = format!(
            "SELECT toUInt32({day}) AS day, countIf({either}) AS rows, countIf({is_nok}) AS labelled_nok, [{counts}] AS counts, \
             if(countIf({is_nok} AND {probability} IS NOT NULL) = 0, nan, toFloat64(arrayAUCPR( \
             groupArrayIf(assumeNotNull({probability}), {is_counted}), \
             groupArrayIf(toUInt8({is_nok}), {is_counted})))) AS auc_pr, \
             [{errors}] AS errors \
             FROM {source} WHERE {days} AND ({comparable}) AND {status} = 'ok' \
             GROUP BY 1 ORDER BY 1",
            day = schema.day_number(),
            counts = counts.join(", "),
            errors = errors.join(", "),
            source = schema.rows(),
            days = schema.on_days(days),
            comparable = comparable.join(" OR "),
            status = schema.column("alg_status"),
        );
        let rows: Vec<QualityRow> = self.server.all(COMPARE, &sql).await?;
        rows.into_iter().map(QualityRow::read).collect()
    }

    /// Labelled rows without a verdict, by day; days without any are left out.
    pub async fn left_out(&self, days: &[Day]) -> Result<Vec<LeftOut>, StoreError> {
        let schema = &self.schema;
        let words = VerdictWords::of(schema, "label");
        let status = format!("ifNull(toString({}), '')", schema.column("alg_status"));
        let counts = ["invalid", "error", "poison"]
            .map(|name| format!("countIf({status} = '{name}') AS {name}"));
        let sql = format!(
            "SELECT toUInt32({day}) AS day, count() AS rows, countIf({is_nok}) AS labelled_nok, {counts} FROM {source} \
             WHERE {days} AND {either} AND {status} != 'ok' GROUP BY 1 ORDER BY 1",
            day = schema.day_number(),
            is_nok = words.is_nok,
            counts = counts.join(", "),
            source = schema.rows(),
            days = schema.on_days(days),
            either = words.is_either(),
        );
        self.server.all(COMPARE, &sql).await
    }

    /// Which models judged the rows of these days, the most rows first; `labelled`: those that have a label alone.
    pub async fn models_of(
        &self,
        days: &[Day],
        labelled: bool,
    ) -> Result<Vec<ModelRows>, StoreError> {
        let schema = &self.schema;
        let labelled = match labelled {
            true => format!(" AND {}", VerdictWords::of(schema, "label").is_either()),
            false => String::new(),
        };
        let sql = format!(
            "SELECT {version} AS model_version, count() AS rows FROM {source} WHERE {days} AND {status} = 'ok'{labelled} \
             GROUP BY 1 ORDER BY 2 DESC, 1",
            version = schema.text("model_version"),
            source = schema.rows(),
            days = schema.on_days(days),
            status = schema.column("alg_status"),
        );
        self.server.all("list models", &sql).await
    }
}

/// What is none where it is not finite.
pub(super) fn number(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_and_recall_of_nothing_are_none() {
        assert_eq!(Confusion::default().precision(), None);
        let some = Confusion::from([3, 1, 2, 94]);
        assert_eq!((some.precision(), some.recall()), (Some(0.75), Some(0.6)));
    }
}
