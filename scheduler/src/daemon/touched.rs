//! Days that passes touched, for the mirror reconciler.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Mutex,
    time::{Duration, Instant},
};

use weldfleet_service::lock;
use weldfleet_stores::Day;

use crate::pass::Summary;

/// How long a backfilled day is checked like a live one after its run was done.
const AFTER_RUN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct TouchedDays(Mutex<Days>);

#[derive(Debug, Default)]
struct Days {
    live: Vec<Day>,
    busy: BTreeSet<Day>,
    backfilled: HashMap<Day, Instant>,
}

impl TouchedDays {
    /// Notes what a pass saw.
    pub fn note(&self, live: Vec<Day>, summary: &Summary) {
        let mut days = lock(&self.0);
        days.live = live;
        days.busy.clone_from(&summary.busy_days);
        let now = Instant::now();
        days.backfilled
            .extend(summary.backfill_days.iter().map(|day| (*day, now)));
        days.backfilled.retain(|_, seen| seen.elapsed() < AFTER_RUN);
    }

    /// Days to check, the live ones first.
    pub fn wanted(&self) -> Vec<WantedDay> {
        let days = lock(&self.0);
        let mut backfilled: Vec<Day> = days.backfilled.keys().copied().collect();
        backfilled.sort_unstable();
        backfilled.retain(|day| !days.live.contains(day));
        let all = days.live.iter().copied().chain(backfilled);
        let wanted = all.enumerate().map(|(place, day)| WantedDay {
            day,
            is_live: place < days.live.len(),
            is_busy: days.busy.contains(&day),
        });
        wanted.collect()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct WantedDay {
    pub day: Day,
    pub is_live: bool,
    /// Its ranges are being judged.
    pub is_busy: bool,
}
