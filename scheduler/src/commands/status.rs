//! `scheduler status`: gathers what can be gathered, draws it, and says what could not be reached.

mod draw;

use std::{sync::Arc, time::Duration};

use weldfleet_service::{
    Exit, Failure, out,
    output::{self, Paint},
    stdio,
};
use weldfleet_settings::Settings;

use super::adopt::languages;
use crate::{
    args::StatusArgs,
    status::gather::{Gatherer, LONGEST},
};

const REDRAW_EVERY: Duration = Duration::from_secs(2);

pub async fn run(settings: Arc<Settings>, options: StatusArgs) -> Result<Exit, Failure> {
    let day = options
        .day
        .map(|day| day.resolve(&settings.scheduler.timezone))
        .transpose()?;
    let languages = languages(options.lang);
    let mut gatherer = Gatherer::new(settings, day)?;
    loop {
        let report = gatherer.look(LONGEST).await?.report;
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
