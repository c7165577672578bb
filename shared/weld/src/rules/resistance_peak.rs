//! `resistance_peak`: a peak of smoothed R where a good weld has none.

use super::{Hit, Level, Rule, Stretch, settings::PeakMeasure, stepped::SteppedSettings};
use crate::{
    peaks::{Peak, PeakScratch, crossing_left, crossing_right, find_peaks},
    vectors::widest,
};

/// A hill begins where R has risen by this share of its height. The foot itself lies anywhere on the flat stretch
/// before it, where noise has its lowest sample, or at the first minimum of a weld whose R has fallen little since.
const BEGIN_SHARE: f64 = 0.2;

/// Reusable buffers, and what was seen in the last weld.
#[derive(Debug, Clone, Default)]
pub(crate) struct Smoothed {
    /// Means of `smooth_ms` of R, mΩ.
    pub values: Vec<f64>,
    /// Step of the curve at the centre of the first mean.
    pub first_step: usize,
    /// Peaks of `values` with at least the warning's prominence or height and a width within bounds, at any time.
    pub peaks: Vec<Peak>,
    scratch: PeakScratch,
}

impl Smoothed {
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.peaks.clear();
    }

    /// Smooths the longest uninterrupted stretch of the main pulse's R (`r[0]` is the pulse's first step) between the
    /// guards, and appends the hits. Answers whether anything could be told: false if a peak could be in the pulse, but
    /// not in what is trusted of it.
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    pub(super) fn judge(
        &mut self,
        r: &[f32],
        trusted: Option<&[bool]>,
        main: Stretch,
        stepped: &SteppedSettings,
        hits: &mut Vec<Hit>,
    ) -> bool {
        self.clear();
        let whole = between_guards(r.len(), stepped);
        let stretch = longest_trusted(trusted, whole.start, whole.end);
        let told = may_hold_a_peak(stretch, stepped) || !may_hold_a_peak(whole, stepped);
        let window = stepped.peak.smooth;
        self.first_step = main.start + stretch.start + (window - 1) / 2;
        if stretch.steps() < window {
            return told;
        }
        widest(
            #[inline(always)]
            || sliding_means(&r[stretch.start..stretch.end], window, &mut self.values),
        );
        find_peaks(
            &self.values,
            &stepped.peak.query,
            &mut self.scratch,
            &mut self.peaks,
        );
        let settings = &stepped.settings.resistance_peak;
        if settings.measure == PeakMeasure::Height {
            self.keep_hills(stepped);
        }
        for peak in &self.peaks {
            let step = self.first_step + peak.index;
            if step - main.start < stepped.peak.after {
                continue;
            }
            let hill = Hill::of(&self.values, peak);
            let begin = hill.begin + (self.first_step - main.start) as f64;
            if begin < stepped.peak.begin_after {
                continue;
            }
            let value = match settings.measure {
                PeakMeasure::Prominence => peak.prominence,
                PeakMeasure::Height => hill.height,
            };
            let (level, limit) = if value >= settings.flag_mohm {
                (Level::Flag, settings.flag_mohm)
            } else {
                (Level::Warn, settings.warn_mohm)
            };
            let t_ms = stepped.ms(step);
            hits.push(Hit::new(Rule::ResistancePeak, level, t_ms, value, limit));
        }
        told
    }

    /// Keeps the peaks that are high and wide enough, one a hill, and measures their widths anew.
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    fn keep_hills(&mut self, stepped: &SteppedSettings) {
        let warn = stepped.settings.resistance_peak.warn_mohm;
        let [narrowest, widest] = stepped.peak.width;
        let values = &self.values;
        let mut begin_behind = f64::INFINITY;
        self.peaks.reverse();
        self.peaks.retain_mut(|peak| {
            // Where a higher peak behind this one begins before it, R has not come down in between: one hill.
            if begin_behind <= peak.index as f64 {
                return false;
            }
            let hill = Hill::of(values, peak);
            begin_behind = hill.begin;
            hill.measure_width(values, peak, stepped.peak.query.rel_height);
            hill.height >= warn && (narrowest..=widest).contains(&peak.width)
        });
        self.peaks.reverse();
    }
}

/// A peak as seen from the foot of its rise.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hill {
    /// Over the foot, the lowest sample before the peak, mΩ.
    height: f64,
    /// Place in the smoothed values, interpolated.
    begin: f64,
}

