//! Eight points at a time, with AVX2: the few samples that they lie between are loaded once and put in place by a
//! permutation.

use std::arch::x86_64::{__m128, __m256, __m256d, __m256i};

use pulp::{cast, x86::V3};

use super::{Resampling, TOGETHER, one_by_one};

/// Fits each curve to its row.
pub(super) fn write(simd: V3, places: &Resampling, from: [&[f32]; 2], to: [&mut [f32]; 2]) {
    simd.vectorize(
        #[inline(always)]
        || {
            let (lefts, last_lefts) = places.lefts.as_chunks::<TOGETHER>();
            let (fractions, last_fractions) = places.fractions.as_chunks::<TOGETHER>();
            let [u, i] = to;
            let (us, last_u) = u.as_chunks_mut::<TOGETHER>();
            let (is, last_i) = i.as_chunks_mut::<TOGETHER>();
            for (((lefts, fractions), u), i) in lefts.iter().zip(fractions).zip(us).zip(is) {
                match windows(lefts, from) {
                    Some(windows) => {
                        let points = Points::new(simd, lefts, fractions);
                        *u = points.of(simd, windows[0]);
                        *i = points.of(simd, windows[1]);
                    }
                    None => {
                        one_by_one(from[0], lefts, fractions, u);
                        one_by_one(from[1], lefts, fractions, i);
                    }
                }
            }
            one_by_one(from[0], last_lefts, last_fractions, last_u);
            one_by_one(from[1], last_lefts, last_fractions, last_i);
        },
    );
}

/// The samples that the points lie between, if they are in one register's reach: not where a curve shrinks, nor at its
/// end.
#[inline(always)]
fn windows(lefts: &[u32; TOGETHER], from: [&[f32]; 2]) -> Option<[[f32; TOGETHER]; 2]> {
    let (first, last) = (lefts[0] as usize, lefts[TOGETHER - 1] as usize + 1);
    if last - first >= TOGETHER {
        return None;
    }
    Some([
        *from[0].get(first..)?.first_chunk()?,
        *from[1].get(first..)?.first_chunk()?,
    ])
}

/// Where eight points lie within their window.
#[derive(Clone, Copy)]
struct Points {
    before: __m256i,
    behind: __m256i,
    fractions: [__m256d; 2],
}

impl Points {
    #[inline(always)]
    fn new(simd: V3, lefts: &[u32; TOGETHER], fractions: &[f64; TOGETHER]) -> Self {
        let first = simd.avx._mm256_set1_epi32(lefts[0].cast_signed());
        let before = simd.avx2._mm256_sub_epi32(cast(*lefts), first);
        Self {
            before,
            behind: simd
                .avx2
                ._mm256_add_epi32(before, simd.avx._mm256_set1_epi32(1)),
            fractions: cast(*fractions),
        }
    }

    #[inline(always)]
    fn of(self, simd: V3, window: [f32; TOGETHER]) -> [f32; TOGETHER] {
        let window: __m256 = cast(window);
        let before: [__m128; 2] = cast(simd.avx2._mm256_permutevar8x32_ps(window, self.before));
        let behind: [__m128; 2] = cast(simd.avx2._mm256_permutevar8x32_ps(window, self.behind));
        let four = |half: usize| {
            let before = simd.avx._mm256_cvtps_pd(before[half]);
            let rise = simd
                .avx
                ._mm256_sub_pd(simd.avx._mm256_cvtps_pd(behind[half]), before);
            let risen = simd.avx._mm256_mul_pd(rise, self.fractions[half]);
            simd.avx
                ._mm256_cvtpd_ps(simd.avx._mm256_add_pd(risen, before))
        };
        cast([four(0), four(1)])
    }
}
