//! `scheduler simulate`: demo rows, made on every core, inserted by column.

use std::ops::Range;

use tokio::task::spawn_blocking;
use weldfleet_service::{Exit, Failure, OrExit, output::grouped};
use weldfleet_settings::Settings;
use weldfleet_simulator::{SimulatedBlock, SimulationOptions, plant_table::ID_PREFIX};
use weldfleet_stores::{
    Day,
    clickhouse::{IdType, SimulatedRows, SourceTable},
};
use weldfleet_weld::units::{CurveCurrentUnit, CurveUnits, CurveVoltageUnit};

use super::{
    filling::{Filling, told},
    simulate_plant,
};
use crate::{
    args::Simulate,
    dependencies::{inspect, store_failure},
};

pub async fn run(settings: &Settings, options: Simulate) -> Result<Exit, Failure> {
    let day = options.day.resolve(&settings.scheduler.timezone)?;
    if options.since >= options.until {
        return Err(Failure::usage(
            "--since is not before --until; swap them, or fill a night shift by two calls: until 24:00, and on the next day from 00:00",
        ));
    }
    let mut simulation = SimulationOptions::new(day.number(), options.rows, options.seed);
    simulation.nok_rate = options.nok_rate;
    simulation.burn_rate = options.burn_rate;
    simulation.invalid_share = options.invalid_share;
    simulation.length = options.points;
    simulation.sample_interval_ms = settings.curves.sample_interval_ms;
    simulation.from_ms = options.since;
    simulation.until_ms = options.until;
    // Before any service is asked: wrong usage must not need one.
    simulation.check().or_exit(Exit::Usage)?;
    if options.like.is_some() {
        return simulate_plant::run(settings, &options, day, simulation).await;
    }
    if options.counts && !in_percents(&settings.curves) {
        return Err(Failure::usage(
            "--counts needs curves.u_unit = \"percent_of_umax\" and curves.i_unit = \"percent_of_imax\", and no scale of these",
        ));
    }

    let table = inspect(settings).await?;
    let there = table.foreign_rows().await.map_err(store_failure)?;
    refuse_foreign(&settings.tables.source_table, there, options.yes)?;
    if table.schema().id == IdType::Text {
        simulation.id_prefix = ID_PREFIX.to_owned();
    }
    let before = table
        .last_record_number(day, &simulation.id_prefix)
        .await
        .map_err(store_failure)?;
    let zone = table.time_zone().await.map_err(store_failure)?;
    let filling = Filling::begin(simulation, before, day, &zone)?;
    let (units, counts) = (settings.curves, options.counts);
    let of_block = |chunk| insert(table.clone(), filling.clone(), units, counts, chunk);
    filling.insert_all(of_block).await?;
    told(&filling, options.json)?;
    Ok(Exit::Done)
}

/// A plant's rows are not made up: nothing invented goes beside them unasked.
pub(super) fn refuse_foreign(table: &str, rows: u64, yes: bool) -> Result<(), Failure> {
    if rows == 0 || yes {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "nothing was inserted: `{table}` has {} rows and was not made by weldfleet; invented welds would stand beside them, and the \
         fleet judge these, too: name another table in tables.source_table, or give --yes",
        grouped(rows)
    )))
}

fn in_percents(units: &CurveUnits) -> bool {
    (units.u_unit, units.i_unit)
        == (
            CurveVoltageUnit::PercentOfUmax,
            CurveCurrentUnit::PercentOfImax,
        )
        && [units.u_scale, units.i_scale] == [1.0, 1.0]
}

async fn insert(
    table: SourceTable,
    filling: Filling,
    units: CurveUnits,
    counts: bool,
    chunk: Range<u64>,
) -> Result<u64, Failure> {
    let simulator = filling.simulator.clone();
    let block = spawn_blocking(move || {
        let mut block = simulator.block(chunk);
        if counts {
            block = block.into_counts().into_block();
            block.convert_maxima(&units);
        } else {
            block.convert(&units);
        }
        block
    })
    .await?;
    let times = filling.times(&block.time_ms);
    let labels: Vec<&str> = block.label.iter().map(|label| label.as_str()).collect();
    let defects: Vec<&str> = block.defect.iter().map(|defect| defect.as_str()).collect();
    let rows = columns(&block, &times, &labels, &defects)?;
    table.insert_simulated(&rows).await.map_err(store_failure)?;
    Ok(block.rows() as u64)
}

fn columns<'b>(
    block: &'b SimulatedBlock,
    times: &'b [i64],
    labels: &'b [&'b str],
    defects: &'b [&'b str],
) -> anyhow::Result<SimulatedRows<'b>> {
    Ok(SimulatedRows {
        day: Day::new(block.data_date)?,
        id_prefix: &block.id_prefix,
        record_id: &block.record_id,
        time_unix_ms: times,
        part_no: &block.part_no,
        spot_name: &block.spot_name,
        timer_name: &block.timer_name,
        umax: &block.umax,
        imax: &block.imax,
        u_ends: &block.u_offsets,
        u_values: &block.u_values,
        i_ends: &block.i_offsets,
        i_values: &block.i_values,
        label: labels,
        label_defect: defects,
        measured_diameter: &block.measured_diameter,
        measured_indentation: &block.measured_indentation,
        measured_front_thickness: &block.measured_front_thickness,
        measured_stack_thickness: &block.measured_stack_thickness,
    })
}
