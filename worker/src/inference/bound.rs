//! Host buffers of one size, bound to a session.
//!
//! A GPU session gets them in pinned memory, which the device reads and writes by itself. An input is bound anew for
//! each batch, since ONNX Runtime copies it to the device at that moment; outputs are bound once. A batch that is not
//! full leaves older rows behind its own: they are judged too and their results ignored, which costs less than another
//! shape.

use anyhow::{Context, bail, ensure};
use ort::{
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::{IoBinding, Session},
    value::Tensor,
};
use weldfleet_weld::{
    features::{CHANNELS, InferenceConfig, InputKind, REGRESSIONS, SCALARS_INPUT, Span},
    judge::Batch,
};

/// Usual points of a weld.
pub const RAW_POINTS: usize = 600;
/// A row that no weld fills: one point, the first there is.
const NO_WELD: Span = [0, 1];

/// The buffers, and their binding to the session they were made for.
pub struct Bound {
    binding: IoBinding,
    memory: Allocator,
    /// The CUDA device that the memory is pinned for; `None`: plain memory.
    device: Option<i32>,
    rows: usize,
    /// `[rows, 4, L]`, or samples with some room to spare.
    curves: Tensor<f32>,
    /// `[rows, 2]` of a raw model.
    spans: Option<Tensor<i64>>,
    /// `[rows, k]` of a model that asks for scalars.
    scalars: Option<Tensor<f32>>,
    nok_prob: Tensor<f32>,
    regression: Tensor<f32>,
}

impl Bound {
    pub const LEAST_SAMPLES: usize = 4096;

    /// Buffers for batches of up to `rows` rows: pinned for this CUDA device, or plain memory.
    ///
    /// # Errors
    /// If there is no memory for them, or the model has no such outputs.
    pub fn new(
        session: &Session,
        config: &InferenceConfig,
        rows: usize,
        device: Option<i32>,
    ) -> anyhow::Result<Self> {
        let memory = device.map_or_else(Allocator::default, |device| pinned(session, device));
        let (curves, spans) = match config.input_kind {
            InputKind::Features => (
                Tensor::new(&memory, [rows, CHANNELS, config.target_len])?,
                None,
            ),
            InputKind::Raw => (
                Tensor::new(&memory, [Self::LEAST_SAMPLES])?,
                Some(Tensor::new(&memory, [rows, 2])?),
            ),
        };
        let scalars = match config.scalars.len() {
            0 => None,
            numbers => {
                let mut scalars = Tensor::new(&memory, [rows, numbers])?;
                // Before the first full batch the rest is no older row's.
                let (_, room) = scalars.try_extract_tensor_mut::<f32>()?;
                room.fill(0.0);
                Some(scalars)
            }
        };
        let mut nok_prob = Tensor::new(&memory, [rows])?;
        let mut regression = Tensor::new(&memory, [rows, REGRESSIONS])?;
        let mut binding = session.create_binding()?;
        binding.bind_output(&config.outputs.nok_prob, &mut nok_prob)?;
        binding.bind_output(&config.outputs.regression, &mut regression)?;
        Ok(Self {
            binding,
            memory,
            device,
            rows,
            curves,
            spans,
            scalars,
            nok_prob,
            regression,
        })
    }

    /// What [`Bound::new`] takes for so many rows: on the host, and as much on the device.
    pub fn bytes(config: &InferenceConfig, rows: usize) -> u64 {
        let curves = match config.input_kind {
            InputKind::Features => config.row_len(),
            // Samples of two curves, and a span.
            InputKind::Raw => 2 * RAW_POINTS + 2 * size_of::<i64>() / size_of::<f32>(),
        };
        let numbers = curves + config.scalars.len() + 1 + REGRESSIONS;
        2 * (rows * numbers * size_of::<f32>()) as u64
    }

