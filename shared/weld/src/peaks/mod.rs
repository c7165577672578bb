//! `find_peaks` with the semantics of SciPy: strict local maxima with plateaus, prominences, widths.
//!
//! SciPy walks outwards from every peak, which is quadratic on a falling curve and slow on a noisy one. Here one pass
//! finds the few summits that rise and fall by the wanted prominence, and only they are walked from; where there are
//! many, or no prominence is wanted, prominences come from two passes over all peaks with a stack of higher ones, so
//! the whole is linear. Golden vectors hold all of them to the same answer.

mod all;
mod peak;
mod summits;

pub use peak::{Peak, PeakQuery};
pub(crate) use peak::{crossing_left, crossing_right};
use summits::Summit;

/// Reusable buffers of [`find_peaks`].
#[derive(Debug, Clone, Default)]
pub struct PeakScratch {
    summits: Vec<Summit>,
    all: all::Scratch,
}

/// Finds the peaks of `x`, in order, into `peaks` (cleared first). The first and last sample are never peaks.
pub fn find_peaks(x: &[f64], query: &PeakQuery, scratch: &mut PeakScratch, peaks: &mut Vec<Peak>) {
    peaks.clear();
    if !summits::find(x, query, &mut scratch.summits, peaks) {
        all::find(x, query, &mut scratch.all, peaks);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SciPy's own way: walk outwards from the peak until something is higher.
    fn walked(x: &[f64], peak: usize) -> (f64, usize, usize) {
        let (mut left, mut right) = (peak, peak);
        for k in (0..=peak).rev().take_while(|k| x[*k] <= x[peak]) {
            if x[k] < x[left] {
                left = k;
            }
        }
        for k in (peak..x.len()).take_while(|k| x[*k] <= x[peak]) {
            if x[k] < x[right] {
                right = k;
            }
        }
        (x[peak] - x[left].max(x[right]), left, right)
    }

    proptest! {
        #[test]
        fn the_stack_finds_what_walking_finds(steps in prop::collection::vec(-4_i8..=4, 0..120), walk: bool) {
            let mut level = 0.0;
            let x: Vec<f64> = steps
                .iter()
                .map(|step| {
                    level = if walk { level + f64::from(*step) } else { f64::from(*step) };
                    level
                })
                .collect();
            let mut peaks = Vec::new();
            find_peaks(&x, &PeakQuery::ALL, &mut PeakScratch::default(), &mut peaks);
            for peak in &peaks {
                prop_assert_eq!((peak.prominence, peak.left_base, peak.right_base), walked(&x, peak.index));
            }
        }

        #[test]
        fn summits_are_the_peaks_of_that_prominence(
            steps in prop::collection::vec(-4_i8..=4, 0..160), walk: bool, prominence in 1_u8..12, rough in 0.0_f64..1e-9,
        ) {
            let mut level = 0.0;
            let x: Vec<f64> = steps
                .iter()
                .enumerate()
                .map(|(k, step)| {
                    level = if walk { level + f64::from(*step) } else { f64::from(*step) };
                    level + if k % 3 == 0 { rough } else { 0.0 }
                })
                .collect();
            let query = PeakQuery { min_prominence: f64::from(prominence), ..PeakQuery::ALL };
            let (mut scratch, mut peaks, mut among_all) = (PeakScratch::default(), Vec::new(), Vec::new());
            find_peaks(&x, &query, &mut scratch, &mut peaks);
            all::find(&x, &query, &mut all::Scratch::default(), &mut among_all);
            prop_assert_eq!(peaks, among_all);
        }

        #[test]
        fn any_numbers_are_survived(x in prop::collection::vec(any::<f64>(), 0..80)) {
            let mut peaks = Vec::new();
            for query in [PeakQuery::ALL, PeakQuery { min_prominence: 1.0, ..PeakQuery::ALL }] {
                find_peaks(&x, &query, &mut PeakScratch::default(), &mut peaks);
                prop_assert!(peaks.iter().all(|peak| peak.index < x.len()));
            }
        }
    }
}
