//! Whether a model keeps to its interface: tried once, on the CPU, before it judges anything.
//!
//! What a graph declares was compared with what its configuration promises by [`interface`](super::interface). Here a
//! few rows go through it, one alone, two and three at a time: numbers that hide no transposition, since no other
//! dimension has them. Each row must get the same values whoever is with it. A model that quantises dynamically does
//! not keep to that: it takes its scale from the whole batch, so that a weld's verdict would depend on the welds beside
//! it.
//!
//! The CPU is asked whatever the device, since shapes are the graph's own, and a device would prepare itself for
//! batches that it never sees again.

use anyhow::bail;
use weldfleet_weld::features::{InferenceConfig, REGRESSIONS};

use super::{
    files::ModelFiles, layout::Layout, probe::Probe, runtime::Runtime, session::ModelSession,
};

/// Most by which a row's values may differ from those it gets alone.
pub const TOLERANCE: f32 = 1e-4;
/// Rows of the largest batch that is tried.
const ROWS: usize = 3;

/// Tries a model; whether it answered any row with numbers. That it did not is no refusal: the rows are made up.
///
/// # Errors
/// If it cannot be opened, or what it takes or gives is not what its configuration says.
pub fn run(
    runtime: &Runtime,
    files: &ModelFiles,
    config: &InferenceConfig,
) -> anyhow::Result<bool> {
    let runtime = runtime.clone().on_cpu();
    let layout = Layout {
        sessions: 1,
        threads: 1,
        batch_rows: ROWS,
    };
    let mut session = ModelSession::open(&runtime, files, config, layout)?;
    let probe = Probe::new(config, ROWS);
    let alone = (0..ROWS)
        .map(|row| outputs(&mut session, &probe, row, 1))
        .collect::<anyhow::Result<Vec<_>>>()?
        .concat();
    for rows in 2..=ROWS {
        let together = outputs(&mut session, &probe, 0, rows)?;
        for (alone, together) in alone.iter().zip(&together) {
            compare(files, config, alone, together, rows)?;
        }
    }
    let is_answer = |row: &Outputs| row.iter().all(|value| value.is_finite());
    Ok(alone.iter().any(is_answer))
}

/// A row's `nok_prob`, then its regressions.
type Outputs = [f32; 1 + REGRESSIONS];

fn outputs(
    session: &mut ModelSession,
    probe: &Probe,
    first: usize,
    rows: usize,
) -> anyhow::Result<Vec<Outputs>> {
    let mut nok_prob = vec![f32::NAN; rows];
    let mut regression = vec![f32::NAN; rows * REGRESSIONS];
    session.run(probe.rows_from(first, &mut nok_prob, &mut regression))?;
    let rows = nok_prob.iter().zip(regression.as_chunks::<REGRESSIONS>().0);
    Ok(rows
        .map(|(nok_prob, [a, b, c, d])| [*nok_prob, *a, *b, *c, *d])
        .collect())
}

fn compare(
    files: &ModelFiles,
    config: &InferenceConfig,
    alone: &Outputs,
    together: &Outputs,
    rows: usize,
) -> anyhow::Result<()> {
    for (k, (alone, together)) in alone.iter().zip(together).enumerate() {
        // Made-up curves may be far from any weld, and what a model says of them large.
        let allowed = TOLERANCE * alone.abs().max(1.0);
        if !differs(*alone, *together, allowed) {
            continue;
        }
        let output = match k {
            0 => config.outputs.nok_prob.clone(),
            k => format!("{}[{}]", config.outputs.regression, k - 1),
        };
        bail!(
            "model `{}`: a row's output `{output}` is {alone} where the row is alone and {together} in a batch of {rows}, so a \
             weld's verdict would depend on the welds beside it; a dynamically quantised model does that: quantise it \
             statically, or leave it as it was",
            files.path.display()
        );
    }
    Ok(())
}

