//! Lists for a spreadsheet: CSV as RFC 4180 has it, with the mark by which Excel knows UTF-8.

use axum::{
    extract::{self, Path, Query},
    http::header,
    response::{IntoResponse as _, Response},
};
use weldfleet_stores::clickhouse::{EventKey, EventLine};

use super::{
    Console, EventsQuery,
    answers::plain,
    page_request::PageRequest,
    problem::Problem,
    views::{self, For::Spreadsheet, Table},
    weld_query::WeldQuery,
    words::Text,
};

/// Events and jobs of an export.
const MOST: u32 = 100_000;
/// Digits of a number beyond which a spreadsheet rounds it.
const EXACT_DIGITS: usize = 15;
/// U+FEFF in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// `GET /ui/LIST.csv`
pub async fn list(
    extract::State(console): extract::State<Console>,
    Path(list): Path<String>,
    Query(query): Query<WeldQuery>,
    Query(behind): Query<EventsQuery>,
    Query(typed): Query<Vec<(String, String)>>,
    request: PageRequest,
) -> Response {
    let exporting = async {
        let known = fields_of(&list)?;
        let is_known = |name: &str| known.contains(&name) || name == "lang";
        if let Some((name, _)) = typed.iter().find(|(name, _)| !is_known(name)) {
            let (name, known) = (name.clone(), known.to_vec());
            return Err(Problem::UnknownField { name, known });
        }
        let table = console.table(&list, query, behind.before, &request);
        csv(&table.await?).map_err(|error| Problem::Other(error.to_string()))
    };
    match exporting.await {
        Ok(bytes) => {
            let name = format!("attachment; filename=\"weldfleet-{list}\"");
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (headers, bytes).into_response()
        }
        Err(why) => plain(&why, request.text),
    }
}

/// What a list may be asked for by, besides the language. Whoever mistypes `day` must not get today's welds for those of
/// another day.
fn fields_of(list: &str) -> Result<&'static [&'static str], Problem> {
    Ok(match list {
        "nok.csv" | "pareto.csv" => WeldQuery::FIELDS,
        "hits.csv" | "attempts.csv" => WeldQuery::OF_A_WELD,
        "events.csv" => &["before"],
        "jobs.csv" | "shares.csv" | "days.csv" | "backfills.csv" | "workers.csv" => &["lang"],
        _ => return Err(Problem::NoPage),
    })
}

impl Console {
    async fn table(
        &self,
        list: &str,
        query: WeldQuery,
        before: Option<EventKey>,
        request: &PageRequest,
    ) -> Result<Table, Problem> {
        let text = request.text;
        Ok(match list {
            "nok.csv" => {
                let found = self.welds.all(&self.of_today(query)).await?;
                views::nok::nok_table(&found.welds, text)
            }
            "pareto.csv" => {
                let found = self.welds.pareto(&self.of_today(query)).await?;
                views::nok::pareto_table(&found, text)
            }
            "hits.csv" | "attempts.csv" => {
                let with_attempts = WeldQuery {
                    attempts: "1".to_owned(),
                    ..self.of_today(query)
                };
                let weld = self.welds.one(&with_attempts).await?;
                let weld = weld.ok_or(Problem::NoWeld)?;
                let attempts = weld.attempts.as_deref().unwrap_or_default();
                match list {
                    "hits.csv" => views::hits::exported(&weld, text)?,
                    _ => views::weld::attempts_table(attempts, Spreadsheet, request),
                }
            }
            "jobs.csv" => views::jobs::table(&self.dead.all(MOST).await?, text),
            "events.csv" => {
                let events = self.welds.events(MOST + 1, before).await?;
                first_events(events, request)
            }
            "shares.csv" => {
                let shares = self.shares.recent().await;
                let shares = shares.ok_or(Problem::NothingSeen)??;
                views::shares::table(&shares, Spreadsheet, text)
            }
            "days.csv" | "backfills.csv" | "workers.csv" => self.of_report(list, text).await?,
            _ => return Err(Problem::NoPage),
        })
    }

    /// A list that is in the status model; one that could not be read is no empty list.
    async fn of_report(&self, list: &str, text: &Text) -> Result<Table, Problem> {
        let report = self.report().await?;
        let (is_read, table) = match list {
            "days.csv" => (
                report.days.is_some(),
                views::now::days_table(&report, Spreadsheet, text),
            ),
            "backfills.csv" => (
                report.runs.is_some(),
                views::backfills::table(&report, &self.dead.oldest().await, text),
            ),
            _ => (
                report.workers.is_some(),
                views::workers::table(&report, Spreadsheet, text),
            ),
        };
        is_read
            .then_some(table)
            .ok_or_else(|| Problem::NotReached(report.problems.clone()))
    }
}

/// Events, and where the rest is if there are more than one file holds.
fn first_events(mut events: Vec<EventLine>, request: &PageRequest) -> Table {
    let more = events.len() > MOST as usize;
    events.truncate(MOST as usize);
    let last = events.last().filter(|_| more).map(EventLine::key);
    let mut table = views::events::table(events, request);
    // Whoever counts lines must not take these for all.
    table.rows.extend(last.map(|key| {
        let rest = format!("{}&before={key}", request.page("/ui/events.csv"));
        let mut row = vec!["…".to_owned(), request.text.older.to_owned(), rest];
        row.resize(table.head.len(), String::new());
        row
    }));
    table
}

