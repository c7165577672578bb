//! Stop before doing harm: a wrong unit must not burn a day.
//!
//! # Layout
//! - [`decide`]: the pure rule, from what the last ranges held to the reason for a pause;
//! - [`Tally`]: the counts, kept in Redis for the whole fleet by one atomic script, so that many
//!   workers trip one breaker.
//!
//! What must never live here: the pause itself (the queue's) and the meaning of a verdict.

mod tally;

pub use tally::Tally;

/// When the fleet stops itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Share of invalid and error rows above which it pauses, 0 to 1.
    pub invalid_share: f64,
    /// Ranges over which the share is taken; fewer never trip it.
    pub over_ranges: u32,
    /// Rows over which it is taken, likewise: see [`least_rows`].
    pub over_rows: u64,
    /// Rows of one and the same verdict in a row after which it pauses.
    pub same_verdict_rows: u64,
}

/// Rows that a window holds at least: a hundredth of what its ranges may hold, a thousand at most. A few bad rows of a
/// quiet night, a range each, are no wrong unit.
pub fn least_rows(over_ranges: u32, batch_size: u32) -> u64 {
    (u64::from(over_ranges) * u64::from(batch_size) / 100).min(1000)
}

/// What one finished range held, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RangeCounts {
    pub ok: u64,
    pub nok: u64,
    /// Invalid or in error.
    pub unjudged: u64,
}

/// What the last ranges held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Ranges in the window.
    pub ranges: u32,
    pub rows: u64,
    /// Those invalid or in error.
    pub unjudged: u64,
    /// The verdict of every row since it last changed.
    pub same_verdict: String,
    /// Rows since it last changed.
    pub same_rows: u64,
}

/// Whether a fleet was paused for this by [`decide`] and not by a person.
pub fn is_breakers(reason: &str) -> bool {
    reason.starts_with("breaker: ")
}

/// The reason to pause, if there is one.
pub fn decide(limits: &Limits, window: &Window) -> Option<String> {
    let least = limits.over_rows.max(1);
    let full = window.ranges >= limits.over_ranges && window.rows >= least;
    let share = window.unjudged as f64 / window.rows.max(1) as f64;
    if full && share > limits.invalid_share {
        return Some(format!(
            "breaker: {:.1} % of the {} rows in the last {} ranges are invalid or in error (limit {:.1} %); \
             see alg_status and alg_error of the rows, check [curves] and [validation], then \
             `scheduler resume` and `scheduler backfill --status invalid,error`",
            share * 100.0,
            window.rows,
            window.ranges,
            limits.invalid_share * 100.0,
        ));
    }
    if window.same_rows >= limits.same_verdict_rows {
        return Some(format!(
            "breaker: the last {} verdicts are all {} (limit {}); check the model, nok_threshold and the rules, \
             then `scheduler resume`",
            window.same_rows, window.same_verdict, limits.same_verdict_rows,
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        invalid_share: 0.5,
        over_ranges: 4,
        over_rows: 40,
        same_verdict_rows: 100,
    };

    fn window(ranges: u32, rows: u64, unjudged: u64, same_rows: u64) -> Window {
        Window {
            ranges,
            rows,
            unjudged,
            same_verdict: "OK".into(),
            same_rows,
        }
    }

    #[test]
    fn trips_only_above_the_share_of_a_full_window() {
        assert_eq!(decide(&LIMITS, &window(3, 30, 30, 0)), None);
        assert_eq!(decide(&LIMITS, &window(4, 40, 20, 0)), None);
        let reason = decide(&LIMITS, &window(4, 40, 21, 0)).expect("trips");
        assert!(
            reason.contains("52.5 %") && reason.contains("scheduler resume"),
            "{reason}"
        );
        assert_eq!(decide(&LIMITS, &window(4, 0, 0, 0)), None);
        assert_eq!(decide(&LIMITS, &window(4, 39, 39, 0)), None);
    }

    #[test]
    fn a_window_has_room_for_a_few_bad_rows_of_a_quiet_night() {
        assert_eq!(least_rows(20, 4096), 819);
        assert_eq!(least_rows(20, 100_000), 1000);
        assert_eq!(least_rows(3, 100), 3, "a small plant trips as soon");
    }

    #[test]
    fn trips_when_every_verdict_is_the_same() {
        assert_eq!(decide(&LIMITS, &window(4, 99, 0, 99)), None);
        let reason = decide(&LIMITS, &window(4, 100, 0, 100)).expect("trips");
        assert!(reason.contains("100 verdicts are all OK"), "{reason}");
    }
}
