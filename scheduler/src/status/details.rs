//! What is dear to know: the rows of days that no pass looks at, what runs still want, what is not settled, whether
//! MySQL is equal. It takes whole days, or the whole table. So it is read beside the looks and as rarely as it is dear,
//! and the looks show the last of it with its age.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use weldfleet_queue::Queue;
use weldfleet_stores::{
    Class, Day, LIVE_RUN, StoreError,
    clickhouse::{DayCounts, Events, LeftElsewhere, Run, RunState, Runs, SourceTable},
    mysql::{Mirror, MirrorLag},
};

use super::{
    PACE_SECONDS,
    report::{OlderDay, OlderMirror},
};
use crate::{
    clock::now_ms,
    dependencies::day_groups,
    events::is_pause_lost,
    settle::{self, Rule},
};

/// How long each of the two halves may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// It is good for at least so long, and after a failure for this.
const FRESH: Duration = Duration::from_secs(15);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// A read that took so long is good for so many times that: it costs the stores less than a hundredth.
const SHARE: u32 = 99;
/// The same for one that is wanted since something was changed.
const SHARE_OF_CHANGES: u32 = 5;
/// Days of open runs whose verdicts are counted, and days of a run that are asked for at a time.
const MOST_DAYS: usize = 31;

/// What it depends on: if this changes, it is read anew at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    pub live: Vec<Day>,
    /// Runs that are open or held.
    pub runs: Vec<(u64, RunState)>,
    /// Whether MySQL answers.
    pub mirror: bool,
}

/// What is to be read.
pub struct Question {
    pub subject: Subject,
    pub table: SourceTable,
    pub queue: Queue,
    pub mirror: Option<Mirror>,
    /// Days with rows that the look has counted.
    pub counted: Vec<Day>,
    /// The only day that was asked for.
    pub day: Option<Day>,
    /// Runs that are open or held.
    pub runs: Vec<Run>,
    pub is_filtered: bool,
    /// The first day whose mirror is compared, if days before it are not.
    pub mirror_from: Option<Day>,
    /// A complete day may wait so long for being settled.
    pub settled_within: Duration,
}

/// What a run still wants.
#[derive(Debug, Clone, Copy)]
pub struct RunLeft {
    pub rows: u64,
    pub days: u64,
    /// Rows that it is to judge again on days that have left the table.
    pub gone: u64,
}

#[derive(Default)]
pub struct Details {
    subject: Subject,
    /// `None` until it has.
    ended: Option<Instant>,
    took: Duration,
    /// When it was begun, ms since 1970 by this machine's clock; for people.
    pub at_ms: i64,
    /// Verdicts of open runs' days that are not live.
    pub days: Vec<DayCounts>,
    pub not_selected: Option<u64>,
    /// Days of runs that went on when `elsewhere` was read: rows that are left there may have been judged since.
    covered: Vec<(Day, Day)>,
    pub elsewhere: Option<LeftElsewhere>,
    pub wanted: BTreeMap<u64, RunLeft>,
    /// Rows per second on those days.
    pub pace: f64,
    pub settling: Option<Settling>,
    pub mirror: Option<Vec<MirrorLag>>,
    pub mirror_kept: Option<u64>,
    pub mirror_older: Option<OlderMirror>,
    pub unknown_runs: Vec<u64>,
    pub pause_lost: bool,
    /// What could not be read in time, or at all.
    pub problems: Vec<String>,
    /// ClickHouse does not let the scheduler read it.
    pub refused: Option<String>,
    /// MySQL does not do what the comparison needs.
    pub mirror_away: Option<String>,
}

/// Days whose verdicts are in patch parts still.
pub struct Settling {
    pub unsettled: BTreeSet<Day>,
    /// Those that nothing keeps from being settled but the time: when they will have waited for long, ms since 1970.
    due: BTreeMap<Day, i64>,
}

