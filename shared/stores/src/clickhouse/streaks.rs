//! Welds with a hit of one rule, by spot, each with its place among the spot's welds.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_weld::rules::{Rule, SpotHit};

use super::{SourceTable, quote};
use crate::{errors::StoreError, range::Day};

/// Spots that are looked at, those with the most hits first, and hits that are read: bounds for a rule that always
/// hits.
const MOST_SPOTS: u32 = 200;
const MOST_HITS: u32 = 100_000;

#[derive(Row, Deserialize)]
struct HitRow {
    hit_spot: String,
    hit_place: u64,
    hit_time: String,
    hit_id: String,
}

impl SourceTable {
    /// Whether the table says which spot a weld is of.
    pub fn has_spots(&self) -> bool {
        self.schema.has("spot_name")
    }

    /// Welds of these days that have a hit of `rule`, of spots with at least `least` of them; by spot, then in the
    /// order of welding. A weld without a verdict yet has its place; one that cannot be judged has none. Dry shots and
    /// welds without a spot (empty, `0`, `None`) are of many robots, so they are no welds in a row.
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
        let sql = format!(
            "SELECT hit_spot, hit_place, toString(hit_time) AS hit_time, hit_id FROM (\
             SELECT {spot} AS hit_spot, {time} AS hit_time, {id} AS hit_id, {is_hit} AS is_hit, \
             row_number() OVER (PARTITION BY hit_spot ORDER BY {time}, {id}) AS hit_place \
             FROM {rows} AND {spot} IN (\
             SELECT {spot} FROM {rows} AND {is_hit} GROUP BY 1 HAVING count() >= {least} ORDER BY count() DESC LIMIT {MOST_SPOTS})\
             ) WHERE is_hit ORDER BY hit_spot, hit_place LIMIT {MOST_HITS}",
            spot = schema.text("spot_name"),
            time = schema.column("ck_local_time"),
            id = schema.id_text(),
        );
        let found: Vec<HitRow> = self.server.all("look for hits in a row", &sql).await?;
        Ok(found
            .into_iter()
            .map(|row| SpotHit {
                spot: row.hit_spot,
                place: row.hit_place,
                time: row.hit_time,
                record_id: row.hit_id,
            })
            .collect())
    }
}
