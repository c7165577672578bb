//! The pages of welds: the list of those that are NOK, and one of them.

use askama::{Error, Template};
use weldfleet_queue::WorkerEntry;
use weldfleet_service::output::grouped;
use weldfleet_settings::Settings;
use weldfleet_stores::{clickhouse::AttemptLine, mysql::Review};
use weldfleet_weld::rules::{Hit, Level};

use super::{Frame, Table, View};
use crate::{
    actions::reviews::RESULTS,
    console::{
        asked::Asked,
        problem::Problem,
        reviews::{LONGEST_NOTE, Seen},
        svg,
        wanted::{OfReview, Wanted},
        welds::{Listed, NoReview, NokPage, OneWeld},
        words::Text,
    },
};

struct Field<'a> {
    label: &'static str,
    name: &'static str,
    value: &'a str,
    /// Value and word of what can be chosen; empty: it is typed.
    choices: Vec<(String, String)>,
}

struct ShareLine {
    link: String,
    name: String,
    welds: String,
    value: u64,
    most: u64,
}

struct WeldLine {
    link: String,
    id: String,
    cells: Vec<String>,
}

#[derive(Template)]
#[template(path = "nok.html")]
struct NokListPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    fields: Vec<Field<'a>>,
    notes: Vec<String>,
    pareto: Vec<ShareLine>,
    rows: Vec<WeldLine>,
    columns: Vec<&'static str>,
    export: String,
    next: Option<String>,
}

/// NOK welds of a day; `found`: they, or why they cannot be shown.
pub fn nok(
    wanted: &Wanted,
    found: &Result<NokPage, Problem>,
    settings: &Settings,
    seen_ms: i64,
    asked: &Asked,
) -> Result<String, Error> {
    let text = asked.text;
    let mut page = NokListPage {
        t: text,
        frame: Frame::at(View::Nok, seen_ms, asked),
        fields: fields(
            wanted,
            found.as_ref().is_ok_and(|page| page.has_bodies),
            settings,
            text,
        ),
        notes: Vec::new(),
        pareto: Vec::new(),
        rows: Vec::new(),
        columns: text.nok_columns.to_vec(),
        export: wanted.filter_only().link("/ui/nok.csv", text.lang),
        next: None,
    };
    match found {
        Err(why) => page.notes.push(text.problem(why)),
        Ok(found) => {
            let notes = found.stretch.notes.iter();
            page.notes.extend(notes.map(|why| text.problem(why)));
            let most = found.pareto.iter().map(|share| share.welds).max();
            page.pareto.extend(found.pareto.iter().map(|share| {
                ShareLine {
                    link: Wanted {
                        defect: share.text.clone(),
                        ..wanted.filter_only()
                    }
                    .link("/ui/nok", text.lang),
                    name: or_dash(&share.text),
                    welds: grouped(share.welds),
                    value: share.welds,
                    most: most.unwrap_or(1),
                }
            }));
            page.rows
                .extend(found.stretch.welds.iter().map(|listed| WeldLine {
                    link: wanted.at(&listed.weld).link("/ui/weld", text.lang),
                    id: listed.weld.record_id.clone(),
                    cells: cells(listed, text),
                }));
            if !found.has_bodies {
                leave_out(&mut page, BODY_COLUMN);
            }
            let last = found.stretch.welds.last().filter(|_| found.stretch.more);
            page.next = last.map(|last| wanted.at(&last.weld).link("/ui/nok", text.lang));
        }
    }
    page.render()
}

/// Place of the body among the columns.
const BODY_COLUMN: usize = 5;

fn leave_out(page: &mut NokListPage<'_>, column: usize) {
    page.columns.remove(column);
    for row in &mut page.rows {
        row.cells.remove(column - 1);
    }
}

fn or_dash(text: &str) -> String {
    match text {
        "" => "–".to_owned(),
        text => text.to_owned(),
    }
}

