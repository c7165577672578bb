//! Lists for a spreadsheet: CSV as RFC 4180 has it, with the mark by which Excel knows UTF-8.

use axum::{
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{
    Console, PATIENCE,
    asked::Asked,
    plain,
    problem::Problem,
    views::{self, Table},
    wanted::Wanted,
};

/// Events of an export.
const EVENTS: u32 = 100_000;
/// U+FEFF in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// `GET /ui/LIST.csv`
pub async fn list(
    State(console): State<Console>,
    Path(list): Path<String>,
    Query(wanted): Query<Wanted>,
    asked: Asked,
) -> Response {
    let text = asked.text;
    let table = match list.as_str() {
        "nok.csv" => {
            let found = console.welds.all(&console.of_today(wanted)).await;
            found.map(|found| views::welds::nok_table(&found.welds, text))
        }
        "jobs.csv" => {
            let dead = console.dead_jobs().await;
            dead.map(|dead| views::dead_table(&dead, text))
        }
        "events.csv" => {
            let events = console.welds.events(EVENTS, 0).await;
            events.map(|events| views::events_table(events, text))
        }
        "days.csv" | "backfills.csv" | "workers.csv" => match console.cache.get(PATIENCE).await {
            None => Err(Problem::NothingSeen),
            Some((report, _)) => match list.as_str() {
                "days.csv" => report
                    .days
                    .as_ref()
                    .map(|_| views::days_table(&report, text)),
                "backfills.csv" => {
                    let dead = console.dead_jobs().await;
                    let runs = report.runs.as_ref();
                    runs.map(|_| views::runs_table(&report, &dead, text))
                }
                _ => {
                    let workers = report.workers.as_ref();
                    workers.map(|_| views::workers_table(&report, text))
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

/// A text that a spreadsheet would take for a formula gets an apostrophe, which shows it as it is.
fn harmless(cell: &str) -> std::borrow::Cow<'_, str> {
    let is_formula =
        cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    if is_formula {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
