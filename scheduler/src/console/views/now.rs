//! Whether somebody should do something, and how it goes.

use std::{sync::Arc, time::Duration};

use askama::{Error, Template};
use weldfleet_queue::State;
use weldfleet_service::output::grouped;

use super::{
    frame::{Frame, View},
    notes::{details_age, not_reached, unread},
    shares,
    table::{Columns, For, Table},
};
use crate::{
    console::{page_request::PageRequest, problem::Problem, shares::ShiftShares, words::Text},
    pass::LIVE,
    settle,
    status::report::{CauseLine, DayLine, Outlook, Report},
};

/// Older days told one by one; more are summed up.
const MOST_OLDER: usize = 10;

/// Live jobs that wait for a worker longer than this are told of, as by the alert `WeldfleetWaitsLong`.
const WAITS_LONG: Duration = Duration::from_secs(60);

#[derive(Template)]
#[template(path = "now.html")]
struct NowPage<'a> {
    t: &'static Text,
    frame: Frame<'a>,
    /// Its colour, and what it says.
    outlook: (&'static str, &'static str),
    /// What is the matter, and the remedy.
    causes: Vec<(&'a str, &'a str)>,
    /// What else a person may want to know.
    hints: Vec<String>,
    /// How old what is read more rarely is; `None`: about as old as the rest.
    details_age: Option<String>,
    /// Whether there is something to resume.
    paused: bool,
    /// Name and value.
    figures: Vec<(&'static str, String)>,
    /// NOK shares by line, under what is compared, or why there are none.
    shares: Option<Result<(String, Table), String>>,
    /// Why the days cannot be told.
    notes: Vec<String>,
    table: Table,
    of_the_days: Vec<String>,
}

pub fn page(
    report: &Report,
    shares: Option<&Result<Arc<ShiftShares>, Problem>>,
    request: &PageRequest,
) -> Result<String, Error> {
    let text = request.text;
    let causes = report.causes.iter();
    let causes = causes.map(|cause| (cause.what.of(text.lang), cause.remedy.of(text.lang)));
    let hints = report
        .hints
        .iter()
        .map(|hint| hint.words.of(text.lang).to_owned());
    let problems = report
        .further_problems()
        .map(|problem| not_reached(problem, text));
    let page = NowPage {
        t: text,
        frame: Frame::at(View::Now, report.at_ms, request),
        outlook: match report.outlook() {
            Outlook::StandsStill => ("red", text.stands_still),
            Outlook::NeedsAttention => ("amber", text.attention),
            Outlook::Calm => ("calm", text.in_order),
        },
        causes: causes.collect(),
        hints: problems.chain(hints).collect(),
        details_age: details_age(report, text),
        // A pause for settling ends by itself; a person may take its place.
        paused: report
            .paused
            .as_ref()
            .is_some_and(|pause| settle::ends_ms(pause).is_none()),
        figures: figures(report, text),
        shares: shares.map(|shares| match shares {
            Ok(shares) => {
                let table = shares::table(shares, For::People, text);
                Ok((shares::heading(shares, text), table))
            }
            Err(why) => Err(why.text(text.lang)),
        }),
        notes: unread(report.days.is_none(), report, text),
        table: days_table(report, For::People, text),
        of_the_days: of_the_days(report, text),
    };
    page.render()
}

fn figures(report: &Report, text: &Text) -> Vec<(&'static str, String)> {
    let jobs = |state| {
        let jobs = report.jobs.as_ref();
        jobs.map(|jobs| grouped(jobs.get(&state).copied().unwrap_or(0)))
    };
    let live = report.live_rows_left();
    let eta = report
        .eta_seconds
        .map(|seconds| text.spoken(Duration::from_secs_f64(seconds)));
    let workers = report.workers.as_ref();
    [
        (text.keeps_up, keeps_up(report, text)),
        (text.left, live.map(grouped)),
        (text.left_of_runs, left_of_open_runs(report).map(grouped)),
        (
            text.pace,
            report.rows_per_second.map(|pace| grouped(pace as u64)),
        ),
        (text.eta, eta),
        (text.pending, jobs(State::Pending)),
        (text.leased, jobs(State::Leased)),
        (text.dead, jobs(State::Dead)),
        (
            text.alive,
            workers.map(|_| report.living_workers().count().to_string()),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.unwrap_or_else(|| For::People.nothing())))
    .collect()
}

/// `None` while those of one are not counted.
fn left_of_open_runs(report: &Report) -> Option<u64> {
    let runs = report.runs.as_ref()?.iter();
    let open = runs.filter(|run| run.is_open());
    open.map(|run| run.left).sum()
}

