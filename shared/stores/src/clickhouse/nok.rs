//! Committed NOK rows and a checksum over them, for the mirror.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_weld::columns::ValueKind;

use super::{Schema, SourceTable};
use crate::{
    columns::mirrored,
    errors::StoreError,
    range::{Day, KeyRange},
};

/// A committed row as the mirror holds it: its key, then the values of [`mirrored`] by what they are, each in its
/// order. Empty text and NaN stand for NULL.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub(crate) struct NokRow {
    pub ticks: i64,
    pub ck_local_time: String,
    pub record_id: String,
    /// Words, texts and times.
    pub texts: Vec<String>,
    pub floats: Vec<f64>,
    pub integers: Vec<u64>,
}

/// What a day's rows in a store come to: equal in two stores only if the rows are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Row, Deserialize)]
pub struct Checksum {
    /// Rows looked at.
    pub rows: u64,
    /// Those of them that say NOK.
    pub nok: u64,
    /// Sum of the rows' CRC32.
    pub sum: u64,
}

impl std::ops::AddAssign for Checksum {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.nok += other.nok;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// A mirrored key: ticks, time as text, id as text.
pub(crate) type TextKey = (i64, String, String);

/// The part of a mirrored key that names the weld in the truth; the time as text is the ticks in other words.
pub(crate) fn ticks_and_id(key: &TextKey) -> (i64, &str) {
    (key.0, &key.2)
}

#[derive(Row, Deserialize)]
struct NokOfDay {
    day: u32,
    nok: u64,
}

/// Keys that one statement names.
pub(crate) const KEYS: usize = 5000;

/// A day's judged rows and their tokens and times, summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Row, Deserialize)]
pub(crate) struct JudgedStamp {
    rows: u64,
    sum: u64,
}

impl NokRow {
    pub(crate) fn key(&self) -> TextKey {
        (
            self.ticks,
            self.ck_local_time.clone(),
            self.record_id.clone(),
        )
    }

    pub(crate) fn final_result(&self) -> &str {
        mirrored()
            .filter(|(_, kind)| Array::of(*kind) == Array::Texts)
            .zip(&self.texts)
            .find(|((name, _), _)| *name == "final_result")
            .map_or("", |(_, text)| text)
    }

    pub(crate) fn is_nok(&self) -> bool {
        self.final_result() == "NOK"
    }
}

/// The arrays of a [`NokRow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    Texts,
    Floats,
    Integers,
}

impl Array {
    fn of(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Word(_) | ValueKind::Text | ValueKind::Time => Self::Texts,
            ValueKind::Float => Self::Floats,
            ValueKind::Integer => Self::Integers,
        }
    }

    fn sql(self) -> String {
        let values: Vec<&str> = mirrored()
            .filter(|(_, kind)| Self::of(*kind) == self)
            .map(|(name, _)| name)
            .collect();
        format!("[{}]", values.join(", "))
    }
}

/// Ticks from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TickSpan {
    pub from: i64,
    pub to: i64,
}

impl TickSpan {
    pub(crate) const ALL: Self = Self {
        from: i64::MIN,
        to: i64::MAX,
    };
}

impl SourceTable {
    /// Committed NOK rows of these ranges of keys.
    pub(crate) async fn nok_between(
        &self,
        day: Day,
        ranges: &[KeyRange],
    ) -> Result<Vec<NokRow>, StoreError> {
        let within = self.schema.between_any(ranges);
        let filter = format!("{within} AND {}", self.schema.is_nok());
        self.committed_rows(day, &filter).await
    }

    /// Committed NOK rows of a span of ticks.
    pub(crate) async fn nok_in_span(
        &self,
        day: Day,
        span: TickSpan,
    ) -> Result<Vec<NokRow>, StoreError> {
        let filter = format!("{} AND {}", self.schema.in_span(span), self.schema.is_nok());
        self.committed_rows(day, &filter).await
    }

