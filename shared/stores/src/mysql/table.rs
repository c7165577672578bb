//! Reading and writing rows of the result table, in batches.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use mysql_async::{Row, Value, prelude::Queryable};
use tokio::sync::OnceCell;
use weldfleet_settings::Settings;

use super::{
    existing_table::ExistingTable,
    quote::qualified,
    refusals::{RecordChange, Refused},
    row::{StoredRow, checksum_text, key_values, row_values, stored_row, time_text, values_of},
    server::{Server, in_time},
};
use crate::{
    clickhouse::nok::{Checksum, NokRow, TextKey, TickSpan},
    commas,
    errors::{Class, StoreError, refuse_faults},
    lock,
    mirror_layout::{MirrorColumn, MirrorLayout, MirrorType},
    range::Day,
};

/// Rows a statement writes.
const BATCH: usize = 200;

/// Tries of a statement that lost a deadlock.
const TRIES: usize = 5;

/// How long refused rows are looked for by those who wait for nothing else.
const SEARCH: Duration = Duration::from_secs(10);

/// How long it is believed what an application's columns can hold: its people may change them.
const FITS_FOR: Duration = Duration::from_secs(180);

/// The table of NOK welds. Cheap to clone.
#[derive(Clone)]
pub struct NokTable {
    server: Server,
    /// Quoted, with its database.
    pub(super) name: String,
    pub(super) table: String,
    /// As the settings have it.
    pub(super) declared: Arc<MirrorLayout>,
    /// The same with what an application's columns can hold, once that is known.
    fitted: Arc<Mutex<Option<Fitted>>>,
    /// That of the look that this is for; see [`Self::for_a_look`].
    of_look: Option<Arc<MirrorLayout>>,
    /// How long the rows of a write are looked for that MySQL refuses; the others of their batches wait for the next
    /// look.
    pub(super) search: Duration,
    /// There once an application's columns are known to hold what reviewers say.
    pub(super) reviewable: Arc<OnceCell<()>>,
}

/// A layout, and when it was asked for.
type Fitted = (Instant, Arc<MirrorLayout>);

/// A record's key, and the words that its time is to be in.
#[derive(Clone)]
pub(crate) struct Retimed {
    pub key: TextKey,
    pub time: String,
}

impl RecordChange for Retimed {
    fn weld(&self) -> (i64, &str) {
        self.key.weld()
    }
}

/// A record to add or to change.
#[derive(Clone)]
pub(crate) struct Put {
    pub row: NokRow,
    pub is_new: bool,
}

impl RecordChange for Put {
    fn weld(&self) -> (i64, &str) {
        self.row.weld()
    }

    fn row(&self) -> Option<&NokRow> {
        Some(&self.row)
    }
}

impl NokTable {
    /// The configured table, `None` where `mysql.enabled` is off. Connects with the first request.
    pub fn new(settings: &Settings) -> Result<Option<Self>, StoreError> {
        if !settings.mysql.enabled {
            return Ok(None);
        }
        let server = Server::new(&settings.mysql)?;
        let table = settings.tables.result_table.clone();
        Ok(Some(Self {
            name: qualified(server.database(), &table),
            server,
            table,
            declared: Arc::new(MirrorLayout::of(settings)),
            fitted: Arc::default(),
            of_look: None,
            search: SEARCH,
            reviewable: Arc::default(),
        }))
    }

    /// The server it is on.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The table's columns. What an application's can hold is asked where it is not known.
    pub(crate) async fn layout(&self) -> Result<Arc<MirrorLayout>, StoreError> {
        if !self.declared.is_applications {
            return Ok(self.declared.clone());
        }
        if let Some(fitted) = &self.of_look {
            return Ok(fitted.clone());
        }
        let known = || lock(&self.fitted);
        if let Some((_, fitted)) = &*known() {
            return Ok(fitted.clone());
        }
        let (fitted, faults) = self.existing().await?.fit(&self.declared);
        refuse_faults(&self.table, faults)?;
        let fitted = Arc::new(fitted);
        *known() = Some((Instant::now(), fitted.clone()));
        Ok(fitted)
    }

    /// The table as it is.
    pub(super) async fn existing(&self) -> Result<ExistingTable, StoreError> {
        let mut conn = self.server.connect().await?;
        ExistingTable::read(&mut conn, self.server.database(), &self.table).await
    }

    /// The same table for one look at both stores: its rows are all read and written alike, whoever asks anew meanwhile
    /// what an application's columns can hold. That is asked here if it was asked long ago.
    pub(super) async fn for_a_look(&self) -> Result<Self, StoreError> {
        lock(&self.fitted).take_if(|(asked, _)| asked.elapsed() >= FITS_FOR);
        let layout = self.layout().await?;
        Ok(Self {
            of_look: Some(layout),
            ..self.clone()
        })
    }

    /// Which texts an application's columns cannot hold whole, for people.
    pub async fn cut_texts(&self) -> Result<Option<String>, StoreError> {
        Ok(self.layout().await?.cut_texts())
    }

    /// Whether the table is one that an application reads.
    pub fn is_applications(&self) -> bool {
        self.declared.is_applications
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
        let rows: Vec<Row> = self.server.all("read mirrored rows", &sql, values).await?;
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
        let values = (day.number(), span.from, span.to);
        let what = "read a mirrored row's tick";
        self.server.first(what, &sql, values).await
    }

