//! Rows that a person wants to look at, and what this user may do; nothing here writes.

use clickhouse::Row;
use serde::Deserialize;

use super::{
    LatestDays, OutcomeCounts, RowBlock, SourceTable, latest_days::latest_days, quote, sql::renamed,
};
use crate::{
    IdRef,
    errors::StoreError,
    range::{Day, Key, Range},
};

/// A part, and how many rows name it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct PartRows {
    /// `part_no`; empty where a row or the plant has none.
    pub part_no: String,
    pub rows: u64,
}

/// Rows of parts that are looked at in one go.
const MOST_OF_PARTS: u32 = 1000;

/// A weld that was found by its id.
pub struct WeldById {
    pub block: RowBlock,
    /// Its place in the block.
    pub row: usize,
    /// Welds of the same id and day, at other times, that were not taken.
    pub others: usize,
}

/// A weld that people look for by what they know of it.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct CarriedWeld {
    /// 0 where it is none.
    pub day: u32,
    /// `ck_local_time` as ClickHouse stores it, and as it prints it.
    pub ticks: i64,
    pub time: String,
    pub record_id: String,
    pub part_no: String,
    pub spot_name: String,
    pub timer_name: String,
    /// Empty while it waits.
    pub status: String,
    /// Empty where there is no verdict.
    pub result: String,
    pub defect: String,
}

/// Welds with one text in a carried column.
#[derive(Debug, Clone, PartialEq)]
pub struct CarriedWelds {
    pub counts: CarriedCounts,
    /// NOK ones first, then what could not be judged, each the newest first; not necessarily all.
    pub welds: Vec<CarriedWeld>,
}

/// All of them, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Deserialize)]
pub struct CarriedCounts {
    pub welds: u64,
    pub nok: u64,
    /// Invalid, poison or in error.
    pub unjudged: u64,
    /// Without verdict or reason yet.
    pub waiting: u64,
}

impl SourceTable {
    /// Welds whose carried column `ours` has this text, on one day or on all; at most `limit` of them.
    pub async fn find_carried(
        &self,
        ours: &str,
        text: &str,
        day: Option<Day>,
        limit: u32,
    ) -> Result<CarriedWelds, StoreError> {
        let schema = &self.schema;
        let result = format!("ifNull(toString({}), '')", schema.column("final_result"));
        let status = format!("ifNull(toString({}), '')", schema.column("alg_status"));
        let on_day = day.map(|day| format!("{} AND ", schema.on_day(day)));
        let from = format!(
            "{} WHERE {}{} = {}",
            schema.rows(),
            on_day.unwrap_or_default(),
            schema.carried_text(ours),
            quote::literal(text)
        );
        let what = "find welds by a carried column";
        let counts = format!(
            "SELECT count() AS welds, countIf({result} = 'NOK') AS nok, countIf({status} IN ('invalid', 'poison', 'error')) AS unjudged, \
             countIf({complete} IS NULL) AS waiting FROM {from}",
            complete = schema.column("alg_complete_time"),
        );
        let mut columns = schema.named_weld();
        columns.extend([
            ("status", status),
            ("result", result),
            ("defect", schema.text("defect")),
        ]);
        let welds = renamed(
            &columns,
            &format!(
                "FROM {from} ORDER BY f_result = 'NOK' DESC, f_status IN ('invalid', 'poison', 'error') DESC, f_day DESC, \
                 f_ticks DESC, f_record_id LIMIT {limit}"
            ),
        );
        Ok(CarriedWelds {
            counts: self.server.one(what, &counts).await?,
            welds: self.server.all(what, &welds).await?,
        })
    }

    /// The weld of a key that was found.
    pub async fn weld_at(
        &self,
        weld: &CarriedWeld,
    ) -> Result<Option<(RowBlock, usize)>, StoreError> {
        let schema = &self.schema;
        let Ok(day) = Day::new(weld.day) else {
            return Ok(None);
        };
        let key = schema.has_key([(weld.ticks, weld.record_id.as_str())]);
        let conditions = format!("{} AND {key}", schema.on_day(day));
        let block = self.rows_where(day, &conditions).await?;
        Ok((!block.is_empty()).then_some((block, 0)))
    }

