//! What a plant's own way to store welds costs: curves as counts or as text, and versions of a weld, beside our own
//! table.
//!
//! The same welds are judged from each table by the near-free model, versions by the CNN as well, the tables in turn.
//! All hold the same counts, mV and A, so the verdicts are the same and only the form differs.

use anyhow::{Result, ensure};
use weldfleet_stores::KeyOrder;
use weldfleet_testkit::{Service, repository};

use crate::{
    Args,
    days::{CurveDay, TABLE},
    drain::{self, DAY},
    numbers::{Report, Section},
    plant::Plant,
    proc::Meter,
    slicing,
};

/// A table of one form.
struct Form {
    name: &'static str,
    table: &'static str,
    /// Type of a curve, and how it is made of whole numbers `counts`.
    curve: (&'static str, &'static str),
    /// Whether it keeps versions of a weld, in an older system's order: by spot and id, with the server's granules.
    versions: bool,
}

const FORMS: [Form; 4] = [
    Form {
        name: "Array(Float32)",
        table: "float32_records",
        curve: ("Array(Float32)", "arrayMap(x -> toFloat32(x), counts)"),
        versions: false,
    },
    Form {
        name: "Array(UInt16)",
        table: "uint16_records",
        curve: ("Array(UInt16)", "counts"),
        versions: false,
    },
    Form {
        name: "Array(String)",
        table: "texts_records",
        curve: ("Array(String)", "arrayMap(x -> toString(x), counts)"),
        versions: false,
    },
    Form {
        name: "String",
        table: "text_records",
        curve: ("String", "replaceAll(toString(counts), ',', ', ')"),
        versions: false,
    },
];

/// Beside the first of the forms.
const VERSIONS: Form = Form {
    name: "versions",
    table: "version_records",
    curve: FORMS[0].curve,
    versions: true,
};

const NEAR_FREE: &str = "bench/models/near-free";
const CNN: &str = "models";

/// One weld in so many is sent a second time.
const SENT_AGAIN: u64 = 100;

/// Welds of the day whose slicing is compared, millions.
const SLICED: u64 = 2;

impl Form {
    async fn create(&self, plant: &Plant) -> Result<()> {
        let engine = if self.versions {
            "ENGINE = ReplacingMergeTree PARTITION BY data_date ORDER BY (data_date, spot_name, record_id) \
             SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1, old_parts_lifetime = 1"
        } else {
            ""
        };
        let Self { table, curve, .. } = self;
        plant
            .sql(&format!("CREATE TABLE {table} AS {TABLE} {engine}"))
            .await?;
        for column in ["u_curve", "i_curve"] {
            let sql = format!("ALTER TABLE {table} MODIFY COLUMN {column} {}", curve.0);
            plant.sql(&sql).await?;
        }
        Ok(())
    }

    /// The day in this form.
    async fn fill(&self, plant: &Plant, day: CurveDay) -> Result<CurveDay> {
        self.create(plant).await?;
        let Self { table, curve, .. } = self;
        let stored = |column: &str| {
            let counts =
                format!("arrayMap(v -> toUInt16(max2(round(ifNotFinite(v, 0)), 0)), {column})");
            format!("{} AS {column}", curve.1.replace("counts", &counts))
        };
        let insert = format!(
            "INSERT INTO {table} SELECT * REPLACE ({}, {}) FROM {TABLE} WHERE data_date = {DAY}",
            stored("u_curve"),
            stored("i_curve")
        );
        plant.sql(&insert).await?;
        plant
            .sql(&format!("OPTIMIZE TABLE {table} PARTITION {DAY} FINAL"))
            .await?;
        if self.versions {
            // stays a part of its own, as what a plant sends again within the day; patches are merged as they always are
            let largest = "MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 50000000";
            plant.sql(&format!("ALTER TABLE {table} {largest}")).await?;
            plant
                .sql(&format!("{insert} AND record_id % {SENT_AGAIN} = 0"))
                .await?;
        }
        day.stored_in(plant, table).await
    }
}

