//! `[validation]`: which rows can be judged at all, and why the others cannot.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::BadValue;

/// The `[validation]` section.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationLimits {
    /// Fewest samples a curve may have.
    pub min_points: usize,
    /// Lowest and highest `umax`, V, inclusive.
    pub u_max_range: [f64; 2],
    /// Lowest and highest `imax`, kA, inclusive.
    pub i_max_range: [f64; 2],
    /// How far a curve's maximum may be from `umax`/`imax`, relative to these; a curve may fall below zero by as much.
    pub max_mismatch: f64,
    /// Samples by which the curves' lengths may differ; the longer one is cut.
    pub max_length_gap: usize,
}

impl Default for ValidationLimits {
    fn default() -> Self {
        Self {
            min_points: 50,
            u_max_range: [0.2, 10.0],
            i_max_range: [0.5, 60.0],
            max_mismatch: 0.3,
            max_length_gap: 2,
        }
    }
}

/// Smallest and largest sample of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// Smallest sample; meaningless where one is not finite.
    pub min: f32,
    /// Largest sample; meaningless where one is not finite.
    pub max: f32,
    /// Index of the first NaN or infinity.
    pub first_non_finite: Option<usize>,
}

/// What validation looks at, in V and kA.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// `umax`, V.
    pub umax: f32,
    /// `imax`, kA.
    pub imax: f32,
    pub u: Extent,
    pub i: Extent,
}

/// Why a row is `invalid`. A closed set: dashboards group by [`Reason::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    EmptyCurve,
    UnequalCurves,
    TooShort,
    /// NaN or infinity in a curve or a maximum.
    NonFinite,
    UmaxOutOfRange,
    ImaxOutOfRange,
    /// The voltage curve's maximum is too far from `umax`.
    UmaxMismatch,
    /// The current curve's maximum is too far from `imax`.
    ImaxMismatch,
    /// The voltage curve falls too far below zero.
    NegativeVoltage,
    /// The current curve falls too far below zero.
    NegativeCurrent,
    /// A maximum is NULL, empty, or text that is no number.
    Missing,
    /// A sample of a curve is NULL, or text that is no number.
    CurveText,
}

impl Reason {
    /// Those that are looked for in numbers, in order.
    pub const OF_NUMBERS: [Self; 10] = [
        Self::EmptyCurve,
        Self::UnequalCurves,
        Self::TooShort,
        Self::NonFinite,
        Self::UmaxOutOfRange,
        Self::ImaxOutOfRange,
        Self::UmaxMismatch,
        Self::ImaxMismatch,
        Self::NegativeVoltage,
        Self::NegativeCurrent,
    ];

    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::EmptyCurve => "empty_curve",
            Self::UnequalCurves => "unequal_curves",
            Self::TooShort => "too_short",
            Self::NonFinite => "non_finite",
            Self::UmaxOutOfRange => "umax_out_of_range",
            Self::ImaxOutOfRange => "imax_out_of_range",
            Self::UmaxMismatch => "umax_mismatch",
            Self::ImaxMismatch => "imax_mismatch",
            Self::NegativeVoltage => "negative_voltage",
            Self::NegativeCurrent => "negative_current",
            Self::Missing => "missing",
            Self::CurveText => "curve_text",
        }
    }
}

/// A row that validation refused. Displays as `reason_code: measured value, limit`, the text of `alg_error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    pub reason: Reason,
    /// Measured value and limit.
    pub detail: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.code(), self.detail)
    }
}

impl std::error::Error for Invalid {}

impl ValidationLimits {
    /// # Errors
    /// The first key that is out of its range.
    pub fn check(&self) -> Result<(), BadValue> {
        BadValue::unless(
            self.min_points >= 2,
            "min_points",
            self.min_points,
            "a curve needs at least 2 points",
        )?;
        for (key, [low, high]) in [
            ("u_max_range", self.u_max_range),
            ("i_max_range", self.i_max_range),
        ] {
            BadValue::unless(
                low >= 0.0 && low < high && high <= 1e6,
                key,
                format_args!("[{low}, {high}]"),
                "give [lowest, highest] with 0 <= lowest < highest <= 1e6",
            )?;
        }
        BadValue::unless(
            self.max_mismatch > 0.0 && self.max_mismatch <= 1.0,
            "max_mismatch",
            self.max_mismatch,
            "give a relative difference above 0, at most 1",
        )
    }

