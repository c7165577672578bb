//! Rules ready to run: settings turned into sample counts, one plan per part.

use std::collections::HashMap;

use super::{
    Hit, Rule, RulesFile, Segments, bands,
    expulsion::{self, Signal},
    resistance_peak::Smoothed,
    settings::RuleSettings,
};
use crate::{Outcome, curves::Curves, peaks::PeakQuery, vectors::widest};

/// Why a rule could not judge a weld: the row becomes `error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {problem}")]
pub struct RuleError {
    /// The rule.
    pub rule: Rule,
    /// What it met.
    pub problem: String,
}

/// What a weld was judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Basis {
    /// R of the main pulse.
    #[default]
    Resistance,
    /// U alone, since `imax` is below the current floor.
    Voltage,
}

/// What the rules say about a weld.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// Every hit, by time, then by rule.
    pub hits: Vec<Hit>,
    /// NOK if any hit is in `nok_on`.
    pub outcome: Outcome,
}

/// Settings of one part in samples.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub settings: RuleSettings,
    pub sample_interval_ms: f64,
    pub min_pulse: usize,
    pub max_pulses: usize,
    pub prepulse: [usize; 2],
    pub pause: [usize; 2],
    pub expulsion: ExpulsionPlan,
    pub peak: PeakPlan,
    pub interruption_flag: usize,
    pub short_pulse_flag: usize,
    pub short_pulse_warn: usize,
    pub end_window: usize,
    pub end_guard: usize,
}

#[derive(Debug, Clone)]
pub(super) struct ExpulsionPlan {
    pub delay: usize,
    pub start_guard: usize,
    pub end_guard: usize,
    pub refractory: usize,
    pub persist: usize,
    /// A ratio after/before above this is surely no hit, whatever `f32` rounding did.
    pub candidate_ratio: f32,
}

#[derive(Debug, Clone)]
pub(super) struct PeakPlan {
    pub start_guard: usize,
    pub end_guard: usize,
    pub after: usize,
    pub smooth: usize,
    pub query: PeakQuery,
}

impl Plan {
    pub(super) fn new(settings: &RuleSettings, sample_interval_ms: f64) -> Self {
        let samples = |ms: f64| samples(ms, sample_interval_ms);
        let expulsion = &settings.expulsion;
        let peak = &settings.resistance_peak;
        Self {
            sample_interval_ms,
            min_pulse: samples(settings.pulses.min_pulse_ms),
            max_pulses: settings.pulses.max_pulses,
            prepulse: settings.pulses.prepulse_ms.map(samples),
            pause: settings.pulses.pause_ms.map(samples),
            expulsion: ExpulsionPlan {
                delay: samples(expulsion.delay_ms),
                start_guard: samples(expulsion.start_guard_ms),
                end_guard: samples(expulsion.end_guard_ms),
                refractory: samples(expulsion.refractory_ms).max(1),
                persist: samples(expulsion.persist_ms),
                candidate_ratio: single(1.0 - expulsion.warn) + 1e-4,
            },
            peak: PeakPlan {
                start_guard: samples(peak.start_guard_ms),
                end_guard: samples(peak.end_guard_ms),
                after: samples(peak.after_ms),
                smooth: samples(peak.smooth_ms).max(1),
                query: PeakQuery {
                    min_prominence: peak.warn_mohm,
                    width: [
                        peak.min_width_ms / sample_interval_ms,
                        peak.max_width_ms / sample_interval_ms,
                    ],
                    rel_height: peak.rel_height,
                },
            },
            interruption_flag: samples(settings.interruption.flag_ms).max(1),
            short_pulse_flag: samples(settings.short_pulse.flag_below_ms),
            short_pulse_warn: samples(settings.short_pulse.warn_below_ms),
            end_window: samples(settings.resistance_end_high.window_ms).max(1),
            end_guard: samples(settings.resistance_end_high.end_guard_ms),
            settings: settings.clone(),
        }
    }

    /// Time of a sample since the curve's first, ms.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sample counts are far below 2^52"
    )]
    pub(super) fn ms(&self, samples: usize) -> f64 {
        samples as f64 * self.sample_interval_ms
    }
}

/// To the nearest sample, halves upwards.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "settings are from 0 to 1e6 ms and intervals from 0.01 ms"
)]
fn samples(ms: f64, sample_interval_ms: f64) -> usize {
    (ms / sample_interval_ms + 0.5).floor() as usize
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to f32 is what is wanted"
)]
fn single(value: f64) -> f32 {
    value as f32
}

/// Rules of all parts, for one sampling interval.
#[derive(Debug, Clone)]
pub struct RuleSet {
    all: Plan,
    parts: HashMap<String, Plan>,
}

/// Reusable buffers of [`RuleSet::judge`]; after a call, what it saw.
#[derive(Debug, Clone, Default)]
pub struct RuleScratch {
    pub(crate) basis: Basis,
    pub(crate) segments: Segments,
    pub(crate) smoothed: Smoothed,
    /// R of the main pulse, mΩ; 0 where it is not trusted.
    r: Vec<f32>,
    trusted: Vec<bool>,
    medians: Vec<f32>,
}

