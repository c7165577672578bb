//! `scheduler simulate`: demo rows, made on every core, inserted by column.

use std::{ops::Range, sync::Arc, time::Instant};

use anyhow::Context as _;
use jiff::{civil::Time, tz::TimeZone};
use serde_json::json;
use tokio::task::{JoinSet, spawn_blocking};
use weldfleet_service::{
    Exit, Failure, OrExit, outln,
    output::{self, grouped},
};
use weldfleet_settings::Settings;
use weldfleet_simulator::{SimulatedBlock, SimulationOptions, Simulator, plant_table::ID_PREFIX};
use weldfleet_stores::{
    Day,
    clickhouse::{SimulatedRows, SourceTable, schema::IdType},
};
use weldfleet_weld::units::{CurveCurrentUnit, CurveUnits, CurveVoltageUnit};

use super::{progress::Progress, simulate_plant};
use crate::{args::Simulate, dependencies::store_failure};

/// Rows made and inserted at a time.
const BLOCK: u64 = 8192;

pub async fn run(settings: &Settings, options: Simulate) -> Result<Exit, Failure> {
    let day = options.day.resolve(&settings.scheduler.timezone)?;
    if options.since >= options.until {
        return Err(Failure::usage("--since is not before --until; swap them"));
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

    let table = SourceTable::inspect(settings)
        .await
        .map_err(store_failure)?;
    if table.schema().id == IdType::Text {
        simulation.id_prefix = ID_PREFIX.to_owned();
    }
    let before = table
        .last_record_number(day, &simulation.id_prefix)
        .await
        .map_err(store_failure)?;
    let simulator = follow_on(simulation, before, day)?;
    let zone = table.time_zone().await.map_err(store_failure)?;
    let midnight_ms = midnight(&zone, day)?;

    let began = Instant::now();
    let (units, counts) = (settings.curves, options.counts);
    insert_all(&simulator, |chunk| {
        insert(
            table.clone(),
            simulator.clone(),
            units,
            counts,
            chunk,
            midnight_ms,
        )
    })
    .await?;
    told(&simulator, day, began, options.json)?;
    Ok(Exit::Done)
}

fn in_percents(units: &CurveUnits) -> bool {
    (units.u_unit, units.i_unit)
        == (
            CurveVoltageUnit::PercentOfUmax,
            CurveCurrentUnit::PercentOfImax,
        )
        && [units.u_scale, units.i_scale] == [1.0, 1.0]
}

/// The simulation behind the rows that the day has.
pub fn follow_on(
    mut simulation: SimulationOptions,
    before: u64,
    day: Day,
) -> Result<Arc<Simulator>, Failure> {
    before.checked_add(simulation.rows).ok_or_else(|| {
        anyhow::anyhow!(
            "day {day} has a record_id of {before}, and {} more would pass {}, the last there is; simulate another day",
            grouped(simulation.rows),
            u64::MAX
        )
    })?;
    simulation.first_record_id = before + 1;
    // The same seed again must not make the same welds under new ids.
    simulation.seed = simulation.seed.wrapping_add(before);
    Ok(Arc::new(Simulator::new(simulation).or_exit(Exit::Usage)?))
}

pub fn told(simulator: &Simulator, day: Day, began: Instant, json: bool) -> Result<(), Failure> {
    let seconds = began.elapsed().as_secs_f64();
    let SimulationOptions {
        rows,
        first_record_id: first,
        ..
    } = *simulator.options();
    let last = first - 1 + rows;
    let rate = rows as f64 / seconds.max(1e-9);
    if json {
        output::json(&json!({
            "day": day.to_string(), "rows": rows, "first_record_id": first, "last_record_id": last,
            "seconds": seconds, "rows_per_second": rate,
        }))?;
    } else {
        outln!(
            "inserted {} rows on {day} in {seconds:.1} s ({} rows/s); record ids {first} to {last}",
            grouped(rows),
            grouped(rate as u64),
        );
    }
    Ok(())
}

/// Runs `insert` for every block, some at a time.
pub async fn insert_all<I, W>(simulator: &Simulator, insert: I) -> Result<(), Failure>
where
    I: Fn(Range<u64>) -> W,
    W: Future<Output = Result<u64, Failure>> + Send + 'static,
{
    let rows = simulator.options().rows;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut progress = Progress::new("simulating", rows);
    let mut inserted = 0;
    let mut tasks: JoinSet<Result<u64, Failure>> = JoinSet::new();
    for chunk in simulator.chunks(BLOCK) {
        // One block more than cores: one is on its way to the server.
        while tasks.len() > cores
            && let Some(done) = tasks.join_next().await
        {
            inserted += done??;
            progress.show(inserted, rows, "");
        }
        tasks.spawn(insert(chunk));
    }
    while let Some(done) = tasks.join_next().await {
        inserted += done??;
        progress.show(inserted, rows, "");
    }
    progress.end();
    Ok(())
}

async fn insert(
    table: SourceTable,
    simulator: Arc<Simulator>,
    units: CurveUnits,
    counts: bool,
    chunk: Range<u64>,
    midnight_ms: i64,
) -> Result<u64, Failure> {
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
    let times: Vec<i64> = block
        .time_ms
        .iter()
        .map(|ms| midnight_ms + i64::from(*ms))
        .collect();
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

/// Midnight of the day where `ck_local_time` is printed, in ms since 1970, so that the printed times are of that day.
pub fn midnight(name: &str, day: Day) -> Result<i64, Failure> {
    let zone =
        TimeZone::get(name).with_context(|| format!("time zone `{name}` of ck_local_time"))?;
    let midnight = zone
        .to_ambiguous_zoned(day.date().to_datetime(Time::midnight()))
        .compatible()?;
    Ok(midnight.timestamp().as_millisecond())
}
