//! `find_peaks` with the semantics of SciPy: strict local maxima with plateaus, prominences, widths.
//!
//! SciPy walks outwards from every peak, which is quadratic on a falling curve and slow on a noisy one. Here one pass
//! finds the few summits that rise and fall by the wanted prominence, and only they are walked from; where there are
//! many, or no prominence is wanted, prominences come from two passes over all peaks with a stack of higher ones, so
//! the whole is linear. Golden vectors hold all of them to the same answer.

use crate::vectors::widest;

/// Which peaks are wanted. Intervals are inclusive, as in SciPy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeakQuery {
    /// Least height above the higher of the two bases.
    pub min_prominence: f64,
    /// Least and greatest width, in samples.
    pub width: [f64; 2],
    /// Where the width is measured, as a share of the prominence below the peak (SciPy's default is 0.5).
    pub rel_height: f64,
}

impl PeakQuery {
    pub const ALL: Self = Self {
        min_prominence: 0.0,
        width: [0.0, f64::INFINITY],
        rel_height: 0.5,
    };
}

/// A peak and what SciPy's `properties` say about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// The peak's sample; the middle one of a plateau, rounded down.
    pub index: usize,
    /// First sample of the plateau.
    pub left_edge: usize,
    /// Last sample of the plateau.
    pub right_edge: usize,
    /// Height above the higher base.
    pub prominence: f64,
    /// Lowest sample to the left, before the curve rises above the peak; of equals the nearest.
    pub left_base: usize,
    /// Lowest sample to the right, likewise.
    pub right_base: usize,
    /// Width at `rel_height`, in samples.
    pub width: f64,
    /// Height at which the width is measured.
    pub width_height: f64,
    /// Interpolated position where the curve crosses that height on the left.
    pub left_crossing: f64,
    /// And on the right.
    pub right_crossing: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Maximum {
    left_edge: usize,
    right_edge: usize,
}

impl Maximum {
    fn index(self) -> usize {
        usize::midpoint(self.left_edge, self.right_edge)
    }
}

/// The lowest sample of a stretch.
#[derive(Debug, Clone, Copy)]
struct Low {
    value: f64,
    index: usize,
}

/// The highest samples between a rise and a fall by the wanted prominence.
#[derive(Debug, Clone, Copy)]
struct Summit {
    /// The first sample of this height.
    at: usize,
    /// The sample at which the fall is complete.
    until: usize,
}

/// Summits from which walking is cheaper than looking at all peaks.
const FEW: usize = 8;

/// Reusable buffers of [`find_peaks`].
#[derive(Debug, Clone, Default)]
pub struct PeakScratch {
    summits: Vec<Summit>,
    maxima: Vec<Maximum>,
    left_bases: Vec<Low>,
    /// Peaks that are higher than all after them, with the lowest sample before each up to the next higher one.
    higher: Vec<(f64, Low)>,
}

/// Finds the peaks of `x`, in order, into `peaks` (cleared first). The first and last sample are never peaks.
pub fn find_peaks(x: &[f64], query: &PeakQuery, scratch: &mut PeakScratch, peaks: &mut Vec<Peak>) {
    peaks.clear();
    let few = widest(
        #[inline(always)]
        || find_summits(x, query.min_prominence, &mut scratch.summits),
    );
    if few {
        for summit in &scratch.summits {
            walk_from(x, *summit, query, peaks);
        }
    } else {
        find_among_all(x, query, scratch, peaks);
    }
}

/// Finds where `x` rises by at least `prominence` and then falls by as much. Every peak of that prominence, and no
/// other, is as high as the summit between its rise and its fall. False, and nothing found, where `prominence` is not
/// above 0, a sample is not finite, or there are more than [`FEW`].
#[inline(always)]
fn find_summits(x: &[f64], prominence: f64, summits: &mut Vec<Summit>) -> bool {
    summits.clear();
    if prominence.is_nan() || prominence <= 0.0 {
        return false;
    }
    let mut slope = Slope::Falling { low: f64::INFINITY };
    let mut start = 0;
    for block in x.chunks(BLOCK) {
        let Some(extent) = extent(block) else {
            return false;
        };
        if let Some(unturned) = slope.pass(block, start, extent, prominence) {
            slope = unturned;
        } else {
            for (k, &value) in (start..).zip(block) {
                slope = match slope.step(k, value, prominence) {
                    Step::On(slope) => slope,
                    Step::Summit(_) if summits.len() == FEW => return false,
                    Step::Summit(at) => {
                        summits.push(Summit { at, until: k });
                        Slope::Falling { low: value }
                    }
                };
            }
        }
        start += block.len();
    }
    true
}