impl Hill {
    fn of(values: &[f64], peak: &Peak) -> Self {
        let foot = values[peak.left_base];
        let height = values[peak.index] - foot;
        let begin = crossing_left(
            values,
            peak.index,
            peak.left_base,
            foot + BEGIN_SHARE * height,
        );
        Self { height, begin }
    }

    /// The width at a share of the height below the peak; where R does not come down to it, up to the last value.
    fn measure_width(self, values: &[f64], peak: &mut Peak, rel_height: f64) {
        peak.width_height = values[peak.index] - self.height * rel_height;
        peak.left_crossing = crossing_left(values, peak.index, peak.left_base, peak.width_height);
        peak.right_crossing =
            crossing_right(values, peak.index, values.len() - 1, peak.width_height);
        peak.width = peak.right_crossing - peak.left_crossing;
    }
}

/// Where the rule looks in a pulse of so many steps.
pub(super) fn between_guards(steps: usize, stepped: &SteppedSettings) -> Stretch {
    let start = stepped.peak.start_guard.min(steps);
    let end = steps.saturating_sub(stepped.peak.end_guard).max(start);
    Stretch { start, end }
}

/// Whether a peak of this stretch could be a hit: it is long enough and ends late enough.
#[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
pub(super) fn may_hold_a_peak(stretch: Stretch, stepped: &SteppedSettings) -> bool {
    let peak = &stepped.peak;
    stretch.steps() >= peak.smooth && {
        let last = stretch.end - peak.smooth + (peak.smooth - 1) / 2;
        last >= peak.after && last as f64 >= peak.begin_after
    }
}

/// The longest stretch of trusted steps within `from..to`, of equals the first.
fn longest_trusted(trusted: Option<&[bool]>, from: usize, to: usize) -> Stretch {
    let Some(trusted) = trusted else {
        return Stretch {
            start: from,
            end: to,
        };
    };
    let empty = |at| Stretch { start: at, end: at };
    let mut longest = empty(from);
    let mut stretch = longest;
    for (k, trusted) in trusted.iter().enumerate().take(to).skip(from) {
        if *trusted {
            stretch.end = k + 1;
        } else {
            stretch = empty(k + 1);
        }
        if stretch.steps() > longest.steps() {
            longest = stretch;
        }
    }
    longest
}

