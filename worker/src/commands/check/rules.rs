//! Entries of `nok_on` that no weld can ever meet.

use weldfleet_weld::rules::{NokOn, RuleSet, settings::RuleSettings};

/// A line for each of them, and one where none is left; of parts only what is not so for all.
pub fn without_effect(rules: &RuleSet) -> Vec<String> {
    // No part has a name that is empty.
    let all = rules.settings("");
    let mut lines = of_settings("", all);
    for part in rules.parts() {
        let own = rules.settings(&part);
        if (dead(own), own.nok_on.is_empty()) != (dead(all), all.nok_on.is_empty()) {
            lines.extend(of_settings(&format!("part_no {part:?}: "), own));
        }
    }
    lines
}

fn dead(settings: &RuleSettings) -> Vec<NokOn> {
    let entries = settings.nok_on.iter().copied();
    entries.filter(|on| !settings.may_hit(*on)).collect()
}

fn of_settings(place: &str, settings: &RuleSettings) -> Vec<String> {
    let dead = dead(settings);
    let mut lines: Vec<String> = dead
        .iter()
        .map(|on| {
            format!(
                "{place}nok_on names \"{on}\", which no weld can meet: {}.enabled is false, or its limits are 0; \
                 give it what it lacks, or take it out of nok_on",
                on.rule
            )
        })
        .collect();
    if dead.len() == settings.nok_on.len() {
        lines.push(format!(
            "{place}nothing in nok_on can make a weld NOK, so the rules call every weld OK, and a model's NOK counts from \
             fusion.override_threshold on only; name rules there, or switch the rules off (rules.enabled)"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use weldfleet_weld::rules::RulesFile;

    use super::*;

    fn said(rules: &str) -> Vec<String> {
        let file = RulesFile::from_toml(rules).unwrap();
        let cut = |line: String| line.split_once(',').unwrap().0.to_owned();
        let set = RuleSet::new(&file, 1.0);
        without_effect(&set).into_iter().map(cut).collect()
    }

    #[test]
    fn entries_without_effect_are_named_once_and_by_part_where_it_differs() {
        assert!(said("").is_empty());
        assert_eq!(
            said("[expulsion]\nenabled = false\n[parts.A.expulsion]\nenabled = true\n[parts.B]\n"),
            ["nok_on names \"expulsion:flag\""]
        );
        let nothing = "nothing in nok_on can make a weld NOK";
        assert_eq!(said("nok_on = []"), [nothing]);
        assert_eq!(
            said(
                "[parts.A]\nnok_on = [\"low_energy:flag\"]\n[parts.A.low_energy]\nflag_below_j = 0\n"
            ),
            [
                "part_no \"A\": nok_on names \"low_energy:flag\"".to_owned(),
                format!("part_no \"A\": {nothing}")
            ]
        );
        let warns = "nok_on = [\"low_energy\"]\n[low_energy]\nflag_below_j = 0\n";
        assert!(said(warns).is_empty());
    }
}