    /// Adds rows, or gives those that are there these values; returns those that MySQL refuses. Columns that a reviewer
    /// fills are not named, and an application's constants only where a row is added.
    pub(super) async fn put(
        &self,
        day: Day,
        rows: &[Put],
    ) -> Result<Vec<Refused<Put>>, StoreError> {
        let layout = self.layout().await?;
        let names = layout.written();
        // A row that is there has this key: something must be set.
        let [on_day, ..] = layout.quoted_key();
        let updated =
            std::iter::once(on_day).chain(layout.columns.iter().map(MirrorColumn::quoted));
        let updates = commas(updated.map(|name| format!("{name} = VALUES({name})")));
        let marks = format!("({})", vec!["?"; names.len()].join(", "));
        let put = |batch: &[Put]| {
            let sql = format!(
                "INSERT INTO {} ({}) VALUES {} ON DUPLICATE KEY UPDATE {updates}",
                self.name,
                names.join(", "),
                vec![marks.as_str(); batch.len()].join(", "),
            );
            let values = batch
                .iter()
                .flat_map(|put| row_values(&layout, day, &put.row));
            (sql, values.collect())
        };
        Ok(self.write_each("write nok rows", rows, put).await?.1)
    }

    /// Removes rows that nobody has reviewed; returns how many, and those that MySQL does not let go.
    pub(super) async fn remove(
        &self,
        day: Day,
        keys: &[TextKey],
    ) -> Result<(u64, Vec<Refused<TextKey>>), StoreError> {
        let remove = |batch: &[TextKey]| {
            let sql = format!(
                "DELETE FROM {} WHERE {} AND NOT {}",
                self.name,
                self.has_key(batch),
                self.declared.is_reviewed(),
            );
            (sql, key_values(day, batch))
        };
        self.write_each("remove nok rows", keys, remove).await
    }

    /// Gives records the words that their time has now; returns those that MySQL refuses. Nothing else of them changes,
    /// whoever has reviewed them.
    pub(super) async fn retime(
        &self,
        day: Day,
        records: &[Retimed],
    ) -> Result<Vec<Refused<Retimed>>, StoreError> {
        let [_, ticks, time, id] = self.declared.quoted_key();
        let case = format!("WHEN ({ticks}, {time}, {id}) = (?, ?, ?) THEN ? ");
        let retime = |batch: &[Retimed]| {
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
            (sql, values)
        };
        let written = self.write_each("write the times of nok rows", records, retime);
        Ok(written.await?.1)
    }

    /// Writes rows in batches. Where MySQL refuses a batch for its rows, each half of it is tried, down to the rows
    /// that it refuses. Returns how many rows were changed, and the refused ones.
    async fn write_each<T: RecordChange>(
        &self,
        what: &str,
        rows: &[T],
        statement: impl Fn(&[T]) -> (String, Vec<Value>),
    ) -> Result<(u64, Vec<Refused<T>>), StoreError> {
        let (mut changed, mut refused) = (0, Vec::new());
        let mut rest: Vec<&[T]> = rows.chunks(BATCH).rev().collect();
        let mut until = None;
        while let Some(batch) = rest.pop() {
            let (sql, values) = statement(batch);
            let error = match self.write(what, &sql, values).await {
                Ok(rows) => {
                    changed += rows;
                    continue;
                }
                Err(error) if error.may_be_of_rows() => error,
                Err(error) => return Err(error),
            };
            let goes_on =
                Instant::now() < *until.get_or_insert_with(|| Instant::now() + self.search);
            if goes_on && batch.len() > 1 {
                let (first, second) = batch.split_at(batch.len() / 2);
                rest.extend([second, first]);
                continue;
            }
            refused.extend(Refused::all(batch, &error));
            if !goes_on && error.class() == Class::Retry {
                // As many locks as these would be waited for one after the other.
                let unwritten = rest.drain(..);
                refused.extend(unwritten.flat_map(|batch| Refused::all(batch, &error)));
            }
        }
        if !refused.is_empty() {
            // The application may have made a column narrower: for the next look.
            *lock(&self.fitted) = None;
        }
        Ok((changed, refused))
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
        let values = (day.number(),);
        self.server.all("read reviewed rows", &sql, values).await
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
        let what = "compute a day's checksum";
        let found: Option<(u64, u64, u64)> = self.server.first(what, &sql, (day.number(),)).await?;
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
        let what = "list the days of the nok rows";
        self.server.all(what, &sql, ()).await
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
        let values = (day.number(),);
        let found: Option<u64> = self.server.first("count nok rows", &sql, values).await?;
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
            match self.write_once(what, sql, values.clone()).await {
                // A lock has been waited for already.
                Err(error)
                    if error.class() == Class::Retry && !error.is_locked() && tries < TRIES =>
                {
                    tracing::debug!(what, tries, error = %error.chain(), "mysql statement lost, again");
                }
                other => return other,
            }
        }
    }

    async fn write_once(
        &self,
        what: &str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, StoreError> {
        let mut conn = self.server.connect().await?;
        in_time(what, conn.exec_drop(sql, values)).await?;
        Ok(conn.affected_rows())
    }
}