    /// The tick of the NOK row that has `skip` before it in the span.
    pub(crate) async fn nok_tick_after(
        &self,
        day: Day,
        span: TickSpan,
        skip: usize,
    ) -> Result<Option<i64>, StoreError> {
        let schema = &self.schema;
        let ticks: Vec<i64> = self
            .server
            .all(
                "read a nok row's tick",
                &format!(
                    "SELECT {} AS ticks FROM {} WHERE {} AND {} AND {} ORDER BY {} LIMIT 1 OFFSET {skip}",
                    schema.ticks(),
                    schema.rows(),
                    schema.on_day(day),
                    schema.in_span(span),
                    schema.is_nok(),
                    schema.column("ck_local_time"),
                ),
            )
            .await?;
        Ok(ticks.first().copied())
    }

    /// Rows with these keys that have a verdict or reason, whatever it is.
    pub(crate) async fn committed_at(
        &self,
        day: Day,
        keys: &[TextKey],
    ) -> Result<Vec<NokRow>, StoreError> {
        let mut found = Vec::new();
        for keys in keys.chunks(KEYS) {
            let filter = format!(
                "{} AND {} IS NOT NULL",
                self.schema.has_key(keys.iter().map(ticks_and_id)),
                self.schema.column("alg_complete_time")
            );
            found.extend(self.committed_rows(day, &filter).await?);
        }
        Ok(found)
    }

    /// What changes whenever a row of the day gets a verdict or another one.
    pub(crate) async fn judged_stamp(&self, day: Day) -> Result<JudgedStamp, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT count() AS rows, toUInt64(ifNull(sum(cityHash64({token}, {complete})), 0)) AS sum FROM {source} WHERE {day} AND {complete} IS NOT NULL",
            token = schema.column("alg_token"),
            complete = schema.column("alg_complete_time"),
            source = schema.rows(),
            day = schema.on_day(day),
        );
        self.server.one("look what is judged", &sql).await
    }

    async fn committed_rows(&self, day: Day, filter: &str) -> Result<Vec<NokRow>, StoreError> {
        let sql = format!(
            "SELECT ticks, ck_local_time, record_id, {} AS texts, {} AS floats, {} AS integers FROM ({})",
            Array::Texts.sql(),
            Array::Floats.sql(),
            Array::Integers.sql(),
            self.schema.mirrored(day, filter)
        );
        self.server.all("read committed rows", &sql).await
    }

    /// How many welds of the day are NOK.
    pub async fn nok_count(&self, day: Day) -> Result<u64, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT uniqExact({}, {}) FROM {} WHERE {} AND {}",
            schema.ticks(),
            schema.id_text(),
            schema.rows(),
            schema.on_day(day),
            schema.is_nok(),
        );
        self.server.one("count nok rows", &sql).await
    }

    /// How many welds of each day are NOK in some version, for an overview: reads one column from end to end, which
    /// `FINAL` would make many times dearer. Days without any are left out.
    pub(crate) async fn nok_by_day(&self) -> Result<HashMap<u32, u64>, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT toUInt32({}) AS day, uniqExact({}, {}) AS nok FROM {} WHERE {} GROUP BY 1",
            schema.day_number(),
            schema.ticks(),
            schema.id_text(),
            schema.source,
            schema.is_nok(),
        );
        let rows: Vec<NokOfDay> = self
            .server
            .all("count the nok rows of all days", &sql)
            .await?;
        Ok(rows.into_iter().map(|row| (row.day, row.nok)).collect())
    }

    /// The checksum of the day's NOK rows, and of the rows with the given keys that have a verdict.
    pub(crate) async fn nok_checksum(
        &self,
        day: Day,
        reviewed: &[TextKey],
    ) -> Result<Checksum, StoreError> {
        let schema = &self.schema;
        let mut filter = schema.is_nok();
        if !reviewed.is_empty() {
            filter = format!(
                "({filter} OR ({} AND {} IS NOT NULL AND {} IS NOT NULL))",
                schema.has_key(reviewed.iter().map(ticks_and_id)),
                schema.column("alg_complete_time"),
                schema.column("final_result"),
            );
        }
        let sql = format!(
            "SELECT count() AS rows, countIf(final_result = 'NOK') AS nok, sum(toUInt64(CRC32(concatWithSeparator('|', {})))) AS sum FROM ({})",
            checksum_text(),
            schema.mirrored(day, &filter)
        );
        self.server.one("compute a day's checksum", &sql).await
    }
}

