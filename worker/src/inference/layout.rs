//! How inference is laid out over a device: sessions, their threads, rows of one call.

use std::fmt;

use serde::{Deserialize, Serialize};
use weldfleet_settings::{Model, Provider};

/// Batches on a CPU, the usual one first: small ones stay in a core's cache.
const CPU_BATCHES: [usize; 4] = [32, 8, 16, 64];
/// Batches on a GPU, the usual one first: enough rows to fill it.
const GPU_BATCHES: [usize; 4] = [1024, 256, 512, 2048];
/// Compute threads that feed one GPU: at least two, so that one prepares and copies while the device works for another;
/// more than eight prepare faster than any device judges.
const GPU_FEEDERS: (usize, usize) = (2, 8);

/// Sessions at work at once, one compute thread each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Sessions, and so compute threads; on a GPU also batches in flight.
    pub sessions: usize,
    pub threads: usize,
    pub batch_rows: usize,
}

impl Layout {
    /// For a worker whose model is off: rows are prepared in blocks of this size.
    pub fn without_model(cores: usize, model: &Model) -> Self {
        candidates(Provider::Cpu, cores, model)[0]
    }

    pub fn one_session(self) -> Self {
        Self {
            sessions: 1,
            ..self
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{} session{} x {} thread{}, {} rows a batch",
            self.sessions,
            plural(self.sessions),
            self.threads,
            plural(self.threads),
            self.batch_rows
        )
    }
}

/// The layouts that may suit, the usual one first; only one where nothing is left to choose. What is configured stands
/// in all of them.
pub fn candidates(provider: Provider, cores: usize, model: &Model) -> Vec<Layout> {
    let gpu = provider.is_gpu();
    let sessions = match model.threads {
        0 if gpu => cores.clamp(GPU_FEEDERS.0, GPU_FEEDERS.1),
        0 => cores.max(1),
        threads => threads as usize,
    };
    let usual = if gpu { GPU_BATCHES } else { CPU_BATCHES };
    let batches = match (model.batch_rows, provider) {
        // TensorRT builds an engine for each batch size, which takes minutes: more than tuning could win.
        (0, Provider::Tensorrt) => vec![usual[0]],
        (0, _) => usual.to_vec(),
        (rows, _) => vec![rows as usize],
    };
    let mut layouts: Vec<Layout> = batches
        .iter()
        .map(|&batch_rows| Layout {
            sessions,
            threads: 1,
            batch_rows,
        })
        .collect();
    if !gpu && model.threads == 0 && cores > 1 {
        // A model whose weights fill the cache may prefer all cores to share it.
        layouts.push(Layout {
            sessions: 1,
            threads: cores,
            batch_rows: batches[0],
        });
    }
    layouts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layouts(provider: Provider, cores: usize, threads: u32, batch_rows: u32) -> Vec<String> {
        let model = Model {
            threads,
            batch_rows,
            ..Model::default()
        };
        let layouts = candidates(provider, cores, &model);
        layouts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_usual_layout_comes_first_and_what_is_configured_stands() {
        assert_eq!(
            layouts(Provider::Cpu, 2, 0, 0),
            [
                "2 sessions x 1 thread, 32 rows a batch",
                "2 sessions x 1 thread, 8 rows a batch",
                "2 sessions x 1 thread, 16 rows a batch",
                "2 sessions x 1 thread, 64 rows a batch",
                "1 session x 2 threads, 32 rows a batch",
            ]
        );
        assert_eq!(
            layouts(Provider::Cpu, 8, 3, 20),
            ["3 sessions x 1 thread, 20 rows a batch"]
        );
        assert_eq!(
            layouts(Provider::Cpu, 1, 0, 7),
            ["1 session x 1 thread, 7 rows a batch"]
        );
        assert_eq!(layouts(Provider::Cuda, 1, 0, 0).len(), 4);
        assert_eq!(
            layouts(Provider::Tensorrt, 64, 0, 0),
            ["8 sessions x 1 thread, 1024 rows a batch"]
        );
    }
}