/// Samples looked at together: most blocks of a weld hold no turn, and need no look at each of them.
const BLOCK: usize = 32;
/// Samples of a block that go side by side through the vector unit.
const LANES: usize = 8;

/// Lowest and highest sample of a block; None where one is not finite.
#[inline(always)]
fn extent(block: &[f64]) -> Option<[f64; 2]> {
    let mut low = [f64::INFINITY; LANES];
    let mut high = [f64::NEG_INFINITY; LANES];
    // x * 0 is 0 for a finite x and NaN for every other.
    let mut taint = [0.0; LANES];
    let (groups, rest) = block.as_chunks::<LANES>();
    for group in groups {
        low = lanes(*group, low, lower);
        high = lanes(*group, high, higher);
        taint = lanes(*group, taint, |value, taint| value * 0.0 + taint);
    }
    for value in rest {
        low[0] = lower(*value, low[0]);
        high[0] = higher(*value, high[0]);
        taint[0] += value * 0.0;
    }
    (taint == [0.0; LANES]).then(|| {
        [
            low.into_iter().fold(f64::INFINITY, f64::min),
            high.into_iter().fold(f64::NEG_INFINITY, f64::max),
        ]
    })
}

/// `each` of two groups of values, lane by lane.
#[inline(always)]
fn lanes(a: [f64; LANES], b: [f64; LANES], each: impl Fn(f64, f64) -> f64) -> [f64; LANES] {
    std::array::from_fn(|k| each(a[k], b[k]))
}

