//! How far MySQL is behind: what the status and the reconciler ask, and nothing is written.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use super::{Mirror, difference::Kept};
use crate::{clickhouse::nok::Checksum, errors::StoreError, lock, range::Day};

/// A checksum, and what it is of. While that is the same, so is the checksum.
pub(super) struct CommittedSum {
    /// Stamp of the source table's parts, read before.
    source: u64,
    /// Welds that are not NOK and counted nevertheless.
    reviewed: Vec<(i64, String)>,
    sum: Checksum,
    computed: Instant,
}

/// How long ClickHouse may count the NOK rows of all days.
const LONGEST_COUNT: Duration = Duration::from_secs(10);
/// Days of a table that keeps versions that are counted again, the newest; of older ones it is not said what they lack.
const MOST_RECOUNTED: usize = 92;
/// Even where nothing is written a filter may select other rows after a while.
const SUM_IS_GOOD_FOR: Duration = Duration::from_secs(60);

/// How far a day's mirror is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MirrorLag {
    pub day: Day,
    /// Committed NOK welds in ClickHouse.
    pub committed: u64,
    /// NOK rows in MySQL, save those that are kept.
    pub mirrored: u64,
    /// NOK rows in MySQL of whose weld the source has no row, or none with a verdict. No lag: nothing is to be done
    /// about them.
    pub kept: u64,
    /// Whether all other rows are equal in content too.
    pub equal: bool,
}

/// NOK rows of all days, as both sides count them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorTotals {
    /// Those of MySQL whose weld has no verdict in the source: as the last look at all rows of a day found, or as many
    /// as MySQL has more than the source.
    pub kept: u64,
    /// Days of which MySQL lacks some.
    pub behind: BTreeMap<Day, DayBehind>,
    /// Why `behind` is not known, where it is not.
    pub uncounted: Option<String>,
}

/// A day of which MySQL lacks rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayBehind {
    pub missing: u64,
    pub committed: u64,
}

impl Mirror {
    /// NOK rows of all days on both sides. Reads one column of the source from end to end; not for every pass.
    pub async fn totals(&self) -> Result<MirrorTotals, StoreError> {
        let stored = self.table.days().await?;
        let source = self.source.clone().for_looking(Some(LONGEST_COUNT));
        let committed = source.nok_by_day().await?;
        let mut totals = compared(&lock(&self.kept), stored, committed);
        if self.source.schema().keeps_versions && !totals.behind.is_empty() {
            // A version that no longer counts was counted, too.
            let behind = std::mem::take(&mut totals.behind);
            let newest: Vec<(Day, DayBehind)> =
                behind.into_iter().rev().take(MOST_RECOUNTED).collect();
            let days: Vec<Day> = newest.iter().map(|(day, _)| *day).collect();
            match source.nok_of_days(&days).await {
                Ok(counted) => totals.behind = recounted(newest, &counted),
                Err(error) => totals.uncounted = Some(error.chain_and_remedy()),
            }
        }
        Ok(totals)
    }

    /// The day's checksums, ClickHouse's and MySQL's; equal when the mirror is.
    pub async fn checksums(&self, day: Day) -> Result<(Checksum, Checksum), StoreError> {
        let look = self.for_a_look().await?;
        // MySQL first: what is committed after that shows as a difference, never as a false match.
        let reviewed = look.table.reviewed_not_nok(day).await?;
        let mirrored = look.table.checksum(day).await?;
        Ok((look.committed_sum(day, reviewed).await?, mirrored))
    }

    /// The checksum of the day's committed rows; computed anew if anything was written to the source table.
    async fn committed_sum(
        &self,
        day: Day,
        reviewed: Vec<(i64, String)>,
    ) -> Result<Checksum, StoreError> {
        let source = self.source.parts().await?.source;
        let sums = || lock(&self.sums);
        if let Some(known) = sums().get(&day)
            && (known.source, &known.reviewed) == (source, &reviewed)
            && known.computed.elapsed() < SUM_IS_GOOD_FOR
        {
            return Ok(known.sum);
        }
        let layout = self.table.layout().await?;
        let sum = self
            .source
            .nok_checksum(day, &reviewed, &layout.columns)
            .await?;
        let mut sums = sums();
        // Of days that nobody asks for any more nothing is kept.
        sums.retain(|_, known| known.computed.elapsed() < SUM_IS_GOOD_FOR);
        let computed = Instant::now();
        sums.insert(
            day,
            CommittedSum {
                source,
                reviewed,
                sum,
                computed,
            },
        );
        Ok(sum)
    }

