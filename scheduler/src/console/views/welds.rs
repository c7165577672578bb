//! The pages of welds: the list of those that are NOK, and one of them.

use askama::{Error, Template};
use weldfleet_queue::WorkerEntry;
use weldfleet_service::output::grouped;
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::{AttemptLine, NO_DEFECT, Pareto};
use weldfleet_weld::{
    Outcome,
    rules::{Hit, Level},
};

use super::{For, Frame, Table, View};
use crate::{
    actions::reviews::RESULTS,
    console::{
        limits::Limit,
        page_request::PageRequest,
        problem::Problem,
        reviews::{self, LONGEST_NOTE, ReviewSnapshot},
        svg,
        weld_query::{ReviewFilter, WeldQuery},
        welds::{Listed, NoReview, NokPage, OneWeld},
        words::Text,
    },
};

struct Field<'a> {
    label: &'static str,
    name: &'static str,
    value: &'a str,
    /// What is meant where nothing is typed.
    meant: &'a str,
    /// Value and word of what can be chosen; empty: it is typed.
    choices: Vec<(String, String)>,
}

struct ShareLine {
    /// `None` where no filter is for it.
    link: Option<String>,
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
    pareto_word: &'static str,
    rows: Vec<WeldLine>,
    columns: Vec<&'static str>,
    export: String,
    pareto_export: String,
    next: Option<String>,
}

