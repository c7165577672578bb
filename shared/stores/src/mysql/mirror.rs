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
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    NokTable,
    table::{Retimed, StoredRow},
};
use crate::{
    IdRef, RecordId,
    clickhouse::{
        SourceTable,
        nok::{Checksum, JudgedStamp, NokRow, TextKey, TickSpan},
    },
    errors::StoreError,
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

/// Even where nothing is written a filter may select other rows after a while.
const SUM_IS_GOOD_FOR: Duration = Duration::from_secs(60);

/// Records that stay although the source has no verdict for their weld.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    /// What they add to the checksum.
    sums: Checksum,
    /// What was judged when that was found out.
    judged: JudgedStamp,
}

impl Kept {
    fn add(&mut self, record: &StoredRow) {
        if record.counts() {
            self.sums.rows += 1;
            self.sums.nok += u64::from(record.row.is_nok());
            self.sums.sum = self.sums.sum.wrapping_add(record.crc);
        }
    }
}

/// What makes one side of a span equal to the other.
#[derive(Default)]
struct Difference {
    /// Records to add or to change.
    put: Vec<NokRow>,
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
            self.put.push(weld.clone());
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MirrorChange {
    /// Rows that were missing.
    pub inserted: u64,
    /// Rows that said something else.
    pub updated: u64,
    /// Rows that are not NOK any more and that nobody has reviewed.
    pub removed: u64,
    /// Rows left alone although the source has no verdict for their weld.
    pub kept: u64,
}

impl std::ops::AddAssign for MirrorChange {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.removed += other.removed;
        self.kept += other.kept;
    }
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
        }
    }

    pub fn table(&self) -> &NokTable {
        &self.table
    }

    /// Makes MySQL equal to the committed NOK rows between the range's keys, whoever committed them.
    pub async fn mirror(&self, range: &Range) -> Result<MirrorChange, StoreError> {
        let committed = CommittedRange {
            range: range.clone(),
            first_token: None,
        };
        self.mirror_all(&[&committed]).await
    }

    /// The same for several ranges, neighbours together with what lies between them. ClickHouse is asked once a day,
    /// however far apart its ranges are: a question costs it more than the rows of a range.
    pub async fn mirror_all(
        &self,
        committed: &[&CommittedRange],
    ) -> Result<MirrorChange, StoreError> {
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
                done += self.mirror_found(day, &ranges, tokens.as_deref()).await?;
                continue;
            }
            let spans = neighbours(ranges.clone());
            done += match tokens {
                // What lies between them is other workers', who mirror it: to ask what became of it would cost more.
                Some(tokens) => {
                    self.mirror_between(day, &spans, &ranges, Some(&tokens))
                        .await?
                }
                None => self.mirror_between(day, &spans, &spans, None).await?,
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
        self.write(day, difference).await
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
        self.write(day, difference).await
    }

    /// Makes MySQL equal to the day's committed NOK rows, in steps of bounded size.
    pub async fn mirror_day(&self, day: Day) -> Result<MirrorChange, StoreError> {
        self.walk(day, true).await
    }

    /// Looks at every row of the day, as [`Self::mirror_day`] does, and writes nothing: what is behind, and what is
    /// kept.
    pub async fn survey_day(&self, day: Day) -> Result<MirrorChange, StoreError> {
        self.walk(day, false).await
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
            done += if writes {
                self.write(day, difference).await?
            } else {
                difference.change
            };
            if step.to >= rest.to {
                break;
            }
            rest.from = step.to + 1;
        }
        let mut days = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.sums.rows > 0 {
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
                    found.put.push(row.clone());
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
        found
            .put
            .sort_by(|a, b| (a.ticks, &a.record_id).cmp(&(b.ticks, &b.record_id)));
        Ok(found)
    }

    async fn write(&self, day: Day, difference: Difference) -> Result<MirrorChange, StoreError> {
        // A record takes the words of a twin only once that is gone, and new values by its new words.
        let removed = self.table.remove(day, &difference.surplus).await?;
        self.table.retime(day, &difference.retime).await?;
        let put: Vec<&NokRow> = difference.put.iter().collect();
        self.table.put(day, &put).await?;
        Ok(MirrorChange {
            removed,
            ..difference.change
        })
    }

    /// NOK rows of MySQL whose weld has no verdict in the source, of all days: as the last look at all rows of a day
    /// found, or as many as MySQL has more than the source. Reads one column of the source from end to end; not for
    /// every pass.
    pub async fn kept_rows(&self) -> Result<u64, StoreError> {
        let stored = self.table.days().await?;
        if stored.is_empty() {
            return Ok(0);
        }
        let committed = self.source.nok_by_day().await?;
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = stored.into_iter().map(|(number, stored)| {
            let day = Day::new(number).ok();
            let committed = committed.get(&number).copied().unwrap_or(0);
            let found = day.and_then(|day| known.get(&day));
            found
                .map_or(0, |kept| kept.sums.nok)
                .max(stored.saturating_sub(committed))
        });
        Ok(kept.sum())
    }

    /// The day's checksums, ClickHouse's and MySQL's; equal when the mirror is.
    pub async fn checksums(&self, day: Day) -> Result<(Checksum, Checksum), StoreError> {
        // MySQL first: what is committed after that shows as a difference, never as a false match.
        let reviewed = self.table.reviewed_not_nok(day).await?;
        let mirrored = self.table.checksum(day).await?;
        Ok((self.committed_sum(day, reviewed).await?, mirrored))
    }

    /// The checksum of the day's committed rows; computed anew if anything was written to the source table.
    async fn committed_sum(
        &self,
        day: Day,
        reviewed: Vec<(i64, String)>,
    ) -> Result<Checksum, StoreError> {
        let source = self.source.parts().await?.source;
        let sums = || self.sums.lock().unwrap_or_else(PoisonError::into_inner);
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
        let kept = {
            let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&day).copied()
        };
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

/// Whether two rows of a weld say the same, in whatever words its time, numbers to a millionth.
fn same(a: &NokRow, b: &NokRow) -> bool {
    let millionths = |x: &f64| {
        x.is_finite()
            .then(|| (x.clamp(-1e9, 1e9) * 1e6 + 0.5).floor() as i64)
    };
    a.weld() == b.weld()
        && a.integers == b.integers
        && a.texts == b.texts
        && a.floats
            .iter()
            .map(millionths)
            .eq(b.floats.iter().map(millionths))
}
