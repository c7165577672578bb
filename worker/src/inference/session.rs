//! One model on one device.

use anyhow::{Context, ensure};
use ort::{
    inputs,
    session::{Session, builder::GraphOptimizationLevel},
    value::TensorRef,
};
use weldfleet_weld::{
    features::{CHANNELS, InferenceConfig, InputKind, REGRESSIONS, SCALARS_INPUT, Span},
    judge::Batch,
};

use super::{
    bound::{Bound, RAW_POINTS},
    files::ModelFiles,
    interface,
    layout::Layout,
    remedy::with_remedy,
    runtime::{EngineShapes, Runtime},
};

/// Points a weld that TensorRT's engines of raw models are made for, at most on the average of a batch.
const MOST_RAW_POINTS: usize = 8192;

/// An ONNX Runtime session with the names and shapes its configuration promises, checked when it is opened.
pub struct ModelSession {
    session: Session,
    config: InferenceConfig,
    path: String,
    /// On a GPU: the device copies from and to pinned memory, and no batch has a shape of its own that something would
    /// have to be built for.
    bound: Option<Box<Bound>>,
}

impl ModelSession {
    /// Makes a session of what was read at the start, as the layout says, and tries it on one row of zeros.
    ///
    /// # Errors
    /// If it is no ONNX model, or an input or output is not what the configuration says.
    pub fn open(
        runtime: &Runtime,
        files: &ModelFiles,
        config: &InferenceConfig,
        layout: Layout,
    ) -> anyhow::Result<Self> {
        let shown = files.path.display().to_string();
        let session = match build(runtime, files, config, layout) {
            Err(error) if runtime.set_engines_aside(&files.digest, &error) => {
                build(runtime, files, config, layout)
            }
            built => built,
        }
        .with_context(|| format!("cannot open model `{shown}`"))?;
        interface::check(&session, config, &shown)?;
        let bound = if runtime.is_gpu() {
            let device = Some(runtime.device_id());
            let bound = Bound::new(&session, config, layout.batch_rows, device)
                .with_context(|| format!("cannot bind buffers to model `{shown}`"))?;
            Some(Box::new(bound))
        } else {
            None
        };
        let mut opened = Self {
            session,
            config: config.clone(),
            path: shown,
            bound,
        };
        match opened.try_once() {
            // Some of a device's libraries are asked for only now.
            Err(error) if runtime.is_gpu() => Err(with_remedy(runtime.provider(), error))
                .with_context(|| format!("cannot open model `{}`", opened.path)),
            tried => tried,
        }?;
        Ok(opened)
    }

    /// Changes the size of the batches it is prepared for.
    pub fn use_batch(&mut self, rows: usize) -> anyhow::Result<()> {
        if let Some(bound) = &mut self.bound
            && bound.rows() != rows
        {
            **bound = Bound::new(&self.session, &self.config, rows, bound.device())?;
        }
        Ok(())
    }

    fn try_once(&mut self) -> anyhow::Result<()> {
        let spans = [[0, 1]];
        let (len, spans): (usize, &[Span]) = match self.config.input_kind {
            InputKind::Features => (self.config.row_len(), &[]),
            InputKind::Raw => (2, &spans),
        };
        self.run(Batch {
            curves: &vec![0.0; len],
            spans,
            scalars: &vec![0.0; self.config.scalars.len()],
            nok_prob: &mut [f32::NAN],
            regression: &mut [f32::NAN; REGRESSIONS],
        })
    }

    /// Fills the batch's outputs.
    ///
    /// # Errors
    /// If the runtime fails or answers other shapes than `[N]` and `[N, 4]`.
    pub fn run(&mut self, batch: Batch<'_>) -> anyhow::Result<()> {
        let Self {
            session,
            config,
            path,
            bound,
        } = self;
        let rows = batch.rows();
        match bound {
            Some(bound) => bound
                .run(session, config, batch)
                .with_context(|| format!("model `{path}` failed on {rows} rows")),
            None => run_unbound(session, config, path, batch),
        }
    }
}

