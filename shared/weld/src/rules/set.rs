//! Rules ready to run: the settings of each part in steps, and judging by them.

use std::collections::HashMap;

use super::{
    Hit, NokOn, NokRules, Rule, RuleError, RulesFile, Segments, Stretch, bands,
    expulsion::{self, Signal},
    resistance_peak::{Smoothed, between_guards, may_hold_a_peak},
    settings::{PulseSettings, RuleSettings},
    stepped::SteppedSettings,
};
use crate::{Outcome, curves::Curves, rounding::single, vectors::widest};

/// What a weld was judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Basis {
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
    pub nok_rules: NokRules,
}

/// Rules of all parts, for one sampling interval.
#[derive(Debug, Clone)]
pub struct RuleSet {
    all: SteppedSettings,
    parts: HashMap<String, SteppedSettings>,
}

/// Reusable buffers of [`RuleSet::judge`]; after a call, what it saw.
#[derive(Debug, Clone, Default)]
pub struct RuleScratch {
    pub(crate) basis: Basis,
    pub(crate) segments: Segments,
    pub(crate) smoothed: Smoothed,
    signal: PulseSignal,
    /// The curves in steps, where a step is more than a sample.
    u_steps: Vec<f32>,
    i_steps: Vec<f32>,
}

/// One pulse, step by step.
#[derive(Debug, Clone, Default)]
struct PulseSignal {
    /// R, mΩ; 0 where it is not trusted.
    r: Vec<f32>,
    /// Empty where all steps are.
    trusted: Vec<bool>,
    medians: Vec<f32>,
}

impl PulseSignal {
    fn trusted(&self) -> Option<&[bool]> {
        (!self.trusted.is_empty()).then_some(&self.trusted)
    }
}

impl RuleSet {
    /// `file` must have been checked, as [`RulesFile::from_toml`] does.
    #[must_use]
    pub fn new(file: &RulesFile, sample_interval_ms: f64) -> Self {
        let stepped = |settings| SteppedSettings::new(settings, sample_interval_ms);
        let parts = file.parts.iter();
        Self {
            all: stepped(&file.all),
            parts: parts
                .map(|(part, settings)| (part.clone(), stepped(settings)))
                .collect(),
        }
    }

