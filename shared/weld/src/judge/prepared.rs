//! Welds between preparation and conclusion: the rules' word, and the tensors on their way to and from the models.

use std::mem::take;

use crate::{
    Status,
    features::{REGRESSIONS, Span, lay_out},
    judge::models::{ModelId, ModelSet},
    rules::Findings,
};

#[derive(Debug, Clone)]
pub(super) enum Row {
    /// Not to be judged: status and `alg_error`.
    Refused(Status, String),
    Ready(Ready),
}

#[derive(Debug, Clone)]
pub(super) struct Ready {
    /// None where rules are off.
    pub findings: Option<Findings>,
    /// Model and row in its tensor; None where the model is off.
    pub model: Option<(ModelId, usize)>,
}

/// Input and output of one model.
#[derive(Debug, Clone, Default)]
struct Tensor {
    rows: usize,
    /// Values of `curves` that count.
    used: usize,
    /// Grows and never shrinks.
    curves: Vec<f32>,
    /// One a row where the model takes raw curves, else empty.
    spans: Vec<Span>,
    /// `[rows, k]` where the model asks for scalars, else empty.
    scalars: Vec<f32>,
    nok_prob: Vec<f32>,
    regression: Vec<f32>,
}

/// A prepared chunk of welds. Reusable: buffers are kept, so chunks of like size allocate nothing for tensors.
#[derive(Debug, Clone, Default)]
pub struct Prepared {
    pub(super) rows: Vec<Row>,
    tensors: Vec<Tensor>,
}

/// Rows for one call of one model, N of them. A row whose outputs are left NaN, or set so, becomes an `error` verdict by
/// itself.
#[derive(Debug)]
pub struct Batch<'a> {
    /// `[N, 4, L]`, contiguous; of a raw model the samples, `[S]`.
    pub curves: &'a [f32],
    /// Of a raw model, one a row; else empty.
    pub spans: &'a [Span],
    /// `[N, k]` where the model asks for scalars, else empty.
    pub scalars: &'a [f32],
    /// `[N]`: probability of NOK, to be filled.
    pub nok_prob: &'a mut [f32],
    /// `[N, 4]`: diameter, indentation, front and stack thickness in mm, to be filled.
    pub regression: &'a mut [f32],
}

impl Batch<'_> {
    #[must_use]
    pub fn rows(&self) -> usize {
        self.nok_prob.len()
    }
}

impl Tensor {
    fn batches(&mut self, max_rows: usize) -> impl Iterator<Item = Batch<'_>> {
        let row_len = self.used / self.rows;
        let mut curves = &self.curves[..self.used];
        let mut spans = self.spans.as_mut_slice();
        let (numbers, mut scalars) = (self.scalars.len() / self.rows, self.scalars.as_slice());
        self.nok_prob
            .chunks_mut(max_rows)
            .zip(self.regression.chunks_mut(max_rows * REGRESSIONS))
            .map(move |(nok_prob, regression)| {
                let rows = nok_prob.len();
                let known = rows.min(spans.len());
                let (of_batch, later) = take(&mut spans).split_at_mut(known);
                spans = later;
                let values = if of_batch.is_empty() {
                    rows * row_len
                } else {
                    lay_out(of_batch)
                };
                let (now, later) = curves.split_at(values);
                curves = later;
                let (scalars_now, later) = scalars.split_at(rows * numbers);
                scalars = later;
                Batch {
                    curves: now,
                    spans: of_batch,
                    scalars: scalars_now,
                    nok_prob,
                    regression,
                }
            })
    }
}

impl Prepared {
    /// Number of welds, refused ones too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Everything to infer and by which model, at most `max_rows` (at least 1) a batch. Batches do not overlap, so they
    /// may go to different threads.
    pub fn batches(&mut self, max_rows: usize) -> impl Iterator<Item = (ModelId, Batch<'_>)> {
        let max_rows = max_rows.max(1);
        self.tensors
            .iter_mut()
            .enumerate()
            .filter(|(_, tensor)| tensor.rows > 0)
            .flat_map(move |(index, tensor)| {
                let batches = tensor.batches(max_rows);
                batches.map(move |batch| (ModelSet::id(index), batch))
            })
    }

    pub(super) fn clear(&mut self, models: usize) {
        self.rows.clear();
        self.tensors.resize_with(models, Tensor::default);
        for tensor in &mut self.tensors {
            tensor.rows = 0;
            tensor.used = 0;
            tensor.spans.clear();
            tensor.scalars.clear();
        }
    }

    /// Appends a row to a model's tensor; returns its place.
    pub(super) fn add_row(
        &mut self,
        model: ModelId,
        len: usize,
        write: impl FnOnce(&mut [f32]),
    ) -> usize {
        let tensor = &mut self.tensors[model.index()];
        let (slot, from, to) = (tensor.rows, tensor.used, tensor.used + len);
        if tensor.curves.len() < to {
            tensor.curves.resize(to, 0.0);
        }
        write(&mut tensor.curves[from..to]);
        tensor.rows += 1;
        tensor.used = to;
        slot
    }

    /// Says of how many points the row is that was just added to a raw model's tensor.
    pub(super) fn add_span(&mut self, model: ModelId, points: usize) {
        let points = i64::try_from(points).unwrap_or(i64::MAX);
        self.tensors[model.index()].spans.push([0, points]);
    }

    /// Says which numbers the row has that was just added to the tensor of a model that asks for some.
    pub(super) fn add_scalars(&mut self, model: ModelId, numbers: impl Iterator<Item = f32>) {
        self.tensors[model.index()].scalars.extend(numbers);
    }

    /// Places of the numbers that this row has not and its model was fed NaN for.
    pub(super) fn missing_scalars(
        &self,
        model: ModelId,
        slot: usize,
    ) -> impl Iterator<Item = usize> {
        let tensor = &self.tensors[model.index()];
        let numbers = tensor.scalars.len() / tensor.rows.max(1);
        let row = &tensor.scalars[slot * numbers..(slot + 1) * numbers];
        let missing = row.iter().enumerate().filter(|(_, number)| number.is_nan());
        missing.map(|(place, _)| place)
    }

    /// No output yet: NaN everywhere, so that what a model leaves out is seen.
    pub(super) fn reset_outputs(&mut self) {
        for tensor in &mut self.tensors {
            tensor.nok_prob.clear();
            tensor.nok_prob.resize(tensor.rows, f32::NAN);
            tensor.regression.clear();
            tensor
                .regression
                .resize(tensor.rows * REGRESSIONS, f32::NAN);
        }
    }

    pub(super) fn output(&self, model: ModelId, slot: usize) -> (f32, [f32; REGRESSIONS]) {
        let tensor = &self.tensors[model.index()];
        let regression = &tensor.regression[slot * REGRESSIONS..(slot + 1) * REGRESSIONS];
        let mut values = [f32::NAN; REGRESSIONS];
        values.copy_from_slice(regression);
        (tensor.nok_prob[slot], values)
    }
}
