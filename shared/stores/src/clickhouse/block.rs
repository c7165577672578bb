//! A range's rows in one arena: what arrived, and the order of the keys over it.

use weldfleet_weld::{Status, Verdict, Weld};

use super::{arena::Spare, arrived::Arrived, schema::FurtherNames};
use crate::{
    IdRef,
    errors::StoreError,
    range::{Day, KeyRef},
};

/// Reason code of rows that have one key and different content.
pub(crate) const DUPLICATE_KEY: &str = "duplicate_key";

/// The welds of a range, in key order. Values are in the plant's units.
///
/// Rows with one key and the same content are one weld, and one row of the block. Rows with one key and different
/// content are each a row of the block, so that each gets the reason why it cannot be judged: nobody knows which of
/// them is the weld.
#[derive(Debug, Clone)]
pub struct RowBlock {
    day: Day,
    order: Vec<u32>,
    /// Rows that arrived beside a row of the block, with the same key and content: the block's row, theirs.
    twins: Vec<(usize, u32)>,
    /// Rows of the block whose key others have with different content, in order, and how many rows have it.
    conflicts: Vec<(usize, usize)>,
    /// Whether one of the conflicting rows already has a verdict.
    overrules: bool,
    arrived: Arrived,
    /// Where the arena goes.
    spare: Spare,
}

impl Drop for RowBlock {
    fn drop(&mut self) {
        self.spare.put(std::mem::take(&mut self.arrived.curves));
    }
}

impl RowBlock {
    /// Orders what arrived, finds out which rows are one weld, and refuses two keys with one hash.
    pub(crate) fn new(day: Day, mut arrived: Arrived) -> Result<Self, StoreError> {
        arrived.ids.check()?;
        for texts in [
            &mut arrived.part_no,
            &mut arrived.spot_name,
            &mut arrived.timer_name,
        ] {
            texts.repair();
        }
        for texts in &mut arrived.further.carried {
            texts.repair();
        }
        let mut sorted: Vec<u32> = (0..arrived.len() as u32).collect();
        sorted.sort_unstable_by(|&a, &b| {
            let (a, b) = (a as usize, b as usize);
            arrived
                .key(a)
                .cmp(&arrived.key(b))
                .then_with(|| arrived.compare_content(a, b))
                .then_with(|| arrived.compare_carried(a, b))
        });
        let mut block = Self {
            day,
            order: Vec::with_capacity(sorted.len()),
            twins: Vec::new(),
            conflicts: Vec::new(),
            overrules: false,
            arrived,
            spare: Spare::default(),
        };
        let mut rest = sorted.as_slice();
        while let Some(first) = rest.first() {
            let key = block.arrived.key(*first as usize);
            let same_key = rest
                .iter()
                .take_while(|row| block.arrived.key(**row as usize) == key)
                .count();
            let (group, others) = rest.split_at(same_key);
            rest = others;
            block.take(group);
        }
        block.check_hashes()?;
        Ok(block)
    }

    /// Takes the rows of one key, ordered by content.
    fn take(&mut self, group: &[u32]) {
        let arrived = &self.arrived;
        let is_wanted = |row: &&u32| arrived.wanted[**row as usize] != 0;
        let mut wanted = group.iter().filter(is_wanted);
        let Some(first) = wanted.next() else {
            return;
        };
        let weld = self.order.len();
        let differ = |pair: &[u32]| {
            arrived
                .compare_content(pair[0] as usize, pair[1] as usize)
                .is_ne()
        };
        if !group.windows(2).any(differ) {
            self.order.push(*first);
            self.twins.extend(wanted.map(|twin| (weld, *twin)));
            return;
        }
        self.overrules |= !group.iter().all(|row| is_wanted(&row));
        self.order.extend(group);
        self.conflicts
            .extend((weld..self.order.len()).map(|row| (row, group.len())));
    }

    /// Gives its arena back to these when it is dropped.
    pub(crate) fn returning_to(mut self, spare: Spare) -> Self {
        self.spare = spare;
        self
    }

    fn check_hashes(&self) -> Result<(), StoreError> {
        let mut by_hash: Vec<(u64, usize)> = self.results().collect();
        by_hash.sort_unstable();
        for pair in by_hash.windows(2) {
            if pair[0].0 == pair[1].0 && self.key(pair[0].1) != self.key(pair[1].1) {
                let name = |row| format!("{} {}", self.time_text(row), self.id(row));
                return Err(StoreError::HashCollision {
                    key_hash: pair[0].0,
                    first: name(pair[0].1),
                    second: name(pair[1].1),
                });
            }
        }
        Ok(())
    }

