//! Rows that come back: given to workers again and again, and without a verdict whenever their job has ended.
//!
//! A range begins at a row that wants a verdict and that no job covers. Where ranges begin at one row again and again,
//! jobs end that did not judge it: its workers do not see it (another `tables.filter`, a row policy), or their verdicts
//! go elsewhere (several servers behind one address). A Redis that forgot, or a new version of the row, makes that so
//! once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use weldfleet_stores::{Day, Key};

/// So often a range began at the row.
const TIMES: u32 = 10;
/// What is further apart, beside `scheduler.max_wait`, has nothing to do with each other.
const APART: Duration = Duration::from_secs(120);

/// Where ranges began lately: how often, and when last.
#[derive(Debug, Default)]
pub struct Again(BTreeMap<(u64, Day, Key), (u32, Instant)>);

impl Again {
    /// A range that begins at `first` was enqueued.
    pub fn note(&mut self, run: u64, day: Day, first: Key, now: Instant) {
        let (times, last) = self.0.entry((run, day, first)).or_insert((0, now));
        *times += 1;
        *last = now;
    }

    /// The first row that comes back, and its day.
    pub fn told(&mut self, max_wait: Duration, now: Instant) -> Option<String> {
        let is_recent = |last: Instant| now.saturating_duration_since(last) < APART + max_wait;
        self.0.retain(|_, (_, last)| is_recent(*last));
        let mut begun = self.0.iter();
        let ((_, day, first), _) = begun.find(|(_, (times, _))| *times >= TIMES)?;
        Some(format!("{day} {first}"))
    }
}

#[cfg(test)]
mod tests {
    use weldfleet_stores::RecordId;

    use super::*;

    #[test]
    fn a_row_that_comes_back_is_told_while_it_does() {
        let (day, start) = (Day::new(20_261_122).unwrap(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let key = |ticks| Key {
            leading: None,
            ticks,
            id: RecordId::Number(1),
            text: format!("t{ticks} 1"),
        };
        let max_wait = Duration::from_secs(2);
        let mut again = Again::default();
        let mut seen = Vec::new();
        for second in 0..12 {
            again.note(0, day, key(7), after(second));
            // What is judged comes once.
            again.note(0, day, key(100 + second as i64), after(second));
            seen.push(again.told(max_wait, after(second)).is_some());
        }
        let first = seen.iter().position(|told| *told);
        assert_eq!(first, Some(9), "at the tenth time");
        let told = again.told(max_wait, after(132));
        assert_eq!(told.as_deref(), Some("20261122 t7 1"));
        assert_eq!(again.told(max_wait, after(133)), None, "judged at last");
        assert!(again.0.is_empty());
        // A row whose versions come now and then.
        for second in 1000..5000 {
            if second % 200 == 0 {
                again.note(0, day, key(7), after(second));
            }
            assert_eq!(again.told(max_wait, after(second)), None);
        }
    }
}
