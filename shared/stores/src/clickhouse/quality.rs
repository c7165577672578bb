//! How good the verdicts are, and how far distributions have moved; all counting is the server's.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_settings::columns::TRUTH_COLUMNS;
use weldfleet_weld::columns::MEASURE_NAMES;

use super::{SourceTable, verdict_words::VerdictWords};
use crate::{errors::StoreError, range::Day};

/// The column of the truth that a measure is compared with.
pub(super) fn measured(measure: &str) -> Option<&'static str> {
    let mut columns = TRUTH_COLUMNS.iter().copied();
    columns.find(|column| column.strip_prefix("measured_") == Some(measure))
}

/// Columns whose distributions are compared.
pub fn drifting() -> impl Iterator<Item = &'static str> {
    ["umax", "imax", "ml_nok_prob"]
        .into_iter()
        .chain(MEASURE_NAMES)
}

/// Bins of the population stability index: deciles of the reference.
const BINS: usize = 10;
/// Share of the reference's values from which one value is a bin of its own.
const OFTEN: f64 = 0.025;
/// And how many of them, where the reference has few values.
const SOME: u64 = 10;
/// With fewer values on one of the days chance alone moves the index: of equal distributions it is about
/// (bins − 1)·(1/n + 1/m), which is 0.09 here and more below.
pub const FEWEST_VALUES: u64 = 200;
/// Share that stands for an empty bin, so that the index stays finite.
const EMPTY_SHARE: f64 = 1e-4;

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

/// One column's distribution on two days.
#[derive(Debug, Clone, PartialEq)]
pub struct Shift {
    /// Our name of the column.
    pub column: &'static str,
    /// Values on the reference day and on the day.
    pub values: (u64, u64),
    /// Their means.
    pub means: (f64, f64),
    /// Largest distance of the cumulative distributions, 0 to 1; `None` where one day has no value.
    pub ks: Option<f64>,
    /// Population stability index over the reference's deciles; `None` where one day has fewer than [`FEWEST_VALUES`].
    pub psi: Option<f64>,
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

#[derive(Row, Deserialize)]
struct ShiftRow {
    values: Vec<u64>,
    means: Vec<f64>,
    reference_bins: Vec<u64>,
    day_bins: Vec<u64>,
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
                let measured = measured(measure).filter(|column| schema.has(column));
                let Some(measured) = measured else {
                    return "nan".to_owned();
                };
                let distance = format!(
                    "abs(toFloat64({}) - toFloat64({}))",
                    schema.column(measure),
                    schema.column(measured)
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
        let label = labelled.then(|| VerdictWords::of(schema, "label").is_either());
        let sql = format!(
            "SELECT {version} AS model_version, count() AS rows FROM {source} WHERE {days} AND {status} = 'ok'{and}{label} \
             GROUP BY 1 ORDER BY 2 DESC, 1",
            version = schema.text("model_version"),
            source = schema.rows(),
            days = schema.on_days(days),
            status = schema.column("alg_status"),
            and = if labelled { " AND " } else { "" },
            label = label.unwrap_or_default(),
        );
        self.server.all("list models", &sql).await
    }

