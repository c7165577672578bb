//! `scheduler simulate --like plant`: the same welds into a table of an older system's shape, first what arrives in
//! time, then what is late or sent again.

use std::ops::Range;

use tokio::task::spawn_blocking;
use weldfleet_service::{Exit, Failure, OrExit};
use weldfleet_settings::Settings;
use weldfleet_simulator::{
    CurveLength, Delivery, PlantTableOptions, PlantTableRows, SimulationOptions,
    plant_table::{ID_PREFIX, MAX_POINTS},
};
use weldfleet_stores::{
    Day,
    clickhouse::{CurveForm, PlantRows, PlantTable},
};

use super::{
    filling::{Filling, told},
    simulate::refuse_foreign,
};
use crate::{
    args::{PlantCurves, Simulate},
    dependencies::store_failure,
};

pub async fn run(
    settings: &Settings,
    options: &Simulate,
    day: Day,
    mut simulation: SimulationOptions,
) -> Result<Exit, Failure> {
    let mut plant = PlantTableOptions {
        seed: options.seed,
        resent_share: options.resent,
        late_share: options.late,
    };
    plant.check().or_exit(Exit::Usage)?;
    refuse(options, &simulation)?;
    let form = match options.curves {
        PlantCurves::Integers => CurveForm::Integers,
        PlantCurves::Texts => CurveForm::Texts,
        PlantCurves::WholeText => CurveForm::WholeText,
    };

    let table = PlantTable::open(settings, form)
        .await
        .map_err(store_failure)?;
    let there = table.foreign_rows().await.map_err(store_failure)?;
    refuse_foreign(&settings.tables.source_table, there, options.yes)?;
    simulation.id_prefix = ID_PREFIX.to_owned();
    let before = table
        .last_number(day, ID_PREFIX)
        .await
        .map_err(store_failure)?;
    let zone = table.time_zone().await.map_err(store_failure)?;
    let filling = Filling::begin(simulation, before, day, &zone)?;
    plant.seed = filling.simulator.options().seed;
    for delivery in [Delivery::First, Delivery::Later] {
        if delivery == Delivery::Later {
            filling.wait(options.later_after).await?;
            weldfleet_failpoints::reach("scheduler::later_delivery").await;
        }
        let of_block = |chunk| insert(table.clone(), filling.clone(), plant, delivery, chunk);
        filling.insert_all(of_block).await?;
    }
    told(&filling, options.json)?;
    Ok(Exit::Done)
}

/// What the table has no place for.
fn refuse(options: &Simulate, simulation: &SimulationOptions) -> Result<(), Failure> {
    if options.invalid_share > 0.0 {
        return Err(Failure::usage(
            "--invalid-share is not for --like plant, which has unreadable values of its own; leave it out",
        ));
    }
    if (simulation.sample_interval_ms - 1.0).abs() > f64::EPSILON {
        return Err(Failure::usage(
            "--like plant has a sample a millisecond; set curves.sample_interval_ms = 1.0",
        ));
    }
    match simulation.length {
        CurveLength::Fixed(points) if points > MAX_POINTS => Err(Failure::usage(format!(
            "--points {points} is more than {MAX_POINTS}, the most that --like plant has"
        ))),
        _ => Ok(()),
    }
}

async fn insert(
    table: PlantTable,
    filling: Filling,
    plant: PlantTableOptions,
    delivery: Delivery,
    chunk: Range<u64>,
) -> Result<u64, Failure> {
    let count = chunk.end - chunk.start;
    let simulator = filling.simulator.clone();
    let rows = spawn_blocking(move || {
        let counted = simulator.block(chunk).into_counts();
        PlantTableRows::new(&counted, &plant, delivery)
    })
    .await?;
    let times = filling.times(&rows.time_ms);
    let columns = [
        ("id", texts(&rows.id)),
        ("serial_no", rows.serial_no.clone()),
        ("part_all", rows.part_all.clone()),
        ("prog_no", rows.prog_no.clone()),
        ("umax", texts(&rows.umax)),
        ("imax", texts(&rows.imax)),
        ("wear", texts(&rows.wear)),
        ("tipdresscounter", texts(&rows.tipdresscounter)),
        ("energie", texts(&rows.energie)),
        ("rfid", texts(&rows.rfid)),
        ("workshop_section", rows.workshop_section.clone()),
        ("area", texts(&rows.area)),
    ];
    let block = PlantRows {
        day: filling.day,
        time_unix_ms: &times,
        ver: &rows.ver,
        spot_tag: &rows.spot_tag,
        texts: &columns,
        curves: [
            (&rows.u_ends, &rows.u_counts),
            (&rows.i_ends, &rows.i_counts),
        ],
    };
    table.insert(&block).await.map_err(store_failure)?;
    Ok(count)
}

fn texts(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}