impl Settling {
    /// Those that have waited for long.
    pub fn overdue(&self, now_ms: i64) -> BTreeSet<Day> {
        let overdue = self.due.iter().filter(|(_, due)| **due <= now_ms);
        overdue.map(|(day, _)| *day).collect()
    }
}

impl Details {
    /// Nothing is read yet.
    fn begun(subject: Subject, covered: Vec<(Day, Day)>) -> Self {
        Self {
            subject,
            covered,
            at_ms: now_ms(),
            ..Self::default()
        }
    }

    /// Older days with rows left that no run was at then, nor any of these is at now.
    pub fn older_days(&self, runs: &[(Day, Day)]) -> Option<Vec<OlderDay>> {
        let is_covered = |day: Day| {
            let mut runs = self.covered.iter().chain(runs);
            runs.any(|(from, to)| *from <= day && day <= *to)
        };
        let older = self.elsewhere.as_ref()?.older.iter();
        let older = older.filter(|(day, _)| !is_covered(*day));
        let older = older.map(|(day, left)| OlderDay {
            day: day.to_string(),
            left: *left,
        });
        Some(older.collect())
    }

    /// Whether this is about something else by now.
    pub fn is_of_other(&self, subject: &Subject) -> bool {
        self.subject != *subject
    }

    /// Whether its pace is one of the last minute still.
    pub fn is_recent(&self) -> bool {
        self.age() < Duration::from_secs(PACE_SECONDS.into())
    }

    fn age(&self) -> Duration {
        self.ended.map_or(Duration::ZERO, |ended| ended.elapsed())
    }

    pub fn is_due(&self, subject: &Subject) -> bool {
        let failed =
            !self.problems.is_empty() || self.refused.is_some() || self.mirror_away.is_some();
        self.age() >= good_for(self.took, failed, self.is_of_other(subject))
    }
}

fn good_for(took: Duration, failed: bool, is_of_other: bool) -> Duration {
    match (is_of_other, failed) {
        (true, _) => took * SHARE_OF_CHANGES,
        (false, true) => AFTER_FAILURE.max(took * SHARE),
        (false, false) => FRESH.max(took * SHARE),
    }
}

impl Question {
    /// Reads it; what cannot be read is missing, with the reason.
    pub async fn ask(self) -> Details {
        let began = Instant::now();
        let covered = self.runs.iter().map(|run| (run.from, run.to)).collect();
        let mut details = Details::begun(self.subject.clone(), covered);
        let reading = tokio::time::timeout(PATIENCE, self.read_rows(&mut details)).await;
        match reading {
            Ok(Ok(())) => {}
            Ok(Err(error)) => details.blame(&error),
            Err(_) => details.problems.push(slow(
                "clickhouse: the rows of backfills and older days could not be counted",
            )),
        }
        if let Some(mirror) = self.mirror.as_ref().filter(|_| self.subject.mirror) {
            let reading = tokio::time::timeout(PATIENCE, self.compare(mirror, &mut details)).await;
            match reading {
                Ok(Ok(())) => {}
                Ok(Err(error @ (StoreError::MySql { .. } | StoreError::MySqlSilent { .. }))) => {
                    details.mirror_away = Some(error.chain_and_remedy());
                }
                Ok(Err(error)) => details.blame(&error),
                Err(_) => details.problems.push(slow(
                    "mysql: the mirror could not be compared with clickhouse",
                )),
            }
        }
        details.took = began.elapsed();
        details.ended = Some(Instant::now());
        details
    }

