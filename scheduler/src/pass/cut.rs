//! Where a day's keys are cut into ranges. Pure: keys in, ranges out.

use weldfleet_stores::{KeyRange, KeyRef};

/// A range cut out of a gap between covered ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// First and last key, both included.
    pub keys: KeyRange,
    /// Keys counted between them.
    pub rows: u64,
    /// Whether it holds a whole batch; else it is the tail of its gap, and may grow.
    pub full: bool,
}

/// Cuts a sorted stream of keys into ranges of `batch` rows.
///
/// A range never reaches over a covered range: the rows of the one would be in the other too. Rows with equal keys are
/// never parted, since a key cannot name only one of them; so a range may hold more than `batch` rows. Where a gap is
/// given no range reaches over a longer one: rows of a clock that is ahead are ranges of their own, and what comes
/// until then does not lie under a job. Holds one open range, however long the stream is.
#[derive(Debug)]
pub struct Cutter<'c> {
    covered: &'c [KeyRange],
    batch: u64,
    /// Ticks between two keys of one range; keys along a sorting key are no line of time.
    longest_gap: Option<i64>,
    open: Option<(KeyRange, u64)>,
}

impl<'c> Cutter<'c> {
    /// A cutter for the gaps between `covered`, which must be disjoint and in order.
    pub fn new(covered: &'c [KeyRange], batch: u64, longest_gap: Option<i64>) -> Self {
        debug_assert!(covered.windows(2).all(|pair| pair[0].to < pair[1].from));
        Self {
            covered,
            batch: batch.max(1),
            longest_gap,
            open: None,
        }
    }

    /// Takes the next key, which must not be smaller than the last one; answers a range that it completes.
    pub fn push(&mut self, key: KeyRef<'_>) -> Option<Cut> {
        let mut gap_ended = false;
        while let Some(first) = self.covered.first() {
            if key < first.from.as_ref() {
                break;
            }
            gap_ended = true;
            if key <= first.to.as_ref() {
                // Covered: not ours to cut. The range stays, since equal or later keys may lie in it too.
                return self.open.take().map(|open| self.close(open));
            }
            self.covered = &self.covered[1..];
        }
        let Some((keys, rows)) = &mut self.open else {
            self.open = Some((only(key), 1));
            return None;
        };
        debug_assert!(keys.to.as_ref() <= key, "keys must come in order");
        let same = keys.to.as_ref() == key;
        let gap = key.ticks.saturating_sub(keys.to.ticks);
        gap_ended |= self.longest_gap.is_some_and(|longest| gap > longest);
        if same || (!gap_ended && *rows < self.batch) {
            if !same {
                keys.to = key.to_owned();
            }
            *rows += 1;
            return None;
        }
        let done = self.open.replace((only(key), 1));
        done.map(|open| self.close(open))
    }

    /// The stream has ended: the tail of the last gap.
    pub fn finish(mut self) -> Option<Cut> {
        self.open.take().map(|open| self.close(open))
    }

    fn close(&self, (keys, rows): (KeyRange, u64)) -> Cut {
        Cut {
            keys,
            rows,
            full: rows >= self.batch,
        }
    }
}

