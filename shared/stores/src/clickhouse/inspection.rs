//! Rows that a person wants to look at, and what this user may do; nothing here writes.

use clickhouse::Row;
use serde::Deserialize;

use super::{RowBlock, SourceTable, quote, schema::IdType};
use crate::{
    IdRef,
    errors::StoreError,
    range::{Day, Range},
};

/// What one job left in its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Row, Deserialize)]
pub struct JobCounts {
    /// Judged OK.
    pub ok: u64,
    /// Judged NOK.
    pub nok: u64,
    /// Refused by validation, or poison.
    pub invalid: u64,
    /// Could not be judged.
    pub error: u64,
}

/// A part, and how many rows name it.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct PartRows {
    /// `part_no`; empty where a row or the plant has none.
    pub part_no: String,
    /// Rows.
    pub rows: u64,
}

impl SourceTable {
    /// What attempts of this job have committed in its range; for a retry that finds nothing left to do.
    pub async fn counts_of_job(&self, range: &Range, job: &str) -> Result<JobCounts, StoreError> {
        let schema = &self.schema;
        let (status, verdict) = (schema.column("alg_status"), schema.column("final_result"));
        let sql = format!(
            "SELECT countIf({status} = 'ok' AND {verdict} = 'OK') AS ok, countIf({status} = 'ok' AND {verdict} = 'NOK') AS nok, \
             countIf({status} IN ('invalid', 'poison')) AS invalid, countIf({status} = 'error') AS error \
             FROM {source} WHERE {day} AND {between} AND {owner} = {job}",
            source = schema.rows(),
            day = schema.on_day(range.day),
            between = schema.between(&range.keys()),
            owner = schema.column("alg_job"),
            job = quote::literal(job),
        );
        self.server.one("count a job's rows", &sql).await
    }

    /// The latest day that has rows.
    async fn latest_day(&self) -> Result<Option<Day>, StoreError> {
        let schema = &self.schema;
        let latest = format!(
            "SELECT toUInt32(max({})) FROM {}",
            schema.day_number(),
            schema.rows()
        );
        let day: u32 = self.server.one("find the latest day", &latest).await?;
        Ok(Day::new(day).ok())
    }

    /// Which parts the latest day's rows name, as workers read them, the most frequent first, at most `limit`.
    pub async fn parts_of_latest_day(
        &self,
        limit: u32,
    ) -> Result<Option<(Day, Vec<PartRows>)>, StoreError> {
        let Some(day) = self.latest_day().await? else {
            return Ok(None);
        };
        let schema = &self.schema;
        let sql = format!(
            "SELECT toValidUTF8({part}) AS part_no, count() AS rows FROM {source} WHERE {day} \
             GROUP BY part_no ORDER BY rows DESC, part_no LIMIT {limit}",
            part = schema.text("part_no"),
            source = schema.rows(),
            day = schema.on_day(day),
        );
        let parts = self.server.all("list the latest day's parts", &sql).await?;
        Ok(Some((day, parts)))
    }

    /// The last welds of the latest day, judged or not, at most `limit`.
    pub async fn latest_rows(&self, limit: u32) -> Result<RowBlock, StoreError> {
        let schema = &self.schema;
        let Some(day) = self.latest_day().await? else {
            return self.rows_where(Day::EPOCH, "0").await;
        };
        let conditions = format!(
            "{} ORDER BY {} DESC LIMIT {limit}",
            schema.on_day(day),
            schema.column("ck_local_time")
        );
        self.rows_where(day, &conditions).await
    }

    /// The weld of this id: on `day`, or on the latest day that has it; the row's place in the block.
    pub async fn find(
        &self,
        record_id: &str,
        day: Option<Day>,
    ) -> Result<Option<(RowBlock, usize)>, StoreError> {
        let schema = &self.schema;
        let id = match (schema.id, record_id.parse::<u64>()) {
            (IdType::Number, Ok(number)) => number.to_string(),
            (IdType::Number, Err(_)) => return Ok(None),
            (IdType::Text, _) => quote::literal(record_id),
        };
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
        let row = (0..block.len()).rev().find(|row| match block.id(*row) {
            IdRef::Number(number) => number.to_string() == record_id,
            IdRef::Text(text) => text == record_id,
        });
        Ok(row.map(|row| (block, row)))
    }

    /// What a worker must be allowed to do, each with whether it is. Nothing is changed: `CHECK GRANT` asks the server.
    pub async fn check_grants(&self) -> Vec<(String, Result<(), StoreError>)> {
        let schema = &self.schema;
        let wanted = [
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
