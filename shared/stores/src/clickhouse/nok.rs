//! Committed NOK rows and a checksum over them, for the mirror.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;

use super::{Schema, SourceTable, sql::MOST_KEYS};
use crate::{
    commas,
    errors::StoreError,
    mirror_layout::{MirrorColumn, MirrorType},
    range::{Day, KeyRange},
};

/// A committed row as the mirror holds it: its key, then the values of the layout's columns by what they are, each in
/// its order. Empty text and NaN stand for NULL.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub(crate) struct NokRow {
    pub ticks: i64,
    pub ck_local_time: String,
    pub record_id: String,
    /// Whether it says NOK.
    pub nok: u8,
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

    /// What names the weld of a day: ticks and id. The time as text is the ticks in other words.
    pub(crate) fn weld(&self) -> (i64, &str) {
        (self.ticks, &self.record_id)
    }

    pub(crate) fn is_nok(&self) -> bool {
        self.nok != 0
    }
}

/// The arrays of a [`NokRow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Array {
    Texts,
    Floats,
    Integers,
}

impl Array {
    pub(crate) fn of(column: &MirrorColumn) -> Self {
        match column.held {
            MirrorType::Text(_) | MirrorType::Time(_) => Self::Texts,
            MirrorType::Number { .. } => Self::Floats,
            MirrorType::Integer => Self::Integers,
        }
    }

    /// The columns by their place.
    fn sql(self, columns: &[MirrorColumn]) -> String {
        let values = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| Self::of(column) == self)
            .map(|(place, _)| format!("m_{place}"));
        let item = match self {
            Self::Texts => "String",
            Self::Floats => "Float64",
            Self::Integers => "UInt64",
        };
        format!("CAST([{}] AS Array({item}))", commas(values))
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
    /// Committed NOK rows of these ranges of keys and around them, see [`Schema::around`]; with `tokens` only those
    /// that one of these attempts found NOK.
    ///
    /// Result columns of a judged day lie in patches, and applying them to every row of the ranges is most of the cost.
    /// So rows are picked first, by columns that no patch has.
    pub(crate) async fn nok_between(
        &self,
        day: Day,
        ranges: &[KeyRange],
        tokens: Option<&[u64]>,
        columns: &[MirrorColumn],
    ) -> Result<Vec<NokRow>, StoreError> {
        let schema = &self.schema;
        let mut picked = schema.around(ranges);
        if let Some(tokens) = tokens {
            picked = format!(
                "{picked} AND {} IN (SELECT key_hash FROM {} WHERE token IN ({}) AND final_result = 'NOK')",
                schema.row_hash(),
                schema.results,
                commas(tokens)
            );
        }
        let nok = format!("{picked} AND {}", schema.is_nok());
        self.committed_rows(day, Some(&picked), &nok, columns).await
    }

    /// Committed NOK rows of a span of ticks.
    pub(crate) async fn nok_in_span(
        &self,
        day: Day,
        span: TickSpan,
        columns: &[MirrorColumn],
    ) -> Result<Vec<NokRow>, StoreError> {
        let filter = format!("{} AND {}", self.schema.in_span(span), self.schema.is_nok());
        self.committed_rows(day, None, &filter, columns).await
    }

