//! The few summits that rise and fall by the wanted prominence, and walking from them.

use super::peak::{Low, Maximum, Peak, PeakQuery};
use crate::vectors::widest;

/// The highest samples between a rise and a fall by the wanted prominence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summit {
    /// The first sample of this height.
    at: usize,
    /// The sample at which the fall is complete.
    until: usize,
}

/// Summits from which walking is cheaper than looking at all peaks.
const FEW: usize = 8;

/// Finds the peaks where the wanted prominence leaves few of them; false, and nothing found, where it does not.
pub(super) fn find(
    x: &[f64],
    query: &PeakQuery,
    summits: &mut Vec<Summit>,
    peaks: &mut Vec<Peak>,
) -> bool {
    let few = widest(
        #[inline(always)]
        || find_summits(x, query.min_prominence, summits),
    );
    if few {
        for summit in summits {
            walk_from(x, *summit, query, peaks);
        }
    }
    few
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
        peaks.extend(maximum.measured(x, left, right, query));
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