/// Whether two values are further apart than allowed; no number is like no number.
pub fn differs(a: f32, b: f32, allowed: f32) -> bool {
    let both_nan = a.is_nan() && b.is_nan();
    !(both_nan || a == b || (a - b).abs() <= allowed)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use weldfleet_testkit::{onnxruntime_library, repository};

    use super::*;
    use crate::inference::Models;

    fn folder(model: &str) -> PathBuf {
        repository().join("tests/tests/data/models").join(model)
    }

    fn models(model: &str) -> Models {
        Models::in_folder(&onnxruntime_library(), &folder(model))
    }

    fn layout(batch_rows: usize) -> Layout {
        Layout {
            sessions: 1,
            threads: 1,
            batch_rows,
        }
    }

    #[test]
    fn models_that_keep_to_the_interface_are_taken() {
        for model in ["good", "external", "scalars"] {
            models(model).open_global(layout(32)).unwrap();
        }
        for folder in ["models", "bench/models/near-free", "bench/models/cnn-raw"] {
            Models::for_test(folder).open_global(layout(32)).unwrap();
        }
    }

    #[test]
    fn other_shapes_types_and_inputs_are_refused_by_name() {
        for (model, said) in [
            (
                "transposed",
                "output `regression` is f32 [4, N], but must be f32 [N, 4]",
            ),
            (
                "transposed-untold",
                "output `regression` has shape [4, 1] for 1 rows, but must have [1, 4]",
            ),
            (
                "probability-column",
                "output `nok_prob` is f32 [N, 1], but must be f32 [N]",
            ),
            (
                "probability-row",
                "output `nok_prob` is f32 [1, N], but must be f32 [N]",
            ),
            (
                "probability-scalar",
                "output `nok_prob` has shape [] for 1 rows, but must have [1]",
            ),
            (
                "swapped",
                "output `nok_prob` is f32 [N, 4], but must be f32 [N]",
            ),
            (
                "channels-last",
                "input `curves` is f32 [N, 100, 4], but must be f32 [N, 4, 100]",
            ),
            (
                "five-values",
                "output `regression` is f32 [N, 5], but must be f32 [N, 4]",
            ),
            (
                "one-row",
                "input `curves` is f32 [1, 4, 100], but must be f32 [N, 4, 100]",
            ),
            (
                "f64",
                "output `regression` is f64 [N, 4], but must be f32 [N, 4]",
            ),
            ("f16", "output `nok_prob` is f16 [N], but must be f32 [N]"),
            (
                "scalars-untold",
                "input `scalars` is f32 [N, 3], but must be f32 [N, 2]",
            ),
            (
                "one-more-input",
                "has inputs [\"curves\", \"force\"], but its inference_config.json knows only [\"curves\"]",
            ),
        ] {
            let refusal = models(model).open_global(layout(4)).err().expect(model);
            let refusal = format!("{refusal:#}");
            let path = folder(model).join("global/model.onnx");
            assert!(
                refusal.contains(said) && refusal.contains(&path.display().to_string()),
                "{model}: {refusal}"
            );
        }
    }

    #[test]
    fn a_row_must_not_depend_on_its_batch() {
        for model in ["dynamic", "normalised-by-batch"] {
            let refusal = models(model).open_global(layout(4)).err().expect(model);
            let refusal = format!("{refusal:#}");
            assert!(
                refusal.contains(&format!("models/{model}/global/model.onnx"))
                    && refusal.contains("a row's output `regression[")
                    && refusal.contains("where the row is alone and"),
                "{model}: {refusal}"
            );
        }
    }

    #[test]
    fn a_refusal_is_the_same_for_whoever_asks_and_a_part_is_tried_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        for (from, to) in [("good", "global"), ("transposed", "parts/A")] {
            let to = folder.path().join(to);
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(self::folder(from).join("global")).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        let models = Models::in_folder(&onnxruntime_library(), folder.path());
        let refused = |models: &Models| format!("{:#}", models.try_parts(layout(4)).unwrap_err());
        let refusal = refused(&models);
        assert!(
            refusal.contains("parts/A/model.onnx") && refusal.contains("[4, N]"),
            "{refusal}"
        );
        assert_eq!(refused(&models.clone()), refusal);
    }

    #[test]
    fn no_number_is_like_no_number_alone() {
        assert!(!differs(1.0, 1.000_09, TOLERANCE));
        assert!(differs(1.0, 1.000_2, TOLERANCE));
        assert!(!differs(f32::NAN, f32::NAN, TOLERANCE));
        assert!(differs(f32::NAN, 1.0, TOLERANCE));
        assert!(!differs(f32::INFINITY, f32::INFINITY, TOLERANCE));
    }
}
