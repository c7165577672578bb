//! Dead jobs by cause, those with the most first.

use std::collections::BTreeMap;

use askama::{Error, Template};
use weldfleet_queue::{Job, State};
use weldfleet_service::output::grouped;
use weldfleet_words::Language;

use super::{
    frame::{Frame, View},
    table::{Columns, Table},
};
use crate::{
    console::{
        actions::UNCONFIRMED,
        dead_jobs::{Dead, MOST_DEAD},
        page_request::PageRequest,
        words::Text,
    },
    status::report::Report,
};

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    /// Why there is nothing to be shown.
    notes: Vec<String>,
    counts: String,
    groups: Vec<DeadCause>,
}

pub fn page(report: &Report, dead: &Dead, request: &PageRequest) -> Result<String, Error> {
    let text = request.text;
    let counts = report.jobs.iter().flatten();
    let counts: Vec<String> = counts
        .map(|(state, count)| {
            let (state, count) = (text.job_state(*state), grouped(*count));
            match text.lang {
                Language::English => format!("{count} {state}"),
                Language::Chinese => format!("{state} {count}"),
            }
        })
        .collect();
    let read = dead.as_deref().map(Vec::as_slice);
    let page = JobsPage {
        t: text,
        frame: Frame::at(View::Jobs, report.at_ms, request),
        notes: dead
            .as_ref()
            .err()
            .map(|why| why.text(text.lang))
            .or_else(|| first_of(report, dead, text))
            .into_iter()
            .collect(),
        counts: counts.join(text.between),
        groups: by_cause(read.unwrap_or_default(), text),
    };
    page.render()
}

/// That there are more dead jobs than were read.
pub fn first_of(report: &Report, dead: &Dead, text: &Text) -> Option<String> {
    let jobs = report.jobs.as_ref();
    let all = jobs.and_then(|jobs| jobs.get(&State::Dead)).copied();
    let read = dead.as_ref().map_or(0, |dead| dead.len());
    let more = all.filter(|all| may_be_more(dead) && *all > read as u64)?;
    let said = text.first_of.replace("{first}", &grouped(read as u64));
    Some(said.replace("{all}", &grouped(more)))
}

/// Whether there may be more than were read.
pub fn may_be_more(dead: &Dead) -> bool {
    dead.as_ref()
        .is_ok_and(|dead| dead.len() >= MOST_DEAD as usize)
}

/// Dead jobs one by one.
pub fn table(dead: &[Job], text: &Text) -> Table {
    let [id, rows, reason] = text.dead_columns;
    Columns::<Job>::new()
        .ours(id, |job| job.id.clone())
        .ours(rows, |job| job.weight.to_string())
        .theirs(reason, |job| why(job, text))
        .table(dead)
}

/// Why it is dead; of a record that cannot be read, what is wrong with it.
fn why(job: &Job, text: &Text) -> String {
    match job.unreadable.is_empty() {
        true => job.error.clone(),
        false => {
            let said = job.unreadable.join(text.between);
            format!("{}{}{said}", text.unreadable, text.colon)
        }
    }
}

/// Jobs that died alike.
#[derive(Debug, PartialEq, Eq)]
struct DeadCause {
    ids: Vec<String>,
    rows: u64,
    why: String,
}

impl DeadCause {
    fn jobs(&self) -> String {
        grouped(self.ids.len() as u64)
    }

    fn rows(&self) -> String {
        grouped(self.rows)
    }

    /// The number that must be typed, if one must.
    fn confirm(&self) -> Option<usize> {
        Some(self.ids.len()).filter(|jobs| *jobs > UNCONFIRMED)
    }
}

/// Errors that differ in numbers alone are one cause.
fn by_cause(dead: &[Job], text: &Text) -> Vec<DeadCause> {
    let mut causes: BTreeMap<String, DeadCause> = BTreeMap::new();
    for job in dead {
        let why = why(job, text);
        let cause = causes
            .entry(without_numbers(&why))
            .or_insert_with(|| DeadCause {
                ids: Vec::new(),
                rows: 0,
                why,
            });
        cause.ids.push(job.id.clone());
        cause.rows += job.weight;
    }
    let mut causes: Vec<DeadCause> = causes.into_values().collect();
    causes.sort_by(|a, b| (b.ids.len(), &a.why).cmp(&(a.ids.len(), &b.why)));
    causes
}

/// The text with one `#` for each number, however long: `7`, `1,234`, `0.5`.
fn without_numbers(text: &str) -> String {
    let mut alike = String::new();
    let mut in_number = false;
    for (place, letter) in text.char_indices() {
        let is_digit = letter.is_ascii_digit();
        let rest = &text[place + letter.len_utf8()..];
        let goes_on = in_number
            && matches!(letter, '.' | ',')
            && rest.starts_with(|next: char| next.is_ascii_digit());
        match (is_digit, in_number) {
            (true, false) => alike.push('#'),
            (false, _) if !goes_on => alike.push(letter),
            _ => {}
        }
        in_number = is_digit || goes_on;
    }
    alike
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures::job, *};
    use crate::console::words::{CHINESE, ENGLISH};

    #[test]
    fn jobs_that_died_alike_are_one_cause_however_long_the_numbers() {
        let died = |error: &str| Job {
            error: error.to_owned(),
            ..job(0)
        };
        let dead = [
            "row 9: umax is 1.5, not 2.",
            "row 10: umax is 12, not 2.",
            "row 1,234: umax is 0.25, not 100.",
            "row 9: imax is 1.5, not 2.",
        ];
        let groups = by_cause(&dead.map(died), &ENGLISH);
        let sizes: Vec<usize> = groups.iter().map(|group| group.ids.len()).collect();
        assert_eq!(sizes, [3, 1]);
        assert_eq!(without_numbers(dead[2]), "row #: umax is #, not #.");
    }

    #[test]
    fn a_dead_job_that_cannot_be_read_says_what_is_wrong_with_it() {
        let damaged = Job {
            error: String::new(),
            unreadable: vec!["state `x` is none".to_owned()],
            ..job(0)
        };
        let damaged = [damaged];
        for (text, said) in [
            (&ENGLISH, "unreadable: state `x` is none"),
            (&CHINESE, "无法读取：state `x` is none"),
        ] {
            assert_eq!(by_cause(&damaged, text)[0].why, said);
        }
    }
}