/// The filter as it can be set: what no table or setting knows is not offered.
fn fields<'a>(
    wanted: &'a Wanted,
    has_bodies: bool,
    settings: &Settings,
    text: &'static Text,
) -> Vec<Field<'a>> {
    let fields = Wanted::FIELDS
        .into_iter()
        .zip(text.filters)
        .zip(wanted.values());
    let fields = fields.map(|((name, label), value)| Field {
        label,
        name,
        value,
        choices: match name {
            "shift" => {
                let mut shifts: Vec<_> = settings.console.shifts.iter().collect();
                shifts.sort_by_key(|(_, begins)| **begins);
                let names = shifts
                    .into_iter()
                    .map(|(name, _)| (name.clone(), name.clone()));
                std::iter::once((String::new(), "–".to_owned()))
                    .chain(names)
                    .collect()
            }
            "review" => OfReview::NAMED
                .iter()
                .zip(text.of_reviews)
                .map(|((name, _), word)| ((*name).to_owned(), word.to_owned()))
                .collect(),
            _ => Vec::new(),
        },
    });
    fields
        .filter(|field| match field.name {
            "shift" => field.choices.len() > 1 || !field.value.is_empty(),
            "body" => has_bodies || !field.value.is_empty(),
            _ => true,
        })
        .collect()
}

/// As in the list, behind the id.
fn cells(listed: &Listed, text: &'static Text) -> Vec<String> {
    let (weld, review) = (&listed.weld, &listed.review);
    vec![
        weld.time.clone(),
        weld.part_no.clone(),
        weld.spot_name.clone(),
        weld.timer_name.clone(),
        weld.body_no.clone(),
        weld.defect.clone(),
        weld.decided_by.clone(),
        probability(weld.probability),
        weld.model_version.clone(),
        text.review_word(&review.result).to_owned(),
        review.by.clone(),
        review.note.clone(),
    ]
}

/// The list for a spreadsheet.
pub fn nok_table(welds: &[Listed], text: &'static Text) -> Table {
    let row = |listed: &Listed| {
        let mut row = vec![listed.weld.record_id.clone()];
        row.extend(cells(listed, text));
        row
    };
    Table {
        head: text.nok_columns.to_vec(),
        rows: welds.iter().map(row).collect(),
    }
}

fn probability(value: f64) -> String {
    if value.is_nan() {
        "–".to_owned()
    } else {
        format!("{value:.4}")
    }
}

#[derive(Template)]
#[template(path = "weld.html")]
struct WeldPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    heading: &'a [(&'static str, String)],
    svg: Option<String>,
    notes: Vec<String>,
    why: Option<String>,
    hits: Table,
    verdict: Table,
    attempts: Option<Table>,
    attempts_link: String,
    list_link: String,
    next_link: String,
    /// What people said; `None`: there is nowhere to say it.
    review: Option<ReviewBox>,
}

struct ReviewBox {
    action: String,
    /// What was said, in words; empty: nothing.
    said: String,
    was: String,
    /// What somebody has typed already.
    note: String,
    /// Value, word and key of what can be said.
    choices: Vec<(&'static str, &'static str, &'static str)>,
    longest: usize,
}

/// Keys of [`RESULTS`].
const KEYS: [&str; 3] = ["c", "f", "u"];

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

/// One weld; `found`: it, or why it cannot be shown.
pub fn weld(
    wanted: &Wanted,
    found: &Result<Option<OneWeld>, Problem>,
    judges: Judges<'_>,
    seen_ms: i64,
    asked: &Asked,
) -> Result<String, Error> {
    let text = asked.text;
    let mut page = WeldPage {
        t: text,
        frame: Frame::at(View::Weld, seen_ms, asked),
        heading: &[],
        svg: None,
        notes: Vec::new(),
        why: None,
        hits: Table::default(),
        verdict: Table::default(),
        attempts: None,
        attempts_link: String::new(),
        list_link: wanted.filter_only().link("/ui/nok", text.lang),
        next_link: wanted.link("/ui/next", text.lang),
        review: None,
    };
    match found {
        Ok(Some(weld)) => page.fill(wanted, weld, judges, text),
        Ok(None) => page.notes.push(text.no_weld.to_owned()),
        Err(why) => page.notes.push(text.problem(why)),
    }
    page.render()
}

impl<'a> WeldPage<'a> {
    fn fill(
        &mut self,
        wanted: &Wanted,
        weld: &'a OneWeld,
        judges: Judges<'_>,
        text: &'static Text,
    ) {
        // The address may have had the id alone.
        let here = Wanted {
            ticks: weld.key.ticks.to_string(),
            time: weld.key.time.clone(),
            note: String::new(),
            ..wanted.clone()
        };
        self.next_link = here.link("/ui/next", text.lang);
        self.attempts_link = Wanted {
            attempts: "1".to_owned(),
            ..here.clone()
        }
        .link("/ui/weld", text.lang);
        self.heading = &weld.heading;
        match &weld.seen {
            Ok(explanation) => {
                self.svg = Some(svg::curves(explanation, text));
                self.hits = hits(&explanation.hits, text);
            }
            Err(why) => self.notes.push(format!("{}: {why}", text.not_drawn)),
        }
        self.why = why(&weld.stored, judges, text);
        let stored = weld.stored.iter().filter(|(_, value)| !value.is_empty());
        self.verdict = Table {
            head: text.verdict_columns.to_vec(),
            rows: stored
                .map(|(name, value)| vec![(*name).to_owned(), value.clone()])
                .collect(),
        };
        self.attempts = weld
            .attempts
            .as_ref()
            .map(|attempts| attempts_table(attempts, text));
        match &weld.review {
            Ok(review) => {
                self.review = Some(ReviewBox {
                    action: here.link("/ui/review", text.lang),
                    said: said(review, text),
                    was: Seen::from(review).text(),
                    note: wanted.note.clone(),
                    choices: RESULTS
                        .into_iter()
                        .zip(KEYS)
                        .map(|(result, key)| (result, text.review_word(result), key))
                        .collect(),
                    longest: LONGEST_NOTE,
                });
            }
            // An OK weld is no matter of review.
            Err(NoReview::NoRow) if value(&weld.stored, "final_result") != "NOK" => {}
            Err(why) => self.notes.push(text.no_review(why)),
        }
    }
}

/// A review in words.
pub fn said(review: &Review, text: &'static Text) -> String {
    let words = [
        text.review_word(&review.result),
        &review.by,
        &review.at,
        &review.note,
    ];
    let words = words.into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" · ")
}

