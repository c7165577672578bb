//! ClickHouse over its HTTP interface.

use serde_json::{Map, Value};
use weldfleet_weld::columns::{AttemptField, Origin, RESULT_COLUMNS, ResultColumn};

/// The result columns that an undisturbed and a disturbed run must agree on: all but times, tokens and job ids.
pub fn undisturbed_columns() -> impl Iterator<Item = &'static ResultColumn> {
    RESULT_COLUMNS.iter().filter(|column| {
        !matches!(
            column.origin,
            Origin::Commit | Origin::Attempt(AttemptField::Token | AttemptField::Job)
        )
    })
}

/// Their names.
pub fn verdict_columns() -> String {
    let names: Vec<&str> = undisturbed_columns().map(|column| column.name).collect();
    names.join(", ")
}

/// A client of the database `weld`.
pub struct ClickHouse {
    http: reqwest::Client,
    url: String,
}

/// One row, by column.
pub type Row = Map<String, Value>;

impl ClickHouse {
    /// A client; connects at the first query.
    pub fn new(url: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
        }
    }

    pub async fn execute(&self, sql: &str) -> String {
        let answer = self
            .http
            .post(&self.url)
            .query(&[("database", "weld")])
            .body(sql.to_owned())
            .send()
            .await
            .unwrap_or_else(|error| panic!("clickhouse: {error}"));
        let status = answer.status();
        let text = answer.text().await.expect("body");
        assert!(status.is_success(), "{sql}\n{text}");
        text
    }

    /// Rows of a SELECT.
    pub async fn rows(&self, sql: &str) -> Vec<Row> {
        let text = self
            .execute(&format!(
                "{sql} FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 1"
            ))
            .await;
        text.lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
            })
            .collect()
    }

    /// The single value of a SELECT, as text.
    pub async fn value(&self, sql: &str) -> String {
        self.execute(&format!("{sql} FORMAT TSV"))
            .await
            .trim_end()
            .to_owned()
    }

    /// `SELECT count() FROM <from>`.
    pub async fn count(&self, from: &str) -> u64 {
        self.value(&format!("SELECT count() FROM {from}"))
            .await
            .parse()
            .expect("a count")
    }

    /// Every verdict of a table in key order, without times, tokens and job ids.
    pub async fn verdicts(&self, from: &str) -> Vec<Row> {
        self.rows(&format!(
            "SELECT data_date, toString(ck_local_time) AS time, record_id, {} FROM {from} \
             ORDER BY data_date, ck_local_time, record_id",
            verdict_columns()
        ))
        .await
    }
}
