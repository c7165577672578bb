//! MySQL made equal to the committed NOK rows of ClickHouse.
//!
//! There is one mechanism: read both sides of a span, write the difference.
//! A worker runs it for its range after the commit, the scheduler's pass for a day whose checksums
//! differ, so a lost or falsified row, a MySQL outage and a verdict that changed are all put right by
//! the same code. What is written was read back from ClickHouse, never taken from an attempt's memory:
//! the attempt may not be the one that was committed.
//!
//! A record outlives its source. It is removed, or given another verdict, only where the source *has that weld's row
//! and it says otherwise*. Rows that left the source (a day dropped, moved, expired) or came back without verdicts (a
//! backup holds none that was not settled) erase nothing: their records are kept, counted, and no difference to remove.
//! To know on a later look that the rest is equal, a day's look remembers what the kept records add to its checksum,
//! and which rows were judged: as soon as one more is, a kept record may have to go, and the day is compared row by row
//! again.
//!
//! A reviewer's columns are never named in a statement. A row that somebody reviewed stays when its
//! weld is no longer NOK, with the verdict it now has.
//!
//! One weld, one record: ticks and id name the weld, and the time as text only repeats the ticks in the words of a time
//! zone. Where these changed, on a new host as a rule, the record is given the new words and keeps its review.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    NokTable, Refusals,
    refusals::LeftOuts,
    row::{StoredRow, millionths, same},
    table::{Put, Retimed},
};
use crate::{
    IdRef, RecordId,
    clickhouse::{
        SourceTable,
        nok::{Array, Checksum, JudgedStamp, NokRow, TextKey, TickSpan},
    },
    errors::StoreError,
    lock,
    mirror_layout::MirrorLayout,
    range::{Day, KeyOrder, KeyRange, KeyRef, Range, neighbours},
};

/// Rows of a side that a step of a day's mirror holds, more only where they share one tick.
const STEP: usize = 10_000;

/// ClickHouse's committed NOK rows and their table in MySQL. Cheap to clone.
#[derive(Clone)]
pub struct Mirror {
    source: SourceTable,
    table: NokTable,
    /// By day, what the last look at all its rows kept; days that kept none are not there.
    kept: Arc<Mutex<BTreeMap<Day, Kept>>>,
    /// By day, the committed rows' checksum as it was last computed.
    sums: Arc<Mutex<BTreeMap<Day, CommittedSum>>>,
    left_out: LeftOuts,
}

/// A checksum, and what it is of. While that is the same, so is the checksum.
struct CommittedSum {
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

/// Records that stay although the source has no verdict for their weld.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    /// What they add to the checksum.
    sums: Checksum,
    /// What was judged when that was found out.
    judged: JudgedStamp,
    /// Other records that say NOK, of welds that are not, and are there still: MySQL does not let them go.
    surplus: u64,
}

impl Kept {
    fn add(&mut self, record: &StoredRow) {
        if record.counts() {
            self.sums += Checksum {
                rows: 1,
                nok: record.row.is_nok().into(),
                sum: record.crc,
            };
        }
    }
}

/// What makes one side of a span equal to the other.
#[derive(Default)]
struct Difference {
    /// Records to add or to change.
    put: Vec<Put>,
    /// Records whose time is in other words than the weld's is now.
    retime: Vec<Retimed>,
    /// Records whose weld says otherwise, or has another record, and that nobody has reviewed.
    surplus: Vec<TextKey>,
    /// What that comes to.
    change: MirrorChange,
    kept: Kept,
}

impl Difference {
    /// Of a weld's records one is to say what the weld says: the one that has the review, or else today's words.
    fn keep_one(&mut self, weld: &NokRow, mut records: Vec<&StoredRow>) {
        let today = |record: &StoredRow| record.row.ck_local_time == weld.ck_local_time;
        records.sort_by_cached_key(|record| {
            let words = record.row.ck_local_time.clone();
            (!record.reviewed, !today(record), words)
        });
        let mut records = records.into_iter();
        let Some(record) = records.next() else { return };
        if !today(record) {
            self.retime.push(Retimed {
                key: record.row.key(),
                time: weld.ck_local_time.clone(),
            });
        }
        let is_other = !same(&record.row, weld);
        if is_other {
            self.put.push(Put {
                row: weld.clone(),
                is_new: false,
            });
        }
        self.change.updated += u64::from(is_other || !today(record));
        for twin in records {
            match twin.reviewed {
                // People have written into both.
                true => self.kept.add(twin),
                false => self.surplus.push(twin.row.key()),
            }
        }
    }
}

/// What a mirror changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorChange {
    /// Rows that were missing.
    pub inserted: u64,
    /// Rows that said something else.
    pub updated: u64,
    /// Rows that are not NOK any more and that nobody has reviewed.
    pub removed: u64,
    /// Rows left alone although the source has no verdict for their weld.
    pub kept: u64,
    /// Rows that MySQL did not take, or let go.
    pub refused: Refusals,
}

