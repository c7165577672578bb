//! Units, from the maxima of the latest rows.

use std::ops::Range;

use weldfleet_words::words;

use crate::{Facts, OldConfig, facts::SourceTable, old::Old};

use super::{Adoption, columns::ColumnMap, number};

/// A unit that stored values may be in: `value × scale` is in `unit`; what a usual weld has, as stored.
struct Unit {
    unit: &'static str,
    scale: f64,
    usual: Range<f64>,
}

const fn unit(unit: &'static str, scale: f64, usual: Range<f64>) -> Unit {
    Unit { unit, scale, usual }
}

/// Welds are made with 0.5 to 5 V and 3 to 30 kA; each decade is another unit.
const UMAX: &[Unit] = &[
    unit("V", 1.0, 0.5..5.0),
    unit("V", 0.1, 5.0..50.0),
    unit("mV", 10.0, 50.0..500.0),
    unit("mV", 1.0, 500.0..5000.0),
];
const IMAX: &[Unit] = &[
    unit("kA", 1.0, 3.0..30.0),
    unit("kA", 0.1, 30.0..300.0),
    unit("A", 10.0, 300.0..3000.0),
    unit("A", 1.0, 3000.0..30000.0),
];

/// The small unit of a quantity in its base.
const SMALL: f64 = 0.001;
/// How far a curve's maximum may be from the row's own, relative, to be in a unit.
const NEAR: f64 = 0.3;
/// Rows from which a unit is told.
const FEWEST: usize = 10;
/// What `validation.max_length_gap` is by default.
const USUAL_GAP: usize = 2;

/// Voltage or current: how our columns and keys of it begin, and its units.
struct Quantity {
    letter: &'static str,
    units: &'static [Unit],
    /// The unit in which the fleet reckons, and a thousandth of it.
    base: &'static str,
    small: &'static str,
}

const QUANTITIES: [Quantity; 2] = [
    Quantity {
        letter: "u",
        units: UMAX,
        base: "V",
        small: "mV",
    },
    Quantity {
        letter: "i",
        units: IMAX,
        base: "kA",
        small: "A",
    },
];

impl Quantity {
    /// The column of the curve.
    fn curve(&self) -> String {
        format!("{}_curve", self.letter)
    }

    /// The column of the row's own maximum.
    fn maximum(&self) -> String {
        format!("{}max", self.letter)
    }
}

pub(super) fn plan(adoption: &mut Adoption, old: &OldConfig, facts: &Facts, map: &ColumnMap) {
    let table = facts
        .source
        .as_ref()
        .ok()
        .filter(|table| !table.rows.is_empty());
    for quantity in &QUANTITIES {
        match table.and_then(|table| maxima(table, map, quantity)) {
            Some(maxima) => units(adoption, quantity, &maxima),
            None => {
                let mut ours = [quantity.curve(), quantity.maximum()].into_iter();
                let missing = ours.find(|ours| table.is_some() && map.get(ours).is_none());
                unknown(adoption, quantity, missing.as_deref());
            }
        }
    }
    interval(adoption, old, table, map);
    if let Some(table) = table {
        lengths(adoption, table, map);
    }
}

/// Of the latest rows that have both a curve and a maximum: that maximum and the curve's, as stored.
fn maxima(table: &SourceTable, map: &ColumnMap, quantity: &Quantity) -> Option<Vec<(f64, f64)>> {
    let maxima = table.values(map.get(&quantity.maximum())?);
    let curves = table.values(map.get(&quantity.curve())?);
    let maxima: Vec<(f64, f64)> = maxima
        .into_iter()
        .zip(curves)
        .filter_map(|(maximum, curve)| {
            let maximum = number(maximum).filter(|value| *value > 0.0)?;
            let top = samples(curve?)
                .into_iter()
                .fold(f64::NEG_INFINITY, f64::max);
            (top > 0.0).then_some((maximum, top))
        })
        .collect();
    (maxima.len() >= FEWEST).then_some(maxima)
}

