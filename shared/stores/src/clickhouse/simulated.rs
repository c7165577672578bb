//! Fast columnar insert of made-up welds into a table of any shape the fleet can read.

use std::borrow::Cow;

use super::{
    SourceTable,
    native::Writer,
    schema::{DayType, IdType, TimeType},
};
use crate::{commas, errors::StoreError, range::Day};

/// Made-up welds of one day by column; every slice has one entry a row. Values are in the units that
/// `[curves]` says the table holds.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedRows<'a> {
    /// Day of every row.
    pub day: Day,
    /// Put before the number where ids are text.
    pub id_prefix: &'a str,
    pub record_id: &'a [u64],
    /// `ck_local_time`, ms since 1970-01-01 UTC.
    pub time_unix_ms: &'a [i64],
    pub part_no: &'a [&'a str],
    pub spot_name: &'a [&'a str],
    pub timer_name: &'a [&'a str],
    pub umax: &'a [f32],
    pub imax: &'a [f32],
    /// Ends of each row's samples in `u_values`.
    pub u_ends: &'a [u64],
    /// Voltage samples.
    pub u_values: &'a [f32],
    /// Ends of each row's samples in `i_values`.
    pub i_ends: &'a [u64],
    /// Current samples.
    pub i_values: &'a [f32],
    pub label: &'a [&'a str],
    pub label_defect: &'a [&'a str],
    /// mm, like all that is measured.
    pub measured_diameter: &'a [f32],
    pub measured_indentation: &'a [f32],
    pub measured_front_thickness: &'a [f32],
    pub measured_stack_thickness: &'a [f32],
}

impl SourceTable {
    /// Inserts the rows in one block; columns that the table lacks are left out.
    pub async fn insert_simulated(&self, rows: &SimulatedRows<'_>) -> Result<(), StoreError> {
        let schema = &self.schema;
        let count = rows.record_id.len();
        if count == 0 {
            return Ok(());
        }
        let texts: [(&'static str, &[&str]); 5] = [
            ("part_no", rows.part_no),
            ("spot_name", rows.spot_name),
            ("timer_name", rows.timer_name),
            ("label", rows.label),
            ("label_defect", rows.label_defect),
        ];
        let floats: [(&'static str, &[f32]); 6] = [
            ("umax", rows.umax),
            ("imax", rows.imax),
            ("measured_diameter", rows.measured_diameter),
            ("measured_indentation", rows.measured_indentation),
            ("measured_front_thickness", rows.measured_front_thickness),
            ("measured_stack_thickness", rows.measured_stack_thickness),
        ];
        let mut names: Vec<&'static str> = vec!["data_date", "ck_local_time", "record_id"];
        names.extend(texts.iter().map(|(name, _)| *name));
        names.extend(floats.iter().map(|(name, _)| *name));
        names.extend(["u_curve", "i_curve"]);
        names.retain(|name| schema.has(name));
        let samples = rows.u_values.len() + rows.i_values.len();
        let mut out = Writer::new(names.len(), count, samples * 4 + count * 160 + 1024);
        for name in &names {
            // The block's column names must be the table's, unquoted.
            let theirs = self.plain_name(name);
            match *name {
                "data_date" => self.put_day(&mut out, &theirs, rows.day),
                "ck_local_time" => self.put_times(&mut out, &theirs, rows.time_unix_ms),
                "record_id" => self.put_ids(&mut out, &theirs, rows),
                "u_curve" => out.arrays(&theirs, "Array(Float32)", rows.u_ends, rows.u_values),
                "i_curve" => out.arrays(&theirs, "Array(Float32)", rows.i_ends, rows.i_values),
                other => {
                    if let Some((_, values)) = texts.iter().find(|(name, _)| *name == other) {
                        out.texts(&theirs, values.iter().copied());
                    } else if let Some((_, values)) = floats.iter().find(|(name, _)| *name == other)
                    {
                        out.numbers(&theirs, "Float32", values);
                    }
                }
            }
        }
        let columns = commas(names.iter().map(|name| schema.column(name)));
        let target = (schema.source.as_str(), columns.as_str());
        self.server
            .insert_native("insert simulated rows", target, out.finish())
            .await
    }

    fn plain_name(&self, ours: &'static str) -> Cow<'static, str> {
        self.schema
            .plain_name(ours)
            .map_or(Cow::Borrowed(ours), |name| Cow::Owned(name.to_owned()))
    }

    fn put_day(&self, out: &mut Writer, name: &str, day: Day) {
        let since_epoch = day.days_since_epoch();
        match self.schema.day {
            DayType::Number => out.repeated(name, "UInt32", day.number()),
            DayType::Date => out.repeated(name, "Date", since_epoch as u16),
            DayType::Date32 => out.repeated(name, "Date32", since_epoch),
            DayType::Text => {
                let text = day.to_string();
                out.texts(name, std::iter::repeat_n(text.as_str(), out.rows()));
            }
        }
    }

    fn put_times(&self, out: &mut Writer, name: &str, unix_ms: &[i64]) {
        let time = self.schema.time;
        let ticks = unix_ms.iter().map(|ms| time.ticks_at_unix_ms(*ms));
        match time {
            TimeType::Seconds => {
                out.numbers_from(name, "DateTime", ticks.map(|seconds| seconds as u32));
            }
            TimeType::Ticks(precision) => {
                out.numbers_from(name, &format!("DateTime64({precision})"), ticks);
            }
        }
    }

    fn put_ids(&self, out: &mut Writer, name: &str, rows: &SimulatedRows<'_>) {
        match self.schema.id {
            IdType::Number => out.numbers(name, "UInt64", rows.record_id),
            IdType::Text => {
                let texts: Vec<String> = rows
                    .record_id
                    .iter()
                    .map(|id| format!("{}{id}", rows.id_prefix))
                    .collect();
                out.texts(name, texts.iter().map(String::as_str));
            }
        }
    }
}
