//! What the rules say of a sample: how much each of them hits, and what of that is rather the settings' doing.

use std::collections::BTreeMap;

use weldfleet_weld::rules::{Hit, Rule, RuleSet};

/// A rule of `nok_on` that hits more than one weld in so many hits sound ones.
const ONE_IN: usize = 5;
/// Fewer welds say nothing of a rule or a part.
const FEWEST: usize = 3;
/// Parts that are named.
const NAMED: usize = 3;

/// Counts of welds.
#[derive(Debug, Default)]
pub struct RuleHits {
    welds: usize,
    /// With a hit of this rule; with one that makes them NOK.
    by_rule: BTreeMap<Rule, [usize; 2]>,
    /// Of this part; of them those of one pulse, where its rules allow for more.
    by_part: BTreeMap<String, [usize; 2]>,
}

impl RuleHits {
    /// `has_one_pulse`: and no gap in it.
    pub fn add(&mut self, rules: &RuleSet, part_no: &str, hits: &[Hit], has_one_pulse: bool) {
        let settings = rules.settings(part_no);
        self.welds += 1;
        for rule in Rule::ALL {
            let of_rule = || hits.iter().filter(|hit| hit.rule == rule);
            let is_nok = |hit: &Hit| settings.nok_on.iter().any(|on| on.covers(hit));
            if of_rule().next().is_some() {
                let counts = self.by_rule.entry(rule).or_default();
                counts[0] += 1;
                counts[1] += usize::from(of_rule().any(is_nok));
            }
        }
        let counts = self.by_part.entry(part_no.to_owned()).or_default();
        counts[0] += 1;
        counts[1] += usize::from(has_one_pulse && settings.pulses.max_pulses > 1);
    }

    /// Welds with a hit of each rule, most first.
    pub fn counts(&self) -> Vec<(Rule, usize)> {
        let counts = self.by_rule.iter();
        let mut counts: Vec<_> = counts.map(|(rule, counts)| (*rule, counts[0])).collect();
        counts.sort_by_key(|(_, welds)| usize::MAX - welds);
        counts
    }

    /// `None` where no weld has a hit.
    pub fn in_words(&self) -> Option<String> {
        let counts = self.counts();
        let (first, rest) = counts.split_first()?;
        let mut text = format!("rule hits: {} in {} of {}", first.0, first.1, self.welds);
        for (rule, welds) in rest {
            text.push_str(&format!(", {rule} in {welds}"));
        }
        Some(text)
    }

    pub fn warnings(&self) -> Vec<String> {
        let much = |nok: usize| nok >= FEWEST && nok * ONE_IN > self.welds;
        let by_rule = self.by_rule.iter().filter(|(_, [_, nok])| much(*nok));
        let by_rule = by_rule.map(|(rule, [_, nok])| {
            let keys = match rule {
                Rule::Interruption | Rule::ShortPulse => {
                    "[pulses], which says what a pause of the weld program is (max_pulses, prepulse_ms, main_ms, pause_ms)"
                        .to_owned()
                }
                rule => format!("[{rule}]"),
            };
            format!(
                "{rule} makes {nok} of {} welds NOK by nok_on, and hardly so many are bad: look at {keys}, or take it out of nok_on",
                self.welds
            )
        });
        by_rule.chain(self.of_one_pulse()).collect()
    }

    /// Nearly all welds of a part, and not most of them: a part may have spots of either kind.
    fn of_one_pulse(&self) -> Option<String> {
        let parts = self.by_part.iter();
        let parts: Vec<String> = parts
            .filter(|(_, [welds, of_one])| *welds >= FEWEST && of_one * 10 >= welds * 9)
            .map(|(part, [welds, of_one])| format!("{part:?} ({of_one} of {welds} welds)"))
            .collect();
        if parts.is_empty() {
            return None;
        }
        let mut named = parts[..parts.len().min(NAMED)].join(", ");
        if parts.len() > NAMED {
            named.push_str(&format!(" and {} more", parts.len() - NAMED));
        }
        Some(format!(
            "one pulse and no pause in welds of part_no {named}, while pulses.max_pulses allows for more: an interruption after as \
             long as a prepulse (prepulse_ms) would be taken for the pause behind one; set max_pulses = 1 for parts without \
             a prepulse"
        ))
    }
}