/// The forms in turn; then versions beside none.
pub async fn run(args: &Args, plant: &mut Plant, report: &mut Report) -> Result<()> {
    // `scheduler simulate` writes in these units
    plant.set("curves.u_unit", "mV");
    plant.set("curves.i_unit", "A");
    let day = CurveDay::make(plant, DAY, args.rows()).await?;
    let compared: Vec<&Form> = match (args.wants("forms"), args.wants("versions")) {
        (true, true) => FORMS.iter().chain([&VERSIONS]).collect(),
        (true, false) => FORMS.iter().collect(),
        (false, _) => vec![&FORMS[0], &VERSIONS],
    };
    let mut measured = Vec::new();
    for form in compared {
        let day = form.fill(plant, day).await?;
        measured.push((form, day, NEAR_FREE, Section::default()));
    }
    if args.wants("versions") {
        let beside = |(form, day, ..): &(&'static Form, CurveDay, _, _)| {
            let is_compared = [VERSIONS.name, FORMS[0].name].contains(&form.name);
            is_compared.then(|| (*form, *day, CNN, Section::default()))
        };
        measured.extend(measured.iter().filter_map(beside).collect::<Vec<_>>());
    }
    for _ in 0..args.runs() {
        for (form, day, model, section) in &mut measured {
            let folder = repository().join(*model).display().to_string();
            plant.set("model.model_export_dir", &folder);
            plant.set("tables.source_table", form.table);
            drain::run(plant, *day, section).await?;
            ensure_judged(plant, form).await?;
            if form.curve.0 == "String" {
                parsed_by_the_server(plant, *day, section).await?;
            }
        }
    }
    for (form, _, model, section) in measured {
        let title = match model {
            CNN => format!("worker end to end, cnn, stored as {}", form.name),
            _ => format!("worker end to end, stored as {}", form.name),
        };
        report.add(&title, section);
    }
    plant.set("tables.source_table", TABLE);
    plant.set("curves.u_unit", "V");
    plant.set("curves.i_unit", "kA");
    if args.wants("versions") {
        slicing_versions(args, plant, report).await?;
    }
    Ok(())
}

/// Rows that nobody could judge would cost less than welds.
async fn ensure_judged(plant: &Plant, form: &Form) -> Result<()> {
    let table = form.table;
    let unjudged = plant
        .sql(&format!(
            "SELECT concat(toString(round(avg(final_result IS NULL), 3)), ' ', anyIf(ifNull(alg_error, ''), final_result IS NULL)) \
             FROM {table} WHERE data_date = {DAY} SETTINGS final = 1"
        ))
        .await?;
    let share: f64 = unjudged.split(' ').next().unwrap_or_default().parse()?;
    ensure!(
        share < 0.01,
        "{table}: too many rows are not judged: {unjudged}"
    );
    Ok(())
}

/// What the server would need to read the texts itself, beside sending them as they are.
async fn parsed_by_the_server(plant: &Plant, day: CurveDay, section: &mut Section) -> Result<()> {
    let ways = [
        ("sent as text", "u_curve, i_curve"),
        (
            "parsed by JSONExtract",
            "JSONExtract(u_curve, 'Array(Nullable(Float32))'), JSONExtract(i_curve, 'Array(Nullable(Float32))')",
        ),
    ];
    for (name, columns) in ways {
        let server = Meter::start(plant.pid(Service::ClickHouse))?;
        let table = day.fresh();
        plant
            .discard(&format!(
                "SELECT {columns} FROM {table} WHERE data_date = {DAY} FORMAT Native"
            ))
            .await?;
        section.push(
            &format!("ClickHouse CPU of curves {name}, µs a row"),
            server.cpu()? * 1e6 / day.rows() as f64,
        );
    }
    Ok(())
}

/// A look at a day of light rows with versions, beside one without.
async fn slicing_versions(args: &Args, plant: &Plant, report: &mut Report) -> Result<()> {
    let millions = if args.quick { 1 } else { SLICED };
    let sliced = Form {
        table: "sliced_version_records",
        ..VERSIONS
    };
    sliced.create(plant).await?;
    let day = slicing::make_day(plant, TABLE, millions).await?;
    slicing::make_day(plant, sliced.table, millions).await?;
    let again = format!(
        "INSERT INTO {table} SELECT * FROM {table} WHERE data_date = {day} AND record_id % {SENT_AGAIN} = 0",
        table = sliced.table,
        day = day.number()
    );
    plant.sql(&again).await?;
    let tables = [
        ("without versions", TABLE, KeyOrder::Time),
        ("with versions", sliced.table, KeyOrder::Time),
        (
            "with versions, along the sorting key",
            sliced.table,
            KeyOrder::SortingKey,
        ),
    ];
    let mut sections = [(); 3].map(|()| Section::default());
    for (_, table, order) in tables {
        slicing::look(plant, table, day, order, &mut Section::default()).await?;
    }
    for _ in 0..args.runs() {
        for ((_, table, order), section) in tables.iter().zip(&mut sections) {
            slicing::look(plant, table, day, *order, section).await?;
        }
    }
    for ((name, ..), section) in tables.iter().zip(sections) {
        let title = format!("slicing a day of {millions} million rows {name}");
        report.add(&title, section);
    }
    Ok(())
}
