//! What said NOK, in words for people.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    DecidedBy, Outcome,
    fusion::Fused,
    rules::{NokRules, Rule},
};

/// What the model is called in `defect_names` and in `defect`.
const ML: &str = "ml";
/// What the override is called.
const OVERRIDE: &str = "override";
/// Between several; a name has none, so that `FIND_IN_SET` and `splitByChar` take them apart.
const SEPARATOR: &str = ",";
/// Most characters of a name: those of the model and of every rule fit the column together.
const LONGEST: usize = 32;

/// `[fusion] defect_names`: the name of a judge or rule, and what people call the defect that it finds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct DefectNames(BTreeMap<String, String>);

/// What is wrong with `defect_names`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefectNamesError {
    /// Nobody of that name says NOK.
    #[error("unknown judge or rule `{name}`, expected one of: {}", DefectNames::known().collect::<Vec<_>>().join(", "))]
    Unknown {
        /// As it is written.
        name: String,
    },
    /// Words that cannot stand in the column.
    #[error(
        "`{name}` is called `{words}`, expected 1 to {LONGEST} characters without a comma, a line break or a blank at either end"
    )]
    Words {
        /// Judge or rule.
        name: String,
        /// What it is to be called.
        words: String,
    },
}

impl DefectNames {
    /// Who may be given a name.
    pub fn known() -> impl Iterator<Item = &'static str> {
        [ML, OVERRIDE]
            .into_iter()
            .chain(Rule::ALL.map(Rule::as_str))
    }

    /// The words that it was given.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Its words; its own name where it was given none.
    fn words<'a>(&'a self, name: &'a str) -> &'a str {
        self.given(name).unwrap_or(name)
    }
}

impl TryFrom<BTreeMap<String, String>> for DefectNames {
    type Error = DefectNamesError;

    fn try_from(names: BTreeMap<String, String>) -> Result<Self, DefectNamesError> {
        for (name, words) in &names {
            if !Self::known().any(|known| known == name) {
                return Err(DefectNamesError::Unknown { name: name.clone() });
            }
            let length = words.chars().count();
            let fits = (1..=LONGEST).contains(&length) && words.trim() == words;
            if !fits || words.contains(SEPARATOR) || words.contains(char::is_control) {
                return Err(DefectNamesError::Words {
                    name: name.clone(),
                    words: words.clone(),
                });
            }
        }
        Ok(Self(names))
    }
}

impl From<DefectNames> for BTreeMap<String, String> {
    fn from(names: DefectNames) -> Self {
        names.0
    }
}

/// Every text that `defect` can be, made once, so that a verdict costs no allocation.
#[derive(Debug, Clone)]
pub struct Defects {
    /// By the rules' bits, where the rules alone said so.
    of_rules: Vec<Arc<str>>,
    /// The same where the model said so, too.
    of_ml_and_rules: Vec<Arc<str>>,
    of_override: Arc<str>,
}

impl Defects {
    /// In these words.
    #[must_use]
    pub fn new(names: &DefectNames) -> Self {
        let text = |ml: bool, rules: NokRules| -> Arc<str> {
            let of_rules = Rule::ALL.into_iter().filter(|rule| rules.contains(*rule));
            let mut told: Vec<&str> = Vec::new();
            for name in ml
                .then_some(ML)
                .into_iter()
                .chain(of_rules.map(Rule::as_str))
            {
                let words = names.words(name);
                // Two may find what people call by one name.
                if !told.contains(&words) {
                    told.push(words);
                }
            }
            told.join(SEPARATOR).into()
        };
        Self {
            of_rules: NokRules::every().map(|rules| text(false, rules)).collect(),
            of_ml_and_rules: NokRules::every().map(|rules| text(true, rules)).collect(),
            of_override: names.words(OVERRIDE).into(),
        }
    }

    /// Who made the fusion say NOK; `None` where it said OK.
    #[must_use]
    pub fn of(&self, fused: &Fused, rules: NokRules) -> Option<Arc<str>> {
        if fused.final_result == Outcome::Ok {
            return None;
        }
        let text = match fused.decided_by {
            DecidedBy::Override => Some(&self.of_override),
            DecidedBy::SoftAnd => self.of_ml_and_rules.get(rules.place()),
            DecidedBy::Ml => self.of_ml_and_rules.first(),
            DecidedBy::Rule => self.of_rules.get(rules.place()),
        };
        text.cloned()
    }
}

