//! `resistance_peak`: a peak of smoothed R where a good weld has none.

use super::{Hit, Level, Pulse, Rule, stepped::SteppedSettings};
use crate::{
    peaks::{Peak, PeakScratch, find_peaks},
    vectors::widest,
};

/// Reusable buffers, and what was seen in the last weld.
#[derive(Debug, Clone, Default)]
pub(crate) struct Smoothed {
    /// Means of `smooth_ms` of R, mΩ.
    pub values: Vec<f64>,
    /// Step of the curve at the centre of the first mean.
    pub first_step: usize,
    /// Peaks of `values` with at least the warning's prominence and a width within bounds, at any time.
    pub peaks: Vec<Peak>,
    scratch: PeakScratch,
}

impl Smoothed {
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.peaks.clear();
    }

    /// Smooths the longest uninterrupted stretch of the main pulse's R (`r[0]` is the pulse's first step) between the
    /// guards, and appends the hits.
    pub(super) fn judge(
        &mut self,
        r: &[f32],
        trusted: Option<&[bool]>,
        main: Pulse,
        stepped: &SteppedSettings,
        hits: &mut Vec<Hit>,
    ) {
        self.clear();
        let from = stepped.peak.start_guard.min(r.len());
        let to = r.len().saturating_sub(stepped.peak.end_guard).max(from);
        let stretch = longest_trusted(trusted, from, to);
        let window = stepped.peak.smooth;
        self.first_step = main.start + stretch.start + (window - 1) / 2;
        if stretch.steps() < window {
            return;
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
        for peak in &self.peaks {
            let step = self.first_step + peak.index;
            if step - main.start < stepped.peak.after {
                continue;
            }
            let (level, limit) = if peak.prominence >= settings.flag_mohm {
                (Level::Flag, settings.flag_mohm)
            } else {
                (Level::Warn, settings.warn_mohm)
            };
            hits.push(Hit::new(
                Rule::ResistancePeak,
                level,
                stepped.ms(step),
                peak.prominence,
                limit,
            ));
        }
    }
}

/// The longest stretch of trusted steps within `from..to`, of equals the first.
fn longest_trusted(trusted: Option<&[bool]>, from: usize, to: usize) -> Pulse {
    let Some(trusted) = trusted else {
        return Pulse {
            start: from,
            end: to,
        };
    };
    let mut longest = Pulse {
        start: from,
        end: from,
    };
    let mut stretch = longest;
    for (k, trusted) in trusted.iter().enumerate().take(to).skip(from) {
        if *trusted {
            stretch.end = k + 1;
        } else {
            stretch = Pulse {
                start: k + 1,
                end: k + 1,
            };
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
