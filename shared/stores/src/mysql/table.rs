//! Reading and writing rows of the result table, in batches.

use mysql_async::{Conn, Params, Row, Value, prelude::Queryable};
use weldfleet_settings::Settings;
use weldfleet_weld::columns::ValueKind;

use super::{
    migrate,
    server::{Server, identifier, in_time},
};
use crate::{
    clickhouse::nok::{Checksum, NokRow, TextKey, TickSpan},
    columns::mirrored,
    errors::{Class, StoreError},
    range::Day,
};

/// The columns that tell one weld from another.
const KEY: [&str; 4] = ["data_date", "ck_ticks", "ck_local_time", "record_id"];

/// Rows a statement writes.
const BATCH: usize = 200;

/// Tries of a statement that lost a deadlock.
const TRIES: usize = 5;

/// Whether a person has written into the row. Such a row is never removed.
const REVIEWED: &str = "(review_result IS NOT NULL OR reviewed_by IS NOT NULL \
                        OR reviewed_at IS NOT NULL OR review_note IS NOT NULL)";

/// The table of NOK welds. Cheap to clone.
#[derive(Clone)]
pub struct NokTable {
    server: Server,
    /// Quoted, with its database.
    name: String,
    table: String,
}

/// A mirrored row as MySQL holds it.
pub(crate) struct StoredRow {
    pub row: NokRow,
    pub reviewed: bool,
    /// What it adds to the day's checksum.
    pub crc: u64,
}

impl StoredRow {
    /// Whether the day's checksum counts it: a review alone, of a weld without a verdict, says nothing about the weld.
    pub fn counts(&self) -> bool {
        !(self.reviewed && self.row.final_result().is_empty())
    }
}

impl NokTable {
    /// The configured table, `None` where `mysql.enabled` is off. Connects with the first request.
    pub fn new(settings: &Settings) -> Result<Option<Self>, StoreError> {
        if !settings.mysql.enabled {
            return Ok(None);
        }
        let server = Server::new(&settings.mysql)?;
        let name = format!(
            "{}.{}",
            identifier(server.database()),
            identifier(&settings.tables.result_table)
        );
        let table = settings.tables.result_table.clone();
        Ok(Some(Self {
            server,
            name,
            table,
        }))
    }

    /// The server it is on.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What a worker must be able to do, each with whether it can; the write is tried on no row.
    pub async fn check_all(&self) -> Vec<(String, Result<(), StoreError>)> {
        let mut answers = vec![("connect".to_owned(), self.server.ping().await)];
        if answers[0].1.is_err() {
            return answers;
        }
        answers.push((format!("read {}", self.name), self.check().await));
        answers.push((
            format!("columns of {}", self.name),
            self.check_columns().await,
        ));
        answers.push((format!("write {}", self.name), self.check_write().await));
        answers
    }

    /// Whether every column takes what is written into it, every fault named.
    async fn check_columns(&self) -> Result<(), StoreError> {
        let mut conn = self.server.connect().await?;
        migrate::check_columns(&mut conn, self.server.database(), &self.table).await
    }

    async fn check_write(&self) -> Result<(), StoreError> {
        let mut conn = self.server.connect().await?;
        let insert = format!(
            "INSERT INTO {name} SELECT * FROM {name} WHERE 1 = 0",
            name = self.name
        );
        in_time("insert into the result table", conn.query_drop(insert)).await?;
        let update = format!("UPDATE {} SET data_date = data_date WHERE 1 = 0", self.name);
        in_time("update the result table", conn.query_drop(update)).await?;
        let delete = format!("DELETE FROM {} WHERE 1 = 0", self.name);
        in_time("delete from the result table", conn.query_drop(delete)).await
    }

