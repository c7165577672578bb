//! How many welds of this shift are NOK, beside the last seven days: read in the background, at most once a minute, so
//! that the page never waits for it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::{ToSpan as _, civil::DateTime};
use weldfleet_service::lock;
use weldfleet_settings::Settings;
use weldfleet_stores::{
    Day,
    clickhouse::{LINE, LineShares},
};

use super::{problem::Problem, welds::inspect};
use crate::clock::plant_time;

/// How old what is shown may be before it is read again.
const FRESH: Duration = Duration::from_secs(60);
/// When a read that failed is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// A read that took so long is good for so many times that.
const SHARE: u32 = 20;
/// How long ClickHouse may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Days that a shift is compared with.
const DAYS: i64 = 7;

/// By line, since a shift began.
#[derive(Debug, Clone, Default)]
pub struct ShiftShares {
    /// Empty where there are no shifts: then it is the day.
    pub shift: String,
    pub since: DateTime,
    /// When it was read.
    pub read_at: DateTime,
    pub lines: Vec<LineShares>,
    /// Whether the table says which line made a weld.
    pub by_line: bool,
}

#[derive(Default)]
struct Known {
    shares: Option<Result<Arc<ShiftShares>, Problem>>,
    /// When it was last asked for, and read.
    asked: Option<Instant>,
    read: Option<Instant>,
    took: Duration,
}

impl Known {
    fn is_due(&self) -> bool {
        let good_for = match &self.shares {
            // What failed may work the next time.
            Some(Err(_)) => AGAIN,
            _ => FRESH.max(self.took * SHARE),
        };
        self.asked.is_none_or(|asked| asked.elapsed() >= good_for)
    }

    /// Nobody has looked for long, so that this may be of another shift; or it could not be read.
    fn is_old(&self) -> bool {
        let is_shown = matches!(self.shares, Some(Ok(_)));
        !is_shown || self.read.is_none_or(|read| read.elapsed() >= FRESH * 2)
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Shares {
    settings: Arc<Settings>,
    known: Arc<Mutex<Known>>,
    /// One reads at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Shares {
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            known: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// As last read; `None` until something was.
    pub fn latest(&self) -> Option<Result<Arc<ShiftShares>, Problem>> {
        let mut known = lock(&self.known);
        if known.is_due() {
            known.asked = Some(Instant::now());
            let shares = self.clone();
            tokio::spawn(async move {
                // Whoever reads now does it for all.
                if let Ok(_turn) = shares.turn.try_lock() {
                    shares.read().await;
                }
            });
        }
        known.shares.clone()
    }

    /// The same for a file, which nobody puts in again: waits where what was read is old.
    pub async fn recent(&self) -> Option<Result<Arc<ShiftShares>, Problem>> {
        let came = Instant::now();
        let turn = self.turn.lock().await;
        // Whoever had the turn before may have read it for this one, too.
        let is_wanted = {
            let known = lock(&self.known);
            known.is_old() && known.read.is_none_or(|read| read < came)
        };
        if is_wanted {
            self.read().await;
        }
        drop(turn);
        self.latest()
    }

    async fn read(&self) {
        let now = plant_time(&self.settings.scheduler.timezone);
        let began = Instant::now();
        let read = read(&self.settings, now).await;
        let mut known = lock(&self.known);
        known.took = read.as_ref().map_or(Duration::ZERO, |_| began.elapsed());
        known.shares = Some(read.map(Arc::new));
        known.read = Some(Instant::now());
        known.asked = known.read;
    }
}

async fn read(settings: &Settings, now: DateTime) -> Result<ShiftShares, Problem> {
    let (shift, since) = settings.console.shift_at(now);
    // Tomorrow's: a night shift may carry that date.
    let days: Result<Vec<Day>, _> = (-1..=DAYS)
        .map(|back| Day::from_date(now.date().saturating_sub(back.days())))
        .collect();
    let days = days.map_err(|error| Problem::Other(error.to_string()))?;
    let table = inspect(settings, PATIENCE).await?;
    let lines = table.nok_shares(&days, since, now).await?;
    Ok(ShiftShares {
        shift: shift.to_owned(),
        since,
        read_at: now,
        lines,
        by_line: table.carries(LINE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_looked_at_for_long_is_read_again() {
        let now = Instant::now();
        let read = |ago: Duration| Known {
            read: now.checked_sub(ago),
            shares: Some(Ok(Arc::default())),
            ..Known::default()
        };
        assert!(Known::default().is_old());
        assert!(read(FRESH * 2).is_old());
        assert!(!read(FRESH).is_old());
        let failed = Known {
            shares: Some(Err(Problem::NothingSeen)),
            asked: now.checked_sub(AGAIN),
            ..read(Duration::ZERO)
        };
        assert!(failed.is_old() && failed.is_due());
    }

    #[test]
    fn one_that_took_long_is_repeated_as_rarely() {
        let asked = |took| Known {
            asked: Instant::now().checked_sub(FRESH * 2),
            took,
            ..Known::default()
        };
        assert!(asked(Duration::from_millis(500)).is_due());
        assert!(!asked(PATIENCE).is_due());
    }
}
