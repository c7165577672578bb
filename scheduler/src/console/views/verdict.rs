//! Why a weld was judged so, in words, and what would be judged otherwise now.

use weldfleet_queue::WorkerEntry;
use weldfleet_settings::Settings;
use weldfleet_weld::{Outcome, verdict::probability_beside};

use super::table::For;
use crate::console::words::Text;

/// Who judges, as far as the console knows.
#[derive(Clone, Copy)]
pub struct Judges<'a> {
    pub settings: &'a Settings,
    pub workers: Option<&'a [WorkerEntry]>,
}

impl Judges<'_> {
    /// The probability from which a model says NOK: as it is set, else as the workers that have this version tell it.
    fn threshold(&self, model_version: &str) -> Option<String> {
        if let Some(set) = self.settings.model.nok_threshold {
            return Some(set.to_string());
        }
        let mut workers = self.workers.unwrap_or_default().iter();
        let told = |worker: &WorkerEntry| worker.fields.get("model_version").cloned();
        let same = workers.find(|worker| told(worker).as_deref() == Some(model_version))?;
        let threshold = same.fields.get("nok_threshold").cloned();
        threshold.filter(|text| !text.is_empty())
    }
}

pub fn value<'s>(stored: &'s [(&'static str, String)], name: &str) -> &'s str {
    let mut stored = stored.iter();
    stored
        .find(|(known, _)| *known == name)
        .map_or("", |(_, value)| value)
}

/// Why the fusion decided so, in a sentence; `None` while there is no verdict.
pub fn why(stored: &[(&'static str, String)], judges: Judges<'_>, text: &Text) -> Option<String> {
    let of = |name| value(stored, name);
    let sentence = match (of("decided_by"), of("final_result")) {
        ("soft_and", "NOK") => text.why_both,
        ("soft_and", _) => text.why_not_both,
        ("override", _) => text.why_override,
        ("ml", _) => text.why_model,
        ("rule", _) => text.why_rules,
        _ => return None,
    };
    let threshold = judges.threshold(of("model_version"));
    let threshold = threshold.unwrap_or_else(|| text.models_own.to_owned());
    let overrules = judges.settings.fusion.override_threshold.to_string();
    let probability = of("ml_nok_prob").parse::<f64>().ok();
    let probability = probability.filter(|value| !value.is_nan()).map_or_else(
        || For::People.nothing(),
        |value| {
            let limits = [&threshold, &overrules].map(|text| text.parse().ok());
            probability_beside(value, limits.into_iter().flatten())
        },
    );
    let words = [
        ("{final}", of("final_result")),
        ("{model}", of("ml_result")),
        ("{rules}", of("rule_result")),
        ("{probability}", &probability),
        ("{threshold}", &threshold),
        ("{override}", &overrules),
    ];
    let filled = words
        .iter()
        .fold(sentence.to_owned(), |sentence, (name, word)| {
            sentence.replace(name, word)
        });
    Some(filled)
}

/// What today's rules and settings would have decided otherwise; `rules`: what the rules say now.
pub fn otherwise(
    stored: &[(&'static str, String)],
    rules: Option<Outcome>,
    judges: Judges<'_>,
    text: &Text,
) -> Vec<String> {
    let of = |name| value(stored, name);
    let mut notes = Vec::new();
    let (then, now) = (of("rule_result"), rules.map(Outcome::as_str));
    if let Some(now) = now.filter(|now| !then.is_empty() && *now != then) {
        let note = text.rules_otherwise.replace("{then}", then);
        notes.push(note.replace("{now}", now));
    }
    let Ok(probability) = of("ml_nok_prob").parse::<f32>() else {
        return notes;
    };
    let threshold = judges.threshold(of("model_version"));
    let threshold = threshold.and_then(|text| text.parse::<f32>().ok());
    if let Some(threshold) = threshold
        && (probability >= threshold) != (of("ml_result") == "NOK")
    {
        let note = text.threshold_otherwise.replace("{then}", of("ml_result"));
        notes.push(note.replace("{threshold}", &threshold.to_string()));
    }
    let overrules = judges.settings.fusion.override_threshold;
    let differs = match of("decided_by") {
        "override" => probability < overrules,
        "soft_and" => of("final_result") == "OK" && probability >= overrules,
        _ => false,
    };
    if differs {
        notes.push(
            text.override_otherwise
                .replace("{override}", &overrules.to_string()),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::words::{CHINESE, ENGLISH};

    #[test]
    fn why_the_fusion_decided_so() {
        let mut settings = Settings::default();
        settings.fusion.override_threshold = 0.97;
        let judges = Judges {
            settings: &settings,
            workers: None,
        };
        let stored = |decided: &str, last: &str, rules: &str| {
            vec![
                ("decided_by", decided.to_owned()),
                ("final_result", last.to_owned()),
                ("ml_result", "NOK".to_owned()),
                ("rule_result", rules.to_owned()),
                ("ml_nok_prob", "0.98125".to_owned()),
            ]
        };
        let all = [
            ("soft_and", "NOK", "NOK"),
            ("soft_and", "OK", "OK"),
            ("override", "NOK", "OK"),
            ("ml", "NOK", ""),
            ("rule", "NOK", "NOK"),
        ];
        for text in [&ENGLISH, &CHINESE] {
            for (decided, last, rules) in all {
                let said = why(&stored(decided, last, rules), judges, text).unwrap();
                assert!(!said.contains('{'), "{said}");
            }
            let said = why(&stored("override", "NOK", "OK"), judges, text).unwrap();
            assert!(said.contains("0.9812") && said.contains("0.97"), "{said}");
        }
        assert_eq!(why(&stored("", "", ""), judges, &ENGLISH), None);
        settings.fusion.override_threshold = 0.9999;
        let judges = Judges {
            settings: &settings,
            workers: None,
        };
        let mut near = stored("soft_and", "OK", "OK");
        near[4].1 = "0.99985456".to_owned();
        let said = why(&near, judges, &ENGLISH).unwrap();
        assert!(
            said.contains("(0.99985, ") && said.contains("of 0.9999."),
            "{said}"
        );
    }

    #[test]
    fn what_would_be_judged_otherwise_today_is_said() {
        let mut settings = Settings::default();
        settings.fusion.override_threshold = 0.97;
        settings.model.nok_threshold = Some(0.5);
        let told = |stored: &[(&'static str, &str)], rules| {
            let judges = Judges {
                settings: &settings,
                workers: None,
            };
            let stored: Vec<_> = stored
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect();
            let en = otherwise(&stored, rules, judges, &ENGLISH);
            assert_eq!(otherwise(&stored, rules, judges, &CHINESE).len(), en.len());
            assert!(!en.concat().contains('{'), "{en:?}");
            en.join(" ")
        };
        let both = [
            ("decided_by", "soft_and"),
            ("final_result", "NOK"),
            ("ml_result", "NOK"),
            ("rule_result", "NOK"),
            ("ml_nok_prob", "0.8"),
        ];
        assert_eq!(told(&both, Some(Outcome::Nok)), "");
        assert!(told(&both, Some(Outcome::Ok)).contains("rules say OK now, and said NOK"));
        let mut lower = both;
        lower[4].1 = "0.4";
        assert!(told(&lower, Some(Outcome::Nok)).contains("0.5"));
        let alone = [
            ("decided_by", "override"),
            ("ml_result", "NOK"),
            ("ml_nok_prob", "0.96"),
        ];
        assert!(told(&alone, None).contains("0.97"));
        assert_eq!(told(&[], Some(Outcome::Nok)), "");
    }
}
