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

mod difference;
mod lag;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

pub use difference::MirrorChange;
use difference::{Difference, Kept};
use lag::CommittedSum;
pub use lag::{DayBehind, MirrorLag, MirrorTotals};

use super::{
    NokTable, Refusals,
    refusals::{LeftOuts, RecordChange},
    row::{StoredRow, differs_in},
    table::Put,
};
use crate::{
    IdRef, RecordId,
    clickhouse::{
        SourceTable,
        nok::{NokRow, TickSpan},
    },
    errors::StoreError,
    lock,
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

/// What came of a difference.
struct Written {
    change: MirrorChange,
    /// Records that were there and say something else now.
    changed: Vec<NokRow>,
    /// Records that should have gone and are still there.
    surplus: u64,
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
            // What lies between them is other workers', who mirror it: to ask what became of it would cost more.
            let ranges = tokens.as_ref().map_or(&spans, |_| &ranges);
            let tokens = tokens.as_deref();
            done += look.mirror_between(day, &spans, ranges, tokens).await?;
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
                done.refused += self.look_again(day, &written.changed).await?;
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
        let (mut difference, others) = Difference::of_committed(committed, stored);
        let welds: Vec<(i64, &str)> = others.keys().copied().collect();
        let columns = &self.table.layout().await?.columns;
        let verdicts = self.source.committed_at(day, &welds, columns).await?;
        difference.add_others(others, &verdicts);
        Ok(difference)
    }

    /// Writes what differs, save what MySQL refused a short while ago.
    async fn write(&self, day: Day, mut difference: Difference) -> Result<Written, StoreError> {
        let mut refusals = self.left_out.of_day(day);
        let surplus = difference.surplus.len() as u64;
        difference.surplus.retain(|key| !refusals.holds(key));
        // A record takes the words of a twin only once that is gone, and new values by its new words.
        let (removed, locked_in) = self.table.remove(day, &difference.surplus).await?;
        let let_go = (difference.surplus.len() - locked_in.len()) as u64;
        locked_in.iter().for_each(|one| refusals.add(one));

        let mut unchanged: BTreeSet<(i64, String)> = BTreeSet::new();
        let owned = |(ticks, id): (i64, &str)| (ticks, id.to_owned());
        difference.retime.retain(|record| {
            let holds = refusals.holds(record);
            holds.then(|| unchanged.insert(owned(record.weld())));
            !holds
        });
        for one in &self.table.retime(day, &difference.retime).await? {
            refusals.add(one);
            unchanged.insert(owned(one.change.weld()));
        }

        let untimed = unchanged.clone();
        let mut missing = 0;
        let mut miss = |put: &Put| match put.is_new {
            true => missing += 1,
            false => _ = unchanged.insert(owned(put.weld())),
        };
        difference.put.retain(|put| {
            // By its old words it would be added a second time.
            let is_untimed = !untimed.is_empty() && untimed.contains(&owned(put.weld()));
            let holds = !is_untimed && refusals.holds(put);
            holds.then(|| miss(put));
            !is_untimed && !holds
        });
        for one in &self.table.put(day, &difference.put).await? {
            refusals.add(one);
            miss(&one.change);
        }
        let changed = difference.put.into_iter();
        let changed = changed.filter(|put| !put.is_new && !unchanged.contains(&owned(put.weld())));
        let MirrorChange {
            inserted, updated, ..
        } = difference.change;
        Ok(Written {
            change: MirrorChange {
                inserted: inserted.saturating_sub(missing),
                updated: updated.saturating_sub(unchanged.len() as u64),
                removed,
                refused: refusals.refused,
                ..difference.change
            },
            changed: changed.map(|put| put.row).collect(),
            surplus: surplus - let_go,
        })
    }

    /// Reads changed records back: a trigger may have made something else of them, and would at every look.
    async fn look_again(&self, day: Day, changed: &[NokRow]) -> Result<Refusals, StoreError> {
        let mut refusals = self.left_out.of_day(day);
        if changed.is_empty() {
            return Ok(refusals.refused);
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
                refusals.add_unkept(row, column);
            }
        }
        Ok(refusals.refused)
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
