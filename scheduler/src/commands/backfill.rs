//! `scheduler backfill`: records a run; whoever leads slices it.

use std::sync::Arc;

use serde_json::{Value, json};
use weldfleet_service::{
    Exit, Failure, out, outln,
    output::{self, grouped, table},
};
use weldfleet_settings::{Settings, Zone};
use weldfleet_stores::{Day, Selection, clickhouse::NewRun};

use super::{keep, operator, steer, wait};
use crate::{
    actions::runs::MOST_DAYS,
    args::Backfill,
    clock::today,
    dependencies::{Dependencies, store_failure},
    events::BACKFILL,
};

pub async fn run(settings: Arc<Settings>, mut options: Backfill) -> Result<Exit, Failure> {
    if let Some(steer) = options.steer.take() {
        return steer::run(settings, steer).await;
    }
    let (from, to) = asked(&options, &settings.scheduler.timezone)?;
    let today = today(&settings.scheduler.timezone)?;
    let days = days(from, to, today, settings.scheduler.lookahead_days)?;
    let selection = selection(&options);
    let deps = Dependencies::open(settings.clone()).await?;
    // No run is newer than one that does not exist yet.
    let counts = deps
        .table
        .wanted_rows(u64::MAX, &days, &selection)
        .await
        .map_err(store_failure)?;
    let rows: u64 = counts.iter().map(|(_, rows)| rows).sum();
    let mut outcome = json!({
        "from": from.to_string(), "to": to.to_string(), "selection": selection.to_string(), "rows": rows,
        "days": counts.iter().map(|(day, rows)| json!({ "day": day.to_string(), "rows": rows })).collect::<Vec<_>>(),
        "run": Value::Null,
        "run_id": Value::Null,
    });
    if options.dry_run || rows == 0 {
        if options.json {
            output::json(&outcome)?;
        } else if options.dry_run {
            print_days(&counts, rows);
        } else {
            outln!("nothing to do: {}", nothing(&selection, from, to));
        }
        return Ok(Exit::Done);
    }
    let by = operator(&options.note);
    let new = NewRun {
        from,
        to,
        selection,
        order: options.order.into(),
        note: options.note,
        by: by.who.clone(),
        announced: counts.clone(),
    };
    let run = deps.runs.insert(&new).await.map_err(store_failure)?;
    let [from, to] = [from, to].map(|day| day.to_string());
    let detail = BACKFILL.words(&[&from, &to, &grouped(rows), &new.selection.to_string()]);
    let event = by.event("backfill", format!("run {run}"), detail.en);
    keep(&settings, &[event]).await;
    outcome["run"] = json!(run);
    outcome["run_id"] = json!(run.to_string());
    if !options.json {
        outln!(
            "run {run}: {} rows on {}; it goes on without this process (`scheduler status` shows it)",
            grouped(rows),
            if counts.len() == 1 {
                "1 day".to_owned()
            } else {
                format!("{} days", counts.len())
            },
        );
    }
    if options.wait {
        return wait::until_done(
            &deps,
            run,
            &days,
            &new.selection,
            rows,
            options.json.then_some(outcome),
        )
        .await;
    }
    if options.json {
        output::json(&outcome)?;
    }
    Ok(Exit::Done)
}

/// The first and the last day; clap sees to it that both are there.
fn asked(options: &Backfill, zone: &Zone) -> Result<(Day, Day), Failure> {
    match (options.from, options.to) {
        (Some(from), Some(to)) => Ok((from.resolve(zone)?, to.resolve(zone)?)),
        _ => Err(Failure::usage("--from and --to are needed")),
    }
}

fn days(from: Day, to: Day, today: Day, lookahead_days: u16) -> Result<Vec<Day>, Failure> {
    if from > to {
        return Err(Failure::usage(format!(
            "--from {from} is after --to {to}; swap them"
        )));
    }
    if Some(to) > today.offset(lookahead_days.into()) {
        return Err(Failure::usage(format!(
            "--to {to} is in the future; today is {today} in scheduler.timezone"
        )));
    }
    let days: Vec<Day> = from.to(to).take(MOST_DAYS + 1).collect();
    if days.len() > MOST_DAYS {
        return Err(Failure::usage(format!(
            "--from {from} is more than {MOST_DAYS} days before --to {to}; ask for less at a time"
        )));
    }
    Ok(days)
}

fn selection(options: &Backfill) -> Selection {
    if options.force {
        Selection::Force
    } else if options.status.is_empty() {
        Selection::New
    } else {
        Selection::Status(options.status.clone())
    }
}

fn nothing(selection: &Selection, from: Day, to: Day) -> String {
    let days = if from == to {
        format!("on {from}")
    } else {
        format!("from {from} to {to}")
    };
    match selection {
        Selection::New => {
            format!("no row {days} is without a verdict (--force judges rows again that have one)")
        }
        Selection::Force => format!("there is no row {days}"),
        Selection::Status(statuses) => {
            let names: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
            format!("no row {days} is {}", names.join(" or "))
        }
    }
}

fn print_days(counts: &[(Day, u64)], rows: u64) {
    let mut lines: Vec<Vec<String>> = counts
        .iter()
        .map(|(day, rows)| vec![day.iso(), grouped(*rows)])
        .collect();
    lines.push(vec!["all".to_owned(), grouped(rows)]);
    out!("{}", table(&["day", "rows"], &lines));
    outln!("nothing was requested (--dry-run)");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: &str, to: &str, today: u32) -> Result<Vec<Day>, Failure> {
        asked_with(from, to, today, 0)
    }

    fn asked_with(from: &str, to: &str, today: u32, ahead: u16) -> Result<Vec<Day>, Failure> {
        let day = |text: &str| text.parse().unwrap();
        days(day(from), day(to), Day::new(today).unwrap(), ahead)
    }

    #[test]
    fn tomorrow_can_be_asked_for_where_it_is_live() {
        let ahead = |to, ahead| asked_with("20261122", to, 20_261_122, ahead).is_ok();
        assert!(ahead("20261123", 1) && !ahead("20261123", 0));
        assert!(!ahead("20261124", 1));
    }

    fn refusal(from: &str, to: &str) -> String {
        let failure = asked(from, to, 20_261_122).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        failure.error.to_string()
    }

    #[test]
    fn days_that_make_no_sense_are_refused_with_the_remedy() {
        insta::assert_snapshot!(refusal("20261110", "20261109"), @"--from 20261110 is after --to 20261109; swap them");
        insta::assert_snapshot!(refusal("20261120", "20261123"), @"--to 20261123 is in the future; today is 20261122 in scheduler.timezone");
        insta::assert_snapshot!(refusal("19980101", "20261120"), @"--from 19980101 is more than 3660 days before --to 20261120; ask for less at a time");
    }

    #[test]
    fn all_days_are_counted_over_a_month_and_leap_day() {
        let all = asked("20240227", "20240301", 20_261_122).unwrap();
        let names: Vec<String> = all.iter().map(Day::to_string).collect();
        assert_eq!(names, ["20240227", "20240228", "20240229", "20240301"]);
    }
}
