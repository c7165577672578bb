//! How far distributions have moved; all counting is the server's.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_weld::columns::MEASURE_NAMES;

use super::{SourceTable, quality::number};
use crate::{commas, errors::StoreError, range::Day};

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

#[derive(Row, Deserialize)]
struct ShiftRow {
    values: Vec<u64>,
    means: Vec<f64>,
    reference_bins: Vec<u64>,
    day_bins: Vec<u64>,
}

impl SourceTable {
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
        let (source, both) = (schema.rows(), usable(&schema.on_days(&[reference, day])));
        let is_reference = schema.on_day(reference);
        let is_day = schema.on_day(day);
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
            deciles = commas((1..BINS).map(|tenth| tenth as f64 / BINS as f64)),
            reference_rows = usable(&is_reference),
            reference_bins = bins("is_reference"),
            day_bins = bins("is_day"),
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
}
