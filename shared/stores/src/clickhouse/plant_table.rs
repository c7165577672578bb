//! A table of the shape of an older system's, made and filled with made-up rows. The fleet itself never comes here: to
//! it such a table is any plant's.

use std::collections::BTreeMap;

use weldfleet_settings::Settings;

use super::{
    Server,
    native::Writer,
    quote,
    schema::table_fault,
    sql::number_behind,
    survey::{SurveyedColumn, columns},
};
use crate::{
    commas,
    errors::{SchemaFault, StoreError, refuse_faults},
    range::Day,
};

/// How the table holds curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurveForm {
    /// `Array(UInt16)`
    Integers,
    /// `Array(String)`
    Texts,
    /// `String`: `[12, 55, 97]`
    WholeText,
}

impl CurveForm {
    fn sql_type(self) -> &'static str {
        match self {
            Self::Integers => "Array(UInt16)",
            Self::Texts => "Array(String)",
            Self::WholeText => "String",
        }
    }
}

/// Comment of a table that was made here, so that invented welds may go on in it.
const INVENTED: &str = "invented welds, by scheduler simulate";

const CURVES: [&str; 2] = ["u_curve", "i_curve"];

/// Names and types of every other column.
const COLUMNS: [(&str, &str); 17] = [
    ("id", "String"),
    ("serial_no", "String"),
    ("spot_tag", "Nullable(String)"),
    ("part_all", "String"),
    ("prog_no", "String"),
    ("weld_time", "Nullable(DateTime)"),
    ("data_date", "String"),
    ("ck_local_time", "DateTime64(3)"),
    ("ver", "UInt32"),
    ("umax", "String"),
    ("imax", "String"),
    ("wear", "String"),
    ("tipdresscounter", "String"),
    ("energie", "String"),
    ("rfid", "String"),
    ("workshop_section", "String"),
    ("area", "String"),
];

/// Rows of one day; every slice but the counts has one entry a row.
#[derive(Debug, Clone, Copy)]
pub struct PlantRows<'a> {
    pub day: Day,
    /// `weld_time` and `ck_local_time`, ms since 1970-01-01 UTC.
    pub time_unix_ms: &'a [i64],
    pub ver: &'a [u32],
    /// NULL where there is none.
    pub spot_tag: &'a [Option<&'a str>],
    /// The columns of type `String` by name.
    pub texts: &'a [(&'a str, Vec<&'a str>)],
    /// Ends of each row's samples in the counts, then the counts: voltage, current.
    pub curves: [(&'a [u64], &'a [u16]); 2],
}

/// The table `tables.source_table`, known to be of that shape.
#[derive(Clone)]
pub struct PlantTable {
    server: Server,
    database: String,
    table: String,
    /// Quoted, with its database.
    name: String,
    form: CurveForm,
}

impl PlantTable {
    /// Makes the table where there is none; refuses one of another shape. Columns more than these, as
    /// `scheduler migrate` adds them, do no harm.
    pub async fn open(settings: &Settings, form: CurveForm) -> Result<Self, StoreError> {
        let server = Server::new(&settings.clickhouse);
        let (database, table) = (server.database(), settings.tables.source_table.as_str());
        let name = quote::qualified(database, table);
        let columns = columns(&server, table).await?;
        if columns.is_empty() {
            create(&server, &name, form).await?;
        } else {
            let about = quote::about_table("name", database, table);
            let sql = format!("SELECT engine FROM system.tables WHERE {about}");
            let engine: String = server.one("read system.tables", &sql).await?;
            refuse_faults(table, differences(&engine, columns, form))?;
        }
        Ok(Self {
            database: database.to_owned(),
            table: table.to_owned(),
            server,
            name,
            form,
        })
    }

    /// Its rows where the table was not made here: a plant's own.
    pub async fn foreign_rows(&self) -> Result<u64, StoreError> {
        rows_of_a_plant(&self.server, &self.database, &self.table).await
    }

