//! The limit: ONNX Runtime on tensors that are in memory already, by sessions, threads and batch.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use ort::{
    environment::Environment,
    inputs,
    session::{Session, builder::GraphOptimizationLevel},
    value::TensorRef,
};
use weldfleet_simulator::{SimulationOptions, Simulator};
use weldfleet_weld::{
    curves::Curves,
    features::{CHANNELS, InferenceConfig, Resampling, write_row},
    units::CurveUnits,
    validation::ValidationLimits,
};

use crate::{numbers::Section, proc::Meter};

/// Rows that are kept in memory; each session goes round and round over them.
const ROWS: usize = 2048;

/// Real tensors of simulated welds, `[rows, 4, L]`.
struct Tensors {
    config: InferenceConfig,
    values: Vec<f32>,
    rows: usize,
}

impl Tensors {
    /// Makes them for the model of a folder.
    fn new(model: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(model.join("global/inference_config.json"))?;
        let config = InferenceConfig::from_json(&text)?;
        let block = Simulator::new(SimulationOptions::new(20_260_101, ROWS as u64, 1))?
            .block(0..ROWS as u64);
        let row_len = config.row_len();
        let mut values = vec![0.0; ROWS * row_len];
        let (mut curves, units, limits) = (
            Curves::default(),
            CurveUnits::default(),
            ValidationLimits::default(),
        );
        let mut resampling = Resampling::default();
        let mut rows = 0;
        for row in 0..block.rows() {
            if curves.load(&block.weld(row), &units, &limits).is_ok() {
                write_row(
                    &curves,
                    &config,
                    &mut resampling,
                    &mut values[rows * row_len..(rows + 1) * row_len],
                );
                rows += 1;
            }
        }
        values.truncate(rows * row_len);
        Ok(Self {
            config,
            values,
            rows,
        })
    }
}

/// How sessions are laid out over the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    /// Sessions at work at once.
    sessions: usize,
    threads: usize,
    /// Rows of one call.
    batch: usize,
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} x {} thread(s), batch {}",
            self.sessions, self.threads, self.batch
        )
    }
}

/// ONNX Runtime, loaded from where the programs load it.
pub fn environment() -> Result<Environment> {
    let library = weldfleet_testkit::onnxruntime_library();
    let builder = ort::init_from(&library).map_err(|error| anyhow::anyhow!("{error}"))?;
    builder
        .with_telemetry(false)
        .build()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// The best layout of a model, to be measured again and again.
pub struct Limit {
    environment: Environment,
    model: PathBuf,
    tensors: Arc<Tensors>,
    layout: Layout,
    time: Duration,
}

impl Limit {
    /// Tries every layout once.
    pub fn find(
        environment: &Environment,
        model: &Path,
        quick: bool,
        layouts: &mut Section,
    ) -> Result<Self> {
        let tensors = Arc::new(Tensors::new(model)?);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let time = Duration::from_millis(if quick { 300 } else { 1000 });
        let batches: &[usize] = if quick {
            &[16, 64]
        } else {
            &[4, 8, 16, 32, 64, 256, 1024]
        };
        let mut best: Option<(Layout, f64)> = None;
        for (sessions, threads) in [(1, 1), (cores, 1), (1, cores)] {
            for &batch in batches {
                let layout = Layout {
                    sessions,
                    threads,
                    batch,
                };
                let (rate, _) = rate(environment, model, &tensors, layout, time)?;
                layouts.push(&format!("{layout}, rows/s"), rate);
                if best.is_none_or(|(_, most)| rate > most) {
                    best = Some((layout, rate));
                }
            }
        }
        let (layout, _) = best.context("no layout was tried")?;
        Ok(Self {
            environment: environment.clone(),
            model: model.to_owned(),
            tensors,
            layout,
            time: 2 * time,
        })
    }

    /// Measures the best layout once more.
    pub fn measure(&self, section: &mut Section) -> Result<()> {
        let (rate, cpu) = rate(
            &self.environment,
            &self.model,
            &self.tensors,
            self.layout,
            self.time,
        )?;
        section.push("rows/s", rate);
        section.push("CPU, µs a row", cpu);
        section.remark("layout", &self.layout.to_string());
        Ok(())
    }
}

/// Rows per second and CPU µs a row of one layout, over at least `time`.
fn rate(
    environment: &Environment,
    model: &Path,
    tensors: &Arc<Tensors>,
    layout: Layout,
    time: Duration,
) -> Result<(f64, f64)> {
    let file = model.join("global/model.onnx");
    let mut threads = Vec::new();
    let barrier = Arc::new(std::sync::Barrier::new(layout.sessions + 1));
    for _ in 0..layout.sessions {
        let mut session = session(environment, &file, layout.threads)?;
        let (tensors, barrier) = (tensors.clone(), barrier.clone());
        threads.push(std::thread::spawn(move || -> Result<u64> {
            round(&mut session, &tensors, layout.batch)?;
            barrier.wait();
            let began = Instant::now();
            let mut rows = 0;
            while began.elapsed() < time {
                rows += round(&mut session, &tensors, layout.batch)?;
            }
            Ok(rows)
        }));
    }
    barrier.wait();
    let own = Meter::start(std::process::id())?;
    let mut rows = 0;
    for thread in threads {
        rows += thread
            .join()
            .map_err(|_| anyhow::anyhow!("an inference thread panicked"))??;
    }
    let rows = rows as f64;
    Ok((rows / own.seconds(), own.cpu()? * 1e6 / rows))
}

/// Some calls over rows that are in memory; how many rows.
fn round(session: &mut Session, tensors: &Tensors, batch: usize) -> Result<u64> {
    let row_len = tensors.config.row_len();
    let mut done = 0;
    // A quarter of the rows, so that the end of the time is not overshot by much.
    for chunk in tensors.values[..tensors.rows.min(ROWS / 4).max(batch.min(tensors.rows)) * row_len]
        .chunks_exact(batch.min(tensors.rows) * row_len)
    {
        let rows = chunk.len() / row_len;
        let input =
            TensorRef::from_array_view(([rows, CHANNELS, tensors.config.target_len], chunk))?;
        let outputs = session.run(inputs![tensors.config.input.as_str() => input])?;
        let (_, values) =
            outputs[tensors.config.outputs.nok_prob.as_str()].try_extract_tensor::<f32>()?;
        anyhow::ensure!(
            values.len() == rows,
            "the model answered {} rows for {rows}",
            values.len()
        );
        done += rows as u64;
    }
    Ok(done)
}

fn session(environment: &Environment, file: &Path, threads: usize) -> Result<Session> {
    let step = |error: ort::Error<_>| anyhow::anyhow!("{error}");
    Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(step)?
        .with_intra_threads(threads)
        .map_err(step)?
        .with_inter_threads(1)
        .map_err(step)?
        .with_intra_op_spinning(threads > 1)
        .map_err(step)?
        .commit_from_file(file)
        .context("open a model")
}
