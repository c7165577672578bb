//! The welds of a day that are NOK, and their Pareto.

use askama::{Error, Template};
use weldfleet_service::output::grouped;
use weldfleet_settings::Settings;
use weldfleet_stores::clickhouse::{BODY, LINE, NO_DEFECT, NokShare, Pareto};
use weldfleet_weld::defects::DefectNames;

use super::{
    frame::{Frame, View},
    table::{Columns, For, Table},
};
use crate::console::{
    page_request::PageRequest,
    problem::Problem,
    weld_query::{ReviewFilter, WeldQuery},
    welds::{Listed, NokPage},
    words::Text,
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
pub fn page(
    query: &WeldQuery,
    typed: &str,
    found: &Result<NokPage, Problem>,
    settings: &Settings,
    seen_ms: i64,
    request: &PageRequest,
) -> Result<String, Error> {
    let (text, names) = (request.text, &settings.fusion.defect_names);
    let has_bodies = found.as_ref().ok().map(|page| page.has_bodies);
    let columns = columns(For::People, text, names);
    let columns = match has_bodies {
        Some(false) => columns.without(text.body),
        _ => columns,
    };
    let mut page = NokListPage {
        t: text,
        frame: Frame::at(View::Nok, seen_ms, request),
        fields: fields(query, typed, has_bodies == Some(true), settings, text),
        notes: Vec::new(),
        is_empty: false,
        pareto: Vec::new(),
        pareto_word: text.pareto,
        rows: Vec::new(),
        columns: columns.names(),
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
            if let Some(found) = &found.pareto {
                page.pareto = pareto(found, query, names, text);
            }
            page.pareto_word = match query.review.as_str() {
                "" => text.pareto,
                _ => text.pareto_of_all,
            };
            page.rows.extend(found.list.welds.iter().map(|listed| {
                WeldLine {
                    link: query.at(&listed.weld).link("/ui/weld", text.lang),
                    id: listed.weld.record_id.clone(),
                    // The first is the id, which is a link.
                    cells: columns.cells(listed).split_off(1),
                }
            }));
            let last = found.list.welds.last().filter(|_| found.list.more);
            page.next = last.map(|last| query.at(&last.weld).link("/ui/nok", text.lang));
        }
    }
    page.render()
}

/// Its bars, those of other defects in one at the end.
fn pareto(pareto: &Pareto, query: &WeldQuery, names: &DefectNames, text: &Text) -> Vec<ShareLine> {
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
            "" => (NO_DEFECT, text.no_defect.to_owned()),
            defect => (defect, text.defect_word(defect, names)),
        };
        let only = WeldQuery {
            defect: defect.to_owned(),
            ..query.filter_only()
        };
        line(Some(only.link("/ui/nok", text.lang)), &name, share.welds)
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
    let fields = WeldQuery::FIELDS.iter().copied().zip(query.values());
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

/// The list.
fn columns<'c>(whom: For, text: &'static Text, names: &'c DefectNames) -> Columns<'c, Listed> {
    let is_people = whom == For::People;
    let columns = Columns::<Listed>::new()
        .theirs(text.weld_id, |listed| listed.weld.record_id.clone())
        .ours(text.time, |listed| listed.weld.time.clone())
        .theirs(text.part, |listed| listed.weld.part_no.clone())
        .theirs(text.spot, |listed| listed.weld.spot_name.clone())
        .theirs(text.timer, |listed| listed.weld.timer_name.clone())
        .theirs(text.body, |listed| listed.weld.body_no.clone())
        .theirs(text.defect, move |listed| match is_people {
            true => text.defect_word(&listed.weld.defect, names),
            false => listed.weld.defect.clone(),
        })
        .ours(text.decided_by, move |listed| {
            let decided = listed.weld.decided_by.as_str();
            match is_people {
                true => text.decided_word(decided).to_owned(),
                false => decided.to_owned(),
            }
        })
        .ours(text.probability, move |listed| {
            whom.probability(listed.weld.probability)
        })
        .theirs(text.model, |listed| listed.weld.model_version.clone())
        .ours(text.reviewed, |listed| {
            text.review_word(&listed.review.result).to_owned()
        })
        .theirs(text.reviewed_by, |listed| listed.review.by.clone())
        .theirs(text.note, |listed| listed.review.note.clone());
    match whom {
        For::People => columns,
        // With it a line says which weld it is, also where a shift has two days.
        For::Spreadsheet => columns.ours(text.day, |listed| listed.weld.day.to_string()),
    }
}

/// The list for a spreadsheet.
pub fn nok_table(welds: &[Listed], text: &'static Text) -> Table {
    columns(For::Spreadsheet, text, &DefectNames::default()).table(welds)
}

/// The Pareto for a spreadsheet, all of its bars.
pub fn pareto_table(pareto: &Pareto, text: &Text) -> Table {
    let [defect, welds] = text.pareto_columns;
    Columns::<NokShare>::new()
        .theirs(defect, |share| {
            match share.text.as_str() {
                "" => text.no_defect,
                name => name,
            }
            .to_owned()
        })
        .ours(welds, |share| share.welds.to_string())
        .table(&pareto.defects)
}

/// What the lists call a column or a filter; the plant's own name for what these do not have.
pub fn word<'c>(name: &'c str, text: &Text) -> &'c str {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{views::fixtures::request, welds::WeldList, words::ENGLISH};

    #[test]
    fn a_day_without_nok_welds_says_what_mysql_keeps_and_whose_clock_is_whose() {
        let found = |in_mysql, other_zone: Option<&str>| {
            let page = NokPage {
                list: WeldList::default(),
                pareto: None,
                has_bodies: false,
                in_mysql,
                other_zone: other_zone.map(str::to_owned),
            };
            let query = WeldQuery::of_day("20261129");
            let settings = Settings::default();
            super::page(&query, "", &Ok(page), &settings, 0, &request(&ENGLISH)).unwrap()
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
}