    /// Answers when the table can be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        let mut conn = self.server.connect().await?;
        let sql = format!(
            "SELECT {}, {REVIEWED} FROM {} LIMIT 0",
            column_names().join(", "),
            self.name
        );
        in_time("read the result table", conn.query_drop(sql)).await
    }

    /// Rows of a day in a span of ticks.
    pub(crate) async fn rows(
        &self,
        day: Day,
        span: TickSpan,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let columns: Vec<String> = mirrored()
            .map(|(name, kind)| match kind {
                ValueKind::Time => time_text(name),
                _ => name.to_owned(),
            })
            .collect();
        let sql = format!(
            "SELECT ck_ticks, ck_local_time, record_id, {}, {REVIEWED}, CRC32(CONCAT_WS('|', {})) FROM {} \
             WHERE data_date = ? AND ck_ticks BETWEEN ? AND ?",
            columns.join(", "),
            checksum_text(),
            self.name
        );
        let mut conn = self.server.connect().await?;
        let rows: Vec<Row> = in_time(
            "read mirrored rows",
            conn.exec(sql, (day.number(), span.from, span.to)),
        )
        .await?;
        rows.into_iter().map(stored_row).collect()
    }

    /// The tick of the row that has `skip` before it in the span.
    pub(crate) async fn tick_after(
        &self,
        day: Day,
        span: TickSpan,
        skip: usize,
    ) -> Result<Option<i64>, StoreError> {
        let sql = format!(
            "SELECT ck_ticks FROM {} WHERE data_date = ? AND ck_ticks BETWEEN ? AND ? \
             ORDER BY ck_ticks LIMIT 1 OFFSET {skip}",
            self.name
        );
        let mut conn = self.server.connect().await?;
        in_time(
            "read a mirrored row's tick",
            conn.exec_first(sql, (day.number(), span.from, span.to)),
        )
        .await
    }

    /// Adds rows, or gives those that are there these values. Review columns are not named.
    pub(crate) async fn put(&self, day: Day, rows: &[&NokRow]) -> Result<(), StoreError> {
        let names = column_names();
        let updates: Vec<String> = mirrored()
            .map(|(name, _)| format!("{name} = VALUES({name})"))
            .collect();
        let marks = format!("({})", vec!["?"; names.len()].join(", "));
        for batch in rows.chunks(BATCH) {
            let sql = format!(
                "INSERT INTO {} ({}) VALUES {} ON DUPLICATE KEY UPDATE {}",
                self.name,
                names.join(", "),
                vec![marks.as_str(); batch.len()].join(", "),
                updates.join(", ")
            );
            let values: Vec<Value> = batch.iter().flat_map(|row| row_values(day, row)).collect();
            self.write("write nok rows", &sql, values).await?;
        }
        Ok(())
    }

    /// Removes rows that nobody has reviewed; returns how many.
    pub(crate) async fn remove(&self, day: Day, keys: &[TextKey]) -> Result<u64, StoreError> {
        let mut removed = 0;
        for batch in keys.chunks(BATCH) {
            let sql = format!(
                "DELETE FROM {} WHERE data_date = ? AND {} AND NOT {REVIEWED}",
                self.name,
                keys_in(batch.len())
            );
            removed += self
                .write("remove nok rows", &sql, key_values(day, batch))
                .await?;
        }
        Ok(removed)
    }

    /// Keys of reviewed rows that do not say NOK.
    pub(crate) async fn reviewed_not_nok(&self, day: Day) -> Result<Vec<TextKey>, StoreError> {
        let sql = format!(
            "SELECT ck_ticks, ck_local_time, record_id FROM {} \
             WHERE data_date = ? AND {REVIEWED} AND NOT (final_result <=> 'NOK')",
            self.name
        );
        let mut conn = self.server.connect().await?;
        in_time("read reviewed rows", conn.exec(sql, (day.number(),))).await
    }

    /// The checksum of the day's rows, save reviewed ones without a verdict.
    pub(crate) async fn checksum(&self, day: Day) -> Result<Checksum, StoreError> {
        let sql = format!(
            "SELECT COUNT(*), COUNT(IF(final_result = 'NOK', 1, NULL)), CAST(IFNULL(SUM(CRC32(CONCAT_WS('|', {}))), 0) AS UNSIGNED) FROM {} \
             WHERE data_date = ? AND NOT ({REVIEWED} AND final_result IS NULL)",
            checksum_text(),
            self.name
        );
        let mut conn = self.server.connect().await?;
        let found: Option<(u64, u64, u64)> = in_time(
            "compute a day's checksum",
            conn.exec_first(sql, (day.number(),)),
        )
        .await?;
        let (rows, nok, sum) = found.unwrap_or_default();
        Ok(Checksum { rows, nok, sum })
    }

    /// Days that have rows that say NOK, and how many, in order. Reads an index from end to end; not for every pass.
    pub(crate) async fn days(&self) -> Result<Vec<(u32, u64)>, StoreError> {
        let sql = format!(
            "SELECT data_date, COUNT(*) FROM {} WHERE final_result = 'NOK' GROUP BY data_date ORDER BY data_date",
            self.name
        );
        let mut conn = self.server.connect().await?;
        in_time("list the days of the nok rows", conn.query(sql)).await
    }

    /// Rows of the day that say NOK.
    pub async fn count(&self, day: Day) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT COUNT(*) FROM {} WHERE data_date = ? AND final_result = 'NOK'",
            self.name
        );
        let mut conn = self.server.connect().await?;
        let found: Option<u64> =
            in_time("count nok rows", conn.exec_first(sql, (day.number(),))).await?;
        Ok(found.unwrap_or_default())
    }

    async fn write(&self, what: &str, sql: &str, values: Vec<Value>) -> Result<u64, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut conn = self.server.connect().await?;
            match write_once(&mut conn, what, sql, values.clone()).await {
                Err(error) if error.class() == Class::Retry && tries < TRIES => {
                    tracing::debug!(what, tries, error = %error.chain(), "mysql statement lost, again");
                }
                other => return other,
            }
        }
    }
}

