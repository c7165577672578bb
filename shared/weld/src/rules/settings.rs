//! What can be configured about the rules: `rules.toml` without its overrides.

use serde::{Deserialize, Serialize};

use super::{Level, NokOn, Rule};
use crate::BadValue;

/// All settings of one part. Every key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleSettings {
    /// Which hits make the rules say NOK.
    pub nok_on: Vec<NokOn>,
    pub pulses: PulseSettings,
    pub expulsion: ExpulsionSettings,
    pub interruption: InterruptionSettings,
    pub resistance_peak: ResistancePeakSettings,
    pub short_pulse: ShortPulseSettings,
    pub low_energy: LowEnergySettings,
    pub resistance_end_high: ResistanceEndHighSettings,
}

impl Default for RuleSettings {
    fn default() -> Self {
        let on = |rule, level| NokOn { rule, level };
        Self {
            nok_on: vec![
                on(Rule::Expulsion, Level::Flag),
                on(Rule::Interruption, Level::Warn),
                on(Rule::ShortPulse, Level::Warn),
            ],
            pulses: PulseSettings::default(),
            expulsion: ExpulsionSettings::default(),
            interruption: InterruptionSettings::default(),
            resistance_peak: ResistancePeakSettings::default(),
            short_pulse: ShortPulseSettings::default(),
            low_energy: LowEnergySettings::default(),
            resistance_end_high: ResistanceEndHighSettings::default(),
        }
    }
}

/// `[pulses]`: where current flows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PulseSettings {
    /// Current flows where I is at least this share of `imax`.
    pub current_fraction: f64,
    /// R is trusted where I is at least this, kA; a weld whose `imax` is below it is judged on U alone.
    pub current_floor_ka: f64,
    /// And where U is at least this, V: below it a sensor's offset is as large as what it measures.
    pub voltage_floor_v: f64,
    /// A stretch of current shorter than this is noise, ms.
    pub min_pulse_ms: f64,
    /// Most pulses of the weld program; 1 where it has no prepulse.
    pub max_pulses: usize,
    /// Shortest and longest pulse that a pause may follow, ms, inclusive.
    pub prepulse_ms: [f64; 2],
    /// The same of a main pulse that a temper (post) pulse follows, ms, inclusive; [0, 0] where none does.
    pub main_ms: [f64; 2],
    /// Shortest and longest pause between two pulses, ms, inclusive. Every other gap is inside a pulse.
    pub pause_ms: [f64; 2],
}

impl Default for PulseSettings {
    fn default() -> Self {
        Self {
            current_fraction: 0.10,
            current_floor_ka: 1.0,
            voltage_floor_v: 0.05,
            min_pulse_ms: 3.0,
            max_pulses: 2,
            prepulse_ms: [40.0, 110.0],
            main_ms: [0.0, 0.0],
            pause_ms: [8.0, 40.0],
        }
    }
}

/// `[expulsion]`: drop(t) = 1 − median(5 steps of 1 ms from t + delay) / median(5 before t).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExpulsionSettings {
    pub enabled: bool,
    /// Drop from which it is a flag.
    pub flag: f64,
    /// Drop from which it is a warning.
    pub warn: f64,
    /// From t to the samples after, ms.
    pub delay_ms: f64,
    /// No t in this much of the pulse's beginning, ms.
    pub start_guard_ms: f64,
    /// Nor of its end, ms.
    pub end_guard_ms: f64,
    /// At most one hit within this, ms, and within the steps of both medians and the delay; 0 for a hit at every step.
    pub refractory_ms: f64,
    /// When it is looked whether the drop has stayed, ms after the samples after.
    pub persist_ms: f64,
    /// The drop has stayed if less than this share of it was recovered by then.
    pub max_recovery: f64,
    /// A drop where I changed by more than this share is ignored.
    pub max_current_change: f64,
}

impl Default for ExpulsionSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            flag: 0.10,
            warn: 0.06,
            delay_ms: 4.0,
            start_guard_ms: 30.0,
            end_guard_ms: 15.0,
            refractory_ms: 20.0,
            persist_ms: 30.0,
            max_recovery: 0.30,
            max_current_change: 0.03,
        }
    }
}

/// `[interruption]`: a gap inside a pulse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InterruptionSettings {
    pub enabled: bool,
    /// Gap from which it is a flag, ms.
    pub flag_ms: f64,
}

impl Default for InterruptionSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            flag_ms: 3.0,
        }
    }
}

/// What of a peak is compared with the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakMeasure {
    /// Over the higher of the two bases, as SciPy defines it.
    #[default]
    Prominence,
    /// Over the foot of the rise alone, however far R falls behind the peak.
    Height,
}

