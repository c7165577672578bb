//! Which of a table's days are its latest: one row of a clock that is wrong must not hide all others.

use std::{cmp::Reverse, fmt};

use clickhouse::Row;
use serde::Deserialize;

use super::{Server, quote::literal};
use crate::{errors::StoreError, range::Day};

/// Days that are looked at for enough rows; before them a table says little of what comes today.
const MOST_DAYS: usize = 31;
/// Days that are read. A table has fewer; a column that is no day may have any number of values.
const MOST_VALUES: u32 = 100_000;

/// The newest days of a table that have been: as many as have enough rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestDays {
    pub newest: Day,
    pub oldest: Day,
    /// Rows dated later than tomorrow, or on no day.
    pub left_out: u64,
    /// Rows of these days, as SQL.
    pub(super) condition: String,
}

impl fmt::Display for LatestDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest != self.newest {
            write!(f, "{}..", self.oldest)?;
        }
        self.newest.fmt(f)
    }
}

#[derive(Row, Deserialize)]
struct DayRow {
    /// As the column prints it.
    value: String,
    rows: u64,
    tomorrow: u32,
}

/// The latest days of `source`, whose column `day` tells them: those with `enough` rows together. Tomorrow is one of
/// them, since in some plants a night shift is dated so. `None` where no row is dated on such a day.
pub(super) async fn latest_days(
    server: &Server,
    source: &str,
    day: &str,
    zone: &str,
    enough: u32,
) -> Result<Option<LatestDays>, StoreError> {
    let sql = format!(
        "SELECT toValidUTF8(ifNull(toString(f_day), '')) AS value, f_rows AS rows, \
         toUInt32(toYYYYMMDD(toDate(now({zone})) + 1)) AS tomorrow \
         FROM (SELECT {day} AS f_day, count() AS f_rows FROM {source} GROUP BY f_day) \
         ORDER BY f_day DESC LIMIT {MOST_VALUES}",
        zone = literal(zone),
    );
    let rows: Vec<DayRow> = server.all("find the latest days", &sql).await?;
    Ok(chosen(&rows, day, u64::from(enough)))
}

fn chosen(rows: &[DayRow], column: &str, enough: u64) -> Option<LatestDays> {
    let mut days: Vec<(Day, &DayRow)> = Vec::new();
    let mut left_out = 0;
    for row in rows {
        match row.value.replace('-', "").parse::<Day>() {
            Ok(day) if day.number() <= row.tomorrow => days.push((day, row)),
            _ => left_out += row.rows,
        }
    }
    days.sort_by_key(|(day, _)| Reverse(*day));
    let mut seen = 0;
    let mut oldest = days.first()?.0;
    let newest = oldest;
    let mut values: Vec<String> = Vec::new();
    for (day, row) in days.iter().take(MOST_DAYS) {
        // A text may write one day in two ways.
        if seen >= enough && *day != oldest {
            break;
        }
        oldest = *day;
        seen += row.rows;
        values.push(literal(&row.value));
    }
    Some(LatestDays {
        newest,
        oldest,
        left_out,
        condition: format!("{column} IN ({})", values.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[(&str, u64)], enough: u64) -> Option<LatestDays> {
        let row = |(value, rows): &(&str, u64)| DayRow {
            value: (*value).to_owned(),
            rows: *rows,
            tomorrow: 20_261_123,
        };
        let rows: Vec<DayRow> = rows.iter().map(row).collect();
        chosen(&rows, "d", enough)
    }

    #[test]
    fn rows_from_the_future_and_of_no_day_hide_none() {
        let rows = [
            ("20991231", 3),
            ("20261399", 1),
            ("20261123", 2),
            ("20261122", 900),
            ("20261121", 5000),
            ("0", 7),
        ];
        let found = of(&rows, 1000).unwrap();
        assert_eq!(found.to_string(), "20261121..20261123");
        assert_eq!(found.left_out, 11);
        assert_eq!(found.condition, "d IN ('20261123', '20261122', '20261121')");
        assert_eq!(of(&rows, 10).unwrap().to_string(), "20261122..20261123");
        assert_eq!(of(&rows, 2).unwrap().to_string(), "20261123");
        assert_eq!(of(&[("None", 3), ("20991231", 3)], 10), None);
    }

    #[test]
    fn both_ways_to_write_a_day_are_of_it() {
        let rows = [
            ("None", 1),
            ("20261122", 50),
            ("2026-11-22", 50),
            ("2026-11-21", 9),
        ];
        let found = of(&rows, 10).unwrap();
        assert_eq!(found.condition, "d IN ('20261122', '2026-11-22')");
        assert_eq!(found.to_string(), "20261122");
    }
}
