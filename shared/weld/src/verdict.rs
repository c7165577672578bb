//! The result columns of one weld.

use std::sync::Arc;

use serde::Serialize;

use crate::rules::Hit;

/// What a judge says about a weld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Outcome {
    #[serde(rename = "OK")]
    Ok,
    #[serde(rename = "NOK")]
    Nok,
}

impl Outcome {
    /// The text in every store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Nok => "NOK",
        }
    }

    /// NOK where `nok` is true.
    #[must_use]
    pub fn nok_if(nok: bool) -> Self {
        if nok { Self::Nok } else { Self::Ok }
    }
}

/// What became of a row (`alg_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// Refused by validation; `alg_error` has the reason.
    Invalid,
    /// Killed its worker twice while it was the only row there. Given by the worker, never by this crate.
    Poison,
    /// Could not be judged; `alg_error` has the reason.
    Error,
}

impl Status {
    /// The text in every store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Invalid => "invalid",
            Self::Poison => "poison",
            Self::Error => "error",
        }
    }
}

/// Which part of the fusion decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// Both judges were asked and the AND decided, either way.
    SoftAnd,
    /// The model's probability reached `override_threshold` and overruled the rules.
    Override,
    /// The model alone; rules are off.
    Ml,
    /// The rules alone; the model is off.
    Rule,
}

impl DecidedBy {
    /// The text in every store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SoftAnd => "soft_and",
            Self::Override => "override",
            Self::Ml => "ml",
            Self::Rule => "rule",
        }
    }
}

/// The result columns of one weld that judging fills, under their contract names; see [`crate::columns`].
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub alg_status: Status,
    /// Why it was not judged: `reason_code: text`. None where it was.
    pub alg_error: Option<String>,
    /// Probability of NOK, 0 to 1. None where the model is off or the row was not judged.
    pub ml_nok_prob: Option<f32>,
    /// The model's word. None where the model is off or the row was not judged.
    pub ml_result: Option<Outcome>,
    /// The rules' word. None where rules are off or the row was not judged.
    pub rule_result: Option<Outcome>,
    /// Every hit, warnings too, by time of its rule's main event.
    pub rule_hits: Vec<Hit>,
    /// The verdict. None where the row was not judged.
    pub final_result: Option<Outcome>,
    /// What decided. None where the row was not judged.
    pub decided_by: Option<DecidedBy>,
    /// What said NOK, in words for people; several with a comma between. None where the verdict is not NOK.
    pub defect: Option<Arc<str>>,
    /// Nugget diameter, mm.
    pub diameter: Option<f32>,
    /// Indentation, mm.
    pub indentation: Option<f32>,
    /// What is left of the front sheet, mm.
    pub front_thickness: Option<f32>,
    /// What is left of the stack, mm.
    pub stack_thickness: Option<f32>,
    /// Version of the model that judged, or was asked and gave no answer. None where none was asked.
    pub model_version: Option<Arc<str>>,
}

/// Digits of a probability, and those beyond which there is nothing more in it.
const DIGITS: usize = 4;
const EXACT: usize = 9;

/// A probability with so many digits that it is on the same side of each limit as the value: 0.99986 beside 0.9999.
#[must_use]
pub fn probability_beside(value: f64, limits: impl Iterator<Item = f64> + Clone) -> String {
    let text = |digits: usize| format!("{value:.digits$}");
    let is_told = |text: &String| {
        let said = text.parse::<f64>().unwrap_or(value);
        let is_same = |limit: f64| (said >= limit) == (value >= limit);
        limits.clone().all(is_same)
    };
    (DIGITS..EXACT)
        .map(text)
        .find(is_told)
        .unwrap_or_else(|| text(EXACT))
}

impl Verdict {
    /// A row that was not judged.
    #[must_use]
    pub fn unjudged(alg_status: Status, alg_error: impl Into<String>) -> Self {
        Self {
            alg_status,
            alg_error: Some(alg_error.into()),
            ml_nok_prob: None,
            ml_result: None,
            rule_result: None,
            rule_hits: Vec::new(),
            final_result: None,
            decided_by: None,
            defect: None,
            diameter: None,
            indentation: None,
            front_thickness: None,
            stack_thickness: None,
            model_version: None,
        }
    }

    /// What decided and, of a NOK weld, who said so; for people. Empty where the row was not judged.
    #[must_use]
    pub fn decision(&self) -> String {
        let decided_by = self.decided_by.map_or("", DecidedBy::as_str);
        match &self.defect {
            Some(defect) => format!("{decided_by} ({defect})"),
            None => decided_by.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_stays_on_its_side_of_each_limit() {
        let limits = [0.5_f32, 0.9999].map(f64::from);
        let shown = |value: f32| probability_beside(value.into(), limits.into_iter());
        assert_eq!(shown(0.98125), "0.9812");
        assert_eq!(shown(0.99986), "0.99986");
        assert_eq!(shown(0.9999), "0.9999");
        assert_eq!(shown(0.999_999), "1.0000");
        assert_eq!(shown(0.5), "0.5000");
        assert_eq!(shown(0.499_999_97), "0.49999997");
        let next = f32::from_bits(0.9999_f32.to_bits() - 1);
        assert!(shown(next).parse::<f32>().unwrap() < 0.9999);
        assert_eq!(shown(f32::NAN), "NaN");
    }
}