/// `[resistance_peak]`: a peak of smoothed R after the β peak's time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResistancePeakSettings {
    pub enabled: bool,
    /// What `flag_mohm` and `warn_mohm` are compared with.
    pub measure: PeakMeasure,
    /// From which it is a flag, mΩ.
    pub flag_mohm: f64,
    /// From which it is a warning, mΩ.
    pub warn_mohm: f64,
    /// Least prominence of a peak that is measured by its height, mΩ.
    pub min_prominence_mohm: f64,
    /// Least width, ms.
    pub min_width_ms: f64,
    /// Greatest width, ms.
    pub max_width_ms: f64,
    /// Where the width is measured, as a share of the prominence (or height, see `measure`) below the peak.
    pub rel_height: f64,
    /// R is averaged over this, ms.
    pub smooth_ms: f64,
    /// Peaks before this are a good weld's own, ms since the pulse's beginning.
    pub after_ms: f64,
    /// Nor do hills count that begin before this, ms since the pulse's beginning; 0 for any.
    pub begin_after_ms: f64,
    /// This much of the pulse's beginning is not looked at, ms.
    pub start_guard_ms: f64,
    /// Nor of its end, ms.
    pub end_guard_ms: f64,
}

impl Default for ResistancePeakSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            measure: PeakMeasure::Prominence,
            flag_mohm: 0.020,
            warn_mohm: 0.010,
            min_prominence_mohm: 0.010,
            min_width_ms: 5.0,
            max_width_ms: 1000.0,
            rel_height: 0.5,
            smooth_ms: 5.0,
            after_ms: 120.0,
            begin_after_ms: 0.0,
            start_guard_ms: 15.0,
            end_guard_ms: 15.0,
        }
    }
}

/// `[short_pulse]`: length of the main pulse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShortPulseSettings {
    pub enabled: bool,
    /// A shorter one is a flag, ms.
    pub flag_below_ms: f64,
    /// A shorter one is a warning, ms; 0 for none.
    pub warn_below_ms: f64,
}

impl Default for ShortPulseSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            flag_below_ms: 200.0,
            warn_below_ms: 0.0,
        }
    }
}

/// `[low_energy]`: ∫ U·I dt over the main pulse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LowEnergySettings {
    pub enabled: bool,
    /// Less is a flag, J.
    pub flag_below_j: f64,
    /// Less is a warning, J; 0 for none.
    pub warn_below_j: f64,
}

impl Default for LowEnergySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            flag_below_j: 1500.0,
            warn_below_j: 2500.0,
        }
    }
}

/// `[resistance_end_high]`: mean R near the end of the main pulse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResistanceEndHighSettings {
    pub enabled: bool,
    /// More is a flag, mΩ; 0 for none.
    pub flag_above_mohm: f64,
    /// More is a warning, mΩ; 0 for none.
    pub warn_above_mohm: f64,
    /// R is averaged over this, ms.
    pub window_ms: f64,
    /// Which ends this long before the pulse does, ms.
    pub end_guard_ms: f64,
}

impl Default for ResistanceEndHighSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            flag_above_mohm: 0.45,
            warn_above_mohm: 0.38,
            window_ms: 10.0,
            end_guard_ms: 15.0,
        }
    }
}

impl RuleSettings {
    /// Whether a hit of that rule and level is possible at all: the rule is on, and a level that counts too.
    #[must_use]
    pub fn may_hit(&self, on: NokOn) -> bool {
        let any = |flag: f64, warn: f64| flag > 0.0 || (warn > 0.0 && on.level == Level::Warn);
        let (short, energy, end) = (
            &self.short_pulse,
            &self.low_energy,
            &self.resistance_end_high,
        );
        match on.rule {
            Rule::Expulsion => self.expulsion.enabled,
            Rule::Interruption => self.interruption.enabled,
            Rule::ResistancePeak => self.resistance_peak.enabled,
            Rule::ShortPulse => short.enabled && any(short.flag_below_ms, short.warn_below_ms),
            Rule::LowEnergy => energy.enabled && any(energy.flag_below_j, energy.warn_below_j),
            Rule::ResistanceEndHigh => end.enabled && any(end.flag_above_mohm, end.warn_above_mohm),
        }
    }

    /// # Errors
    /// The first key that is out of its range.
    pub fn check(&self) -> Result<(), BadValue> {
        self.pulses.check()?;
        self.expulsion.check()?;
        above_zero("interruption.flag_ms", self.interruption.flag_ms, MAX_MS)?;
        self.resistance_peak.check()?;
        let (short, energy, end) = (
            &self.short_pulse,
            &self.low_energy,
            &self.resistance_end_high,
        );
        for (key, value, most) in [
            ("short_pulse.flag_below_ms", short.flag_below_ms, MAX_MS),
            ("short_pulse.warn_below_ms", short.warn_below_ms, MAX_MS),
            ("low_energy.flag_below_j", energy.flag_below_j, 1e9),
            ("low_energy.warn_below_j", energy.warn_below_j, 1e9),
            ("resistance_end_high.end_guard_ms", end.end_guard_ms, MAX_MS),
            (
                "resistance_end_high.flag_above_mohm",
                end.flag_above_mohm,
                1e6,
            ),
            (
                "resistance_end_high.warn_above_mohm",
                end.warn_above_mohm,
                1e6,
            ),
        ] {
            at_least_zero(key, value, most)?;
        }
        above_zero("resistance_end_high.window_ms", end.window_ms, MAX_MS)
    }
}

