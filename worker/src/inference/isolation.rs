//! A chunk that cannot be judged as a whole, row by row: what one row does to the code or the model costs that row
//! alone.

use std::{
    any::Any,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use weldfleet_weld::{Status, Verdict};

use super::{compute::Compute, pool_error::PoolError, welds::Welds};

/// Judges the rows; if that fails, each by itself. A row that panics becomes an `error` verdict; so does one that the
/// model fails on, unless it fails on all of them: then the model is to blame, and no row.
///
/// # Errors
/// [`PoolError::Model`].
pub fn judge(
    compute: &mut Compute,
    welds: &dyn Welds,
    rows: Range<usize>,
) -> Result<Vec<Verdict>, PoolError> {
    match attempt(compute, welds, rows.clone()) {
        Ok(verdicts) => return Ok(verdicts),
        Err(Fault::Model(reason)) if rows.len() == 1 => return Err(PoolError::Model(reason)),
        Err(_) => {}
    }
    let mut verdicts = Vec::with_capacity(rows.len());
    let mut model_failures = Vec::new();
    for row in rows.clone() {
        let reason = match attempt(compute, welds, row..row + 1) {
            Ok(one) => {
                verdicts.extend(one);
                continue;
            }
            Err(Fault::Panic(reason)) => format!("panic: {reason}"),
            Err(Fault::Model(reason)) => {
                model_failures.push(reason.clone());
                format!("model_failed: {reason}")
            }
        };
        tracing::error!(
            record = welds.record_id(row),
            reason,
            "this row cannot be judged"
        );
        verdicts.push(Verdict::unjudged(Status::Error, reason));
    }
    match model_failures.pop() {
        Some(reason) if model_failures.len() + 1 == rows.len() => Err(PoolError::Model(reason)),
        _ => Ok(verdicts),
    }
}

enum Fault {
    Model(String),
    Panic(String),
}

fn attempt(
    compute: &mut Compute,
    welds: &dyn Welds,
    rows: Range<usize>,
) -> Result<Vec<Verdict>, Fault> {
    match catch_unwind(AssertUnwindSafe(|| compute.judge(welds, rows))) {
        Ok(Ok(verdicts)) => Ok(verdicts),
        Ok(Err(error)) => Err(Fault::Model(weldfleet_service::exit::chain(&error))),
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
    use std::sync::Arc;

    use weldfleet_settings::{Model, Settings};
    use weldfleet_weld::{
        Record, Weld,
        judge::Judge,
        rules::{RuleSet, RulesFile},
    };

    use super::*;
    use crate::inference::layout::Layout;

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

    #[test]
    fn a_row_that_panics_costs_that_row() {
        let settings = Settings::default();
        let rules = RuleSet::new(&RulesFile::from_toml("").unwrap(), 1.0);
        let judge = Judge::new(
            settings.curves,
            settings.validation,
            None,
            Some(rules),
            0.9999,
        );
        let layout = Layout::without_model(1, &Model::default());
        let mut compute = Compute::new(Arc::new(judge.unwrap()), None, layout).unwrap();
        let record = serde_json::json!({
            "umax": 1.5, "imax": 9.0, "u_curve": vec![1.5; 400], "i_curve": vec![9.0; 400],
        });
        let welds = Mined {
            record: serde_json::from_value(record).unwrap(),
            mine: 7,
        };
        let verdicts = judge_all(&mut compute, &welds);
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

    fn judge_all(compute: &mut Compute, welds: &Mined) -> Vec<Verdict> {
        judge(compute, welds, 0..welds.count()).unwrap()
    }
}
