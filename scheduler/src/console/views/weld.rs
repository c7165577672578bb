//! One weld: its curves, its verdict, and what people said of it.

use askama::{Error, Template};
use weldfleet_stores::{clickhouse::AttemptLine, mysql::Review};

use super::{
    frame::{Frame, View},
    hits,
    nok::word,
    review::{self, ReviewBox, in_mysql_alone},
    table::{Columns, For, Table},
    verdict::{Judges, otherwise, why},
};
use crate::console::{
    page_request::PageRequest,
    problem::Problem,
    svg,
    weld_query::WeldQuery,
    welds::{OneWeld, Unjudged},
    words::{MEASURES, Text},
};

#[derive(Template)]
#[template(path = "weld.html")]
struct WeldPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    list_link: String,
    next_link: String,
    notes: Vec<String>,
    /// `None`: the notes say why.
    weld: Option<Shown<'a>>,
}

/// What there is to see of a weld.
struct Shown<'a> {
    heading: Vec<(&'a str, &'a str)>,
    why: Option<String>,
    /// What people said; `None`: there is nowhere to say it.
    review: Option<ReviewBox>,
    svg: Option<String>,
    limits: Table,
    hits: Table,
    hits_export: String,
    verdict: Table,
    attempts: Option<Table>,
    attempts_link: String,
    attempts_export: String,
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
    let lang = request.text.lang;
    let (mut here, mut notes) = (query.clone(), Vec::new());
    let weld = match found {
        Ok(Some(weld)) => {
            // The address may have had the id alone.
            here.ticks = weld.key.ticks.to_string();
            here.time.clone_from(&weld.key.time);
            let note = std::mem::take(&mut here.note);
            Some(shown(weld, &here, note, judges, request, &mut notes))
        }
        Ok(None) => {
            let no_weld = || Problem::NoWeld.text(lang);
            notes.extend(match kept {
                Ok(Some(review)) => vec![in_mysql_alone(review, request)],
                Ok(None) => vec![no_weld()],
                Err(why) => vec![no_weld(), why.text(lang)],
            });
            None
        }
        Err(why) => {
            notes.push(why.text(lang));
            None
        }
    };
    let page = WeldPage {
        t: request.text,
        frame: Frame::at(View::Weld, seen_ms, request),
        list_link: query.filter_only().link("/ui/nok", lang),
        next_link: here.link("/ui/next", lang),
        notes,
        weld,
    };
    page.render()
}

/// The weld of the address `here`; `note`: what somebody has typed already.
fn shown<'a>(
    weld: &'a OneWeld,
    here: &WeldQuery,
    note: String,
    judges: Judges<'_>,
    request: &PageRequest,
    notes: &mut Vec<String>,
) -> Shown<'a> {
    let text = request.text;
    let (svg, limits, hits) = match &weld.seen {
        Ok(explanation) => (
            Some(svg::curves(explanation, &weld.limits, text)),
            hits::limits_table(&weld.limits, text),
            hits::table(&explanation.hits, &weld.limits, For::People, text),
        ),
        Err(Unjudged { why, recorded }) => {
            notes.push(match recorded {
                Some(_) => format!("{}{}{why}", text.as_recorded, text.colon),
                None => Problem::NotDrawn(why.clone()).text(text.lang),
            });
            let recorded = recorded.as_deref();
            let svg = recorded.map(|recorded| svg::curves(recorded, &[], text));
            (svg, Table::default(), Table::default())
        }
    };
    let now = weld.seen.as_ref().ok().and_then(|seen| seen.rule_result);
    notes.extend(otherwise(&weld.stored, now, judges, text));
    let review = review::of(weld, here, note, request).unwrap_or_else(|why| {
        notes.push(why.text(text.lang));
        None
    });
    let heading = weld.heading.iter();
    let with_attempts = WeldQuery {
        attempts: "1".to_owned(),
        ..here.clone()
    };
    Shown {
        heading: heading
            .map(|(column, value)| (word(column, text), value.as_str()))
            .collect(),
        why: why(&weld.stored, judges, text),
        review,
        svg,
        limits,
        hits,
        hits_export: here.link("/ui/hits.csv", text.lang),
        verdict: verdict_table(&weld.stored, judges, request),
        attempts: weld
            .attempts
            .as_ref()
            .map(|attempts| attempts_table(attempts, For::People, request)),
        attempts_link: with_attempts.link("/ui/weld", text.lang),
        attempts_export: here.link("/ui/attempts.csv", text.lang),
    }
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
            assert!(none.contains(&Problem::NoWeld.text(text.lang)), "{none}");
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
}
