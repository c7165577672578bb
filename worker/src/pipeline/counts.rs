//! What a finished range held.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use weldfleet_breaker::RangeCounts;
use weldfleet_service::metrics;
use weldfleet_stores::clickhouse::OutcomeCounts;
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
pub fn of(verdicts: &[Verdict]) -> OutcomeCounts {
    let mut counts = OutcomeCounts::default();
    for verdict in verdicts {
        let count = match (verdict.alg_status, verdict.final_result) {
            (Status::Invalid, _) => &mut counts.invalid,
            (Status::Poison, _) => &mut counts.poison,
            (Status::Ok, Some(Outcome::Ok)) => &mut counts.ok,
            (Status::Ok, Some(Outcome::Nok)) => &mut counts.nok,
            (Status::Error, _) | (Status::Ok, None) => &mut counts.error,
        };
        *count += 1;
    }
    counts
}

/// As jobs, metrics and the worker's entry tell of them: what is poison was refused like what is invalid.
fn told(counts: &OutcomeCounts) -> [(&'static str, u64); 4] {
    [
        ("ok", counts.ok),
        ("nok", counts.nok),
        ("invalid", counts.invalid + counts.poison),
        ("error", counts.error),
    ]
}

/// As fields of the job's hash.
pub fn fields(counts: &OutcomeCounts) -> Vec<(String, String)> {
    told(counts)
        .map(|(name, count)| (format!("rows_{name}"), count.to_string()))
        .to_vec()
}

/// As the breaker counts.
pub fn for_breaker(counts: &OutcomeCounts) -> RangeCounts {
    RangeCounts {
        ok: counts.ok,
        nok: counts.nok,
        unjudged: counts.invalid + counts.poison + counts.error,
    }
}

/// Adds to the process's metrics.
pub fn publish(counts: &OutcomeCounts) {
    for ((outcome, count), total) in told(counts).into_iter().zip(&TOTALS) {
        total.fetch_add(count, Ordering::Relaxed);
        metrics::counter!("weldfleet_rows_total", "outcome" => outcome).increment(count);
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
        let counts = of(&verdicts);
        assert_eq!(
            counts,
            OutcomeCounts {
                ok: 1,
                nok: 1,
                invalid: 1,
                poison: 0,
                error: 1
            }
        );
        assert_eq!(counts.rows(), 4);
    }
}