/// The row's text over which both stores compute CRC32; numbers in millionths, rounded alike.
fn checksum_text() -> String {
    let number = |name: &str| {
        format!(
            "if(isFinite({name}), toString(toInt64(floor(least(greatest({name}, -1e9), 1e9) * 1e6 + 0.5))), '')"
        )
    };
    let mut values: Vec<String> = ["toString(ticks)", "ck_local_time", "record_id"]
        .map(str::to_owned)
        .into();
    values.extend(mirrored().map(|(name, kind)| match Array::of(kind) {
        Array::Texts => name.to_owned(),
        Array::Floats => number(name),
        Array::Integers => format!("toString({name})"),
    }));
    values.join(", ")
}

impl Schema {
    fn is_nok(&self) -> String {
        format!(
            "({} = 'NOK' AND {} IS NOT NULL)",
            self.column("final_result"),
            self.column("alg_complete_time")
        )
    }

    fn in_span(&self, span: TickSpan) -> String {
        if span == TickSpan::ALL {
            return "1".to_owned();
        }
        let time = self.column("ck_local_time");
        let mut bounds = Vec::new();
        if span.from > i64::MIN {
            bounds.push(format!("{time} >= {}", self.instant(span.from)));
        }
        if span.to < i64::MAX {
            bounds.push(format!("{time} <= {}", self.instant(span.to)));
        }
        bounds.join(" AND ")
    }

    /// Rows of the day as the mirror holds them, each key once: of duplicates a NOK one, then by content.
    fn mirrored(&self, day: Day, filter: &str) -> String {
        let time = self.column("ck_local_time");
        let mut columns = vec![
            format!("{} AS ticks", self.ticks()),
            format!("toString({time}) AS time_text"),
            format!("{} AS m_record_id", self.id_text()),
        ];
        columns.extend(
            mirrored().map(|(ours, kind)| format!("{} AS m_{ours}", self.value(ours, kind))),
        );
        let renamed: Vec<String> = mirrored()
            .map(|(ours, _)| format!("m_{ours} AS {ours}"))
            .collect();
        format!(
            "SELECT ticks, time_text AS ck_local_time, m_record_id AS record_id, {renamed} FROM (SELECT {columns} FROM {source} \
             WHERE {day} AND {filter}) ORDER BY ticks, m_record_id, m_final_result = 'NOK' DESC, m_alg_token DESC, \
             cityHash64(m_part_no, m_spot_name, m_timer_name, m_umax, m_imax) LIMIT 1 BY ticks, m_record_id",
            renamed = renamed.join(", "),
            columns = columns.join(", "),
            source = self.rows(),
            day = self.on_day(day),
        )
    }

    /// A column as the mirror holds it. Words are cut where MySQL's column ends, on both sides alike.
    fn value(&self, ours: &'static str, kind: ValueKind) -> String {
        match kind {
            ValueKind::Word(longest) => {
                format!(
                    "substringUTF8(toValidUTF8({}), 1, {longest})",
                    self.text(ours)
                )
            }
            ValueKind::Text => self.text(ours),
            ValueKind::Float => self.number(ours, "Float64"),
            ValueKind::Integer => format!("ifNull({}, toUInt64(0))", self.column(ours)),
            ValueKind::Time => format!(
                "ifNull(toString(toDateTime64({}, 3, 'UTC')), '')",
                self.column(ours)
            ),
        }
    }
}
