//! One weld: its curves, its verdict, and what people said of it.

use askama::{Error, Template};
use weldfleet_stores::{clickhouse::AttemptLine, mysql::Review};
use weldfleet_weld::rules::{Hit, Level, Rule};

use super::{
    frame::{Frame, View},
    nok::word,
    table::{Columns, For, Table},
    verdict::{Judges, otherwise, value, why},
};
use crate::{
    actions::reviews::RESULTS,
    console::{
        limits::{self, Limit},
        page_request::PageRequest,
        problem::Problem,
        reviews::{self, LONGEST_NOTE, ReviewSnapshot},
        svg,
        weld_query::WeldQuery,
        welds::{NoReview, OneWeld, Unjudged},
        words::{MEASURES, Text},
    },
};

/// Keys of [`RESULTS`].
const KEYS: [&str; 3] = ["c", "f", "u"];

#[derive(Template)]
#[template(path = "weld.html")]
struct WeldPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    /// Whether there is such a weld.
    is_there: bool,
    heading: Vec<(&'a str, &'a str)>,
    svg: Option<String>,
    notes: Vec<String>,
    why: Option<String>,
    limits: Table,
    hits: Table,
    verdict: Table,
    attempts: Option<Table>,
    attempts_link: String,
    hits_export: String,
    attempts_export: String,
    list_link: String,
    next_link: String,
    /// What people said; `None`: there is nowhere to say it.
    review: Option<ReviewBox>,
}

struct ReviewBox {
    action: String,
    /// What was said, in words; empty: nothing.
    said: String,
    /// That it was said of a verdict before this one.
    of_another: Option<String>,
    was: String,
    /// What somebody has typed already; `None` where a note cannot be kept.
    note: Option<String>,
    /// Value, word and key of what can be said; none of a weld that is not NOK.
    choices: Vec<(&'static str, &'static str, &'static str)>,
    longest: usize,
}

/// One weld; `found`: it, or why it cannot be shown; `kept`: what MySQL has of one that ClickHouse does not have.
pub fn page(
    query: &WeldQuery,
    found: &Result<Option<OneWeld>, Problem>,
    kept: &Result<Option<Review>, Problem>,
    judges: Judges<'_>,
    seen_ms: i64,
    request: &PageRequest,
) -> Result<String, Error> {
    let text = request.text;
    let mut page = WeldPage {
        t: text,
        frame: Frame::at(View::Weld, seen_ms, request),
        is_there: false,
        heading: Vec::new(),
        svg: None,
        notes: Vec::new(),
        why: None,
        limits: Table::default(),
        hits: Table::default(),
        verdict: Table::default(),
        attempts: None,
        attempts_link: String::new(),
        hits_export: String::new(),
        attempts_export: String::new(),
        list_link: query.filter_only().link("/ui/nok", text.lang),
        next_link: query.link("/ui/next", text.lang),
        review: None,
    };
    match found {
        Ok(Some(weld)) => page.fill(query, weld, judges, request),
        Ok(None) => page.notes.extend(match kept {
            Ok(Some(review)) => vec![in_mysql_alone(review, request)],
            Ok(None) => vec![text.no_weld.to_owned()],
            Err(why) => vec![text.no_weld.to_owned(), why.text(text.lang)],
        }),
        Err(why) => page.notes.push(why.text(text.lang)),
    }
    page.render()
}

impl<'a> WeldPage<'a> {
    fn fill(
        &mut self,
        query: &WeldQuery,
        weld: &'a OneWeld,
        judges: Judges<'_>,
        request: &PageRequest,
    ) {
        let text = request.text;
        // The address may have had the id alone.
        let here = WeldQuery {
            ticks: weld.key.ticks.to_string(),
            time: weld.key.time.clone(),
            note: String::new(),
            ..query.clone()
        };
        self.next_link = here.link("/ui/next", text.lang);
        self.hits_export = here.link("/ui/hits.csv", text.lang);
        self.attempts_export = here.link("/ui/attempts.csv", text.lang);
        self.attempts_link = WeldQuery {
            attempts: "1".to_owned(),
            ..here.clone()
        }
        .link("/ui/weld", text.lang);
        self.is_there = true;
        let heading = weld.heading.iter();
        self.heading = heading
            .map(|(column, value)| (word(column, text), value.as_str()))
            .collect();
        match &weld.seen {
            Ok(explanation) => {
                self.svg = Some(svg::curves(explanation, &weld.limits, text));
                self.limits = limits_table(&weld.limits, text);
                self.hits = hits(&explanation.hits, &weld.limits, For::People, text);
            }
            Err(Unjudged { why, recorded }) => {
                let recorded = recorded.as_deref();
                self.svg = recorded.map(|recorded| svg::curves(recorded, &[], text));
                let what = recorded.map_or(text.not_drawn, |_| text.as_recorded);
                self.notes.push(format!("{what}{}{why}", text.colon));
            }
        }
        self.why = why(&weld.stored, judges, text);
        let now = weld.seen.as_ref().ok().and_then(|seen| seen.rule_result);
        self.notes
            .extend(otherwise(&weld.stored, now, judges, text));
        self.verdict = verdict_table(&weld.stored, judges, request);
        self.attempts = weld
            .attempts
            .as_ref()
            .map(|attempts| attempts_table(attempts, For::People, request));
        match review_box(query, &here, weld, request) {
            Ok(review) => self.review = review,
            Err(why) => self.notes.push(why.text(text)),
        }
    }
}

/// What was said of a weld and what can be said; `None` of one that is no matter of review: an OK one of which nobody
/// said anything.
fn review_box<'w>(
    query: &WeldQuery,
    here: &WeldQuery,
    weld: &'w OneWeld,
    request: &PageRequest,
) -> Result<Option<ReviewBox>, &'w NoReview> {
    let text = request.text;
    let is_nok = value(&weld.stored, "final_result") == "NOK";
    let review = match &weld.review {
        Ok(review) if is_nok || !review.is_none() => review,
        Ok(_) => return Ok(None),
        Err(NoReview::NoRow) if !is_nok => return Ok(None),
        Err(why) => return Err(why),
    };
    let judged = value(&weld.stored, "alg_complete_time");
    let of_another = review.is_of_another_verdict(judged).then(|| {
        let judged = request.time_of(judged);
        text.of_another_verdict.replace("{judged}", &judged)
    });
    let choices = RESULTS.into_iter().zip(KEYS);
    Ok(Some(ReviewBox {
        action: here.link("/ui/review", text.lang),
        said: reviews::in_words(review, request),
        of_another,
        was: ReviewSnapshot::from(review).text(),
        note: weld.takes_notes.then(|| query.note.clone()),
        choices: choices
            .filter(|_| is_nok)
            .zip(text.review_buttons)
            .map(|((result, key), word)| (result, word, key))
            .collect(),
        longest: LONGEST_NOTE,
    }))
}

