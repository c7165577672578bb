//! One weld as a raw model takes it: its curves and no more.

/// Where in the samples a weld begins, and how many points it has: its voltages from there on, its currents behind
/// them. Laid out as a row of the model's spans, i64 `[N, 2]`.
pub type Span = [i64; 2];

/// Writes U in V, then I in kA, into `samples`, which is as long as both.
///
/// # Panics
/// If `samples` has another length.
pub fn write_raw((u, i): (&[f32], &[f32]), samples: &mut [f32]) {
    let (to_u, to_i) = samples.split_at_mut(u.len());
    to_u.copy_from_slice(u);
    to_i.copy_from_slice(i);
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
