//! Lists for a spreadsheet: CSV as RFC 4180 has it, with the mark by which Excel knows UTF-8.

use axum::{
    extract::{self, Path, Query},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use weldfleet_queue::{Job, State};
use weldfleet_stores::clickhouse::EventLine;

use super::{
    Console, EventsQuery, PATIENCE,
    page_request::PageRequest,
    plain,
    problem::Problem,
    views::{self, For::Spreadsheet, Table},
    weld_query::WeldQuery,
};

/// Events and jobs of an export.
const MOST: u32 = 100_000;
/// Jobs that are read at a time.
const JOBS: u32 = 1000;
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
    request: PageRequest,
) -> Response {
    let text = request.text;
    let table = match list.as_str() {
        "nok.csv" => {
            let found = console.welds.all(&console.of_today(query)).await;
            found.map(|found| views::welds::nok_table(&found.welds, text))
        }
        "pareto.csv" => {
            let found = console.welds.pareto(&console.of_today(query)).await;
            found.map(|found| views::welds::pareto_table(&found, text))
        }
        "hits.csv" | "attempts.csv" => {
            let with_attempts = WeldQuery {
                attempts: "1".to_owned(),
                ..console.of_today(query)
            };
            let found = console.welds.one(&with_attempts).await;
            found.and_then(|weld| {
                let weld = weld.ok_or(Problem::NoWeld)?;
                match list.as_str() {
                    "hits.csv" => views::welds::hits_table(&weld, text),
                    _ => Ok(views::welds::attempts_table(
                        weld.attempts.as_deref().unwrap_or_default(),
                        Spreadsheet,
                        &request,
                    )),
                }
            })
        }
        "jobs.csv" => {
            let dead = console.all_dead().await;
            dead.map(|dead| views::dead_table(&dead, text))
        }
        "events.csv" => {
            let events = console.welds.events(MOST + 1, behind.before).await;
            events.map(|mut events| {
                let more = events.len() > MOST as usize;
                events.truncate(MOST as usize);
                let last = events.last().filter(|_| more).map(EventLine::key);
                let mut table = views::events_table(events, &request);
                // Whoever counts lines must not take these for all.
                table.rows.extend(last.map(|key| {
                    let rest = format!("{}&before={key}", request.page("/ui/events.csv"));
                    let mut row = vec!["…".to_owned(), text.older.to_owned(), rest];
                    row.resize(table.head.len(), String::new());
                    row
                }));
                table
            })
        }
        "shares.csv" => match console.shares.recent().await {
            Some(shares) => shares.map(|shares| views::shares_table(&shares, Spreadsheet, text)),
            None => Err(Problem::NothingSeen),
        },
        "days.csv" | "backfills.csv" | "workers.csv" => match console.cache.get(PATIENCE).await {
            None => Err(Problem::NothingSeen),
            Some((report, _)) => match list.as_str() {
                "days.csv" => report
                    .days
                    .as_ref()
                    .map(|_| views::days_table(&report, Spreadsheet, text)),
                "backfills.csv" => {
                    let dead = console.dead_jobs().await;
                    let runs = report.runs.as_ref();
                    runs.map(|_| views::runs_table(&report, &dead, text))
                }
                _ => {
                    let workers = report.workers.as_ref();
                    workers.map(|_| views::workers_table(&report, Spreadsheet, text))
                }
            }
            // A list that could not be read is no empty list.
            .ok_or_else(|| Problem::NotReached(report.problems.clone())),
        },
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let written = table.and_then(|table| {
        csv(&table, texts_of(&list)).map_err(|error| Problem::Other(error.to_string()))
    });
    match written {
        Ok(bytes) => {
            let name = format!("attachment; filename=\"weldfleet-{list}\"");
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (headers, bytes).into_response()
        }
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, &why, text),
    }
}

impl Console {
    /// Dead jobs, the oldest first: all, or none.
    async fn all_dead(&self) -> Result<Vec<Job>, Problem> {
        let (mut dead, mut cursor) = (Vec::new(), Some(0));
        while let Some(at) = cursor {
            let page = self.queue.list(State::Dead, at, JOBS).await?;
            dead.extend(page.jobs);
            if dead.len() > MOST as usize {
                return Err(Problem::TooManyJobs { most: MOST });
            }
            cursor = page.next;
        }
        Ok(dead)
    }
}

/// Places of the columns whose texts are the plant's, its people's or a model's: what looks like a number or a time there
/// is none.
fn texts_of(list: &str) -> &'static [usize] {
    match list {
        "nok.csv" => &[0, 2, 3, 4, 5, 6, 9, 11, 12],
        "pareto.csv" | "shares.csv" => &[0],
        "attempts.csv" => &[7],
        "jobs.csv" => &[2],
        "events.csv" => &[1, 3, 4, 5],
        "backfills.csv" => &[9, 10, 11],
        "workers.csv" => &[0, 7],
        _ => &[],
    }
}

fn csv(table: &Table, texts: &[usize]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(MARK.to_vec());
    writer.write_record(&table.head)?;
    for row in &table.rows {
        writer.write_record(row.iter().enumerate().map(|(place, cell)| {
            let is_changed = match texts.contains(&place) {
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
    use super::*;

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

    /// Places of columns are easily wrong.
    #[test]
    fn the_columns_of_texts_are_those() {
        let text = &crate::console::words::ENGLISH;
        let names = |list: &str, columns: &[&'static str]| {
            let names: Vec<&str> = texts_of(list).iter().map(|place| columns[*place]).collect();
            names.join(", ")
        };
        assert_eq!(
            names("nok.csv", &views::welds::nok_table(&[], text).head),
            "weld, part, spot, timer, body, defect, model, by, note"
        );
        assert_eq!(names("pareto.csv", &text.pareto_columns), "defect");
        assert_eq!(names("shares.csv", &text.share_columns), "line");
        let request = PageRequest {
            text,
            visitor: None,
            flash: None,
            undo: None,
            zone: Default::default(),
            rest: String::new(),
        };
        let attempts = views::welds::attempts_table(&[], Spreadsheet, &request).head;
        assert_eq!(names("attempts.csv", &attempts), "model");
        assert_eq!(names("jobs.csv", &text.dead_columns), "why");
        assert_eq!(
            names("events.csv", &text.event_columns),
            "who, on what, why, detail"
        );
        assert_eq!(
            names("backfills.csv", &text.run_columns),
            "asked by, what for, changed"
        );
        assert_eq!(names("workers.csv", &text.worker_columns), "worker, model");
    }

    #[test]
    fn a_cell_is_what_it_was_and_no_formula() {
        let row = ["=1+1", "-3.5", "@x", "a \"b\", 焊点", "", "-", "1.10"];
        let table = Table {
            head: vec!["a", "b", "c", "d", "e", "f", "g"],
            rows: vec![row.map(str::to_owned).to_vec(); 1],
        };
        for (texts, last) in [(&[6][..], "'1.10"), (&[], "1.10")] {
            let bytes = csv(&table, texts).unwrap();
            let text = std::str::from_utf8(bytes.strip_prefix(MARK).unwrap()).unwrap();
            assert_eq!(
                text,
                format!("a,b,c,d,e,f,g\r\n'=1+1,-3.5,'@x,\"a \"\"b\"\", 焊点\",,'-,{last}\r\n")
            );
        }
    }
}