/// Of a weld that is in MySQL and not in ClickHouse.
fn in_mysql_alone(review: &Review, request: &PageRequest) -> String {
    let text = request.text;
    let said = match reviews::in_words(review, request) {
        said if said.is_empty() => text.not_reviewed.to_owned(),
        said => format!("{}{}{said}", text.reviewed_as, text.colon),
    };
    format!("{}{}{said}", text.in_mysql_alone, text.blank)
}

fn verdict_table(
    stored: &[(&'static str, String)],
    judges: Judges<'_>,
    request: &PageRequest,
) -> Table {
    let text = request.text;
    let [column, what] = text.verdict_columns;
    let measure = |name: &str| MEASURES.iter().position(|known| *known == name);
    Columns::<(&str, String)>::new()
        .ours(column, |(name, _)| match measure(name) {
            Some(place) => text.measures[place].to_owned(),
            None => (*name).to_owned(),
        })
        .ours(what, |(name, value)| match *name {
            "alg_complete_time" => request.time_of(value),
            "defect" => text.defect_word(value, &judges.settings.fusion.defect_names),
            "decided_by" => text.decided_word(value).to_owned(),
            name if measure(name).is_some() => significant(value),
            _ => value.clone(),
        })
        .table(stored.iter().filter(|(_, value)| !value.is_empty()))
}

/// A number with four significant digits at most; what is none stays as it is.
fn significant(value: &str) -> String {
    let number = value
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite());
    let rounded = number.and_then(|number| format!("{number:.3e}").parse::<f64>().ok());
    rounded.map_or_else(|| value.to_owned(), |rounded| rounded.to_string())
}

fn limits_table(limits: &[Limit], text: &Text) -> Table {
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
pub fn hits_table(weld: &OneWeld, text: &Text) -> Result<Table, Problem> {
    let seen = weld.seen.as_ref();
    let seen = seen.map_err(|unjudged| Problem::NotDrawn(unjudged.why.clone()))?;
    Ok(hits(&seen.hits, &weld.limits, For::Spreadsheet, text))
}

fn hits(hits: &[Hit], limits: &[Limit], whom: For, text: &Text) -> Table {
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

pub fn attempts_table(attempts: &[AttemptLine], whom: For, request: &PageRequest) -> Table {
    let text = request.text;
    Columns::<AttemptLine>::new()
        .ours(text.token, |attempt| attempt.token.to_string())
        .ours(text.time, |attempt| request.time(attempt.at_ms))
        .ours(text.run, |attempt| match attempt.run {
            0 => text.live.to_owned(),
            run => run.to_string(),
        })
        .ours(text.status, |attempt| attempt.status.clone())
        .ours(text.final_result, |attempt| attempt.final_result.clone())
        .ours(text.probability, |attempt| {
            whom.probability(attempt.probability)
        })
        .ours(text.rules, |attempt| attempt.rule_result.clone())
        .theirs(text.model, |attempt| attempt.model_version.clone())
        .table(attempts)
}

#[cfg(test)]
mod tests {
    use weldfleet_settings::{Settings, Zone};
    use weldfleet_stores::{
        Day,
        clickhouse::{BODY, LINE},
        mysql::WeldKey,
    };

    use super::*;
    use crate::{
        console::{
            views::nok,
            visitor::Visitor,
            words::{CHINESE, ENGLISH},
        },
        users::Role,
    };

    fn reviewers(text: &'static Text) -> PageRequest {
        PageRequest {
            text,
            visitor: Some(Visitor {
                name: Some("li".to_owned()),
                role: Role::Reviewer,
                token: String::new(),
                by_proxy: false,
            }),
            flash: None,
            undo: None,
            zone: Zone::default(),
            rest: String::new(),
        }
    }

    fn one(last: &str, review: Review) -> OneWeld {
        OneWeld {
            key: WeldKey {
                day: Day::new(20_261_129).unwrap(),
                ticks: 7,
                time: "2026-11-29 12:00:00".to_owned(),
                record_id: "7".to_owned(),
            },
            stored: vec![
                ("alg_complete_time", "2026-11-29 04:00:05.250".to_owned()),
                ("final_result", last.to_owned()),
            ],
            heading: [
                ("record_id", "7"),
                (BODY, "B-7"),
                (LINE, "L1"),
                ("区域", "Z"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            seen: Err(Unjudged {
                why: "no rules".to_owned(),
                recorded: None,
            }),
            limits: Vec::new(),
            review: Ok(review),
            takes_notes: true,
            attempts: None,
        }
    }

    fn page(
        found: Result<Option<OneWeld>, Problem>,
        kept: Result<Option<Review>, Problem>,
        text: &'static Text,
    ) -> String {
        let settings = Settings::default();
        let judges = Judges {
            settings: &settings,
            workers: None,
        };
        let query = WeldQuery::of_day("20261129");
        super::page(&query, &found, &kept, judges, 0, &reviewers(text)).unwrap()
    }

    fn confirmed(at: &str) -> Review {
        Review {
            result: "confirmed".to_owned(),
            at: at.to_owned(),
            ..Review::default()
        }
    }

    const BUTTON: &str = "name=\"result\"";

    #[test]
    fn a_review_of_another_verdict_says_so_and_only_a_nok_weld_is_reviewed() {
        let show = |last, review| page(Ok(Some(one(last, review))), Ok(None), &ENGLISH);
        let html = show("NOK", confirmed("2026-11-29 05:00:00"));
        assert!(
            html.contains(BUTTON) && !html.contains("before the verdict"),
            "{html}"
        );
        let html = show("NOK", confirmed("2026-11-29 03:00:00"));
        assert!(
            html.contains(BUTTON)
                && html.contains("before the verdict that is stored now")
                && html.contains("2026-11-29 12:00:05 Asia/Shanghai"),
            "{html}"
        );
        let html = show("OK", confirmed("2026-11-29 03:00:00"));
        assert!(
            !html.contains(BUTTON)
                && html.contains("before the verdict")
                && html.contains("confirmed"),
            "{html}"
        );
        let html = show("OK", Review::default());
        assert!(
            !html.contains(BUTTON) && !html.contains("Nobody has reviewed"),
            "{html}"
        );
    }

    #[test]
    fn a_note_is_asked_for_where_it_can_be_kept() {
        let show = |takes_notes| {
            let weld = OneWeld {
                takes_notes,
                ..one("NOK", Review::default())
            };
            page(Ok(Some(weld)), Ok(None), &ENGLISH)
        };
        let with = show(true);
        assert!(
            with.contains("<textarea") && with.contains("n the note"),
            "{with}"
        );
        let without = show(false);
        assert!(
            without.contains(BUTTON)
                && !without.contains("<textarea")
                && !without.contains("n the note"),
            "{without}"
        );
    }

    #[test]
    fn a_weld_is_named_by_its_carried_columns_too() {
        let html = page(Ok(Some(one("NOK", Review::default()))), Ok(None), &ENGLISH);
        for told in [
            "<dt>body</dt><dd>B-7</dd>",
            "<dt>line</dt><dd>L1</dd>",
            "<dt>区域</dt><dd>Z</dd>",
        ] {
            assert!(html.contains(told), "{told}: {html}");
        }
    }

    #[test]
    fn what_clickhouse_has_no_more_is_told_from_mysql_and_what_is_not_known_is_not_empty() {
        for text in [&ENGLISH, &CHINESE] {
            let none = page(Ok(None), Ok(None), text);
            assert!(none.contains(text.no_weld), "{none}");
            let kept = page(Ok(None), Ok(Some(confirmed("2026-11-29 03:00:00"))), text);
            assert!(
                kept.contains(text.in_mysql_alone)
                    && kept.contains(text.review_results[0])
                    && kept.contains("2026-11-29 11:00:00 Asia/Shanghai"),
                "{kept}"
            );
            let unread = page(Err(Problem::Busy), Ok(None), text);
            let list = nok::page(
                &WeldQuery::of_day("20261129"),
                "",
                &Err(Problem::Busy),
                &Settings::default(),
                0,
                &reviewers(text),
            );
            for html in [none, kept, unread, list.unwrap()] {
                assert!(!html.contains(text.nothing), "{html}");
                assert!(!html.contains(text.attempts), "{html}");
            }
        }
    }

    #[test]
    fn what_is_stored_is_told_with_names_units_and_few_digits() {
        let weld = || OneWeld {
            stored: vec![
                ("decided_by", "soft_and".to_owned()),
                ("defect", "ml,expulsion".to_owned()),
                ("diameter", "4.85294117".to_owned()),
                ("indentation", "nan".to_owned()),
                ("stack_thickness", "2".to_owned()),
            ],
            ..one("NOK", Review::default())
        };
        for (text, told) in [
            (
                &ENGLISH,
                [
                    "<td>decided_by</td><td>soft_and</td>",
                    "<td>defect</td><td>ml,expulsion</td>",
                    "<td>nugget diameter, mm</td><td>4.853</td>",
                    "<td>indentation, mm</td><td>nan</td>",
                    "<td>stack left, mm</td><td>2</td>",
                ],
            ),
            (
                &CHINESE,
                [
                    "<td>decided_by</td><td>模型+规则</td>",
                    "<td>defect</td><td>模型（ml）、飞溅（expulsion）</td>",
                    "<td>焊核直径，mm</td><td>4.853</td>",
                    "<td>压痕深度，mm</td><td>nan</td>",
                    "<td>总剩余厚度，mm</td><td>2</td>",
                ],
            ),
        ] {
            let html = page(Ok(Some(weld())), Ok(None), text);
            for told in told {
                assert!(html.contains(told), "{told}: {html}");
            }
        }
    }

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
            let rows = hits(&all, &[], whom, &ENGLISH).rows.into_iter();
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
            let rows = hits(&all, &limits, whom, text).rows.into_iter();
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
        let first = |whom| hits(&all, &limits, whom, &CHINESE).rows[2][0].clone();
        assert_eq!(first(For::People), "脉冲过短（short_pulse）");
        assert_eq!(first(For::Spreadsheet), "short_pulse");
    }
}
