//! What to simulate.

use thiserror::Error;

/// Milliseconds of a local day, as far as the simulator cares: days of 24 hours.
pub const DAY_MS: u32 = 86_400_000;

/// The shortest fixed curve that holds the longest two-pulse program with a main pulse of 299 ms, in ms.
pub const MIN_CURVE_MS: f64 = 450.0;

/// How many samples a curve has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurveLength {
    /// The same for every row; main pulses are shortened to fit, in the order of their programs.
    Fixed(usize),
    /// As long as the weld program takes (about 390 to 960 ms).
    Program,
}

/// What to simulate. [`SimulationOptions::new`] has the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulationOptions {
    /// The day, `YYYYMMDD`; becomes `data_date`.
    pub day: u32,
    /// Rows of the whole day.
    pub rows: u64,
    /// Same seed, same rows.
    pub seed: u64,
    /// Share of NOK welds, 0 to 1. A plant has about 0.006.
    pub nok_rate: f64,
    /// Share of welds with a burn mark, apart from the other NOK welds, 0 to 1.
    pub burn_rate: f64,
    /// Share of rows that validation has to refuse, 0 to 1.
    pub invalid_share: f64,
    pub length: CurveLength,
    /// Time between two samples, ms.
    pub sample_interval_ms: f64,
    /// Record id of row 0; the others follow.
    pub first_record_id: u64,
    /// Put before the number where `record_id` is a String.
    pub id_prefix: String,
    /// First ms since local midnight that a weld may have.
    pub from_ms: u32,
    /// First ms since local midnight that no weld has any more.
    pub until_ms: u32,
}

impl SimulationOptions {
    /// A day of a plant: 0.6 % NOK, no burn marks, nothing invalid, 600 samples of 1 ms, record ids from 1, spread over
    /// 24 hours.
    #[must_use]
    pub fn new(day: u32, rows: u64, seed: u64) -> Self {
        Self {
            day,
            rows,
            seed,
            nok_rate: 0.006,
            burn_rate: 0.0,
            invalid_share: 0.0,
            length: CurveLength::Fixed(600),
            sample_interval_ms: 1.0,
            first_record_id: 1,
            id_prefix: String::new(),
            from_ms: 0,
            until_ms: DAY_MS,
        }
    }

    /// Refuses what cannot be simulated.
    ///
    /// # Errors
    /// The first value found out of its range, by name.
    pub fn check(&self) -> Result<(), OptionsError> {
        let (month, day_of_month) = (self.day / 100 % 100, self.day % 100);
        let is_date = (1970..=9999).contains(&(self.day / 10_000))
            && (1..=12).contains(&month)
            && (1..=31).contains(&day_of_month);
        if !is_date {
            return Err(OptionsError::Day(self.day));
        }
        for (name, share) in [
            ("nok_rate", self.nok_rate),
            ("burn_rate", self.burn_rate),
            ("invalid_share", self.invalid_share),
        ] {
            self::share(name, share)?;
        }
        if !(0.01..=20.0).contains(&self.sample_interval_ms) {
            return Err(OptionsError::SampleInterval(self.sample_interval_ms));
        }
        if let CurveLength::Fixed(points) = self.length {
            let curve_ms = points as f64 * self.sample_interval_ms;
            if !(MIN_CURVE_MS..=10_000.0).contains(&curve_ms) {
                return Err(OptionsError::Length { points, curve_ms });
            }
        }
        if self.from_ms >= self.until_ms || self.until_ms > DAY_MS {
            return Err(OptionsError::Times {
                from_ms: self.from_ms,
                until_ms: self.until_ms,
            });
        }
        if self.first_record_id.checked_add(self.rows).is_none() {
            return Err(OptionsError::RecordIds {
                first: self.first_record_id,
                rows: self.rows,
            });
        }
        Ok(())
    }
}

pub(crate) fn share(name: &'static str, value: f64) -> Result<(), OptionsError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(OptionsError::Share { name, value })
}

/// Options that cannot be simulated.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum OptionsError {
    #[error("day {0} is no date, give YYYYMMDD")]
    Day(u32),
    #[error("{name} is {value}, give a share from 0 to 1")]
    Share { name: &'static str, value: f64 },
    /// A curve that cannot hold a two-pulse weld, or an absurdly long one.
    #[error("{points} points are {curve_ms} ms of curve, give 450 to 10000 ms")]
    Length { points: usize, curve_ms: f64 },
    /// A sample interval no controller has.
    #[error("sample interval is {0} ms, give 0.01 to 20")]
    SampleInterval(f64),
    /// An empty or impossible stretch of the day.
    #[error(
        "times from {from_ms} to {until_ms} ms are no stretch of a day, give 0 <= from < until <= 86400000"
    )]
    Times {
        /// First ms.
        from_ms: u32,
        /// One past the last ms.
        until_ms: u32,
    },
    /// Ids past the end of UInt64.
    #[error("record ids from {first} leave no room for {rows} rows, begin lower")]
    RecordIds { first: u64, rows: u64 },
}