    fn at(&self, row: usize) -> usize {
        self.order[row] as usize
    }

    /// Day of every row.
    pub fn day(&self) -> Day {
        self.day
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether it has rows with one key and different content, one of which has a verdict that must not stand.
    pub fn overrules(&self) -> bool {
        self.overrules
    }

    /// Takes the verdict of every row that cannot be read as it is stored, or whose key others have with different
    /// content. `verdicts[k]` is of row `k`.
    pub fn refuse(&self, verdicts: &mut [Verdict]) {
        if !self.arrived.unreadable.is_empty() {
            for (verdict, row) in verdicts.iter_mut().zip(&self.order) {
                if let Some(why) = self.arrived.unreadable.reason(*row as usize) {
                    *verdict = Verdict::unjudged(Status::Invalid, why.to_string());
                }
            }
        }
        for (row, rows) in &self.conflicts {
            if let Some(verdict) = verdicts.get_mut(*row) {
                let reason = format!("{DUPLICATE_KEY}: {rows} rows have this key and differ");
                *verdict = Verdict::unjudged(Status::Invalid, reason);
            }
        }
    }

    /// The hash of every physical row that is to get a result, and the row of the block whose result that is.
    pub(crate) fn results(&self) -> impl Iterator<Item = (u64, usize)> {
        let hashes = &self.arrived.hashes;
        let own = (0..self.len()).map(|row| (hashes[self.at(row)], row));
        let of_twins = self
            .twins
            .iter()
            .map(|(row, twin)| (hashes[*twin as usize], *row));
        own.chain(of_twins)
    }

    /// The weld as it is judged.
    pub fn weld(&self, row: usize) -> Weld<'_> {
        let row = self.at(row);
        Weld {
            part_no: self.arrived.part_no.get(row),
            umax: self.arrived.umax[row],
            imax: self.arrived.imax[row],
            u: self.arrived.u(row),
            i: self.arrived.i(row),
            scalars: self.arrived.further.scalars(row),
        }
    }

