//! What people say of NOK welds, in the columns of the result table that only they fill.

use std::collections::HashMap;

use jiff::civil::DateTime;
use mysql_async::{Row, Value};
use serde::{Deserialize, Serialize};

use super::{NokTable, quote::identifier};
use crate::{commas, errors::StoreError, range::Day};

/// What names a weld in every store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeldKey {
    pub day: Day,
    /// `ck_local_time` as ClickHouse stores it.
    pub ticks: i64,
    /// `ck_local_time` as ClickHouse prints it.
    pub time: String,
    pub record_id: String,
}

/// The reviewer's columns of one row, as text; empty where there is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub result: String,
    pub by: String,
    /// UTC, to the second.
    pub at: String,
    pub note: String,
}

impl Review {
    /// Whether nobody has written anything.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it was said of a verdict before the one of `judged`; both are UTC, and a review is kept to the second.
    /// What is no time is of this one.
    pub fn is_of_another_verdict(&self, judged: &str) -> bool {
        let second = |text: &str| {
            let at = text.parse::<DateTime>().ok()?;
            at.with().subsec_nanosecond(0).build().ok()
        };
        let (said, judged) = (second(&self.at), second(judged));
        said.zip(judged).is_some_and(|(said, judged)| said < judged)
    }

    fn of(&self, ours: &str) -> &str {
        match ours {
            "review_result" => &self.result,
            "reviewed_by" => &self.by,
            "reviewed_at" => &self.at,
            _ => &self.note,
        }
    }

    fn set(&mut self, ours: &str, text: String) {
        match ours {
            "review_result" => self.result = text,
            "reviewed_by" => self.by = text,
            "reviewed_at" => self.at = text,
            _ => self.note = text,
        }
    }
}

/// What came of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reviewed {
    /// As MySQL holds it now.
    Kept {
        now: Review,
        /// Whether the row did not say so before.
        changed: bool,
    },
    /// Somebody was faster; this is what is there.
    Otherwise(Review),
    /// MySQL has no such row yet, or no more.
    NoRow,
}

impl NokTable {
    /// Whether there is a column for what a reviewer says.
    pub fn takes_reviews(&self) -> bool {
        self.declared.takes_reviews()
    }

    /// Whether there is one for what they note.
    pub fn takes_notes(&self) -> bool {
        let mut columns = self.declared.review.iter();
        columns.any(|(ours, _)| *ours == "review_note")
    }

    /// Reviews of these days' rows from one tick to another, by ticks and id; rows without one are not there.
    pub async fn reviews(
        &self,
        days: &[Day],
        from: i64,
        to: i64,
    ) -> Result<HashMap<(i64, String), Review>, StoreError> {
        let layout = &self.declared;
        let [on_day, ticks, _, id] = layout.quoted_key();
        let sql = format!(
            "SELECT {ticks}, {id}{} FROM {} WHERE {on_day} IN ({}) AND {ticks} BETWEEN ? AND ? AND {}",
            self.review_texts(),
            self.name,
            commas(days),
            layout.is_reviewed(),
        );
        let server = self.server();
        let rows: Vec<Row> = server.all("read reviews", &sql, (from, to)).await?;
        let read = rows.into_iter().map(|row| {
            let mut values = row.unwrap().into_iter();
            let ticks = match values.next() {
                Some(Value::Int(ticks)) => ticks,
                _ => 0,
            };
            let id = text(values.next());
            ((ticks, id), self.review_of(values))
        });
        Ok(read.collect())
    }

    /// The review of one row; `None` if there is no such row.
    pub async fn review(&self, key: &WeldKey) -> Result<Option<Review>, StoreError> {
        let sql = format!(
            "SELECT 1{} FROM {} WHERE {}",
            self.review_texts(),
            self.name,
            self.is_weld(),
        );
        self.first_review("read a review", &sql, key_values(key))
            .await
    }

