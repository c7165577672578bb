//! The limit: ClickHouse reading the rows that a worker reads, in its format, thrown away.

use anyhow::Result;
use weldfleet_testkit::Service;

use crate::{days::CurveDay, drain::DAY, numbers::Section, plant::Plant, proc::Meter};

/// One read of the whole day in two streams.
pub async fn run(plant: &Plant, day: CurveDay, section: &mut Section) -> Result<()> {
    let fresh = &day.fresh();
    let half = plant
        .sql(&format!("SELECT toUnixTimestamp64Milli(quantileExact(0.5)(ck_local_time)) FROM {fresh} WHERE data_date = {DAY}"))
        .await?;
    let read = |condition: String| async move {
        plant
            .discard(&format!(
                "SELECT cityHash64(data_date, ck_local_time, record_id), ck_local_time, record_id, toString(ck_local_time), \
                 part_no, spot_name, timer_name, umax, imax, u_curve, i_curve FROM {fresh} \
                 WHERE data_date = {DAY} AND {condition} FORMAT Native"
            ))
            .await
    };
    let server = Meter::start(plant.pid(Service::ClickHouse))?;
    let (first, second) = tokio::try_join!(
        read(format!("ck_local_time < fromUnixTimestamp64Milli({half})")),
        read(format!("ck_local_time >= fromUnixTimestamp64Milli({half})")),
    )?;
    let n = day.rows() as f64;
    section.push("rows/s", n / server.seconds());
    section.push("ClickHouse CPU, µs a row", server.cpu()? * 1e6 / n);
    section.push("bytes a row", (first + second) as f64 / n);
    Ok(())
}
