//! Records that MySQL does not take while it takes others: a foreign key, a CHECK, a trigger, a row that somebody
//! locks, a column that keeps something else than what is written into it.
//!
//! Each is left out for a while and named, so that no record holds up the others, and none is written at every look: a
//! refused INSERT uses up an AUTO_INCREMENT value.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::row::same;
use crate::{
    Class, StoreError,
    clickhouse::nok::{NokRow, TextKey},
    lock,
    range::Day,
};

/// When a refused record is tried again: a person has to do something first.
const REFUSED_FOR: Duration = Duration::from_secs(600);
/// The same of one that was locked.
const LOCKED_FOR: Duration = Duration::from_secs(60);
/// Records that are remembered.
const MOST: usize = 100_000;
/// Records that are named; the rest are counted.
const NAMED: usize = 3;

/// What MySQL does not take or let go, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    pub rows: u64,
    named: Vec<String>,
}

impl Refusals {
    fn add(&mut self, day: Day, id: &str, why: &str) {
        self.rows += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("weld {id} of {day}: {why}"));
        }
    }
}

impl std::ops::AddAssign for Refusals {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.named.extend(other.named);
        self.named.truncate(NAMED);
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mysql refuses {} records: {}",
            self.rows,
            self.named.join("; ")
        )?;
        match self.rows.saturating_sub(self.named.len() as u64) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// What is done to one record, which MySQL may refuse.
pub(super) trait RecordChange: Clone {
    /// Ticks and id of its weld.
    fn weld(&self) -> (i64, &str);

    /// What is to be written; `None`: it is to go, or to have its time in other words.
    fn row(&self) -> Option<&NokRow> {
        None
    }
}

impl RecordChange for TextKey {
    fn weld(&self) -> (i64, &str) {
        (self.0, &self.2)
    }
}

/// A change that was not made.
pub(super) struct Refused<T> {
    pub change: T,
    why: Arc<str>,
    /// How long it is left out. One that only shared its statement with others is tried at the next look.
    left_out: Duration,
}

impl<T: RecordChange> Refused<T> {
    /// Each change of a statement that MySQL refused.
    pub(super) fn all(changes: &[T], error: &StoreError) -> Vec<Self> {
        let why: Arc<str> = error.said().into();
        let left_out = match (changes.len(), error.class()) {
            (1, Class::Retry) => LOCKED_FOR,
            (1, _) => REFUSED_FOR,
            _ => Duration::ZERO,
        };
        let refused = changes.iter().map(|change| Self {
            change: change.clone(),
            why: why.clone(),
            left_out,
        });
        refused.collect()
    }
}

struct LeftOut {
    /// See [`RecordChange::row`].
    row: Option<NokRow>,
    why: Arc<str>,
    until: Instant,
}

/// By day, ticks and id.
type ByWeld = BTreeMap<(Day, i64, String), LeftOut>;

/// What is left out for now. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct LeftOuts(Arc<Mutex<ByWeld>>);

impl LeftOuts {
    /// Forgets what is to be tried again.
    pub(super) fn expire(&self) {
        let now = Instant::now();
        lock(&self.0).retain(|_, left_out| left_out.until > now);
    }

    /// For one write of this day.
    pub(super) fn of_day(&self, day: Day) -> DayRefusals<'_> {
        DayRefusals {
            known: self,
            day,
            refused: Refusals::default(),
        }
    }
}

/// What one write of a day leaves out, and what MySQL refuses of it.
pub(super) struct DayRefusals<'a> {
    known: &'a LeftOuts,
    day: Day,
    pub refused: Refusals,
}

impl DayRefusals<'_> {
    /// Counts a refused change, and leaves it out for a while.
    pub(super) fn add<T: RecordChange>(&mut self, one: &Refused<T>) {
        let (weld, row) = (one.change.weld(), one.change.row());
        self.insert(weld, row, one.why.clone(), one.left_out);
    }

    /// The same of a record that keeps something else than what was written.
    pub(super) fn add_unkept(&mut self, row: &NokRow, column: &str) {
        let why = format!("column `{column}` does not keep what is written into it");
        self.insert(row.weld(), Some(row), why.into(), REFUSED_FOR);
    }

    fn insert(
        &mut self,
        (ticks, id): (i64, &str),
        row: Option<&NokRow>,
        why: Arc<str>,
        left_out: Duration,
    ) {
        self.refused.add(self.day, id, &why);
        let mut known = lock(&self.known.0);
        if !left_out.is_zero() && known.len() < MOST {
            let (row, until) = (row.cloned(), Instant::now() + left_out);
            let weld = (self.day, ticks, id.to_owned());
            known.insert(weld, LeftOut { row, why, until });
        }
    }

    /// Whether the weld's record is left out, if the same is to be done to it; then it counts as refused.
    pub(super) fn holds(&mut self, change: &impl RecordChange) -> bool {
        let known = lock(&self.known.0);
        if known.is_empty() {
            return false;
        }
        let (ticks, id) = change.weld();
        let Some(left_out) = known.get(&(self.day, ticks, id.to_owned())) else {
            return false;
        };
        let is_same = match (&left_out.row, change.row()) {
            (Some(then), Some(now)) => same(then, now),
            (then, now) => then.is_none() && now.is_none(),
        };
        let holds = is_same && left_out.until > Instant::now();
        if holds {
            self.refused.add(self.day, id, &left_out.why);
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_named_and_all_are_counted() {
        let day = Day::new(20_261_122).unwrap();
        let mut all = Refusals::default();
        for id in ["1", "2"] {
            let mut one = Refusals::default();
            one.add(day, id, "X");
            one.add(day, id, "Y");
            all += one;
        }
        assert_eq!(
            all.to_string(),
            "mysql refuses 4 records: weld 1 of 20261122: X; weld 1 of 20261122: Y; weld 2 of 20261122: X; and 1 more"
        );
    }
}
