//! A full, input-less look at a large day: light rows, a million of them without a verdict.

use anyhow::Result;
use weldfleet_stores::{Coverage, Day, KeyOrder, LIVE_RUN, Selection, clickhouse::SourceTable};
use weldfleet_testkit::Service;

use crate::{
    numbers::Section,
    plant::Plant,
    proc::{self, Meter},
};

/// Rows without a verdict, at the day's end.
pub const LEFT: u64 = 1_000_000;
/// Ranges of 4,096 rows that a pass may enqueue at once, and one more.
const LIMIT: u64 = 1001 * 4096;

/// A day of so many million rows, made by the server; curves are empty, slicing never reads them.
pub async fn make_day(plant: &Plant, table: &str, millions: u64) -> Result<Day> {
    let day = 20_260_200 + millions.ilog10() + 1;
    let rows = millions * 1_000_000;
    let step = 5_000_000;
    for from in (0..rows).step_by(usize::try_from(step)?) {
        let count = step.min(rows - from);
        let judged_before = rows - LEFT.min(rows);
        plant
            .sql(&format!(
                "INSERT INTO {table} (data_date, ck_local_time, record_id, part_no, spot_name, timer_name, umax, imax, \
                 alg_complete_time, alg_status, final_result, decided_by, model_version, alg_run, alg_token, alg_job) \
                 SELECT {day}, toDateTime64('2026-02-01 00:00:00', 3, 'UTC') + toIntervalMillisecond(intDiv(number * 86400000, {rows})), \
                 number, 'P1', 'S1', 'T1', 1.5, 9, \
                 if(number < {judged_before}, toDateTime64('2026-02-02 00:00:00', 3, 'UTC'), NULL), \
                 if(number < {judged_before}, 'ok', NULL), if(number < {judged_before}, 'OK', NULL), \
                 if(number < {judged_before}, 'soft_and', NULL), if(number < {judged_before}, 'm-1', NULL), \
                 if(number < {judged_before}, 0, NULL), if(number < {judged_before}, intDiv(number, 4096) + 1, NULL), \
                 if(number < {judged_before}, toString(intDiv(number, 4096)), NULL) \
                 FROM numbers({from}, {count})"
            ))
            .await?;
    }
    Ok(Day::new(day)?)
}

/// One look of a pass at the day; along a sorting key it asks for repeated keys, too, as a pass does that adds ranges.
pub async fn look(
    plant: &Plant,
    table: &str,
    day: Day,
    order: KeyOrder,
    section: &mut Section,
) -> Result<()> {
    let mut settings = plant.settings()?;
    table.clone_into(&mut settings.tables.source_table);
    let table = SourceTable::inspect(&settings).await?;
    let pid = plant.pid(Service::ClickHouse);
    let (own, theirs) = (
        proc::resident_mb(std::process::id())?,
        proc::resident_mb(pid)?,
    );
    let server = Meter::start(pid)?;
    let coverage = Coverage::new(Vec::new());
    let mut stream =
        table.unprocessed_keys(LIVE_RUN, day, &Selection::New, order, &coverage, LIMIT)?;
    let (mut keys, mut first) = (0, None);
    while let Some(block) = stream.next().await? {
        first.get_or_insert_with(|| server.seconds());
        keys += block.keys().count() as u64;
    }
    if order == KeyOrder::SortingKey {
        table.has_repeated_keys(day).await?;
    }
    section.push("rows without a verdict", keys as f64);
    section.push("first keys after, ms", first.unwrap_or_default() * 1e3);
    section.push("whole look, ms", server.seconds() * 1e3);
    section.push("ClickHouse CPU, ms", server.cpu()? * 1e3);
    section.push(
        "client memory grew by, MB",
        proc::resident_mb(std::process::id())? - own,
    );
    section.push(
        "ClickHouse memory grew by, MB",
        proc::resident_mb(pid)? - theirs,
    );
    Ok(())
}
