//! The latest welds judged in bf16 beside f32, where this worker computes both.

use std::{sync::Arc, time::Instant};

use weldfleet_settings::{Bf16Limits, Precision, Provider};
use weldfleet_stores::clickhouse::RowBlock;
use weldfleet_weld::{
    Verdict,
    columns::{MEASURE_NAMES, MEASURES},
};

use crate::{
    inference::{Models, openvino, pool::Pool},
    judging::Judging,
};

/// What bf16 changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    rows: usize,
    /// Rows whose verdict or status is another one.
    changed: usize,
    nok_prob: f32,
    /// Of the four regressions, mm.
    millimetres: [f32; 4],
    /// Rows a second in f32 and in bf16.
    rates: [f64; 2],
}

/// The same models in both precisions, f32 first; `None` where this worker cannot compute both.
pub fn both(judging: &Judging) -> Option<[Models; 2]> {
    let models = judging.models.as_ref()?;
    let on_openvino = match models.runtime.provider() {
        Provider::Openvino => models.clone(),
        _ => models.on_openvino()?,
    };
    openvino::check_bf16().ok()?;
    Some(
        [Precision::F32, Precision::Bf16]
            .map(|precision| on_openvino.clone().in_precision(precision)),
    )
}

/// Judges the block in both.
pub async fn compare(
    judging: &Judging,
    models: [Models; 2],
    block: &Arc<RowBlock>,
) -> anyhow::Result<Comparison> {
    let layout = judging.layout.layout.one_session();
    let mut judged = Vec::new();
    let mut rates = [0.0; 2];
    for (models, rate) in models.into_iter().zip(&mut rates) {
        let pool = Pool::start(judging.judge.clone(), Some(models), layout)?;
        // the first time it warms up
        pool.judge(block.clone(), None).await?;
        let began = Instant::now();
        judged.push(pool.judge(block.clone(), None).await?);
        *rate = block.len() as f64 / began.elapsed().as_secs_f64();
    }
    Ok(Comparison::of(&judged[0], &judged[1], rates))
}

impl Comparison {
    fn of(exact: &[Verdict], coarse: &[Verdict], rates: [f64; 2]) -> Self {
        let mut found = Self {
            rows: exact.len(),
            changed: 0,
            nok_prob: 0.0,
            millimetres: [0.0; 4],
            rates,
        };
        for (exact, coarse) in exact.iter().zip(coarse) {
            let verdict = |of: &Verdict| (of.alg_status, of.final_result);
            found.changed += usize::from(verdict(exact) != verdict(coarse));
            let further = |furthest: &mut f32, a: Option<f32>, b: Option<f32>| {
                if let (Some(a), Some(b)) = (a, b) {
                    *furthest = furthest.max((a - b).abs());
                }
            };
            further(&mut found.nok_prob, exact.ml_nok_prob, coarse.ml_nok_prob);
            for (furthest, (_, read)) in found.millimetres.iter_mut().zip(MEASURES) {
                further(furthest, read(exact), read(coarse));
            }
        }
        found
    }

    /// Whether bf16 changes no more than it may.
    pub fn is_within(&self, limits: &Bf16Limits) -> bool {
        let changed = self.changed as f64 / self.rows.max(1) as f64;
        changed <= limits.verdict_changes
            && self.nok_prob <= limits.nok_prob
            && self.millimetres.iter().all(|mm| *mm <= limits.millimetres)
    }

    pub fn in_words(&self) -> String {
        let measures = MEASURE_NAMES.iter().zip(self.millimetres);
        let measures: Vec<_> = measures
            .map(|(name, mm)| format!("{name} {mm:.4} mm"))
            .collect();
        let [f32_rate, bf16_rate] = self.rates;
        format!(
            "bf16 changes {} of {} verdicts; nok_prob by at most {:.4}, {}; \
             {bf16_rate:.0} rows/s instead of {f32_rate:.0} of one thread",
            self.changed,
            self.rows,
            self.nok_prob,
            measures.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use weldfleet_weld::{Outcome, Status};

    use super::*;

    fn verdict(nok_prob: f32, diameter: f32, outcome: Outcome) -> Verdict {
        Verdict {
            ml_nok_prob: Some(nok_prob),
            diameter: Some(diameter),
            final_result: Some(outcome),
            ..Verdict::unjudged(Status::Ok, String::new())
        }
    }

    #[test]
    fn each_limit_holds_by_itself() {
        let exact = vec![verdict(0.5, 5.0, Outcome::Ok); 10];
        let with = |other: Verdict| {
            let mut coarse = exact.clone();
            coarse[3] = other;
            Comparison::of(&exact, &coarse, [1.0; 2])
        };
        let limits = Bf16Limits {
            verdict_changes: 0.05,
            nok_prob: 0.02,
            millimetres: 0.03,
        };
        assert!(with(verdict(0.51, 5.02, Outcome::Ok)).is_within(&limits));
        assert!(!with(verdict(0.53, 5.0, Outcome::Ok)).is_within(&limits));
        assert!(!with(verdict(0.5, 4.96, Outcome::Ok)).is_within(&limits));
        let changed = with(verdict(0.5, 5.0, Outcome::Nok));
        assert_eq!(changed.changed, 1);
        assert!(!changed.is_within(&limits));
        assert!(changed.in_words().contains("1 of 10 verdicts"));
    }
}
