//! All peaks, by two passes with a stack of higher ones.

use super::peak::{Low, Maximum, Peak, PeakQuery};

#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    maxima: Vec<Maximum>,
    left_bases: Vec<Low>,
    /// Peaks that are higher than all after them, with the lowest sample before each up to the next higher one.
    higher: Vec<(f64, Low)>,
}

pub(super) fn find(x: &[f64], query: &PeakQuery, scratch: &mut Scratch, peaks: &mut Vec<Peak>) {
    local_maxima(x, &mut scratch.maxima);
    bases_to_the_left(x, scratch);
    scratch.higher.clear();
    // From the last peak to the first: the right bases, and with both bases all the rest.
    let mut after = x.len();
    for (maximum, left) in scratch.maxima.iter().zip(&scratch.left_bases).rev() {
        let index = maximum.index();
        let mut right = lowest_first(x, index, after);
        let height = x[index];
        while let Some((other, low)) = scratch.higher.pop_if(|(other, _)| *other <= height) {
            debug_assert!(other <= height);
            if low.value < right.value {
                right = low;
            }
        }
        scratch.higher.push((height, right));
        after = index;
        peaks.extend(maximum.measured(x, *left, right, query));
    }
    peaks.reverse();
}

/// Samples (or runs of equal samples) above both their neighbours.
fn local_maxima(x: &[f64], maxima: &mut Vec<Maximum>) {
    maxima.clear();
    let Some(last) = x.len().checked_sub(1) else {
        return;
    };
    let mut k = 1;
    while k < last {
        if x[k - 1] < x[k] {
            let mut ahead = k + 1;
            while ahead < last && x[ahead] == x[k] {
                ahead += 1;
            }
            if x[ahead] < x[k] {
                maxima.push(Maximum {
                    left_edge: k,
                    right_edge: ahead - 1,
                });
                k = ahead;
            }
        }
        k += 1;
    }
}

/// For every maximum the lowest sample on its left before the curve rises above it.
///
/// Between two neighbouring maxima the curve falls and then rises, so where a higher neighbour ends the walk, all
/// that lies beyond the crossing is higher than the peak and cannot be its base: whole stretches may be combined.
fn bases_to_the_left(x: &[f64], scratch: &mut Scratch) {
    scratch.left_bases.clear();
    scratch.higher.clear();
    let mut before = 0;
    for maximum in &scratch.maxima {
        let index = maximum.index();
        let mut left = lowest_last(x, before, index);
        let height = x[index];
        while let Some((_, low)) = scratch.higher.pop_if(|(other, _)| *other <= height) {
            if low.value < left.value {
                left = low;
            }
        }
        scratch.higher.push((height, left));
        scratch.left_bases.push(left);
        before = index;
    }
}

/// Lowest of `x[from..=to]`; of equals the last.
fn lowest_last(x: &[f64], from: usize, to: usize) -> Low {
    let mut low = Low {
        value: x[to],
        index: to,
    };
    for index in (from..to).rev() {
        if x[index] < low.value {
            low = Low {
                value: x[index],
                index,
            };
        }
    }
    low
}

/// Lowest of `x[from..to]`; of equals the first.
fn lowest_first(x: &[f64], from: usize, to: usize) -> Low {
    let mut low = Low {
        value: x[from],
        index: from,
    };
    for (index, value) in x.iter().enumerate().take(to).skip(from + 1) {
        if *value < low.value {
            low = Low {
                value: *value,
                index,
            };
        }
    }
    low
}