impl std::ops::AddAssign for MirrorChange {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.removed += other.removed;
        self.kept += other.kept;
        self.refused += other.refused;
    }
}

/// What came of a difference.
struct Written {
    change: MirrorChange,
    /// Records that were there and say something else now.
    changed: Vec<NokRow>,
    /// Records that should have gone and are still there.
    surplus: u64,
}

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

/// A range whose results are in the rows.
#[derive(Debug, Clone)]
pub struct CommittedRange {
    pub range: Range,
    /// The attempt's token if no attempt was before it: then what is NOK and not in MySQL is of its results.
    pub first_token: Option<u64>,
}

impl Mirror {
    /// The mirror of a source table.
    pub fn new(source: SourceTable, table: NokTable) -> Self {
        Self {
            source,
            table,
            kept: Arc::default(),
            sums: Arc::default(),
            left_out: LeftOuts::default(),
        }
    }

    /// The same, which looks so long for the rows of a write that MySQL refuses.
    pub fn searching_for(mut self, search: Duration) -> Self {
        self.table.search = search;
        self
    }

    pub fn table(&self) -> &NokTable {
        &self.table
    }

    /// The same for one look; what was left out for long enough is tried again in it.
    async fn for_a_look(&self) -> Result<Self, StoreError> {
        self.left_out.expire();
        Ok(Self {
            table: self.table.for_a_look().await?,
            ..self.clone()
        })
    }

    /// Makes MySQL equal to the committed NOK rows between the ranges' keys, whoever committed them, neighbours
    /// together with what lies between them. ClickHouse is asked once a day, however far apart its ranges are: a
    /// question costs it more than the rows of a range.
    pub async fn mirror_all(
        &self,
        committed: &[&CommittedRange],
    ) -> Result<MirrorChange, StoreError> {
        let look = self.for_a_look().await?;
        let mut days: BTreeMap<(Day, bool), Vec<&CommittedRange>> = BTreeMap::new();
        for committed in committed {
            let in_order_of_time = committed.range.keys().order() == KeyOrder::Time;
            days.entry((committed.range.day, in_order_of_time))
                .or_default()
                .push(committed);
        }
        let mut done = MirrorChange::default();
        for ((day, in_order_of_time), committed) in days {
            let ranges: Vec<KeyRange> = committed.iter().map(|one| one.range.keys()).collect();
            let tokens: Option<Vec<u64>> = committed.iter().map(|one| one.first_token).collect();
            if !in_order_of_time {
                done += look.mirror_found(day, &ranges, tokens.as_deref()).await?;
                continue;
            }
            let spans = neighbours(ranges.clone());
            done += match tokens {
                // What lies between them is other workers', who mirror it: to ask what became of it would cost more.
                Some(tokens) => {
                    look.mirror_between(day, &spans, &ranges, Some(&tokens))
                        .await?
                }
                None => look.mirror_between(day, &spans, &spans, None).await?,
            };
        }
        Ok(done)
    }

    /// Of ranges along the table's sorting key, whose records lie anywhere in MySQL's day. Only those of welds that are
    /// NOK now are looked at; one that has to go is found when the whole day is compared.
    async fn mirror_found(
        &self,
        day: Day,
        ranges: &[KeyRange],
        tokens: Option<&[u64]>,
    ) -> Result<MirrorChange, StoreError> {
        let columns = &self.table.layout().await?.columns;
        let mut committed = self
            .source
            .nok_between(day, ranges, tokens, columns)
            .await?;
        let welds: Vec<(i64, &str)> = committed.iter().map(NokRow::weld).collect();
        let stored = self.table.rows_at(day, &welds).await?;
        if !stored.is_empty() {
            // What another attempt has committed meanwhile may be in MySQL already: the source is read last.
            committed = self
                .source
                .nok_between(day, ranges, tokens, columns)
                .await?;
        }
        let difference = self.compare(day, &committed, &stored).await?;
        Ok(self.write(day, difference).await?.change)
    }

    /// Of `ranges`, which lie in `spans` that do not overlap. With `tokens` only rows that these attempts found NOK are
    /// looked for, beside those that MySQL has already.
    async fn mirror_between(
        &self,
        day: Day,
        spans: &[KeyRange],
        ranges: &[KeyRange],
        tokens: Option<&[u64]>,
    ) -> Result<MirrorChange, StoreError> {
        let mut stored = Vec::new();
        for span in spans {
            let ticks = TickSpan {
                from: span.from.ticks,
                to: span.to.ticks,
            };
            let rows = self.table.rows(day, ticks).await?;
            stored.extend(rows.into_iter().filter(|stored| {
                let inside = |keys| between(keys, &stored.row);
                inside(span) && ranges.iter().any(inside)
            }));
        }
        let layout = self.table.layout().await?;
        let committed = self
            .source
            .nok_between(day, spans, tokens, &layout.columns)
            .await?;
        let difference = self.compare(day, &committed, &stored).await?;
        Ok(self.write(day, difference).await?.change)
    }