#[cfg(test)]
mod tests {
    use weldfleet_weld::rules::{Level, RulesFile};

    use super::*;

    fn hit(rule: Rule, level: Level) -> Hit {
        Hit {
            rule,
            level,
            t_ms: 100.0,
            value: 20.0,
            limit: 3.0,
        }
    }

    /// Of welds given as (how many, part, hits, whether one pulse).
    fn seen(rules: &str, welds: &[(usize, &str, &[Hit], bool)]) -> RuleHits {
        let rules = RuleSet::new(&RulesFile::from_toml(rules).unwrap(), 1.0);
        let mut seen = RuleHits::default();
        for (count, part, hits, has_one_pulse) in welds {
            for _ in 0..*count {
                seen.add(&rules, part, hits, *has_one_pulse);
            }
        }
        seen
    }

    #[test]
    fn a_rule_that_calls_too_much_nok_is_named_with_its_keys() {
        let interruption = [hit(Rule::Interruption, Level::Flag)];
        let expulsion = |level| {
            [
                hit(Rule::Interruption, Level::Flag),
                hit(Rule::Expulsion, level),
            ]
        };
        let all = seen(
            "",
            &[
                (98, "A", &interruption, false),
                (2, "A", &expulsion(Level::Flag), false),
            ],
        );
        let told = all.in_words();
        let said = "rule hits: interruption in 100 of 100, expulsion in 2";
        assert_eq!(told.as_deref(), Some(said));
        let warnings = all.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("interruption makes 100 of 100 welds NOK")
                && warnings[0].contains("look at [pulses]"),
            "{warnings:?}"
        );
        // What nok_on does not name, or not at this level, may hit everything; and a fifth is not more than a fifth.
        let peak = [
            hit(Rule::ResistancePeak, Level::Flag),
            hit(Rule::Expulsion, Level::Warn),
        ];
        let flag = [hit(Rule::Expulsion, Level::Flag)];
        assert!(seen("", &[(100, "A", &peak, false)]).warnings().is_empty());
        let fifth = seen("", &[(80, "A", &[], false), (20, "A", &flag, false)]);
        assert!(fifth.warnings().is_empty());
        let more = seen("", &[(79, "A", &[], false), (21, "A", &flag, false)]).warnings();
        assert!(more[0].contains("look at [expulsion]"), "{more:?}");
        let one = seen("", &[(1, "A", &flag, false)]);
        assert!(one.warnings().is_empty());
        assert_eq!(seen("", &[(5, "A", &[], false)]).in_words(), None);
    }

    #[test]
    fn parts_whose_welds_have_one_pulse_are_named() {
        let single = "[parts.SINGLE.pulses]\nmax_pulses = 1\n";
        let warnings = seen(
            single,
            &[
                (9, "A", &[], true),
                (1, "A", &[], false),
                (40, "SINGLE", &[], true),
                (8, "MIXED", &[], true),
                (2, "MIXED", &[], false),
                (2, "FEW", &[], true),
            ],
        )
        .warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with(
                "one pulse and no pause in welds of part_no \"A\" (9 of 10 welds), while"
            ) && warnings[0].contains("set max_pulses = 1"),
            "{warnings:?}"
        );
        let many: Vec<String> = (0..5).map(|part| format!("P{part}")).collect();
        let many: Vec<(usize, &str, &[Hit], bool)> = many
            .iter()
            .map(|part| (3, part.as_str(), &[][..], true))
            .collect();
        let warnings = seen("", &many).warnings();
        assert!(
            warnings[0].contains("\"P2\" (3 of 3 welds) and 2 more, while"),
            "{warnings:?}"
        );
    }
}
