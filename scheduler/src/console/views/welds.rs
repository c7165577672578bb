//! The pages of welds: the list of those that are NOK, and one of them.

use askama::{Error, Template};
use weldfleet_queue::WorkerEntry;
use weldfleet_service::output::grouped;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    clickhouse::{AttemptLine, BODY, LINE, NO_DEFECT, Pareto},
    mysql::Review,
};
use weldfleet_weld::{
    Outcome,
    rules::{Hit, Level, Rule},
};

use super::{For, Frame, Table, View};
use crate::{
    actions::reviews::RESULTS,
    console::{
        limits::{self, Limit},
        page_request::PageRequest,
        problem::Problem,
        reviews::{self, LONGEST_NOTE, ReviewSnapshot, is_of_another_verdict},
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
    /// Whether it is known that there is nothing.
    is_empty: bool,
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
    let no_bodies = found.as_ref().is_ok_and(|page| !page.has_bodies);
    let columns = nok_columns(text).into_iter();
    let columns: Vec<NokColumn> = columns
        .filter(|(name, _)| !no_bodies || *name != text.body)
        .collect();
    let behind_the_id = &columns[1..];
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
        is_empty: false,
        pareto: Vec::new(),
        pareto_word: text.pareto,
        rows: Vec::new(),
        columns: columns.iter().map(|(name, _)| *name).collect(),
        export: query.filter_only().link("/ui/nok.csv", text.lang),
        pareto_export: query.filter_only().link("/ui/pareto.csv", text.lang),
        next: None,
    };
    match found {
        Err(why) => page.notes.push(why.text(text.lang)),
        Ok(found) => {
            let notes = found.list.notes.iter();
            page.notes.extend(notes.map(|why| why.text(text.lang)));
            page.is_empty = found.list.welds.is_empty();
            if found.in_mysql > 0 {
                let said = text.nok_in_mysql_alone;
                page.notes
                    .push(said.replace("{welds}", &grouped(found.in_mysql)));
            }
            if let Some(zone) = &found.other_zone {
                let said = text.other_zone.replace("{column}", zone);
                page.notes
                    .push(said.replace("{plant}", request.zone.name()));
            }
            page.pareto = pareto(&found.pareto, query, text);
            page.pareto_word = match query.review.as_str() {
                "" => text.pareto,
                _ => text.pareto_of_all,
            };
            page.rows.extend(found.list.welds.iter().map(|listed| {
                WeldLine {
                    link: query.at(&listed.weld).link("/ui/weld", text.lang),
                    id: listed.weld.record_id.clone(),
                    cells: behind_the_id
                        .iter()
                        .map(|(_, cell)| cell(listed, For::People, text))
                        .collect(),
                }
            }));
            let last = found.list.welds.last().filter(|_| found.list.more);
            page.next = last.map(|last| query.at(&last.weld).link("/ui/nok", text.lang));
        }
    }
    page.render()
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
    let fields = WeldQuery::FIELDS.into_iter().zip(query.values());
    let fields = fields.map(|(name, value)| Field {
        label: word(name, text),
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

/// The list: what a column is called, and what it holds of a weld.
type NokColumn = (&'static str, fn(&Listed, For, &'static Text) -> String);

fn nok_columns(text: &'static Text) -> [NokColumn; 13] {
    [
        (text.weld_id, |listed, _, _| listed.weld.record_id.clone()),
        (text.time, |listed, _, _| listed.weld.time.clone()),
        (text.part, |listed, _, _| listed.weld.part_no.clone()),
        (text.spot, |listed, _, _| listed.weld.spot_name.clone()),
        (text.timer, |listed, _, _| listed.weld.timer_name.clone()),
        (text.body, |listed, _, _| listed.weld.body_no.clone()),
        (text.defect, |listed, _, _| listed.weld.defect.clone()),
        (text.decided_by, |listed, _, _| {
            listed.weld.decided_by.clone()
        }),
        (text.probability, |listed, whom, _| {
            probability(listed.weld.probability, whom)
        }),
        (text.model, |listed, _, _| listed.weld.model_version.clone()),
        (text.reviewed, |listed, _, text| {
            text.review_word(&listed.review.result).to_owned()
        }),
        (text.reviewed_by, |listed, _, _| listed.review.by.clone()),
        (text.note, |listed, _, _| listed.review.note.clone()),
    ]
}

/// The list for a spreadsheet.
pub fn nok_table(welds: &[Listed], text: &'static Text) -> Table {
    let columns = nok_columns(text);
    let cells = |listed| columns.map(|(_, cell)| cell(listed, For::Spreadsheet, text));
    Table {
        head: columns.map(|(name, _)| name).to_vec(),
        rows: welds.iter().map(|listed| cells(listed).to_vec()).collect(),
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

/// Digits of a probability beyond which there is nothing more in it.
const EXACT: usize = 9;

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

/// One weld; `found`: it, or why it cannot be shown; `kept`: what MySQL has of one that ClickHouse does not have.
pub fn weld(
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
        // An OK weld is no matter of review.
        let is_nok = value(&weld.stored, "final_result") == "NOK";
        match &weld.review {
            Ok(review) if is_nok || !review.is_none() => {
                let judged = value(&weld.stored, "alg_complete_time");
                let of_another = is_of_another_verdict(review, judged).then(|| {
                    let judged = request.time_of(judged);
                    text.of_another_verdict.replace("{judged}", &judged)
                });
                let choices = RESULTS.into_iter().zip(KEYS).filter(|_| is_nok);
                self.review = Some(ReviewBox {
                    action: here.link("/ui/review", text.lang),
                    said: reviews::in_words(review, request),
                    of_another,
                    was: ReviewSnapshot::from(review).text(),
                    note: weld.takes_notes.then(|| query.note.clone()),
                    choices: choices
                        .map(|(result, key)| (result, text.review_word(result), key))
                        .collect(),
                    longest: LONGEST_NOTE,
                });
            }
            Ok(_) => {}
            Err(NoReview::NoRow) if !is_nok => {}
            Err(why) => self.notes.push(why.text(text)),
        }
    }
}

/// What the lists call a column or a filter; the plant's own name for what these do not have.
fn word<'c>(name: &'c str, text: &Text) -> &'c str {
    match name {
        "record_id" => text.weld_id,
        "day" | "data_date" => text.day,
        "shift" => text.shift,
        "ck_local_time" => text.time,
        "part" | "part_no" => text.part,
        "spot" | "spot_name" => text.spot,
        "timer" | "timer_name" => text.timer,
        "body" | BODY => text.body,
        LINE => text.line,
        "defect" => text.defect,
        "review" => text.reviewed,
        other => other,
    }
}

/// Of a weld that is in MySQL and not in ClickHouse.
fn in_mysql_alone(review: &Review, request: &PageRequest) -> String {
    let said = match reviews::in_words(review, request) {
        said if said.is_empty() => request.text.not_reviewed.to_owned(),
        said => format!("{} {said}", request.text.reviewed_as),
    };
    format!("{} {said}", request.text.in_mysql_alone)
}

fn limits_table(limits: &[Limit], text: &Text) -> Table {
    let row = |limit: &Limit| {
        let worst = limit.worst;
        let nothing = || For::People.nothing();
        vec![
            limit.rule.as_str().to_owned(),
            level(limit.level, text),
            worst.map_or_else(nothing, |(_, t_ms)| format!("{t_ms:.0}")),
            worst.map_or_else(nothing, |(value, _)| {
                measured(limit.rule, value, For::People)
            }),
            measured(limit.rule, limit.limit, For::People),
            limit
                .room()
                .map_or_else(nothing, |room| format!("{:+.0} %", room * 100.0)),
        ]
    };
    Table {
        head: text.limit_columns.to_vec(),
        rows: limits.iter().map(row).collect(),
    }
}

/// A value of a rule, for people with its unit.
fn measured(rule: Rule, value: f64, whom: For) -> String {
    match (whom, limits::unit(rule)) {
        (For::Spreadsheet, _) | (_, "") => value.to_string(),
        (For::People, unit) => format!("{value} {unit}"),
    }
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
            measured(hit.rule, hit.value, whom),
            measured(hit.rule, hit.limit, whom),
            beyond(hit, whom),
        ]
    };
    Table {
        head: text.hit_columns.to_vec(),
        rows: hits.iter().map(row).collect(),
    }
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

