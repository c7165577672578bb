//! Reading a range's rows: `Native` blocks decoded by column into one arena.

use super::{
    SourceTable,
    block::{Arrived, Ids, RowBlock},
    native::{ChunkSource, Reader, Texts},
    schema::{IdType, TimeType},
};
use crate::{
    errors::StoreError,
    range::{Day, Range},
};

const COLUMNS: usize = 11;

/// One thread reads as fast as several and costs less; ranges in flight are what runs in parallel.
const FETCH_SETTINGS: &[(&str, &str)] = &[("max_threads", "1")];

impl SourceTable {
    /// The rows of the range that its run wants and may write, in key order.
    ///
    /// # Errors
    /// [`StoreError::HashCollision`] when two welds of the range share a hash: split it between them.
    pub async fn fetch(&self, range: &Range) -> Result<RowBlock, StoreError> {
        let schema = &self.schema;
        let conditions = format!(
            "{day} AND {between} AND {wanted}",
            day = schema.on_day(range.day),
            between = schema.between(&range.keys()),
            wanted = schema.judgeable(range.run, &range.selection),
        );
        self.rows_where(range.day, &conditions).await
    }

    /// Rows of one day that meet the conditions (SQL, may end with ORDER BY and LIMIT), in key order.
    pub(crate) async fn rows_where(
        &self,
        day: Day,
        conditions: &str,
    ) -> Result<RowBlock, StoreError> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT {hash}, {time}, {id}, toString({time}), {part}, {spot}, {timer}, \
             {umax}, {imax}, {u}, {i} FROM {source} WHERE {conditions}",
            hash = schema.key_hash(),
            time = schema.column("ck_local_time"),
            id = schema.id(),
            part = schema.text("part_no"),
            spot = schema.text("spot_name"),
            timer = schema.text("timer_name"),
            umax = schema.number("umax", "Float32"),
            imax = schema.number("imax", "Float32"),
            u = schema.curve("u_curve"),
            i = schema.curve("i_curve"),
            source = schema.source,
        );
        let mut reader = self.server.native("fetch a range", &sql, FETCH_SETTINGS)?;
        let mut arrived = Arrived {
            hashes: Vec::new(),
            ticks: Vec::new(),
            ids: empty_ids(schema.id),
            times: Texts::default(),
            part_no: Texts::default(),
            spot_name: Texts::default(),
            timer_name: Texts::default(),
            umax: Vec::new(),
            imax: Vec::new(),
            curves: self.spare.take(),
        };
        while let Some(rows) = reader.block(COLUMNS).await? {
            reader.column("UInt64").await?;
            reader.numbers(rows, &mut arrived.hashes).await?;
            read_ticks(&mut reader, schema.time, rows, &mut arrived.ticks).await?;
            read_ids(&mut reader, rows, &mut arrived.ids).await?;
            for texts in [
                &mut arrived.times,
                &mut arrived.part_no,
                &mut arrived.spot_name,
                &mut arrived.timer_name,
            ] {
                reader.column("String").await?;
                reader.texts(rows, texts).await?;
            }
            for numbers in [&mut arrived.umax, &mut arrived.imax] {
                reader.column("Float32").await?;
                reader.numbers(rows, numbers).await?;
            }
            let curves = &mut arrived.curves;
            for (ends, values) in [
                (&mut curves.u_ends, &mut curves.u_values),
                (&mut curves.i_ends, &mut curves.i_values),
            ] {
                reader.column("Array(Float32)").await?;
                reader.arrays(rows, ends, values).await?;
            }
        }
        Ok(RowBlock::new(day, arrived)?.returning_to(self.spare.clone()))
    }
}

pub(crate) fn empty_ids(id: IdType) -> Ids {
    match id {
        IdType::Number => Ids::Numbers(Vec::new()),
        IdType::Text => Ids::Texts(Texts::default()),
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

pub(crate) async fn read_ids<S: ChunkSource>(
    reader: &mut Reader<S>,
    rows: usize,
    into: &mut Ids,
) -> Result<(), StoreError> {
    match into {
        Ids::Numbers(numbers) => {
            reader.column("UInt64").await?;
            reader.numbers(rows, numbers).await
        }
        Ids::Texts(texts) => {
            reader.column("String").await?;
            reader.texts(rows, texts).await
        }
    }
}