    async fn read_rows(&self, details: &mut Details) -> Result<(), StoreError> {
        let (table, live) = (&self.table, &self.subject.live);
        // Each for itself: what the largest table cannot tell in time keeps nothing else back.
        if self.day.is_none()
            && let (Some(newest), Some(oldest)) = (live.iter().max(), live.iter().min())
        {
            match table.left_elsewhere(*oldest, *newest).await {
                Ok(elsewhere) => details.elsewhere = Some(elsewhere),
                Err(error) => details.blame(&error),
            }
        }
        match self.settling().await {
            Ok(settling) => details.settling = Some(settling),
            Err(error) => details.blame(&error),
        }
        // Nothing else hangs on it, and the events may not be there yet.
        details.pause_lost = is_pause_lost(&Events::on(table.server().clone())).await;
        match self.unknown_runs().await {
            Ok(unknown) => details.unknown_runs = unknown,
            Err(error) => details.blame(&error),
        }
        let mut days = Vec::new();
        for run in &self.runs {
            let of_run = run.days();
            let mut wanted: BTreeMap<Day, u64> = BTreeMap::new();
            for some in of_run.chunks(MOST_DAYS) {
                wanted.extend(table.wanted_rows(run.run, some, &run.selection).await?);
            }
            let told = RunLeft {
                rows: wanted.values().sum(),
                days: wanted.len() as u64,
                gone: table.gone(run).await?,
            };
            details.wanted.insert(run.run, told);
            if run.state == RunState::Open {
                let next = of_run.into_iter().filter(|day| wanted.contains_key(day));
                days.extend(next.filter(|day| !live.contains(day)));
            }
        }
        days.truncate(MOST_DAYS);
        days.sort_unstable();
        days.dedup();
        if self.day.is_some() {
            days.clear();
        }
        if !days.is_empty() {
            details.days = table.day_counts(&days).await?;
            details.pace = table.pace(&days, PACE_SECONDS).await?.rows_per_second;
        }
        if self.is_filtered {
            days.extend(&self.counted);
            details.not_selected = Some(table.not_selected(&days).await?);
        }
        Ok(())
    }

    /// Runs that have jobs, and that `weld_runs` has lost: nothing is sliced for them, and what is there is judged.
    async fn unknown_runs(&self) -> Result<Vec<u64>, StoreError> {
        // Another fleet's jobs are of its own runs. Without Redis nobody knows.
        if self.queue.check_owner().await.is_err() {
            return Ok(Vec::new());
        }
        let groups = day_groups(&self.queue).await.unwrap_or_default();
        let of_jobs: BTreeSet<u64> = groups
            .iter()
            .map(|(group, _)| group.run)
            .filter(|run| *run != LIVE_RUN && !self.runs.iter().any(|known| known.run == *run))
            .collect();
        let runs = Runs::on(self.table.server().clone());
        let mut unknown = Vec::new();
        for run in of_jobs {
            if runs.get(run).await?.is_none() {
                unknown.push(run);
            }
        }
        Ok(unknown)
    }

    async fn settling(&self) -> Result<Settling, StoreError> {
        let jobs = settle::jobs_by_day(&self.queue).await.ok();
        // Without Redis nobody knows whether a day has jobs left.
        let knows_jobs = jobs.is_some();
        let seen = settle::Unsettled {
            patches: self.table.patches().await?,
            jobs: jobs.unwrap_or_default(),
        };
        let today = self.subject.live.first().copied();
        let rule = Rule {
            not_over: today,
            quiet: Duration::ZERO,
        };
        let patience = self.settled_within + settle::may_wait(&seen.patches);
        let partitions = seen.patches.partitions.iter();
        let waiting = partitions
            .filter(|partition| knows_jobs && settle::obstacle(partition, &seen, rule).is_none());
        let mut due: BTreeMap<Day, i64> = BTreeMap::new();
        for partition in waiting {
            let quiet = Duration::from_secs(partition.quiet_seconds);
            let due_ms = now_ms() + patience.saturating_sub(quiet).as_millis() as i64;
            for day in &partition.days {
                let earliest = due.entry(day.day).or_insert(due_ms);
                *earliest = due_ms.min(*earliest);
            }
        }
        let unsettled = seen.patches.days().into_iter();
        Ok(Settling {
            unsettled: unsettled
                .filter(|day| today.is_none_or(|today| *day < today))
                .collect(),
            due,
        })
    }

