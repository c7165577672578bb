//! What the rules see of a weld: their hits, and how far it is from those that make them say NOK.

use weldfleet_weld::rules::{Hit, Level, Rule};

use super::table::{Columns, For, Table};
use crate::console::{
    limits::{self, Limit},
    problem::Problem,
    welds::OneWeld,
    words::Text,
};

pub fn limits_table(limits: &[Limit], text: &Text) -> Table {
    let [rule, flag, at, worst, most, room] = text.limit_columns;
    let people = For::People;
    Columns::<Limit>::new()
        .ours(rule, |limit| text.rule_word(limit.rule))
        .ours(flag, |limit| level(limit.level, people, text))
        .ours(at, |limit| match limit.worst {
            Some((_, t_ms)) => format!("{t_ms:.0}"),
            None => people.nothing(),
        })
        .ours(worst, |limit| match limit.worst {
            Some((value, _)) => measured(limit.rule, value, people),
            None => people.nothing(),
        })
        .ours(most, |limit| measured(limit.rule, limit.limit, people))
        .ours(room, |limit| match limit.room() {
            Some(room) => format!("{:+.0} %", room * 100.0),
            None => people.nothing(),
        })
        .table(limits)
}

/// The hits for a spreadsheet.
pub fn exported(weld: &OneWeld, text: &Text) -> Result<Table, Problem> {
    let seen = weld.seen.as_ref();
    let seen = seen.map_err(|unjudged| Problem::NotDrawn(unjudged.why.clone()))?;
    Ok(table(&seen.hits, &weld.limits, For::Spreadsheet, text))
}

pub fn table(hits: &[Hit], limits: &[Limit], whom: For, text: &Text) -> Table {
    let [rule, flag, at, value, limit, far, counts] = text.hit_columns;
    let count = |hit: &Hit| limits.iter().any(|limit| limit.covers(hit));
    Columns::<Hit>::new()
        .ours(rule, |hit| match whom {
            For::People => text.rule_word(hit.rule),
            For::Spreadsheet => hit.rule.as_str().to_owned(),
        })
        .ours(flag, |hit| level(hit.level, whom, text))
        .ours(at, |hit| format!("{:.0}", hit.t_ms))
        .ours(value, |hit| measured(hit.rule, hit.value, whom))
        .ours(limit, |hit| measured(hit.rule, hit.limit, whom))
        .ours(far, |hit| beyond(hit, whom))
        .ours(counts, |hit| {
            if count(hit) { text.yes } else { text.no }.to_owned()
        })
        .table(hits)
}

/// How far the value is beyond its limit, as a share of it.
fn beyond(hit: &Hit, whom: For) -> String {
    let share = limits::room(hit.rule, hit.value, hit.limit).map(|room| 0.0 - room);
    match (whom, share) {
        (_, None) => whom.nothing(),
        (For::People, Some(share)) => format!("{:+.0} %", share * 100.0),
        (For::Spreadsheet, Some(share)) => format!("{share:.4}"),
    }
}

/// A value of a rule, for people with its unit.
fn measured(rule: Rule, value: f64, whom: For) -> String {
    match (whom, limits::unit(rule)) {
        (For::Spreadsheet, _) | (_, "") => value.to_string(),
        (For::People, unit) => format!("{value} {unit}"),
    }
}

/// For a spreadsheet as `rule_hits` has it.
fn level(level: Level, whom: For, text: &Text) -> String {
    let word = match (level, whom) {
        (Level::Flag, For::People) => text.flag,
        (Level::Warn, For::People) => text.warn,
        (Level::Flag, For::Spreadsheet) => "flag",
        (Level::Warn, For::Spreadsheet) => "warn",
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::words::{CHINESE, ENGLISH};

    #[test]
    fn how_far_a_hit_is_beyond_its_limit_is_above_zero_whatever_the_rule() {
        let hit = |rule, value, limit| Hit {
            rule,
            level: Level::Flag,
            t_ms: 7.0,
            value,
            limit,
        };
        let all = [
            hit(Rule::ShortPulse, 144.0, 200.0),
            hit(Rule::Expulsion, 0.144, 0.1),
            hit(Rule::LowEnergy, 1500.0, 1500.0),
        ];
        let told = |whom| {
            let rows = table(&all, &[], whom, &ENGLISH).rows.into_iter();
            rows.map(|row| row[3..6].join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(
            told(For::People),
            [
                "144 ms 200 ms +28 %",
                "0.144 0.1 +44 %",
                "1500 J 1500 J +0 %"
            ]
        );
        assert_eq!(
            told(For::Spreadsheet),
            ["144 200 0.2800", "0.144 0.1 0.4400", "1500 1500 0.0000"]
        );
    }

    #[test]
    fn a_level_is_no_verdict_and_what_counts_for_it_is_marked() {
        let hit = |rule, level| Hit {
            rule,
            level,
            t_ms: 7.0,
            value: 0.144,
            limit: 0.1,
        };
        let all = [
            hit(Rule::Expulsion, Level::Flag),
            hit(Rule::Expulsion, Level::Warn),
            hit(Rule::ShortPulse, Level::Flag),
        ];
        // `nok_on = ["expulsion:flag"]`
        let limits = [Limit {
            rule: Rule::Expulsion,
            level: Level::Flag,
            limit: 0.1,
            worst: None,
        }];
        let told = |whom, text| {
            let rows = table(&all, &limits, whom, text).rows.into_iter();
            rows.map(|row| format!("{}: {}", row[1], row[6]))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            told(For::People, &ENGLISH),
            ["flag: yes", "warning: no", "flag: no"]
        );
        assert_eq!(
            told(For::People, &CHINESE),
            ["缺陷级: 是", "警告: 否", "缺陷级: 否"]
        );
        assert_eq!(
            told(For::Spreadsheet, &CHINESE),
            ["flag: 是", "warn: 否", "flag: 否"]
        );
        let row = &limits_table(&limits, &CHINESE).rows[0];
        assert_eq!(row[..2], ["飞溅（expulsion）", "缺陷级"]);
        let first = |whom| table(&all, &limits, whom, &CHINESE).rows[2][0].clone();
        assert_eq!(first(For::People), "脉冲过短（short_pulse）");
        assert_eq!(first(For::Spreadsheet), "short_pulse");
    }
}