impl PulseSettings {
    fn check(&self) -> Result<(), BadValue> {
        share("pulses.current_fraction", self.current_fraction)?;
        BadValue::unless(
            (0.01..=100.0).contains(&self.current_floor_ka),
            "pulses.current_floor_ka",
            self.current_floor_ka,
            "give kA from 0.01 to 100",
        )?;
        BadValue::unless(
            (0.001..=10.0).contains(&self.voltage_floor_v),
            "pulses.voltage_floor_v",
            self.voltage_floor_v,
            "give V from 0.001 to 10",
        )?;
        at_least_zero("pulses.min_pulse_ms", self.min_pulse_ms, MAX_MS)?;
        BadValue::unless(
            (1..=100).contains(&self.max_pulses),
            "pulses.max_pulses",
            self.max_pulses,
            "give a number from 1 to 100",
        )?;
        for (key, [low, high]) in [
            ("pulses.prepulse_ms", self.prepulse_ms),
            ("pulses.main_ms", self.main_ms),
            ("pulses.pause_ms", self.pause_ms),
        ] {
            BadValue::unless(
                low >= 0.0 && low <= high && high <= MAX_MS,
                key,
                format_args!("[{low}, {high}]"),
                format_args!("give [shortest, longest] with 0 <= shortest <= longest <= {MAX_MS}"),
            )?;
        }
        Ok(())
    }
}

impl ExpulsionSettings {
    fn check(&self) -> Result<(), BadValue> {
        let (flag, warn) = (("expulsion.flag", self.flag), ("expulsion.warn", self.warn));
        for (key, value) in [flag, warn] {
            share(key, value)?;
        }
        ordered(warn, flag)?;
        for (key, value) in [
            ("expulsion.delay_ms", self.delay_ms),
            ("expulsion.start_guard_ms", self.start_guard_ms),
            ("expulsion.end_guard_ms", self.end_guard_ms),
            ("expulsion.refractory_ms", self.refractory_ms),
            ("expulsion.persist_ms", self.persist_ms),
        ] {
            at_least_zero(key, value, MAX_MS)?;
        }
        share("expulsion.max_recovery", self.max_recovery)?;
        share("expulsion.max_current_change", self.max_current_change)
    }
}

impl ResistancePeakSettings {
    fn check(&self) -> Result<(), BadValue> {
        let flag = ("resistance_peak.flag_mohm", self.flag_mohm);
        let warn = ("resistance_peak.warn_mohm", self.warn_mohm);
        let prominence = (
            "resistance_peak.min_prominence_mohm",
            self.min_prominence_mohm,
        );
        let narrowest = ("resistance_peak.min_width_ms", self.min_width_ms);
        let widest = ("resistance_peak.max_width_ms", self.max_width_ms);
        for (key, value) in [
            narrowest,
            widest,
            ("resistance_peak.after_ms", self.after_ms),
            ("resistance_peak.begin_after_ms", self.begin_after_ms),
            ("resistance_peak.start_guard_ms", self.start_guard_ms),
            ("resistance_peak.end_guard_ms", self.end_guard_ms),
        ] {
            at_least_zero(key, value, MAX_MS)?;
        }
        for (key, value) in [flag, warn, prominence] {
            above_zero(key, value, 1e6)?;
        }
        ordered(warn, flag)?;
        if self.measure == PeakMeasure::Height {
            ordered(prominence, warn)?;
        }
        ordered(narrowest, widest)?;
        share("resistance_peak.rel_height", self.rel_height)?;
        above_zero("resistance_peak.smooth_ms", self.smooth_ms, 1000.0)
    }
}

const MAX_MS: f64 = 1e6;

fn share(key: &str, value: f64) -> Result<(), BadValue> {
    above_zero(key, value, 1.0)
}

fn above_zero(key: &str, value: f64, most: f64) -> Result<(), BadValue> {
    let fits = value > 0.0 && value <= most;
    let remedy = format_args!("give a number above 0, at most {most}");
    BadValue::unless(fits, key, value, remedy)
}

fn at_least_zero(key: &str, value: f64, most: f64) -> Result<(), BadValue> {
    let remedy = format_args!("give a number from 0 to {most}");
    BadValue::unless((0.0..=most).contains(&value), key, value, remedy)
}

fn ordered((low_key, low): (&str, f64), (high_key, high): (&str, f64)) -> Result<(), BadValue> {
    let remedy = format_args!("it may not be above `{high_key}`, which is {high}");
    BadValue::unless(low <= high, low_key, low, remedy)
}
