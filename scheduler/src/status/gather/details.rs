//! What is dear to know, added to a look as it was last read.

use std::{collections::BTreeSet, time::Duration};

use weldfleet_stores::{Day, clickhouse::RunState, mysql::MirrorLag};

use super::Gatherer;
use crate::status::{
    details::{Details, Question},
    report::{DayLine, MirrorLine, Report, RunLine, StoreLine},
};

impl Gatherer {
    /// Waits at most `patience` for it where nothing is known of it, or something was changed.
    pub(super) async fn add_details(
        &mut self,
        question: Question,
        patience: Duration,
        report: &mut Report,
    ) {
        let live = question.subject.live.clone();
        let covered: Vec<(Day, Day)> = question.runs.iter().map(|run| (run.from, run.to)).collect();
        let known = self.details.as_ref();
        let is_wanted = known.is_none_or(|known| known.is_of_other(&question.subject));
        let mut patience = Some(patience).filter(|_| is_wanted).unwrap_or_default();
        if self.reading.is_none() && known.is_none_or(|known| known.is_due(&question.subject)) {
            self.reading = Some(tokio::spawn(question.ask()));
        } else {
            // Whoever began it has waited.
            patience = Duration::ZERO;
        }
        if let Some(reading) = &mut self.reading
            && let Ok(read) = tokio::time::timeout(patience, reading).await
        {
            self.reading = None;
            if let Some(before) = self.details.take() {
                let before = before.mirror.unwrap_or_default();
                self.committed = before.iter().map(|lag| (lag.day, lag.committed)).collect();
            }
            // One that panicked has said so on standard error.
            self.details = read.ok();
        }
        let Some(details) = &self.details else {
            report.note_problem(
                "clickhouse",
                "the rows of backfills and older days are being counted still",
            );
            return;
        };
        self.show(details, &live, &covered, report);
    }

    fn show(&self, details: &Details, live: &[Day], covered: &[(Day, Day)], report: &mut Report) {
        report.details_at_ms = Some(details.at_ms);
        let others = details
            .days
            .iter()
            .filter(|counts| !live.contains(&counts.day));
        let days = report.days.get_or_insert_default();
        days.extend(others.map(|counts| DayLine::of(counts, live)));
        days.sort_by(|a, b| a.day.cmp(&b.day));
        report.not_selected = details.not_selected;
        report.older_days = details.older_days(covered);
        if let Some(elsewhere) = &details.elsewhere {
            report.rows_later = Some(elsewhere.later);
            report.rows_on_no_day = Some(elsewhere.on_no_day);
        }
        let mut left = report.live_rows_left().unwrap_or_default();
        for line in report.runs.iter_mut().flatten() {
            let wanted = details.wanted.get(&line.run);
            let goes_on = matches!(line.state, RunState::Open | RunState::Held);
            let Some(wanted) = wanted.filter(|_| goes_on) else {
                continue;
            };
            (line.left, line.days_left) = (Some(wanted.rows), Some(wanted.days));
            line.gone = wanted.gone;
            left += if line.is_open() { wanted.rows } else { 0 };
        }
        let is_recent = details.is_recent();
        let of_days = (is_recent || details.days.is_empty()).then_some(details.pace);
        report.rows_per_second = pace(report.rows_per_second, of_days);
        // Rows of runs are as old as their pace.
        let open = report.runs.iter().flatten().any(RunLine::is_open);
        let goes_on = (is_recent || !open) && report.paused.is_none();
        report.eta_seconds = report
            .rows_per_second
            .filter(|_| goes_on)
            .and_then(|pace| time_left(left, pace));
        if let (Some(patches), Some(settling)) = (&mut report.patches, &details.settling) {
            let named = |days: &BTreeSet<Day>| days.iter().map(Day::to_string).collect();
            patches.days_unsettled = named(&settling.unsettled);
            patches.days_overdue = named(&settling.overdue(report.at_ms));
        }
        report.mirror_kept_rows = details.mirror_kept;
        report.mirror_older = details.mirror_older;
        report.unknown_runs.clone_from(&details.unknown_runs);
        report.pause_lost = details.pause_lost;
        let line = |lag: &MirrorLag| MirrorLine {
            day: lag.day.to_string(),
            committed: lag.committed,
            mirrored: lag.mirrored,
            kept: lag.kept,
            equal: lag.equal,
            late: self
                .committed
                .get(&lag.day)
                .map_or(0, |committed| committed.saturating_sub(lag.mirrored)),
        };
        let lags = details.mirror.as_ref();
        report.mirror = lags.map(|lags| lags.iter().map(line).collect());
        if let (StoreLine::Works, Some(why)) = (&report.stores.mysql, &details.mirror_away) {
            report.stores.mysql = StoreLine::Away(why.clone());
        }
        report.problems.extend(details.problems.iter().cloned());
        if let Some(why) = &details.refused {
            report.note_problem("clickhouse", why);
            report.stores.clickhouse = StoreLine::Refuses(why.clone());
        }
    }
}

/// Below a row a second it would be said beside a pace of 0, and be none that anybody plans with.
fn time_left(rows: u64, pace: f64) -> Option<f64> {
    (rows > 0 && pace >= 1.0).then(|| rows as f64 / pace)
}

/// Of the live days and of others together; `None` if either is not known.
fn pace(live: Option<f64>, others: Option<f64>) -> Option<f64> {
    Some(live? + others?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_left_beside_a_pace_of_nothing() {
        assert_eq!(time_left(500, 250.0), Some(2.0));
        assert_eq!(time_left(500, 0.9), None);
        assert_eq!(time_left(0, 250.0), None);
    }
}