    async fn compare(&self, mirror: &Mirror, details: &mut Details) -> Result<(), StoreError> {
        let mut days = self.counted.clone();
        days.extend(details.days.iter().map(|counts| counts.day));
        days.retain(|day| Some(*day) >= self.mirror_from);
        days.sort_unstable();
        let mut lag = mirror.lag(&days).await?;
        for lag in lag.iter_mut().filter(|lag| !lag.equal) {
            // What is kept is no lag; this process has not looked yet.
            mirror.survey_day(lag.day).await?;
            *lag = mirror.lag_of(lag.day).await?;
        }
        let kept_on_day = lag.iter().map(|lag| lag.kept).sum();
        details.mirror = Some(lag);
        details.mirror_kept = Some(kept_on_day);
        if self.day.is_none() {
            let mut totals = mirror.totals().await?;
            details.mirror_kept = Some(totals.kept);
            totals
                .behind
                .retain(|day, _| Some(*day) >= self.mirror_from && !days.contains(day));
            if let Some(why) = totals.uncounted {
                details.problems.push(why);
                return Ok(());
            }
            details.mirror_older = Some(OlderMirror {
                missing: totals.behind.values().map(|day| day.missing).sum(),
                of: totals.behind.values().map(|day| day.committed).sum(),
                days: totals.behind.len() as u64,
            });
        }
        Ok(())
    }
}

impl Details {
    fn blame(&mut self, error: &StoreError) {
        let why = error.chain_and_remedy();
        match error.class() {
            Class::Refused | Class::Fatal => self.refused = Some(why),
            _ => self.problems.push(why),
        }
    }
}

fn slow(what: &str) -> String {
    format!("{what} within {} s", PATIENCE.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was counted while the run went on would ask for the run that has just ended.
    #[test]
    fn days_of_a_run_that_has_ended_since_are_not_said_to_be_left() {
        let day = |number| Day::new(number).unwrap();
        let [first, second, third] = [20_261_101, 20_261_102, 20_261_103].map(day);
        let subject = Subject {
            live: Vec::new(),
            runs: vec![(7, RunState::Open)],
            mirror: false,
        };
        let mut details = Details::begun(subject, vec![(first, first)]);
        assert!(details.older_days(&[]).is_none());
        details.elsewhere = Some(LeftElsewhere {
            older: vec![(first, 10), (second, 20), (third, 30)],
            ..LeftElsewhere::default()
        });
        let left = |runs: &[(Day, Day)]| {
            let older = details.older_days(runs).unwrap().into_iter();
            older.map(|day| day.left).collect::<Vec<_>>()
        };
        assert_eq!(left(&[]), [20, 30]);
        assert!(left(&[(second, third)]).is_empty());
    }

    /// Without being read again.
    #[test]
    fn a_day_is_overdue_as_soon_as_it_has_waited_for_long() {
        let day = |number| Day::new(number).unwrap();
        let [first, second] = [20_261_101, 20_261_102].map(day);
        let settling = Settling {
            unsettled: [first, second].into(),
            due: [(first, 1000), (second, 2000)].into(),
        };
        let overdue = |now_ms| settling.overdue(now_ms).into_iter().collect::<Vec<_>>();
        assert!(overdue(999).is_empty());
        assert_eq!(overdue(1000), [first]);
        assert_eq!(overdue(2000), [first, second]);
    }

    #[test]
    fn it_costs_the_stores_less_than_a_hundredth_unless_something_was_changed() {
        let ms = Duration::from_millis;
        assert_eq!(good_for(ms(20), false, false), FRESH);
        let took = ms(2000);
        let good = good_for(took, false, false);
        assert!(took.as_secs_f64() / (took + good).as_secs_f64() <= 0.01);
        assert_eq!(good_for(ms(20), true, false), AFTER_FAILURE);
        assert_eq!(
            good_for(took, true, false),
            good,
            "one that took its time is not repeated"
        );
        assert_eq!(good_for(ms(20), false, true), ms(100));
    }
}