    /// Parts with settings of their own, in order.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = self.parts.keys().cloned().collect();
        parts.sort();
        parts
    }

    /// The settings that apply to a part.
    #[must_use]
    pub fn settings(&self, part_no: &str) -> &RuleSettings {
        &self.stepped(part_no).settings
    }

    fn stepped(&self, part_no: &str) -> &SteppedSettings {
        if self.parts.is_empty() {
            return &self.all;
        }
        self.parts.get(part_no).unwrap_or(&self.all)
    }

    /// Time between two steps of a part's rules, ms.
    pub(crate) fn step_ms(&self, part_no: &str) -> f64 {
        self.stepped(part_no).grid.step_ms
    }

    /// R of the whole curve in steps, mΩ; None where it is not trusted.
    pub(crate) fn resistance(&self, part_no: &str, curves: &Curves) -> Vec<Option<f32>> {
        let stepped = self.stepped(part_no);
        let (mut u_steps, mut i_steps) = (Vec::new(), Vec::new());
        let u = stepped.grid.steps(curves.u(), &mut u_steps);
        let i = stepped.grid.steps(curves.i(), &mut i_steps);
        let floors = Floors::new(&stepped.settings);
        u.iter()
            .zip(i)
            .map(|(u, i)| floors.trust(*u, *i).then(|| u / i))
            .collect()
    }

    /// Judges validated curves by the rules of `part_no`.
    ///
    /// # Errors
    /// [`RuleError`] if a rule cannot judge the weld, and no other rule makes it NOK.
    pub fn judge(
        &self,
        part_no: &str,
        curves: &Curves,
        scratch: &mut RuleScratch,
    ) -> Result<Findings, RuleError> {
        let stepped = self.stepped(part_no);
        let settings = &stepped.settings;
        let RuleScratch {
            basis,
            segments,
            smoothed,
            signal,
            u_steps,
            i_steps,
        } = scratch;
        let u = stepped.grid.steps(curves.u(), u_steps);
        let i = stepped.grid.steps(curves.i(), i_steps);
        let mut hits = Vec::new();
        let mut blind = NokRules::default();
        smoothed.clear();
        *basis = if f64::from(curves.imax()) < settings.pulses.current_floor_ka {
            Basis::Voltage
        } else {
            Basis::Resistance
        };
        let (active, top) = match basis {
            Basis::Resistance => (i, curves.imax()),
            Basis::Voltage => (u, curves.umax()),
        };
        let threshold = single(settings.pulses.current_fraction * f64::from(top));
        segments.cut(active, threshold, stepped);

        if let Some(main) = segments.main() {
            // The main pulse comes last: the other rules look at its R.
            let pulses = segments.hot_ones();
            if !expulsions(u, i, *basis, pulses, stepped, signal, &mut hits) {
                blind.insert(Rule::Expulsion);
            }
            match basis {
                Basis::Resistance => {
                    by_resistance(main, signal, stepped, smoothed, &mut hits, &mut blind)?;
                }
                Basis::Voltage => by_voltage(main, stepped, &mut blind),
            }
        }
        if settings.low_energy.enabled && (*basis == Basis::Resistance || segments.main().is_none())
        {
            bands::low_energy(curves, segments.main(), stepped, &mut hits)?;
        }
        if settings.interruption.enabled {
            bands::interruption(segments, stepped, &mut hits);
        }
        if settings.short_pulse.enabled {
            bands::short_pulse(segments.main(), stepped, &mut hits);
        }
        findings(settings, hits, *basis, blind)
    }
}

/// Looks for expulsions in each of the pulses, of which `signal` keeps the last. Answers whether all of them could be
/// told.
fn expulsions(
    u: &[f32],
    i: &[f32],
    basis: Basis,
    pulses: impl Iterator<Item = Stretch>,
    stepped: &SteppedSettings,
    signal: &mut PulseSignal,
    hits: &mut Vec<Hit>,
) -> bool {
    let floors = Floors::new(&stepped.settings);
    let mut all_told = true;
    for pulse in pulses {
        let (u, i) = (&u[pulse.start..pulse.end], &i[pulse.start..pulse.end]);
        let PulseSignal {
            r,
            trusted,
            medians,
        } = signal;
        match basis {
            Basis::Resistance => resistance(u, i, floors, r, trusted),
            Basis::Voltage => {
                trusted.clear();
                trusted.extend(u.iter().map(|u| *u >= floors.voltage));
            }
        }
        if stepped.settings.expulsion.enabled {
            let (x, i) = match basis {
                Basis::Resistance => (r.as_slice(), Some(i)),
                Basis::Voltage => (u, None),
            };
            let signal = Signal {
                x,
                i,
                trusted: (!trusted.is_empty()).then_some(trusted),
                start: pulse.start,
            };
            all_told &= expulsion::judge(&signal, stepped, medians, hits);
        }
    }
    all_told
}

/// The rules that look at R of the main pulse.
fn by_resistance(
    main: Stretch,
    signal: &PulseSignal,
    stepped: &SteppedSettings,
    smoothed: &mut Smoothed,
    hits: &mut Vec<Hit>,
    blind: &mut NokRules,
) -> Result<(), RuleError> {
    let settings = &stepped.settings;
    let (r, trusted) = (&signal.r, signal.trusted());
    if settings.resistance_peak.enabled && !smoothed.judge(r, trusted, main, stepped, hits) {
        blind.insert(Rule::ResistancePeak);
    }
    if settings.resistance_end_high.enabled
        && !bands::resistance_end_high(r, trusted, main, stepped, hits)?
    {
        blind.insert(Rule::ResistanceEndHigh);
    }
    Ok(())
}

