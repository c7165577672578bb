//! What is left to do: unprocessed keys in order, and the middle of a range.

use super::{
    SourceTable,
    arrived::Ids,
    fetch::read_ticks,
    leading::{LeadingColumn, LeadingValues},
    native::Reader,
    quote,
    schema::{IdType, TimeType},
    server::HttpSource,
    sql,
};
use crate::{
    commas,
    errors::StoreError,
    range::{Coverage, Day, Key, KeyOrder, KeyRange, KeyRef, Range, Selection},
};

/// Ranges excluded on the server; beyond that many the rest is left to the caller's exact check.
const MAX_EXCLUDED: usize = 20_000;

/// Some keys in order.
#[derive(Debug)]
pub struct KeyBlock {
    /// In the order of time there are none.
    leading: Option<LeadingValues>,
    ticks: Vec<i64>,
    ids: Ids,
}

impl KeyBlock {
    /// The keys in order. Rows with the same whole key repeat it.
    pub fn keys(&self) -> impl Iterator<Item = KeyRef<'_>> {
        (0..self.ticks.len()).map(|row| KeyRef {
            leading: self.leading.as_ref().map(|values| values.get(row)),
            ticks: self.ticks[row],
            id: self.ids.get(row),
        })
    }
}

/// Keys in order, block by block; holds one block at a time.
pub struct KeyStream {
    reader: Reader<HttpSource>,
    time: TimeType,
    block: KeyBlock,
}

impl KeyStream {
    /// The next keys, `None` at the end.
    pub async fn next(&mut self) -> Result<Option<&KeyBlock>, StoreError> {
        let columns = 2 + usize::from(self.block.leading.is_some());
        let Some(rows) = self.reader.block(columns).await? else {
            return Ok(None);
        };
        if let Some(values) = &mut self.block.leading {
            values.clear();
            values.read(&mut self.reader, "Int128", rows).await?;
        }
        self.block.ticks.clear();
        self.block.ids.clear();
        read_ticks(&mut self.reader, self.time, rows, &mut self.block.ticks).await?;
        let ids = &mut self.block.ids;
        ids.read(&mut self.reader, "UInt64", rows).await?;
        ids.check()?;
        Ok(Some(&self.block))
    }
}

/// What becomes of a range that is cut in half.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Split {
    /// No row of it is wanted any more.
    Empty,
    /// One weld is left; it cannot be cut.
    One(Range),
    /// Two halves that hold the range's wanted rows.
    Two(Range, Range),
}

impl SourceTable {
    /// In which order ranges cost least if their rows are merged: along the table's sorting key.
    pub fn cheapest_order(&self) -> KeyOrder {
        match self.schema.leading {
            None => KeyOrder::Time,
            Some(_) => KeyOrder::SortingKey,
        }
    }

    /// How many ticks of a key are a second.
    pub fn ticks_per_second(&self) -> i64 {
        match self.schema.time {
            TimeType::Seconds => 1,
            TimeType::Ticks(precision) => 10_i64.saturating_pow(precision.into()),
        }
    }

    /// Whether some key of the day is at more than one place of the sorting key. Two keys of one hash are taken for one.
    pub async fn has_repeated_keys(&self, day: Day) -> Result<bool, StoreError> {
        let schema = &self.schema;
        let (time, id) = (schema.column("ck_local_time"), schema.column("record_id"));
        let places = match &schema.leading {
            Some(leading) if !schema.keeps_versions => {
                format!("uniqExact(cityHash64({}, {time}, {id}))", leading.value())
            }
            _ => "count()".to_owned(),
        };
        let sql = format!(
            "SELECT toUInt8({places} > uniqExact(cityHash64({time}, {id}))) FROM {} WHERE {}",
            schema.rows(),
            schema.on_day(day),
        );
        let repeated: u8 = self.server.one("look for repeated keys", &sql).await?;
        Ok(repeated != 0)
    }

    /// Keys of a day's rows that a run wants, in this order, at most `limit`. Covered ranges must be of the same order.
    ///
    /// Rows inside the covered ranges are left out as far as the server can tell cheaply: in the order of time those
    /// whose time lies strictly between a range's ends, so that only rows at the very ticks of its ends remain; along a
    /// sorting key none. The caller leaves out the rest.
    pub fn unprocessed_keys(
        &self,
        run: u64,
        day: Day,
        selection: &Selection,
        order: KeyOrder,
        covered: &Coverage,
        limit: u64,
    ) -> Result<KeyStream, StoreError> {
        let not_covered = match order {
            KeyOrder::Time => self.not_covered(covered),
            KeyOrder::SortingKey => String::new(),
        };
        let filter = format!(
            "{} AND {}{not_covered}",
            self.schema.on_day(day),
            self.schema.wanted(run, selection),
        );
        self.keys_where(&filter, order, limit)
    }

