//! Questions that people ask: what a run wants and did, how fast it goes, and what simulated rows follow on.

use std::collections::BTreeMap;

use super::{OutcomeCounts, Run, SourceTable, schema::IdType, sql::number_behind};
use crate::{
    commas,
    errors::StoreError,
    range::{Day, Selection},
};

/// How fast rows are being judged.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// Rows completed in the window.
    pub rows: u64,
    /// Rows per second over the whole window. Over the time since the first of them a burst would be a pace that nothing
    /// keeps up.
    pub rows_per_second: f64,
}

impl SourceTable {
    /// Every day the table has rows of, whatever their version, in order. Reads one column; not for every pass.
    pub async fn days(&self) -> Result<Vec<Day>, StoreError> {
        self.days_where("1").await
    }

    async fn days_where(&self, condition: &str) -> Result<Vec<Day>, StoreError> {
        let sql = format!(
            "SELECT DISTINCT toUInt32({}) FROM {} WHERE {condition} ORDER BY 1",
            self.schema.day_number(),
            self.schema.source,
        );
        let days: Vec<u32> = self.server.all("list the days", &sql).await?;
        Ok(days
            .into_iter()
            .filter_map(|day| Day::new(day).ok())
            .collect())
    }

    /// Of days with rows that a run is to judge again, those that left the table before the run had a result of each,
    /// as long as `weld_results` keeps them.
    pub async fn away(
        &self,
        run: &Run,
        must: &[(Day, u64)],
    ) -> Result<Vec<(Day, u64)>, StoreError> {
        if must.is_empty() {
            return Ok(Vec::new());
        }
        let days: Vec<Day> = must.iter().map(|(day, _)| *day).collect();
        let there = self.days_where(&self.schema.on_days(&days)).await?;
        let mut away: Vec<(Day, u64)> = must.to_vec();
        away.retain(|(day, _)| !there.contains(day));
        if away.is_empty() {
            return Ok(away);
        }
        let sql = format!(
            "SELECT day, uniqExact(key_hash) FROM {} WHERE run = {} AND day IN ({}) GROUP BY day",
            self.schema.results,
            run.run,
            commas(away.iter().map(|(day, _)| day.number())),
        );
        let judged: Vec<(u32, u64)> = self.server.all("count the results of a run", &sql).await?;
        let judged: BTreeMap<u32, u64> = judged.into_iter().collect();
        away.retain(|(day, rows)| judged.get(&day.number()).is_none_or(|judged| judged < rows));
        Ok(away)
    }

    /// Rows of a run on days that are [`away`](Self::away).
    pub async fn gone(&self, run: &Run) -> Result<u64, StoreError> {
        let away = self.away(run, run.must_find()).await?;
        Ok(away.iter().map(|(_, rows)| rows).sum())
    }

    /// Rows of the given days that a run wants now; days without any are left out.
    pub async fn wanted_rows(
        &self,
        run: u64,
        days: &[Day],
        selection: &Selection,
    ) -> Result<Vec<(Day, u64)>, StoreError> {
        let sql = format!(
            "SELECT toUInt32({day}), count() FROM {source} WHERE {days} AND {wanted} \
             GROUP BY 1 ORDER BY 1",
            day = self.schema.day_number(),
            source = self.schema.rows(),
            days = self.schema.on_days(days),
            wanted = self.schema.wanted(run, selection),
        );
        let rows: Vec<(u32, u64)> = self.server.all("count the rows a run wants", &sql).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(day, rows)| Some((Day::new(day).ok()?, rows)))
            .collect())
    }

    /// What became of the rows that a run wrote.
    pub async fn run_outcome(&self, run: u64, days: &[Day]) -> Result<OutcomeCounts, StoreError> {
        let sql = format!(
            "SELECT {counts} FROM {source} WHERE {days} AND {alg_run} = {run}",
            counts = self.schema.outcome_counts(),
            source = self.schema.rows(),
            days = self.schema.on_days(days),
            alg_run = self.schema.column("alg_run"),
        );
        self.server.one("count the rows of a run", &sql).await
    }

    /// How fast rows of the given days were completed in the last `seconds`.
    pub async fn pace(&self, days: &[Day], seconds: u32) -> Result<Pace, StoreError> {
        let complete = self.schema.column("alg_complete_time");
        let sql = format!(
            "SELECT count() FROM {source} WHERE {days} AND {complete} > now64(3) - toIntervalSecond({seconds})",
            source = self.schema.rows(),
            days = self.schema.on_days(days),
        );
        let rows: u64 = self.server.one("measure the pace", &sql).await?;
        Ok(Pace {
            rows,
            rows_per_second: rows as f64 / f64::from(seconds),
        })
    }

    /// The largest number that a `record_id` of the day has, 0 if there is none. Where ids are text, those that are
    /// `prefix` and a number count.
    pub async fn last_record_number(&self, day: Day, prefix: &str) -> Result<u64, StoreError> {
        let id = self.schema.column("record_id");
        let number = match self.schema.id {
            IdType::Number => format!("toUInt64({id})"),
            IdType::Text => number_behind(prefix, id),
        };
        let sql = format!(
            "SELECT max({number}) FROM {} WHERE {}",
            self.schema.source,
            self.schema.on_day(day)
        );
        self.server.one("read the largest record_id", &sql).await
    }

    /// The time zone in which `ck_local_time` is printed.
    pub async fn time_zone(&self) -> Result<String, StoreError> {
        match &self.schema.time_zone {
            Some(zone) => Ok(zone.clone()),
            None => self.server.time_zone().await,
        }
    }
}
