//! What time it is, for people and for the calendar; no decision of the lease protocol is made by it.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use weldfleet_settings::Zone;
use weldfleet_stores::Day;

/// For people, who compare it with their own clock.
#[expect(clippy::disallowed_methods, reason = "shown, and decides nothing")]
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
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

pub fn time_of_day(ms: u64, zone: &TimeZone) -> String {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(String::new, |time| {
        time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
    })
}
