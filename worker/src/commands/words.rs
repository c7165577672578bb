//! A verdict in words, as `predict` and `explain` say it and pictures show it.

use weldfleet_weld::{Verdict, judge::Judge, rules::Hit, verdict::probability_beside};

/// The limits that a model's probability is compared with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Thresholds {
    /// From which the part's model says NOK; `None` where no model is asked.
    nok: Option<f32>,
    /// From which it overrules the rules; `None` where one of the two is not asked.
    overrules: Option<f32>,
}

impl Thresholds {
    pub fn of(judge: &Judge, part_no: &str) -> Self {
        let models = judge.models();
        let fusion = judge.fusion();
        Self {
            nok: models.map(|models| models.spec(models.for_part(part_no)).nok_threshold()),
            overrules: (fusion.model_on() && fusion.rules_on())
                .then(|| fusion.override_threshold()),
        }
    }

    /// A probability that is on the same side of each limit as it was judged.
    pub fn probability(self, probability: f32) -> String {
        let limits = [self.nok, self.overrules];
        probability_beside(
            probability.into(),
            limits.into_iter().flatten().map(f64::from),
        )
    }

    /// `None` where no model is asked.
    pub fn in_words(self) -> Option<String> {
        let mut text = format!("nok_threshold {}", self.nok?);
        if let Some(overrules) = self.overrules {
            text.push_str(&format!("   override_threshold {overrules}"));
        }
        Some(text)
    }
}

pub fn hits(verdict: &Verdict) -> impl Iterator<Item = String> + '_ {
    verdict
        .rule_hits
        .iter()
        .map(|one| format!("[{}]", hit(one)))
}

pub fn hit(hit: &Hit) -> String {
    let (rule, t_ms) = (hit.rule.as_str(), hit.t_ms);
    format!(
        "{rule} {:.3} (limit {:.3}) at {t_ms:.0} ms",
        hit.value, hit.limit
    )
}