    /// How far one column's distribution on `day` is from that on `reference`.
    pub async fn shift(
        &self,
        column: &'static str,
        reference: Day,
        day: Day,
    ) -> Result<Shift, StoreError> {
        let schema = &self.schema;
        schema.require(column, "", format!("map one with columns.{column}"))?;
        let value = schema.number(column, "Float64");
        let usable = |days: &str| format!("{days} AND isFinite({value})");
        let is_reference = schema.on_day(reference);
        let is_day = schema.on_day(day);
        let deciles: Vec<String> = (1..BINS)
            .map(|tenth| format!("{}", tenth as f64 / BINS as f64))
            .collect();
        let bins = |wanted: &str| {
            format!(
                "sumForEach(arrayMap(b -> toUInt64({wanted} AND bin = b), range({})))",
                2 * BINS
            )
        };
        let sql = format!(
            "WITH (SELECT arraySort(arrayDistinct(quantilesExact({deciles})({value}))) FROM {source} WHERE {reference_rows}) AS cuts \
             SELECT [countIf(is_reference), countIf(is_day)] AS values, \
             [avgIf(v, is_reference), avgIf(v, is_day)] AS means, {reference_bins} AS reference_bins, {day_bins} AS day_bins \
             FROM (SELECT {value} AS v, {is_reference} AS is_reference, {is_day} AS is_day, \
             arrayCount(x -> v > x, cuts) + arrayCount(x -> v >= x, cuts) AS bin FROM {source} WHERE {both})",
            deciles = deciles.join(", "),
            source = schema.rows(),
            reference_rows = usable(&is_reference),
            reference_bins = bins("is_reference"),
            day_bins = bins("is_day"),
            both = usable(&schema.on_days(&[reference, day])),
        );
        let what = "compare distributions";
        let row: ShiftRow = self.server.one(what, &sql).await?;
        let (Ok(values), Ok(means)) = (
            <[u64; 2]>::try_from(row.values),
            <[f64; 2]>::try_from(row.means),
        ) else {
            return Err(StoreError::answer(what, "not two days"));
        };
        let comparable = values[0] > 0 && values[1] > 0;
        let mut ks = None;
        if comparable && reference != day {
            let sql = format!(
                "SELECT toFloat64(kolmogorovSmirnovTest('two-sided', 'asymp')({value}, toUInt8({is_day})).1) \
                 FROM {source} WHERE {both}",
                source = schema.rows(),
                both = usable(&schema.on_days(&[reference, day])),
            );
            ks = number(self.server.one(what, &sql).await?);
        }
        Ok(Shift {
            column,
            values: (values[0], values[1]),
            means: (means[0], means[1]),
            ks,
            psi: (values[0].min(values[1]) >= FEWEST_VALUES)
                .then(|| stability(&row.reference_bins, &row.day_bins)),
        })
    }
}

fn number(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Puts the values that are at a cut, those of odd bins, to the ones below it, as is usual. A value that many welds
/// have, such as the current of a program, stays a bin of its own: it may fall without passing the cut below.
fn without_rare_cuts(reference: &[u64], day: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let all: u64 = reference.iter().sum();
    let (mut kept, mut of_day) = (Vec::new(), Vec::new());
    for (bin, (there, here)) in reference.iter().zip(day).enumerate() {
        let is_rare = bin % 2 == 1 && (*there as f64) < (OFTEN * all as f64).max(SOME as f64);
        match (kept.last_mut(), of_day.last_mut()) {
            (Some(below), Some(below_of_day)) if is_rare => {
                *below += there;
                *below_of_day += here;
            }
            _ => {
                kept.push(*there);
                of_day.push(*here);
            }
        }
    }
    (kept, of_day)
}

/// Population stability index: the sum of (p − q)·ln(p / q) over the bins' shares.
fn stability(reference: &[u64], day: &[u64]) -> f64 {
    let (reference, day) = without_rare_cuts(reference, day);
    let shares = |bins: &[u64]| -> Vec<f64> {
        let all: u64 = bins.iter().sum();
        bins.iter()
            .map(|count| (*count as f64 / all.max(1) as f64).max(EMPTY_SHARE))
            .collect()
    };
    shares(&reference)
        .iter()
        .zip(shares(&day))
        .map(|(q, p)| (p - q) * (p / q).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stability_index_of_equal_shares_is_zero_and_grows_with_the_shift() {
        let even = [100; 10];
        assert_eq!(stability(&even, &[7; 10]), 0.0);
        let moved = stability(&even, &[50, 50, 100, 100, 100, 100, 100, 100, 150, 150]);
        // 2·(0.05−0.1)·ln(0.5) + 2·(0.15−0.1)·ln(1.5)
        assert!((moved - 0.109_861).abs() < 1e-5, "{moved}");
        assert!(stability(&even, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 10]) > 1.0);
    }

    #[test]
    fn a_value_that_many_have_is_a_bin_of_its_own() {
        // Two programs' currents, 60 and 40 of 100: below, at and between their cuts. All are lower the day after.
        let programs = [0, 60, 0, 40, 0];
        assert_eq!(stability(&programs, &[0, 60, 0, 40, 0]), 0.0);
        assert!(stability(&programs, &[60, 0, 40, 0, 0]) > 1.0);
        // One value in a hundred lies at each cut by chance and counts with those below it.
        let continuous = [9, 1, 90];
        assert_eq!(stability(&continuous, &[10, 0, 90]), 0.0);
        // Of few values one at a cut is a large share.
        let few = [97, 9, 194];
        assert_eq!(stability(&few, &[106, 0, 194]), 0.0);
    }

    #[test]
    fn precision_and_recall_of_nothing_are_none() {
        assert_eq!(Confusion::default().precision(), None);
        let some = Confusion::from([3, 1, 2, 94]);
        assert_eq!((some.precision(), some.recall()), (Some(0.75), Some(0.6)));
    }
}