    /// Marks a day's rows whose `record_id` cannot be named, which nothing else can do: `invalid`, with the reason.
    /// They are told by their id alone, so one guarded UPDATE with constants does it. Returns how many there are now.
    pub async fn mark_unusable_ids(
        &self,
        run: u64,
        token: u64,
        day: Day,
    ) -> Result<u64, StoreError> {
        let schema = &self.schema;
        let Some(usable) = schema.has_usable_id() else {
            return Ok(0);
        };
        let on_day = schema.on_day(day);
        let sql = format!(
            "UPDATE {source} SET {complete} = now64(3), {status} = 'invalid', {error} = {reason}, {alg_run} = {run}, {alg_token} = {token} \
             WHERE {on_day} AND NOT {usable} AND {guard} AND {selected}",
            source = schema.source,
            selected = schema.selected(),
            complete = schema.column("alg_complete_time"),
            status = schema.column("alg_status"),
            error = schema.column("alg_error"),
            reason = quote::literal(&format!(
                "record_id: not utf-8, or longer than {} bytes",
                sql::LONGEST_ID
            )),
            alg_run = schema.column("alg_run"),
            alg_token = schema.column("alg_token"),
            guard = schema.guard(run),
        );
        self.server
            .update("mark rows without a usable id", &sql)
            .await?;
        self.server
            .one(
                "count rows without a usable id",
                &format!(
                    "SELECT count() FROM {} WHERE {on_day} AND NOT {usable} AND {} = {token}",
                    schema.rows(),
                    schema.column("alg_token"),
                ),
            )
            .await
    }

    fn keys_where(
        &self,
        filter: &str,
        order: KeyOrder,
        limit: u64,
    ) -> Result<KeyStream, StoreError> {
        let schema = &self.schema;
        let (time, id) = (schema.column("ck_local_time"), schema.column("record_id"));
        let leading = match order {
            KeyOrder::Time => None,
            KeyOrder::SortingKey => schema.leading.as_ref(),
        };
        let first = leading.map_or_else(String::new, |column| format!("{}, ", column.value()));
        let sql = format!(
            "SELECT {first}{time}, {} FROM {} WHERE {filter} ORDER BY {first}{time}, {id} LIMIT {limit}",
            schema.id(),
            schema.rows(),
        );
        let reader = self.server.native(
            "read unprocessed keys",
            &sql,
            &[("optimize_read_in_order", "1")],
        )?;
        Ok(KeyStream {
            reader,
            time: schema.time,
            block: KeyBlock {
                leading: leading.map(LeadingColumn::no_values),
                ticks: Vec::new(),
                ids: Ids::empty(schema.id == IdType::Text),
            },
        })
    }

    /// `AND NOT` strictly inside the last range that starts at or before the row's tick.
    fn not_covered(&self, covered: &Coverage) -> String {
        let mut starts: Vec<i64> = Vec::new();
        let mut ends: Vec<i64> = Vec::new();
        for range in covered.ranges().iter().take(MAX_EXCLUDED) {
            // Ranges that start at one tick: the last of them reaches furthest, the others are inside it.
            if starts.last() == Some(&range.from.ticks) {
                starts.pop();
                ends.pop();
            }
            starts.push(range.from.ticks);
            ends.push(range.to.ticks);
        }
        if starts.is_empty() {
            return String::new();
        }
        let ticks = self.schema.ticks();
        let first = starts[0];
        let last = ends[ends.len() - 1];
        let starts = quote::array(starts);
        let ends = quote::array(ends);
        format!(
            " AND NOT ({ticks} > {first} AND {ticks} < {last} \
             AND {ticks} > roundDown({ticks}, CAST({starts} AS Array(Int64))) \
             AND {ticks} < transform(roundDown({ticks}, CAST({starts} AS Array(Int64))), \
             CAST({starts} AS Array(Int64)), CAST({ends} AS Array(Int64)), toInt64({first})))"
        )
    }