/// Of any size: nothing is copied or padded, which on a CPU would only cost time.
fn run_unbound(
    session: &mut Session,
    config: &InferenceConfig,
    path: &str,
    batch: Batch<'_>,
) -> anyhow::Result<()> {
    let count = batch.rows();
    let input = config.input.as_str();
    let mut inputs = match config.input_kind {
        InputKind::Features => {
            let shape = [count, CHANNELS, config.target_len];
            inputs![input => TensorRef::from_array_view((shape, batch.curves))?]
        }
        InputKind::Raw => {
            let spans = ([count, 2], batch.spans.as_flattened());
            inputs![
                input => TensorRef::from_array_view(([batch.curves.len()], batch.curves))?,
                config.spans.as_str() => TensorRef::from_array_view(spans)?,
            ]
        }
    };
    if !config.scalars.is_empty() {
        let shape = [count, config.scalars.len()];
        let scalars = TensorRef::from_array_view((shape, batch.scalars))?;
        inputs.push((SCALARS_INPUT.into(), scalars.into()));
    }
    let outputs = session
        .run(inputs)
        .with_context(|| format!("model `{path}` failed on {count} rows"))?;
    let take = |name: &str, wanted: &[i64], into: &mut [f32]| -> anyhow::Result<()> {
        let (shape, values) = outputs[name]
            .try_extract_tensor::<f32>()
            .with_context(|| format!("model `{path}`: output `{name}` is not f32"))?;
        // As many values in another order would be other rows' values.
        ensure!(
            **shape == *wanted,
            "model `{path}`: output `{name}` has shape {:?} for {count} rows, but must have {wanted:?}",
            &**shape
        );
        into.copy_from_slice(values);
        Ok(())
    };
    let count = count as i64;
    take(&config.outputs.nok_prob, &[count], batch.nok_prob)?;
    let regressions = [count, REGRESSIONS as i64];
    take(&config.outputs.regression, &regressions, batch.regression)
}

fn build(
    runtime: &Runtime,
    files: &ModelFiles,
    config: &InferenceConfig,
    layout: Layout,
) -> anyhow::Result<Session> {
    let builder = Session::builder(runtime.environment())?;
    let step = |error: ort::Error<_>| anyhow::anyhow!("{error}");
    let lacking = |error| with_remedy(runtime.provider(), error);
    let builder = builder
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(step)?
        .with_intra_threads(layout.threads)
        .map_err(step)?
        .with_inter_threads(1)
        .map_err(step)?
        .with_intra_op_spinning(false)
        .map_err(step)?;
    let shapes = engine_shapes(config, layout.batch_rows);
    let mut builder = builder
        .with_execution_providers(runtime.execution_providers(&shapes, &files.digest))
        .map_err(step)
        .map_err(lacking)?;
    builder = runtime
        .with_processor(builder, layout.threads)
        .map_err(lacking)?;
    for file in &files.weights {
        builder = builder
            .with_external_initializer_file_in_memory(&file.name, file.bytes.clone())
            .map_err(step)?;
    }
    builder
        .commit_from_memory(&files.graph)
        .map_err(anyhow::Error::from)
        .map_err(lacking)
}

