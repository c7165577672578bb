//! The columns of a range's rows in order of arrival.

use std::{cmp::Ordering, sync::Arc};

use super::{
    arena::Arena,
    native::{Texts, Values},
    schema::FurtherNames,
    sql::LONGEST_ID,
    stored::UnreadableRows,
};
use crate::{
    IdRef,
    errors::StoreError,
    range::{KeyRef, hex},
};

/// Record ids of a column.
pub(crate) type Ids = Values<u64>;

impl Ids {
    pub(crate) fn get(&self, row: usize) -> IdRef<'_> {
        match self {
            Self::Numbers(numbers) => IdRef::Number(numbers[row]),
            Self::Texts(texts) => IdRef::Text(texts.get(row)),
        }
    }

    /// Refuses ids that could not be named in a job or in MySQL; see
    /// [`Schema::has_usable_id`](super::Schema::has_usable_id).
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let Self::Texts(texts) = self else {
            return Ok(());
        };
        let too_long = || (0..texts.len()).find(|row| texts.bytes(*row).len() > LONGEST_ID);
        match texts.first_invalid().or_else(too_long) {
            None => Ok(()),
            Some(row) => Err(StoreError::RecordId {
                hex: hex(texts.bytes(row).get(..32).unwrap_or(texts.bytes(row))),
            }),
        }
    }
}

/// Columns in order of arrival.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub hashes: Vec<u64>,
    /// Whether each row is to be judged (1), or only to be compared with those that are (0).
    pub wanted: Vec<u8>,
    pub ticks: Vec<i64>,
    pub ids: Ids,
    pub times: Texts,
    pub part_no: Texts,
    pub spot_name: Texts,
    pub timer_name: Texts,
    pub umax: Vec<f32>,
    pub imax: Vec<f32>,
    pub curves: Arena,
    pub unreadable: UnreadableRows,
    pub further: Further,
}

impl Arrived {
    pub(crate) fn key(&self, row: usize) -> KeyRef<'_> {
        KeyRef {
            leading: None,
            ticks: self.ticks[row],
            id: self.ids.get(row),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ticks.len()
    }

    pub(super) fn u(&self, row: usize) -> &[f32] {
        span(&self.curves.u_ends, &self.curves.u_values, row)
    }

    pub(super) fn i(&self, row: usize) -> &[f32] {
        span(&self.curves.i_ends, &self.curves.i_values, row)
    }

    /// An order over what people alone read: rows that differ in nothing else are one weld, whose first is taken.
    pub(super) fn compare_carried(&self, a: usize, b: usize) -> Ordering {
        let columns = self.further.carried.iter();
        columns.fold(Ordering::Equal, |order, texts| {
            order.then_with(|| texts.bytes(a).cmp(texts.bytes(b)))
        })
    }

    /// An order over what a row says, so that the same one of several duplicates is always taken.
    pub(super) fn compare_content(&self, a: usize, b: usize) -> Ordering {
        let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|v| v.to_bits()).collect() };
        let short = |row: usize| {
            (
                self.umax[row].to_bits(),
                self.imax[row].to_bits(),
                self.part_no.bytes(row),
                self.spot_name.bytes(row),
                self.timer_name.bytes(row),
            )
        };
        short(a)
            .cmp(&short(b))
            .then_with(|| bits(self.u(a)).cmp(&bits(self.u(b))))
            .then_with(|| bits(self.i(a)).cmp(&bits(self.i(b))))
            .then_with(|| {
                let scalars = |row| bits(self.further.scalars(row));
                scalars(a).cmp(&scalars(b))
            })
    }
}

/// Values of the columns that only this plant has a name for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Further {
    pub(super) names: Arc<FurtherNames>,
    /// A column each.
    pub carried: Vec<Texts>,
    /// Row by row, as models take them.
    scalars: Vec<f32>,
}

impl Further {
    /// Room for the columns of these names.
    pub(crate) fn named(names: Arc<FurtherNames>) -> Self {
        Self {
            carried: vec![Texts::default(); names.carried.len()],
            scalars: Vec::new(),
            names,
        }
    }

    /// Room for the numbers of so many rows more; where it begins.
    pub(crate) fn make_room(&mut self, rows: usize) -> usize {
        let first = self.scalars.len();
        let numbers = rows * self.names.scalars.len();
        self.scalars.resize(first + numbers, f32::NAN);
        first
    }

    /// Fills in the numbers of a column.
    pub(crate) fn put_scalars(&mut self, first: usize, place: usize, numbers: &[f32]) {
        let step = self.names.scalars.len();
        let room = self.scalars[first..].iter_mut();
        for (room, number) in room.skip(place).step_by(step).zip(numbers) {
            *room = *number;
        }
    }

    pub(super) fn scalars(&self, row: usize) -> &[f32] {
        let count = self.names.scalars.len();
        &self.scalars[row * count..][..count]
    }
}

fn span<'a>(ends: &[u64], values: &'a [f32], row: usize) -> &'a [f32] {
    let start = row.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &values[start..ends[row] as usize]
}