    /// Makes MySQL equal to the day's committed NOK rows, in steps of bounded size.
    pub async fn mirror_day(&self, day: Day) -> Result<MirrorChange, StoreError> {
        self.for_a_look().await?.walk(day, true).await
    }

    /// Looks at every row of the day, as [`Self::mirror_day`] does, and writes nothing: what is behind, and what is
    /// kept.
    pub async fn survey_day(&self, day: Day) -> Result<MirrorChange, StoreError> {
        self.for_a_look().await?.walk(day, false).await
    }

    async fn walk(&self, day: Day, writes: bool) -> Result<MirrorChange, StoreError> {
        let mut done = MirrorChange::default();
        let mut kept = Kept {
            // Before the rows: what is judged meanwhile makes the next look a thorough one.
            judged: self.source.judged_stamp(day).await?,
            ..Kept::default()
        };
        let layout = self.table.layout().await?;
        let mut rest = TickSpan::ALL;
        loop {
            let step = self.step(day, rest).await?;
            let stored = self.table.rows(day, step).await?;
            let committed = self.source.nok_in_span(day, step, &layout.columns).await?;
            let difference = self.compare(day, &committed, &stored).await?;
            kept.sums += difference.kept.sums;
            if writes {
                let written = self.write(day, difference).await?;
                kept.surplus += written.surplus;
                done += written.change;
                self.look_again(day, &written.changed, &mut done.refused)
                    .await?;
            } else {
                kept.surplus += difference.surplus.len() as u64;
                done += difference.change;
            }
            if step.to >= rest.to {
                break;
            }
            rest.from = step.to + 1;
        }
        let mut days = lock(&self.kept);
        if kept.sums.rows > 0 || kept.surplus > 0 {
            days.insert(day, kept);
        } else {
            days.remove(&day);
        }
        Ok(done)
    }

    /// The longest start of the span that holds at most [`STEP`] rows on either side, one tick at least.
    async fn step(&self, day: Day, rest: TickSpan) -> Result<TickSpan, StoreError> {
        let committed = self.source.nok_tick_after(day, rest, STEP).await?;
        let stored = self.table.tick_after(day, rest, STEP).await?;
        let first_beyond = committed.into_iter().chain(stored).min();
        Ok(match first_beyond {
            None => rest,
            Some(beyond) => TickSpan {
                from: rest.from,
                to: beyond.saturating_sub(1).max(rest.from),
            },
        })
    }

    /// The difference of two lists of rows of one span.
    async fn compare(
        &self,
        day: Day,
        committed: &[NokRow],
        stored: &[StoredRow],
    ) -> Result<Difference, StoreError> {
        let mut found = Difference::default();
        let mut there: BTreeMap<(i64, &str), Vec<&StoredRow>> = BTreeMap::new();
        for stored in stored {
            there.entry(stored.row.weld()).or_default().push(stored);
        }
        for row in committed {
            match there.remove(&row.weld()) {
                Some(records) => found.keep_one(row, records),
                None => {
                    found.change.inserted += 1;
                    found.put.push(Put {
                        row: row.clone(),
                        is_new: true,
                    });
                }
            }
        }
        // The rest is of no committed NOK row. It goes only where its weld has another verdict.
        let welds: Vec<(i64, &str)> = there.keys().copied().collect();
        let layout = self.table.layout().await?;
        let verdicts = self
            .source
            .committed_at(day, &welds, &layout.columns)
            .await?;
        let verdicts: HashMap<(i64, &str), &NokRow> =
            verdicts.iter().map(|row| (row.weld(), row)).collect();
        for (weld, records) in there {
            match verdicts.get(&weld) {
                None => records.iter().for_each(|record| found.kept.add(record)),
                Some(row) if row.is_nok() || records.iter().any(|record| record.reviewed) => {
                    found.keep_one(row, records);
                }
                Some(_) => {
                    let keys = records.iter().map(|record| record.row.key());
                    found.surplus.extend(keys);
                }
            }
        }
        found.change.removed = found.surplus.len() as u64;
        found.change.kept = found.kept.sums.rows;
        // Writers that take rows in one order do not deadlock.
        found.put.sort_by(|a, b| a.row.weld().cmp(&b.row.weld()));
        Ok(found)
    }