    /// The largest number behind `prefix` among the day's ids, 0 if there is none.
    pub async fn last_number(&self, day: Day, prefix: &str) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT max({}) FROM {} WHERE data_date = {}",
            number_behind(prefix, "id"),
            self.name,
            quote::literal(&day.to_string())
        );
        self.server.one("read the largest id", &sql).await
    }

    /// The time zone in which `ck_local_time` is printed.
    pub async fn time_zone(&self) -> Result<String, StoreError> {
        self.server.time_zone().await
    }

    /// Inserts the rows in one block.
    pub async fn insert(&self, rows: &PlantRows<'_>) -> Result<(), StoreError> {
        let count = rows.time_unix_ms.len();
        if count == 0 {
            return Ok(());
        }
        let samples: usize = rows.curves.iter().map(|(_, counts)| counts.len()).sum();
        let mut out = Writer::new(
            COLUMNS.len() + CURVES.len(),
            count,
            samples * 5 + count * 200,
        );
        let mut names = Vec::new();
        let day = rows.day.to_string();
        out.texts("data_date", std::iter::repeat_n(&day, count));
        let seconds = rows.time_unix_ms.iter().map(|ms| (ms / 1000) as u32);
        out.numbers_from("weld_time", "DateTime", seconds);
        out.numbers("ck_local_time", "DateTime64(3)", rows.time_unix_ms);
        out.numbers("ver", "UInt32", rows.ver);
        out.nullable_texts("spot_tag", rows.spot_tag);
        names.extend(["data_date", "weld_time", "ck_local_time", "ver", "spot_tag"]);
        for (name, values) in rows.texts {
            out.texts(name, values.iter());
            names.push(name);
        }
        for (name, (ends, counts)) in CURVES.iter().zip(rows.curves) {
            match self.form {
                CurveForm::Integers => out.arrays(name, "Array(UInt16)", ends, counts),
                CurveForm::Texts => {
                    let texts: Vec<String> = counts.iter().map(u16::to_string).collect();
                    out.text_arrays(name, ends, &texts);
                }
                CurveForm::WholeText => out.texts(name, whole_texts(ends, counts).iter()),
            }
            names.push(name);
        }
        debug_assert_eq!(names.len(), COLUMNS.len() + CURVES.len());
        let target = (self.name.as_str(), &*names.join(", "));
        self.server
            .insert_native("insert simulated rows", target, out.finish())
            .await
    }
}

fn whole_texts(ends: &[u64], counts: &[u16]) -> Vec<String> {
    let mut start = 0;
    let text = |end: &u64| {
        let counts = &counts[start..*end as usize];
        start = *end as usize;
        format!("[{}]", commas(counts))
    };
    ends.iter().map(text).collect()
}

/// The shape: each name and its type.
fn shape(form: CurveForm) -> impl Iterator<Item = (&'static str, &'static str)> {
    let curves = CURVES.map(|name| (name, form.sql_type()));
    COLUMNS.into_iter().chain(curves)
}

/// Rows of a table that [`create`] did not make.
pub(super) async fn rows_of_a_plant(
    server: &Server,
    database: &str,
    table: &str,
) -> Result<u64, StoreError> {
    let name = quote::qualified(database, table);
    let about = quote::about_table("name", database, table);
    let sql = format!(
        "SELECT CAST(if(comment = '{INVENTED}', 0, assumeNotNull((SELECT count() FROM {name}))) AS UInt64) \
         FROM system.tables WHERE {about}"
    );
    server.one("look at the source table", &sql).await
}

async fn create(server: &Server, name: &str, form: CurveForm) -> Result<(), StoreError> {
    let database = quote::identifier(server.database());
    let sql = format!("CREATE DATABASE IF NOT EXISTS {database}");
    server.execute("create the database", &sql).await?;
    let columns = shape(form).map(|(name, sql_type)| format!("{name} {sql_type}"));
    // Ordered as older systems order theirs, although a key with NULL in it has to be allowed.
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {name} ({}) ENGINE = ReplacingMergeTree(ver) PARTITION BY data_date \
         ORDER BY (data_date, spot_tag, id) SETTINGS allow_nullable_key = 1 COMMENT '{INVENTED}'",
        commas(columns)
    );
    server.execute("create the plant's table", &sql).await
}

fn differences(engine: &str, columns: Vec<SurveyedColumn>, form: CurveForm) -> Vec<SchemaFault> {
    let elsewhere = "name a table that does not exist yet, and simulate makes it";
    let mut faults = Vec::new();
    if !engine.ends_with("ReplacingMergeTree") {
        faults.push(table_fault(
            format!("its engine is {engine}, not ReplacingMergeTree"),
            elsewhere,
        ));
    }
    let types: BTreeMap<String, String> = columns
        .into_iter()
        .map(|column| (column.name, column.kind))
        .collect();
    for (name, wanted) in shape(form) {
        let remedy = if CURVES.contains(&name) {
            "give the --curves that the table has, or name a table that does not exist yet"
        } else {
            elsewhere
        };
        match types.get(name) {
            Some(found) if found == wanted => {}
            Some(found) => faults.push(table_fault(
                format!("column `{name}` is {found}, not {wanted}"),
                remedy,
            )),
            None => faults.push(table_fault(format!("it has no column `{name}`"), elsewhere)),
        }
    }
    faults
}
