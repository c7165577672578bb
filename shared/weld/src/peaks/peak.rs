//! What a peak is, and what is known of it once its bases are.

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
pub(super) struct Maximum {
    pub left_edge: usize,
    pub right_edge: usize,
}

impl Maximum {
    pub(super) fn index(self) -> usize {
        usize::midpoint(self.left_edge, self.right_edge)
    }

    /// What is to be known of a peak, if the query wants it.
    pub(super) fn measured(
        self,
        x: &[f64],
        left: Low,
        right: Low,
        query: &PeakQuery,
    ) -> Option<Peak> {
        let index = self.index();
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
            left_edge: self.left_edge,
            right_edge: self.right_edge,
            prominence,
            left_base,
            right_base,
            width,
            width_height,
            left_crossing,
            right_crossing,
        })
    }
}

/// The lowest sample of a stretch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Low {
    pub value: f64,
    pub index: usize,
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
