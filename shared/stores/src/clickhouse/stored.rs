//! How a plant stores numbers and curves, and how each form is read.
//!
//! Numbers come over the wire as the server stores them and are widened here: half the bytes of `Float32` for counts,
//! and no work for the server. Text comes as it is and is read here too: one row's bad text must not fail the statement
//! that reads its neighbours, and the text that cannot be read is told.

use std::collections::{BTreeMap, BTreeSet};

use weldfleet_weld::{
    curve_text,
    validation::{Invalid, Reason},
};

use super::{
    ColumnType, Schema,
    native::{ChunkSource, Reader, Texts},
};
use crate::errors::StoreError;

/// How a curve is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StoredForm {
    /// An array of numbers of a fixed size; the type of one. Of other numbers the server makes `Float32`.
    Numbers(&'static str),
    /// The same where some may be NULL.
    Nullable,
    /// An array of texts, one a sample.
    Texts,
    /// One text.
    Text,
}

/// The types that are widened here.
const WIDENED: &[&str] = &[
    "Float64", "UInt8", "Int8", "UInt16", "Int16", "UInt32", "Int32",
];
const FLOAT: &str = "Float32";

impl StoredForm {
    fn of(kind: Option<&ColumnType>) -> Self {
        let Some(kind) = kind else {
            return Self::Numbers(FLOAT);
        };
        let Some(item) = kind.array_item() else {
            return Self::Text;
        };
        if item.is_text() {
            return Self::Texts;
        }
        if item.nullable {
            return Self::Nullable;
        }
        let mut widened = WIDENED.iter().filter(|_| kind.full == kind.bare);
        Self::Numbers(widened.find(|name| item.full == **name).unwrap_or(&FLOAT))
    }
}

/// What was read of some rows, and what could not be: the row, and why it is invalid.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnreadableRows {
    rows: BTreeMap<usize, Invalid>,
    /// Rows that have no number in this column.
    missing: BTreeSet<(usize, &'static str)>,
}

impl UnreadableRows {
    fn add(&mut self, row: usize, reason: Reason, detail: String) {
        self.rows.entry(row).or_insert(Invalid { reason, detail });
    }

    fn miss(&mut self, row: usize, ours: &'static str, detail: String) {
        self.missing.insert((row, ours));
        self.add(row, Reason::Missing, detail);
    }

    pub(crate) fn is_missing(&self, row: usize, ours: &'static str) -> bool {
        self.missing.contains(&(row, ours))
    }

