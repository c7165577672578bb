//! Why nothing moves, each cause in words with its remedy.
//!
//! Everybody who wonders is told the same: `scheduler status`, `/readyz`, `GET /api/v1/status`. An undisturbed day has
//! no cause.
//!
//! - [`decide`]: one pure function from what is known to the causes; [`words`]: what people read of each.

mod decide;
mod words;

use jiff::tz::TimeZone;
use weldfleet_queue::Pause;

pub use decide::causes;

use crate::{clock::time_of_day, settle};

/// What the leader calls the mirror, and a ClickHouse that it does not reach, where it says what it waits for.
pub const MIRROR: &str = "mysql";
pub const UNREACHED: &str = "clickhouse unreached";
/// What it calls a run that waits while all else goes on.
pub const RUN: &str = "backfill";

/// What it calls a row that comes back without a verdict, which keeps nothing else from being judged.
pub const AGAIN: &str = "rows again";

/// Every code with whether it is alarming, for whoever counts causes.
pub const CODES: [(&str, bool); 26] = [
    ("store_away", true),
    ("store_refuses", true),
    ("store_slow", true),
    ("mirror_away", true),
    ("disk_full", true),
    ("patches_many", true),
    ("clock_differs", true),
    ("paused", true),
    ("settling", false),
    ("no_leader", true),
    ("leader_waits", true),
    ("no_worker", true),
    ("workers_wait", true),
    ("after_outage", false),
    ("back_pressure", true),
    ("back_pressure", false),
    ("run_held", false),
    ("days_unsettled", true),
    ("only_delayed", false),
    ("only_isolated", false),
    ("only_splitting", false),
    ("only_dead", true),
    ("partial_range", false),
    ("only_later", false),
    ("nothing_to_do", false),
    ("unexplained", true),
];

/// A reason why work does not go on as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    StoreAway {
        store: &'static str,
        why: String,
        /// The leader, where it is away only for that.
        leader: Option<String>,
    },
    StoreRefuses {
        store: &'static str,
        why: String,
    },
    /// It is there, and nobody can say how the fleet is.
    StoreSlow {
        store: &'static str,
        why: String,
    },
    /// Judging goes on without it.
    MirrorAway {
        why: String,
    },
    DiskFull {
        place: String,
        why: String,
    },
    /// The server's limit of patch parts is half reached, or reached.
    PatchesMany {
        bytes: u64,
        limit: u64,
    },
    /// The day of who looks here may not be the plant's.
    ClockDiffers {
        store: &'static str,
        seconds: u64,
    },
    Paused {
        by: String,
        reason: String,
    },
    /// The fleet stands still while a finished day is settled.
    Settling {
        until: String,
    },
    NoLeader,
    /// It leads, and its passes do not do what they should.
    LeaderWaits {
        component: String,
        why: String,
    },
    NoWorker,
    /// Workers are there, and none can work.
    WorkersWait {
        workers: usize,
        why: String,
    },
    AfterOutage {
        leases: u64,
        until: String,
    },
    BackPressure {
        live: bool,
        jobs: u64,
        /// How many outstanding jobs are counted beyond those there are.
        miscounted: u64,
    },
    RunHeld {
        run: u64,
        by: String,
        why: String,
    },
    DaysUnsettled {
        first: String,
        last: String,
    },
    OnlyDelayed {
        jobs: u64,
        until: String,
    },
    OnlyIsolated {
        jobs: u64,
    },
    OnlySplitting {
        jobs: u64,
    },
    OnlyDead {
        jobs: u64,
    },
    PartialRange {
        rows: u64,
        max_wait_ms: u64,
    },
    /// Of days that have not come yet: nothing else is left.
    OnlyLater {
        rows: u64,
        lookahead_days: u16,
    },
    NothingToDo,
    Unexplained {
        rows: u64,
        jobs: u64,
    },
}

impl Cause {
    /// Somebody, or the breaker, paused the fleet, or it is for settling and ends by itself.
    pub fn paused(pause: &Pause, now_ms: u64, zone: &TimeZone) -> Self {
        if let Some(ends) = settle::ends_ms(pause).filter(|ends| *ends > now_ms) {
            let until = time_of_day(ends, zone);
            return Self::Settling { until };
        }
        Self::Paused {
            by: pause.by.clone(),
            reason: pause.reason.clone(),
        }
    }

    /// For machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::StoreAway { .. } => "store_away",
            Self::StoreRefuses { .. } => "store_refuses",
            Self::StoreSlow { .. } => "store_slow",
            Self::MirrorAway { .. } => "mirror_away",
            Self::DiskFull { .. } => "disk_full",
            Self::PatchesMany { .. } => "patches_many",
            Self::ClockDiffers { .. } => "clock_differs",
            Self::Paused { .. } => "paused",
            Self::Settling { .. } => "settling",
            Self::NoLeader => "no_leader",
            Self::LeaderWaits { .. } => "leader_waits",
            Self::NoWorker => "no_worker",
            Self::WorkersWait { .. } => "workers_wait",
            Self::AfterOutage { .. } => "after_outage",
            Self::BackPressure { .. } => "back_pressure",
            Self::RunHeld { .. } => "run_held",
            Self::DaysUnsettled { .. } => "days_unsettled",
            Self::OnlyDelayed { .. } => "only_delayed",
            Self::OnlyIsolated { .. } => "only_isolated",
            Self::OnlySplitting { .. } => "only_splitting",
            Self::OnlyDead { .. } => "only_dead",
            Self::PartialRange { .. } => "partial_range",
            Self::OnlyLater { .. } => "only_later",
            Self::NothingToDo => "nothing_to_do",
            Self::Unexplained { .. } => "unexplained",
        }
    }

    /// Nothing is judged while it lasts, so that a fleet that stands still needs no other reason.
    fn stops_everything(&self) -> bool {
        matches!(
            self,
            Self::StoreAway { .. }
                | Self::StoreRefuses { .. }
                | Self::DiskFull { .. }
                | Self::Paused { .. }
                | Self::Settling { .. }
                | Self::NoLeader
                | Self::NoWorker
                | Self::WorkersWait { .. }
                | Self::AfterOutage { .. }
        )
    }

    /// Whether somebody should do something; the others end by themselves, or are as somebody wanted them.
    fn is_alarming(&self) -> bool {
        !matches!(
            self,
            Self::Settling { .. }
                | Self::AfterOutage { .. }
                | Self::BackPressure { live: false, .. }
                | Self::RunHeld { .. }
                | Self::OnlyDelayed { .. }
                | Self::OnlyIsolated { .. }
                | Self::OnlySplitting { .. }
                | Self::PartialRange { .. }
                | Self::OnlyLater { .. }
                | Self::NothingToDo
        )
    }
}