    /// The tick of the NOK row that has `skip` before it in the span.
    pub(crate) async fn nok_tick_after(
        &self,
        day: Day,
        span: TickSpan,
        skip: usize,
    ) -> Result<Option<i64>, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT {} AS ticks FROM {} WHERE {} AND {} AND {} ORDER BY {} LIMIT 1 OFFSET {skip}",
            schema.ticks(),
            schema.rows(),
            schema.on_day(day),
            schema.in_span(span),
            schema.is_nok(),
            schema.column("ck_local_time"),
        );
        self.server.first("read a nok row's tick", &sql).await
    }

    /// Rows of these welds that have a verdict or reason, whatever it is.
    pub(crate) async fn committed_at(
        &self,
        day: Day,
        welds: &[(i64, &str)],
        columns: &[MirrorColumn],
    ) -> Result<Vec<NokRow>, StoreError> {
        let mut found = Vec::new();
        for welds in welds.chunks(MOST_KEYS) {
            let picked = self.schema.has_key(welds.iter().copied());
            let complete = self.schema.column("alg_complete_time");
            let judged = format!("{picked} AND {complete} IS NOT NULL");
            let rows = self.committed_rows(day, Some(&picked), &judged, columns);
            found.extend(rows.await?);
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

    async fn committed_rows(
        &self,
        day: Day,
        picked: Option<&str>,
        filter: &str,
        columns: &[MirrorColumn],
    ) -> Result<Vec<NokRow>, StoreError> {
        let sql = format!(
            "SELECT ticks, ck_local_time, record_id, nok, {} AS texts, {} AS floats, {} AS integers FROM ({})",
            Array::Texts.sql(columns),
            Array::Floats.sql(columns),
            Array::Integers.sql(columns),
            self.schema.mirrored(day, picked, filter, columns),
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
        self.nok_by_day_of(&self.schema.source, &self.schema.is_nok())
            .await
    }

    /// How many welds of each of these days are NOK.
    pub(crate) async fn nok_of_days(&self, days: &[Day]) -> Result<HashMap<u32, u64>, StoreError> {
        let schema = &self.schema;
        let filter = format!("{} AND {}", schema.on_days(days), schema.is_nok());
        self.nok_by_day_of(&schema.rows(), &filter).await
    }

    async fn nok_by_day_of(
        &self,
        rows: &str,
        filter: &str,
    ) -> Result<HashMap<u32, u64>, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT toUInt32({}), uniqExact({}, {}) FROM {rows} WHERE {filter} GROUP BY 1",
            schema.day_number(),
            schema.ticks(),
            schema.id_text(),
        );
        let rows: Vec<(u32, u64)> = self.server.all("count the nok rows by day", &sql).await?;
        Ok(rows.into_iter().collect())
    }

    /// The checksum of the day's NOK rows, and of the given welds that have a verdict.
    pub(crate) async fn nok_checksum(
        &self,
        day: Day,
        reviewed: &[(i64, String)],
        columns: &[MirrorColumn],
    ) -> Result<Checksum, StoreError> {
        let schema = &self.schema;
        let mut filter = schema.is_nok();
        if !reviewed.is_empty() {
            filter = format!(
                "({filter} OR ({} AND {} IS NOT NULL AND {} IS NOT NULL))",
                schema.has_key(reviewed.iter().map(|(ticks, id)| (*ticks, id.as_str()))),
                schema.column("alg_complete_time"),
                schema.column("final_result"),
            );
        }
        let sql = format!(
            "SELECT count() AS rows, countIf(is_nok) AS nok, sum(toUInt64(CRC32(concatWithSeparator('|', {})))) AS sum FROM \
             (SELECT *, nok AS is_nok FROM ({}))",
            checksum_text(columns),
            schema.mirrored(day, None, &filter, columns)
        );
        self.server.one("compute a day's checksum", &sql).await
    }
}

/// The row's text over which both stores compute CRC32; numbers in millionths, rounded alike.
fn checksum_text(columns: &[MirrorColumn]) -> String {
    let number = |name: &str| {
        format!(
            "if(isFinite({name}), toString(toInt64(floor(least(greatest({name}, -1e9), 1e9) * 1e6 + 0.5))), '')"
        )
    };
    let mut values: Vec<String> = ["toString(ticks)", "ck_local_time", "record_id"]
        .map(str::to_owned)
        .into();
    values.extend(columns.iter().enumerate().map(|(place, column)| {
        let name = format!("m_{place}");
        match Array::of(column) {
            Array::Texts => name,
            Array::Floats => number(&name),
            Array::Integers => format!("toString({name})"),
        }
    }));
    values.join(", ")
}

impl Schema {
    pub(super) fn is_nok(&self) -> String {
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

    /// Rows of the day as the mirror holds them, each key once: of duplicates a NOK one, then by content. The layout's
    /// columns are `m_0`, `m_1` and so on. Few rows are `picked` first, by columns that have no patch.
    fn mirrored(
        &self,
        day: Day,
        picked: Option<&str>,
        filter: &str,
        columns: &[MirrorColumn],
    ) -> String {
        let on_day = self.on_day(day);
        let source = match picked {
            Some(picked) if self.keeps_versions => {
                self.rows_among(&format!("{on_day} AND {picked}"))
            }
            Some(picked) => format!("{} PREWHERE {on_day} AND {picked}", self.source),
            None => self.rows(),
        };
        let time = self.column("ck_local_time");
        let values: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| format!(", {} AS m_{place}", self.mirrored_value(column)))
            .collect();
        let names: Vec<String> = (0..columns.len())
            .map(|place| format!(", m_{place}"))
            .collect();
        format!(
            "SELECT ticks, time_text AS ck_local_time, m_record_id AS record_id, m_nok AS nok{names} FROM \
             (SELECT {ticks} AS ticks, toString({time}) AS time_text, {id} AS m_record_id, toUInt8(ifNull({result} = 'NOK', 0)) AS m_nok, \
             ifNull({token}, toUInt64(0)) AS m_token, cityHash64({part}, {spot}, {timer}, {umax}, {imax}) AS m_content{values} \
             FROM {source} WHERE {on_day} AND {filter}) \
             ORDER BY ticks, m_record_id, m_nok DESC, m_token DESC, m_content LIMIT 1 BY ticks, m_record_id",
            names = names.concat(),
            ticks = self.ticks(),
            id = self.id_text(),
            result = self.column("final_result"),
            token = self.column("alg_token"),
            part = self.text("part_no"),
            spot = self.text("spot_name"),
            timer = self.text("timer_name"),
            umax = self.number("umax", "Float64"),
            imax = self.number("imax", "Float64"),
            values = values.concat(),
        )
    }
}