/// `means[k] = mean(x[k..k + window])`. The `f64` sum of so few `f32` of like size is exact, in any order.
#[expect(
    clippy::cast_precision_loss,
    reason = "a window is far below 2^52 samples"
)]
#[inline(always)]
fn sliding_means(x: &[f32], window: usize, means: &mut Vec<f64>) {
    let count = x.len() + 1 - window;
    means.clear();
    means.extend(x[..count].iter().map(|value| f64::from(*value)));
    for offset in 1..window {
        for (mean, value) in means.iter_mut().zip(&x[offset..]) {
            *mean += f64::from(*value);
        }
    }
    let window = window as f64;
    for mean in means {
        *mean /= window;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::settings::RuleSettings;

    /// mΩ by step of a pulse of 300 steps: 0.28, and what `hills` adds, as (from, until, height) of plateaus with
    /// slopes of ten steps.
    fn with_hills(hills: &[(f64, f64, f64)]) -> Vec<f32> {
        let r = |k: usize| {
            let t = k as f64;
            let added: f64 = hills
                .iter()
                .map(|(from, until, height)| {
                    let slope = |at: f64| ((t - at) / 10.0).clamp(0.0, 1.0);
                    height * (slope(*from) - slope(*until))
                })
                .sum();
            (0.28 + added) as f32
        };
        (0..300).map(r).collect()
    }

    /// Time and value of the hits by these changes to the rule for burn marks.
    fn hits(r: &[f32], change: impl Fn(&mut RuleSettings)) -> Vec<(f64, Level, f64)> {
        let mut settings = RuleSettings::default();
        let peak = &mut settings.resistance_peak;
        peak.measure = PeakMeasure::Height;
        (peak.flag_mohm, peak.warn_mohm) = (0.065, 0.04);
        (peak.min_width_ms, peak.after_ms, peak.begin_after_ms) = (30.0, 0.0, 40.0);
        change(&mut settings);
        settings.check().unwrap();
        let (mut smoothed, mut hits) = (Smoothed::default(), Vec::new());
        let main = Stretch { start: 7, end: 307 };
        let stepped = SteppedSettings::new(&settings, 1.0);
        assert!(smoothed.judge(r, None, main, &stepped, &mut hits));
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        hits.iter()
            .map(|hit| (hit.t_ms, hit.level, rounded(hit.value)))
            .collect()
    }

    #[test]
    fn a_hill_is_measured_from_its_foot() {
        let hill = with_hills(&[(100.0, 150.0, 0.07)]);
        assert_eq!(hits(&hill, |_| {}), [(137.0, Level::Flag, 0.07)]);
        let low = with_hills(&[(100.0, 150.0, 0.05)]);
        assert_eq!(hits(&low, |_| {}), [(137.0, Level::Warn, 0.05)]);
        let lower = with_hills(&[(100.0, 150.0, 0.038)]);
        assert_eq!(hits(&lower, |_| {}), []);

        // R stays up behind it: little prominence, the same height.
        let stays = with_hills(&[(100.0, 150.0, 0.07), (150.0, 400.0, 0.05)]);
        assert_eq!(hits(&stays, |_| {}), [(137.0, Level::Flag, 0.07)]);
        let prominence = |settings: &mut RuleSettings| {
            settings.resistance_peak.measure = PeakMeasure::Prominence;
        };
        assert_eq!(hits(&stays, prominence), []);
    }

    #[test]
    fn a_hill_counts_from_where_a_fifth_of_it_is_risen() {
        for (from, counts) in [(20.0, false), (36.0, false), (39.0, true), (60.0, true)] {
            let hill = with_hills(&[(from, from + 50.0, 0.07)]);
            assert_eq!(hits(&hill, |_| {}).len(), usize::from(counts), "{from}");
            let any = |settings: &mut RuleSettings| settings.resistance_peak.begin_after_ms = 0.0;
            assert_eq!(hits(&hill, any).len(), 1, "{from}");
            let prominence = |settings: &mut RuleSettings| {
                settings.resistance_peak.measure = PeakMeasure::Prominence;
            };
            assert_eq!(hits(&hill, prominence).len(), usize::from(counts), "{from}");
        }
    }

    #[test]
    fn a_narrow_hill_is_none_and_one_that_lasts_is_as_wide_as_what_is_seen_of_it() {
        assert_eq!(hits(&with_hills(&[(100.0, 125.0, 0.07)]), |_| {}), []);
        let lasting = with_hills(&[(100.0, 150.0, 0.07), (150.0, 400.0, 0.05)]);
        let at_most = |most: f64| {
            hits(&lasting, |settings| {
                settings.resistance_peak.max_width_ms = most;
            })
        };
        assert_eq!(at_most(150.0), []);
        assert_eq!(at_most(190.0).len(), 1);
    }

    #[test]
    fn a_ripple_on_the_rise_belongs_to_the_hill_and_a_valley_parts_two() {
        let ripple = with_hills(&[
            (90.0, 120.0, 0.06),
            (130.0, 170.0, 0.09),
            (120.0, 130.0, 0.04),
        ]);
        assert_eq!(
            hits(&ripple, |_| {}).len(),
            1,
            "{:?}",
            hits(&ripple, |_| {})
        );
        let two = with_hills(&[(60.0, 100.0, 0.06), (160.0, 200.0, 0.09)]);
        let found = hits(&two, |_| {});
        assert_eq!(
            found,
            [(92.0, Level::Warn, 0.06), (192.0, Level::Flag, 0.09)]
        );
    }

    #[test]
    fn of_equally_long_stretches_the_first_is_taken() {
        let trusted = [true, true, false, true, true, false, true];
        let found = |from, to| {
            let stretch = longest_trusted(Some(&trusted), from, to);
            (stretch.start, stretch.end)
        };
        assert_eq!(found(0, 7), (0, 2));
        assert_eq!(found(1, 7), (3, 5));
        assert_eq!(found(5, 7), (6, 7));
        assert_eq!(found(2, 3), (2, 2));
        let untouched = longest_trusted(None, 1, 6);
        assert_eq!((untouched.start, untouched.end), (1, 6));
    }
}
