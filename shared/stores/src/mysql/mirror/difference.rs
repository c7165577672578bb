//! What makes the two sides of a span equal.

use std::collections::{BTreeMap, HashMap};

use crate::{
    clickhouse::nok::{Checksum, JudgedStamp, NokRow, TextKey},
    mysql::{
        Refusals,
        refusals::RecordChange,
        row::{StoredRow, same},
        table::{Put, Retimed},
    },
};

/// Records by the weld that they are of.
type ByWeld<'a> = BTreeMap<(i64, &'a str), Vec<&'a StoredRow>>;

/// Records that stay although the source has no verdict for their weld.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kept {
    /// What they add to the checksum.
    pub sums: Checksum,
    /// What was judged when that was found out.
    pub judged: JudgedStamp,
    /// Other records that say NOK, of welds that are not, and are there still: MySQL does not let them go.
    pub surplus: u64,
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
pub(super) struct Difference {
    /// Records to add or to change.
    pub put: Vec<Put>,
    /// Records whose time is in other words than the weld's is now.
    pub retime: Vec<Retimed>,
    /// Records whose weld says otherwise, or has another record, and that nobody has reviewed.
    pub surplus: Vec<TextKey>,
    /// What that comes to.
    pub change: MirrorChange,
    pub kept: Kept,
}

impl Difference {
    /// That of the committed NOK rows and their records; and the other records.
    pub(super) fn of_committed<'a>(
        committed: &'a [NokRow],
        stored: &'a [StoredRow],
    ) -> (Self, ByWeld<'a>) {
        let mut found = Self::default();
        let mut there = ByWeld::new();
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
        (found, there)
    }

    /// Adds records of no committed NOK row. They go only where their weld has another verdict.
    pub(super) fn add_others(&mut self, others: ByWeld<'_>, verdicts: &[NokRow]) {
        let verdicts: HashMap<(i64, &str), &NokRow> =
            verdicts.iter().map(|row| (row.weld(), row)).collect();
        for (weld, records) in others {
            match verdicts.get(&weld) {
                None => records.iter().for_each(|record| self.kept.add(record)),
                Some(row) if row.is_nok() || records.iter().any(|record| record.reviewed) => {
                    self.keep_one(row, records);
                }
                Some(_) => {
                    let keys = records.iter().map(|record| record.row.key());
                    self.surplus.extend(keys);
                }
            }
        }
        self.change.removed = self.surplus.len() as u64;
        self.change.kept = self.kept.sums.rows;
        // Writers that take rows in one order do not deadlock.
        self.put.sort_by(|a, b| a.weld().cmp(&b.weld()));
    }

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
