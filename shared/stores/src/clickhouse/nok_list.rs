//! NOK welds of a day, for people who look at them.

use std::collections::{BTreeMap, BTreeSet};

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_weld::columns::RESULT_COLUMNS;

use super::{Schema, SourceTable, leading::Side, quote::literal, sql::renamed};
use crate::{
    commas,
    errors::StoreError,
    range::{Day, Key},
};

/// The carried column that says which body a weld is of.
pub const BODY: &str = "body_no";

/// As a filter says that a weld names no defect.
pub const NO_DEFECT: &str = "-";
/// Between the names of `defect`.
const BETWEEN_NAMES: char = ',';
/// Combinations of defects that are counted: each of the seven judges has one name.
const MOST_COMBINATIONS: u32 = 10_000;

/// Hours of a day, from the first to before the second; into the next day where the second is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub from: jiff::civil::Time,
    pub to: jiff::civil::Time,
}

impl Hours {
    /// Days of `data_date` that welds of these hours may be of, where they begin on `first`: a plant may change it at
    /// another time than midnight, before or after.
    pub fn days(self, first: Day) -> Vec<Day> {
        (-1..=1).filter_map(|days| first.offset(days)).collect()
    }
}

/// Which NOK welds; an empty text is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NokFilter {
    pub day: Day,
    pub hours: Option<Hours>,
    pub part_no: String,
    pub spot_name: String,
    pub timer_name: String,
    pub body_no: String,
    /// One of its defects, or several with commas between; [`NO_DEFECT`].
    pub defect: String,
}

impl NokFilter {
    /// Days of `data_date` that it is about.
    pub fn days(&self) -> Vec<Day> {
        self.hours
            .map_or_else(|| vec![self.day], |hours| hours.days(self.day))
    }
}

/// A weld of the list.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct NokWeld {
    /// `data_date` as YYYYMMDD.
    pub day: u32,
    /// `ck_local_time` as ClickHouse stores it.
    pub ticks: i64,
    /// `ck_local_time` as ClickHouse prints it.
    pub time: String,
    pub record_id: String,
    pub part_no: String,
    pub spot_name: String,
    pub timer_name: String,
    /// Empty where no such column is carried.
    pub body_no: String,
    pub defect: String,
    pub decided_by: String,
    /// The model's probability; NaN where the model was off.
    pub probability: f64,
    pub model_version: String,
    /// When its verdict was committed, UTC.
    pub judged: String,
}

/// How many NOK welds share a text.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct NokShare {
    pub text: String,
    pub welds: u64,
}

/// NOK welds by defect. A weld that names several counts for each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pareto {
    /// The most frequent first; the empty text is "none is named".
    pub defects: Vec<NokShare>,
    /// Welds that name yet another.
    pub others: u64,
}

impl Pareto {
    /// Of welds by what stands in `defect`.
    fn of(combinations: &[NokShare], most: usize) -> Self {
        let names = |text: &str| -> BTreeSet<String> {
            text.split(BETWEEN_NAMES).map(str::to_owned).collect()
        };
        let mut by_name = BTreeMap::<String, u64>::new();
        for combination in combinations {
            for name in names(&combination.text) {
                *by_name.entry(name).or_default() += combination.welds;
            }
        }
        let shares = by_name.into_iter();
        let mut defects: Vec<NokShare> = shares
            .map(|(text, welds)| NokShare { text, welds })
            .collect();
        defects.sort_by(|a, b| (b.welds, &a.text).cmp(&(a.welds, &b.text)));
        let rest = defects.split_off(most.min(defects.len()));
        let rest: BTreeSet<String> = rest.into_iter().map(|share| share.text).collect();
        let others = combinations
            .iter()
            .filter(|combination| !names(&combination.text).is_disjoint(&rest));
        Self {
            others: others.map(|combination| combination.welds).sum(),
            defects,
        }
    }
}