    /// Writes what differs, save what MySQL refused a short while ago.
    async fn write(&self, day: Day, mut difference: Difference) -> Result<Written, StoreError> {
        let (left_out, mut refused) = (&self.left_out, Refusals::default());
        let mut stay = difference.surplus.len();
        difference
            .surplus
            .retain(|key| !left_out.holds(day, weld_of(key), None, &mut refused));
        stay -= difference.surplus.len();
        // A record takes the words of a twin only once that is gone, and new values by its new words.
        let (removed, locked_in) = self.table.remove(day, &difference.surplus).await?;
        stay += locked_in.len();
        for one in &locked_in {
            left_out.add(day, weld_of(&one.row), None, one, &mut refused);
        }

        let mut unchanged: BTreeSet<(i64, String)> = BTreeSet::new();
        let owned = |(ticks, id): (i64, &str)| (ticks, id.to_owned());
        difference.retime.retain(|record| {
            let holds = left_out.holds(day, weld_of(&record.key), None, &mut refused);
            holds.then(|| unchanged.insert(owned(weld_of(&record.key))));
            !holds
        });
        for one in &self.table.retime(day, &difference.retime).await? {
            left_out.add(day, weld_of(&one.row.key), None, one, &mut refused);
            unchanged.insert(owned(weld_of(&one.row.key)));
        }

        let untimed = unchanged.clone();
        let mut missing = 0;
        let mut miss = |put: &Put| match put.is_new {
            true => missing += 1,
            false => _ = unchanged.insert(owned(put.row.weld())),
        };
        difference.put.retain(|put| {
            // By its old words it would be added a second time.
            let is_untimed = !untimed.is_empty() && untimed.contains(&owned(put.row.weld()));
            let holds =
                !is_untimed && left_out.holds(day, put.row.weld(), Some(&put.row), &mut refused);
            holds.then(|| miss(put));
            !is_untimed && !holds
        });
        for one in &self.table.put(day, &difference.put).await? {
            left_out.add(
                day,
                one.row.row.weld(),
                Some(&one.row.row),
                one,
                &mut refused,
            );
            miss(&one.row);
        }
        let changed = difference.put.into_iter();
        let changed =
            changed.filter(|put| !put.is_new && !unchanged.contains(&owned(put.row.weld())));
        Ok(Written {
            change: MirrorChange {
                inserted: difference.change.inserted.saturating_sub(missing),
                updated: difference
                    .change
                    .updated
                    .saturating_sub(unchanged.len() as u64),
                removed,
                refused,
                ..difference.change
            },
            changed: changed.map(|put| put.row).collect(),
            surplus: stay as u64,
        })
    }

    /// Reads changed records back: a trigger may have made something else of them, and would at every look.
    async fn look_again(
        &self,
        day: Day,
        changed: &[NokRow],
        refused: &mut Refusals,
    ) -> Result<(), StoreError> {
        if changed.is_empty() {
            return Ok(());
        }
        let layout = self.table.layout().await?;
        let welds: Vec<(i64, &str)> = changed.iter().map(NokRow::weld).collect();
        let stored = self.table.rows_at(day, &welds).await?;
        let changed: HashMap<(i64, &str), &NokRow> =
            changed.iter().map(|row| (row.weld(), row)).collect();
        for StoredRow { row: stored, .. } in &stored {
            if let Some(row) = changed.get(&stored.weld())
                && row.ck_local_time == stored.ck_local_time
                && let Some(column) = differs_in(&layout, stored, row)
            {
                self.left_out.add_unkept(day, row, column, refused);
            }
        }
        Ok(())
    }

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

/// Whether a stored row's key lies in the range. An id that cannot be one of the column's does not.
fn between(keys: &KeyRange, row: &NokRow) -> bool {
    let id = match &keys.from.id {
        RecordId::Text(_) => IdRef::Text(&row.record_id),
        RecordId::Number(_) => match row.record_id.parse() {
            Ok(number) => IdRef::Number(number),
            Err(_) => return false,
        },
    };
    keys.contains(KeyRef {
        leading: None,
        ticks: row.ticks,
        id,
    })
}

fn weld_of((ticks, _, id): &TextKey) -> (i64, &str) {
    (*ticks, id)
}

/// The first of MySQL's columns in which two rows differ.
fn differs_in<'a>(layout: &'a MirrorLayout, a: &NokRow, b: &NokRow) -> Option<&'a str> {
    let mut texts = a.texts.iter().zip(&b.texts);
    let mut floats = a.floats.iter().zip(&b.floats);
    let mut integers = a.integers.iter().zip(&b.integers);
    let mut columns = layout.columns.iter();
    let column = columns.find(|column| match Array::of(column) {
        Array::Texts => texts.next().is_some_and(|(a, b)| a != b),
        Array::Floats => floats
            .next()
            .is_some_and(|(a, b)| millionths(a) != millionths(b)),
        Array::Integers => integers.next().is_some_and(|(a, b)| a != b),
    });
    column.map(|column| column.theirs.as_str())
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
