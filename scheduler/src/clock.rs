//! What time it is, for people and for the calendar; no decision of the lease protocol is made by it.

use jiff::{Timestamp, tz::TimeZone};
use weldfleet_settings::{Scheduler, Settings};
use weldfleet_stores::Day;

pub use weldfleet_fleet::{plant_time, today};

/// For people, who compare it with their own clock.
#[expect(clippy::disallowed_methods, reason = "shown, and decides nothing")]
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Days that are sliced without a backfill: today first, the oldest last.
pub fn live_days(scheduler: &Scheduler, today: Day) -> Vec<Day> {
    let ahead = 1..=i32::from(scheduler.lookahead_days);
    let back = (1..=i32::from(scheduler.lookback_days)).map(|days| -days);
    let others = ahead.chain(back).filter_map(|days| today.offset(days));
    std::iter::once(today).chain(others).collect()
}

/// What of its settings makes a scheduler's days, as it tells the others; it names no component (see
/// [`causes`](crate::status::causes)).
pub fn days_told(scheduler: &Scheduler) -> String {
    format!(
        "{DAYS_TOLD}timezone={} lookback_days={} lookahead_days={}",
        scheduler.timezone.name(),
        scheduler.lookback_days,
        scheduler.lookahead_days
    )
}

/// How [`days_told`] begins.
pub const DAYS_TOLD: &str = "days ";

/// The first day whose records in MySQL are looked after; `None`: there is none before it.
pub fn mirrored_from(settings: &Settings) -> Option<Day> {
    let days = i32::from(settings.mysql.keep_days);
    let today = today(&settings.scheduler.timezone).ok()?;
    today.offset(-days).filter(|_| days > 0)
}

pub fn time_of_day(ms: u64, zone: &TimeZone) -> String {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(String::new, |time| {
        time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tomorrow_is_live_where_it_is_asked_for() {
        let today = Day::new(20_261_130).unwrap();
        let mut scheduler = Scheduler::default();
        let live = |scheduler: &Scheduler| -> Vec<u32> {
            let days = live_days(scheduler, today).into_iter();
            days.map(Day::number).collect()
        };
        assert_eq!(live(&scheduler), [20_261_130, 20_261_129]);
        (scheduler.lookback_days, scheduler.lookahead_days) = (0, 1);
        assert_eq!(live(&scheduler), [20_261_130, 20_261_201]);
        assert_eq!(
            days_told(&scheduler),
            "days timezone=Asia/Shanghai lookback_days=0 lookahead_days=1"
        );
    }
}
