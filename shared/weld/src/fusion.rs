//! Soft-AND of the two judges.

use crate::{BadValue, DecidedBy, Outcome};

/// Why a fusion cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FusionError {
    #[error("model and rules are both off, so nothing could judge a weld; turn one on")]
    NoJudge,
    /// A value outside its range.
    #[error(transparent)]
    Value(#[from] BadValue),
}

/// Why one weld could not be fused: it must become `error`, never OK.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NotFused {
    /// The model is on and gave nothing usable.
    #[error("nok_prob is {0}, not a probability")]
    NotAProbability(f32),
    /// The model is on and gave nothing.
    #[error("the model gave no nok_prob")]
    MissingProbability,
    /// Rules are on and gave nothing.
    #[error("the rules gave no result")]
    MissingRuleResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fused {
    /// The model's word; None where it is off.
    pub ml_result: Option<Outcome>,
    /// The rules' word; None where they are off.
    pub rule_result: Option<Outcome>,
    pub final_result: Outcome,
    pub decided_by: DecidedBy,
}

/// The switchboard: which judges are on, and the override.
///
/// | model | rules | NOK if | decided by |
/// |---|---|---|---|
/// | on | on | model NOK and rules NOK | `soft_and` |
/// | on | on | else `nok_prob >= override_threshold` | `override` |
/// | on | on | else it is OK | `soft_and` |
/// | on | off | model NOK | `ml` |
/// | off | on | rules NOK | `rule` |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fusion {
    model_on: bool,
    rules_on: bool,
    override_threshold: f32,
}

impl Fusion {
    /// `override_threshold` is the absolute probability from which the model overrules the rules, compared in `f32`.
    ///
    /// # Errors
    /// If both judges are off, or `override_threshold` is not above 0 and at most 1.
    pub fn new(
        model_on: bool,
        rules_on: bool,
        override_threshold: f32,
    ) -> Result<Self, FusionError> {
        if !model_on && !rules_on {
            return Err(FusionError::NoJudge);
        }
        BadValue::unless(
            override_threshold > 0.0 && override_threshold <= 1.0,
            "override_threshold",
            override_threshold,
            "give a probability above 0, at most 1",
        )?;
        Ok(Self {
            model_on,
            rules_on,
            override_threshold,
        })
    }

    #[must_use]
    pub fn model_on(&self) -> bool {
        self.model_on
    }

    #[must_use]
    pub fn rules_on(&self) -> bool {
        self.rules_on
    }

    #[must_use]
    pub fn override_threshold(&self) -> f32 {
        self.override_threshold
    }