fn engine_shapes(config: &InferenceConfig, rows: usize) -> EngineShapes {
    let (input, spans) = (&config.input, &config.spans);
    let scalars = match config.scalars.len() {
        0 => String::new(),
        numbers => format!(",{SCALARS_INPUT}:{rows}x{numbers}"),
    };
    match config.input_kind {
        InputKind::Features => {
            let shape = format!("{input}:{rows}x{CHANNELS}x{}{scalars}", config.target_len);
            EngineShapes {
                min: shape.clone(),
                opt: shape.clone(),
                max: shape,
            }
        }
        InputKind::Raw => {
            let shape = |points: usize| {
                let samples = (2 * points * rows).max(Bound::LEAST_SAMPLES);
                format!("{input}:{samples},{spans}:{rows}x2{scalars}")
            };
            EngineShapes {
                min: shape(0),
                opt: shape(RAW_POINTS),
                max: shape(MOST_RAW_POINTS),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::inference::{Models, probe::Probe};

    /// Opens a checked-in model with buffers bound in plain memory, as a GPU has them in pinned memory.
    fn bound(models: &Models, rows: usize) -> ModelSession {
        let mut session = open(models, rows);
        let bound = Bound::new(&session.session, &session.config, rows, None).unwrap();
        session.bound = Some(Box::new(bound));
        session
    }

    fn open(models: &Models, batch_rows: usize) -> ModelSession {
        let layout = Layout {
            sessions: 1,
            threads: 1,
            batch_rows,
        };
        models.open_global(layout).unwrap()
    }

    /// Outputs of `rows` rows, `[N]` and `[N, 4]` one behind the other.
    fn outputs(session: &mut ModelSession, probe: &Probe, rows: usize) -> Vec<f32> {
        let (mut nok_prob, mut regression) =
            (vec![f32::NAN; rows], vec![f32::NAN; rows * REGRESSIONS]);
        let run = session.run(probe.rows(&mut nok_prob, &mut regression));
        run.unwrap();
        nok_prob.extend(regression);
        nok_prob
    }

    #[test]
    fn bound_buffers_give_the_same_bits_as_the_batch_itself_for_full_and_partial_batches() {
        for folder in [
            "models",
            "bench/models/cnn-raw",
            "tests/tests/data/models/scalars",
        ] {
            let models = Models::for_test(folder);
            let probe = Probe::new(models.catalog.set.global().config(), 48);
            let (mut plain, mut bound) = (open(&models, 48), bound(&models, 48));
            for rows in [48, 5, 48, 1, 31] {
                let expected = outputs(&mut plain, &probe, rows);
                assert!(expected.iter().all(|value| value.is_finite()));
                assert_eq!(
                    outputs(&mut bound, &probe, rows),
                    expected,
                    "{folder}: {rows} of 48 rows"
                );
            }
            bound.use_batch(64).unwrap();
            assert_eq!(
                outputs(&mut bound, &probe, 48),
                outputs(&mut plain, &probe, 48),
                "{folder}: after another batch size"
            );
        }
    }

    #[test]
    #[ignore = "a measurement; cargo nextest run -p worker --run-ignored only --no-capture what_binding_costs"]
    fn what_binding_costs_on_a_cpu() {
        const ROWS: usize = 32;
        for folder in ["bench/models/near-free", "models", "bench/models/cnn-raw"] {
            let models = Models::for_test(folder);
            let probe = Probe::new(models.catalog.set.global().config(), ROWS);
            let mut sessions = [open(&models, ROWS), bound(&models, ROWS)];
            let mut best = [Duration::MAX; 2];
            // In turn, and the best of many, so that neither meets the worse half of a busy machine.
            for _ in 0..200 {
                for (session, best) in sessions.iter_mut().zip(&mut best) {
                    let began = Instant::now();
                    outputs(session, &probe, ROWS);
                    *best = began.elapsed().min(*best);
                }
            }
            let [batch, bound] = best.map(|time| time.as_secs_f64() * 1e6 / ROWS as f64);
            let ratio = bound / batch;
            println!("{folder}: {batch:.2} us a row, bound {bound:.2}, ratio {ratio:.3}");
            assert!(
                bound - batch < 10.0,
                "copying a row takes {bound} - {batch} us"
            );
        }
    }

    #[test]
    fn more_rows_than_the_buffers_hold_are_refused() {
        let models = Models::for_test("models");
        let probe = Probe::new(models.catalog.set.global().config(), 9);
        let mut session = bound(&models, 8);
        let (mut nok_prob, mut regression) = (vec![0.0; 9], vec![0.0; 36]);
        let refused = session.run(probe.rows(&mut nok_prob, &mut regression));
        let refused = format!("{:#}", refused.unwrap_err());
        assert!(refused.contains("9 rows, but buffers for 8"), "{refused}");
    }

    #[test]
    fn engines_are_made_for_one_batch_size() {
        let models = Models::for_test("models");
        let shapes = engine_shapes(models.catalog.set.global().config(), 1024);
        assert_eq!(
            [&shapes.min, &shapes.opt, &shapes.max],
            ["curves:1024x4x1000"; 3]
        );
        let scalars = Models::for_test("tests/tests/data/models/scalars");
        let shapes = engine_shapes(scalars.catalog.set.global().config(), 64);
        assert_eq!(shapes.opt, "curves:64x4x100,scalars:64x2");
        let raw = Models::for_test("bench/models/cnn-raw");
        let shapes = engine_shapes(raw.catalog.set.global().config(), 1024);
        assert_eq!(shapes.min, "curves:4096,spans:1024x2");
        assert_eq!(shapes.opt, "curves:1228800,spans:1024x2");
        let shapes = engine_shapes(raw.catalog.set.global().config(), 1);
        assert_eq!(
            shapes.opt, "curves:4096,spans:1x2",
            "never below the smallest"
        );
    }
}
