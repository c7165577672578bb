//! The report as text.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use weldfleet_queue::{State, WorkerEntry};
use weldfleet_service::output::{Paint, grouped, spoken, table};
use weldfleet_stores::clickhouse::RunState;
use weldfleet_words::{Language, Words};

use crate::{
    commands::plain,
    status::report::{
        CauseLine, DayLine, MirrorLine, OlderDay, OlderMirror, PatchLine, Report, RunLine, gpu,
    },
};

/// Older days listed one by one; more are summed up.
const MOST_OLDER: usize = 10;

/// Draws the whole report.
pub fn report(report: &Report, languages: &[Language], paint: Paint) -> String {
    let mut text = String::new();
    for cause in &report.causes {
        text.push_str(&why_nothing_moves(cause, languages, paint));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    rows_left(&mut text, report, paint);
    work(&mut text, report, paint);
    remarks(&mut text, report, languages, paint);
    text
}

fn rows_left(text: &mut String, report: &Report, paint: Paint) {
    if let Some(days) = &report.days {
        section(text, paint, "days", &days_table(days, &report.today));
        if let Some(rows) = report.not_selected.filter(|rows| *rows > 0) {
            let rows = grouped(rows);
            let _ = writeln!(
                text,
                "{rows} more rows of these days are not the fleet's (tables.filter)\n"
            );
        }
    }
    if let Some(older) = report.older_days.as_ref().filter(|older| !older.is_empty()) {
        section(
            text,
            paint,
            "older days with rows left",
            &older_table(older),
        );
    }
    if let Some(runs) = report.runs.as_ref().filter(|runs| !runs.is_empty()) {
        section(text, paint, "runs", &runs_table(runs));
    }
}

fn work(text: &mut String, report: &Report, paint: Paint) {
    let mut line = |title: &str, what: &str| {
        let _ = writeln!(text, "{}  {what}", paint.bold(title));
    };
    if let Some(jobs) = &report.jobs {
        line("jobs", &job_counts(jobs, paint));
    }
    if let Some(rate) = report.rows_per_second {
        let left = report.eta_seconds.map(Duration::from_secs_f64);
        let left = left.map_or_else(String::new, |left| format!(", {} left", spoken(left)));
        let rate = grouped(rate as u64);
        line("pace", &format!("{rate} rows/s in the last minute{left}"));
    }
    if let Some(mirror) = &report.mirror {
        let kept = report.mirror_kept_rows.filter(|rows| *rows > 0);
        let kept = kept.map_or_else(String::new, |rows| {
            let rows = grouped(rows);
            format!("; {rows} NOK rows of MySQL stay, the source has no verdict for them")
        });
        let older = report.mirror_older.filter(|older| older.missing > 0);
        let older = older.map_or_else(String::new, |older| {
            let OlderMirror { missing, of, days } = older;
            let [missing, of] = [missing, of].map(grouped);
            let lack = format!("older days: {missing} of {of} NOK rows missing on {days} days");
            format!("; {}", paint.yellow(&lack))
        });
        line(
            "mirror",
            &format!("{}{older}{kept}", mirror_state(mirror, paint)),
        );
    }
    if let Some(patches) = &report.patches {
        line("patches", &settled(patches, paint));
    }
    if report.jobs.is_some() {
        let leader = report.leader.clone();
        line("leader", &leader.unwrap_or_else(|| paint.red("nobody")));
    }
    let workers = report.workers.as_ref();
    if let Some(workers) = workers.filter(|workers| !workers.is_empty()) {
        text.push('\n');
        let listed = workers_table(workers, report.thresholds.silent_ms);
        section(text, paint, "workers", &listed);
    }
}

/// How old what is dear to know is, what could not be read, what to do next.
fn remarks(text: &mut String, report: &Report, languages: &[Language], paint: Paint) {
    if let Some(age) = report.details_age() {
        let age = spoken(age);
        let _ = writeln!(
            text,
            "rows of runs and older days, what is not settled and the mirror: {age} old"
        );
    }
    for problem in &report.problems {
        let _ = writeln!(text, "{}", paint.red(&format!("not reached: {problem}")));
    }
    let hints = report.hints.iter();
    for hint in hints.flat_map(|hint| in_words(&hint.words, languages)) {
        let _ = writeln!(text, "{} {hint}", paint.yellow("→"));
    }
}

fn older_table(older: &[OlderDay]) -> String {
    let listed = older.iter().take(MOST_OLDER);
    let mut rows: Vec<Vec<String>> = listed
        .map(|day| vec![day.day.clone(), grouped(day.left)])
        .collect();
    if older.len() > MOST_OLDER {
        let rest: u64 = older[MOST_OLDER..].iter().map(|day| day.left).sum();
        rows.push(vec![
            format!("{} more", older.len() - MOST_OLDER),
            grouped(rest),
        ]);
    }
    table(&["day", "left"], &rows)
}

fn runs_table(runs: &[RunLine]) -> String {
    let row = |run: &RunLine| {
        vec![
            run.run.to_string(),
            run.from.clone(),
            run.to.clone(),
            run.selection.clone(),
            run.state.name().to_owned(),
            run.left.map_or_else(|| "-".to_owned(), grouped),
            why(run),
        ]
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    table(
        &["run", "from", "to", "rows wanted", "state", "left", "why"],
        &rows,
    )
}

fn job_counts(jobs: &BTreeMap<State, u64>, paint: Paint) -> String {
    let counts = State::ALL.iter().map(|state| {
        let count = jobs.get(state).copied().unwrap_or(0);
        let shown = format!("{} {state}", grouped(count));
        match state {
            State::Dead if count > 0 => paint.red(&shown),
            State::Splitting if count > 0 => paint.yellow(&shown),
            _ => shown,
        }
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn mirror_state(mirror: &[MirrorLine], paint: Paint) -> String {
    let behind = mirror.iter().filter(|day| !day.equal).map(|day| {
        format!(
            "{} has {} of {} NOK rows",
            day.day,
            grouped(day.mirrored),
            grouped(day.committed)
        )
    });
    match behind.collect::<Vec<_>>() {
        behind if behind.is_empty() => paint.green("equal"),
        behind => paint.yellow(&behind.join(", ")),
    }
}

fn workers_table(workers: &[WorkerEntry], silent_ms: u64) -> String {
    let row = |worker: &WorkerEntry| {
        let field = |name: &str| {
            let told = worker.fields.get(name).cloned();
            told.unwrap_or_else(|| "-".to_owned())
        };
        let heard = if worker.silent_ms > silent_ms {
            let silent = Duration::from_millis(worker.silent_ms);
            format!("silent for {}", spoken(silent))
        } else {
            "alive".to_owned()
        };
        vec![
            worker.id.to_string(),
            heard,
            worker.leases.to_string(),
            field("rows_per_second"),
            match gpu(worker) {
                Some(load) => format!("{}, {load}", field("device")),
                None => field("device"),
            },
            field("model_version"),
        ]
    };
    let rows: Vec<Vec<String>> = workers.iter().map(row).collect();
    table(&["id", "", "leases", "rows/s", "device", "model"], &rows)
}

/// One line for each language that is wanted.
fn in_words(words: &Words, languages: &[Language]) -> Vec<String> {
    words.lines(languages).map(plain).collect()
}

/// A cause, and on the next line what to do.
fn why_nothing_moves(cause: &CauseLine, languages: &[Language], paint: Paint) -> String {
    let lines = |words| in_words(words, languages);
    let mut text = String::new();
    for what in lines(&cause.what) {
        let shown = if cause.alarming {
            paint.red(&what)
        } else {
            paint.yellow(&what)
        };
        let _ = writeln!(text, "{shown}");
    }
    for remedy in lines(&cause.remedy) {
        let _ = writeln!(text, "  {remedy}");
    }
    text
}

/// What a run is for, and who stopped it.
fn why(run: &RunLine) -> String {
    let mut remarks = Vec::new();
    if !run.note.is_empty() {
        remarks.push(run.note.clone());
    }
    if matches!(run.state, RunState::Held | RunState::Cancelled) {
        let mut stopped = format!("{} by {}", run.state.name(), run.changed_by);
        if !run.changed_why.is_empty() {
            stopped.push_str(": ");
            stopped.push_str(&run.changed_why);
        }
        remarks.push(stopped);
    }
    plain(&remarks.join("; "))
}

fn settled(patches: &PatchLine, paint: Paint) -> String {
    let days = &patches.days_unsettled;
    let days = match (days.first(), days.last()) {
        (Some(first), Some(last)) if first == last => {
            paint.yellow(&format!("{first} is not settled"))
        }
        (Some(first), Some(last)) => paint.yellow(&format!(
            "{} days from {first} to {last} are not settled",
            days.len()
        )),
        _ => paint.green("every finished day is settled"),
    };
    let mut text = format!("{days}, {} in patch parts", bytes(patches.bytes));
    if patches.limit_bytes > 0 {
        text.push_str(&format!(" of {} at most", bytes(patches.limit_bytes)));
    }
    text
}

/// Bytes as people say them.
fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{size:.1} {}", units[unit])
    }
}

fn section(text: &mut String, paint: Paint, title: &str, body: &str) {
    let _ = writeln!(text, "{}\n{body}", paint.bold(title));
}

fn days_table(days: &[DayLine], today: &str) -> String {
    if days.is_empty() {
        return "no rows\n".to_owned();
    }
    let rows: Vec<Vec<String>> = days
        .iter()
        .map(|day| {
            let done = day.total - day.left;
            let percent = (done * 100).checked_div(day.total).unwrap_or(100);
            let mut line = vec![day.day.clone()];
            if day.day == today {
                line[0].push_str(" today");
            }
            let outcomes = day.outcomes.named().map(|(_, rows)| rows);
            let counts = [day.total, day.left].into_iter().chain(outcomes);
            line.extend(counts.map(grouped));
            line.push(format!("{percent}%"));
            line
        })
        .collect();
    table(
        &[
            "day", "rows", "left", "OK", "NOK", "invalid", "poison", "error", "done",
        ],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_settled_is_said_in_words() {
        let line = |days: &[&str], bytes, limit_bytes| {
            let patches = PatchLine {
                days_unsettled: days.iter().map(|day| (*day).to_owned()).collect(),
                days_overdue: Vec::new(),
                bytes,
                limit_bytes,
            };
            settled(&patches, Paint::plain())
        };
        assert_eq!(
            line(&[], 0, 32_212_254_720),
            "every finished day is settled, 0 B in patch parts of 30.0 GiB at most"
        );
        assert_eq!(
            line(&["20261126"], 1_468_006, 32_212_254_720),
            "20261126 is not settled, 1.4 MiB in patch parts of 30.0 GiB at most"
        );
        assert_eq!(
            line(&["20261125", "20261126"], 2048, 0),
            "2 days from 20261125 to 20261126 are not settled, 2.0 KiB in patch parts"
        );
    }
}
