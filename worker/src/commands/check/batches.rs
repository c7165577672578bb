//! Rows judged one by one beside the same rows in batches.

use std::sync::Arc;

use weldfleet_stores::clickhouse::RowBlock;
use weldfleet_weld::{Status, Verdict, Weld, columns::MEASURES};

use crate::inference::{
    pool::{Pool, PoolError},
    trial::{TOLERANCE, differs},
    welds::Welds,
};

struct OneRow {
    block: Arc<RowBlock>,
    row: usize,
}

impl Welds for OneRow {
    fn count(&self) -> usize {
        1
    }

    fn weld(&self, _: usize) -> Weld<'_> {
        Welds::weld(self.block.as_ref(), self.row)
    }

    fn record_id(&self, _: usize) -> String {
        Welds::record_id(self.block.as_ref(), self.row)
    }
}

#[derive(Debug, PartialEq)]
pub enum Alike {
    /// Every value, but for this much.
    Within(f32),
    /// A value that is another one: row, output, value in the batch and alone.
    No(usize, &'static str, Option<f32>, Option<f32>),
}

/// Judges each row alone and compares it with what it got in its batch.
pub async fn compare(
    pool: &Pool,
    block: &Arc<RowBlock>,
    together: &[Verdict],
) -> Result<Alike, PoolError> {
    let mut largest = 0.0;
    // Whether a key has another row is not seen in a single one, and what was refused has no values.
    let judged = together.iter().enumerate();
    for (row, together) in judged.filter(|(_, verdict)| verdict.alg_status == Status::Ok) {
        let one = OneRow {
            block: block.clone(),
            row,
        };
        let alone = pool.judge(Arc::new(one), None).await?;
        match alone.first().map(|alone| of_row(row, together, alone)) {
            Some(Alike::Within(difference)) => largest = difference.max(largest),
            Some(different) => return Ok(different),
            None => return Err(PoolError::Ended("a row was not judged")),
        }
    }
    Ok(Alike::Within(largest))
}

fn of_row(row: usize, together: &Verdict, alone: &Verdict) -> Alike {
    let mut largest = 0.0;
    for ((output, together), (_, alone)) in outputs(together).zip(outputs(alone)) {
        let (a, b) = (together.unwrap_or(f32::NAN), alone.unwrap_or(f32::NAN));
        if differs(a, b, TOLERANCE) {
            return Alike::No(row, output, together, alone);
        }
        largest = (a - b).abs().max(largest);
    }
    Alike::Within(largest)
}

fn outputs(verdict: &Verdict) -> impl Iterator<Item = (&'static str, Option<f32>)> {
    let measures = MEASURES
        .into_iter()
        .map(|(name, read)| (name, read(verdict)));
    std::iter::once(("ml_nok_prob", verdict.ml_nok_prob)).chain(measures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(ml_nok_prob: Option<f32>, diameter: Option<f32>) -> Verdict {
        Verdict {
            ml_nok_prob,
            diameter,
            ..Verdict::unjudged(Status::Ok, String::new())
        }
    }

    #[test]
    fn a_ten_thousandth_is_the_limit_in_any_output_and_a_missing_value_is_none() {
        let here = verdict(Some(0.5), Some(5.0));
        let compared = |prob, diameter| of_row(3, &here, &verdict(prob, diameter));
        assert_eq!(compared(Some(0.5), Some(5.0)), Alike::Within(0.0));
        assert!(matches!(
            compared(Some(0.500_09), Some(5.0)),
            Alike::Within(_)
        ));
        let more = Alike::No(3, "ml_nok_prob", Some(0.5), Some(0.500_2));
        assert_eq!(compared(Some(0.500_2), Some(5.0)), more);
        let more = Alike::No(3, "diameter", Some(5.0), Some(5.001));
        assert_eq!(compared(Some(0.5), Some(5.001)), more);
        let missing = Alike::No(3, "diameter", Some(5.0), None);
        assert_eq!(compared(Some(0.5), None), missing);
        let none = verdict(None, None);
        assert_eq!(
            of_row(0, &none, &none),
            Alike::Within(0.0),
            "an invalid row has none"
        );
    }
}
