//! The limit: ClickHouse reading the rows that a worker reads, in its format, thrown away.

use std::time::Instant;

use anyhow::Result;
use weldfleet_testkit::Service;

use crate::{days::CurveDay, drain::DAY, numbers::Section, plant::Plant, proc};

/// One read of the whole day in two streams.
pub async fn run(plant: &Plant, day: CurveDay, section: &mut Section) -> Result<()> {
    let half = plant
        .sql(&format!("SELECT toUnixTimestamp64Milli(quantileExact(0.5)(ck_local_time)) FROM fresh_records WHERE data_date = {DAY}"))
        .await?;
    let read = |condition: String| async move {
        plant
            .discard(&format!(
                "SELECT cityHash64(data_date, ck_local_time, record_id), ck_local_time, record_id, toString(ck_local_time), \
                 part_no, spot_name, timer_name, umax, imax, u_curve, i_curve FROM fresh_records \
                 WHERE data_date = {DAY} AND {condition} FORMAT Native"
            ))
            .await
    };
    let pid = plant.pid(Service::ClickHouse);
    let (began, cpu) = (Instant::now(), proc::cpu(pid)?);
    let (first, second) = tokio::try_join!(
        read(format!("ck_local_time < fromUnixTimestamp64Milli({half})")),
        read(format!("ck_local_time >= fromUnixTimestamp64Milli({half})")),
    )?;
    let n = day.rows() as f64;
    section.push("rows/s", n / began.elapsed().as_secs_f64());
    let cpu = proc::cpu(pid)?.saturating_sub(cpu);
    section.push("ClickHouse CPU, µs a row", cpu.as_secs_f64() * 1e6 / n);
    section.push("bytes a row", (first + second) as f64 / n);
    Ok(())
}
