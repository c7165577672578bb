//! Partial ranges that wait to fill up. Memory only: a lost one waits once more, nothing worse.
//!
//! How long the oldest row of a range has been there is not known. It came after the last look that saw the whole day
//! and did not see it, so that look is when its wait begins: `max_wait` bounds the row's wait, not that of what was
//! made of it, and the time between two looks does not come on top.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use weldfleet_stores::{Day, Key, KeyRange};

/// Since when the partial ranges of every day may have been there.
#[derive(Debug, Default)]
pub struct PartialRanges {
    days: HashMap<(u64, Day), Vec<(KeyRange, Instant)>>,
    /// When a day was last seen as a whole.
    seen_whole: HashMap<(u64, Day), Instant>,
}

impl PartialRanges {
    /// Forgets every day that is not in `days`.
    pub fn keep_only(&mut self, days: &[(u64, Day)]) {
        self.days.retain(|day, _| days.contains(day));
        self.seen_whole.retain(|day, _| days.contains(day));
    }

    /// When the longest waiting range will have waited for `max_wait`.
    pub fn next_due(&self, max_wait: Duration) -> Option<Instant> {
        let seen = self.days.values().flatten().map(|(_, seen)| *seen);
        seen.min().map(|seen| seen + max_wait)
    }

    /// Begins a scan of one day as it is now.
    pub fn scan(&mut self, run: u64, day: Day, now: Instant) -> Scan<'_> {
        let before = self.days.remove(&(run, day)).unwrap_or_default();
        Scan {
            waiting: self,
            day: (run, day),
            now,
            before,
            seen: Vec::new(),
        }
    }
}

/// One scan of a day: what was waiting before, what waits now.
#[derive(Debug)]
pub struct Scan<'w> {
    waiting: &'w mut PartialRanges,
    day: (u64, Day),
    now: Instant,
    before: Vec<(KeyRange, Instant)>,
    seen: Vec<(KeyRange, Instant)>,
}

impl Scan<'_> {
    /// Whether this partial range has waited long enough. It is as old as the oldest range it overlaps: rows that were
    /// added at either end do not make the others wait again. A new one is as old as the last look at the whole day.
    pub fn has_waited(&mut self, keys: &KeyRange, max_wait: Duration) -> bool {
        let overlapping = self
            .before
            .iter()
            .filter(|(range, _)| range.from <= keys.to && keys.from <= range.to)
            .map(|(_, seen)| *seen);
        let unseen = self.waiting.seen_whole.get(&self.day).copied();
        let since = overlapping.min().or(unseen).unwrap_or(self.now);
        let waited = self.now.saturating_duration_since(since) >= max_wait;
        if !waited {
            self.seen.push((keys.clone(), since));
        }
        waited
    }

    /// The scan has ended behind `last`; what waited behind it was not looked at and keeps waiting. `None`: everything
    /// was seen.
    pub fn end(mut self, last: Option<&Key>) {
        if let Some(last) = last {
            let unseen = self
                .before
                .into_iter()
                .filter(|(range, _)| range.from > *last);
            self.seen.extend(unseen);
        } else {
            self.waiting.seen_whole.insert(self.day, self.now);
        }
        if !self.seen.is_empty() {
            self.waiting.days.insert(self.day, self.seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use weldfleet_stores::RecordId;

    use super::*;

    const MAX_WAIT: Duration = Duration::from_secs(5);

    fn keys(from: i64, to: i64) -> KeyRange {
        let key = |ticks| Key {
            leading: None,
            ticks,
            id: RecordId::Number(1),
            text: String::new(),
        };
        KeyRange {
            from: key(from),
            to: key(to),
        }
    }

    fn day() -> Day {
        Day::new(20_261_122).unwrap()
    }

    #[test]
    fn a_partial_range_waits_once_however_it_grows() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut waiting = PartialRanges::default();

        let mut scan = waiting.scan(0, day(), start);
        assert!(!scan.has_waited(&keys(10, 12), MAX_WAIT));
        scan.end(None);
        assert_eq!(waiting.next_due(MAX_WAIT), Some(after(5)));

        // It grew at both ends; a second range is new, and came after the look before.
        let mut scan = waiting.scan(0, day(), after(3));
        assert!(!scan.has_waited(&keys(8, 15), MAX_WAIT));
        scan.end(None);
        let mut scan = waiting.scan(0, day(), after(4));
        assert!(!scan.has_waited(&keys(8, 15), MAX_WAIT));
        assert!(!scan.has_waited(&keys(30, 31), MAX_WAIT));
        scan.end(None);
        assert_eq!(waiting.next_due(MAX_WAIT), Some(after(5)));

        let mut scan = waiting.scan(0, day(), after(5));
        assert!(scan.has_waited(&keys(8, 20), MAX_WAIT));
        assert!(!scan.has_waited(&keys(30, 31), MAX_WAIT));
        scan.end(None);
        assert_eq!(waiting.next_due(MAX_WAIT), Some(after(8)));
    }

    #[test]
    fn a_row_waits_no_longer_for_coming_just_after_a_look() {
        let start = Instant::now();
        let mut waiting = PartialRanges::default();
        waiting.scan(0, day(), start).end(None);
        let mut scan = waiting.scan(0, day(), start + Duration::from_secs(2));
        assert!(!scan.has_waited(&keys(10, 12), MAX_WAIT));
        scan.end(None);
        assert_eq!(waiting.next_due(MAX_WAIT), Some(start + MAX_WAIT));
    }

    #[test]
    fn what_was_not_looked_at_keeps_its_age() {
        let start = Instant::now();
        let mut waiting = PartialRanges::default();
        let mut scan = waiting.scan(0, day(), start);
        assert!(!scan.has_waited(&keys(10, 12), MAX_WAIT));
        assert!(!scan.has_waited(&keys(20, 22), MAX_WAIT));
        scan.end(Some(&keys(22, 22).to));

        let scan = waiting.scan(0, day(), start);
        scan.end(Some(&keys(15, 15).to));
        let mut scan = waiting.scan(0, day(), start + MAX_WAIT);
        assert!(
            !scan.has_waited(&keys(10, 12), MAX_WAIT),
            "was seen to be gone"
        );
        assert!(scan.has_waited(&keys(20, 22), MAX_WAIT));
    }

    #[test]
    fn days_that_are_not_looked_at_any_more_are_forgotten() {
        let start = Instant::now();
        let mut waiting = PartialRanges::default();
        let mut scan = waiting.scan(7, day(), start);
        assert!(!scan.has_waited(&keys(1, 1), MAX_WAIT));
        scan.end(None);
        waiting.keep_only(&[(0, day())]);
        assert_eq!(waiting.next_due(MAX_WAIT), None);
        let mut scan = waiting.scan(7, day(), start + MAX_WAIT);
        assert!(!scan.has_waited(&keys(1, 1), MAX_WAIT));
    }
}
