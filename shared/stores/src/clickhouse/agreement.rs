//! Our verdicts beside those of the service before; all counting is the server's.

use std::collections::BTreeMap;

use clickhouse::Row;
use serde::Deserialize;

use super::{
    SourceTable,
    quality::share,
    verdict_words::{UnreadableText, VerdictWords},
};
use crate::{errors::StoreError, range::Day};

/// Examples of each kind that are asked for; together at most as many are shown.
const EXAMPLES: usize = 10;

/// Rows by who said what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    pub both_ok: u64,
    pub both_nok: u64,
    /// We say NOK, the service before OK.
    pub ours_alone: u64,
    /// The service before says NOK, we OK.
    pub previous_alone: u64,
    /// It has a verdict and we have none: not judged yet, `invalid` or `error`.
    pub ours_missing: u64,
}

impl Verdicts {
    /// Rows that both have judged.
    pub fn compared(&self) -> u64 {
        self.both_ok + self.both_nok + self.ours_alone + self.previous_alone
    }

    /// Share of them with the same verdict; `None` if there are none.
    pub fn agreement(&self) -> Option<f64> {
        share(self.both_ok + self.both_nok, self.compared())
    }

    fn add(&mut self, other: &Self) {
        self.both_ok += other.both_ok;
        self.both_nok += other.both_nok;
        self.ours_alone += other.ours_alone;
        self.previous_alone += other.previous_alone;
        self.ours_missing += other.ours_missing;
    }
}

/// A weld on which the two differ.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Disagreement {
    pub day: u32,
    pub record_id: String,
    pub part_no: String,
    pub spot_name: String,
    /// `OK` or `NOK`.
    pub ours: String,
    /// `OK` or `NOK`.
    pub previous: String,
}

/// Both sides of some days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerdictAgreement {
    pub total: Verdicts,
    pub by_day: BTreeMap<u32, Verdicts>,
    pub by_part: BTreeMap<String, Verdicts>,
    /// At most ten, half of each kind where there are so many, the latest first.
    pub examples: Vec<Disagreement>,
    /// Values of `previous_result` that are no verdict, the most frequent first, and their rows.
    pub unreadable: Vec<UnreadableText>,
}

#[derive(Row, Deserialize)]
struct CountsRow {
    day: u32,
    part_no: String,
    counts: Vec<u64>,
}

impl SourceTable {
    /// Compares `final_result` with `previous_result` on these days.
    pub async fn agreement(&self, days: &[Day]) -> Result<VerdictAgreement, StoreError> {
        let schema = &self.schema;
        schema.require(
            "previous_result",
            " to compare verdicts with",
            "map the column of the service before with columns.previous_result",
        )?;
        let words = VerdictWords::of(schema, "previous_result");
        let (is_nok, is_ok) = (&words.is_nok, &words.is_ok);
        let ours = format!(
            "if(ifNull({} = 'ok', 0), ifNull(CAST({} AS Nullable(String)), ''), '')",
            schema.column("alg_status"),
            schema.column("final_result")
        );
        let counts = [
            format!("{ours} = 'OK' AND {is_ok}"),
            format!("{ours} = 'NOK' AND {is_nok}"),
            format!("{ours} = 'NOK' AND {is_ok}"),
            format!("{ours} = 'OK' AND {is_nok}"),
            format!("{ours} = ''"),
        ]
        .map(|condition| format!("countIf({condition})"));
        let (day, part) = (
            schema.day_number(),
            format!("toValidUTF8({})", schema.text("part_no")),
        );
        let (source, on_days) = (schema.rows(), schema.on_days(days));
        let what = "compare verdicts with those before";
        let counting = format!(
            "SELECT toUInt32({day}) AS day, {part} AS part_no, [{}] AS counts FROM {source} \
             WHERE {on_days} AND {} GROUP BY 1, 2",
            counts.join(", "),
            words.is_either(),
        );
        let rows: Vec<CountsRow> = self.server.all(what, &counting).await?;
        let mut found = VerdictAgreement::default();
        for row in rows {
            let [both_ok, both_nok, ours_alone, previous_alone, ours_missing] = row.counts[..]
            else {
                return Err(StoreError::answer(what, "not five counts"));
            };
            let verdicts = Verdicts {
                both_ok,
                both_nok,
                ours_alone,
                previous_alone,
                ours_missing,
            };
            found.total.add(&verdicts);
            found.by_day.entry(row.day).or_default().add(&verdicts);
            found.by_part.entry(row.part_no).or_default().add(&verdicts);
        }
        let examples = format!(
            "SELECT toUInt32({day}) AS day, toValidUTF8(toString({id})) AS record_id, {part} AS part_no, \
                     toValidUTF8({spot}) AS spot_name, {ours} AS ours, if({is_nok}, 'NOK', 'OK') AS previous FROM {source} \
                     WHERE {on_days} AND (({ours} = 'NOK' AND {is_ok}) OR ({ours} = 'OK' AND {is_nok})) \
                     ORDER BY {day} DESC, {time} DESC LIMIT {EXAMPLES} BY 5 LIMIT {most}",
            id = schema.column("record_id"),
            spot = schema.text("spot_name"),
            time = schema.column("ck_local_time"),
            most = 2 * EXAMPLES,
        );
        found.examples = balanced(self.server.all(what, &examples).await?);
        found.unreadable = self.unreadable_verdicts("previous_result", days).await?;
        Ok(found)
    }
}

/// Half of each kind, and of the other what is left.
fn balanced(examples: Vec<Disagreement>) -> Vec<Disagreement> {
    let (ours, previous): (Vec<_>, Vec<_>) =
        examples.into_iter().partition(|weld| weld.ours == "NOK");
    let half = EXAMPLES / 2;
    let of_ours = ours.len().min(EXAMPLES - previous.len().min(half));
    let of_previous = previous.len().min(EXAMPLES - of_ours);
    let ours = ours.into_iter().take(of_ours);
    ours.chain(previous.into_iter().take(of_previous)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_ten_and_of_both_kinds() {
        let welds = |ours: usize, previous: usize| {
            let weld = |verdict: &str| Disagreement {
                day: 20_261_128,
                record_id: "1".to_owned(),
                part_no: String::new(),
                spot_name: String::new(),
                ours: verdict.to_owned(),
                previous: String::new(),
            };
            let mut all = vec![weld("NOK"); ours];
            all.extend(vec![weld("OK"); previous]);
            let shown = balanced(all);
            let nok = shown.iter().filter(|weld| weld.ours == "NOK").count();
            (nok, shown.len() - nok)
        };
        assert_eq!(welds(10, 10), (5, 5));
        assert_eq!(welds(10, 2), (8, 2));
        assert_eq!(welds(1, 10), (1, 9));
        assert_eq!(welds(0, 0), (0, 0));
    }
}
