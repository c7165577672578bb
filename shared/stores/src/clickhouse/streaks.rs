//! Welds with a hit of one rule, by timer, part and spot, each with its place among the welds of these.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_weld::rules::{Rule, Spot, SpotHit};

use super::{SourceTable, quote};
use crate::{errors::StoreError, range::Day};

/// Welds that are put in order at a time: a bound of the server's memory.
const MOST_WELDS: u64 = 2_000_000;
/// Hits that are read of them: a bound for a rule that always hits.
const MOST_HITS: u32 = 100_000;

#[derive(Row, Deserialize)]
struct HitRow {
    /// Timer, part, spot.
    hit_spot: (String, String, String),
    hit_place: u64,
    hit_day: u32,
    hit_time: String,
    hit_id: String,
}

impl SourceTable {
    /// Whether the table says which spot a weld is of.
    pub fn has_spots(&self) -> bool {
        self.schema.has("spot_name")
    }

    /// Welds of these days that have a hit of `rule`, at least `least` of a spot in a row; by spot, then in the order
    /// of welding. A weld without a verdict yet has its place; one that cannot be judged has none. Dry shots and welds
    /// without a spot (empty, `0`, `None`) are of many robots, so they are no welds in a row.
    pub async fn spot_hits(
        &self,
        rule: Rule,
        days: &[Day],
        least: u32,
    ) -> Result<Vec<SpotHit>, StoreError> {
        let schema = &self.schema;
        let rows = format!(
            "{} WHERE {} AND ifNull(toString({}), '') IN ('', 'ok') AND {} NOT IN ('', '0', 'None')",
            schema.rows(),
            schema.on_days(days),
            schema.column("alg_status"),
            schema.text("spot_name"),
        );
        // As `hits_json` writes it.
        let is_hit = format!(
            "position(ifNull({}, ''), {}) > 0",
            schema.column("rule_hits"),
            quote::literal(&format!("\"rule\":\"{rule}\""))
        );
        let spot = format!(
            "({}, {}, {})",
            schema.text("timer_name"),
            schema.text("part_no"),
            schema.text("spot_name")
        );
        let spots = format!(
            "SELECT {spot} AS hit_spot, count() AS welds FROM {rows} GROUP BY hit_spot HAVING countIf({is_hit}) >= {least}"
        );
        let sql = format!("SELECT sum(welds) FROM ({spots})");
        let welds: u64 = self
            .server
            .one("count welds of spots with hits", &sql)
            .await?;
        let shares = welds.div_ceil(MOST_WELDS);
        let mut found: Vec<HitRow> = Vec::new();
        for share in 0..shares {
            // Hits in a row keep the distance between their place among the welds and that among the hits.
            let sql = format!(
                "SELECT hit_spot, hit_place, hit_day, toString(hit_time) AS hit_time, hit_id FROM (\
                 SELECT *, count() OVER (PARTITION BY hit_spot, hit_place - hit_number) AS in_a_row FROM (\
                 SELECT *, row_number() OVER (PARTITION BY hit_spot ORDER BY hit_place) AS hit_number FROM (\
                 SELECT {spot} AS hit_spot, toUInt32({day}) AS hit_day, {time} AS hit_time, {id} AS hit_id, {is_hit} AS is_hit, \
                 row_number() OVER (PARTITION BY hit_spot ORDER BY {time}, {id}) AS hit_place \
                 FROM {rows} AND cityHash64({spot}) % {shares} = {share} AND {spot} IN (SELECT hit_spot FROM ({spots}))\
                 ) WHERE is_hit)) WHERE in_a_row >= {least} ORDER BY hit_spot, hit_place LIMIT {MOST_HITS}",
                day = schema.day_number(),
                time = schema.column("ck_local_time"),
                id = schema.id_text(),
            );
            let some = self.server.all("look for hits in a row", &sql).await?;
            found.extend::<Vec<HitRow>>(some);
        }
        Ok(found
            .into_iter()
            .map(|row| {
                let (timer_name, part_no, spot_name) = row.hit_spot;
                SpotHit {
                    spot: Spot {
                        timer_name,
                        part_no,
                        spot_name,
                    },
                    place: row.hit_place,
                    day: row.hit_day,
                    time: row.hit_time,
                    record_id: row.hit_id,
                }
            })
            .collect())
    }
}
