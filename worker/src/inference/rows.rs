//! Rows as a session takes them.

use weldfleet_weld::features::Span;

/// Rows on their way through a model.
pub struct Rows<'a> {
    /// `[N, 4, L]`, or a raw model's samples.
    pub curves: &'a [f32],
    /// Of a raw model, one a row; else empty.
    pub spans: &'a [Span],
    /// `[N, k]` of a model that asks for scalars, else empty.
    pub scalars: &'a [f32],
    /// `[N]`, to be filled.
    pub nok_prob: &'a mut [f32],
    /// `[N, 4]`, to be filled.
    pub regression: &'a mut [f32],
}