/// What `scheduler status` tells of the days besides.
fn of_the_days(report: &Report, text: &Text) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(rows) = report.not_selected.filter(|rows| *rows > 0) {
        told.push(text.not_selected.replace("{rows}", &grouped(rows)));
    }
    let older = report.older_days.as_deref().unwrap_or_default();
    if !older.is_empty() {
        let (first, more) = older.split_at(older.len().min(MOST_OLDER));
        let mut days: Vec<String> = first
            .iter()
            .map(|day| format!("{}{}{}", day.day, text.colon, grouped(day.left)))
            .collect();
        if !more.is_empty() {
            let rows: u64 = more.iter().map(|day| day.left).sum();
            let said = text.more_days.replace("{days}", &more.len().to_string());
            days.push(said.replace("{rows}", &grouped(rows)));
        }
        told.push(text.older_left.replace("{days}", &days.join(text.comma)));
    }
    let behind = report.mirror.iter().flatten().filter(|day| !day.equal);
    told.extend(behind.map(|line| {
        let said = text.mirror_lag.replace("{day}", &line.day);
        let said = said.replace("{mirrored}", &grouped(line.mirrored));
        said.replace("{committed}", &grouped(line.committed))
    }));
    if let Some(rows) = report.mirror_kept_rows.filter(|rows| *rows > 0) {
        told.push(text.mirror_kept.replace("{rows}", &grouped(rows)));
    }
    told
}

/// Whether live rows are judged as they come; `None` if nobody can tell.
fn keeps_up(report: &Report, text: &Text) -> Option<String> {
    let queue = report.queue.as_ref()?;
    let left = report.live_rows_left();
    // A standstill is only one of live rows if there are any.
    let behind = |cause: &CauseLine| match cause.code {
        "back_pressure" => cause.alarming,
        "settling" => false,
        "only_delayed" | "only_isolated" | "only_splitting" | "only_dead" => {
            left.is_none_or(|rows| rows > 0)
        }
        _ => cause.stops,
    };
    if report.causes.iter().any(behind) {
        return Some(text.no.to_owned());
    }
    let is_live = queue.oldest_pending_priority == Some(LIVE);
    let waits = queue.oldest_pending_ms.filter(|_| is_live);
    Some(match waits.map(Duration::from_millis) {
        Some(waits) if waits > WAITS_LONG => format!("{} {}", text.waits, text.spoken(waits)),
        _ if left.is_none() => return None,
        _ => text.yes.to_owned(),
    })
}

pub fn days_table(report: &Report, whom: For, text: &Text) -> Table {
    let [day, rows, left, ok, nok, share, invalid, poison, error] = text.day_columns;
    let count = |of: fn(&DayLine) -> u64| move |day: &DayLine| whom.count(of(day));
    Columns::<DayLine>::new()
        .ours(day, |day| day.day.clone())
        .ours(rows, count(|day| day.total))
        .ours(left, count(|day| day.left))
        .ours(ok, count(|day| day.outcomes.ok))
        .ours(nok, count(|day| day.outcomes.nok))
        .ours(share, |day| {
            let rows = &day.outcomes;
            whom.share(rows.nok, rows.ok + rows.nok)
        })
        .ours(invalid, count(|day| day.outcomes.invalid))
        .ours(poison, count(|day| day.outcomes.poison))
        .ours(error, count(|day| day.outcomes.error))
        .table(report.days.iter().flatten())
}

#[cfg(test)]
mod tests {
    use weldfleet_queue::WorkerEntry;
    use weldfleet_stores::clickhouse::RunState;

    use super::{
        super::fixtures::{report, request},
        *,
    };
    use crate::{
        console::words::{CHINESE, ENGLISH},
        status::{
            causes::Cause,
            report::{MirrorLine, OlderDay, QueueFacts, RunLine, Thresholds},
            worker_entry,
        },
    };

    #[test]
    fn a_spreadsheet_gets_numbers_that_it_can_count_with() {
        let table = days_table(&report(), For::Spreadsheet, &ENGLISH);
        assert_eq!(
            table.rows[0][1..6],
            ["2000", "1234", "750", "6", "0.007937"]
        );
        assert_eq!(For::Spreadsheet.share(0, 0), "");
    }

    #[test]
    fn now_says_the_sentence_and_the_figures_in_either_language() {
        let html = page(&report(), None, &request(&ENGLISH)).unwrap();
        assert!(
            html.contains("class=\"red\"") && html.contains("no scheduler leads"),
            "{html}"
        );
        assert!(
            html.contains("<dd>1,234</dd>") && html.contains("0.79 %"),
            "{html}"
        );
        let html = page(&report(), None, &request(&CHINESE)).unwrap();
        assert!(
            html.contains("没有主调度器") && html.contains("lang=\"zh\""),
            "{html}"
        );
        let calm = Report {
            causes: vec![Cause::NothingToDo.line()],
            ..Report::default()
        };
        let html = page(&calm, None, &request(&ENGLISH)).unwrap();
        assert!(
            html.contains("class=\"calm\"") && html.contains("nothing to do"),
            "{html}"
        );
    }

