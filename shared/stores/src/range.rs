//! Days, keys and ranges: how work on rows is named between the programs.
//!
//! A key orders welds within a day by `(ck_local_time, record_id)`, or, where a table is sorted otherwise, by the
//! column that leads its sorting key and then so ([`KeyOrder`]). The instant is kept as the
//! column's own integer (`ticks`): the text of an instant is ambiguous in the hour that a summer
//! time repeats. Text is kept beside it for people who paste it into SQL.

mod job_fields;
mod leading;

use std::{cmp::Ordering, fmt, str::FromStr};

use jiff::civil::Date;
use weldfleet_weld::{IdRef, RecordId, Status};

pub(crate) use leading::hex;
pub use leading::{Leading, LeadingRef};

/// What is wrong with a day, a key or a range given as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Not a calendar day.
    #[error("`{0}` is not a day; write YYYYMMDD, for example 20261122")]
    Day(String),
    /// A day that a column of days cannot hold.
    #[error("`{0}` is outside the years 1970 to 2149, those that ClickHouse's Date holds")]
    Year(String),
    /// A job field that a range needs is absent.
    #[error("job field `{0}` is missing; the job was not made by this scheduler, drop it")]
    Missing(&'static str),
    /// A job field that does not parse.
    #[error("job field `{field}` is `{value}`, expected {expected}")]
    Field {
        /// Name of the field.
        field: &'static str,
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The first key lies behind the last.
    #[error("range ends before it starts: from `{from}` to `{to}`")]
    Backwards { from: String, to: String },
}

/// A day of welds, `YYYYMMDD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

impl Day {
    pub const EPOCH: Self = Self(19_700_101);

    /// A day from its number, `20261122`.
    pub fn new(yyyymmdd: u32) -> Result<Self, RangeError> {
        let bad = || RangeError::Day(yyyymmdd.to_string());
        let year = i16::try_from(yyyymmdd / 10_000).map_err(|_| bad())?;
        let (month, day) = ((yyyymmdd / 100 % 100) as i8, (yyyymmdd % 100) as i8);
        Date::new(year, month, day).map_err(|_| bad())?;
        if !(1970..=2149).contains(&year) {
            return Err(RangeError::Year(yyyymmdd.to_string()));
        }
        Ok(Self(yyyymmdd))
    }

    /// The day of a civil date.
    pub fn from_date(date: Date) -> Result<Self, RangeError> {
        let year = u32::try_from(date.year()).map_err(|_| RangeError::Day(date.to_string()))?;
        Self::new(year * 10_000 + date.month() as u32 * 100 + date.day() as u32)
    }

    /// `20261122` as a number.
    pub fn number(self) -> u32 {
        self.0
    }

    pub fn date(self) -> Date {
        Date::constant(
            (self.0 / 10_000) as i16,
            (self.0 / 100 % 100) as i8,
            (self.0 % 100) as i8,
        )
    }

    /// `2026-11-22`.
    pub fn iso(self) -> String {
        self.date().to_string()
    }

    /// Days since 1970-01-01, as ClickHouse's `Date` counts.
    pub fn days_since_epoch(self) -> i32 {
        let epoch = Date::constant(1970, 1, 1);
        self.date()
            .since((jiff::Unit::Day, epoch))
            .map_or(0, |span| span.get_days())
    }

    /// The day `days` later (or earlier, when negative); `None` past the calendar's ends.
    pub fn offset(self, days: i32) -> Option<Self> {
        let date = self
            .date()
            .checked_add(jiff::Span::new().try_days(days).ok()?)
            .ok()?;
        Self::from_date(date).ok()
    }

    /// Every day from `self` to `last`, both included; empty when `last` is earlier.
    pub fn to(self, last: Day) -> impl Iterator<Item = Day> {
        std::iter::successors(Some(self), |day| day.offset(1)).take_while(move |day| *day <= last)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

impl FromStr for Day {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let bad = || RangeError::Day(text.to_owned());
        if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        Self::new(text.parse().map_err(|_| bad())?).map_err(|error| match error {
            RangeError::Year(_) => RangeError::Year(text.to_owned()),
            _ => bad(),
        })
    }
}

/// In which order keys are cut into ranges.
///
/// A range reads and writes what lies between its keys. In the order in which a table is sorted that is a few of its
/// granules; in any other it is all of the day's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrder {
    /// By time and id: what arrives comes last, whatever the table's order.
    Time,
    /// By the leading column of the table's sorting key, then by time and id.
    SortingKey,
}

/// A borrowed [`Key`] without its text; what slicing streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRef<'a> {
    /// Value of the column that leads the table's sorting key; `None` in the order of time.
    pub leading: Option<LeadingRef<'a>>,
    /// `ck_local_time` as the column's own integer.
    pub ticks: i64,
    pub id: IdRef<'a>,
}

impl KeyRef<'_> {
    /// An owned key with no text yet.
    pub fn to_owned(self) -> Key {
        Key {
            leading: self.leading.map(LeadingRef::to_owned),
            ticks: self.ticks,
            id: self.id.to_owned(),
            text: String::new(),
        }
    }
}