/// What one attempt made of a weld.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct AttemptLine {
    pub token: u64,
    pub run: u64,
    /// ms since 1970.
    pub at_ms: i64,
    pub status: String,
    pub final_result: String,
    /// NaN where the model was off.
    pub probability: f64,
    pub rule_result: String,
    pub model_version: String,
}

impl SourceTable {
    /// NOK welds, the newest first, `before` this one.
    pub async fn nok_welds(
        &self,
        filter: &NokFilter,
        before: Option<&Key>,
        limit: u32,
    ) -> Result<Vec<NokWeld>, StoreError> {
        let schema = &self.schema;
        let before = before.map_or_else(String::new, |key| {
            format!(" AND {}", schema.on_side(Side::Before, key, false))
        });
        let time = schema.column("ck_local_time");
        let body = schema.carried_text(BODY);
        let probability = schema.column("ml_nok_prob");
        let mut columns = schema.named_weld();
        columns.extend([
            ("body_no", format!("toValidUTF8({body})")),
            ("defect", self.result_text("defect")),
            ("decided_by", self.result_text("decided_by")),
            (
                "probability",
                format!("toFloat64(ifNull({probability}, nan))"),
            ),
            ("model_version", self.result_text("model_version")),
            ("judged", self.result_text("alg_complete_time")),
        ]);
        let sql = renamed(
            &columns,
            &format!(
                "FROM {}{before} ORDER BY {time} DESC, {} DESC LIMIT 1 BY f_day, f_ticks, f_record_id LIMIT {limit}",
                self.nok_rows(filter),
                schema.column("record_id"),
            ),
        );
        self.server.all("list nok welds", &sql).await
    }

    /// NOK welds by defect, this many of them.
    pub async fn nok_by_defect(
        &self,
        filter: &NokFilter,
        most: usize,
    ) -> Result<Pareto, StoreError> {
        let sql = format!(
            "SELECT {} AS text, uniqExact({}, {}, {}) AS welds FROM {} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_COMBINATIONS}",
            self.result_text("defect"),
            self.schema.day_number(),
            self.schema.ticks(),
            self.schema.id_text(),
            self.nok_rows(filter),
        );
        let combinations: Vec<NokShare> =
            self.server.all("count nok welds by defect", &sql).await?;
        Ok(Pareto::of(&combinations, most))
    }

    /// What attempts made of a weld, the latest first, as long as `weld_results` keeps it.
    pub async fn attempts_at(
        &self,
        day: Day,
        key: &Key,
        limit: u32,
    ) -> Result<Vec<AttemptLine>, StoreError> {
        let schema = &self.schema;
        let this = schema.is_key(key);
        // Rows of a table that keeps versions are one weld, whichever of them was judged.
        let sql = format!(
            "SELECT r.token AS token, r.run AS run, toInt64(toUnixTimestamp(r.created)) * 1000 AS at_ms, \
             toValidUTF8(toString(r.alg_status)) AS status, toValidUTF8(toString(r.final_result)) AS final_result, \
             toFloat64(r.ml_nok_prob) AS probability, toValidUTF8(toString(r.rule_result)) AS rule_result, \
             toValidUTF8(toString(r.model_version)) AS model_version \
             FROM {results} AS r WHERE r.day = toUInt32({day}) AND r.key_hash IN (SELECT {hash} FROM {source} \
             WHERE {on_day} AND {this}) ORDER BY r.token DESC LIMIT {limit}",
            results = schema.results,
            hash = schema.row_hash(),
            source = schema.source,
            on_day = schema.on_day(day),
        );
        self.server.all("list a weld's attempts", &sql).await
    }

