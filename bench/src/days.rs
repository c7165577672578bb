//! Days of welds with curves: made once, put back before each run as if nobody had ever judged them, and cut into jobs.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::statvfs::statvfs;

use crate::plant::{Plant, until};

/// The table that `scheduler migrate` makes.
pub const TABLE: &str = "spot_records";
/// Rows of a range.
pub const RANGE: u64 = 4096;

/// Room on the disk for a row of 600 points, with what is left of parts that were merged.
const BYTES_A_ROW: u64 = 5500;

/// A day and how many rows it has.
#[derive(Debug, Clone, Copy)]
pub struct CurveDay {
    day: u32,
    rows: u64,
    /// The table that is judged.
    table: &'static str,
}

impl CurveDay {
    /// Simulates the day and keeps a copy of it. Of a large day the first part is simulated, and the server copies it
    /// to later hours under other ids: simulating costs more than judging.
    pub async fn make(plant: &Plant, day: u32, rows: u64) -> Result<Self> {
        const SIMULATED: u64 = 100_000;
        let room = free_bytes(&std::env::temp_dir())?;
        ensure!(
            room > rows * BYTES_A_ROW,
            "{} GB are free in {}, {rows} rows need {}; make room, or give fewer --fleet-rows",
            room >> 30,
            std::env::temp_dir().display(),
            (rows * BYTES_A_ROW) >> 30
        );
        let copies = rows.div_ceil(SIMULATED);
        let minutes = 24 * 60 / copies;
        let until = format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let first = rows.div_ceil(copies);
        let (number, count) = (day.to_string(), first.to_string());
        plant.run(
            "scheduler",
            &[
                "simulate",
                "--day",
                &number,
                "--rows",
                &count,
                "--seed",
                "7",
                "--invalid-share",
                "0.001",
                "--until",
                &until,
            ],
        )?;
        if copies > 1 {
            // Each copy is a stretch of time of its own, so its parts need no merging, which would take twice the room
            // on the disk.
            let largest = "MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 50000000";
            plant
                .sql(&format!("ALTER TABLE spot_records {largest}"))
                .await?;
        }
        for copy in 1..copies {
            plant
                .sql(&format!(
                    "INSERT INTO spot_records SELECT * REPLACE (record_id + {copy} * {SIMULATED} AS record_id, \
                     ck_local_time + toIntervalMinute({copy} * {minutes}) AS ck_local_time) FROM \
                     (SELECT * FROM spot_records WHERE data_date = {day} AND record_id <= {SIMULATED})"
                ))
                .await?;
        }
        if copies == 1 {
            let table = format!("OPTIMIZE TABLE spot_records PARTITION {day} FINAL");
            plant.sql(&table).await?;
        }
        let made = Self {
            day,
            rows: first * copies,
            table: TABLE,
        };
        made.keep(plant).await
    }

    /// The same day in a table of another form, which exists.
    pub async fn stored_in(self, plant: &Plant, table: &'static str) -> Result<Self> {
        Self { table, ..self }.keep(plant).await
    }

    /// The table that keeps the same rows as nobody has judged them.
    pub fn fresh(self) -> String {
        format!("fresh_{}", self.table)
    }

    /// Keeps a copy of the rows, which nobody has judged.
    async fn keep(self, plant: &Plant) -> Result<Self> {
        let Self { day, table, .. } = self;
        let fresh = self.fresh();
        plant
            .sql(&format!("CREATE TABLE IF NOT EXISTS {fresh} AS {table}"))
            .await?;
        // The copy shares its files with the day that is judged, until they are merged: a large day would fill the
        // disk.
        plant.sql(&format!("SYSTEM STOP MERGES {fresh}")).await?;
        plant
            .sql(&format!(
                "ALTER TABLE {fresh} ATTACH PARTITION {day} FROM {table}"
            ))
            .await?;
        let left = self.left(plant).await?;
        ensure!(
            left == self.rows as f64,
            "{left} rows were made of {}",
            self.rows
        );
        Ok(self)
    }

    /// As if nobody had ever judged the day, its jobs made, the fleet paused.
    pub async fn reset(self, plant: &Plant) -> Result<()> {
        plant.flush().await?;
        plant.sql("TRUNCATE TABLE weld_results").await?;
        plant.sql("TRUNCATE TABLE weld_runs").await?;
        plant
            .sql(&format!(
                "ALTER TABLE {} REPLACE PARTITION {} FROM {}",
                self.table,
                self.day,
                self.fresh()
            ))
            .await?;
        let _ = std::fs::remove_dir_all(plant.save_dir());
        plant.run("scheduler", &["pause", "--reason", "bench"]).ok();
        let scheduler = plant.spawn("scheduler", &["run"])?;
        let day = self.day.to_string();
        plant.run("scheduler", &["backfill", "--from", &day, "--to", &day])?;
        until(
            "the day is cut into jobs",
            Duration::from_secs(120),
            Duration::from_millis(50),
            async || Ok(plant.jobs("pending").await? >= self.ranges()),
        )
        .await
        .with_context(|| {
            let wanted = self.ranges();
            format!(
                "{wanted} jobs wanted; the scheduler says:\n{}",
                scheduler.log()
            )
        })?;
        scheduler.stop().await
    }

    /// Gives its room on the disk back.
    pub async fn drop(self, plant: &Plant) -> Result<()> {
        for table in [self.table, &self.fresh()] {
            let sql = format!("ALTER TABLE {table} DROP PARTITION {}", self.day);
            plant.sql(&sql).await?;
        }
        let merges = "RESET SETTING max_bytes_to_merge_at_max_space_in_pool";
        plant
            .sql(&format!("ALTER TABLE spot_records {merges}"))
            .await?;
        Ok(())
    }

    /// Welds without a verdict; of versions of one weld the newest counts.
    pub async fn left(self, plant: &Plant) -> Result<f64> {
        plant
            .number(&format!(
                "SELECT uniqExactIf((ck_local_time, record_id), alg_complete_time IS NULL) FROM {} \
                 WHERE data_date = {} SETTINGS final = 1",
                self.table, self.day
            ))
            .await
    }

    /// How many rows it has.
    pub fn rows(self) -> u64 {
        self.rows
    }

    /// Ranges it is cut into.
    pub fn ranges(self) -> u64 {
        self.rows.div_ceil(RANGE)
    }
}

fn free_bytes(folder: &Path) -> Result<u64> {
    let disk = statvfs(folder)
        .with_context(|| format!("cannot tell what is free in {}", folder.display()))?;
    Ok(disk.blocks_available() * disk.fragment_size())
}