fn only(key: KeyRef<'_>) -> KeyRange {
    KeyRange {
        from: key.to_owned(),
        to: key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weldfleet_stores::{Coverage, Key, RecordId};

    use super::*;

    fn key(ticks: i64, id: u64) -> Key {
        Key {
            leading: None,
            ticks,
            id: RecordId::Number(id),
            text: String::new(),
        }
    }

    fn cut_all(keys: &[Key], covered: &[KeyRange], batch: u64) -> Vec<Cut> {
        cut_at_gaps(keys, covered, batch, None)
    }

    fn cut_at_gaps(
        keys: &[Key],
        covered: &[KeyRange],
        batch: u64,
        longest_gap: Option<i64>,
    ) -> Vec<Cut> {
        let mut cutter = Cutter::new(covered, batch, longest_gap);
        let mut cuts: Vec<Cut> = keys
            .iter()
            .filter_map(|key| cutter.push(key.as_ref()))
            .collect();
        cuts.extend(cutter.finish());
        cuts
    }

    fn shown(cuts: &[Cut]) -> Vec<(i64, i64, u64, bool)> {
        cuts.iter()
            .map(|cut| (cut.keys.from.ticks, cut.keys.to.ticks, cut.rows, cut.full))
            .collect()
    }

    #[test]
    fn a_day_without_jobs_is_cut_into_batches_and_a_tail() {
        let keys: Vec<Key> = (0..7).map(|ticks| key(ticks, 1)).collect();
        assert_eq!(
            shown(&cut_all(&keys, &[], 3)),
            [(0, 2, 3, true), (3, 5, 3, true), (6, 6, 1, false)]
        );
    }

    #[test]
    fn equal_keys_stay_together_even_beyond_the_batch() {
        let keys = [key(1, 1), key(1, 1), key(1, 1), key(2, 1)];
        assert_eq!(
            shown(&cut_all(&keys, &[], 2)),
            [(1, 1, 3, true), (2, 2, 1, false)]
        );
    }

    #[test]
    fn a_range_does_not_reach_over_a_covered_one() {
        let covered = [KeyRange {
            from: key(3, 0),
            to: key(4, 9),
        }];
        let keys: Vec<Key> = (1..8).map(|ticks| key(ticks, 5)).collect();
        assert_eq!(
            shown(&cut_all(&keys, &covered, 10)),
            [(1, 2, 2, false), (5, 7, 3, false)]
        );
        // The same when the stream leaves the covered keys out, as ClickHouse does.
        let keys = [key(1, 5), key(2, 5), key(5, 5)];
        assert_eq!(
            shown(&cut_all(&keys, &covered, 10)),
            [(1, 2, 2, false), (5, 5, 1, false)]
        );
    }

    #[test]
    fn a_row_of_a_clock_that_is_ahead_is_a_range_of_its_own() {
        let keys: Vec<Key> = [1, 2, 12, 13, 500].map(|ticks| key(ticks, 1)).into();
        assert_eq!(
            shown(&cut_at_gaps(&keys, &[], 4, Some(10))),
            [(1, 13, 4, true), (500, 500, 1, false)]
        );
        // What comes later than the last of its time is not under it.
        let covered: Vec<KeyRange> = [(1, 13), (500, 500)]
            .map(|(from, to)| KeyRange {
                from: key(from, 1),
                to: key(to, 1),
            })
            .into();
        let later = [key(14, 1), key(15, 1)];
        assert_eq!(
            shown(&cut_at_gaps(&later, &covered, 4, Some(10))),
            [(14, 15, 2, false)]
        );
        let gaps = [1, 12, 13].map(|ticks| key(ticks, 1));
        assert_eq!(
            shown(&cut_at_gaps(&gaps, &[], 4, Some(10))),
            [(1, 1, 1, false), (12, 13, 2, false)]
        );
    }

    proptest! {
        #[test]
        fn every_uncovered_key_is_in_exactly_one_range(
            mut raw in prop::collection::vec((0_i64..60, 0_u64..3), 0..200),
            ends in prop::collection::vec((0_i64..60, 0_u64..3, 0_i64..8, 0_u64..3), 0..8),
            batch in 1_u64..20,
            longest_gap in prop::option::of(0_i64..40),
            server_filters: bool,
        ) {
            raw.sort_unstable();
            let covered = Coverage::new(ends.into_iter().filter_map(|(ticks, id, more, last_id)| {
                let range = KeyRange { from: key(ticks, id), to: key(ticks + more, last_id) };
                (range.from <= range.to).then_some(range)
            }).collect());
            // Overlaps are joined by Coverage, neighbours are not: both are disjoint and in order.
            let all: Vec<Key> = raw.iter().map(|(ticks, id)| key(*ticks, *id)).collect();
            let free: Vec<Key> = all.iter().filter(|key| !covered.contains(key.as_ref())).cloned().collect();
            let keys = if server_filters { &free } else { &all };
            let cuts = cut_at_gaps(keys, covered.ranges(), batch, longest_gap);

            for key in &free {
                let holders = cuts.iter().filter(|cut| cut.keys.contains(key.as_ref())).count();
                prop_assert_eq!(holders, 1, "key {} is in {} ranges", key, holders);
            }
            for pair in cuts.windows(2) {
                prop_assert!(pair[0].keys.to < pair[1].keys.from, "out of order or overlapping");
            }
            for (place, cut) in cuts.iter().enumerate() {
                let held = free.iter().filter(|key| cut.keys.contains(key.as_ref())).count() as u64;
                prop_assert_eq!(held, cut.rows);
                prop_assert_eq!(cut.full, cut.rows >= batch);
                let overlaps = covered.ranges().iter().any(|range| range.from <= cut.keys.to && cut.keys.from <= range.to);
                prop_assert!(!overlaps, "a range reaches into a covered one");
                // More than a batch only for the equal keys at its end.
                let last = free.iter().filter(|key| **key == cut.keys.to).count() as u64;
                prop_assert!(cut.rows < batch + last);
                let inside: Vec<i64> = free.iter().filter(|key| cut.keys.contains(key.as_ref())).map(|key| key.ticks).collect();
                let widest = inside.windows(2).map(|pair| pair[1] - pair[0]).max();
                prop_assert!(longest_gap.is_none_or(|longest| widest.is_none_or(|gap| gap <= longest)));
                // Less than a batch only at the end of a gap.
                if !cut.full && let Some(next) = cuts.get(place + 1) {
                    let between = covered.ranges().iter().any(|range| cut.keys.to < range.from && range.to < next.keys.from);
                    let is_far = longest_gap.is_some_and(|longest| next.keys.from.ticks - cut.keys.to.ticks > longest);
                    prop_assert!(between || is_far, "a partial range in the middle of a gap");
                }
            }
        }
    }
}