    /// Fills in the text of keys, `<ck_local_time> <record_id>`, all in one question.
    pub async fn name_keys(&self, keys: &mut [&mut Key]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let ticks = quote::array(keys.iter().map(|key| key.ticks));
        let zone = self
            .schema
            .time_zone
            .as_deref()
            .map(|zone| format!(", {}", quote::literal(zone)))
            .unwrap_or_default();
        let (integer, kind) = match self.schema.time {
            TimeType::Seconds if zone.is_empty() => ("UInt32", "DateTime".to_owned()),
            TimeType::Seconds => ("UInt32", format!("DateTime({})", &zone[2..])),
            TimeType::Ticks(precision) => ("Int64", format!("DateTime64({precision}{zone})")),
        };
        let sql = format!(
            "SELECT arrayMap(x -> toString(reinterpret(x, {})), CAST({ticks} AS Array({integer})))",
            quote::literal(&kind)
        );
        let texts: Vec<String> = self.server.one("print times", &sql).await?;
        if texts.len() != keys.len() {
            return Err(StoreError::answer("print times", "not one text a key"));
        }
        for (key, text) in keys.iter_mut().zip(texts) {
            key.text = format!("{text} {}", key.id);
        }
        Ok(())
    }

    /// Cuts a range in the middle of the rows it still wants.
    pub async fn midpoint(&self, range: &Range) -> Result<Split, StoreError> {
        let filter = format!(
            "{} AND {} AND {}",
            self.schema.on_day(range.day),
            self.schema.between(&range.keys()),
            self.schema.judgeable(range.run, &range.selection),
        );
        let mut keys: Vec<Key> = Vec::new();
        let mut rows: Vec<u64> = Vec::new();
        let mut stream = self.keys_where(&filter, range.keys().order(), u64::from(u32::MAX))?;
        while let Some(block) = stream.next().await? {
            for key in block.keys() {
                match (keys.last(), rows.last_mut()) {
                    (Some(last), Some(count)) if last.as_ref() == key => *count += 1,
                    _ => {
                        keys.push(key.to_owned());
                        rows.push(1);
                    }
                }
            }
        }
        let piece = |from: &Key, to: &Key, rows: &[u64]| Range {
            from: from.clone(),
            to: to.clone(),
            rows: rows.iter().sum(),
            // Counted anew, so that what came since the range was cut does not show any more.
            repeated_keys: range.keys().order() == KeyOrder::SortingKey,
            ..range.clone()
        };
        match keys.as_mut_slice() {
            [] => Ok(Split::Empty),
            [only] => {
                self.name_keys(&mut [only]).await?;
                Ok(Split::One(piece(&keys[0], &keys[0], &rows)))
            }
            [.., _] => {
                let half = keys.len() / 2;
                self.name_keys(&mut keys[half - 1..=half].iter_mut().collect::<Vec<_>>())
                    .await?;
                Ok(Split::Two(
                    piece(&range.from, &keys[half - 1], &rows[..half]),
                    piece(&keys[half], &range.to, &rows[half..]),
                ))
            }
        }
    }

    /// The largest fencing token in `weld_results` and in the rows of the given days.
    pub async fn max_token(&self, recent: &[Day]) -> Result<u64, StoreError> {
        let (schema, what) = (&self.schema, "read the largest token");
        let sql = format!(
            "SELECT token FROM {} ORDER BY token DESC LIMIT 1",
            schema.results
        );
        let stored: Option<u64> = self.server.first(what, &sql).await?;
        let sql = format!(
            "SELECT ifNull(max({}), toUInt64(0)) FROM {} WHERE {}",
            schema.column("alg_token"),
            schema.source,
            schema.on_days(recent),
        );
        let rows: u64 = self.server.one(what, &sql).await?;
        Ok(stored.unwrap_or(0).max(rows))
    }

    /// How many rows of each of these ranges of a day a run still wants, in one question. Counted as ranges are cut: of
    /// a row's versions the last one.
    pub async fn count_wanted(
        &self,
        run: u64,
        day: Day,
        selection: &Selection,
        ranges: &[KeyRange],
    ) -> Result<Vec<u64>, StoreError> {
        let schema = &self.schema;
        let counts = ranges
            .iter()
            .map(|keys| format!("countIf({})", schema.between(keys)));
        let what = "count what is left of ranges";
        let sql = format!(
            "SELECT CAST([{counts}] AS Array(UInt64)) FROM {source} WHERE {on_day} AND {within} AND {wanted}",
            counts = commas(counts),
            source = schema.rows(),
            on_day = schema.on_day(day),
            within = schema.around(ranges),
            wanted = schema.judgeable(run, selection),
        );
        let counts: Vec<u64> = self.server.one(what, &sql).await?;
        if counts.len() != ranges.len() {
            return Err(StoreError::answer(what, "not one count a range"));
        }
        Ok(counts)
    }
}
