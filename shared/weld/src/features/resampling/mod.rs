//! Curves stretched or shrunk to a length, linearly between neighbouring samples.
//!
//! Computed in `f64`, whichever of the two ways a point goes: by itself, or with seven others through the vector unit.

#[cfg(target_arch = "x86_64")]
mod avx2;

use crate::{rounding::single, vectors::widest};

/// Points that go through the vector unit together.
const TOGETHER: usize = 8;

/// How curves of some length become rows of some length. Reusable; made anew when either length changes.
#[derive(Debug, Clone, Default)]
pub struct Resampling {
    samples: usize,
    /// For every point of the row the sample before it; there is one behind it.
    lefts: Vec<u32>,
    /// How far the point lies behind that sample, as a share of the way to the next.
    fractions: Vec<f64>,
}

impl Resampling {
    #[expect(
        clippy::cast_precision_loss,
        reason = "curves are far below 2^52 samples"
    )]
    fn prepare(&mut self, samples: usize, len: usize) {
        if (self.samples, self.lefts.len()) == (samples, len) {
            return;
        }
        self.samples = samples;
        let step = (samples - 1) as f64 / (len - 1) as f64;
        let last_left = i32::try_from(samples - 2).unwrap_or(i32::MAX);
        self.lefts.resize(len, 0);
        self.fractions.resize(len, 0.0);
        let (lefts, fractions) = (&mut self.lefts, &mut self.fractions);
        widest(
            #[inline(always)]
            move || places(step, last_left, lefts, fractions),
        );
    }

    /// Interpolates two curves of the same length, at least two samples, to the length of `u` and `i`, at least two
    /// points.
    pub(super) fn write(&mut self, u_from: &[f32], i_from: &[f32], u: &mut [f32], i: &mut [f32]) {
        self.prepare(u_from.len(), u.len());
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return avx2::write(simd, self, [u_from, i_from], [u, i]);
        }
        for (from, to) in [(u_from, u), (i_from, i)] {
            one_by_one(from, &self.lefts, &self.fractions, to);
        }
    }
}

/// Every weld may have another length, so this is worth the vector unit: 32-bit places, which it converts at once.
#[expect(
    clippy::cast_possible_truncation,
    reason = "positions are below 2^31, and the whole part is what is wanted"
)]
#[inline(always)]
fn places(step: f64, last_left: i32, lefts: &mut [u32], fractions: &mut [f64]) {
    for ((j, to_left), to_fraction) in (0_i32..).zip(lefts).zip(fractions) {
        let position = f64::from(j) * step;
        let left = (position as i32).min(last_left);
        *to_left = left.cast_unsigned();
        *to_fraction = position - f64::from(left);
    }
}

#[inline]
fn one_by_one(from: &[f32], lefts: &[u32], fractions: &[f64], to: &mut [f32]) {
    for ((left, fraction), to) in lefts.iter().zip(fractions).zip(to) {
        let left = *left as usize;
        let (before, behind) = (f64::from(from[left]), f64::from(from[left + 1]));
        *to = single((behind - before) * fraction + before);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn points_together_are_what_they_are_one_by_one(
            samples in prop::collection::vec((-1e6_f32..1e6, 0.0_f32..60.0), 2..700),
            len in 2_usize..1100,
        ) {
            let (u_from, i_from): (Vec<f32>, Vec<f32>) = samples.into_iter().unzip();
            let (mut u, mut i) = (vec![f32::NAN; len], vec![f32::NAN; len]);
            let mut resampling = Resampling::default();
            resampling.write(&u_from, &i_from, &mut u, &mut i);
            for (from, found) in [(&u_from, &u), (&i_from, &i)] {
                let mut expected = vec![f32::NAN; len];
                one_by_one(from, &resampling.lefts, &resampling.fractions, &mut expected);
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(found), bits(&expected));
            }
        }
    }
}
