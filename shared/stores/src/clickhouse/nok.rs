//! Committed NOK rows and a checksum over them, for the mirror.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;

use super::{Schema, SourceTable};
use crate::{
    errors::StoreError,
    range::{Day, KeyRange},
};

/// Longest text of a short column in the mirror; longer ones are cut on both sides alike.
pub(crate) const SHORT_TEXT: usize = 255;

/// A committed row as the mirror holds it. Empty text and NaN stand for NULL.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub(crate) struct NokRow {
    pub ticks: i64,
    pub ck_local_time: String,
    pub record_id: String,
    pub part_no: String,
    pub spot_name: String,
    pub timer_name: String,
    pub umax: f64,
    pub imax: f64,
    pub ml_nok_prob: f64,
    pub ml_result: String,
    pub rule_result: String,
    pub rule_hits: String,
    pub final_result: String,
    pub decided_by: String,
    pub diameter: f64,
    pub indentation: f64,
    pub front_thickness: f64,
    pub stack_thickness: f64,
    pub model_version: String,
    pub alg_complete_time: String,
    pub alg_run: u64,
    pub alg_token: u64,
    pub alg_job: String,
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
        let sql = format!("SELECT * FROM ({})", self.schema.mirrored(day, filter));
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

    /// How many welds of each day are NOK in some version, for an overview: reads one column from end to end, which `FINAL` would
    /// make many times dearer. Days without any are left out.
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
    let mut parts = vec!["toString(ticks)".to_owned()];
    for (name, kind) in MIRRORED {
        parts.push(match kind {
            Mirrored::Text | Mirrored::Time => (*name).to_owned(),
            Mirrored::Float => number(name),
            Mirrored::Integer => format!("toString({name})"),
        });
    }
    parts.join(", ")
}

/// How a mirrored column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mirrored {
    Text,
    Float,
    Integer,
    Time,
}

/// Columns of the mirror behind the day and the ticks, in the order of [`NokRow`].
pub(crate) const MIRRORED: &[(&str, Mirrored)] = &[
    ("ck_local_time", Mirrored::Text),
    ("record_id", Mirrored::Text),
    ("part_no", Mirrored::Text),
    ("spot_name", Mirrored::Text),
    ("timer_name", Mirrored::Text),
    ("umax", Mirrored::Float),
    ("imax", Mirrored::Float),
    ("ml_nok_prob", Mirrored::Float),
    ("ml_result", Mirrored::Text),
    ("rule_result", Mirrored::Text),
    ("rule_hits", Mirrored::Text),
    ("final_result", Mirrored::Text),
    ("decided_by", Mirrored::Text),
    ("diameter", Mirrored::Float),
    ("indentation", Mirrored::Float),
    ("front_thickness", Mirrored::Float),
    ("stack_thickness", Mirrored::Float),
    ("model_version", Mirrored::Text),
    ("alg_complete_time", Mirrored::Time),
    ("alg_run", Mirrored::Integer),
    ("alg_token", Mirrored::Integer),
    ("alg_job", Mirrored::Text),
];

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
        let short = |text: String| format!("substringUTF8(toValidUTF8({text}), 1, {SHORT_TEXT})");
        let mut columns = vec![
            format!("{} AS ticks", self.ticks()),
            format!("toString({time}) AS time_text"),
        ];
        for (ours, kind) in MIRRORED.iter().skip(1) {
            let value = match (*ours, kind) {
                ("record_id", _) => self.id_text(),
                ("rule_hits", _) => self.text("rule_hits"),
                (ours, Mirrored::Text) => short(self.text(ours)),
                (ours, Mirrored::Float) => self.number(ours, "Float64"),
                (ours, Mirrored::Integer) => {
                    format!("ifNull({}, toUInt64(0))", self.column(ours))
                }
                (ours, Mirrored::Time) => format!(
                    "ifNull(toString(toDateTime64({}, 3, 'UTC')), '')",
                    self.column(ours)
                ),
            };
            columns.push(format!("{value} AS m_{ours}"));
        }
        let renamed: Vec<String> = MIRRORED
            .iter()
            .skip(1)
            .map(|(ours, _)| format!("m_{ours} AS {ours}"))
            .collect();
        format!(
            "SELECT ticks, time_text AS ck_local_time, {renamed} FROM (SELECT {columns} FROM {source} \
             WHERE {day} AND {filter}) ORDER BY ticks, m_record_id, m_final_result = 'NOK' DESC, m_alg_token DESC, \
             cityHash64(m_part_no, m_spot_name, m_timer_name, m_umax, m_imax) LIMIT 1 BY ticks, m_record_id",
            renamed = renamed.join(", "),
            columns = columns.join(", "),
            source = self.rows(),
            day = self.on_day(day),
        )
    }
}