fn units(adoption: &mut Adoption, quantity: &Quantity, maxima: &[(f64, f64)]) {
    let rows = maxima.len();
    let maximum = median(maxima.iter().map(|pair| pair.0).collect());
    let top = median(maxima.iter().map(|pair| pair.1).collect());
    let name = quantity.maximum();
    let (unit_key, scale_key) = (format!("{name}_unit"), format!("{name}_scale"));
    let mut units = quantity.units.iter();
    let Some(own) = units.find(|unit| unit.usual.contains(&maximum)) else {
        adoption.question(
            "curves",
            &unit_key,
            quantity.base,
            words!(
                "in which unit is `{name}`? its median of {rows} rows is {maximum}, which is no usual weld in any",
                "`{name}` 的单位是什么？{rows} 行的中位数为 {maximum}，在任何单位下都不像常见的焊点",
            ),
        );
        return;
    };
    let base_per_unit = if own.unit == quantity.base {
        1.0
    } else {
        SMALL
    };
    let base_per_stored = own.scale * base_per_unit;
    let (base, real) = (quantity.base, rounded(maximum * base_per_stored));
    let why = words!(
        "the median `{name}` of {rows} rows is {maximum}, a usual weld's {real} {base} in this unit",
        "{rows} 行 `{name}` 的中位数为 {maximum}，按此单位是常见的 {real} {base}",
    );
    adoption.guessed("curves", &unit_key, own.unit, why);
    if own.scale != 1.0 {
        let (scale, unit) = (own.scale, own.unit);
        let why = words!(
            "stored values are {scale} {unit} each",
            "存储值的 1 相当于 {scale} {unit}",
        );
        adoption.guessed("curves", &scale_key, own.scale, why);
    }
    curve_unit(adoption, quantity, maxima, base_per_stored, (maximum, top));
}

fn curve_unit(
    adoption: &mut Adoption,
    quantity: &Quantity,
    maxima: &[(f64, f64)],
    base_per_stored: f64,
    (maximum, top): (f64, f64),
) {
    let (name, curve, letter) = (quantity.maximum(), quantity.curve(), quantity.letter);
    let (unit_key, scale_key) = (format!("{letter}_unit"), format!("{letter}_scale"));
    // How far the curve's maximum is from the row's, if a sample were in this unit.
    let distance = |factor: &dyn Fn(f64) -> f64| {
        let ratios = maxima.iter().map(|(maximum, top)| {
            let own = maximum * base_per_stored;
            (top * factor(own) / own - 1.0).abs()
        });
        median(ratios.collect())
    };
    let small = quantity.small;
    let percent = format!("percent_of_{name}");
    let mut candidates = vec![
        (percent.as_str(), 1.0, distance(&|own| own / 100.0)),
        (quantity.base, 1.0, distance(&|_| 1.0)),
        (small, 1.0, distance(&|_| SMALL)),
        (quantity.base, 0.1, distance(&|_| 0.1)),
        (small, 10.0, distance(&|_| 10.0 * SMALL)),
    ];
    candidates.retain(|(_, _, distance)| *distance <= NEAR);
    // Of two that fit about alike, the one that is written more often.
    let best = candidates
        .iter()
        .map(|candidate| candidate.2)
        .fold(f64::INFINITY, f64::min);
    let Some((unit, scale, _)) = candidates
        .iter()
        .find(|(_, _, distance)| *distance <= best + 0.1)
        .copied()
    else {
        adoption.question(
            "curves",
            &unit_key,
            quantity.base,
            words!(
                "in which unit is `{curve}`? its maximum is {top} where `{name}` is {maximum}",
                "`{curve}` 的单位是什么？`{name}` 为 {maximum} 时其最大值为 {top}",
            ),
        );
        return;
    };
    let mut why = words!(
        "its maximum is {top} where `{name}` is {maximum} (medians)",
        "`{name}` 为 {maximum} 时其最大值为 {top}（中位数）",
    );
    if let Some((other, scale, _)) = candidates
        .iter()
        .find(|other| (other.0, other.1) != (unit, scale))
    {
        let other = if *scale == 1.0 {
            (*other).to_owned()
        } else {
            format!("{scale} {other}")
        };
        why = why.and(&words!(
            "{other} would fit too, please look",
            "{other} 也符合，请确认"
        ));
    }
    adoption.guessed("curves", &unit_key, unit, why);
    if scale != 1.0 {
        let why = words!(
            "samples are {scale} {unit} each",
            "存储值的 1 相当于 {scale} {unit}"
        );
        adoption.guessed("curves", &scale_key, scale, why);
    }
}

