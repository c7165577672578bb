//! One weld as a raw model takes it: its curves and no more.

use crate::curves::Curves;

/// Where in the samples a weld begins, and how many points it has: its voltages from there on, its currents behind them.
/// Laid out as a row of the model's spans, i64 `[N, 2]`.
pub type Span = [i64; 2];

/// f32 values of one weld: its voltages and its currents.
#[must_use]
pub fn raw_len(curves: &Curves) -> usize {
    2 * curves.u().len()
}

/// Writes U in V, then I in kA, into `samples` ([`raw_len`] values, every one overwritten).
///
/// # Panics
/// If `samples` has another length.
pub fn write_raw(curves: &Curves, samples: &mut [f32]) {
    let (u, i) = samples.split_at_mut(curves.u().len());
    u.copy_from_slice(curves.u());
    i.copy_from_slice(curves.i());
}

/// Lets the first weld begin at 0 and each other where the one before it ends; returns where the last one ends.
pub fn lay_out(spans: &mut [Span]) -> usize {
    let mut end = 0;
    for [start, points] in spans {
        *start = end;
        end += 2 * *points;
    }
    usize::try_from(end).unwrap_or_default()
}
