//! From milliseconds to samples, to six decimals, and from `f64` to `f32`: rounded in one way everywhere.

/// Samples (or steps) of a time, to the nearest, halves upwards.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are from 0 to 1e6 ms and intervals from 0.01 ms"
)]
pub(crate) fn samples(ms: f64, interval_ms: f64) -> usize {
    (ms / interval_ms + 0.5).floor() as usize
}

/// To six decimals, halves upwards: the same arithmetic as `numpy.floor(x * 1e6 + 0.5) / 1e6`.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e6 + 0.5).floor() / 1e6
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to f32 is what is wanted"
)]
pub(crate) fn single(value: f64) -> f32 {
    value as f32
}