/// NOK welds of a day; `typed`: the day that was asked for, empty where another shift may mean another day; `found`:
/// they, or why they cannot be shown.
pub fn nok(
    query: &WeldQuery,
    typed: &str,
    found: &Result<NokPage, Problem>,
    settings: &Settings,
    seen_ms: i64,
    request: &PageRequest,
) -> Result<String, Error> {
    let text = request.text;
    let mut page = NokListPage {
        t: text,
        frame: Frame::at(View::Nok, seen_ms, request),
        fields: fields(
            query,
            typed,
            found.as_ref().is_ok_and(|page| page.has_bodies),
            settings,
            text,
        ),
        notes: Vec::new(),
        pareto: Vec::new(),
        pareto_word: text.pareto,
        rows: Vec::new(),
        columns: text.nok_columns.to_vec(),
        export: query.filter_only().link("/ui/nok.csv", text.lang),
        pareto_export: query.filter_only().link("/ui/pareto.csv", text.lang),
        next: None,
    };
    match found {
        Err(why) => page.notes.push(why.text(text.lang)),
        Ok(found) => {
            let notes = found.list.notes.iter();
            page.notes.extend(notes.map(|why| why.text(text.lang)));
            page.pareto = pareto(&found.pareto, query, text);
            page.pareto_word = match query.review.as_str() {
                "" => text.pareto,
                _ => text.pareto_of_all,
            };
            page.rows
                .extend(found.list.welds.iter().map(|listed| WeldLine {
                    link: query.at(&listed.weld).link("/ui/weld", text.lang),
                    id: listed.weld.record_id.clone(),
                    cells: cells(listed, For::People, text),
                }));
            if !found.has_bodies {
                leave_out(&mut page, BODY_COLUMN);
            }
            let last = found.list.welds.last().filter(|_| found.list.more);
            page.next = last.map(|last| query.at(&last.weld).link("/ui/nok", text.lang));
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

/// Its bars, those of other defects in one at the end.
fn pareto(pareto: &Pareto, query: &WeldQuery, text: &Text) -> Vec<ShareLine> {
    let most = pareto.defects.iter().map(|share| share.welds);
    let most = most.chain([pareto.others]).max().unwrap_or(1);
    let line = |link, name: &str, welds| ShareLine {
        link,
        name: name.to_owned(),
        welds: grouped(welds),
        value: welds,
        most,
    };
    let defects = pareto.defects.iter().map(|share| {
        let (defect, name) = match share.text.as_str() {
            "" => (NO_DEFECT, text.no_defect),
            defect => (defect, defect),
        };
        let only = WeldQuery {
            defect: defect.to_owned(),
            ..query.filter_only()
        };
        line(Some(only.link("/ui/nok", text.lang)), name, share.welds)
    });
    let others = (pareto.others > 0).then(|| line(None, text.other_defects, pareto.others));
    defects.chain(others).collect()
}

/// The filter as it can be set: what no table or setting knows is not offered.
fn fields<'a>(
    query: &'a WeldQuery,
    typed: &'a str,
    has_bodies: bool,
    settings: &Settings,
    text: &'static Text,
) -> Vec<Field<'a>> {
    let fields = WeldQuery::FIELDS
        .into_iter()
        .zip(text.filters)
        .zip(query.values());
    let fields = fields.map(|((name, label), value)| Field {
        label,
        name,
        value: if name == "day" { typed } else { value },
        meant: if name == "day" { value } else { "" },
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
            "review" => ReviewFilter::NAMED
                .iter()
                .zip(text.review_filters)
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
fn cells(listed: &Listed, whom: For, text: &'static Text) -> Vec<String> {
    let (weld, review) = (&listed.weld, &listed.review);
    vec![
        weld.time.clone(),
        weld.part_no.clone(),
        weld.spot_name.clone(),
        weld.timer_name.clone(),
        weld.body_no.clone(),
        weld.defect.clone(),
        weld.decided_by.clone(),
        probability(weld.probability, whom),
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
        row.extend(cells(listed, For::Spreadsheet, text));
        row
    };
    Table {
        head: text.nok_columns.to_vec(),
        rows: welds.iter().map(row).collect(),
    }
}

/// The Pareto for a spreadsheet, all of its bars.
pub fn pareto_table(pareto: &Pareto, text: &Text) -> Table {
    let rows = pareto.defects.iter().map(|share| {
        let name = match share.text.as_str() {
            "" => text.no_defect,
            name => name,
        };
        vec![name.to_owned(), share.welds.to_string()]
    });
    Table {
        head: text.pareto_columns.to_vec(),
        rows: rows.collect(),
    }
}

fn probability(value: f64, whom: For) -> String {
    if value.is_nan() {
        whom.nothing()
    } else {
        format!("{value:.4}")
    }
}

#[derive(Template)]
#[template(path = "weld.html")]
struct WeldPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    heading: Vec<(&'static str, &'a str)>,
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
    query: &WeldQuery,
    found: &Result<Option<OneWeld>, Problem>,
    judges: Judges<'_>,
    seen_ms: i64,
    request: &PageRequest,
) -> Result<String, Error> {
    let text = request.text;
    let mut page = WeldPage {
        t: text,
        frame: Frame::at(View::Weld, seen_ms, request),
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
        Ok(None) => page.notes.push(text.no_weld.to_owned()),
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
        let heading = weld.heading.iter();
        self.heading = heading
            .map(|(column, value)| (heading_word(column, text), value.as_str()))
            .collect();
        match &weld.seen {
            Ok(explanation) => {
                self.svg = Some(svg::curves(explanation, &weld.limits, text));
                self.limits = limits(&weld.limits, text);
                self.hits = hits(&explanation.hits, For::People, text);
            }
            Err(why) => self.notes.push(format!("{}: {why}", text.not_drawn)),
        }
        self.why = why(&weld.stored, judges, text);
        let now = weld.seen.as_ref().ok().and_then(|seen| seen.rule_result);
        self.notes
            .extend(otherwise(&weld.stored, now, judges, text));
        let stored = weld.stored.iter().filter(|(_, value)| !value.is_empty());
        self.verdict = Table {
            head: text.verdict_columns.to_vec(),
            rows: stored
                .map(|(name, value)| {
                    let value = match *name {
                        "alg_complete_time" => request.time_of(value),
                        _ => value.clone(),
                    };
                    vec![(*name).to_owned(), value]
                })
                .collect(),
        };
        self.attempts = weld
            .attempts
            .as_ref()
            .map(|attempts| attempts_table(attempts, For::People, request));
        match &weld.review {
            Ok(review) => {
                self.review = Some(ReviewBox {
                    action: here.link("/ui/review", text.lang),
                    said: reviews::in_words(review, request),
                    was: ReviewSnapshot::from(review).text(),
                    note: query.note.clone(),
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
            Err(why) => self.notes.push(why.text(text)),
        }
    }
}

/// What the list calls it.
fn heading_word(column: &'static str, text: &Text) -> &'static str {
    match column {
        "record_id" => text.nok_columns[0],
        "data_date" => text.filters[0],
        "ck_local_time" => text.nok_columns[1],
        "part_no" => text.nok_columns[2],
        "spot_name" => text.nok_columns[3],
        "timer_name" => text.nok_columns[4],
        other => other,
    }
}

fn limits(limits: &[Limit], text: &Text) -> Table {
    let row = |limit: &Limit| {
        let worst = limit.worst;
        let of_worst = |told: fn((f64, f64)) -> String| worst.map_or_else(nothing_seen, told);
        vec![
            limit.rule.as_str().to_owned(),
            level(limit.level, text),
            of_worst(|(_, t_ms)| format!("{t_ms:.0}")),
            of_worst(|(value, _)| value.to_string()),
            limit.limit.to_string(),
            limit
                .room()
                .map_or_else(nothing_seen, |room| format!("{:+.0} %", room * 100.0)),
        ]
    };
    Table {
        head: text.limit_columns.to_vec(),
        rows: limits.iter().map(row).collect(),
    }
}

fn nothing_seen() -> String {
    For::People.nothing()
}

fn level(level: Level, text: &Text) -> String {
    match level {
        Level::Flag => text.flag.to_owned(),
        Level::Warn => text.warn.to_owned(),
    }
}

/// What today's rules and settings would have decided otherwise; `rules`: what the rules say now.
fn otherwise(
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

/// The hits for a spreadsheet.
pub fn hits_table(weld: &OneWeld, text: &Text) -> Result<Table, Problem> {
    let seen = weld.seen.as_ref();
    let seen = seen.map_err(|why| Problem::NotDrawn(why.clone()))?;
    Ok(hits(&seen.hits, For::Spreadsheet, text))
}

fn hits(hits: &[Hit], whom: For, text: &Text) -> Table {
    let row = |hit: &Hit| {
        vec![
            hit.rule.as_str().to_owned(),
            level(hit.level, text),
            format!("{:.0}", hit.t_ms),
            hit.value.to_string(),
            hit.limit.to_string(),
            margin(hit, whom),
        ]
    };
    Table {
        head: text.hit_columns.to_vec(),
        rows: hits.iter().map(row).collect(),
    }
}

/// How far the value is beyond its limit, as a share of it.
fn margin(hit: &Hit, whom: For) -> String {
    let share = (hit.value - hit.limit) / hit.limit.abs();
    match whom {
        _ if hit.limit == 0.0 => whom.nothing(),
        For::People => format!("{:+.0} %", share * 100.0),
        For::Spreadsheet => format!("{share:.4}"),
    }
}

pub fn attempts_table(attempts: &[AttemptLine], whom: For, request: &PageRequest) -> Table {
    let text = request.text;
    let row = |attempt: &AttemptLine| {
        vec![
            attempt.token.to_string(),
            request.time(attempt.at_ms),
            match attempt.run {
                0 => text.live.to_owned(),
                run => run.to_string(),
            },
            attempt.status.clone(),
            attempt.final_result.clone(),
            probability(attempt.probability, whom),
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
    let probability = probability.map_or_else(
        |_| For::People.nothing(),
        |value| self::probability(value, For::People),
    );
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
