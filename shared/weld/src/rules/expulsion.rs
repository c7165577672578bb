//! `expulsion`: molten metal is thrown out, so R drops within some ms and stays low.
//!
//! Differences between neighbouring samples do not tell it from noise (a clean weld reaches 3.1 %, an expulsion
//! 2.2 to 6.0 %); medians of five steps some ms apart do.

use super::{
    Hit, Level, Rule,
    stepped::{MEDIAN, SteppedSettings},
};
use crate::vectors::widest;

/// What the rule looks at: one pulse.
pub(super) struct Signal<'a> {
    /// R in mΩ, or U in V where the weld is judged on U.
    pub x: &'a [f32],
    /// I, kA; None where the weld is judged on U.
    pub i: Option<&'a [f32]>,
    /// Steps of `x` that mean something, all of them above 0; None where all do.
    pub trusted: Option<&'a [bool]>,
    /// Index of the pulse's first step in the curve.
    pub start: usize,
}

/// A drop that passed every test.
struct Drop {
    t: usize,
    depth: f64,
}

/// Appends the hits; `medians` is scratch. Answers whether anything could be told: false if the pulse is long enough,
/// but no stretch of it can be trusted.
pub(super) fn judge(
    signal: &Signal<'_>,
    stepped: &SteppedSettings,
    medians: &mut Vec<f32>,
    hits: &mut Vec<Hit>,
) -> bool {
    let samples = signal.x.len();
    let first = stepped.expulsion.start_guard.max(MEDIAN);
    let delay = stepped.expulsion.delay;
    // t in first..end: outside of both guards, and with room for the steps after.
    let end = samples
        .saturating_sub(stepped.expulsion.end_guard)
        .min((samples + 1).saturating_sub(delay + MEDIAN));
    if first >= end {
        return true;
    }
    let window = MEDIAN + delay + MEDIAN;
    if let Some(trusted) = signal.trusted
        && !has_run(&trusted[first - MEDIAN..end - 1 + delay + MEDIAN], window)
    {
        return false;
    }
    let candidates = widest(
        #[inline(always)]
        || {
            sliding_medians(signal.x, medians);
            let before = &medians[first - MEDIAN..end - MEDIAN];
            let after = &medians[first + delay..end + delay];
            any_candidate(before, after, stepped.expulsion.candidate_ratio)
        },
    );
    if !candidates {
        return true;
    }
    let scan = Scan {
        signal,
        stepped,
        medians,
        end,
    };
    let mut t = first;
    while t < end {
        let Some(depth) = scan.depth(t) else {
            t += 1;
            continue;
        };
        let mut deepest = Drop { t, depth };
        for later in t + 1..end.min(t + stepped.expulsion.refractory) {
            if let Some(depth) = scan.depth(later)
                && depth > deepest.depth
            {
                deepest = Drop { t: later, depth };
            }
        }
        let settings = &stepped.settings.expulsion;
        let (level, limit) = if deepest.depth >= settings.flag {
            (Level::Flag, settings.flag)
        } else {
            (Level::Warn, settings.warn)
        };
        let t_ms = stepped.ms(signal.start + deepest.t);
        hits.push(Hit::new(Rule::Expulsion, level, t_ms, deepest.depth, limit));
        t = deepest.t + stepped.expulsion.refractory;
    }
    true
}

/// Whether `length` values in a row are true.
fn has_run(trusted: &[bool], length: usize) -> bool {
    let mut run = 0;
    trusted.iter().any(|trusted| {
        run = if *trusted { run + 1 } else { 0 };
        run == length
    })
}

/// Whether any t deserves the exact look. Errs only towards yes; NaN and medians not above 0 count as yes.
#[inline(always)]
fn any_candidate(before: &[f32], after: &[f32], ratio: f32) -> bool {
    let mut any = false;
    for (before, after) in before.iter().zip(after) {
        let quiet = (*after > *before * ratio) & (*before > 0.0);
        any |= !quiet;
    }
    any
}

struct Scan<'a> {
    signal: &'a Signal<'a>,
    stepped: &'a SteppedSettings,
    medians: &'a [f32],
    /// One past the last t.
    end: usize,
}

impl Scan<'_> {
    /// The drop at t, if it can be told, is deep enough, no work of the current, and stays.
    fn depth(&self, t: usize) -> Option<f64> {
        let settings = &self.stepped.settings.expulsion;
        let delay = self.stepped.expulsion.delay;
        let after_from = t + delay;
        if !self.trusted(t - MEDIAN, after_from + MEDIAN) {
            return None;
        }
        let before = f64::from(self.medians[t - MEDIAN]);
        let after = f64::from(self.medians[after_from]);
        let depth = 1.0 - after / before;
        if depth < settings.warn {
            return None;
        }
        if let Some(i) = self.signal.i {
            let i_before = f64::from(median_at(i, t - MEDIAN));
            let i_after = f64::from(median_at(i, after_from));
            let change = (i_after - i_before).abs() / i_before;
            if change > settings.max_current_change {
                return None;
            }
        }
        let stays_from = (after_from + self.stepped.expulsion.persist).min(self.end - 1 + delay);
        if self.trusted(after_from, stays_from + MEDIAN) {
            let later = f64::from(self.medians[stays_from]);
            let recovery = (later - after) / (before - after);
            if recovery >= settings.max_recovery {
                return None;
            }
        }
        Some(depth)
    }

    fn trusted(&self, from: usize, to: usize) -> bool {
        self.signal
            .trusted
            .is_none_or(|trusted| trusted[from..to].iter().all(|trusted| *trusted))
    }
}

/// `medians[k] = median(x[k..k + 5])`.
#[inline(always)]
fn sliding_medians(x: &[f32], medians: &mut Vec<f32>) {
    let windows = (x.len() + 1).saturating_sub(MEDIAN);
    medians.resize(windows, 0.0);
    for (median, window) in medians.iter_mut().zip(x.array_windows()) {
        *median = median_of(*window);
    }
}

fn median_at(x: &[f32], from: usize) -> f32 {
    median_of([x[from], x[from + 1], x[from + 2], x[from + 3], x[from + 4]])
}

/// Median of five by minima and maxima, which the vectoriser turns into one instruction each.
#[inline(always)]
fn median_of([a, b, c, d, e]: [f32; MEDIAN]) -> f32 {
    let low = |x: f32, y: f32| if x < y { x } else { y };
    let high = |x: f32, y: f32| if x > y { x } else { y };
    // Neither the lowest nor the highest of (a, b, c, d) can be the median of all five.
    let f = high(low(a, b), low(c, d));
    let g = low(high(a, b), high(c, d));
    // Median of e, f, g.
    high(low(f, g), low(high(f, g), e))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_network_is_the_median(values in prop::array::uniform5(prop_oneof![-9.0_f32..9.0, (-3_i8..3).prop_map(f32::from)])) {
            let mut sorted = values;
            sorted.sort_by(f32::total_cmp);
            prop_assert_eq!(median_of(values), sorted[2]);
        }
    }
}
