//! Reading a range's rows: `Native` blocks decoded by column into one arena.

use super::{
    SourceTable,
    arrived::{Arrived, Further, Ids},
    block::RowBlock,
    native::{ChunkSource, Reader, Texts},
    schema::{IdType, TimeType},
    sql::MOST_KEYS,
    stored::{UnreadableRows, read_curves, read_maxima, read_scalars},
};
use crate::{
    errors::StoreError,
    range::{Day, KeyOrder, Range, Selection},
};

/// Columns that every weld has.
const COLUMNS: usize = 12;

/// One thread reads as fast as several and costs less; ranges in flight are what runs in parallel.
const FETCH_SETTINGS: &[(&str, &str)] = &[("max_threads", "1")];

impl SourceTable {
    /// The rows of the range that its run wants and may write, in key order, and those with the same key that differ
    /// from them.
    ///
    /// A row that has a verdict matters too: if one that has none has its key and other content, neither may keep a
    /// verdict. Where the range is as it was cut, which is nearly always, one statement reads all of it, so that every
    /// row of a key is seen at one moment for no price. Where more lies between its ends, judged before, the wanted
    /// rows are read first and then the judged ones that have their keys: what was not there at the second look arrives
    /// after this attempt's rows, and the attempt that will judge it looks back in the same way.
    ///
    /// # Errors
    /// [`StoreError::HashCollision`] when two welds of the range share a hash: split it between them.
    /// [`StoreError::RangeBytes`] when their curves are too many to be held at once.
    pub async fn fetch(&self, range: &Range) -> Result<RowBlock, StoreError> {
        let schema = &self.schema;
        let wanted = schema.wanted(range.run, &range.selection);
        let wanted = format!("toUInt8(ifNull({wanted}, 0))");
        let day = match schema.has_usable_id() {
            None => schema.on_day(range.day),
            Some(usable) => format!("{} AND {usable}", schema.on_day(range.day)),
        };
        let within = format!("{day} AND {}", schema.between(&range.keys()));
        if !matches!(range.selection, Selection::Status(_)) {
            let cut = usize::try_from(range.rows).unwrap_or(usize::MAX);
            let limit = range.rows.saturating_add(1);
            let mut arrived = self.arrived();
            let cut_rows = format!("{within} LIMIT {limit}");
            self.read(&mut arrived, &wanted, &within, &cut_rows).await?;
            if arrived.len() <= cut && !range.repeated_keys {
                return self.block(range.day, arrived);
            }
            self.spare.put(arrived.curves);
        }
        let mut arrived = self.arrived();
        let of_run = format!("{within} AND {wanted}");
        self.read(&mut arrived, "toUInt8(1)", &of_run, &of_run)
            .await?;
        let keys: Vec<(i64, String)> = (0..arrived.len())
            .map(|row| arrived.key(row))
            .map(|key| (key.ticks, key.id.to_string()))
            .collect();
        weldfleet_failpoints::reach("stores::between_looks").await;
        let is_as_cut = arrived.len() as u64 == range.rows && !range.repeated_keys;
        let rivals = match range.keys().order() {
            KeyOrder::SortingKey if !is_as_cut => {
                format!("{day} AND NOT ifNull({within} AND {wanted}, 0)")
            }
            _ => format!("{within} AND NOT {wanted}"),
        };
        for keys in keys.chunks(MOST_KEYS) {
            let keys = schema.has_key(keys.iter().map(|(ticks, id)| (*ticks, id.as_str())));
            let rivals = format!("{rivals} AND {keys}");
            self.read(&mut arrived, "toUInt8(0)", &rivals, &rivals)
                .await?;
        }
        self.block(range.day, arrived)
    }

    /// Rows of one day that meet the conditions (SQL, may end with ORDER BY and LIMIT, which versions that do not count
    /// use up too), in key order.
    pub(crate) async fn rows_where(
        &self,
        day: Day,
        conditions: &str,
    ) -> Result<RowBlock, StoreError> {
        let mut arrived = self.arrived();
        self.read(&mut arrived, "toUInt8(1)", conditions, conditions)
            .await?;
        self.block(day, arrived)
    }

    /// A block without a row.
    pub(crate) fn no_rows(&self) -> Result<RowBlock, StoreError> {
        self.block(Day::EPOCH, self.arrived())
    }

    fn block(&self, day: Day, arrived: Arrived) -> Result<RowBlock, StoreError> {
        Ok(RowBlock::new(day, arrived)?.returning_to(self.spare.clone()))
    }

