//! Live mode: rows come in at a plant's pace, and each is judged how long after?

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use weldfleet_simulator::{SimulationOptions, Simulator};
use weldfleet_stores::{
    Day,
    clickhouse::{SimulatedRows, SourceTable},
};
use weldfleet_testkit::Service;

use crate::{
    numbers::Section,
    plant::{Plant, until},
    proc::Meter,
};

/// Inserts a second.
const TICKS: u64 = 5;

/// `rate` rows a second for `time`; from `ck_local_time`, which is the moment of the insert, to `alg_complete_time`.
pub async fn run(plant: &Plant, rate: u64, time: Duration, section: &mut Section) -> Result<()> {
    plant.flush().await?;
    // Nothing but the live day: no backfill that an earlier part has left open.
    plant.sql("TRUNCATE TABLE weld_runs").await?;
    let today = plant.sql("SELECT toYYYYMMDD(now('Asia/Shanghai'))").await?;
    plant
        .sql(&format!("ALTER TABLE spot_records DROP PARTITION {today}"))
        .await?;
    let scheduler = plant.spawn("scheduler", &["run"])?;
    let worker = plant.spawn("worker", &["run"])?;
    let table = SourceTable::inspect(&plant.settings()?).await?;
    let total = rate * time.as_secs();
    let simulator = Simulator::new(SimulationOptions::new(today.parse()?, total, 11))?;
    let meters = [
        ("worker", Meter::start(worker.pid())?),
        ("scheduler", Meter::start(scheduler.pid())?),
        (
            "ClickHouse, inserts included",
            Meter::start(plant.pid(Service::ClickHouse))?,
        ),
    ];
    let began = Instant::now();
    for (tick, rows) in simulator.chunks(rate / TICKS).enumerate() {
        let at = began + Duration::from_secs_f64(tick as f64 / TICKS as f64);
        tokio::time::sleep_until(at.into()).await;
        insert(&table, &simulator, rows).await?;
    }
    let left = format!(
        "SELECT count() FROM spot_records WHERE data_date = {today} AND alg_complete_time IS NULL"
    );
    until(
        "every live row is judged",
        Duration::from_secs(60),
        Duration::from_millis(100),
        async || Ok(plant.number(&left).await? == 0.0),
    )
    .await?;
    let latency = |quantile: &str| {
        format!(
            "SELECT quantileExact({quantile})(toUnixTimestamp64Milli(assumeNotNull(alg_complete_time)) - toUnixTimestamp64Milli(ck_local_time)) \
             FROM spot_records WHERE data_date = {today}"
        )
    };
    section.push("rows/s", total as f64 / time.as_secs_f64());
    section.push(
        "weld to verdict p50, ms",
        plant.number(&latency("0.5")).await?,
    );
    section.push(
        "weld to verdict p99, ms",
        plant.number(&latency("0.99")).await?,
    );
    section.push(
        "weld to verdict max, ms",
        plant.number(&latency("1")).await?,
    );
    for (name, meter) in meters {
        let share = 100.0 * meter.cpu()? / meter.seconds();
        section.push(&format!("{name}, % of a core"), share);
    }
    worker.stop().await?;
    scheduler.stop().await
}

async fn insert(
    table: &SourceTable,
    simulator: &Simulator,
    rows: std::ops::Range<u64>,
) -> Result<()> {
    let block = simulator.block(rows);
    #[expect(clippy::disallowed_methods, reason = "when the weld was made")]
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let times = vec![now; block.rows()];
    let labels: Vec<&str> = block.label.iter().map(|label| label.as_str()).collect();
    let defects: Vec<&str> = block.defect.iter().map(|defect| defect.as_str()).collect();
    let rows = SimulatedRows {
        day: Day::new(block.data_date)?,
        id_prefix: "",
        record_id: &block.record_id,
        time_unix_ms: &times,
        part_no: &block.part_no,
        spot_name: &block.spot_name,
        timer_name: &block.timer_name,
        umax: &block.umax,
        imax: &block.imax,
        u_ends: &block.u_offsets,
        u_values: &block.u_values,
        i_ends: &block.i_offsets,
        i_values: &block.i_values,
        label: &labels,
        label_defect: &defects,
        measured_diameter: &block.measured_diameter,
        measured_indentation: &block.measured_indentation,
        measured_front_thickness: &block.measured_front_thickness,
        measured_stack_thickness: &block.measured_stack_thickness,
    };
    table.insert_simulated(&rows).await?;
    Ok(())
}