async fn write_once(
    conn: &mut Conn,
    what: &str,
    sql: &str,
    values: Vec<Value>,
) -> Result<u64, StoreError> {
    in_time(what, conn.exec_drop(sql, Params::Positional(values))).await?;
    Ok(conn.affected_rows())
}

fn keys_in(count: usize) -> String {
    format!(
        "(ck_ticks, ck_local_time, record_id) IN ({})",
        vec!["(?, ?, ?)"; count].join(", ")
    )
}

fn key_values(day: Day, keys: &[TextKey]) -> Vec<Value> {
    let mut values = vec![Value::from(day.number())];
    for (ticks, time, id) in keys {
        values.extend([
            Value::from(*ticks),
            Value::from(time.as_str()),
            Value::from(id.as_str()),
        ]);
    }
    values
}

fn text_value(text: &str) -> Value {
    if text.is_empty() {
        Value::NULL
    } else {
        Value::from(text)
    }
}

fn float_value(number: f64) -> Value {
    if number.is_finite() {
        Value::from(number)
    } else {
        Value::NULL
    }
}

/// Every column of ours that a row is written with.
fn column_names() -> Vec<&'static str> {
    KEY.into_iter()
        .chain(mirrored().map(|(name, _)| name))
        .collect()
}

/// In the order of [`column_names`].
fn row_values(day: Day, row: &NokRow) -> Vec<Value> {
    let mut values = vec![
        Value::from(day.number()),
        Value::from(row.ticks),
        Value::from(row.ck_local_time.as_str()),
        Value::from(row.record_id.as_str()),
    ];
    let (mut texts, mut floats, mut integers) =
        (row.texts.iter(), row.floats.iter(), row.integers.iter());
    values.extend(mirrored().map(|(_, kind)| {
        let value = match kind {
            ValueKind::Word(_) | ValueKind::Text | ValueKind::Time => {
                texts.next().map(|text| text_value(text))
            }
            ValueKind::Float => floats.next().map(|number| float_value(*number)),
            ValueKind::Integer => integers.next().map(|number| Value::from(*number)),
        };
        value.unwrap_or(Value::NULL)
    }));
    values
}

fn stored_row(mut row: Row) -> Result<StoredRow, StoreError> {
    let mut place = 0;
    let mut next = || {
        place += 1;
        row.take::<Value, _>(place - 1).unwrap_or(Value::NULL)
    };
    let mut stored = NokRow {
        ticks: integer(&next()) as i64,
        ck_local_time: text(next())?,
        record_id: text(next())?,
        texts: Vec::new(),
        floats: Vec::new(),
        integers: Vec::new(),
    };
    for (_, kind) in mirrored() {
        match kind {
            ValueKind::Word(_) | ValueKind::Text | ValueKind::Time => {
                stored.texts.push(text(next())?);
            }
            ValueKind::Float => stored.floats.push(float(&next())),
            ValueKind::Integer => stored.integers.push(integer(&next()) as u64),
        }
    }
    let reviewed = integer(&next()) != 0;
    let crc = integer(&next()) as u64;
    Ok(StoredRow {
        row: stored,
        reviewed,
        crc,
    })
}

fn text(value: Value) -> Result<String, StoreError> {
    match value {
        Value::NULL => Ok(String::new()),
        Value::Bytes(bytes) => String::from_utf8(bytes)
            .map_err(|_| StoreError::answer("read mirrored rows", "text that is not utf-8")),
        other => Err(StoreError::answer(
            "read mirrored rows",
            format!("{other:?} where text should be"),
        )),
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Double(number) => *number,
        Value::Float(number) => f64::from(*number),
        Value::Int(number) => *number as f64,
        Value::UInt(number) => *number as f64,
        // DECIMAL comes as text.
        Value::Bytes(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

fn integer(value: &Value) -> i128 {
    match value {
        Value::Int(number) => i128::from(*number),
        Value::UInt(number) => i128::from(*number),
        _ => 0,
    }
}

/// `DATETIME(3)` as ClickHouse prints a `DateTime64(3)`.
fn time_text(name: &str) -> String {
    format!("LEFT(DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s.%f'), 23)")
}

/// The row's text over which both stores compute CRC32, as bytes whatever the collations.
fn checksum_text() -> String {
    let bytes = |value: String| format!("IFNULL(CAST({value} AS BINARY), '')");
    let text = |name: &str| bytes(format!("CONVERT({name} USING utf8mb4)"));
    let mut values = vec![
        bytes("ck_ticks".into()),
        text("ck_local_time"),
        text("record_id"),
    ];
    values.extend(mirrored().map(|(name, kind)| match kind {
        ValueKind::Word(_) | ValueKind::Text => text(name),
        ValueKind::Time => bytes(time_text(name)),
        ValueKind::Float => bytes(format!(
            "CAST(FLOOR(LEAST(GREATEST({name}, -1e9), 1e9) * 1e6 + 0.5e0) AS SIGNED)"
        )),
        ValueKind::Integer => bytes(format!("IFNULL({name}, 0)")),
    }));
    values.join(", ")
}
