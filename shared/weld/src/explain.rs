//! What a person needs to see to understand what the rules said about one weld. All times in ms since the first sample.

use std::ops::Range;

use serde::Serialize;

use crate::{
    Outcome, Weld,
    curves::Curves,
    rules::{Basis, Findings, Hit, RuleScratch, RuleSet, Stretch},
    units::CurveUnits,
};

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// Beginning, ms.
    pub start_ms: f64,
    /// End, ms.
    pub end_ms: f64,
}

/// A peak of smoothed R.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PeakMark {
    /// When, ms.
    pub t_ms: f64,
    /// Smoothed R, mΩ.
    pub value: f64,
    /// Height above its bases, mΩ.
    pub prominence: f64,
    /// Width, ms.
    pub width_ms: f64,
}

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// When, ms.
    pub t_ms: f64,
    pub value: f64,
}

/// What the rules saw.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// Time between two samples, ms.
    pub sample_interval_ms: f64,
    /// `umax`, V.
    pub umax: f32,
    /// `imax`, kA.
    pub imax: f32,
    /// Voltage, V.
    pub u: Vec<f32>,
    /// Current, kA.
    pub i: Vec<f32>,
    /// What the model was fed; None where the model is off.
    pub fed: Option<Span>,
    /// Time between two values of `r`, ms: the rules' own steps.
    pub step_ms: f64,
    /// Resistance, mΩ; None where I or U is below its floor.
    pub r: Vec<Option<f32>>,
    /// Smoothed R of the main pulse, mΩ.
    pub smoothed: Vec<Point>,
    pub pulses: Vec<Span>,
    /// Index of the main pulse in `pulses`.
    pub main_pulse: Option<usize>,
    pub gaps: Vec<Span>,
    /// Peaks of smoothed R, hits or not.
    pub peaks: Vec<PeakMark>,
    pub hits: Vec<Hit>,
    /// The rules' word; None where they are off.
    pub rule_result: Option<Outcome>,
    /// Whether the weld was judged on U alone, its current being too low to trust R.
    pub judged_on_voltage: bool,
}

impl Explanation {
    /// The curves of a weld as they were recorded, and nothing that follows from them. `None` where there is no finite
    /// sample to see.
    pub(crate) fn as_recorded(weld: &Weld<'_>, units: &CurveUnits) -> Option<Self> {
        let (umax, imax) = (
            units.umax_volts(weld.umax),
            units.imax_kiloamperes(weld.imax),
        );
        let scaled = |samples: &[f32], factor: f32| -> Vec<f32> {
            samples.iter().map(|sample| sample * factor).collect()
        };
        let u = scaled(weld.u, units.u_factor(umax));
        let i = scaled(weld.i, units.i_factor(imax));
        if !u.iter().chain(&i).any(|value| value.is_finite()) {
            return None;
        }
        Some(Self {
            sample_interval_ms: units.sample_interval_ms,
            umax,
            imax,
            u,
            i,
            step_ms: units.sample_interval_ms,
            ..Self::default()
        })
    }

    /// How long the longer curve is, ms.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for drawing")]
    pub fn end_ms(&self) -> f64 {
        self.u.len().max(self.i.len()).max(1) as f64 * self.sample_interval_ms
    }

    #[expect(clippy::cast_precision_loss, reason = "for drawing")]
    pub(crate) fn new(
        curves: &Curves,
        part_no: &str,
        rules: &RuleSet,
        fed: Option<Range<usize>>,
        findings: Option<Findings>,
        scratch: &RuleScratch,
    ) -> Self {
        let sample_interval_ms = curves.sample_interval_ms();
        let step_ms = rules.step_ms(part_no);
        let ms = |steps: usize| steps as f64 * step_ms;
        let span = |stretch: &Stretch| Span {
            start_ms: ms(stretch.start),
            end_ms: ms(stretch.end),
        };
        let mut explanation = Self {
            sample_interval_ms,
            umax: curves.umax(),
            imax: curves.imax(),
            u: curves.u().to_vec(),
            i: curves.i().to_vec(),
            fed: fed.map(|fed| Span {
                start_ms: fed.start as f64 * sample_interval_ms,
                end_ms: fed.end as f64 * sample_interval_ms,
            }),
            step_ms,
            r: rules.resistance(part_no, curves),
            ..Self::default()
        };
        let Some(findings) = findings else {
            return explanation;
        };
        let smoothed = &scratch.smoothed;
        let at = |index: usize| ms(smoothed.first_step + index);
        explanation.smoothed = smoothed
            .values
            .iter()
            .enumerate()
            .map(|(index, value)| Point {
                t_ms: at(index),
                value: *value,
            })
            .collect();
        explanation.peaks = smoothed
            .peaks
            .iter()
            .map(|peak| PeakMark {
                t_ms: at(peak.index),
                value: smoothed.values[peak.index],
                prominence: peak.prominence,
                width_ms: peak.width * step_ms,
            })
            .collect();
        explanation.pulses = scratch.segments.pulses.iter().map(span).collect();
        explanation.gaps = scratch.segments.gaps.iter().map(span).collect();
        explanation.main_pulse = scratch.segments.main;
        explanation.judged_on_voltage = scratch.basis == Basis::Voltage;
        explanation.rule_result = Some(findings.outcome);
        explanation.hits = findings.hits;
        explanation
    }
}