    /// Checks what needs no look at the samples.
    pub(crate) fn check_lengths(&self, u: usize, i: usize) -> Result<(), Invalid> {
        let refuse = |reason, detail| Err(Invalid { reason, detail });
        match (u, i) {
            (0, 0) => refuse(
                Reason::EmptyCurve,
                "u_curve and i_curve have no points".to_owned(),
            ),
            (0, i) => refuse(
                Reason::EmptyCurve,
                format!("u_curve has no points, i_curve {i}"),
            ),
            (u, 0) => refuse(
                Reason::EmptyCurve,
                format!("i_curve has no points, u_curve {u}"),
            ),
            (u, i) if u.abs_diff(i) > self.max_length_gap => refuse(
                Reason::UnequalCurves,
                format!(
                    "u_curve has {u} points, i_curve {i}; allowed are {} apart",
                    self.max_length_gap
                ),
            ),
            (u, i) if u.min(i) < self.min_points => refuse(
                Reason::TooShort,
                format!("{} points, at least {} needed", u.min(i), self.min_points),
            ),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_measured(&self, measured: &Measured) -> Result<(), Invalid> {
        let refuse = |reason, detail| Err(Invalid { reason, detail });
        let Measured { umax, imax, u, i } = measured;
        for (name, value) in [("umax", umax), ("imax", imax)] {
            if !value.is_finite() {
                return refuse(Reason::NonFinite, format!("{name} is {value}"));
            }
        }
        for (name, extent) in [("u_curve", u), ("i_curve", i)] {
            if let Some(index) = extent.first_non_finite {
                return refuse(
                    Reason::NonFinite,
                    format!("{name} is not a finite number at point {index}"),
                );
            }
        }
        let quantities = [
            ("umax", "u_curve", "V", *umax, self.u_max_range, u),
            ("imax", "i_curve", "kA", *imax, self.i_max_range, i),
        ];
        for (k, (name, _, unit, value, [low, high], _)) in quantities.iter().enumerate() {
            let value = f64::from(*value);
            if !(*low..=*high).contains(&value) {
                let reason = [Reason::UmaxOutOfRange, Reason::ImaxOutOfRange][k];
                return refuse(
                    reason,
                    format!(
                        "{name} is {} {unit}, allowed are {low} to {high}",
                        Shown(value)
                    ),
                );
            }
        }
        for (k, (name, curve, unit, value, _, extent)) in quantities.iter().enumerate() {
            let (value, top) = (f64::from(*value), f64::from(extent.max));
            if (top - value).abs() > self.max_mismatch * value {
                let reason = [Reason::UmaxMismatch, Reason::ImaxMismatch][k];
                return refuse(
                    reason,
                    format!(
                        "maximum of {curve} is {} {unit}, {name} {} {unit}; allowed are {} % apart",
                        Shown(top),
                        Shown(value),
                        Shown(self.max_mismatch * 100.0),
                    ),
                );
            }
        }
        for (k, (name, curve, unit, value, _, extent)) in quantities.iter().enumerate() {
            let (limit, bottom) = (
                -self.max_mismatch * f64::from(*value),
                f64::from(extent.min),
            );
            if bottom < limit {
                let reason = [Reason::NegativeVoltage, Reason::NegativeCurrent][k];
                return refuse(
                    reason,
                    format!(
                        "minimum of {curve} is {} {unit}, allowed are {} {unit} ({} % of {name} below zero)",
                        Shown(bottom),
                        Shown(limit),
                        Shown(self.max_mismatch * 100.0),
                    ),
                );
            }
        }
        Ok(())
    }
}

/// A number with four decimals at most, for people.
struct Shown(f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 1e4).round() / 1e4;
        if rounded == 0.0 && self.0 != 0.0 {
            return write!(f, "{:e}", self.0);
        }
        write!(f, "{rounded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Weld, curves::Curves, units::CurveUnits};

    fn refusal(umax: f32, imax: f32, u: &[f32], i: &[f32]) -> String {
        let part_no = "";
        let weld = Weld {
            part_no,
            umax,
            imax,
            u,
            i,
            scalars: &[],
        };
        let mut curves = Curves::default();
        let refused = curves.load(&weld, &CurveUnits::default(), &ValidationLimits::default());
        refused.map_or_else(|invalid| invalid.to_string(), |()| "valid".to_owned())
    }

    fn with(curve: &[f32], index: usize, value: f32) -> Vec<f32> {
        let mut changed = curve.to_vec();
        changed[index] = value;
        changed
    }

    #[test]
    fn every_reason_says_what_was_measured_and_what_is_allowed() {
        let (u, i) = (vec![2.5_f32; 60], vec![9.0_f32; 60]);
        assert_eq!(refusal(2.5, 9.0, &u, &i), "valid");
        assert_eq!(refusal(2.5, 9.0, &u[2..], &i), "valid");
        let cases = [
            (
                refusal(2.5, 9.0, &[], &[]),
                "empty_curve: u_curve and i_curve have no points",
            ),
            (
                refusal(2.5, 9.0, &[], &i),
                "empty_curve: u_curve has no points, i_curve 60",
            ),
            (
                refusal(2.5, 9.0, &u, &[]),
                "empty_curve: i_curve has no points, u_curve 60",
            ),
            (
                refusal(2.5, 9.0, &u, &i[3..]),
                "unequal_curves: u_curve has 60 points, i_curve 57; allowed are 2 apart",
            ),
            (
                refusal(2.5, 9.0, &u[11..], &i[11..]),
                "too_short: 49 points, at least 50 needed",
            ),
            (refusal(f32::NAN, 9.0, &u, &i), "non_finite: umax is NaN"),
            (
                refusal(2.5, f32::INFINITY, &u, &i),
                "non_finite: imax is inf",
            ),
            (
                refusal(2.5, 9.0, &with(&u, 59, f32::NAN), &i),
                "non_finite: u_curve is not a finite number at point 59",
            ),
            (
                refusal(2.5, 9.0, &u, &with(&i, 3, f32::NEG_INFINITY)),
                "non_finite: i_curve is not a finite number at point 3",
            ),
            (
                refusal(0.19, 9.0, &u, &i),
                "umax_out_of_range: umax is 0.19 V, allowed are 0.2 to 10",
            ),
            (
                refusal(2.5, 60.5, &u, &i),
                "imax_out_of_range: imax is 60.5 kA, allowed are 0.5 to 60",
            ),
            (
                refusal(4.0, 9.0, &u, &i),
                "umax_mismatch: maximum of u_curve is 2.5 V, umax 4 V; allowed are 30 % apart",
            ),
            (
                refusal(2.5, 6.5, &u, &i),
                "imax_mismatch: maximum of i_curve is 9 kA, imax 6.5 kA; allowed are 30 % apart",
            ),
            (
                refusal(2.5, 9.0, &with(&u, 0, -0.8), &i),
                "negative_voltage: minimum of u_curve is -0.8 V, allowed are -0.75 V (30 % of umax below zero)",
            ),
            (
                refusal(2.5, 9.0, &u, &with(&i, 0, -3.0)),
                "negative_current: minimum of i_curve is -3 kA, allowed are -2.7 kA (30 % of imax below zero)",
            ),
        ];
        for (found, wanted) in &cases {
            assert_eq!(found, wanted);
        }
        for reason in Reason::OF_NUMBERS {
            assert!(
                cases
                    .iter()
                    .any(|(found, _)| found.starts_with(&format!("{}: ", reason.code()))),
                "{} has no case",
                reason.code()
            );
        }
    }

    #[test]
    fn limits_out_of_range_name_their_key() {
        ValidationLimits::default().check().unwrap();
        let bad = [
            (
                "min_points = 1",
                "`min_points` is 1: a curve needs at least 2 points",
            ),
            (
                "u_max_range = [3.0, 3.0]",
                "`u_max_range` is [3, 3]: give [lowest",
            ),
            (
                "i_max_range = [nan, 3.0]",
                "`i_max_range` is [NaN, 3]: give [lowest",
            ),
            ("max_mismatch = 0.0", "`max_mismatch` is 0: give a relative"),
        ];
        for (text, wanted) in bad {
            let limits: ValidationLimits = toml::from_str(text).unwrap();
            let error = limits.check().unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