    /// Why a row that arrived cannot be read; `None` for one that can.
    pub(crate) fn reason(&self, row: usize) -> Option<&Invalid> {
        self.rows.get(&row)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Schema {
    /// A curve as [`read_curves`] takes it.
    pub(super) fn stored_curve(&self, ours: &'static str) -> String {
        match StoredForm::of(self.column_type(ours)) {
            StoredForm::Numbers(FLOAT) => self.curve(ours),
            StoredForm::Numbers(_) => self.column(ours).to_owned(),
            StoredForm::Nullable => {
                format!("CAST({} AS Array(Nullable(Float32)))", self.column(ours))
            }
            StoredForm::Text => self.text(ours),
            StoredForm::Texts => {
                let item = self.column_type(ours).and_then(ColumnType::array_item);
                let column = self.column(ours);
                let texts = match item {
                    Some(item) if item.nullable => {
                        format!(
                            "arrayMap(x -> ifNull(CAST(x AS Nullable(String)), 'NULL'), {column})"
                        )
                    }
                    Some(item) if item.full != "String" => {
                        format!("CAST({column} AS Array(String))")
                    }
                    _ => column.to_owned(),
                };
                format!("arrayStringConcat({texts}, char({}))", curve_text::JOINED)
            }
        }
    }

    /// A maximum as [`read_maxima`] takes it.
    pub(super) fn stored_maximum(&self, ours: &'static str) -> String {
        if self.is_text(ours) && self.is_nullable(ours) {
            // Told from an empty text.
            format!(
                "ifNull(CAST({} AS Nullable(String)), 'NULL')",
                self.column(ours)
            )
        } else if self.is_text(ours) {
            self.text(ours)
        } else if self.is_nullable(ours) {
            format!("CAST({} AS Nullable(Float32))", self.column(ours))
        } else {
            self.number(ours, "Float32")
        }
    }

    fn is_nullable(&self, ours: &str) -> bool {
        self.column_type(ours).is_some_and(|kind| kind.nullable)
    }

    fn is_text(&self, ours: &str) -> bool {
        self.column_type(ours).is_some_and(ColumnType::is_text)
    }
}

/// Reads a column of maxima behind those that have arrived.
pub(super) async fn read_maxima<S: ChunkSource>(
    reader: &mut Reader<S>,
    schema: &Schema,
    ours: &'static str,
    rows: usize,
    into: &mut Vec<f32>,
    unreadable: &mut UnreadableRows,
) -> Result<(), StoreError> {
    if !schema.is_text(ours) {
        if !schema.is_nullable(ours) {
            reader.column("Float32").await?;
            return reader.numbers(rows, into).await;
        }
        reader.column("Nullable(Float32)").await?;
        let first = into.len();
        let is_null = read_nullable(reader, rows, into).await?;
        for row in (0..rows).filter(|row| is_null[*row] != 0) {
            unreadable.miss(first + row, ours, format!("{ours} is NULL"));
        }
        return Ok(());
    }
    let mut texts = Texts::default();
    reader.column("String").await?;
    reader.texts(rows, &mut texts).await?;
    for row in 0..rows {
        let text = texts.bytes(row);
        let number = curve_text::number(text);
        if number.is_none() {
            let value = curve_text::shortened(text);
            let detail = match value.as_str() {
                "" => format!("{ours} is empty"),
                "NULL" => format!("{ours} is NULL"),
                value => format!("{ours} is `{value}`, which is no number"),
            };
            unreadable.miss(into.len(), ours, detail);
        }
        into.push(number.unwrap_or(f32::NAN));
    }
    Ok(())
}

/// Reads numbers of which some are NULL, which become NaN; which ones that is, not 0.
async fn read_nullable<S: ChunkSource>(
    reader: &mut Reader<S>,
    count: usize,
    into: &mut Vec<f32>,
) -> Result<Vec<u8>, StoreError> {
    let mut is_null: Vec<u8> = Vec::new();
    reader.numbers(count, &mut is_null).await?;
    let first = into.len();
    reader.numbers(count, into).await?;
    for (value, is_null) in into[first..].iter_mut().zip(&is_null) {
        if *is_null != 0 {
            *value = f32::NAN;
        }
    }
    Ok(is_null)
}

/// Reads a column of further numbers; NaN where there is none, which costs the row nothing.
pub(super) async fn read_scalars<S: ChunkSource>(
    reader: &mut Reader<S>,
    as_text: bool,
    rows: usize,
) -> Result<Vec<f32>, StoreError> {
    let mut numbers = Vec::new();
    if as_text {
        let mut texts = Texts::default();
        reader.column("String").await?;
        reader.texts(rows, &mut texts).await?;
        let number = |row| curve_text::number(texts.bytes(row)).unwrap_or(f32::NAN);
        numbers.extend((0..rows).map(number));
    } else {
        reader.column("Float32").await?;
        reader.numbers(rows, &mut numbers).await?;
        for number in numbers.iter_mut().filter(|number| !number.is_finite()) {
            *number = f32::NAN;
        }
    }
    Ok(numbers)
}

/// Reads a column of curves behind those that have arrived.
pub(super) async fn read_curves<S: ChunkSource>(
    reader: &mut Reader<S>,
    schema: &Schema,
    ours: &'static str,
    rows: usize,
    (ends, values): (&mut Vec<u64>, &mut Vec<f32>),
    unreadable: &mut UnreadableRows,
) -> Result<(), StoreError> {
    let form = StoredForm::of(schema.column_type(ours));
    let first = ends.len();
    let mut refuse = |row: usize, read: Result<(), curve_text::BadSample>| {
        if let Err(bad) = read {
            unreadable.add(row, Reason::CurveText, format!("{ours}: {bad}"));
        }
    };
    match form {
        StoredForm::Numbers(name) => {
            reader.column(&format!("Array({name})")).await?;
            let base = values.len() as u64;
            let count = reader.array_ends(rows, base, ends).await?;
            read_widened(reader, name, count, values).await
        }
        StoredForm::Nullable => {
            reader.column("Array(Nullable(Float32))").await?;
            let base = values.len();
            let count = reader.array_ends(rows, base as u64, ends).await?;
            let is_null = read_nullable(reader, count, values).await?;
            let mut start = 0;
            for (row, end) in ends.iter().enumerate().skip(first) {
                let end = *end as usize - base;
                let null = is_null[start..end].iter().position(|is_null| *is_null != 0);
                if let Some(index) = null {
                    let value = "NULL".to_owned();
                    refuse(row, Err(curve_text::BadSample { index, value }));
                }
                start = end;
            }
            Ok(())
        }
        StoredForm::Text | StoredForm::Texts => {
            reader.column("String").await?;
            let read = match form {
                StoredForm::Texts => curve_text::read_joined,
                _ => curve_text::read,
            };
            let mut row = first;
            let take = |text: &[u8]| {
                refuse(row, read(text, values));
                ends.push(values.len() as u64);
                row += 1;
            };
            reader.each_text(rows, take).await
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "samples are f32, as the server's own conversion rounds them"
)]
async fn read_widened<S: ChunkSource>(
    reader: &mut Reader<S>,
    name: &str,
    count: usize,
    into: &mut Vec<f32>,
) -> Result<(), StoreError> {
    match name {
        "Float64" => reader.widened(count, into, |x: f64| x as f32).await,
        "UInt8" => reader.widened(count, into, |x: u8| x.into()).await,
        "Int8" => reader.widened(count, into, |x: i8| x.into()).await,
        "UInt16" => reader.widened(count, into, |x: u16| x.into()).await,
        "Int16" => reader.widened(count, into, |x: i16| x.into()).await,
        "UInt32" => reader.widened(count, into, |x: u32| x as f32).await,
        "Int32" => reader.widened(count, into, |x: i32| x as f32).await,
        _ => reader.numbers(count, into).await,
    }
}
