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
use crate::{Class, StoreError, clickhouse::nok::NokRow, lock, range::Day};

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
    pub(super) fn add(&mut self, day: Day, id: &str, why: &str) {
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

/// A row that was not written.
pub(super) struct Refused<T> {
    pub row: T,
    pub why: Arc<str>,
    /// How long it is left out. A row that only shared its statement with others is tried at the next look.
    pub left_out: Duration,
}

impl<T: Clone> Refused<T> {
    /// Each row of a statement that MySQL refused.
    pub(super) fn all(rows: &[T], error: &StoreError) -> Vec<Self> {
        let why: Arc<str> = error.said().into();
        let left_out = match (rows.len(), error.class()) {
            (1, Class::Retry) => LOCKED_FOR,
            (1, _) => REFUSED_FOR,
            _ => Duration::ZERO,
        };
        let refused = rows.iter().map(|row| Self {
            row: row.clone(),
            why: why.clone(),
            left_out,
        });
        refused.collect()
    }
}

struct LeftOut {
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

    /// Counts a refused record, and leaves it out for a while. `row` is what was to be written; `None`: it was to go,
    /// or to have its time in other words.
    pub(super) fn add<T>(
        &self,
        day: Day,
        weld: (i64, &str),
        row: Option<&NokRow>,
        one: &Refused<T>,
        refused: &mut Refusals,
    ) {
        refused.add(day, weld.1, &one.why);
        self.insert(day, weld, row, one.why.clone(), one.left_out);
    }

    /// The same of a record that keeps something else than what was written.
    pub(super) fn add_unkept(&self, day: Day, row: &NokRow, column: &str, refused: &mut Refusals) {
        let why = format!("column `{column}` does not keep what is written into it");
        refused.add(day, row.weld().1, &why);
        self.insert(day, row.weld(), Some(row), why.into(), REFUSED_FOR);
    }

    fn insert(
        &self,
        day: Day,
        (ticks, id): (i64, &str),
        row: Option<&NokRow>,
        why: Arc<str>,
        left_out: Duration,
    ) {
        let mut known = lock(&self.0);
        if !left_out.is_zero() && known.len() < MOST {
            let (row, until) = (row.cloned(), Instant::now() + left_out);
            known.insert((day, ticks, id.to_owned()), LeftOut { row, why, until });
        }
    }

    /// Whether the weld's record is left out, if the same is to be written; then it counts as refused.
    pub(super) fn holds(
        &self,
        day: Day,
        (ticks, id): (i64, &str),
        row: Option<&NokRow>,
        refused: &mut Refusals,
    ) -> bool {
        let known = lock(&self.0);
        if known.is_empty() {
            return false;
        }
        let Some(left_out) = known.get(&(day, ticks, id.to_owned())) else {
            return false;
        };
        let is_same = match (&left_out.row, row) {
            (Some(then), Some(now)) => same(then, now),
            (then, now) => then.is_none() && now.is_none(),
        };
        let holds = is_same && left_out.until > Instant::now();
        if holds {
            refused.add(day, id, &left_out.why);
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
