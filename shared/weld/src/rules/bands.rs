//! Rules that compare one number of the main pulse with a band: `short_pulse`, `low_energy`, `resistance_end_high`,
//! and `interruption`, which compares each gap.

use super::{
    Hit, Level, Rule, RuleError, Segments, Stretch, pulses::dot, stepped::SteppedSettings,
};
use crate::{curves::Curves, rounding::rounded, vectors::widest};

/// `interruption`: every gap inside a pulse that is long enough.
pub(super) fn interruption(segments: &Segments, stepped: &SteppedSettings, hits: &mut Vec<Hit>) {
    for gap in &segments.gaps {
        if gap.steps() >= stepped.interruption_flag {
            let limit = stepped.settings.interruption.flag_ms;
            let (t_ms, value) = (stepped.ms(gap.start), stepped.ms(gap.steps()));
            let hit = Hit::new(Rule::Interruption, Level::Flag, t_ms, value, limit);
            hits.push(hit);
        }
    }
}

/// `short_pulse`: length of the main pulse; a weld without any pulse has one of 0 ms.
pub(super) fn short_pulse(main: Option<Stretch>, stepped: &SteppedSettings, hits: &mut Vec<Hit>) {
    let (start, steps) = main.map_or((0, 0), |main| (main.start, main.steps()));
    let settings = &stepped.settings.short_pulse;
    let (level, limit) = if steps < stepped.short_pulse_flag {
        (Level::Flag, settings.flag_below_ms)
    } else if steps < stepped.short_pulse_warn {
        (Level::Warn, settings.warn_below_ms)
    } else {
        return;
    };
    let (t_ms, value) = (stepped.ms(start), stepped.ms(steps));
    hits.push(Hit::new(Rule::ShortPulse, level, t_ms, value, limit));
}

/// `low_energy`: ∫ U·I dt over the main pulse, J, of the samples and not the steps: a product of means would leave out
/// what ripple brings. Decided on the sum rounded to six decimals, so that the order of summation cannot matter. A weld
/// without any pulse has one of 0 J.
pub(super) fn low_energy(
    curves: &Curves,
    main: Option<Stretch>,
    stepped: &SteppedSettings,
    hits: &mut Vec<Hit>,
) -> Result<(), RuleError> {
    let settings = &stepped.settings.low_energy;
    let (start, end) = main.map_or((0, 0), |main| (main.start, main.end));
    let (from, to) = (start * stepped.grid.samples, end * stepped.grid.samples);
    let (u, i) = (&curves.u()[from..to], &curves.i()[from..to]);
    let sum = widest(
        #[inline(always)]
        || dot(u, i),
    );
    let joules = rounded(sum * curves.sample_interval_ms());
    measurable(Rule::LowEnergy, joules, "J")?;
    let limits = [settings.flag_below_j, settings.warn_below_j];
    if let Some((level, limit)) = passed(limits, |limit| joules < limit) {
        let t_ms = stepped.ms(start);
        hits.push(Hit::new(Rule::LowEnergy, level, t_ms, joules, limit));
    }
    Ok(())
}

/// `resistance_end_high`: mean of the trusted R in a window near the end of the main pulse, decided as rounded to six
/// decimals. Answers whether anything could be told: false if there is such a window, but no R in it is trusted. Of a
/// pulse that is too short other rules speak.
pub(super) fn resistance_end_high(
    r: &[f32],
    trusted: Option<&[bool]>,
    main: Stretch,
    stepped: &SteppedSettings,
    hits: &mut Vec<Hit>,
) -> Result<bool, RuleError> {
    let settings = &stepped.settings.resistance_end_high;
    let (from, to) = end_window(r.len(), stepped);
    let is_trusted = |k: usize| trusted.is_none_or(|trusted| trusted[k]);
    let (mut sum, mut count) = (0.0, 0_u32);
    for k in (from..to).filter(|k| is_trusted(*k)) {
        sum += f64::from(r[k]);
        count += 1;
    }
    if count == 0 {
        return Ok(from == to);
    }
    let mean = rounded(sum / f64::from(count));
    measurable(Rule::ResistanceEndHigh, mean, "mΩ")?;
    let limits = [settings.flag_above_mohm, settings.warn_above_mohm];
    if let Some((level, limit)) = passed(limits, |limit| limit > 0.0 && mean > limit) {
        let t_ms = stepped.ms(main.start + from);
        hits.push(Hit::new(Rule::ResistanceEndHigh, level, t_ms, mean, limit));
    }
    Ok(true)
}

/// Where `resistance_end_high` looks in a pulse of so many steps.
pub(super) fn end_window(steps: usize, stepped: &SteppedSettings) -> (usize, usize) {
    let to = steps.saturating_sub(stepped.end_guard);
    (to.saturating_sub(stepped.end_window), to)
}

/// The graver of the two limits that is passed.
fn passed([flag, warn]: [f64; 2], is_passed: impl Fn(f64) -> bool) -> Option<(Level, f64)> {
    let mut limits = [(Level::Flag, flag), (Level::Warn, warn)].into_iter();
    limits.find(|(_, limit)| is_passed(*limit))
}

/// A comparison with NaN is false and would read as no hit.
fn measurable(rule: Rule, value: f64, unit: &str) -> Result<(), RuleError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(RuleError {
        rule,
        problem: format!("measured {value} {unit}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::settings::RuleSettings;

    #[test]
    fn a_pulse_as_long_as_its_limit_is_long_enough() {
        let mut settings = RuleSettings::default();
        settings.short_pulse.warn_below_ms = 250.0;
        let stepped = SteppedSettings::new(&settings, 0.75);
        let level = |steps: usize| {
            let mut hits = Vec::new();
            let (start, end) = (20, 20 + steps);
            short_pulse(Some(Stretch { start, end }), &stepped, &mut hits);
            hits.first()
                .map(|hit| (hit.level, hit.t_ms, hit.value, hit.limit))
        };
        // 200 ms are 266.67 steps and 250 ms are 333.33, each to the nearest.
        assert_eq!(level(266), Some((Level::Flag, 15.0, 199.5, 200.0)));
        assert_eq!(level(267), Some((Level::Warn, 15.0, 200.25, 250.0)));
        assert_eq!(level(332), Some((Level::Warn, 15.0, 249.0, 250.0)));
        assert_eq!(level(333), None);
    }
}
