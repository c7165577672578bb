//! A row of the result table: as the values of a statement, as an answer has it, as what its checksum is made of.

use mysql_async::{Row, Value};
use weldfleet_settings::Constant;

use crate::{
    clickhouse::nok::{Array, NokRow, TextKey},
    errors::StoreError,
    mirror_layout::{MirrorLayout, MirrorType},
    range::Day,
};

/// A mirrored row as MySQL holds it.
pub(crate) struct StoredRow {
    pub row: NokRow,
    pub reviewed: bool,
    /// Whether it has a verdict.
    pub judged: bool,
    /// What it adds to the day's checksum.
    pub crc: u64,
}

impl StoredRow {
    /// Whether the day's checksum counts it: a review alone, of a weld without a verdict, says nothing about the weld.
    pub fn counts(&self) -> bool {
        !self.reviewed || self.judged
    }
}

fn millionths(x: &f64) -> Option<i64> {
    x.is_finite()
        .then(|| (x.clamp(-1e9, 1e9) * 1e6 + 0.5).floor() as i64)
}

/// Whether two rows of a weld say the same, in whatever words its time, numbers to a millionth.
pub(super) fn same(a: &NokRow, b: &NokRow) -> bool {
    a.weld() == b.weld()
        && a.integers == b.integers
        && a.texts == b.texts
        && a.floats
            .iter()
            .map(millionths)
            .eq(b.floats.iter().map(millionths))
}

/// The first of MySQL's columns in which two rows differ.
pub(super) fn differs_in<'a>(layout: &'a MirrorLayout, a: &NokRow, b: &NokRow) -> Option<&'a str> {
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

/// In the order of [`MirrorLayout::written`].
pub(super) fn row_values(layout: &MirrorLayout, day: Day, row: &NokRow) -> Vec<Value> {
    let mut values = vec![
        Value::from(day.number()),
        Value::from(row.ticks),
        Value::from(row.ck_local_time.as_str()),
        Value::from(row.record_id.as_str()),
    ];
    let (mut texts, mut floats, mut integers) =
        (row.texts.iter(), row.floats.iter(), row.integers.iter());
    values.extend(layout.columns.iter().map(|column| {
        let value = match Array::of(column) {
            Array::Texts => {
                let text = texts.next().map(String::as_str);
                let is_value = |text: &&str| !text.is_empty() || !column.takes_null;
                text.filter(is_value).map(Value::from)
            }
            Array::Floats => {
                let number = floats.next().filter(|number| number.is_finite());
                number.map(|number| Value::from(*number))
            }
            Array::Integers => integers.next().map(|number| Value::from(*number)),
        };
        value.unwrap_or(Value::NULL)
    }));
    let constants = layout.constants.iter();
    values.extend(constants.map(|(_, constant)| match constant {
        Constant::Text(text) => Value::from(text.as_str()),
        Constant::Whole(number) => Value::from(*number),
        Constant::Number(number) => Value::from(*number),
        Constant::Truth(truth) => Value::from(*truth),
    }));
    values
}

pub(super) fn key_values(day: Day, keys: &[TextKey]) -> Vec<Value> {
    let mut values = vec![Value::from(day.number())];
    values.extend(keys.iter().flat_map(values_of));
    values
}

pub(super) fn values_of((ticks, time, id): &TextKey) -> [Value; 3] {
    [
        Value::from(*ticks),
        Value::from(time.as_str()),
        Value::from(id.as_str()),
    ]
}

pub(super) fn stored_row(layout: &MirrorLayout, mut row: Row) -> Result<StoredRow, StoreError> {
    let mut place = 0;
    let mut next = || {
        place += 1;
        row.take::<Value, _>(place - 1).unwrap_or(Value::NULL)
    };
    let mut stored = NokRow {
        ticks: integer(&next()) as i64,
        ck_local_time: text(next())?,
        record_id: text(next())?,
        nok: 0,
        texts: Vec::new(),
        floats: Vec::new(),
        integers: Vec::new(),
    };
    for column in &layout.columns {
        match Array::of(column) {
            Array::Texts => stored.texts.push(text(next())?),
            Array::Floats => stored.floats.push(float(&next())),
            Array::Integers => stored.integers.push(integer(&next()) as u64),
        }
    }
    stored.nok = u8::from(integer(&next()) != 0);
    let (reviewed, judged) = (integer(&next()) != 0, integer(&next()) != 0);
    let crc = integer(&next()) as u64;
    Ok(StoredRow {
        row: stored,
        reviewed,
        judged,
        crc,
    })
}

fn text(value: Value) -> Result<String, StoreError> {
    match value {
        Value::NULL => Ok(String::new()),
        Value::Bytes(bytes) => String::from_utf8(bytes)
            .map_err(|_| StoreError::answer("read mirrored rows", "text that is not utf-8")),
        other => Err(StoreError::answer(
            "read mirrored rows",
            format!("{other:?} where text should be"),
        )),
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Double(number) => *number,
        Value::Float(number) => f64::from(*number),
        Value::Int(number) => *number as f64,
        Value::UInt(number) => *number as f64,
        // DECIMAL comes as text.
        Value::Bytes(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

fn integer(value: &Value) -> i128 {
    match value {
        Value::Int(number) => i128::from(*number),
        Value::UInt(number) => i128::from(*number),
        _ => 0,
    }
}

/// `DATETIME(3)` as ClickHouse prints a `DateTime64(3)`.
pub(super) fn time_text(name: &str) -> String {
    format!("LEFT(DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s.%f'), 23)")
}

/// The row's text over which both stores compute CRC32, as bytes whatever the collations.
pub(super) fn checksum_text(layout: &MirrorLayout) -> String {
    let bytes = |value: String| format!("IFNULL(CAST({value} AS BINARY), '')");
    let text = |name: &str| bytes(format!("CONVERT({name} USING utf8mb4)"));
    let [_, ticks, time, id] = layout.quoted_key();
    let mut values = vec![bytes(ticks), text(&time), text(&id)];
    values.extend(layout.columns.iter().map(|column| {
        let name = column.quoted();
        match column.held {
            MirrorType::Text(_) => text(&name),
            MirrorType::Time(_) => bytes(time_text(&name)),
            MirrorType::Number { .. } => bytes(format!(
                "CAST(FLOOR(LEAST(GREATEST({name}, -1e9), 1e9) * 1e6 + 0.5e0) AS SIGNED)"
            )),
            MirrorType::Integer => bytes(format!("IFNULL({name}, 0)")),
        }
    }));
    values.join(", ")
}
