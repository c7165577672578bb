//! `scheduler status`: gathers what can be gathered, draws it, and says what could not be reached.

mod draw;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use weldfleet_service::{
    Exit, Failure, out,
    output::{self, Paint},
    stdio,
};
use weldfleet_settings::Settings;

use super::languages;
use crate::{
    args::StatusArgs,
    status::{
        gather::{Gatherer, LONGEST},
        report::{Report, Thresholds},
    },
};

const REDRAW_EVERY: Duration = Duration::from_secs(2);
/// Time between two looks at a fleet that may stand still.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long rows that nobody takes are watched at most.
const LONGEST_WATCH: Duration = Duration::from_secs(30);

pub async fn run(settings: Arc<Settings>, options: StatusArgs) -> Result<Exit, Failure> {
    let day = options
        .day
        .map(|day| day.resolve(&settings.scheduler.timezone))
        .transpose()?;
    let languages = languages(options.lang);
    let mut gatherer = Gatherer::new(settings, day)?;
    let mut first = Some(first_look(&mut gatherer).await?);
    loop {
        let report = match first.take() {
            Some(report) => report,
            None => gatherer.look(LONGEST).await?.report,
        };
        if options.json {
            output::json(&report)?;
        } else {
            let text = draw::report(&report, &languages, Paint::for_stdout());
            if options.watch {
                // Home, the text with each line's rest erased, then everything below.
                out!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"));
            } else {
                out!("{text}");
            }
            stdio::flush();
        }
        if !options.watch {
            return Ok(match report.stores.any_away() {
                true => Exit::Unreachable,
                false if report.problems.is_empty() => Exit::Done,
                false => Exit::Failed,
            });
        }
        if stdio::is_closed() {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(REDRAW_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        }
    }
}

/// Since when rows are left is not known yet: those of an idle fleet that came a moment ago look like a standstill.
/// They are watched for as long as they may be on their way.
async fn first_look(gatherer: &mut Gatherer) -> Result<Report, Failure> {
    let mut report = gatherer.look(LONGEST).await?.report;
    let began = Instant::now();
    let most = on_their_way(&report.thresholds);
    while looks_stuck(&report) && began.elapsed() < most {
        tokio::time::sleep(LOOK_EVERY).await;
        report = gatherer.look(LONGEST).await?.report;
    }
    Ok(report)
}

fn looks_stuck(report: &Report) -> bool {
    report
        .causes
        .iter()
        .any(|cause| cause.code == "unexplained")
}

/// Until the leader has looked and a partial range has waited, with two seconds for the rest.
fn on_their_way(thresholds: &Thresholds) -> Duration {
    let ms = thresholds.max_wait_ms + thresholds.poll_interval_ms + 2000;
    Duration::from_millis(ms).min(LONGEST_WATCH)
}
