//! NOK welds of a day, for people who look at them.

use clickhouse::Row;
use serde::Deserialize;
use weldfleet_weld::columns::RESULT_COLUMNS;

use super::{SourceTable, quote::literal};
use crate::{errors::StoreError, range::Day};

/// Which NOK welds; an empty text is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NokFilter {
    pub day: Day,
    pub part_no: String,
    pub spot_name: String,
    pub timer_name: String,
    pub defect: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct NokWeld {
    /// `ck_local_time` as ClickHouse prints it.
    pub time: String,
    pub record_id: String,
    pub part_no: String,
    pub spot_name: String,
    pub timer_name: String,
    pub defect: String,
    pub decided_by: String,
    /// The model's probability; NaN where the model was off.
    pub probability: f64,
    pub model_version: String,
}

/// How many NOK welds share a text.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct NokShare {
    pub text: String,
    pub welds: u64,
}

impl SourceTable {
    /// NOK welds, the newest first.
    pub async fn nok_welds(
        &self,
        filter: &NokFilter,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<NokWeld>, StoreError> {
        let schema = &self.schema;
        let inner = format!(
            "SELECT toString({time}) AS f_time, {ticks} AS f_ticks, toValidUTF8({id}) AS f_id, toValidUTF8({part}) AS f_part, \
             toValidUTF8({spot}) AS f_spot, toValidUTF8({timer}) AS f_timer, {defect} AS f_defect, {decided} AS f_decided, \
             toFloat64(ifNull({probability}, nan)) AS f_probability, {model} AS f_model \
             FROM {from} ORDER BY f_ticks DESC, f_id LIMIT {limit} OFFSET {offset}",
            time = schema.column("ck_local_time"),
            ticks = schema.ticks(),
            id = schema.id_text(),
            part = schema.text("part_no"),
            spot = schema.text("spot_name"),
            timer = schema.text("timer_name"),
            defect = self.result_text("defect"),
            decided = self.result_text("decided_by"),
            probability = schema.column("ml_nok_prob"),
            model = self.result_text("model_version"),
            from = self.nok_rows(filter),
        );
        let sql = format!(
            "SELECT f_time AS time, f_id AS record_id, f_part AS part_no, f_spot AS spot_name, f_timer AS timer_name, \
             f_defect AS defect, f_decided AS decided_by, f_probability AS probability, f_model AS model_version FROM ({inner})"
        );
        self.server.all("list nok welds", &sql).await
    }

    /// NOK welds by defect, the most frequent first.
    pub async fn nok_by_defect(
        &self,
        filter: &NokFilter,
        limit: u32,
    ) -> Result<Vec<NokShare>, StoreError> {
        let sql = format!(
            "SELECT {} AS text, count() AS welds FROM {} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}",
            self.result_text("defect"),
            self.nok_rows(filter),
        );
        self.server.all("count nok welds by defect", &sql).await
    }

    /// What is stored of a weld's verdict, column by column under our names; empty where there is nothing. `time` is
    /// `ck_local_time` as ClickHouse prints it.
    pub async fn stored_verdict(
        &self,
        day: Day,
        time: &str,
        record_id: &str,
    ) -> Result<Option<Vec<(&'static str, String)>>, StoreError> {
        let names = || RESULT_COLUMNS.iter().map(|column| column.name);
        let values: Vec<String> = names().map(|name| self.result_text(name)).collect();
        let schema = &self.schema;
        let sql = format!(
            "SELECT [{}] AS values FROM {} WHERE {} AND {} = {} AND toString({}) = {} LIMIT 1",
            values.join(", "),
            schema.rows(),
            schema.on_day(day),
            schema.id_text(),
            literal(record_id),
            schema.column("ck_local_time"),
            literal(time),
        );
        let found: Vec<Stored> = self.server.all("read a weld's verdict", &sql).await?;
        let first = found.into_iter().next();
        Ok(first.map(|stored| names().zip(stored.values).collect()))
    }

    fn result_text(&self, ours: &'static str) -> String {
        format!(
            "toValidUTF8(ifNull(toString({}), ''))",
            self.schema.column(ours)
        )
    }

    fn nok_rows(&self, filter: &NokFilter) -> String {
        let schema = &self.schema;
        let mut conditions = vec![schema.on_day(filter.day), schema.is_nok()];
        let wanted = [
            (schema.text("part_no"), &filter.part_no),
            (schema.text("spot_name"), &filter.spot_name),
            (schema.text("timer_name"), &filter.timer_name),
            (self.result_text("defect"), &filter.defect),
        ];
        for (column, text) in wanted {
            if !text.is_empty() {
                conditions.push(format!("{column} = {}", literal(text)));
            }
        }
        format!("{} WHERE {}", schema.rows(), conditions.join(" AND "))
    }
}

#[derive(Row, Deserialize)]
struct Stored {
    values: Vec<String>,
}
