//! What a finished range held.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use weldfleet_breaker::RangeCounts;
use weldfleet_service::metrics;
use weldfleet_weld::{Outcome, Status, Verdict};

/// What this process has judged since its start: ok, nok, invalid, error.
static TOTALS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

/// Rows that this process has judged since its start.
pub fn rows() -> u64 {
    TOTALS
        .iter()
        .map(|total| total.load(Ordering::Relaxed))
        .sum()
}

/// What this process has judged since its start.
pub fn totals() -> Value {
    let [ok, nok, invalid, error] = [0, 1, 2, 3].map(|k: usize| TOTALS[k].load(Ordering::Relaxed));
    json!({ "ok": ok, "nok": nok, "invalid": invalid, "error": error })
}

/// Rows of a range by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub ok: u64,
    pub nok: u64,
    /// Refused by validation.
    pub invalid: u64,
    /// Could not be judged.
    pub error: u64,
}

impl Counts {
    pub fn of(verdicts: &[Verdict]) -> Self {
        let mut counts = Self::default();
        for verdict in verdicts {
            match (verdict.alg_status, verdict.final_result) {
                (Status::Invalid | Status::Poison, _) => counts.invalid += 1,
                (Status::Ok, Some(Outcome::Ok)) => counts.ok += 1,
                (Status::Ok, Some(Outcome::Nok)) => counts.nok += 1,
                (Status::Error, _) | (Status::Ok, None) => counts.error += 1,
            }
        }
        counts
    }

    pub fn rows(&self) -> u64 {
        self.ok + self.nok + self.invalid + self.error
    }

    /// As fields of the job's hash.
    pub fn fields(&self) -> Vec<(String, String)> {
        [
            ("rows_ok", self.ok),
            ("rows_nok", self.nok),
            ("rows_invalid", self.invalid),
            ("rows_error", self.error),
        ]
        .map(|(name, count)| (name.to_owned(), count.to_string()))
        .to_vec()
    }

    /// As the breaker counts.
    pub fn for_breaker(&self) -> RangeCounts {
        RangeCounts {
            ok: self.ok,
            nok: self.nok,
            unjudged: self.invalid + self.error,
        }
    }

    /// Adds to the process's metrics.
    pub fn publish(&self) {
        let counted = [
            ("ok", self.ok),
            ("nok", self.nok),
            ("invalid", self.invalid),
            ("error", self.error),
        ];
        for ((outcome, count), total) in counted.into_iter().zip(&TOTALS) {
            total.fetch_add(count, Ordering::Relaxed);
            metrics::counter!("weldfleet_rows_total", "outcome" => outcome).increment(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_counted_once() {
        let judged = |result| Verdict {
            alg_status: Status::Ok,
            final_result: Some(result),
            ..Verdict::unjudged(Status::Ok, "")
        };
        let verdicts = [
            judged(Outcome::Ok),
            judged(Outcome::Nok),
            Verdict::unjudged(Status::Invalid, "too_short"),
            Verdict::unjudged(Status::Error, "nan"),
        ];
        let counts = Counts::of(&verdicts);
        assert_eq!(
            counts,
            Counts {
                ok: 1,
                nok: 1,
                invalid: 1,
                error: 1
            }
        );
        assert_eq!(counts.rows(), 4);
    }
}
