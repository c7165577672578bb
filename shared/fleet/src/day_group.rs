//! The plan's group of jobs that one day of one run makes.

use std::{fmt, str::FromStr};

use weldfleet_stores::Day;

/// One day of one run, as the queue names the group of its jobs: `run:day`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayGroup {
    /// The run; 0 is the live one.
    pub run: u64,
    pub day: Day,
}

impl fmt::Display for DayGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.run, self.day)
    }
}

/// The group is another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDayGroup;

impl FromStr for DayGroup {
    type Err = NoDayGroup;

    fn from_str(text: &str) -> Result<Self, NoDayGroup> {
        let (run, day) = text.split_once(':').ok_or(NoDayGroup)?;
        Ok(Self {
            run: run.parse().map_err(|_| NoDayGroup)?,
            day: day.parse().map_err(|_| NoDayGroup)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{DayGroup, NoDayGroup};

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let name = "20261129081500123:20261101";
        let group: DayGroup = name.parse().expect("a run and a day");
        assert_eq!(
            (group.run, group.day.number()),
            (20_261_129_081_500_123, 20_261_101)
        );
        assert_eq!(group.to_string(), name);
        for other in ["", "0", "0:", ":20261101", "0:20261301", "x:20261101"] {
            assert_eq!(other.parse::<DayGroup>(), Err(NoDayGroup), "{other}");
        }
    }
}
