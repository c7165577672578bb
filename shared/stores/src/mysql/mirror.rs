//! MySQL made equal to the committed NOK rows of ClickHouse.
//!
//! There is one function, [`Mirror::bring_in_line`]: read both sides of a span, write the difference.
//! A worker runs it for its range after the commit, the scheduler's pass for a day whose checksums
//! differ, so a lost or falsified row, a MySQL outage and a verdict that changed are all mended by
//! the same code. What is written was read back from ClickHouse, never taken from an attempt's memory:
//! the attempt may not be the one that was committed.
//!
//! A reviewer's columns are never named in a statement. A row that somebody reviewed stays when its
//! weld is no longer NOK, with the verdict it now has.

use std::collections::{BTreeMap, HashMap};

use super::{NokTable, table::StoredRow};
use crate::{
    clickhouse::{
        SourceTable,
        nok::{Checksum, NokRow, TextKey, TickSpan},
    },
    errors::StoreError,
    range::{Day, IdRef, KeyRange, KeyRef, Range, RecordId},
};

/// Rows of a side that a step of a day's mirror holds, more only where they share one tick.
const STEP: usize = 10_000;

/// ClickHouse's committed NOK rows and their table in MySQL. Cheap to clone.
#[derive(Clone)]
pub struct Mirror {
    source: SourceTable,
    table: NokTable,
}

/// What a mirror changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// Rows that were missing.
    pub inserted: u64,
    /// Rows that said something else.
    pub updated: u64,
    /// Rows that are not NOK any more and that nobody has reviewed.
    pub removed: u64,
}

impl std::ops::AddAssign for Mirrored {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.removed += other.removed;
    }
}

/// How far a day's mirror is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MirrorLag {
    /// The day.
    pub day: Day,
    /// Committed NOK welds in ClickHouse.
    pub committed: u64,
    /// NOK rows in MySQL.
    pub mirrored: u64,
    /// Whether the rows are equal in content too.
    pub equal: bool,
}

impl Mirror {
    /// The mirror of a source table.
    pub fn new(source: SourceTable, table: NokTable) -> Self {
        Self { source, table }
    }

    /// The MySQL side.
    pub fn table(&self) -> &NokTable {
        &self.table
    }

    /// Makes MySQL equal to the committed NOK rows between the range's keys, whoever committed them.
    pub async fn mirror(&self, range: &Range) -> Result<Mirrored, StoreError> {
        self.mirror_between(range.day, &[range.keys()]).await
    }

    /// The same for several ranges, neighbours together with what lies between them. ClickHouse is asked once a day,
    /// however far apart its ranges are: a question costs it more than the rows of a range.
    pub async fn mirror_all(&self, ranges: &[&Range]) -> Result<Mirrored, StoreError> {
        let mut done = Mirrored::default();
        for (day, ranges) in neighbours(ranges) {
            done += self.mirror_between(day, &ranges).await?;
        }
        Ok(done)
    }

    /// Of ranges that do not overlap.
    async fn mirror_between(&self, day: Day, ranges: &[KeyRange]) -> Result<Mirrored, StoreError> {
        let mut stored = Vec::new();
        for keys in ranges {
            let span = TickSpan {
                from: keys.from.ticks,
                to: keys.to.ticks,
            };
            let rows = self.table.rows(day, span).await?;
            stored.extend(rows.into_iter().filter(|row| between(keys, &row.row)));
        }
        let committed = self.source.nok_between(day, ranges).await?;
        self.bring_in_line(day, &committed, &stored).await
    }

