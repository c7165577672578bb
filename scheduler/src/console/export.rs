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
    let written =
        table.and_then(|table| csv(&table).map_err(|error| Problem::Other(error.to_string())));
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

fn csv(table: &Table) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(MARK.to_vec());
    writer.write_record(&table.head)?;
    for row in &table.rows {
        writer.write_record(row.iter().map(|cell| harmless(cell).into_owned()))?;
    }
    writer
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// A text that a spreadsheet would take for a formula, or for a number that it rounds or writes in another way, gets an
/// apostrophe, which shows it as it is.
fn harmless(cell: &str) -> std::borrow::Cow<'_, str> {
    let is_number = cell.parse::<f64>().is_ok();
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let is_digits = cell.bytes().all(|byte| byte.is_ascii_digit());
    let has_leading_zero = is_digits && cell.len() > 1 && cell.starts_with('0');
    let is_rounded = is_digits && cell.len() > EXACT_DIGITS;
    let has_exponent = is_number
        && cell.starts_with(|first: char| first.is_ascii_digit())
        && cell.contains(['e', 'E']);
    if is_formula || has_leading_zero || is_rounded || has_exponent {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_no_number_that_is_rounded() {
        for id in ["20261128210501123", "007", "1E5", "12e3"] {
            assert_eq!(harmless(id), format!("'{id}"));
        }
        for number in ["20261128", "0", "0.9120", "-3.5", "100000", "", "7/7"] {
            assert_eq!(harmless(number), number);
        }
    }

    #[test]
    fn a_cell_is_what_it_was_and_no_formula() {
        let row = ["=1+1", "-3.5", "@x", "a \"b\", 焊点", "", "-"];
        let table = Table {
            head: vec!["a", "b", "c", "d", "e", "f"],
            rows: vec![row.map(str::to_owned).to_vec()],
        };
        let bytes = csv(&table).unwrap();
        let text = std::str::from_utf8(bytes.strip_prefix(MARK).unwrap()).unwrap();
        assert_eq!(
            text,
            "a,b,c,d,e,f\r\n'=1+1,-3.5,'@x,\"a \"\"b\"\", 焊点\",,'-\r\n"
        );
    }
}
