//! A chunk that cannot be judged as a whole, in halves: what one row does to the code or the model costs that row
//! alone.

use std::{
    any::Any,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::{Duration, Instant},
};

use weldfleet_service::{lock, metrics::counter};
use weldfleet_weld::{Verdict, judge::ModelId};

use super::{compute::Compute, pool_error::ModelFailure, welds::Welds};

/// Least time between two warnings that rows were not judged together; a metric counts every time.
const WARNS_EVERY: Duration = Duration::from_secs(60);

/// Judges the rows; where that fails, both halves of them. A row that panics alone becomes an `error` verdict; so does
/// one that a model fails on which judges a made-up weld. Whose fault it is does so not depend on the rows beside it.
///
/// # Errors
/// A model that does not judge a made-up weld either, whatever the rows.
pub fn judge(
    compute: &mut Compute,
    welds: &dyn Welds,
    rows: Range<usize>,
) -> Result<Vec<Verdict>, ModelFailure> {
    let fault = match attempt(compute, welds, rows.clone()) {
        Ok(verdicts) => return Ok(verdicts),
        Err(fault) => fault,
    };
    counter!("weldfleet_batches_failed_total").increment(1);
    if is_time_to_warn() {
        let (model, reason) = fault.told();
        tracing::warn!(
            model = compute.version(model).as_deref(),
            reason,
            rows = rows.len(),
            "rows cannot be judged together, trying halves of them"
        );
    }
    let mut verdicts = Vec::with_capacity(rows.len());
    judge_failed(compute, welds, rows, fault, &mut verdicts)?;
    Ok(verdicts)
}

fn is_time_to_warn() -> bool {
    static WARNED: Mutex<Option<Instant>> = Mutex::new(None);
    let mut warned = lock(&WARNED);
    let is_time = warned.is_none_or(|at| at.elapsed() >= WARNS_EVERY);
    if is_time {
        *warned = Some(Instant::now());
    }
    is_time
}

/// Judges rows that failed together: one by itself, more in halves, so that a bad row among many is soon found.
fn judge_failed(
    compute: &mut Compute,
    welds: &dyn Welds,
    rows: Range<usize>,
    fault: Fault,
    verdicts: &mut Vec<Verdict>,
) -> Result<(), ModelFailure> {
    if rows.len() < 2 {
        verdicts.extend(judge_alone(compute, welds, rows.start, fault)?);
        return Ok(());
    }
    let middle = rows.start + rows.len() / 2;
    for half in [rows.start..middle, middle..rows.end] {
        match attempt(compute, welds, half.clone()) {
            Ok(judged) => verdicts.extend(judged),
            Err(fault) => judge_failed(compute, welds, half, fault, verdicts)?,
        }
    }
    Ok(())
}

/// What becomes of a row that failed by itself. It is judged once more if a model failed on it that works otherwise,
/// since that may be so in a new session only.
fn judge_alone(
    compute: &mut Compute,
    welds: &dyn Welds,
    row: usize,
    mut fault: Fault,
) -> Result<Vec<Verdict>, ModelFailure> {
    if let Fault::Model(failure) = &fault {
        compute.try_model(failure.model)?;
        fault = match attempt(compute, welds, row..row + 1) {
            Ok(verdicts) => return Ok(verdicts),
            Err(fault) => fault,
        };
    }
    let (model, reason) = fault.told();
    tracing::error!(
        record = welds.record_id(row),
        reason,
        "this row cannot be judged"
    );
    Ok(vec![compute.in_error(model, reason)])
}

enum Fault {
    Model(ModelFailure),
    Panic(String),
}

impl Fault {
    /// The model that failed, if one did, and why, as `alg_error` says it.
    fn told(&self) -> (Option<ModelId>, String) {
        match self {
            Self::Panic(reason) => (None, format!("panic: {reason}")),
            Self::Model(ModelFailure { model, reason }) => {
                (Some(*model), format!("model_failed: {reason}"))
            }
        }
    }
}