pub fn attempts_table(attempts: &[AttemptLine], whom: For, request: &PageRequest) -> Table {
    let text = request.text;
    let run = |attempt: &AttemptLine| match attempt.run {
        0 => text.live.to_owned(),
        run => run.to_string(),
    };
    Table::of(
        attempts,
        &[
            (text.token, &|attempt| attempt.token.to_string()),
            (text.time, &|attempt| request.time(attempt.at_ms)),
            (text.run, &run),
            (text.status, &|attempt| attempt.status.clone()),
            (text.final_result, &|attempt| attempt.final_result.clone()),
            (text.probability, &|attempt| {
                probability(attempt.probability, whom)
            }),
            (text.rules, &|attempt| attempt.rule_result.clone()),
            (text.model, &|attempt| attempt.model_version.clone()),
        ],
    )
}

fn value<'s>(stored: &'s [(&'static str, String)], name: &str) -> &'s str {
    let mut stored = stored.iter();
    stored
        .find(|(known, _)| *known == name)
        .map_or("", |(_, value)| value)
}

/// A probability with so many digits that it is on the same side of each limit as the value.
fn beside(value: f64, limits: impl Iterator<Item = f64> + Clone) -> String {
    let mut shown = probability(value, For::People);
    for digits in 5..=EXACT {
        let is_other = |limit: f64| {
            let said = shown.parse::<f64>().unwrap_or(value);
            (said >= limit) != (value >= limit)
        };
        if !limits.clone().any(is_other) {
            break;
        }
        shown = format!("{value:.digits$}");
    }
    shown
}

/// Why the fusion decided so, in a sentence; `None` while there is no verdict.
fn why(stored: &[(&'static str, String)], judges: Judges<'_>, text: &Text) -> Option<String> {
    let of = |name| value(stored, name);
    let place = ["soft_and", "override", "ml", "rule"]
        .iter()
        .position(|known| *known == of("decided_by"))?;
    let threshold = judges.threshold(of("model_version"));
    let threshold = threshold.unwrap_or_else(|| text.models_own.to_owned());
    let overrules = judges.settings.fusion.override_threshold.to_string();
    let probability = of("ml_nok_prob").parse::<f64>();
    let probability = probability.map_or_else(
        |_| For::People.nothing(),
        |value| {
            let limits = [&threshold, &overrules].map(|text| text.parse().ok());
            beside(value, limits.into_iter().flatten())
        },
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
        ("{override}", &overrules),
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
    use weldfleet_settings::Zone;
    use weldfleet_stores::{Day, mysql::WeldKey};

    use crate::{
        console::{
            visitor::Visitor,
            welds::WeldList,
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
            seen: Err("no rules".to_owned()),
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
        weld(&query, &found, &kept, judges, 0, &reviewers(text)).unwrap()
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
            let list = super::nok(
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
    fn a_day_without_nok_welds_says_what_mysql_keeps_and_whose_clock_is_whose() {
        let found = |in_mysql, other_zone: Option<&str>| {
            let page = NokPage {
                list: WeldList::default(),
                pareto: Pareto::default(),
                has_bodies: false,
                in_mysql,
                other_zone: other_zone.map(str::to_owned),
            };
            let query = WeldQuery::of_day("20261129");
            let settings = Settings::default();
            super::nok(&query, "", &Ok(page), &settings, 0, &reviewers(&ENGLISH)).unwrap()
        };
        let html = found(1200, Some("UTC"));
        assert!(
            html.contains(ENGLISH.nothing)
                && html.contains("MySQL keeps the records of 1,200.")
                && html.contains("told by UTC")
                && html.contains("shifts go by Asia/Shanghai"),
            "{html}"
        );
        let html = found(0, None);
        assert!(
            !html.contains("MySQL") && !html.contains("shifts go by"),
            "{html}"
        );
    }

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
            let rows = hits(&all, whom, &ENGLISH).rows.into_iter();
            rows.map(|row| row[3..].join(" ")).collect::<Vec<_>>()
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