    pub fn device(&self) -> Option<i32> {
        self.device
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Copies the rows in, runs the session they were bound to, copies the results out.
    ///
    /// # Errors
    /// If there are too many rows, or the runtime fails.
    pub fn run(
        &mut self,
        session: &mut Session,
        config: &InferenceConfig,
        batch: Batch<'_>,
    ) -> anyhow::Result<()> {
        let count = batch.rows();
        if count > self.rows {
            bail!("{count} rows, but buffers for {}", self.rows);
        }
        self.fill(batch.curves, batch.spans)?;
        self.binding.bind_input(&config.input, &self.curves)?;
        if let Some(spans) = &self.spans {
            self.binding.bind_input(&config.spans, spans)?;
        }
        if let Some(buffer) = &mut self.scalars {
            let (_, room) = buffer.try_extract_tensor_mut::<f32>()?;
            room[..batch.scalars.len()].copy_from_slice(batch.scalars);
            self.binding.bind_input(SCALARS_INPUT, &*buffer)?;
        }
        session.run_binding(&self.binding)?;
        let (_, nok_prob) = self.nok_prob.try_extract_tensor()?;
        batch.nok_prob.copy_from_slice(&nok_prob[..count]);
        let (_, regression) = self.regression.try_extract_tensor()?;
        batch
            .regression
            .copy_from_slice(&regression[..count * REGRESSIONS]);
        Ok(())
    }

    fn fill(&mut self, curves: &[f32], spans: &[Span]) -> anyhow::Result<()> {
        if let Some(buffer) = &mut self.spans {
            let (_, buffer) = buffer.try_extract_tensor_mut::<i64>()?;
            let (filled, empty) = buffer.split_at_mut(2 * spans.len());
            filled.copy_from_slice(spans.as_flattened());
            empty.as_chunks_mut().0.fill(NO_WELD);
            let wanted = with_room(curves.len());
            let (_, samples) = self.curves.try_extract_tensor::<f32>()?;
            if samples.len() != wanted {
                self.curves = Tensor::new(&self.memory, [wanted])
                    .with_context(|| format!("no memory for {wanted} samples"))?;
            }
        }
        let (_, buffer) = self.curves.try_extract_tensor_mut::<f32>()?;
        ensure!(
            curves.len() <= buffer.len(),
            "{} values, but a buffer for {}",
            curves.len(),
            buffer.len()
        );
        buffer[..curves.len()].copy_from_slice(curves);
        Ok(())
    }
}

/// The next of a few sizes, at most a quarter above: batches of one plant need one or two of them, so that buffers and
/// what the device prepared for their shape are used again.
fn with_room(samples: usize) -> usize {
    let samples = samples.max(Bound::LEAST_SAMPLES);
    let step = (samples.next_power_of_two() / 8).max(1);
    samples.next_multiple_of(step)
}

/// ONNX Runtime's pinned memory of a device; plain memory, with a warning, where it gives none: copies are slower then.
fn pinned(session: &Session, device: i32) -> Allocator {
    let allocator = |device| {
        let info = MemoryInfo::new(
            AllocationDevice::CUDA_PINNED,
            device,
            AllocatorType::Device,
            MemoryType::CPUInput,
        )?;
        Allocator::new(session, info)
    };
    // Which device pinned memory belongs to is not the same in all versions of ONNX Runtime.
    allocator(device)
        .or_else(|_| allocator(0))
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "no pinned memory, copies to the device are slower");
            Allocator::default()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_get_at_most_a_quarter_of_room() {
        assert_eq!(with_room(1), Bound::LEAST_SAMPLES);
        for samples in [4096, 4097, 5000, 614_400, 1_048_576, 1_048_577] {
            let room = with_room(samples);
            assert!(
                room >= samples && room <= samples + samples / 4,
                "{samples}: {room}"
            );
            assert_eq!(with_room(room), room);
        }
        assert_eq!(
            with_room(600 * 2 * 1024),
            with_room(640 * 2 * 1024),
            "like batches share a buffer"
        );
    }
}