/// A weld's place in its day. Equality and order look at all but the text.
#[derive(Debug, Clone)]
pub struct Key {
    /// Value of the column that leads the table's sorting key; `None` in the order of time.
    pub leading: Option<Leading>,
    /// `ck_local_time` as the column's own integer: seconds for `DateTime`, 10^-p s for `DateTime64(p)`.
    pub ticks: i64,
    pub id: RecordId,
    /// `<ck_local_time> <record_id>` for people; empty until
    /// [`SourceTable::name_keys`](crate::clickhouse::SourceTable::name_keys) fills it.
    pub text: String,
}

impl Key {
    pub fn as_ref(&self) -> KeyRef<'_> {
        KeyRef {
            leading: self.leading.as_ref().map(Leading::as_ref),
            ticks: self.ticks,
            id: self.id.as_ref(),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            write!(f, "@{} {}", self.ticks, self.id)
        } else {
            f.write_str(&self.text)
        }
    }
}

/// Keys from the first to the last, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub from: Key,
    pub to: Key,
}

impl KeyRange {
    /// In which order it was cut.
    pub fn order(&self) -> KeyOrder {
        match self.from.leading {
            None => KeyOrder::Time,
            Some(_) => KeyOrder::SortingKey,
        }
    }

    /// Whether the key lies inside.
    pub fn contains(&self, key: KeyRef<'_>) -> bool {
        self.from.as_ref() <= key && key <= self.to.as_ref()
    }
}

/// Ranges in order, those as one that `touch`; the first of the two is what has become one before.
fn joined(
    mut ranges: Vec<KeyRange>,
    touch: impl Fn(&KeyRange, &KeyRange) -> bool,
) -> Vec<KeyRange> {
    ranges.sort_by(|a, b| a.from.cmp(&b.from));
    let mut joined: Vec<KeyRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(before) if touch(before, &range) => {
                if before.to < range.to {
                    before.to = range.to;
                }
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Ranges in order, those as one where the gap between two is no longer than the longer of them: less to ask of every
/// row, for few rows more. In the order of a sorting key a gap has no length, and each stays as it is.
pub(crate) fn neighbours(ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    let length = |keys: &KeyRange| keys.to.ticks.saturating_sub(keys.from.ticks);
    joined(ranges, |before, keys| {
        let gap = keys.from.ticks.saturating_sub(before.to.ticks);
        keys.order() == KeyOrder::Time && gap <= length(before).max(length(keys))
    })
}

/// Every `alg_status`, in the order in which they are listed.
pub const STATUSES: [Status; 4] = [Status::Ok, Status::Invalid, Status::Poison, Status::Error];

pub fn parse_status(text: &str) -> Result<Status, RangeError> {
    STATUSES
        .into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| RangeError::Field {
            field: "status",
            value: text.to_owned(),
            expected: "ok, invalid, poison or error",
        })
}

/// Which rows of its range a run wants, beside the guard that no newer run has written them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// Rows without a verdict.
    #[default]
    New,
    /// Every row.
    Force,
    /// Rows with one of these statuses; never empty.
    Status(Vec<Status>),
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Force => f.write_str("force"),
            Self::Status(statuses) => {
                let names: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
                write!(f, "status:{}", names.join(","))
            }
        }
    }
}

impl FromStr for Selection {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        match text {
            "new" => Ok(Self::New),
            "force" => Ok(Self::Force),
            _ => {
                let list = text
                    .strip_prefix("status:")
                    .ok_or_else(|| RangeError::Field {
                        field: "selection",
                        value: text.to_owned(),
                        expected: "new, force or status:<list>",
                    })?;
                let named = list
                    .split(',')
                    .map(parse_status)
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Self::Status(
                    STATUSES
                        .into_iter()
                        .filter(|status| named.contains(status))
                        .collect(),
                ))
            }
        }
    }
}

/// Disjoint key ranges in order: what outstanding jobs of one run and day cover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(Vec<KeyRange>);

impl Coverage {
    /// Sorts the ranges and joins those that overlap.
    pub fn new(ranges: Vec<KeyRange>) -> Self {
        Self(joined(ranges, |before, range| range.from <= before.to))
    }

    /// The ranges, disjoint and in order.
    pub fn ranges(&self) -> &[KeyRange] {
        &self.0
    }

    /// Whether a key is covered.
    pub fn contains(&self, key: KeyRef<'_>) -> bool {
        let behind = self.0.partition_point(|range| range.from.as_ref() <= key);
        behind > 0 && key <= self.0[behind - 1].to.as_ref()
    }
}

/// The run of live slicing; backfills have larger numbers.
pub const LIVE_RUN: u64 = 0;

/// A job's rows: those of one day between two keys that one run wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Run that wants the rows; [`LIVE_RUN`] for live slicing.
    pub run: u64,
    /// Day of the rows.
    pub day: Day,
    /// Which of the rows between the keys.
    pub selection: Selection,
    /// First key, included.
    pub from: Key,
    /// Last key, included.
    pub to: Key,
    /// Rows wanted when the range was cut; late rows may add to them.
    pub rows: u64,
    /// Whether a key of the day was in more than one row then, of which some may lie in other ranges. Told of ranges
    /// along a sorting key alone: in the order of time rows of one key are in one range.
    pub repeated_keys: bool,
}

impl Range {
    pub fn keys(&self) -> KeyRange {
        KeyRange {
            from: self.from.clone(),
            to: self.to.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