    #[test]
    fn now_tells_of_the_days_what_status_tells() {
        let older = |day: u32| OlderDay {
            day: day.to_string(),
            left: 3,
        };
        let line = |equal| MirrorLine {
            day: "20261128".to_owned(),
            committed: 1006,
            mirrored: 1000,
            kept: 0,
            equal,
            late: 0,
        };
        let open = RunLine {
            state: RunState::Open,
            left: Some(800),
            ..RunLine::default()
        };
        let mut report = Report {
            runs: Some(vec![open, report().runs.unwrap().remove(0)]),
            not_selected: Some(12),
            older_days: Some((20_261_101..20_261_113).map(older).collect()),
            mirror: Some(vec![line(false), line(true)]),
            mirror_kept_rows: Some(9),
            ..report()
        };
        let html = page(&report, None, &request(&ENGLISH)).unwrap();
        for told in [
            "<dt>live rows left</dt><dd>1,234</dd>",
            "<dt>rows left of backfills</dt><dd>800</dd>",
            "12 more rows of these days",
            "20261101: 3, ",
            "20261110: 3, 2 more days: 6.",
            "MySQL has 1,000 of 1,006 NOK rows of 20261128.",
            "9 NOK rows of MySQL stay",
        ] {
            assert!(html.contains(told), "{told}: {html}");
        }
        let told = of_the_days(&report, &CHINESE);
        assert!(!told.concat().contains('{'), "{told:?}");
        report
            .runs
            .iter_mut()
            .flatten()
            .for_each(|run| run.left = None);
        assert_eq!(left_of_open_runs(&report), None);
        assert!(of_the_days(&Report::default(), &ENGLISH).is_empty());
    }

    #[test]
    fn a_fleet_keeps_up_if_live_rows_are_judged_as_they_come() {
        let up = |cause: Option<Cause>, left: u64, waits: Option<u64>| {
            let report = Report {
                causes: cause.iter().map(Cause::line).collect(),
                days: Some(vec![DayLine {
                    live: true,
                    left,
                    ..DayLine::default()
                }]),
                queue: Some(QueueFacts {
                    oldest_pending_ms: waits,
                    oldest_pending_priority: Some(LIVE),
                    ..QueueFacts::default()
                }),
                ..Report::default()
            };
            keeps_up(&report, &ENGLISH).unwrap()
        };
        let delayed = |left| {
            let until = "12:00:30".to_owned();
            up(Some(Cause::OnlyDelayed { jobs: 1, until }), left, None)
        };
        let full = |live| {
            up(
                Some(Cause::BackPressure {
                    live,
                    jobs: 1000,
                    miscounted: 0,
                }),
                7,
                None,
            )
        };
        assert_eq!(up(None, 1000, Some(60_000)), "yes");
        assert_eq!(
            up(None, 1000, Some(61_000)),
            "no, live work waits 1 min 1 s"
        );
        assert_eq!(up(Some(Cause::NoLeader), 1000, None), "no");
        assert_eq!((&*full(true), &*full(false)), ("no", "yes"));
        assert_eq!((&*delayed(7), &*delayed(0)), ("no", "yes"));
        let dead = |left| up(Some(Cause::OnlyDead { jobs: 1 }), left, None);
        assert_eq!((&*dead(7), &*dead(0)), ("no", "yes"));
        assert_eq!(keeps_up(&Report::default(), &ENGLISH), None);
    }

    #[test]
    fn now_counts_workers_that_live_and_says_what_could_not_be_looked_at() {
        let worker = |silent_ms| WorkerEntry {
            silent_ms,
            ..worker_entry(&[])
        };
        let report = Report {
            workers: Some(vec![worker(0), worker(15_001)]),
            thresholds: Thresholds {
                silent_ms: 15_000,
                ..Thresholds::default()
            },
            problems: vec!["clickhouse: older days could not be counted".to_owned()],
            at_ms: 100_000,
            details_at_ms: Some(58_000),
            ..Report::default()
        };
        let html = page(&report, None, &request(&ENGLISH)).unwrap();
        for query in [
            "class=\"amber\"",
            "older days could not be counted",
            "<dd>1</dd>",
            "42 s old",
        ] {
            assert!(html.contains(query), "{query}: {html}");
        }
    }
}
