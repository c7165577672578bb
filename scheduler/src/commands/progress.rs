//! Progress: a bar on a terminal, a plain line now and then elsewhere. On standard error, so that output stays clean.

use std::{
    fmt,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use weldfleet_service::{
    errln,
    output::{grouped, spoken},
};

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Rows done of rows to do.
pub struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    began: Instant,
    first: Option<u64>,
    said: Instant,
}

/// Rows a second, whole and grouped.
fn rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    let _ = out.write_str(&grouped(state.per_sec() as u64));
}

impl Progress {
    /// Nothing of `rows` is done.
    pub fn new(what: &'static str, rows: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix} {bar:30} {human_pos}/{human_len} rows, {rate:>8} rows/s, {eta} left {wide_msg}",
            );
            let bar = ProgressBar::new(rows).with_prefix(what);
            if let Ok(style) = style {
                bar.set_style(style.with_key("rate", rate));
            }
            bar
        });
        let now = Instant::now();
        Self {
            what,
            bar,
            began: now,
            first: None,
            said: now,
        }
    }

    /// So many rows are done of so many; `remark` says what it waits for, if it does.
    pub fn show(&mut self, done: u64, rows: u64, remark: &str) {
        let first = *self.first.get_or_insert(done);
        if let Some(bar) = &self.bar {
            bar.set_length(rows);
            bar.set_position(done);
            bar.set_message(remark.to_owned());
            return;
        }
        if self.said.elapsed() < LINE_EVERY {
            return;
        }
        self.said = Instant::now();
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = (done - first.min(done)) as f64 / seconds.max(0.001);
        let mut line = format!("{}: {} of {} rows", self.what, grouped(done), grouped(rows));
        if rate >= 1.0 && rows > done {
            let left = Duration::from_secs_f64((rows - done) as f64 / rate);
            line.push_str(&format!(
                ", {} rows/s, {} left",
                grouped(rate as u64),
                spoken(left)
            ));
        }
        if !remark.is_empty() {
            line.push_str(&format!(" ({remark})"));
        }
        errln!("{line}");
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