/// `missing` is the column that was not found, if that is why.
fn unknown(adoption: &mut Adoption, quantity: &Quantity, missing: Option<&str>) {
    let (letter, least) = (quantity.letter, FEWEST);
    for (key, name) in [
        (format!("{letter}_unit"), quantity.curve()),
        (format!("{letter}max_unit"), quantity.maximum()),
    ] {
        adoption.question(
            "curves",
            &key,
            quantity.base,
            match missing {
                Some(column) => words!(
                    "in which unit is `{name}`? the column of `{column}`, which would tell it, was not found",
                    "`{name}` 的单位是什么？没有找到可供判断的列 `{column}`",
                ),
                None => words!(
                    "in which unit is `{name}`? there are no {least} rows that would tell it",
                    "`{name}` 的单位是什么？没有 {least} 行数据可供判断",
                ),
            },
        );
    }
}

fn interval(
    adoption: &mut Adoption,
    old: &OldConfig,
    table: Option<&SourceTable>,
    map: &ColumnMap,
) {
    if let Some(found) = old.text(Old::SampleIntervalMs)
        && let Ok(ms) = found.value.parse::<f64>()
    {
        return adoption.mapped("curves", "sample_interval_ms", ms, &found.path);
    }
    let lengths: Vec<f64> = table
        .zip(map.get("i_curve"))
        .map(|(table, name)| table.values(name))
        .into_iter()
        .flatten()
        .flatten()
        .map(|text| samples(text).len() as f64)
        .filter(|length| *length > 0.0)
        .collect();
    let usual = 100.0..=1000.0;
    let length = median(lengths);
    if usual.contains(&length) {
        let why = words!(
            "curves have {length} samples (median), and a weld lasts 0.1 to 1 s",
            "曲线长 {length} 点（中位数），而一个焊点持续 0.1 至 1 秒",
        );
        adoption.guessed("curves", "sample_interval_ms", 1.0, why);
    } else {
        let why = words!(
            "how many ms are between two samples? a curve has {length} samples (median), a weld lasts 0.1 to 1 s",
            "两个采样点相隔多少毫秒？曲线长 {length} 点（中位数），一个焊点持续 0.1 至 1 秒",
        );
        adoption.question("curves", "sample_interval_ms", 1.0, why);
    }
}

/// Curves whose lengths differ by more than is cut without a word.
fn lengths(adoption: &mut Adoption, table: &SourceTable, map: &ColumnMap) {
    let (Some(u), Some(i)) = (map.get("u_curve"), map.get("i_curve")) else {
        return;
    };
    let gaps = table.values(u).into_iter().zip(table.values(i));
    let gaps: Vec<usize> = gaps
        .filter_map(|(u, i)| Some(samples(u?).len().abs_diff(samples(i?).len())))
        .collect();
    let largest = gaps.iter().copied().max().unwrap_or_default();
    let unequal = gaps.iter().filter(|gap| **gap > USUAL_GAP).count();
    if unequal == 0 {
        return;
    }
    let (rows, usual) = (gaps.len(), USUAL_GAP);
    adoption.question(
        "validation",
        "max_length_gap",
        i64::try_from(largest).unwrap_or(i64::MAX),
        words!(
            "{unequal} of {rows} rows have curves that differ by more than {usual} samples and will be `invalid`; cut up to {largest}?",
            "{rows} 行中有 {unequal} 行两条曲线长度相差超过 {usual} 点，将标为 `invalid`（无效）；最多允许截去 {largest} 点吗？",
        ),
    );
}

/// The numbers of an array or of a text of one, whatever stands between them.
fn samples(text: &str) -> Vec<f64> {
    text.split(|c: char| !(c.is_ascii_digit() || ['.', '-', '+', 'e', 'E'].contains(&c)))
        .filter_map(|word| word.parse().ok())
        .filter(|value: &f64| value.is_finite())
        .collect()
}

/// Rounded to three places, for people.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied();
    rounded(middle.unwrap_or_default())
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_any_text_are_read() {
        for text in [
            "[1,2.5,-3]",
            "['1', '2.5', '-3']",
            "1;2.5;-3",
            "[1, 2.5, -3e0]",
        ] {
            assert_eq!(samples(text), [1.0, 2.5, -3.0], "{text}");
        }
        assert_eq!(samples("None"), Vec::<f64>::new());
    }
}