impl RuleSet {
    /// `file` must have been checked, as [`RulesFile::from_toml`] does.
    #[must_use]
    pub fn new(file: &RulesFile, sample_interval_ms: f64) -> Self {
        Self {
            all: Plan::new(&file.all, sample_interval_ms),
            parts: file
                .parts
                .iter()
                .map(|(part, settings)| (part.clone(), Plan::new(settings, sample_interval_ms)))
                .collect(),
        }
    }

    /// The settings that apply to a part.
    #[must_use]
    pub fn settings(&self, part_no: &str) -> &RuleSettings {
        &self.plan(part_no).settings
    }

    fn plan(&self, part_no: &str) -> &Plan {
        if self.parts.is_empty() {
            return &self.all;
        }
        self.parts.get(part_no).unwrap_or(&self.all)
    }

    /// Judges validated curves by the rules of `part_no`.
    ///
    /// # Errors
    /// [`RuleError`] if a rule meets a number it cannot judge.
    pub fn judge(
        &self,
        part_no: &str,
        curves: &Curves,
        scratch: &mut RuleScratch,
    ) -> Result<Findings, RuleError> {
        let plan = self.plan(part_no);
        let settings = &plan.settings;
        let (u, i) = (curves.u(), curves.i());
        let mut hits = Vec::new();
        scratch.smoothed.clear();
        scratch.basis = if f64::from(curves.imax()) < settings.pulses.current_floor_ka {
            Basis::Voltage
        } else {
            Basis::Resistance
        };
        let (active, top) = match scratch.basis {
            Basis::Resistance => (i, curves.imax()),
            Basis::Voltage => (u, curves.umax()),
        };
        let threshold = single(settings.pulses.current_fraction * f64::from(top));
        scratch.segments.cut(active, threshold, plan);

        if let Some(main) = scratch.segments.main() {
            let (main_u, main_i) = (&u[main.start..main.end], &i[main.start..main.end]);
            let with_resistance = scratch.basis == Basis::Resistance;
            if with_resistance {
                let floor = single(settings.pulses.current_floor_ka);
                resistance(main_u, main_i, floor, &mut scratch.r, &mut scratch.trusted);
            }
            let trusted = (with_resistance && !scratch.trusted.is_empty())
                .then_some(scratch.trusted.as_slice());
            if settings.expulsion.enabled {
                let signal = Signal {
                    x: if with_resistance { &scratch.r } else { main_u },
                    i: with_resistance.then_some(main_i),
                    trusted,
                    start: main.start,
                };
                expulsion::judge(&signal, plan, &mut scratch.medians, &mut hits)?;
            }
            if with_resistance && settings.resistance_peak.enabled {
                scratch
                    .smoothed
                    .judge(&scratch.r, trusted, main, plan, &mut hits);
            }
            if with_resistance && settings.low_energy.enabled {
                bands::low_energy(u, i, main, plan, &mut hits)?;
            }
            if with_resistance && settings.resistance_end_high.enabled {
                bands::resistance_end_high(&scratch.r, trusted, main, plan, &mut hits)?;
            }
        }
        if settings.interruption.enabled {
            bands::interruption(&scratch.segments, plan, &mut hits);
        }
        if settings.short_pulse.enabled {
            bands::short_pulse(scratch.segments.main(), plan, &mut hits);
        }
        if let Some(hit) = hits
            .iter()
            .find(|hit| !(hit.value.is_finite() && hit.t_ms.is_finite()))
        {
            return Err(RuleError {
                rule: hit.rule,
                problem: format!("measured {} at {} ms", hit.value, hit.t_ms),
            });
        }
        hits.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms).then(a.rule.cmp(&b.rule)));
        let nok = hits
            .iter()
            .any(|hit| settings.nok_on.iter().any(|on| on.covers(hit)));
        Ok(Findings {
            hits,
            outcome: Outcome::nok_if(nok),
        })
    }
}

/// R of every sample, 0 where I is below the floor. `trusted` is left empty where no sample is.
fn resistance(u: &[f32], i: &[f32], floor: f32, r: &mut Vec<f32>, trusted: &mut Vec<bool>) {
    r.resize(u.len(), 0.0);
    let below = widest(
        #[inline(always)]
        || divide(u, i, floor, r),
    );
    trusted.clear();
    if below {
        trusted.extend(i.iter().map(|i| *i >= floor));
    }
}

/// Whether I is below the floor anywhere.
#[inline(always)]
fn divide(u: &[f32], i: &[f32], floor: f32, r: &mut [f32]) -> bool {
    let mut below = false;
    for ((r, u), i) in r.iter_mut().zip(u).zip(i) {
        let quotient = u / i;
        let is_trusted = *i >= floor;
        *r = if is_trusted { quotient } else { 0.0 };
        below |= !is_trusted;
    }
    below
}