fn attempt(
    compute: &mut Compute,
    welds: &dyn Welds,
    rows: Range<usize>,
) -> Result<Vec<Verdict>, Fault> {
    match catch_unwind(AssertUnwindSafe(|| compute.judge(welds, rows))) {
        Ok(Ok(verdicts)) => Ok(verdicts),
        Ok(Err(failure)) => Err(Fault::Model(failure)),
        Err(panic) => {
            compute.reset();
            Err(Fault::Panic(panic_text(panic.as_ref())))
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use metrics_exporter_prometheus::PrometheusBuilder;
    use weldfleet_service::metrics;
    use weldfleet_settings::{Model, Settings};
    use weldfleet_testkit::{onnxruntime_library, repository};
    use weldfleet_weld::{
        Record, Status, Weld,
        judge::{Judge, ModelSet},
        rules::{RuleSet, RulesFile},
    };

    use super::*;
    use crate::inference::{Models, layout::Layout};

    /// Good welds, one of which makes whoever looks at it panic.
    struct Mined {
        record: Record,
        mine: usize,
    }

    impl Welds for Mined {
        fn count(&self) -> usize {
            40
        }

        fn weld(&self, row: usize) -> Weld<'_> {
            assert!(row != self.mine, "row {row} is mined");
            self.record.weld()
        }

        fn record_id(&self, row: usize) -> String {
            row.to_string()
        }
    }

    /// A weld of this voltage on a part.
    fn weld(volts: f32, part: &str) -> Record {
        let record = serde_json::json!({
            "part_no": part, "umax": volts, "imax": 9.0, "u_curve": vec![volts; 400], "i_curve": vec![9.0; 400],
        });
        serde_json::from_value(record).unwrap()
    }

    fn judge_by(models: Option<ModelSet>) -> Arc<Judge> {
        let settings = Settings::default();
        let rules = RuleSet::new(&RulesFile::from_toml("").unwrap(), 1.0);
        let judge = Judge::new(
            settings.curves,
            settings.validation,
            models,
            Some(rules),
            0.9999,
        );
        Arc::new(judge.unwrap())
    }

    fn compute(models: &Models) -> Compute {
        Compute::new(judge_by(Some(models.set())), Some(models.clone()), LAYOUT).unwrap()
    }

    const LAYOUT: Layout = Layout {
        sessions: 1,
        threads: 1,
        batch_rows: 8,
    };

    fn statuses(verdicts: &[Verdict]) -> Vec<Status> {
        verdicts.iter().map(|verdict| verdict.alg_status).collect()
    }

    #[test]
    fn a_row_that_panics_costs_that_row() {
        let layout = Layout::without_model(1, &Model::default());
        let mut compute = Compute::new(judge_by(None), None, layout).unwrap();
        let welds = Mined {
            record: weld(1.5, ""),
            mine: 7,
        };
        let verdicts = judge(&mut compute, &welds, 0..welds.count()).unwrap();
        assert_eq!(verdicts.len(), 40);
        for (row, verdict) in verdicts.iter().enumerate() {
            if row == 7 {
                assert_eq!(verdict.alg_status, Status::Error);
                assert_eq!(verdict.alg_error.as_deref(), Some("panic: row 7 is mined"));
                assert_eq!(verdict.final_result, None, "an error is never an OK");
            } else {
                assert_eq!(verdict.alg_status, Status::Ok, "row {row}: {verdict:?}");
            }
        }
    }

    #[test]
    fn a_row_that_the_model_fails_on_is_an_error_whoever_is_with_it() {
        let models = Models::for_test("tests/tests/data/models/fails-above-20");
        let mut compute = compute(&models);
        let (sound, bad) = (weld(1.5, ""), weld(3.0, ""));
        for rows in [
            vec![bad.clone()],
            vec![bad.clone(), bad.clone(), bad.clone()],
            vec![sound.clone(), bad, sound],
        ] {
            let verdicts = judge(&mut compute, &rows, 0..rows.len()).unwrap();
            for (row, verdict) in rows.iter().zip(&verdicts) {
                let why = verdict.alg_error.as_deref().unwrap_or_default();
                assert_eq!(row.weld().umax > 2.0, why.starts_with("model_failed: "));
                assert_eq!(why.is_empty(), verdict.alg_status == Status::Ok, "{why}");
                assert_eq!(verdict.model_version.as_deref(), Some("fails-above-20"));
            }
        }
    }

    #[test]
    fn one_bad_row_among_many_is_found_in_few_steps_and_that_is_counted() {
        let mut compute = compute(&Models::for_test("tests/tests/data/models/fails-above-20"));
        let mut rows = vec![weld(1.5, ""); 64];
        rows[5] = weld(3.0, "");
        let recorder = PrometheusBuilder::new().build_recorder();
        let judged = metrics::with_local_recorder(&recorder, || judge(&mut compute, &rows, 0..64));
        let failed: Vec<usize> = (0..64)
            .filter(|row| judged.as_ref().unwrap()[*row].alg_status == Status::Error)
            .collect();
        assert_eq!(failed, [5]);
        let counted = recorder.handle().render();
        let value = |name: &str| {
            let line = counted.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{counted}"))
                .trim()
                .to_owned()
        };
        assert_eq!(value("weldfleet_batches_failed_total "), "1");
        // Four batches of eight in the second half, two in the fourth quarter, and so on.
        assert_eq!(value("weldfleet_inference_seconds_count "), "10");
    }

    #[test]
    fn a_model_that_judges_nothing_is_no_rows_fault() {
        let folder = tempfile::tempdir().unwrap();
        let sick = folder.path().join("sick");
        let mut compute = compute(&Models::for_test("tests/tests/data/models/good"));
        compute.sessions().sick_while(sick.clone());
        let rows = vec![weld(1.5, ""), weld(1.6, "")];
        fs::write(&sick, "").unwrap();
        for count in [1, 2] {
            let failure = judge(&mut compute, &rows, 0..count).unwrap_err();
            assert!(failure.reason.contains("sick"), "{failure}");
        }
        fs::remove_file(&sick).unwrap();
        let verdicts = judge(&mut compute, &rows, 0..2).unwrap();
        assert_eq!(statuses(&verdicts), [Status::Ok; 2]);
    }

    #[test]
    fn a_session_that_broke_is_opened_anew() {
        let mut compute = compute(&Models::for_test("tests/tests/data/models/good"));
        // One of another length fails on every row.
        let broken = Models::for_test("models").open_global(LAYOUT).unwrap();
        compute.sessions().replace_global(broken);
        let rows = vec![weld(1.5, ""), weld(1.6, "")];
        let verdicts = judge(&mut compute, &rows, 0..2).unwrap();
        assert_eq!(statuses(&verdicts), [Status::Ok; 2]);
    }

    #[test]
    fn a_parts_model_that_does_not_open_is_no_rows_fault() {
        let folder = tempfile::tempdir().unwrap();
        for (from, to) in [("good", "global"), ("transposed", "parts/A")] {
            let (from, to) = (
                format!("tests/tests/data/models/{from}/global"),
                folder.path().join(to),
            );
            fs::create_dir_all(&to).unwrap();
            for file in ["model.onnx", "inference_config.json"] {
                fs::copy(repository().join(&from).join(file), to.join(file)).unwrap();
            }
        }
        let models = Models::in_folder(&onnxruntime_library(), folder.path());
        let rows = vec![weld(1.5, ""), weld(1.5, "A")];
        let failure = judge(&mut compute(&models), &rows, 0..2).unwrap_err();
        assert_eq!(failure.model, models.set().for_part("A"));
        assert!(failure.reason.contains("parts/A/model.onnx"), "{failure}");
    }
}