/// They say nothing of U alone, except that a pulse ends before the place where they look.
fn by_voltage(main: Stretch, stepped: &SteppedSettings, blind: &mut NokRules) {
    blind.insert(Rule::LowEnergy);
    if may_hold_a_peak(between_guards(main.steps(), stepped), stepped) {
        blind.insert(Rule::ResistancePeak);
    }
    let (from, to) = bands::end_window(main.steps(), stepped);
    if from != to {
        blind.insert(Rule::ResistanceEndHigh);
    }
}

/// What the hits make of the weld; the `blind` rules could tell nothing of it.
fn findings(
    settings: &RuleSettings,
    mut hits: Vec<Hit>,
    basis: Basis,
    blind: NokRules,
) -> Result<Findings, RuleError> {
    let measured = |hit: &Hit| hit.value.is_finite() && hit.t_ms.is_finite();
    if let Some(hit) = hits.iter().find(|hit| !measured(hit)) {
        return Err(RuleError {
            rule: hit.rule,
            problem: format!("measured {} at {} ms", hit.value, hit.t_ms),
        });
    }
    hits.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms).then(a.rule.cmp(&b.rule)));
    let mut nok_rules = NokRules::default();
    for hit in &hits {
        if settings.nok_on.iter().any(|on| on.covers(hit)) {
            nok_rules.insert(hit.rule);
        }
    }
    let nok = !nok_rules.is_empty();
    let objects = |on: &&NokOn| blind.contains(on.rule) && settings.may_hit(**on);
    if !nok && let Some(on) = settings.nok_on.iter().find(objects) {
        return Err(nothing_to_tell(on.rule, settings, basis));
    }
    Ok(Findings {
        hits,
        outcome: Outcome::nok_if(nok),
        nok_rules,
    })
}

fn nothing_to_tell(rule: Rule, settings: &RuleSettings, basis: Basis) -> RuleError {
    let PulseSettings {
        current_floor_ka,
        voltage_floor_v,
        ..
    } = settings.pulses;
    let problem = if basis == Basis::Voltage && rule != Rule::Expulsion {
        format!(
            "imax is below pulses.current_floor_ka ({current_floor_ka} kA), so R cannot be told"
        )
    } else {
        format!(
            "no stretch of the main pulse is above {voltage_floor_v} V and {current_floor_ka} kA for long enough where \
             the rule looks, so nothing can be told"
        )
    };
    RuleError { rule, problem }
}

/// Below either, R is a sensor's noise and offset.
#[derive(Debug, Clone, Copy)]
struct Floors {
    /// kA.
    current: f32,
    /// V, above 0.
    voltage: f32,
}

impl Floors {
    fn new(settings: &RuleSettings) -> Self {
        Self {
            current: single(settings.pulses.current_floor_ka),
            voltage: single(settings.pulses.voltage_floor_v),
        }
    }

    #[inline(always)]
    fn trust(self, u: f32, i: f32) -> bool {
        (i >= self.current) & (u >= self.voltage)
    }
}

/// R of every step, 0 where I or U is below its floor. `trusted` is left empty where no step is.
fn resistance(u: &[f32], i: &[f32], floors: Floors, r: &mut Vec<f32>, trusted: &mut Vec<bool>) {
    r.resize(u.len(), 0.0);
    let below = widest(
        #[inline(always)]
        || divide(u, i, floors, r),
    );
    trusted.clear();
    if below {
        trusted.extend(u.iter().zip(i).map(|(u, i)| floors.trust(*u, *i)));
    }
}

/// Whether I or U is below its floor anywhere.
#[inline(always)]
fn divide(u: &[f32], i: &[f32], floors: Floors, r: &mut [f32]) -> bool {
    let mut below = false;
    for ((r, u), i) in r.iter_mut().zip(u).zip(i) {
        let quotient = u / i;
        let is_trusted = floors.trust(*u, *i);
        *r = if is_trusted { quotient } else { 0.0 };
        below |= !is_trusted;
    }
    below
}