    /// Fuses what the judges said; what a judge that is off says is ignored. `nok_threshold` is the model's.
    ///
    /// # Errors
    /// [`NotFused`] if a judge that is on said nothing usable.
    pub fn decide(
        &self,
        nok_prob: Option<f32>,
        nok_threshold: f32,
        rule_result: Option<Outcome>,
    ) -> Result<Fused, NotFused> {
        let ml = if self.model_on {
            let probability = nok_prob.ok_or(NotFused::MissingProbability)?;
            if !(0.0..=1.0).contains(&probability) {
                return Err(NotFused::NotAProbability(probability));
            }
            Some((probability, Outcome::nok_if(probability >= nok_threshold)))
        } else {
            None
        };
        let rule = if self.rules_on {
            Some(rule_result.ok_or(NotFused::MissingRuleResult)?)
        } else {
            None
        };
        let (final_result, decided_by) = match (ml, rule) {
            (Some((_, Outcome::Nok)), Some(Outcome::Nok)) => (Outcome::Nok, DecidedBy::SoftAnd),
            (Some((probability, _)), Some(_)) if probability >= self.override_threshold => {
                (Outcome::Nok, DecidedBy::Override)
            }
            (Some(_), Some(_)) => (Outcome::Ok, DecidedBy::SoftAnd),
            (Some((_, ml_result)), None) => (ml_result, DecidedBy::Ml),
            (None, Some(rule_result)) => (rule_result, DecidedBy::Rule),
            // `new` refuses this; a weld must not become OK here even so.
            (None, None) => return Err(NotFused::MissingRuleResult),
        };
        Ok(Fused {
            ml_result: ml.map(|(_, outcome)| outcome),
            rule_result: rule,
            final_result,
            decided_by,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_to_judge_by_nobody_and_unreachable_overrides() {
        assert_eq!(Fusion::new(false, false, 0.9999), Err(FusionError::NoJudge));
        for bad in [0.0, -0.1, 1.01, f32::NAN] {
            let error = Fusion::new(true, true, bad).unwrap_err().to_string();
            assert!(error.starts_with("`override_threshold` is"), "{error}");
        }
    }

    #[test]
    fn thresholds_are_inclusive_in_f32() {
        let fusion = Fusion::new(true, true, 0.9999).unwrap();
        let at = fusion.decide(Some(0.9999), 0.5, Some(Outcome::Ok)).unwrap();
        assert_eq!(
            (at.final_result, at.decided_by),
            (Outcome::Nok, DecidedBy::Override)
        );
        let below = fusion
            .decide(Some(0.9999_f32.next_down()), 0.5, Some(Outcome::Ok))
            .unwrap();
        assert_eq!(
            (below.final_result, below.decided_by),
            (Outcome::Ok, DecidedBy::SoftAnd)
        );
        let both = fusion.decide(Some(1.0), 0.5, Some(Outcome::Nok)).unwrap();
        assert_eq!(
            both.decided_by,
            DecidedBy::SoftAnd,
            "the override decides only what the AND would not"
        );
        assert_eq!(
            fusion
                .decide(Some(0.5), 0.5, Some(Outcome::Ok))
                .unwrap()
                .ml_result,
            Some(Outcome::Nok)
        );
    }

    #[test]
    fn an_override_below_the_models_threshold_still_overrules() {
        let fusion = Fusion::new(true, true, 0.3).unwrap();
        let fused = fusion.decide(Some(0.4), 0.5, Some(Outcome::Ok)).unwrap();
        assert_eq!(fused.ml_result, Some(Outcome::Ok));
        assert_eq!(
            (fused.final_result, fused.decided_by),
            (Outcome::Nok, DecidedBy::Override)
        );
    }

    proptest! {
        /// The table of the docs, spelled out once more.
        #[test]
        fn follows_the_truth_table(
            model_on: bool,
            rules_on: bool,
            probability in prop_oneof![0.0_f32..=1.0, Just(0.5), Just(0.9)],
            rule_nok: bool,
        ) {
            prop_assume!(model_on || rules_on);
            let fusion = Fusion::new(model_on, rules_on, 0.9).unwrap();
            let rule = Outcome::nok_if(rule_nok);
            let fused = fusion.decide(Some(probability), 0.5, Some(rule)).unwrap();
            let ml_nok = probability >= 0.5;
            let (nok, by) = match (model_on, rules_on) {
                (true, true) if ml_nok && rule_nok => (true, DecidedBy::SoftAnd),
                (true, true) if probability >= 0.9 => (true, DecidedBy::Override),
                (true, true) => (false, DecidedBy::SoftAnd),
                (true, false) => (ml_nok, DecidedBy::Ml),
                _ => (rule_nok, DecidedBy::Rule),
            };
            prop_assert_eq!(fused.final_result, Outcome::nok_if(nok));
            prop_assert_eq!(fused.decided_by, by);
            prop_assert_eq!(fused.ml_result, model_on.then_some(Outcome::nok_if(ml_nok)));
            prop_assert_eq!(fused.rule_result, rules_on.then_some(rule));
        }

        /// No probability, no verdict: whatever the rules say.
        #[test]
        fn what_is_no_probability_is_an_error(
            bad in prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(-1e-6_f32), 1.0001_f32..1e9],
            rules_on: bool,
            rule_nok: bool,
        ) {
            let fusion = Fusion::new(true, rules_on, 0.9999).unwrap();
            let rule = Some(Outcome::nok_if(rule_nok));
            prop_assert!(fusion.decide(Some(bad), 0.5, rule).is_err());
            prop_assert!(fusion.decide(None, 0.5, rule).is_err());
        }

        #[test]
        fn a_missing_rule_result_is_an_error(probability in 0.0_f32..=1.0, model_on: bool) {
            let fusion = Fusion::new(model_on, true, 0.9999).unwrap();
            prop_assert!(fusion.decide(Some(probability), 0.5, None).is_err());
        }
    }
}