    /// What attempts of this job have committed in its range; for a retry that finds nothing left to do.
    pub async fn counts_of_job(
        &self,
        range: &Range,
        job: &str,
    ) -> Result<OutcomeCounts, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT {counts} FROM {source} WHERE {day} AND {between} AND {owner} = {job}",
            counts = schema.outcome_counts(),
            source = schema.rows(),
            day = schema.on_day(range.day),
            between = schema.between(&range.keys()),
            owner = schema.column("alg_job"),
            job = quote::literal(job),
        );
        self.server.one("count a job's rows", &sql).await
    }

    /// The latest days that have so many rows.
    pub async fn latest_days(&self, enough: u32) -> Result<Option<LatestDays>, StoreError> {
        let schema = &self.schema;
        let (source, day) = (schema.rows(), schema.column("data_date"));
        latest_days(&self.server, &source, day, &schema.plant_zone, enough).await
    }

    /// Which parts the latest days' rows name, as workers read them, the most frequent first, at most `limit`.
    pub async fn parts_of_latest_days(
        &self,
        limit: u32,
    ) -> Result<Option<(LatestDays, Vec<PartRows>)>, StoreError> {
        let Some(days) = self.latest_days(MOST_OF_PARTS).await? else {
            return Ok(None);
        };
        let schema = &self.schema;
        let sql = format!(
            "SELECT toValidUTF8({part}) AS part_no, count() AS rows FROM {source} WHERE {on_days} \
             GROUP BY part_no ORDER BY rows DESC, part_no LIMIT {limit}",
            part = schema.text("part_no"),
            source = schema.rows(),
            on_days = days.condition,
        );
        let parts = self.server.all("list the latest days' parts", &sql).await?;
        Ok(Some((days, parts)))
    }

    /// The last welds of the latest days, judged or not, at most `limit`; the block is said to be of the newest.
    pub async fn latest_rows(&self, limit: u32) -> Result<RowBlock, StoreError> {
        let Some(days) = self.latest_days(limit).await? else {
            return self.rows_where(Day::EPOCH, "0").await;
        };
        let conditions = format!(
            "{} ORDER BY {} DESC LIMIT {limit}",
            days.condition,
            self.schema.column("ck_local_time")
        );
        self.rows_where(days.newest, &conditions).await
    }

    /// The last welds of each of these parts on the latest days, judged or not, at most `each` of one.
    pub async fn latest_rows_of_parts(
        &self,
        parts: &[String],
        each: u32,
    ) -> Result<RowBlock, StoreError> {
        let schema = &self.schema;
        let Some(days) = self.latest_days(MOST_OF_PARTS).await? else {
            return self.rows_where(Day::EPOCH, "0").await;
        };
        // By their keys: sorting whole rows would read every curve of these parts.
        let sql = format!(
            "SELECT {ticks}, toValidUTF8({id}) FROM {source} WHERE {on_days} AND {part} IN ({parts}) \
             ORDER BY {time} DESC LIMIT {each} BY {part} LIMIT {MOST_OF_PARTS}",
            ticks = schema.ticks(),
            id = schema.id_text(),
            source = schema.rows(),
            on_days = days.condition,
            part = schema.text("part_no"),
            parts = quote::literals(parts),
            time = schema.column("ck_local_time"),
        );
        let keys: Vec<(i64, String)> = self.server.all("find rows of parts", &sql).await?;
        let keys = keys.iter().map(|(ticks, id)| (*ticks, id.as_str()));
        let conditions = format!("{} AND {}", days.condition, schema.has_key(keys));
        self.rows_where(days.newest, &conditions).await
    }

    /// The weld of this id: on `day`, or on the latest day that has it; at `time`, `ck_local_time` as ClickHouse prints
    /// it, or the last that was read.
    pub async fn find(
        &self,
        record_id: &str,
        day: Option<Day>,
        time: Option<&str>,
    ) -> Result<Option<WeldById>, StoreError> {
        let schema = &self.schema;
        let Some(id) = schema.id_of(record_id) else {
            return Ok(None);
        };
        let id = schema.id_value(id.as_ref());
        let same_id = format!("{} = {id}", schema.column("record_id"));
        let day = match day {
            Some(day) => day,
            None => {
                let latest = format!(
                    "SELECT toUInt32(max({})) FROM {} WHERE {same_id}",
                    schema.day_number(),
                    schema.rows()
                );
                match Day::new(self.server.one("find the weld's day", &latest).await?) {
                    Ok(day) => day,
                    Err(_) => return Ok(None),
                }
            }
        };
        let block = self
            .rows_where(day, &format!("{} AND {same_id}", schema.on_day(day)))
            .await?;
        let mut rows = (0..block.len()).rev().filter(|row| {
            let same_id = match block.id(*row) {
                IdRef::Number(number) => number.to_string() == record_id,
                IdRef::Text(text) => text == record_id,
            };
            same_id && time.is_none_or(|time| block.time_text(*row) == time)
        });
        let Some(row) = rows.next() else {
            return Ok(None);
        };
        let others = rows.count();
        Ok(Some(WeldById { block, row, others }))
    }

    /// The weld of this key; of several copies of its row the last.
    pub async fn at(&self, day: Day, key: &Key) -> Result<Option<(RowBlock, usize)>, StoreError> {
        let this = self.schema.is_key(key);
        let block = self
            .rows_where(day, &format!("{} AND {this}", self.schema.on_day(day)))
            .await?;
        let last = block.len().checked_sub(1);
        Ok(last.map(|row| (block, row)))
    }

    /// What a worker must be allowed to do, each with whether it is. Nothing is changed: `CHECK GRANT` asks the server.
    pub async fn check_grants(&self) -> Vec<(String, Result<(), StoreError>)> {
        let schema = &self.schema;
        // Without it an UPDATE that waits for its turn is given up after a minute, and put at the end of the line
        // again.
        let processes = "system.processes".to_owned();
        let wanted = [
            ("SELECT", &processes),
            ("SELECT", &schema.source),
            ("ALTER UPDATE", &schema.source),
            ("SELECT", &schema.results),
            ("INSERT", &schema.results),
        ];
        let answers = wanted.map(|(grant, table)| async move {
            let granted: Result<u8, StoreError> = self
                .server
                .one("check a grant", &format!("CHECK GRANT {grant} ON {table}"))
                .await;
            let answer = match granted {
                Ok(1) => Ok(()),
                Ok(_) => Err(StoreError::refused(
                    format!("clickhouse user may not {grant} on {table}"),
                    format!("GRANT {grant} ON {table} TO the user"),
                )),
                Err(error) => Err(error),
            };
            (format!("{grant} on {table}"), answer)
        });
        futures::future::join_all(answers).await
    }
}