    /// The weld's place in its day.
    pub fn key(&self, row: usize) -> KeyRef<'_> {
        self.arrived.key(self.at(row))
    }

    pub fn id(&self, row: usize) -> IdRef<'_> {
        self.arrived.ids.get(self.at(row))
    }

    /// `ck_local_time` as ClickHouse prints it.
    pub fn time_text(&self, row: usize) -> &str {
        self.arrived.times.get(self.at(row))
    }

    /// `part_no`, empty where the plant has none.
    pub fn part_no(&self, row: usize) -> &str {
        self.arrived.part_no.get(self.at(row))
    }

    /// `spot_name`, empty where the plant has none.
    pub fn spot_name(&self, row: usize) -> &str {
        self.arrived.spot_name.get(self.at(row))
    }

    /// `timer_name`, empty where the plant has none.
    pub fn timer_name(&self, row: usize) -> &str {
        self.arrived.timer_name.get(self.at(row))
    }

    /// `umax` and `imax` as they are stored; `None` where there is no number.
    pub fn maxima(&self, row: usize) -> [Option<f32>; 2] {
        let at = self.at(row);
        let (umax, imax) = (self.arrived.umax[at], self.arrived.imax[at]);
        [("umax", umax), ("imax", imax)].map(|(ours, value)| {
            let is_missing = self.arrived.unreadable.is_missing(at, ours);
            (!is_missing).then_some(value)
        })
    }

    /// Names of the columns that only this plant has.
    pub fn further(&self) -> &FurtherNames {
        &self.arrived.further.names
    }

    /// The row's text in the carried column at this place; empty for NULL.
    pub fn carried(&self, row: usize, place: usize) -> &str {
        self.arrived.further.carried[place].get(self.at(row))
    }

    /// The row's further numbers; NaN where there is none.
    pub fn scalars(&self, row: usize) -> &[f32] {
        self.arrived.further.scalars(self.at(row))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            arena::Arena,
            arrived::{Further, Ids},
            native::Texts,
            stored::UnreadableRows,
        },
        *,
    };

    fn arrived(rows: &[(u64, i64, u64, f32)]) -> Arrived {
        let mut texts = Texts::default();
        for _ in rows {
            texts.push(b"x");
        }
        Arrived {
            hashes: rows.iter().map(|row| row.0).collect(),
            wanted: vec![1; rows.len()],
            ticks: rows.iter().map(|row| row.1).collect(),
            ids: Ids::Numbers(rows.iter().map(|row| row.2).collect()),
            times: texts.clone(),
            part_no: texts.clone(),
            spot_name: texts.clone(),
            timer_name: texts,
            umax: rows.iter().map(|row| row.3).collect(),
            imax: vec![0.0; rows.len()],
            curves: Arena {
                u_ends: (1..=rows.len() as u64).collect(),
                u_values: rows.iter().map(|row| row.3).collect(),
                i_ends: vec![0; rows.len()],
                i_values: Vec::new(),
            },
            unreadable: UnreadableRows::default(),
            further: Further::default(),
        }
    }

    fn reasons(block: &RowBlock) -> Vec<Option<String>> {
        let judged = Verdict::unjudged(Status::Ok, "judged");
        let mut verdicts = vec![judged; block.len()];
        block.refuse(&mut verdicts);
        verdicts
            .into_iter()
            .map(|verdict| verdict.alg_error.map(|reason| reason.to_string()))
            .collect()
    }

    #[test]
    fn rows_of_one_key_are_one_weld_if_equal_and_all_refused_if_not() {
        let day = Day::new(20_261_122).unwrap();
        // Key (5, 2) twice alike, (5, 3) with two contents in three rows, (4, 9) alone.
        let mut rows = vec![
            (1, 5, 2, 1.5),
            (2, 5, 3, 2.5),
            (3, 5, 2, 1.5),
            (4, 4, 9, 3.5),
            (5, 5, 3, 0.5),
            (6, 5, 3, 2.5),
        ];
        for _ in 0..rows.len() {
            rows.rotate_left(1);
            let block = RowBlock::new(day, arrived(&rows)).unwrap();
            let found: Vec<f32> = (0..block.len()).map(|row| block.weld(row).u[0]).collect();
            assert_eq!(found, [3.5, 1.5, 0.5, 2.5, 2.5]);
            assert!(!block.overrules());
            let mut results: Vec<(u64, usize)> = block.results().collect();
            results.sort_unstable();
            let rows_of: Vec<f32> = results.iter().map(|(_, row)| found[*row]).collect();
            assert_eq!(rows_of, [1.5, 2.5, 1.5, 3.5, 0.5, 2.5]);
            let refused = Some("duplicate_key: 3 rows have this key and differ".to_owned());
            let judged = Some("judged".to_owned());
            assert_eq!(
                reasons(&block),
                [
                    judged.clone(),
                    judged,
                    refused.clone(),
                    refused.clone(),
                    refused
                ]
            );
        }
    }

    #[test]
    fn a_row_that_has_a_verdict_counts_only_where_it_differs_from_one_that_has_none() {
        let day = Day::new(20_261_122).unwrap();
        let mut three = arrived(&[
            (1, 5, 2, 1.5),
            (2, 5, 2, 1.5),
            (3, 6, 2, 2.5),
            (4, 6, 2, 0.5),
            (5, 7, 2, 2.5),
        ]);
        three.wanted = vec![0, 1, 0, 1, 0];
        let block = RowBlock::new(day, three).unwrap();
        let hashes: Vec<u64> = block.results().map(|(hash, _)| hash).collect();
        assert_eq!(hashes, [2, 4, 3], "1 stands as it is, 5 has no rival");
        assert!(block.overrules());
        assert_eq!(reasons(&block)[0].as_deref(), Some("judged"));
        assert!(
            reasons(&block)[1..]
                .iter()
                .flatten()
                .all(|reason| reason.starts_with("duplicate_key: 2 rows"))
        );
    }

    #[test]
    fn two_welds_with_one_hash_are_refused_and_named() {
        let day = Day::new(20_261_122).unwrap();
        let error = RowBlock::new(
            day,
            arrived(&[(8, 1, 1, 0.0), (9, 1, 2, 0.0), (8, 2, 3, 0.0)]),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "two welds of one range have the same key hash 8: `x 1` and `x 3`; split the range between them"
        );
    }
}