fn csv(table: &Table) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(MARK.to_vec());
    writer.write_record(&table.head)?;
    for row in &table.rows {
        writer.write_record(row.iter().zip(&table.is_text).map(|(cell, is_text)| {
            let is_changed = match is_text {
                true => is_formula(cell) || is_written_otherwise(cell),
                false => is_formula(cell) || is_rounded(cell),
            };
            // A spreadsheet shows what is behind it as it is.
            let mark = if is_changed { "'" } else { "" };
            format!("{mark}{cell}")
        }))?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// What a spreadsheet would take for a formula.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err()
}

/// A number of ours that a spreadsheet rounds: a run.
fn is_rounded(cell: &str) -> bool {
    cell.len() > EXACT_DIGITS && cell.bytes().all(|byte| byte.is_ascii_digit())
}

/// A text that a spreadsheet would take for a number, a share or a time, and write in another way.
fn is_written_otherwise(cell: &str) -> bool {
    if !cell.contains(|letter: char| letter.is_ascii_digit()) {
        return false;
    }
    match cell.parse::<f64>() {
        Ok(number) => is_rounded(cell) || number.to_string() != cell,
        Err(_) => cell
            .chars()
            .all(|letter| letter.is_ascii_digit() || "-/:.,% ".contains(letter)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weldfleet_stores::clickhouse::Pareto;

    use super::*;
    use crate::{console::shares::ShiftShares, status::report::Report};

    #[test]
    fn a_text_stays_as_it_is_and_numbers_stay_numbers() {
        for text in [
            "20261128210501123",
            "007",
            "1E5",
            "12e3",
            "1.10",
            "+5",
            "7.",
            "7/7",
            "3-4",
            "12:30",
            "2026-11-29 04:00:05",
            "1,000",
            "5 %",
            "-3.50",
        ] {
            assert!(is_written_otherwise(text), "{text}");
        }
        for text in [
            "20261128", "0", "7.5", "-3", "", "–", "P-1", "T7", "e5", "飞溅 2", "a:b",
        ] {
            assert!(!is_written_otherwise(text), "{text}");
        }
        assert!(is_rounded("20261128210501123"));
        for number in [
            "20261128",
            "0",
            "0.9120",
            "-3.5",
            "100000",
            "",
            "0.1000000000000000055",
        ] {
            assert!(!is_rounded(number) && !is_formula(number), "{number}");
        }
    }

    #[test]
    fn the_columns_of_texts_are_those() {
        let text = &crate::console::words::ENGLISH;
        let request = PageRequest {
            text,
            visitor: None,
            flash: None,
            undo: None,
            zone: Default::default(),
            rest: String::new(),
        };
        let names = |table: Table| {
            let columns = table.head.iter().zip(&table.is_text);
            let texts = columns.filter(|(_, is_text)| **is_text);
            texts.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        let (report, dead) = (Report::default(), Ok(Arc::default()));
        let at = jiff::civil::date(2026, 11, 29).at(6, 0, 0, 0);
        let shares = ShiftShares {
            shift: String::new(),
            since: at,
            read_at: at,
            lines: Vec::new(),
            by_line: true,
        };
        for (table, texts) in [
            (
                views::nok::nok_table(&[], text),
                "weld, part, spot, timer, body, defect, model, by, note",
            ),
            (views::nok::pareto_table(&Pareto::default(), text), "defect"),
            (views::shares::table(&shares, Spreadsheet, text), "line"),
            (
                views::weld::attempts_table(&[], Spreadsheet, &request),
                "model",
            ),
            (views::jobs::table(&[], text), "why"),
            (
                views::events::table(Vec::new(), &request),
                "who, on what, why, detail",
            ),
            (
                views::backfills::table(&report, &dead, text),
                "asked by, what for, changed",
            ),
            (
                views::workers::table(&report, Spreadsheet, text),
                "worker, model",
            ),
            (views::now::days_table(&report, Spreadsheet, text), ""),
        ] {
            assert_eq!(names(table), texts);
        }
    }

    #[test]
    fn a_cell_is_what_it_was_and_no_formula() {
        let row = ["=1+1", "-3.5", "@x", "a \"b\", 焊点", "", "-", "1.10"];
        for (is_text, last) in [(true, "'1.10"), (false, "1.10")] {
            let table = Table {
                head: vec!["a", "b", "c", "d", "e", "f", "g"],
                is_text: [vec![false; 6], vec![is_text]].concat(),
                rows: vec![row.map(str::to_owned).to_vec(); 1],
            };
            let bytes = csv(&table).unwrap();
            let text = std::str::from_utf8(bytes.strip_prefix(MARK).unwrap()).unwrap();
            assert_eq!(
                text,
                format!("a,b,c,d,e,f,g\r\n'=1+1,-3.5,'@x,\"a \"\"b\"\", 焊点\",,'-,{last}\r\n")
            );
        }
    }
}
