//! Runs, with who wanted them and what for.

use std::collections::BTreeSet;

use askama::{Error, Template};
use weldfleet_fleet::DayGroup;
use weldfleet_stores::clickhouse::RunState;

use super::{
    frame::{Frame, View},
    jobs::{first_of, may_be_more},
    notes::{details_age, unread},
    table::{Columns, For, Table},
};
use crate::{
    console::{dead_jobs::Dead, page_request::PageRequest, words::Text},
    status::report::{Report, RunLine},
};

struct RunRow {
    cells: Vec<String>,
    run: u64,
    /// What can be done to it, and what that is called.
    changes: Vec<(&'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "backfills.html")]
struct BackfillsPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    /// Why there is nothing to be shown.
    notes: Vec<String>,
    rows: Vec<RunRow>,
}

pub fn page(report: &Report, dead: &Dead, request: &PageRequest) -> Result<String, Error> {
    let text = request.text;
    let columns = columns(dead, For::People, text);
    let rows = report.runs.iter().flatten().map(|line| RunRow {
        cells: columns.cells(line),
        run: line.run,
        changes: changes(line, text),
    });
    let mut notes = unread(report.runs.is_none(), report, text);
    if report.runs.as_ref().is_some_and(|runs| !runs.is_empty()) {
        notes.extend(details_age(report, text));
    }
    notes.extend(first_of(report, dead, text));
    let page = BackfillsPage {
        t: text,
        frame: Frame::at(View::Backfills, report.at_ms, request),
        notes,
        rows: rows.collect(),
    };
    page.render()
}

/// Buttons of a run: name and word.
fn changes(line: &RunLine, text: &Text) -> Vec<(&'static str, &'static str)> {
    let mut changes = match line.state {
        RunState::Open => vec![("hold", text.hold)],
        RunState::Held => vec![("resume", text.resume)],
        RunState::Cancelled | RunState::Closed => return Vec::new(),
    };
    if line.days > 1 {
        changes.push(match line.order {
            "newest" => ("oldest", text.oldest_first),
            _ => ("newest", text.newest_first),
        });
    }
    changes.push(("cancel", text.cancel));
    changes
}

/// The runs for a spreadsheet.
pub fn table(report: &Report, dead: &Dead, text: &Text) -> Table {
    let runs = report.runs.iter().flatten();
    columns(dead, For::Spreadsheet, text).table(runs)
}

fn columns<'c>(dead: &'c Dead, whom: For, text: &'c Text) -> Columns<'c, RunLine> {
    let [
        run,
        from,
        to,
        wanted,
        state,
        left,
        days_done,
        days_left,
        failed,
        by,
        note,
        changed,
    ] = text.run_columns;
    let or_dash = move |count: Option<u64>| match count {
        Some(count) => whom.count(count),
        None => whom.nothing(),
    };
    Columns::<RunLine>::new()
        .ours(run, |run| run.run.to_string())
        .ours(from, |run| run.from.clone())
        .ours(to, |run| run.to.clone())
        .ours(wanted, |run| {
            let order = match run.order {
                "newest" => text.newest_first,
                _ => text.oldest_first,
            };
            format!("{}{}{order}", text.selection(&run.selection), text.comma)
        })
        .ours(state, |run| text.run_state(run.state).to_owned())
        .ours(left, move |run| or_dash(or_ended(run, run.left)))
        .ours(days_done, move |run| {
            let left = or_ended(run, run.days_left);
            or_dash(left.map(|left| run.days.saturating_sub(left)))
        })
        .ours(days_left, move |run| or_dash(or_ended(run, run.days_left)))
        .ours(failed, move |run| failed_days(run.run, dead, whom))
        .theirs(by, |run| run.by.clone())
        .theirs(note, |run| run.note.clone())
        .theirs(changed, |run| {
            let changed = [run.changed_by.as_str(), run.changed_why.as_str()].into_iter();
            let changed = changed.filter(|text| !text.is_empty());
            changed.collect::<Vec<_>>().join(text.colon)
        })
}

/// What is left of a run; nothing of one that has ended. Of a cancelled one nobody counts it.
fn or_ended(run: &RunLine, left: Option<u64>) -> Option<u64> {
    left.or((run.state == RunState::Closed).then_some(0))
}

/// Days of a run that have dead jobs, as far as these were read.
fn failed_days(run: u64, dead: &Dead, whom: For) -> String {
    let Ok(jobs) = dead else {
        return whom.nothing();
    };
    let groups = jobs.iter().filter_map(|job| job.group.parse().ok());
    let days: BTreeSet<DayGroup> = groups.filter(|group: &DayGroup| group.run == run).collect();
    let least = if may_be_more(dead) { "≥ " } else { "" };
    format!("{least}{}", whom.count(days.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures::dead, *};
    use crate::console::{dead_jobs::MOST_DEAD, words::ENGLISH};

    #[test]
    fn of_a_run_that_has_ended_every_day_is_done() {
        let cells = |state, days_left| {
            let line = RunLine {
                state,
                days: 7,
                days_left,
                left: days_left.map(|days| days * 100),
                ..RunLine::default()
            };
            let dead = dead(0);
            columns(&dead, For::People, &ENGLISH).cells(&line)[5..8].join(" ")
        };
        assert_eq!(cells(RunState::Open, Some(2)), "200 5 2");
        assert_eq!(cells(RunState::Closed, None), "0 7 0");
        assert_eq!(cells(RunState::Cancelled, None), "– – –");
    }

    #[test]
    fn days_of_dead_jobs_that_were_not_all_read_are_at_least_so_many() {
        let days = |count| failed_days(7, &dead(count), For::People);
        assert_eq!(
            (days(MOST_DEAD), days(3)),
            ("≥ 2".to_owned(), "2".to_owned())
        );
    }
}
