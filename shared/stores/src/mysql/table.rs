//! Reading and writing rows of the result table, in batches.

use std::sync::Arc;

use mysql_async::{Conn, Params, Row, Value, prelude::Queryable};
use tokio::sync::OnceCell;
use weldfleet_settings::{Constant, Settings};

use super::{
    migrate,
    quote::identifier,
    server::{Server, in_time},
};
use crate::{
    clickhouse::nok::{Array, Checksum, NokRow, TextKey, TickSpan},
    errors::{Class, StoreError},
    mirror_layout::{MirrorColumn, MirrorLayout, MirrorType},
    range::Day,
};

/// Rows a statement writes.
const BATCH: usize = 200;

/// Tries of a statement that lost a deadlock.
const TRIES: usize = 5;

/// The table of NOK welds. Cheap to clone.
#[derive(Clone)]
pub struct NokTable {
    server: Server,
    /// Quoted, with its database.
    pub(super) name: String,
    table: String,
    /// As the settings have it.
    pub(super) declared: Arc<MirrorLayout>,
    /// The same with what an application's columns can hold, once that is known.
    fitted: Arc<OnceCell<Arc<MirrorLayout>>>,
    /// There once an application's columns are known to hold what reviewers say.
    reviewable: Arc<OnceCell<()>>,
}

/// A mirrored row as MySQL holds it.
pub(crate) struct StoredRow {
    pub row: NokRow,
    pub reviewed: bool,
    /// Whether it has a verdict.
    pub judged: bool,
    /// What it adds to the day's checksum.
    pub crc: u64,
}

/// A record's key, and the words that its time is to be in.
pub(crate) struct Retimed {
    pub key: TextKey,
    pub time: String,
}