/// One instruction each, which `f64::min` is not.
#[inline(always)]
fn lower(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[inline(always)]
fn higher(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Where a walk along the samples is.
#[derive(Debug, Clone, Copy)]
enum Slope {
    /// Not risen by the prominence since the lowest sample.
    Falling { low: f64 },
    /// Not fallen by the prominence since the highest sample, the first of which is `at`.
    Rising { high: f64, at: usize },
}

enum Step {
    On(Slope),
    /// Fallen by the prominence from the summit that is here.
    Summit(usize),
}

impl Slope {
    fn step(self, k: usize, value: f64, prominence: f64) -> Step {
        Step::On(match self {
            Self::Falling { low } if value - low >= prominence => {
                Self::Rising { high: value, at: k }
            }
            Self::Falling { low } if value < low => Self::Falling { low: value },
            Self::Rising { high, .. } if value > high => Self::Rising { high: value, at: k },
            Self::Rising { high, at } if high - value >= prominence => return Step::Summit(at),
            unchanged => unchanged,
        })
    }

    /// Goes past a whole block in which it surely does not turn, whatever the order of its samples.
    fn pass(
        self,
        block: &[f64],
        start: usize,
        [lowest, highest]: [f64; 2],
        prominence: f64,
    ) -> Option<Self> {
        match self {
            Self::Falling { low } => {
                let low = low.min(lowest);
                (highest - low < prominence).then_some(Self::Falling { low })
            }
            Self::Rising { high, .. } if high.max(highest) - lowest >= prominence => None,
            Self::Rising { high, .. } if highest > high => {
                let at = start + block.iter().position(|value| *value == highest)?;
                Some(Self::Rising { high: highest, at })
            }
            rising @ Self::Rising { .. } => Some(rising),
        }
    }
}

/// Appends the summit's peak, and others of the same height behind it, as SciPy finds them: by walking to both sides
/// until something is higher.
fn walk_from(x: &[f64], summit: Summit, query: &PeakQuery, peaks: &mut Vec<Peak>) {
    let height = x[summit.at];
    let mut k = summit.at;
    while k < summit.until {
        let left_edge = k;
        while x[k] == height {
            k += 1;
        }
        if left_edge == k {
            k += 1;
            continue;
        }
        let maximum = Maximum {
            left_edge,
            right_edge: k - 1,
        };
        let index = maximum.index();
        let own = Low {
            value: height,
            index,
        };
        let (left, right) = widest(
            #[inline(always)]
            || (lowest_before(x, own), lowest_behind(x, own)),
        );
        peaks.extend(measure(x, maximum, left, right, query));
    }
}

/// The lowest sample before the peak, back to where something is higher; of equals the nearest, the peak itself if
/// there is none.
#[inline(always)]
fn lowest_before(x: &[f64], peak: Low) -> Low {
    let (mut from, mut lowest) = (peak.index, peak.value);
    for block in x[..peak.index].rchunks(BLOCK) {
        let (passed, low) = match extent(block) {
            Some([low, highest]) if highest <= peak.value => (block, low),
            _ => {
                let higher = block.iter().rposition(|value| *value > peak.value);
                let passed = &block[higher.map_or(0, |at| at + 1)..];
                (passed, passed.iter().copied().fold(lowest, lower))
            }
        };
        from -= passed.len();
        lowest = lower(lowest, low);
        if passed.len() < block.len() {
            break;
        }
    }
    let nearest = x[from..peak.index]
        .iter()
        .rposition(|value| *value == lowest && lowest < peak.value);
    nearest.map_or(peak, |at| Low {
        value: lowest,
        index: from + at,
    })
}

/// The lowest sample behind the peak, likewise.
#[inline(always)]
fn lowest_behind(x: &[f64], peak: Low) -> Low {
    let (mut until, mut lowest) = (peak.index + 1, peak.value);
    for block in x[peak.index + 1..].chunks(BLOCK) {
        let (passed, low) = match extent(block) {
            Some([low, highest]) if highest <= peak.value => (block, low),
            _ => {
                let higher = block.iter().position(|value| *value > peak.value);
                let passed = &block[..higher.unwrap_or(block.len())];
                (passed, passed.iter().copied().fold(lowest, lower))
            }
        };
        until += passed.len();
        lowest = lower(lowest, low);
        if passed.len() < block.len() {
            break;
        }
    }
    let nearest = x[peak.index + 1..until]
        .iter()
        .position(|value| *value == lowest && lowest < peak.value);
    nearest.map_or(peak, |at| Low {
        value: lowest,
        index: peak.index + 1 + at,
    })
}

fn find_among_all(x: &[f64], query: &PeakQuery, scratch: &mut PeakScratch, peaks: &mut Vec<Peak>) {
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
        peaks.extend(measure(x, *maximum, *left, right, query));
    }
    peaks.reverse();
}

/// What is to be known of a peak, if the query wants it.
fn measure(x: &[f64], maximum: Maximum, left: Low, right: Low, query: &PeakQuery) -> Option<Peak> {
    let index = maximum.index();
    let height = x[index];
    let prominence = height - left.value.max(right.value);
    if prominence < query.min_prominence {
        return None;
    }
    let (left_base, right_base) = (left.index, right.index);
    let width_height = height - prominence * query.rel_height;
    let left_crossing = crossing_left(x, index, left_base, width_height);
    let right_crossing = crossing_right(x, index, right_base, width_height);
    let width = right_crossing - left_crossing;
    if width < query.width[0] || width > query.width[1] {
        return None;
    }
    Some(Peak {
        index,
        left_edge: maximum.left_edge,
        right_edge: maximum.right_edge,
        prominence,
        left_base,
        right_base,
        width,
        width_height,
        left_crossing,
        right_crossing,
    })
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
fn bases_to_the_left(x: &[f64], scratch: &mut PeakScratch) {
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

/// Interpolated position where `x` falls to `height` on the way from the peak back to the base; the base if it does
/// not.
#[expect(clippy::cast_precision_loss, reason = "indices are far below 2^52")]
pub(crate) fn crossing_left(x: &[f64], peak: usize, base: usize, height: f64) -> f64 {
    let mut k = peak;
    while base < k && height < x[k] {
        k -= 1;
    }
    let mut at = k as f64;
    if x[k] < height {
        at += (height - x[k]) / (x[k + 1] - x[k]);
    }
    at
}

/// And on the way forward.
#[expect(clippy::cast_precision_loss, reason = "indices are far below 2^52")]
pub(crate) fn crossing_right(x: &[f64], peak: usize, base: usize, height: f64) -> f64 {
    let mut k = peak;
    while k < base && height < x[k] {
        k += 1;
    }
    let mut at = k as f64;
    if x[k] < height {
        at -= (height - x[k]) / (x[k - 1] - x[k]);
    }
    at
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
            let (mut scratch, mut peaks, mut all) = (PeakScratch::default(), Vec::new(), Vec::new());
            find_peaks(&x, &query, &mut scratch, &mut peaks);
            find_among_all(&x, &query, &mut PeakScratch::default(), &mut all);
            prop_assert_eq!(peaks, all);
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