    /// Makes MySQL equal to the day's committed NOK rows, in steps of bounded size.
    pub async fn mirror_day(&self, day: Day) -> Result<Mirrored, StoreError> {
        let mut done = Mirrored::default();
        let mut rest = TickSpan::ALL;
        loop {
            let step = self.step(day, rest).await?;
            let stored = self.table.rows(day, step).await?;
            let committed = self.source.nok_in_span(day, step).await?;
            done += self.bring_in_line(day, &committed, &stored).await?;
            if step.to >= rest.to {
                return Ok(done);
            }
            rest.from = step.to + 1;
        }
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

    /// Writes the difference of two lists of rows of one span.
    async fn bring_in_line(
        &self,
        day: Day,
        committed: &[NokRow],
        stored: &[StoredRow],
    ) -> Result<Mirrored, StoreError> {
        let mut done = Mirrored::default();
        let mut there: HashMap<TextKey, &StoredRow> = stored
            .iter()
            .map(|stored| (stored.row.key(), stored))
            .collect();
        let mut put: Vec<&NokRow> = Vec::new();
        for row in committed {
            match there.remove(&row.key()) {
                None => {
                    done.inserted += 1;
                    put.push(row);
                }
                Some(stored) if !same(&stored.row, row) => {
                    done.updated += 1;
                    put.push(row);
                }
                Some(_) => {}
            }
        }
        let mut surplus: Vec<TextKey> = Vec::new();
        let mut reviewed: HashMap<TextKey, &StoredRow> = HashMap::new();
        for (key, stored) in there {
            if stored.reviewed {
                reviewed.insert(key, stored);
            } else {
                surplus.push(key);
            }
        }
        surplus.sort_unstable();
        let keys: Vec<TextKey> = reviewed.keys().cloned().collect();
        let verdicts = self.source.committed_at(day, &keys).await?;
        for row in &verdicts {
            if let Some(stored) = reviewed.remove(&row.key())
                && !same(&stored.row, row)
            {
                done.updated += 1;
                put.push(row);
            }
        }
        let mut orphans: Vec<TextKey> = reviewed
            .into_iter()
            .filter(|(_, stored)| !stored.row.final_result.is_empty())
            .map(|(key, _)| key)
            .collect();
        orphans.sort_unstable();
        done.updated += orphans.len() as u64;

        // Writers that take rows in one order do not deadlock.
        put.sort_by(|a, b| (a.ticks, &a.record_id).cmp(&(b.ticks, &b.record_id)));
        self.table.put(day, &put).await?;
        self.table.clear(day, &orphans).await?;
        done.removed = self.table.remove(day, &surplus).await?;
        Ok(done)
    }

    /// The day's checksums, ClickHouse's and MySQL's; equal when the mirror is.
    pub async fn checksums(&self, day: Day) -> Result<(Checksum, Checksum), StoreError> {
        // MySQL first: what is committed after that shows as a difference, never as a false match.
        let reviewed = self.table.reviewed_not_nok(day).await?;
        let mirrored = self.table.checksum(day).await?;
        let committed = self.source.nok_checksum(day, &reviewed).await?;
        Ok((committed, mirrored))
    }

    /// How far a day's mirror is behind. Reads the whole day on both sides.
    pub async fn lag_of(&self, day: Day) -> Result<MirrorLag, StoreError> {
        let (committed, mirrored) = self.checksums(day).await?;
        Ok(MirrorLag {
            day,
            committed: committed.nok,
            mirrored: mirrored.nok,
            equal: committed == mirrored,
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

/// Ranges by day, those as one where the gap between two is no longer than the longer of them.
fn neighbours(ranges: &[&Range]) -> BTreeMap<Day, Vec<KeyRange>> {
    let mut sorted: Vec<(Day, KeyRange)> = ranges
        .iter()
        .map(|range| (range.day, range.keys()))
        .collect();
    sorted.sort_by(|a, b| (a.0, &a.1.from).cmp(&(b.0, &b.1.from)));
    let length = |keys: &KeyRange| keys.to.ticks.saturating_sub(keys.from.ticks);
    let mut merged: BTreeMap<Day, Vec<KeyRange>> = BTreeMap::new();
    for (day, keys) in sorted {
        let of_day = merged.entry(day).or_default();
        match of_day.last_mut() {
            Some(before)
                if keys.from.ticks.saturating_sub(before.to.ticks)
                    <= length(before).max(length(&keys)) =>
            {
                if before.to < keys.to {
                    before.to = keys.to;
                }
            }
            _ => of_day.push(keys),
        }
    }
    merged
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
        ticks: row.ticks,
        id,
    })
}

/// Whether two rows say the same, numbers to a millionth.
fn same(a: &NokRow, b: &NokRow) -> bool {
    let millionths = |x: f64| {
        x.is_finite()
            .then(|| (x.clamp(-1e9, 1e9) * 1e6 + 0.5).floor() as i64)
    };
    let floats = |row: &NokRow| {
        [
            row.umax,
            row.imax,
            row.ml_nok_prob,
            row.diameter,
            row.indentation,
            row.front_thickness,
            row.stack_thickness,
        ]
        .map(millionths)
    };
    let texts = |row: &NokRow| {
        [
            row.part_no.clone(),
            row.spot_name.clone(),
            row.timer_name.clone(),
            row.ml_result.clone(),
            row.rule_result.clone(),
            row.rule_hits.clone(),
            row.final_result.clone(),
            row.decided_by.clone(),
            row.model_version.clone(),
            row.alg_complete_time.clone(),
            row.alg_job.clone(),
        ]
    };
    a.key() == b.key()
        && (a.alg_run, a.alg_token) == (b.alg_run, b.alg_token)
        && floats(a) == floats(b)
        && texts(a) == texts(b)
}