impl StoredRow {
    /// Whether the day's checksum counts it: a review alone, of a weld without a verdict, says nothing about the weld.
    pub fn counts(&self) -> bool {
        !self.reviewed || self.judged
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
            declared: Arc::new(MirrorLayout::of(settings)),
            fitted: Arc::default(),
            reviewable: Arc::default(),
        }))
    }

    /// The server it is on.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The table's columns. What an application's can hold is asked once.
    pub(crate) async fn layout(&self) -> Result<Arc<MirrorLayout>, StoreError> {
        if !self.declared.is_applications {
            return Ok(self.declared.clone());
        }
        let fitted = self.fitted.get_or_try_init(async || {
            let mut conn = self.server.connect().await?;
            let (database, table) = (self.server.database(), &self.table);
            migrate::fitted(&mut conn, database, table, &self.declared).await
        });
        fitted.await.cloned()
    }

    /// What a worker must be able to do, each with whether it can; the write is tried on no row.
    pub async fn check_all(&self) -> Vec<(String, Result<(), StoreError>)> {
        let mut answers = vec![("connect".to_owned(), self.server.ping().await)];
        if answers[0].1.is_err() {
            return answers;
        }
        let columns = (
            format!("columns of {}", self.name),
            self.check_columns().await,
        );
        if self.declared.is_applications && columns.1.is_err() {
            // Everything at once, before the server names the first that it does not know.
            answers.push(columns);
            return answers;
        }
        answers.push((format!("read {}", self.name), self.check().await));
        answers.push(columns);
        answers.push((format!("write {}", self.name), self.check_write().await));
        answers
    }

    /// Whether every column takes what is written into it, every fault named.
    pub async fn check_columns(&self) -> Result<(), StoreError> {
        let mut conn = self.server.connect().await?;
        let (database, table) = (self.server.database(), &self.table);
        migrate::check_columns(&mut conn, database, table, &self.declared).await
    }

    /// Why the console cannot write reviews into an application's columns, for people; `None` if they hold what reviewers
    /// say. Those that do not are asked again.
    pub async fn unfit_reviews(&self) -> Result<Option<String>, StoreError> {
        if !self.declared.is_applications || self.reviewable.initialized() {
            return Ok(None);
        }
        let mut conn = self.server.connect().await?;
        let (database, table) = (self.server.database(), &self.table);
        let unfit = migrate::unfit_reviews(&mut conn, database, table, &self.declared).await?;
        if unfit.is_none() {
            // Another request may have been faster.
            let _ = self.reviewable.set(());
        }
        Ok(unfit.map(|unfit| unfit.to_string()))
    }

    /// Which texts an application's columns cannot hold whole, for people.
    pub async fn cut_texts(&self) -> Result<Option<String>, StoreError> {
        Ok(self.layout().await?.cut_texts())
    }

    /// Whether the table is one that an application reads.
    pub fn is_applications(&self) -> bool {
        self.declared.is_applications
    }

    async fn check_write(&self) -> Result<(), StoreError> {
        let layout = self.layout().await?;
        let mut conn = self.server.connect().await?;
        let (name, names) = (&self.name, written(&layout).join(", "));
        let insert = format!("INSERT INTO {name} ({names}) SELECT {names} FROM {name} WHERE 1 = 0");
        in_time("insert into the result table", conn.query_drop(insert)).await?;
        let [day, ..] = layout.quoted_key();
        let update = format!("UPDATE {name} SET {day} = {day} WHERE 1 = 0");
        in_time("update the result table", conn.query_drop(update)).await?;
        let delete = format!("DELETE FROM {name} WHERE 1 = 0");
        in_time("delete from the result table", conn.query_drop(delete)).await
    }

    /// Answers when the table can be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        let layout = self.layout().await?;
        let mut conn = self.server.connect().await?;
        let sql = format!(
            "SELECT {}, {} FROM {} LIMIT 0",
            written(&layout).join(", "),
            layout.is_reviewed(),
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
        let [on_day, ticks, ..] = self.declared.quoted_key();
        let condition = format!("{on_day} = ? AND {ticks} BETWEEN ? AND ?");
        let span = [day.number().into(), span.from.into(), span.to.into()];
        self.rows_where(&condition, span.to_vec()).await
    }

    /// Records of these welds of a day, in whatever words their time.
    pub(crate) async fn rows_at(
        &self,
        day: Day,
        welds: &[(i64, &str)],
    ) -> Result<Vec<StoredRow>, StoreError> {
        let [on_day, ticks, _, id] = self.declared.quoted_key();
        let mut found = Vec::new();
        for batch in welds.chunks(BATCH) {
            let marks = vec!["(?, ?)"; batch.len()].join(", ");
            let condition = format!("{on_day} = ? AND ({ticks}, {id}) IN ({marks})");
            let mut values = vec![Value::from(day.number())];
            for (ticks, id) in batch {
                values.extend([Value::from(*ticks), Value::from(*id)]);
            }
            found.extend(self.rows_where(&condition, values).await?);
        }
        Ok(found)
    }

    /// Rows of a day with these keys, as [`key_values`] gives them.
    fn has_key(&self, keys: &[TextKey]) -> String {
        let [on_day, ticks, time, id] = self.declared.quoted_key();
        let marks = vec!["(?, ?, ?)"; keys.len()].join(", ");
        format!("{on_day} = ? AND ({ticks}, {time}, {id}) IN ({marks})")
    }

    async fn rows_where(
        &self,
        condition: &str,
        values: Vec<Value>,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let layout = self.layout().await?;
        let columns: Vec<String> = layout
            .columns
            .iter()
            .map(|column| match column.held {
                MirrorType::Time(_) => time_text(&column.quoted()),
                _ => column.quoted(),
            })
            .map(|column| format!("{column}, "))
            .collect();
        let [_, ticks, time, id] = layout.quoted_key();
        let sql = format!(
            "SELECT {ticks}, {time}, {id}, {}{}, {}, {}, CRC32(CONCAT_WS('|', {})) FROM {} WHERE {condition}",
            columns.concat(),
            layout.is_nok(),
            layout.is_reviewed(),
            layout.is_judged(),
            checksum_text(&layout),
            self.name
        );
        let mut conn = self.server.connect().await?;
        let rows: Vec<Row> = in_time(
            "read mirrored rows",
            conn.exec(sql, Params::Positional(values)),
        )
        .await?;
        rows.into_iter()
            .map(|row| stored_row(&layout, row))
            .collect()
    }

    /// The tick of the row that has `skip` before it in the span.
    pub(crate) async fn tick_after(
        &self,
        day: Day,
        span: TickSpan,
        skip: usize,
    ) -> Result<Option<i64>, StoreError> {
        let [on_day, ticks, ..] = self.declared.quoted_key();
        let sql = format!(
            "SELECT {ticks} FROM {} WHERE {on_day} = ? AND {ticks} BETWEEN ? AND ? \
             ORDER BY {ticks} LIMIT 1 OFFSET {skip}",
            self.name
        );
        let mut conn = self.server.connect().await?;
        in_time(
            "read a mirrored row's tick",
            conn.exec_first(sql, (day.number(), span.from, span.to)),
        )
        .await
    }

    /// Adds rows, or gives those that are there these values. Columns that a reviewer fills are not named, and an
    /// application's constants only where a row is added.
    pub(crate) async fn put(&self, day: Day, rows: &[&NokRow]) -> Result<(), StoreError> {
        let layout = self.layout().await?;
        let names = written(&layout);
        // A row that is there has this key: something must be set.
        let [on_day, ..] = layout.quoted_key();
        let updates: Vec<String> = std::iter::once(on_day)
            .chain(layout.columns.iter().map(MirrorColumn::quoted))
            .map(|name| format!("{name} = VALUES({name})"))
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
            let values = batch.iter().flat_map(|row| row_values(&layout, day, row));
            self.write("write nok rows", &sql, values.collect()).await?;
        }
        Ok(())
    }

    /// Removes rows that nobody has reviewed; returns how many.
    pub(crate) async fn remove(&self, day: Day, keys: &[TextKey]) -> Result<u64, StoreError> {
        let mut removed = 0;
        for batch in keys.chunks(BATCH) {
            let sql = format!(
                "DELETE FROM {} WHERE {} AND NOT {}",
                self.name,
                self.has_key(batch),
                self.declared.is_reviewed(),
            );
            removed += self
                .write("remove nok rows", &sql, key_values(day, batch))
                .await?;
        }
        Ok(removed)
    }

    /// Gives records the words that their time has now. Nothing else of them changes, whoever has reviewed them.
    pub(crate) async fn retime(&self, day: Day, records: &[Retimed]) -> Result<(), StoreError> {
        let [_, ticks, time, id] = self.declared.quoted_key();
        let case = format!("WHEN ({ticks}, {time}, {id}) = (?, ?, ?) THEN ? ");
        for batch in records.chunks(BATCH) {
            let keys: Vec<TextKey> = batch.iter().map(|record| record.key.clone()).collect();
            let sql = format!(
                "UPDATE {} SET {time} = CASE {}ELSE {time} END WHERE {}",
                self.name,
                case.repeat(batch.len()),
                self.has_key(&keys),
            );
            let mut values = Vec::new();
            for Retimed { key, time } in batch {
                values.extend(values_of(key));
                values.push(Value::from(time.as_str()));
            }
            values.extend(key_values(day, &keys));
            self.write("write the times of nok rows", &sql, values)
                .await?;
        }
        Ok(())
    }

    /// Ticks and ids of reviewed rows that do not say NOK.
    pub(crate) async fn reviewed_not_nok(
        &self,
        day: Day,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let layout = &self.declared;
        let [on_day, ticks, _, id] = layout.quoted_key();
        let sql = format!(
            "SELECT {ticks}, {id} FROM {} WHERE {on_day} = ? AND {} AND {} AND NOT {}",
            self.name,
            layout.is_ours(),
            layout.is_reviewed(),
            layout.is_nok(),
        );
        let mut conn = self.server.connect().await?;
        in_time("read reviewed rows", conn.exec(sql, (day.number(),))).await
    }

    /// The checksum of the day's rows, save reviewed ones without a verdict.
    pub(crate) async fn checksum(&self, day: Day) -> Result<Checksum, StoreError> {
        let layout = self.layout().await?;
        let [on_day, ..] = layout.quoted_key();
        let sql = format!(
            "SELECT COUNT(*), COUNT(IF({}, 1, NULL)), CAST(IFNULL(SUM(CRC32(CONCAT_WS('|', {}))), 0) AS UNSIGNED) FROM {} \
             WHERE {on_day} = ? AND {} AND NOT ({} AND NOT {})",
            layout.is_nok(),
            checksum_text(&layout),
            self.name,
            layout.is_ours(),
            layout.is_reviewed(),
            layout.is_judged(),
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
        let layout = &self.declared;
        let [day, ..] = layout.quoted_key();
        let sql = format!(
            "SELECT {day}, COUNT(*) FROM {} WHERE {} AND {} GROUP BY {day} ORDER BY {day}",
            self.name,
            layout.is_ours(),
            layout.is_nok(),
        );
        let mut conn = self.server.connect().await?;
        in_time("list the days of the nok rows", conn.query(sql)).await
    }

    /// Rows of the day that say NOK.
    pub async fn count(&self, day: Day) -> Result<u64, StoreError> {
        let layout = &self.declared;
        let [on_day, ..] = layout.quoted_key();
        let sql = format!(
            "SELECT COUNT(*) FROM {} WHERE {on_day} = ? AND {} AND {}",
            self.name,
            layout.is_ours(),
            layout.is_nok(),
        );
        let mut conn = self.server.connect().await?;
        let found: Option<u64> =
            in_time("count nok rows", conn.exec_first(sql, (day.number(),))).await?;
        Ok(found.unwrap_or_default())
    }

    pub(super) async fn write(
        &self,
        what: &str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
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

fn key_values(day: Day, keys: &[TextKey]) -> Vec<Value> {
    let mut values = vec![Value::from(day.number())];
    values.extend(keys.iter().flat_map(values_of));
    values
}

fn values_of((ticks, time, id): &TextKey) -> [Value; 3] {
    [
        Value::from(*ticks),
        Value::from(time.as_str()),
        Value::from(id.as_str()),
    ]
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

/// Every column that a row is written with, quoted: the key, what is held behind it, constants.
fn written(layout: &MirrorLayout) -> Vec<String> {
    let constants = layout.constants.iter().map(|(name, _)| identifier(name));
    layout
        .quoted_key()
        .into_iter()
        .chain(layout.columns.iter().map(MirrorColumn::quoted))
        .chain(constants)
        .collect()
}

/// In the order of [`written`].
fn row_values(layout: &MirrorLayout, day: Day, row: &NokRow) -> Vec<Value> {
    let mut values = vec![
        Value::from(day.number()),
        Value::from(row.ticks),
        Value::from(row.ck_local_time.as_str()),
        Value::from(row.record_id.as_str()),
    ];
    let (mut texts, mut floats, mut integers) =
        (row.texts.iter(), row.floats.iter(), row.integers.iter());
    values.extend(layout.columns.iter().map(|column| {
        let value = match Array::of(column) {
            Array::Texts => texts.next().map(|text| match text.as_str() {
                "" if !column.takes_null => Value::from(""),
                text => text_value(text),
            }),
            Array::Floats => floats.next().map(|number| float_value(*number)),
            Array::Integers => integers.next().map(|number| Value::from(*number)),
        };
        value.unwrap_or(Value::NULL)
    }));
    let constants = layout.constants.iter();
    values.extend(constants.map(|(_, constant)| match constant {
        Constant::Text(text) => Value::from(text.as_str()),
        Constant::Whole(number) => Value::from(*number),
        Constant::Number(number) => Value::from(*number),
        Constant::Truth(truth) => Value::from(*truth),
    }));
    values
}

fn stored_row(layout: &MirrorLayout, mut row: Row) -> Result<StoredRow, StoreError> {
    let mut place = 0;
    let mut next = || {
        place += 1;
        row.take::<Value, _>(place - 1).unwrap_or(Value::NULL)
    };
    let mut stored = NokRow {
        ticks: integer(&next()) as i64,
        ck_local_time: text(next())?,
        record_id: text(next())?,
        nok: 0,
        texts: Vec::new(),
        floats: Vec::new(),
        integers: Vec::new(),
    };
    for column in &layout.columns {
        match Array::of(column) {
            Array::Texts => stored.texts.push(text(next())?),
            Array::Floats => stored.floats.push(float(&next())),
            Array::Integers => stored.integers.push(integer(&next()) as u64),
        }
    }
    stored.nok = u8::from(integer(&next()) != 0);
    let (reviewed, judged) = (integer(&next()) != 0, integer(&next()) != 0);
    let crc = integer(&next()) as u64;
    Ok(StoredRow {
        row: stored,
        reviewed,
        judged,
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
fn checksum_text(layout: &MirrorLayout) -> String {
    let bytes = |value: String| format!("IFNULL(CAST({value} AS BINARY), '')");
    let text = |name: &str| bytes(format!("CONVERT({name} USING utf8mb4)"));
    let [_, ticks, time, id] = layout.quoted_key();
    let mut values = vec![bytes(ticks), text(&time), text(&id)];
    values.extend(layout.columns.iter().map(|column| {
        let name = column.quoted();
        match column.held {
            MirrorType::Text(_) => text(&name),
            MirrorType::Time(_) => bytes(time_text(&name)),
            MirrorType::Number { .. } => bytes(format!(
                "CAST(FLOOR(LEAST(GREATEST({name}, -1e9), 1e9) * 1e6 + 0.5e0) AS SIGNED)"
            )),
            MirrorType::Integer => bytes(format!("IFNULL({name}, 0)")),
        }
    }));
    values.join(", ")
}
