//! How many rows there are, and how many are left.

use super::{OutcomeCounts, SourceTable};
use crate::{errors::StoreError, range::Day};

/// Rows of one day by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCounts {
    pub day: Day,
    /// Rows there are.
    pub total: u64,
    /// Rows without a verdict or reason.
    pub left: u64,
    pub outcomes: OutcomeCounts,
}

/// Rows without a verdict that are on no live day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftElsewhere {
    /// Older days, in order; a backfill judges them.
    pub older: Vec<(Day, u64)>,
    /// On days to come.
    pub later: u64,
    /// With a `data_date` that is no day of any calendar; nothing judges them.
    pub on_no_day: u64,
}

impl SourceTable {
    /// Counts of the given days, days without rows left out, in order.
    pub async fn day_counts(&self, days: &[Day]) -> Result<Vec<DayCounts>, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT {counts}, toUInt32({day}) AS day, count() AS total, countIf({complete} IS NULL) AS left \
             FROM {source} WHERE {days} GROUP BY 6 ORDER BY 6",
            counts = schema.outcome_counts(),
            complete = schema.column("alg_complete_time"),
            day = schema.day_number(),
            source = schema.rows(),
            days = schema.on_days(days),
        );
        let rows: Vec<(OutcomeCounts, u32, u64, u64)> =
            self.server.all("count the rows of a day", &sql).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(outcomes, day, total, left)| {
                Some(DayCounts {
                    day: Day::new(day).ok()?,
                    total,
                    left,
                    outcomes,
                })
            })
            .collect())
    }

    /// Rows of these days that `tables.filter` does not select; 0 where there is no filter.
    pub async fn not_selected(&self, days: &[Day]) -> Result<u64, StoreError> {
        let schema = &self.schema;
        if schema.selected() == "1" {
            return Ok(0);
        }
        let sql = format!(
            "SELECT count() FROM {source} WHERE {days} AND NOT ifNull({selected}, 0)",
            source = schema.rows(),
            days = schema.on_days(days),
            selected = schema.selected(),
        );
        let server = self.server.clone().selecting_all();
        server.one("count the rows that are not ours", &sql).await
    }

    /// Rows left on days that no pass looks at by itself. Looks at every row's completion mark (one byte, well packed):
    /// a second per thousand million rows, so not for every pass.
    pub async fn left_elsewhere(
        &self,
        oldest: Day,
        newest: Day,
    ) -> Result<LeftElsewhere, StoreError> {
        let schema = &self.schema;
        let left = format!(
            "{complete} IS NULL AND ({number} < {oldest} OR {number} > {newest})",
            number = schema.day_number(),
            complete = schema.column("alg_complete_time"),
        );
        // Versions are compared on those days alone that have such a row, whatever became of its weld.
        let days = if schema.keeps_versions {
            let (day, source) = (schema.column("data_date"), &schema.source);
            format!("{day} IN (SELECT DISTINCT {day} FROM {source} WHERE {left}) AND ")
        } else {
            String::new()
        };
        let sql = format!(
            "SELECT toUInt32({number}), count() FROM {source} WHERE {days}{left} GROUP BY 1 ORDER BY 1",
            number = schema.day_number(),
            source = schema.rows(),
        );
        let rows: Vec<(u32, u64)> = self
            .server
            .all("count the rows of other days", &sql)
            .await?;
        let mut found = LeftElsewhere::default();
        for (day, left) in rows {
            match Day::new(day) {
                Ok(day) if day < oldest => found.older.push((day, left)),
                Ok(_) => found.later += left,
                Err(_) => found.on_no_day += left,
            }
        }
        Ok(found)
    }
}