    /// What is stored of a weld's verdict, column by column under our names, its time in UTC; empty where there is
    /// nothing.
    pub async fn stored_verdict(
        &self,
        day: Day,
        key: &Key,
    ) -> Result<Option<Vec<(&'static str, String)>>, StoreError> {
        let names = || RESULT_COLUMNS.iter().map(|column| column.name);
        let schema = &self.schema;
        let this = schema.is_key(key);
        let sql = format!(
            "SELECT [{}] AS values FROM {} WHERE {} AND {this} LIMIT 1",
            commas(names().map(|name| self.result_text(name))),
            schema.rows(),
            schema.on_day(day),
        );
        let what = "read a weld's verdict";
        let stored: Option<Vec<String>> = self.server.first(what, &sql).await?;
        Ok(stored.map(|stored| names().zip(stored).collect()))
    }

    fn result_text(&self, ours: &'static str) -> String {
        let column = self.schema.column(ours);
        match ours {
            "alg_complete_time" => format!("ifNull(toString(toTimeZone({column}, 'UTC')), '')"),
            _ => format!("toValidUTF8(ifNull(toString({column}), ''))"),
        }
    }

    fn nok_rows(&self, filter: &NokFilter) -> String {
        let schema = &self.schema;
        let mut conditions = vec![schema.on_days(&filter.days()), schema.is_nok()];
        conditions.extend(filter.hours.map(|hours| schema.within(hours, filter.day)));
        let wanted = [
            (schema.text("part_no"), &filter.part_no),
            (schema.text("spot_name"), &filter.spot_name),
            (schema.text("timer_name"), &filter.timer_name),
            (schema.carried_text(BODY), &filter.body_no),
        ];
        for (column, text) in wanted {
            if !text.is_empty() {
                conditions.push(format!("{column} = {}", literal(text)));
            }
        }
        let defect = self.result_text("defect");
        match filter.defect.as_str() {
            "" => {}
            NO_DEFECT => conditions.push(format!("{defect} = ''")),
            names => conditions.push(format!(
                "hasAll(splitByChar('{BETWEEN_NAMES}', {defect}), splitByChar('{BETWEEN_NAMES}', {}))",
                literal(names)
            )),
        }
        format!("{} WHERE {}", schema.rows(), conditions.join(" AND "))
    }
}

impl Schema {
    /// Rows of [`Hours::days`] whose time is of these hours, which begin on that day by the plant's clock and end on the
    /// same or the next, wherever the plant's `data_date` changes.
    fn within(&self, hours: Hours, day: Day) -> String {
        let column = self.column("ck_local_time");
        let (_, zone) = self.plant_clock();
        let at = |day: Day, clock: jiff::civil::Time| {
            let time = literal(&format!("{} {clock}", day.iso()));
            format!("toDateTime({time}{zone})")
        };
        let last = match hours.from < hours.to {
            true => day,
            false => day.offset(1).unwrap_or(day),
        };
        let (from, to) = (at(day, hours.from), at(last, hours.to));
        format!("({column} >= {from} AND {column} < {to})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weld_counts_for_each_of_its_defects_and_once_among_the_others() {
        let of = |text: &str, welds| NokShare {
            text: text.to_owned(),
            welds,
        };
        let welds = [
            of("小焊核", 50),
            of("飞溅", 30),
            of("小焊核,飞溅", 7),
            of("", 4),
            of("飞边,毛刺", 2),
            of("飞溅,毛刺", 1),
        ];
        let pareto = Pareto::of(&welds, 3);
        let told = [of("小焊核", 57), of("飞溅", 38), of("", 4)];
        assert_eq!(pareto.defects, told);
        assert_eq!(pareto.others, 3, "one of them twice");
        assert_eq!(Pareto::of(&welds, 10).others, 0);
    }

    #[test]
    fn welds_of_a_shift_may_be_dated_a_day_before_or_after() {
        let [before, day, after] =
            [20_261_129, 20_261_130, 20_261_201].map(|number| Day::new(number).unwrap());
        let [from, to] = [0, 6].map(|hour| jiff::civil::time(hour, 30, 0, 0));
        assert_eq!(Hours { from, to }.days(day), [before, day, after]);
    }
}