fn hits(hits: &[Hit], text: &Text) -> Table {
    let row = |hit: &Hit| {
        vec![
            hit.rule.as_str().to_owned(),
            match hit.level {
                Level::Flag => text.flag.to_owned(),
                Level::Warn => text.warn.to_owned(),
            },
            format!("{:.0}", hit.t_ms),
            hit.value.to_string(),
            hit.limit.to_string(),
            margin(hit),
        ]
    };
    Table {
        head: text.hit_columns.to_vec(),
        rows: hits.iter().map(row).collect(),
    }
}

/// How far the value is beyond its limit, as a share of it.
fn margin(hit: &Hit) -> String {
    if hit.limit == 0.0 {
        return "–".to_owned();
    }
    format!(
        "{:+.0} %",
        (hit.value - hit.limit) / hit.limit.abs() * 100.0
    )
}

fn attempts_table(attempts: &[AttemptLine], text: &Text) -> Table {
    let row = |attempt: &AttemptLine| {
        vec![
            attempt.token.to_string(),
            attempt.at.clone(),
            match attempt.run {
                0 => text.live.to_owned(),
                run => run.to_string(),
            },
            attempt.status.clone(),
            attempt.final_result.clone(),
            probability(attempt.probability),
            attempt.rule_result.clone(),
            attempt.model_version.clone(),
        ]
    };
    Table {
        head: text.attempt_columns.to_vec(),
        rows: attempts.iter().map(row).collect(),
    }
}

fn value<'s>(stored: &'s [(&'static str, String)], name: &str) -> &'s str {
    let mut stored = stored.iter();
    stored
        .find(|(known, _)| *known == name)
        .map_or("", |(_, value)| value)
}

/// Why the fusion decided so, in a sentence; `None` while there is no verdict.
fn why(stored: &[(&'static str, String)], judges: Judges<'_>, text: &Text) -> Option<String> {
    let of = |name| value(stored, name);
    let place = ["soft_and", "override", "ml", "rule"]
        .iter()
        .position(|known| *known == of("decided_by"))?;
    let threshold = judges.threshold(of("model_version"));
    let threshold = threshold.unwrap_or_else(|| text.models_own.to_owned());
    let probability = of("ml_nok_prob").parse::<f64>();
    let probability = probability.map_or_else(|_| "–".to_owned(), self::probability);
    let sentence = match (place, of("final_result")) {
        (0, "NOK") => text.why_both,
        (0, _) => text.why_not_both,
        (1, _) => text.why_override,
        (2, _) => text.why_model,
        _ => text.why_rules,
    };
    let words = [
        ("{final}", of("final_result")),
        ("{model}", of("ml_result")),
        ("{rules}", of("rule_result")),
        ("{probability}", &probability),
        ("{threshold}", &threshold),
        (
            "{override}",
            &judges.settings.fusion.override_threshold.to_string(),
        ),
    ];
    let filled = words
        .iter()
        .fold(sentence.to_owned(), |sentence, (name, word)| {
            sentence.replace(name, word)
        });
    Some(filled)
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
    }
}
