//! Whether a scheduler asks for leadership at this moment.
//!
//! One whose passes do not reach ClickHouse makes no work. Where another one asks too, it leaves leadership to that for
//! a while. Alone it leads on, and makes work as soon as ClickHouse is back.

use std::time::Duration;

use weldfleet_queue::Candidate;

/// How long ClickHouse may be out of reach before another one may try.
const OUT_OF_REACH: Duration = Duration::from_secs(10);
/// How long whoever resigned does not ask: of two that both do not reach ClickHouse none leads for less.
const STANDS_BACK: Duration = Duration::from_secs(60);
/// How long nobody leads before whoever resigned asks all the same: those that ask do so every second.
const VACANT: Duration = Duration::from_secs(5);
/// Who asked within this time asks still.
const ASKS_STILL_MS: u64 = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Ask,
    Resign,
    StandBack,
}

/// What a turn is decided by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    pub leads: bool,
    /// For how long passes have not reached ClickHouse.
    pub unreached: Option<Duration>,
    /// Somebody else asks for leadership.
    pub another_asks: bool,
    /// How long ago it resigned.
    pub resigned: Option<Duration>,
    /// For how long nobody has led.
    pub vacant: Option<Duration>,
}

impl Standing {
    /// It leads, and would rather not: who else asks makes the difference.
    pub fn would_resign(&self) -> bool {
        self.leads && self.unreached.is_some_and(|since| since >= OUT_OF_REACH)
    }

    /// It does not ask, as long as somebody leads.
    pub fn stands_back(&self) -> bool {
        !self.leads && self.resigned.is_some_and(|ago| ago < STANDS_BACK)
    }

    pub fn turn(&self) -> Turn {
        if self.would_resign() && self.another_asks {
            Turn::Resign
        } else if self.stands_back() && self.vacant.is_none_or(|vacant| vacant < VACANT) {
            Turn::StandBack
        } else {
            Turn::Ask
        }
    }
}

/// Whether somebody else than `id` asks for leadership still; by Redis' clock, as of when `id` last asked.
pub fn another_asks(candidates: &[Candidate], id: &str) -> bool {
    let own = candidates.iter().find(|candidate| candidate.id == id);
    own.is_some_and(|own| {
        let mut others = candidates.iter().filter(|other| other.id != id);
        others.any(|other| other.asked_ms + ASKS_STILL_MS >= own.asked_ms)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn a_leader_without_clickhouse_resigns_where_somebody_else_asks() {
        let turn = |unreached, another_asks| {
            let standing = Standing {
                leads: true,
                unreached,
                another_asks,
                ..Standing::default()
            };
            standing.turn()
        };
        assert_eq!(turn(None, true), Turn::Ask);
        assert_eq!(turn(seconds(9), true), Turn::Ask);
        assert_eq!(turn(seconds(10), true), Turn::Resign);
        assert_eq!(turn(seconds(3600), false), Turn::Ask, "alone");
    }

    #[test]
    fn who_resigned_asks_again_after_a_minute_or_where_nobody_leads() {
        let turn = |resigned, vacant| {
            let standing = Standing {
                resigned,
                vacant,
                ..Standing::default()
            };
            standing.turn()
        };
        assert_eq!(turn(None, None), Turn::Ask, "it never resigned");
        assert_eq!(turn(seconds(0), None), Turn::StandBack);
        // The other one has its time to ask.
        assert_eq!(turn(seconds(4), seconds(4)), Turn::StandBack);
        assert_eq!(turn(seconds(30), seconds(5)), Turn::Ask);
        assert_eq!(turn(seconds(59), None), Turn::StandBack);
        assert_eq!(turn(seconds(60), None), Turn::Ask);
    }

    #[test]
    fn who_resigned_and_leads_again_is_as_any_other_leader() {
        let standing = Standing {
            leads: true,
            resigned: seconds(20),
            ..Standing::default()
        };
        assert_eq!(standing.turn(), Turn::Ask);
    }

    #[test]
    fn who_fell_silent_or_stands_back_does_not_ask() {
        let candidate = |id: &str, asked_ms| Candidate {
            id: id.to_owned(),
            asked_ms,
            ..Candidate::default()
        };
        let own = candidate("a", 100_000);
        let others = |asked_ms| another_asks(&[own.clone(), candidate("b", asked_ms)], "a");
        assert!(others(95_000));
        assert!(others(100_900));
        assert!(!others(94_999));
        assert!(!another_asks(std::slice::from_ref(&own), "a"));
        assert!(!another_asks(&[candidate("b", 100_000)], "a"));
    }
}