    /// Room for rows; none has arrived yet.
    fn arrived(&self) -> Arrived {
        Arrived {
            hashes: Vec::new(),
            wanted: Vec::new(),
            ticks: Vec::new(),
            ids: Ids::empty(self.schema.id == IdType::Text),
            times: Texts::default(),
            part_no: Texts::default(),
            spot_name: Texts::default(),
            timer_name: Texts::default(),
            umax: Vec::new(),
            imax: Vec::new(),
            curves: self.spare.take(),
            unreadable: UnreadableRows::default(),
            further: Further::named(self.schema.further().clone()),
        }
    }

    /// Reads the rows that meet the conditions behind those that have arrived; `wanted` (SQL, `UInt8`) says which are
    /// to be judged, and `candidates` what all of them meet before versions are compared.
    async fn read(
        &self,
        arrived: &mut Arrived,
        wanted: &str,
        candidates: &str,
        conditions: &str,
    ) -> Result<(), StoreError> {
        let schema = &self.schema;
        let scalars: Vec<(String, bool)> = schema.further_scalars().collect();
        let asked = schema.carried_texts();
        let asked = asked.chain(scalars.iter().map(|(number, _)| number.clone()));
        let further: Vec<String> = asked.map(|column| format!(", {column}")).collect();
        let columns = COLUMNS + further.len();
        let sql = format!(
            "SELECT {hash}, {wanted}, {time}, {id}, toString({time}), {part}, {spot}, {timer}, \
             {umax}, {imax}, {u}, {i}{further} FROM {source} WHERE {conditions}",
            hash = schema.row_hash(),
            time = schema.column("ck_local_time"),
            id = schema.id(),
            part = schema.text("part_no"),
            spot = schema.text("spot_name"),
            timer = schema.text("timer_name"),
            umax = schema.stored_maximum("umax"),
            imax = schema.stored_maximum("imax"),
            u = schema.stored_curve("u_curve"),
            i = schema.stored_curve("i_curve"),
            further = further.concat(),
            source = schema.rows_among(candidates),
        );
        let mut reader = self.server.native("fetch a range", &sql, FETCH_SETTINGS)?;
        while let Some(rows) = reader.block(columns).await? {
            reader.column("UInt64").await?;
            reader.numbers(rows, &mut arrived.hashes).await?;
            reader.column("UInt8").await?;
            reader.numbers(rows, &mut arrived.wanted).await?;
            read_ticks(&mut reader, schema.time, rows, &mut arrived.ticks).await?;
            arrived.ids.read(&mut reader, "UInt64", rows).await?;
            for texts in [
                &mut arrived.times,
                &mut arrived.part_no,
                &mut arrived.spot_name,
                &mut arrived.timer_name,
            ] {
                reader.column("String").await?;
                reader.texts(rows, texts).await?;
            }
            let unreadable = &mut arrived.unreadable;
            for (ours, numbers) in [("umax", &mut arrived.umax), ("imax", &mut arrived.imax)] {
                read_maxima(&mut reader, schema, ours, rows, numbers, unreadable).await?;
            }
            let curves = &mut arrived.curves;
            for (ours, curves) in [
                ("u_curve", (&mut curves.u_ends, &mut curves.u_values)),
                ("i_curve", (&mut curves.i_ends, &mut curves.i_values)),
            ] {
                read_curves(&mut reader, schema, ours, rows, curves, unreadable).await?;
            }
            for texts in &mut arrived.further.carried {
                reader.column("String").await?;
                reader.texts(rows, texts).await?;
            }
            let first = arrived.further.make_room(rows);
            for (place, (_, as_text)) in scalars.iter().enumerate() {
                let numbers = read_scalars(&mut reader, *as_text, rows).await?;
                arrived.further.put_scalars(first, place, &numbers);
            }
            let bytes = size_of_val(&*curves.u_values) + size_of_val(&*curves.i_values);
            if bytes as u64 > self.range_bytes {
                return Err(StoreError::RangeBytes {
                    limit: self.range_bytes,
                    rows: arrived.hashes.len() as u64,
                });
            }
        }
        Ok(())
    }
}

/// Reads `ck_local_time` as its own integer; that is what the wire carries.
pub(crate) async fn read_ticks<S: ChunkSource>(
    reader: &mut Reader<S>,
    time: TimeType,
    rows: usize,
    into: &mut Vec<i64>,
) -> Result<(), StoreError> {
    match time {
        TimeType::Ticks(_) => {
            reader.column("DateTime64").await?;
            reader.numbers(rows, into).await
        }
        TimeType::Seconds => {
            reader.column("DateTime").await?;
            let mut seconds: Vec<u32> = Vec::new();
            reader.numbers(rows, &mut seconds).await?;
            into.extend(seconds.into_iter().map(i64::from));
            Ok(())
        }
    }
}