impl Default for Defects {
    fn default() -> Self {
        Self::new(&DefectNames::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fusion::Fusion;

    fn names(given: &[(&str, &str)]) -> Result<DefectNames, DefectNamesError> {
        let owned = |(name, words): &(&str, &str)| ((*name).to_owned(), (*words).to_owned());
        given
            .iter()
            .map(owned)
            .collect::<BTreeMap<_, _>>()
            .try_into()
    }

    fn defect(
        names: &DefectNames,
        nok_prob: Option<f32>,
        rules: Option<&[Rule]>,
    ) -> Option<String> {
        let fusion = Fusion::new(nok_prob.is_some(), rules.is_some(), 0.9).unwrap();
        let mut nok = NokRules::default();
        rules
            .unwrap_or_default()
            .iter()
            .for_each(|rule| nok.insert(*rule));
        let outcome = rules.map(|_| Outcome::nok_if(!nok.is_empty()));
        let fused = fusion.decide(nok_prob, 0.5, outcome).unwrap();
        Defects::new(names)
            .of(&fused, nok)
            .map(|text| text.to_string())
    }

    #[test]
    fn whoever_said_nok_is_named_in_the_words_of_the_plant() {
        use Rule::{Expulsion, Interruption, ShortPulse};
        let own = DefectNames::default();
        let plants = names(&[
            ("ml", "小焊核"),
            ("expulsion", "飞溅"),
            ("override", "高置信度"),
        ])
        .unwrap();
        for (nok_prob, rules, ours, theirs) in [
            (Some(0.1), Some(&[][..]), None, None),
            (Some(0.1), Some(&[Expulsion]), None, None),
            (Some(0.7), Some(&[]), None, None),
            (
                Some(0.7),
                Some(&[Expulsion]),
                Some("ml,expulsion"),
                Some("小焊核,飞溅"),
            ),
            (
                Some(0.7),
                Some(&[ShortPulse, Expulsion, ShortPulse]),
                Some("ml,expulsion,short_pulse"),
                Some("小焊核,飞溅,short_pulse"),
            ),
            (Some(0.95), Some(&[]), Some("override"), Some("高置信度")),
            (
                Some(0.95),
                Some(&[Expulsion]),
                Some("ml,expulsion"),
                Some("小焊核,飞溅"),
            ),
            (Some(0.7), None, Some("ml"), Some("小焊核")),
            (Some(0.1), None, None, None),
            (
                None,
                Some(&[Interruption]),
                Some("interruption"),
                Some("interruption"),
            ),
            (None, Some(&[]), None, None),
        ] {
            assert_eq!(
                defect(&own, nok_prob, rules).as_deref(),
                ours,
                "{nok_prob:?} {rules:?}"
            );
            assert_eq!(
                defect(&plants, nok_prob, rules).as_deref(),
                theirs,
                "{nok_prob:?} {rules:?}"
            );
        }
    }

    #[test]
    fn a_name_that_two_have_is_told_once_and_every_name_together_fits_the_column() {
        let one = names(&[("ml", "飞溅"), ("expulsion", "飞溅")]).unwrap();
        assert_eq!(
            defect(&one, Some(0.7), Some(&[Rule::Expulsion])).as_deref(),
            Some("飞溅")
        );
        let given: Vec<(String, String)> = DefectNames::known()
            .zip('a'..)
            .map(|(name, letter)| (name.to_owned(), letter.to_string().repeat(LONGEST)))
            .collect();
        let given: Vec<(&str, &str)> = given
            .iter()
            .map(|(name, words)| (&**name, &**words))
            .collect();
        let longest = defect(&names(&given).unwrap(), Some(0.7), Some(&Rule::ALL)).unwrap();
        assert!(longest.chars().count() <= 255, "{longest}");
    }

    #[test]
    fn what_cannot_be_a_name_is_refused_and_named() {
        let refused = |given: &[(&str, &str)]| names(given).unwrap_err().to_string();
        assert_eq!(
            refused(&[("mll", "x")]),
            "unknown judge or rule `mll`, expected one of: ml, override, expulsion, interruption, resistance_peak, short_pulse, \
             low_energy, resistance_end_high"
        );
        for words in ["", " x", "a,b", "a\nb", &"x".repeat(LONGEST + 1)] {
            let text = refused(&[("ml", words)]);
            assert!(
                text.starts_with(&format!(
                    "`ml` is called `{words}`, expected 1 to 32 characters"
                )),
                "{text}"
            );
        }
    }
}