    /// The review of a day's weld of this id, and of this time unless that is empty; of the latest where there are
    /// several, `None` if there is no such row.
    pub async fn review_of_id(
        &self,
        day: Day,
        time: &str,
        record_id: &str,
    ) -> Result<Option<Review>, StoreError> {
        let [on_day, ticks, at, id] = self.declared.quoted_key();
        let sql = format!(
            "SELECT 1{} FROM {} WHERE {on_day} = ? AND {id} = ? AND ? IN ('', {at}) ORDER BY {ticks} DESC LIMIT 1",
            self.review_texts(),
            self.name,
        );
        let values = vec![day.number().into(), record_id.into(), time.into()];
        self.first_review("read a weld's record", &sql, values)
            .await
    }

    /// The first review of an answer whose rows are `1` and [`Self::review_texts`].
    async fn first_review(
        &self,
        what: &str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<Review>, StoreError> {
        let row: Option<Row> = self.server().first(what, sql, values).await?;
        Ok(row.map(|row| self.review_of(row.unwrap().into_iter().skip(1))))
    }

    /// Writes a review where the row still has the one that its writer saw. Nothing else of the row changes.
    pub async fn set_review(
        &self,
        key: &WeldKey,
        seen: &Review,
        wanted: &Review,
    ) -> Result<Reviewed, StoreError> {
        let columns = &self.declared.review;
        let mut values = Vec::new();
        let sets = columns.iter().map(|(ours, theirs)| {
            let name = identifier(theirs);
            match wanted.of(ours) {
                // What a row has that nobody reviewed, whether that is NULL or an empty text.
                "" => format!("{name} = DEFAULT"),
                text => {
                    values.push(Value::from(text));
                    format!("{name} = ?")
                }
            }
        });
        let sets = commas(sets);
        let as_seen = columns
            .iter()
            .map(|(_, theirs)| format!(" AND {} = CAST(? AS BINARY)", bytes_of(theirs)));
        let sql = format!(
            "UPDATE {} SET {sets} WHERE {}{}",
            self.name,
            self.is_weld(),
            as_seen.collect::<String>(),
        );
        values.extend(key_values(key));
        values.extend(columns.iter().map(|(ours, _)| Value::from(seen.of(ours))));
        let changed = self.write("write a review", &sql, values).await?;
        Ok(match self.review(key).await? {
            None => Reviewed::NoRow,
            Some(now) if changed > 0 => Reviewed::Kept { now, changed: true },
            // A row that says this already is not changed.
            Some(now) if self.holds(&now, wanted) => Reviewed::Kept {
                now,
                changed: false,
            },
            Some(there) => Reviewed::Otherwise(there),
        })
    }

    /// Whether the columns that there are say the same.
    fn holds(&self, there: &Review, wanted: &Review) -> bool {
        let mut columns = self.declared.review.iter();
        columns.all(|(ours, _)| there.of(ours) == wanted.of(ours))
    }

    fn review_texts(&self) -> String {
        let columns = self.declared.review.iter();
        columns
            .map(|(_, theirs)| format!(", {}", text_of(theirs)))
            .collect()
    }

    fn review_of(&self, values: impl Iterator<Item = Value>) -> Review {
        let mut review = Review::default();
        for ((ours, _), value) in self.declared.review.iter().zip(values) {
            review.set(ours, text(Some(value)));
        }
        review
    }

    fn is_weld(&self) -> String {
        let [day, ticks, time, id] = self.declared.quoted_key();
        format!("{day} = ? AND {ticks} = ? AND {time} = ? AND {id} = ?")
    }
}

fn key_values(key: &WeldKey) -> Vec<Value> {
    vec![
        Value::from(key.day.number()),
        Value::from(key.ticks),
        Value::from(key.time.as_str()),
        Value::from(key.record_id.as_str()),
    ]
}

/// A column as text, whatever its type; empty for NULL.
fn text_of(name: &str) -> String {
    format!("IFNULL(CONCAT({}, ''), '')", identifier(name))
}

/// The same as bytes: an application's collation may take different texts for equal.
fn bytes_of(name: &str) -> String {
    format!("CAST(CONVERT({} USING utf8mb4) AS BINARY)", text_of(name))
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    }
}
