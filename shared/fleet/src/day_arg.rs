//! A day on the command line, and which day it is.

use std::str::FromStr;

use jiff::{Timestamp, civil::DateTime};
use weldfleet_settings::Zone;
use weldfleet_stores::{Day, RangeError};

/// A day as people give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayArg {
    /// So many days before today, in the configured time zone.
    Before(i32),
    /// This one.
    Date(Day),
}

impl DayArg {
    /// The day itself.
    pub fn resolve(self, zone: &Zone) -> anyhow::Result<Day> {
        match self {
            Self::Date(day) => Ok(day),
            Self::Before(days) => today(zone)?
                .offset(-days)
                .ok_or_else(|| anyhow::anyhow!("no such day")),
        }
    }
}

impl FromStr for DayArg {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        match text {
            "today" => Ok(Self::Before(0)),
            "yesterday" => Ok(Self::Before(1)),
            _ => text.parse().map(Self::Date),
        }
    }
}

/// What the clocks of the plant show.
#[expect(
    clippy::disallowed_methods,
    reason = "which day it is, the plant's calendar says"
)]
pub fn plant_time(zone: &Zone) -> DateTime {
    Timestamp::now().to_zoned(zone.rules().clone()).datetime()
}

/// Today in the time zone whose midnight ends a day.
pub fn today(zone: &Zone) -> anyhow::Result<Day> {
    Ok(Day::from_date(plant_time(zone).date())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_named_or_written() {
        let day = |text: &str| text.parse::<DayArg>();
        assert_eq!(day("today").unwrap(), DayArg::Before(0));
        assert_eq!(day("yesterday").unwrap(), DayArg::Before(1));
        let written = Day::new(20_261_122).unwrap();
        assert_eq!(day("20261122").unwrap(), DayArg::Date(written));
        for text in ["tomorrow", "2026-11-22", "Today", ""] {
            assert!(day(text).is_err(), "{text}");
        }
        let zone = Zone::default();
        let today = today(&zone).unwrap();
        let yesterday = day("yesterday").unwrap().resolve(&zone).unwrap();
        assert!(yesterday < today);
    }
}
