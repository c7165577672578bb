//! Rows to try a model on: plausible curves, since zeros and denormals have a speed of their own.

use weldfleet_weld::{
    features::{InferenceConfig, InputKind, Span, lay_out},
    judge::Batch,
};

/// Points of a curve.
const POINTS: usize = 600;

/// Input of some rows, in memory.
pub struct Probe {
    curves: Vec<f32>,
    spans: Vec<Span>,
    scalars: Vec<f32>,
    row_len: usize,
    numbers: usize,
}

impl Probe {
    /// Rows as this model takes them.
    pub fn new(config: &InferenceConfig, rows: usize) -> Self {
        let (row_len, mut spans) = match config.input_kind {
            InputKind::Features => (config.row_len(), Vec::new()),
            InputKind::Raw => (2 * POINTS, vec![[0, POINTS as i64]; rows]),
        };
        lay_out(&mut spans);
        let numbers = config.scalars.len();
        // Between 0.25 and 2.4, near what scaled channels are; of rising steps, so that no two rows are equal, and some
        // rows larger than others, as welds are.
        let value = |k: usize| {
            let size = [1.0, 0.5, 1.6][k / row_len % 3];
            size * (0.5 + (k * 7919 % 4093) as f32 / 4093.0)
        };
        Self {
            curves: (0..rows * row_len).map(value).collect(),
            spans,
            scalars: (0..rows * numbers).map(|k| 0.25 + k as f32 / 8.0).collect(),
            row_len,
            numbers,
        }
    }

    /// As many of the rows as there is room for results.
    pub fn rows<'a>(&'a self, nok_prob: &'a mut [f32], regression: &'a mut [f32]) -> Batch<'a> {
        self.rows_from(0, nok_prob, regression)
    }

    /// The same, from this row on.
    pub fn rows_from<'a>(
        &'a self,
        first: usize,
        nok_prob: &'a mut [f32],
        regression: &'a mut [f32],
    ) -> Batch<'a> {
        let rows = nok_prob.len();
        Batch {
            curves: &self.curves[first * self.row_len..][..rows * self.row_len],
            // All welds are of one length, so that the first spans lie where any would.
            spans: &self.spans[..rows.min(self.spans.len())],
            scalars: &self.scalars[first * self.numbers..][..rows * self.numbers],
            nok_prob,
            regression,
        }
    }
}