    /// How far a day's mirror is behind. Reads the whole day on both sides.
    pub async fn lag_of(&self, day: Day) -> Result<MirrorLag, StoreError> {
        let kept = lock(&self.kept).get(&day).copied();
        let may_have_to_go = match kept {
            Some(kept) => self.source.judged_stamp(day).await? != kept.judged,
            None => false,
        };
        let kept = kept.unwrap_or_default().sums;
        let (committed, mirrored) = self.checksums(day).await?;
        let mut expected = committed;
        expected += kept;
        Ok(MirrorLag {
            day,
            committed: committed.nok,
            mirrored: mirrored.nok.saturating_sub(kept.nok),
            kept: kept.nok,
            equal: expected == mirrored && !may_have_to_go,
        })
    }

    /// How far the days' mirrors are behind.
    pub async fn lag(&self, days: &[Day]) -> Result<Vec<MirrorLag>, StoreError> {
        let mut lags = Vec::with_capacity(days.len());
        for day in days {
            lags.push(self.lag_of(*day).await?);
        }
        Ok(lags)
    }
}

/// NOK rows by day, MySQL's and ClickHouse's.
fn compared(
    known: &BTreeMap<Day, Kept>,
    stored: Vec<(u32, u64)>,
    committed: HashMap<u32, u64>,
) -> MirrorTotals {
    let known = |number| {
        let day = Day::new(number).ok();
        let found = day.and_then(|day| known.get(&day));
        found.map_or((0, 0), |kept| (kept.sums.nok, kept.surplus))
    };
    let kept = stored.iter().map(|(number, stored)| {
        let committed = committed.get(number).copied().unwrap_or(0);
        let (known, surplus) = known(*number);
        known.max(stored.saturating_sub(committed + surplus))
    });
    let kept = kept.sum();
    let stored: HashMap<u32, u64> = stored.into_iter().collect();
    let behind = committed.into_iter().filter_map(|(number, committed)| {
        let stored = stored.get(&number).copied().unwrap_or(0);
        // What MySQL did not let go at the last look may be gone since, and is not held against the day.
        let (kept, _) = known(number);
        let missing = committed.saturating_sub(stored.saturating_sub(kept));
        let day = Day::new(number).ok().filter(|_| missing > 0)?;
        Some((day, DayBehind { missing, committed }))
    });
    MirrorTotals {
        kept,
        behind: behind.collect(),
        uncounted: None,
    }
}

/// The days that lack rows still, by how many welds are NOK as their rows are now.
fn recounted(
    behind: Vec<(Day, DayBehind)>,
    counted: &HashMap<u32, u64>,
) -> BTreeMap<Day, DayBehind> {
    let recounted = behind.into_iter().filter_map(|(day, was)| {
        let committed = counted.get(&day.number()).copied().unwrap_or(0);
        let not_now = was.committed.saturating_sub(committed);
        let missing = was.missing.saturating_sub(not_now);
        (missing > 0).then_some((day, DayBehind { missing, committed }))
    });
    recounted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u32) -> Day {
        Day::new(number).unwrap()
    }

    fn behind(missing: u64, committed: u64) -> DayBehind {
        DayBehind { missing, committed }
    }

    #[test]
    fn what_is_kept_stands_for_no_missing_row_and_what_is_not_let_go_for_no_kept_one() {
        let known = Kept {
            sums: Checksum {
                rows: 2,
                nok: 2,
                sum: 0,
            },
            surplus: 3,
            ..Kept::default()
        };
        let known = BTreeMap::from([(day(20_261_121), known)]);
        let stored = vec![(20_261_121, 10), (20_261_122, 4)];
        let committed = HashMap::from([(20_261_121, 9), (20_261_122, 4), (20_261_123, 1)]);
        let totals = compared(&known, stored, committed);
        assert_eq!(totals.kept, 2);
        assert_eq!(
            totals.behind,
            BTreeMap::from([
                (day(20_261_121), behind(1, 9)),
                (day(20_261_123), behind(1, 1))
            ])
        );
    }

    #[test]
    fn versions_that_no_longer_count_are_not_missing() {
        let were = vec![
            (day(20_261_123), behind(3, 9)),
            (day(20_261_122), behind(2, 5)),
            (day(20_261_121), behind(1, 1)),
        ];
        let counted = HashMap::from([(20_261_123, 8), (20_261_122, 3)]);
        assert_eq!(
            recounted(were, &counted),
            BTreeMap::from([(day(20_261_123), behind(2, 8))])
        );
    }
}
